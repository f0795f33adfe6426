/**
 * One access log record of Envoy, over OTLP or from the gRPC access log service, as an observation of an edge (rules 8 and 9).
 *
 * The outbound proxy speaks for the leg to the callee, the inbound proxy for the leg from the caller; the leg to the own application is
 * never an edge. A record that does not say on which side it was made, and whose certificates do not show it, states nothing.
 */
import type { Endpoint } from "../endpoint.ts";
import { UNKNOWN } from "../endpoint.ts";
import type { Attributes, Emitter, LegTls, LogFacts, LogInput } from "../facts.ts";
import type { Outcome, Protocol, Reporter, Unit } from "../series.ts";
import { calleeOfCluster, endpointOfAddress, endpointOfPrincipal, endpointOfResource } from "./log-names.ts";
import { downstreamLeg, upstreamLeg } from "./log-tls.ts";

/** What Envoy writes when a request or connection is over; all other kinds of record are about one that goes on. */
const FINAL: ReadonlySet<string> = new Set(["DownstreamEnd", "TcpConnectionEnd"]);

/** Any of these marks a record as Envoy's: names that applications do not use for their own logs. */
export const ENVOY_MARKERS = ["response_flags", "upstream_cluster", "upstream_host", "downstream_tls_version"] as const;

export function envoyLogFacts({ resource, attributes }: LogInput): LogFacts | undefined {
	const type = attributes.get("log_type");
	if (type !== undefined && type !== "NotSet" && !FINAL.has(type)) return undefined;
	if (!ENVOY_MARKERS.some((key) => attributes.has(key))) return undefined;
	const cluster = attributes.get("upstream_cluster") ?? "";
	const waypoint = cluster.startsWith("inbound-vip|");
	const downstream = downstreamLeg(attributes);
	const upstream = upstreamLeg(attributes);
	const direction = directionOf(resource.get("meshscope.direction") ?? attributes.get("meshscope.direction"), cluster);
	const reporter = waypoint ? "waypoint" : (direction ?? provenSide(downstream, upstream));
	const result = resultOf(attributes, type);
	if (reporter === undefined || result === undefined) return undefined;

	const tls = reporter === "source" ? upstream : downstream;
	const local = endpointOfResource(resource) ?? endpointOfPrincipal(tls.localPrincipal) ?? UNKNOWN;
	const peer = tls.peerPrincipal === "" ? undefined : endpointOfPrincipal(tls.peerPrincipal);
	const ends: { source: Endpoint; target: Endpoint } =
		reporter === "source"
			? {
					source: local,
					target: calleeOfCluster(cluster) ?? peer ?? endpointOfAddress(attributes.get("upstream_host")) ?? UNKNOWN,
				}
			: {
					source: peer ?? endpointOfAddress(attributes.get("downstream_remote")) ?? UNKNOWN,
					target: (waypoint ? calleeOfCluster(cluster) : undefined) ?? local,
				};
	if (ends.source === UNKNOWN && ends.target === UNKNOWN) return undefined;

	const attempts = Number(attributes.get("attempts") ?? 1);
	return {
		emitter: waypoint ? "waypoint" : emitterOf(cluster),
		...ends,
		reporter,
		...result,
		flags: attributes.get("response_flags") ?? "",
		// What an inbound proxy tries again goes to its own application, not over the edge.
		attempts: reporter === "source" && Number.isInteger(attempts) && attempts >= 0 ? attempts : 1,
		tls,
		sourcePrincipal: reporter === "source" ? tls.localPrincipal : tls.peerPrincipal,
		destinationPrincipal: reporter === "source" ? tls.peerPrincipal : tls.localPrincipal,
	};
}

/** The side that a record was made on, as it says itself; Istio's cluster names begin with it. */
function directionOf(said: string | undefined, cluster: string): Reporter | undefined {
	const word = said ?? /^(inbound|outbound)[|_]/.exec(cluster)?.[1];
	if (word === "outbound" || (word === undefined && cluster === "PassthroughCluster")) return "source";
	return word === "inbound" ? "destination" : undefined;
}

/** A verified peer shows an edge whatever the side is called; a gateway, which has both, speaks for what it calls. */
function provenSide(downstream: LegTls, upstream: LegTls): Reporter | undefined {
	if (upstream.status === "mutual_tls") return "source";
	return downstream.status === "mutual_tls" ? "destination" : undefined;
}

function emitterOf(cluster: string): Emitter {
	if (/^(?:inbound|outbound)[|_]|^(?:Inbound)?PassthroughCluster|^BlackHoleCluster$/.test(cluster)) return "istio";
	return cluster.endsWith(".consul") ? "consul" : "envoy";
}

interface Result {
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly outcome: Outcome;
	readonly code: string;
}

/** Flags of connections that came to nothing; TCP has no other word for it. */
const TCP_FAILED: ReadonlySet<string> = new Set(["UF", "UH", "UO", "NR", "NC", "DF", "URX", "UT"]);

/** Undefined where a request's record does not say how it ended. */
function resultOf(attributes: Attributes, type: string | undefined): Result | undefined {
	const grpc = grpcStatus(attributes.get("grpc_status"));
	if (grpc !== undefined) {
		return { protocol: "grpc", unit: "requests", outcome: grpcOutcome(grpc), code: `grpc:${grpc}` };
	}
	if (type === "TcpConnectionEnd" || attributes.get("protocol") === "TCP") {
		const failed =
			attributes
				.get("response_flags")
				?.split(",")
				.some((flag) => TCP_FAILED.has(flag)) === true || attributes.get("downstream_tls_failure") !== undefined;
		return { protocol: "tcp", unit: "connections", outcome: failed ? "no_response" : "ok", code: "" };
	}
	if (!attributes.has("response_code")) return undefined;
	const code = Number(attributes.get("response_code") ?? 0);
	if (!Number.isInteger(code) || code < 100 || code > 999) {
		return { protocol: "http", unit: "requests", outcome: "no_response", code: "" };
	}
	const outcome = code >= 500 ? "server_error" : code >= 400 ? "client_error" : "ok";
	return { protocol: "http", unit: "requests", outcome, code: String(code) };
}

/** By number; `%GRPC_STATUS%` prints names, in camel or snake case. */
const GRPC_NAMES =
	"ok canceled unknown invalidargument deadlineexceeded notfound alreadyexists permissiondenied resourceexhausted " +
	"failedprecondition aborted outofrange unimplemented internal unavailable dataloss unauthenticated";
const GRPC_NUMBERS: ReadonlyMap<string, number> = new Map(GRPC_NAMES.split(" ").map((name, number) => [name, number]));

function grpcStatus(text: string | undefined): number | undefined {
	if (text === undefined) return undefined;
	if (/^\d{1,5}$/.test(text)) return Number(text);
	return GRPC_NUMBERS.get(text.replaceAll("_", "").toLowerCase());
}

/** Unknown, deadline exceeded, unimplemented, internal, unavailable and data loss are the server's; the others the caller's. */
const GRPC_SERVER_ERRORS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);

function grpcOutcome(status: number): Outcome {
	if (status === 0) return "ok";
	return GRPC_SERVER_ERRORS.has(status) ? "server_error" : "client_error";
}
