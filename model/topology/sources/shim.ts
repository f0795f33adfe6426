/**
 * Our own proxy's spans: OpenTelemetry's conventions, and what it found and decided in words of its own (docs/formats/
 * shim-telemetry.md). One span a call and direction, however often it was tried.
 */
import { type Endpoint, serviceEndpoint } from "../endpoint.ts";
import type { PeerHint, SpanFacts, SpanInput } from "../facts.ts";
import { hostEndpoint } from "./address.ts";
import { CLIENT, SERVER, type SpanSource, conventionFacts, grpcStatus, httpStatus, retryOf } from "./convention.ts";
import { identityEndpoint } from "./identity.ts";
import { shimLeg } from "./leg-tls.ts";
import { endingOf, flagsOf } from "./outcome.ts";

const SCOPE = "meshscope-shim";

export const shimSource: SpanSource = {
	recognises: ({ scope, attributes }) => scope === SCOPE || attributes.get("meshscope.mtls.status") !== undefined,
	facts(input) {
		const base = conventionFacts(input, "shim");
		const flags = flagsOf(input.attributes.get("meshscope.response_flags"));
		const ending = endingOf(httpStatus(input), grpcStatus(input), flags, base.outcome);
		const facts: SpanFacts = {
			...base,
			...ending,
			proxy: true,
			local: localOf(base.local, input),
			flags,
			// Its spans are never tries of each other: each is a call.
			retry: 0,
			attempts: base.kind === CLIENT ? 1 + retryOf(input) : 1,
			downstream: base.kind === SERVER ? shimLeg(input.attributes, "server") : base.downstream,
			upstream: base.kind === CLIENT ? shimLeg(input.attributes, "client") : base.upstream,
		};
		return { ...facts, peer: declaredOf(input, facts.local) ?? identityOf(facts) ?? calledOf(input, facts) ?? base.peer };
	},
};

function localOf(base: Endpoint, { resource }: SpanInput): Endpoint {
	const workload = resource.get("meshscope.workload");
	return base.kind === "service" && workload !== undefined ? { ...base, workload } : base;
}

function declaredOf({ attributes }: SpanInput, { cluster }: Endpoint): PeerHint | undefined {
	const service = attributes.get("service.peer.name");
	if (service === undefined) return undefined;
	return { endpoint: shimPeer(service, attributes.get("service.peer.namespace") ?? "", "", cluster), from: "declared" };
}

function identityOf({ kind, downstream, upstream }: SpanFacts): PeerHint | undefined {
	const leg = kind === SERVER ? downstream : upstream;
	const endpoint = leg.verifiedBy === "" ? undefined : identityEndpoint(leg.peerPrincipal);
	return endpoint === undefined ? undefined : { endpoint, from: "identity" };
}

/** The cluster's host, before the authority that the app made up. */
function calledOf({ attributes }: SpanInput, { kind, local }: SpanFacts): PeerHint | undefined {
	const host = kind === CLIENT ? attributes.get("upstream_cluster")?.split("|")[3] : undefined;
	const endpoint = hostEndpoint(host, local.namespace);
	return endpoint === undefined ? undefined : { endpoint, from: "declared" };
}

/** As spans and metrics name the other end alike: in the caller's own cluster. A ServiceEntry has its host for a name. */
export function shimPeer(service: string, namespace: string, workload: string, cluster: string): Endpoint {
	const outside = service.includes(".") ? hostEndpoint(service, "") : undefined;
	return outside ?? serviceEndpoint(service, namespace, workload, cluster);
}
