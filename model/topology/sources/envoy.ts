/**
 * Envoy's spans, whoever configured it: names of its own for everything, and custom tags for TLS. Istio, Kuma and Consul stand on
 * this module.
 *
 * One span may speak for both legs (`spawn_upstream_span: false`): CLIENT on outbound listeners, SERVER on all others. With a span for
 * each try the request's own is SERVER on every listener, and only its name tells an outbound one (`egress HOST`).
 * `peer.address` is the downstream's then, also on a CLIENT; only spans of one try upstream have `upstream_address`.
 */
import { serviceEndpoint } from "../endpoint.ts";
import type { Emitter, PeerHint, SpanFacts, SpanInput } from "../facts.ts";
import { addressEndpoint, peerIp } from "./address.ts";
import {
	CLIENT,
	INTERNAL,
	SERVER,
	type SpanSource,
	calleeByHost,
	callerByAddress,
	conventionFacts,
	grpcStatus,
	httpStatus,
	localEndpoint,
} from "./convention.ts";
import { type UpstreamCluster, parseUpstreamCluster } from "./envoy-cluster.ts";
import { identityEndpoint } from "./identity.ts";
import { envoyDownstreamLeg, envoyUpstreamLeg } from "./leg-tls.ts";
import { endingOf, isUnreached, showsConnection } from "./outcome.ts";
import { exportPortReason } from "./telemetry-export.ts";

export const envoySource: SpanSource = { recognises: isEnvoy, facts: (input) => envoyFacts(input, "envoy") };

export function isEnvoy({ scope, resource, attributes }: SpanInput): boolean {
	return (
		scope === "envoy" ||
		resource.get("telemetry.sdk.name") === "envoy" ||
		attributes.get("component") === "proxy" ||
		attributes.get("upstream_cluster") !== undefined
	);
}

/** @param local where the span was recorded, where the emitter has its own way to say */
export function envoyFacts(sent: SpanInput, emitter: Emitter, local = envoyLocal(sent)): SpanFacts {
	// With a span of its own for each try, an outbound listener calls the request's SERVER: to the edge it is the call.
	const isCall = sent.kind === SERVER && sent.name === "egress" && local.kind !== "gateway";
	const input = isCall ? { ...sent, kind: CLIENT } : sent;
	const base = conventionFacts(input, emitter);
	const { attributes } = input;
	const cluster = upstreamCluster(input, local.namespace);
	const upstreamAddress = peerIp(attributes.get("upstream_address"));
	// A try at the proxy's own app never leaves the machine.
	const kind = base.kind === CLIENT && cluster?.kind === "local" ? INTERNAL : base.kind;
	const http = httpStatus(input);
	const { outcome, code } = endingOf(http, grpcStatus(input), base.flags, input.status === 2 ? "no_response" : base.outcome);
	const isConnected = upstreamAddress !== "" ? !isUnreached(base.flags) : showsConnection(base.flags);
	const reached = cluster !== undefined && http !== 0 && isConnected;
	const downstream = envoyDownstreamLeg(attributes);
	const upstream = envoyUpstreamLeg(attributes, reached);
	const facts: SpanFacts = {
		...base,
		proxy: true,
		kind,
		local,
		peerAddress: kind === SERVER ? base.peerAddress : upstreamAddress,
		outcome,
		code,
		downstream,
		upstream,
		ignored: base.ignored ?? exportCluster(input, cluster),
		peer: undefined,
	};
	if (kind === CLIENT) return { ...facts, peer: callee(input, facts, cluster) };
	if (kind === SERVER) return { ...facts, peer: caller(input, facts, base.peer) };
	return facts;
}

/** Direction does not say it: edge and inbound listeners both give SERVER. `meshscope.direction: gateway` does. */
function envoyLocal(input: SpanInput): SpanFacts["local"] {
	const local = localEndpoint(input);
	const direction = input.attributes.get("meshscope.direction") ?? input.resource.get("meshscope.direction");
	return direction === "gateway" && local.kind === "service" ? { ...local, kind: "gateway" } : local;
}

/** `upstream_cluster` may be an alternative name for statistics; where it parses, it is the one that control planes make. */
export function upstreamCluster({ attributes }: SpanInput, namespace: string): UpstreamCluster | undefined {
	const name = attributes.get("upstream_cluster") ?? attributes.get("upstream_cluster.name");
	return name === undefined ? undefined : parseUpstreamCluster(name, namespace);
}

/** Rule 6. */
function callee(input: SpanInput, { local, upstream }: SpanFacts, cluster: UpstreamCluster | undefined): PeerHint | undefined {
	if (cluster?.kind === "endpoint") return { endpoint: cluster.endpoint, from: "declared" };
	const identity = upstream.verifiedBy === "client" ? identityEndpoint(upstream.peerPrincipal) : undefined;
	if (identity !== undefined) return { endpoint: identity, from: "identity" };
	const address = peerIp(input.attributes.get("upstream_address"));
	// Without `upstream_address`, the only address in the span is the caller's.
	return (
		calleeByHost(input, local.namespace, "") ??
		(address === "" ? undefined : { endpoint: addressEndpoint(address), from: "address" })
	);
}

/** Rule 7. `downstream_cluster` is a header that any caller may set: a name, but no proof. */
function caller(input: SpanInput, { local, downstream }: SpanFacts, byConvention: PeerHint | undefined): PeerHint | undefined {
	const identity = identityEndpoint(downstream.peerPrincipal);
	if (identity !== undefined && downstream.verifiedBy === "server") return { endpoint: identity, from: "identity" };
	if (byConvention?.from === "declared") return byConvention;
	const name = input.attributes.get("downstream_cluster");
	if (name !== undefined) return { endpoint: namedCaller(name, local.namespace), from: "declared" };
	if (identity !== undefined) return { endpoint: identity, from: "declared" };
	return callerByAddress(input, local);
}

/** `a.b` is split only where b is the namespace of the proxy itself. */
function namedCaller(name: string, namespace: string): PeerHint["endpoint"] {
	const dot = name.indexOf(".");
	if (dot > 0 && namespace !== "" && name.slice(dot + 1) === namespace) return serviceEndpoint(name.slice(0, dot), namespace);
	return serviceEndpoint(name);
}

function exportCluster({ name }: SpanInput, cluster: UpstreamCluster | undefined): string | undefined {
	if (cluster?.kind === "internal") return "the proxy's own call";
	if (cluster?.kind !== "endpoint") return undefined;
	return exportPortReason(cluster.port) ?? (name === "async egress" ? asyncReason(cluster) : undefined);
}

/** Calls of Envoy's filters (authorisation, rate limits) are edges like any other, except to collectors. */
function asyncReason(cluster: UpstreamCluster & { readonly kind: "endpoint" }): string | undefined {
	return /^(?:zipkin|jaeger)(?:-|_|$)|(?:otel|opentelemetry|otlp)[_-]?collector/.test(cluster.endpoint.service)
		? "export of telemetry"
		: undefined;
}
