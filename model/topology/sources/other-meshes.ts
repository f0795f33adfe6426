/** Meshes other than Istio: Kuma and Consul (Envoy with names of their own), Linkerd, and Dapr. */
import { type Endpoint, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import type { PeerHint, SpanFacts, SpanInput } from "../facts.ts";
import { CLIENT, INTERNAL, SERVER, type SpanSource, conventionFacts, localEndpoint } from "./convention.ts";
import { envoyFacts, isEnvoy, upstreamCluster } from "./envoy.ts";
import { kumaService } from "./envoy-cluster.ts";
import { identityEndpoint, principalOf } from "./identity.ts";
import { LINKERD_OWNER_KEYS } from "./keys.ts";

/** Older versions send no `kuma.*`: their service and cluster names have Kuma's form. */
export const kumaSource: SpanSource = {
	recognises: (input) => kumaValue(input, "kuma.mesh") !== undefined || (isEnvoy(input) && hasKumaNames(input)),
	facts: (input) => envoyFacts(input, "kuma", kumaLocal(input)),
};

function hasKumaNames(input: SpanInput): boolean {
	return kumaService(input.resource.get("service.name") ?? "") !== undefined || isClusterBy(input, "kuma");
}

function isClusterBy(input: SpanInput, by: "kuma" | "consul"): boolean {
	const cluster = upstreamCluster(input, "");
	return (cluster?.kind === "endpoint" || cluster?.kind === "local") && cluster.by === by;
}

function kumaValue({ resource, attributes }: SpanInput, key: "kuma.mesh" | "kuma.zone" | "kuma.workload"): string | undefined {
	return attributes.get(key) ?? resource.get(key);
}

function kumaLocal(input: SpanInput): Endpoint {
	const base = localEndpoint(input);
	const workload = kumaValue(input, "kuma.workload");
	const name = input.resource.get("service.name") ?? workload;
	if (name === undefined) return base;
	const tagged = kumaService(name) ?? { ...base, kind: "service", service: name };
	const cluster = kumaValue(input, "kuma.zone") ?? base.cluster;
	return { ...tagged, cluster, workload: workload !== undefined && workload !== tagged.service ? workload : base.workload };
}

/** Consul adds no attribute of its own: its cluster names and identities tell. The proxy's identity names the service exactly. */
export const consulSource: SpanSource = {
	recognises: (input) => isEnvoy(input) && (isClusterBy(input, "consul") || consulIdentity(input) !== undefined),
	facts(input) {
		const own = consulIdentity(input);
		const base = localEndpoint(input);
		const local: Endpoint =
			own === undefined ? base : { ...base, kind: "service", service: own.service, namespace: own.namespace };
		return envoyFacts(input, "consul", local);
	},
};

function consulIdentity({ attributes }: SpanInput): Endpoint | undefined {
	const own = principalOf(
		attributes.get("meshscope.downstream.local.uri_san") ?? attributes.get("meshscope.upstream.local.uri_san"),
	);
	return own.includes("/dc/") && own.includes("/svc/") ? identityEndpoint(own) : undefined;
}

/** Two spans a proxy. Those between a proxy and its own app are walked through; what is left is one CLIENT and one SERVER a call. */
export const linkerdSource: SpanSource = {
	recognises: ({ resource, attributes }) =>
		resource.get("service.name") === "linkerd-proxy" ||
		// The pod's labels may be on its app's spans too; the direction is on the proxy's alone.
		(/^(?:in|out)bound$/.test(attributes.get("direction") ?? "") &&
			(resource.get("linkerd.io/workload-ns") !== undefined ||
				LINKERD_OWNER_KEYS.some((key) => resource.get(key) !== undefined))),
	facts: linkerdFacts,
};

function linkerdFacts(input: SpanInput): SpanFacts {
	const base = conventionFacts(input, "linkerd");
	const direction = input.attributes.get("direction");
	const isOwnApp = (direction === "outbound" && base.kind === SERVER) || (direction === "inbound" && base.kind === CLIENT);
	// Its spans' status is never set: that there is no answer shows in there being no code.
	const outcome = base.code === "" ? "no_response" : base.outcome;
	return {
		...base,
		proxy: true,
		kind: isOwnApp ? INTERNAL : base.kind,
		local: linkerdLocal(input),
		peer: isOwnApp ? undefined : base.peer,
		outcome,
	};
}

/** Every proxy calls itself `linkerd-proxy` unless told otherwise. */
function linkerdLocal(input: SpanInput): Endpoint {
	const base = localEndpoint(input);
	const owner = LINKERD_OWNER_KEYS.map((key) => input.resource.get(key)).find((name) => name !== undefined);
	const named = base.kind === "service" && base.service !== "linkerd-proxy" ? base.service : undefined;
	const service = named ?? owner ?? input.resource.get("service.name");
	if (service === undefined) return UNKNOWN;
	const namespace = input.resource.get("linkerd.io/workload-ns") ?? base.namespace;
	return serviceEndpoint(service, namespace, base.workload || (owner ?? ""), base.cluster);
}

/** Dapr's sidecar speaks in its app's name. It calls others by their app id, `app.namespace` across namespaces. */
export const daprSource: SpanSource = {
	recognises: ({ scope, attributes }) => scope === "dapr-diagnostics" || attributes.get("dapr.api") !== undefined,
	facts(input) {
		const base = conventionFacts(input, "dapr");
		return { ...base, proxy: true, peer: daprPeer(input, base) ?? base.peer };
	},
};

function daprPeer({ attributes }: SpanInput, { kind, protocol, local }: SpanFacts): PeerHint | undefined {
	const id = /^([\w-]+)(?:\.([\w-]+))?$/.exec(attributes.get("net.peer.name") ?? attributes.get("server.address") ?? "");
	if (kind !== CLIENT || protocol === "database" || protocol === "messaging" || id === null || id[1] === "localhost")
		return undefined;
	return { endpoint: serviceEndpoint(id[1]!, id[2] ?? local.namespace), from: "declared" };
}
