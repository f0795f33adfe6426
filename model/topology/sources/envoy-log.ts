/**
 * One access log record of Envoy, over OTLP or from the gRPC access log service, as an observation of an edge (rules 8 and 9).
 *
 * The outbound proxy speaks for the leg to the callee, the inbound proxy for the leg from the caller; the leg to the own application is
 * never an edge. A record that does not say on which side it was made, and whose certificates do not show it, states nothing.
 */
import { type Endpoint, UNKNOWN } from "../endpoint.ts";
import type { Emitter, LegTls, LogAttributes, LogFacts, LogInput } from "../facts.ts";
import type { Outcome, Protocol, Reporter, Unit } from "../series.ts";
import { addressEndpoint, peerIp } from "./address.ts";
import { countOf } from "./attributes.ts";
import { type UpstreamCluster, parseUpstreamCluster } from "./envoy-cluster.ts";
import { identityEndpoint } from "./identity.ts";
import { callerOfAddress, recordedAt } from "./log-ends.ts";
import { downstreamLeg, upstreamLeg } from "./log-tls.ts";
import { endingOf, flagsOf, grpcStatusOf, isUnreached } from "./outcome.ts";
import { exportPortReason } from "./telemetry-export.ts";

/** What Envoy writes when a request or connection is over; all other kinds of record are about one that goes on. */
const FINAL: ReadonlySet<string> = new Set(["DownstreamEnd", "TcpConnectionEnd"]);

/** Any of these marks a record as Envoy's: names that applications do not use for their own logs. */
export const ENVOY_MARKERS = ["response_flags", "upstream_cluster", "upstream_host", "downstream_tls_version"] as const;

export function envoyLogFacts({ resource, attributes }: LogInput): LogFacts | undefined {
	const type = attributes.get("log_type");
	if (type !== undefined && type !== "NotSet" && !FINAL.has(type)) return undefined;
	if (!ENVOY_MARKERS.some((key) => attributes.has(key))) return undefined;
	const downstream = downstreamLeg(attributes);
	const upstream = upstreamLeg(attributes);
	const named = recordedAt(resource);
	const name = attributes.get("upstream_cluster") ?? "";
	const cluster = parseUpstreamCluster(name, named.namespace);
	if (cluster?.kind === "internal" || (cluster?.kind === "endpoint" && exportPortReason(cluster.port) !== undefined))
		return undefined;
	const waypoint = isWaypoint(name);
	const said = resource.get("meshscope.direction") ?? attributes.get("meshscope.direction");
	const reporter = waypoint ? "waypoint" : (saidSide(said) ?? clusterSide(cluster) ?? provenSide(downstream, upstream));
	const result = resultOf(attributes, type);
	if (reporter === undefined || result === undefined) return undefined;

	const tls = reporter === "source" ? upstream : downstream;
	const own = named === UNKNOWN ? (identityEndpoint(tls.localPrincipal) ?? UNKNOWN) : named;
	const local: Endpoint = said === "gateway" && own.kind === "service" ? { ...own, kind: "gateway" } : own;
	const identity = identityEndpoint(tls.peerPrincipal);
	const callee = cluster?.kind === "endpoint" ? cluster.endpoint : undefined;
	const source = reporter === "source" ? local : (identity ?? callerOfAddress(attributes.get("downstream_remote")));
	const target =
		reporter === "source"
			? (callee ?? identity ?? calledAddress(attributes))
			: waypoint && callee !== undefined
				? callee
				: local;
	if (source === UNKNOWN && target === UNKNOWN) return undefined;
	return {
		emitter: waypoint ? "waypoint" : emitterOf(cluster),
		source,
		target,
		reporter,
		...result,
		// What an inbound proxy tries again goes to its own application, not over the edge.
		attempts: reporter === "source" ? (countOf(attributes.get("attempts")) ?? 1) : 1,
		tls,
		sourcePrincipal: reporter === "source" ? tls.localPrincipal : tls.peerPrincipal,
		destinationPrincipal: reporter === "source" ? tls.peerPrincipal : tls.localPrincipal,
	};
}

/** A waypoint's way to the service behind it. */
function isWaypoint(cluster: string): boolean {
	return cluster.startsWith("inbound-vip|");
}

function calledAddress(attributes: LogAttributes): Endpoint {
	const address = peerIp(attributes.get("upstream_host"));
	return address === "" ? UNKNOWN : addressEndpoint(address);
}

/** A gateway has no app of its own: it speaks for what it calls. */
function saidSide(said: string | undefined): Reporter | undefined {
	if (said === "outbound" || said === "gateway") return "source";
	return said === "inbound" ? "destination" : undefined;
}

/** What a control plane called the cluster shows the side; a name of somebody's own is used on either. */
function clusterSide(cluster: UpstreamCluster | undefined): Reporter | undefined {
	if (cluster === undefined || cluster.kind === "internal") return undefined;
	if (cluster.kind === "local") return "destination";
	return cluster.kind === "endpoint" && cluster.by === undefined ? undefined : "source";
}

/** The side that an upstream cluster is used on; undefined where its name does not show it. */
export function directionOfCluster(name: string): "inbound" | "outbound" | undefined {
	if (name.length > MAX_NAME_CHARS) return undefined;
	const side = isWaypoint(name) ? "destination" : clusterSide(parseUpstreamCluster(name, ""));
	return side === undefined ? undefined : side === "source" ? "outbound" : "inbound";
}

/** As rule 0 has it. */
const MAX_NAME_CHARS = 4_096;

/** A verified peer shows an edge whatever the side is called; a gateway, which has both, speaks for what it calls. */
function provenSide(downstream: LegTls, upstream: LegTls): Reporter | undefined {
	if (upstream.status === "mutual_tls") return "source";
	return downstream.status === "mutual_tls" ? "destination" : undefined;
}

function emitterOf(cluster: UpstreamCluster | undefined): Emitter {
	const by = cluster !== undefined && "by" in cluster ? cluster.by : undefined;
	if (cluster?.kind === "blackhole") return "istio";
	return by === "istio" || by === "consul" || by === "kuma" ? by : "envoy";
}

interface Result {
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly outcome: Outcome;
	readonly code: string;
	readonly flags: string;
}

/** Undefined where a request's record does not say how it ended. */
function resultOf(attributes: LogAttributes, type: string | undefined): Result | undefined {
	const flags = flagsOf(attributes.get("response_flags"));
	const grpc = grpcStatusOf(attributes.get("grpc_status"));
	if (grpc === undefined && (type === "TcpConnectionEnd" || attributes.get("protocol") === "TCP")) {
		const failed = isUnreached(flags) || attributes.get("downstream_tls_failure") !== undefined;
		return { protocol: "tcp", unit: "connections", outcome: failed ? "no_response" : "ok", code: "", flags };
	}
	if (grpc === undefined && !attributes.has("response_code")) return undefined;
	const http = attributes.has("response_code") ? (countOf(attributes.get("response_code")) ?? 0) : undefined;
	const ending = endingOf(http, grpc, flags, "no_response");
	return { protocol: grpc === undefined ? "http" : "grpc", unit: "requests", ...ending, flags };
}
