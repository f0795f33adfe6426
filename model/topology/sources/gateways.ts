/** Proxies that stand at the edge and belong to no app: NGINX, Caddy, Traefik, Kong, APISIX. */
import type { Emitter, SpanFacts, SpanInput } from "../facts.ts";
import { countOf } from "./attributes.ts";
import { CLIENT, INTERNAL, type SpanSource, conventionFacts } from "./convention.ts";

function gatewayFacts(input: SpanInput, emitter: Emitter): SpanFacts {
	const base = conventionFacts(input, emitter);
	return { ...base, proxy: true, local: base.local.kind === "service" ? { ...base.local, kind: "gateway" } : base.local };
}

/** One SERVER span, seldom a CLIENT: what it calls is its child, SERVER under SERVER. */
export const nginxSource: SpanSource = {
	recognises: ({ scope, resource }) => scope === "nginx" || resource.get("service.name") === "unknown_service:nginx",
	facts: (input) => gatewayFacts(input, "nginx"),
};

export const caddySource: SpanSource = {
	recognises: ({ resource }) => resource.get("webengine.name") === "Caddy",
	facts: (input) => gatewayFacts(input, "caddy"),
};

/** Between its SERVER (entry point) and CLIENT (reverse proxy) lie INTERNAL spans of routers, middlewares and services. */
export const traefikSource: SpanSource = {
	recognises: ({ scope }) => scope === "github.com/traefik/traefik",
	facts: (input) => gatewayFacts(input, "traefik"),
};

/** A CLIENT `kong.balancer` a try, numbered from 1; look-ups of names are CLIENT too. */
export const kongSource: SpanSource = {
	recognises: ({ scope, name }) => scope === "kong-internal" || name === "kong" || name.startsWith("kong."),
	facts(input) {
		const base = gatewayFacts(input, "kong");
		if (input.name === "kong.dns") return { ...base, kind: INTERNAL, ignored: "look-up of a name" };
		if (input.name === "kong.database.query") return { ...base, kind: INTERNAL };
		if (input.name !== "kong.balancer" || base.kind !== CLIENT) return base;
		const tries = countOf(input.attributes.get("try_count")) ?? 1;
		// Only tries that failed have a code or a status; of the last one the SERVER span tells.
		const protocol = base.protocol === "unknown" ? "http" : base.protocol;
		const outcome = base.code === "" && input.status === 2 ? "no_response" : base.outcome;
		return { ...base, retry: Math.min(Math.max(tries - 1, 0), 1000), protocol, outcome };
	},
};

export const apisixSource: SpanSource = {
	recognises: ({ scope, resource, attributes }) =>
		scope === "opentelemetry-lua" ||
		resource.get("service.name") === "APISIX" ||
		attributes.get("apisix.route_id") !== undefined,
	facts: (input) => gatewayFacts(input, "apisix"),
};
