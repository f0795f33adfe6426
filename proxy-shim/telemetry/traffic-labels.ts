/**
 * Labels of Istio's standard metrics for a hop, and some of our own that say what Istio's cannot: `meshscope_mtls_status`,
 * `meshscope_peer_verified`, `meshscope_counted_by`, who counts this exchange for the graph, and `meshscope_source_address` of a caller
 * that has no name, by which spans and metrics mean the same one (docs/formats/shim-telemetry.md).
 */
import { canonicalAddress, isLoopback, isPublicAddress } from "../../model/topology/sources/address.ts";
import { identityEndpoint } from "../../model/topology/sources/identity.ts";
import { PUBLIC_ADDRESS } from "../../model/topology/sources/keys.ts";
import { isProxyOfThisMachine } from "../tcp/loopback-caller.ts";
import type { HttpHop, TcpHop } from "./hop.ts";
import { isFromProxy } from "./trace-state.ts";

const UNKNOWN = "unknown";
const MAX_CHARACTERS = 256;

/**
 * `metric`: this series. `source`: the caller's proxy, which knows a request and its retries for one. It said so in the trace context;
 * it is believed where its certificate was verified, and on the machine's own loopback, where no address tells callers apart and
 * whoever would lie reaches the app without the proxy; a TCP connection says so by the loopback address it comes from. Others in
 * plaintext count here, so that nobody hides by a header; their address is learnt from spans.
 */
export type CountedBy = "metric" | "source";

export function countedBy(hop: HttpHop | TcpHop): CountedBy {
	if (hop.direction === "outbound") return "metric";
	// Over TLS each end names the other, and the graph knows that they speak of one connection.
	if (hop.kind === "tcp") return hop.tls.status === "plaintext" && isProxyOfThisMachine(hop.peer.address) ? "source" : "metric";
	if (!isFromProxy(hop.trace.traceState, hop.trace.parentSpanId)) return "metric";
	return isBelieved(hop) ? "source" : "metric";
}

function isBelieved({ tls, peer }: HttpHop): boolean {
	if (tls.status === "mutual_tls") return tls.peerVerified;
	return tls.status === "plaintext" && isLoopback(canonicalAddress(peer.address));
}

interface End {
	readonly service: string;
	readonly namespace: string;
	readonly workload: string;
	readonly version: string;
	readonly principal: string;
}

export function trafficLabels(hop: HttpHop | TcpHop, cluster: string, by: CountedBy): [string, string][] {
	const { direction, local, peer, tls } = hop;
	const isSource = direction === "outbound";
	const own = {
		service: local.service || local.workload,
		namespace: local.namespace,
		workload: local.workload,
		version: local.version,
	};
	const other = {
		service: peer.service,
		namespace: peer.service === "" ? "" : peer.namespace,
		workload: peer.service === "" ? "" : peer.workload || peer.service,
		version: isSource ? hop.subset : "",
	};
	const source: End = { ...(isSource ? own : other), principal: tls.clientPrincipal };
	const target: End = { ...(isSource ? other : own), principal: tls.serverPrincipal };
	const host = isSource ? calledHost(hop) : `${own.service}.${own.namespace}.svc.cluster.local`;
	const pairs: [string, string][] = [
		["reporter", isSource ? "source" : "destination"],
		...endLabels("source", source, cluster),
		...endLabels("destination", target, cluster),
		["destination_service", host],
		["destination_service_name", target.service || host],
		["destination_service_namespace", target.namespace],
		["response_flags", hop.responseFlags || "-"],
		["connection_security_policy", securityPolicy(hop)],
		["meshscope_mtls_status", tls.status],
		["meshscope_peer_verified", String(tls.peerVerified)],
		["meshscope_counted_by", by],
	];
	const address = isSource ? "" : namelessAddress(hop);
	if (address !== "") pairs.push(["meshscope_source_address", address]);
	if (hop.kind === "tcp") pairs.push(["request_protocol", "tcp"]);
	else {
		pairs.push(
			["request_protocol", hop.isGrpc ? "grpc" : "http"],
			["response_code", String(hop.status)],
			["grpc_response_status", hop.grpcStatus === undefined ? "" : String(hop.grpcStatus)],
		);
	}
	return pairs.map(([name, value]) => [name, labelValue(name, value)]);
}

/** Of a caller that neither names itself nor is named by a certificate; the public ones are as many as the internet has. */
function namelessAddress({ peer, tls }: HttpHop | TcpHop): string {
	if (peer.service !== "" || peer.address === "") return "";
	if (tls.peerVerified && identityEndpoint(tls.clientPrincipal) !== undefined) return "";
	return isPublicAddress(peer.address) ? PUBLIC_ADDRESS : peer.address;
}

function endLabels(
	end: "source" | "destination",
	{ service, namespace, workload, version, principal }: End,
	cluster: string,
): [string, string][] {
	return [
		[`${end}_workload`, workload],
		[`${end}_workload_namespace`, namespace],
		[`${end}_principal`, principal],
		[`${end}_app`, service],
		[`${end}_version`, version],
		[`${end}_canonical_service`, service],
		[`${end}_canonical_revision`, version],
		[`${end}_cluster`, cluster],
	];
}

/** Only an empty gRPC status says something by being empty. */
function labelValue(name: string, value: string): string {
	if (value === "") return name === "grpc_response_status" ? "" : UNKNOWN;
	return value.length > MAX_CHARACTERS ? value.slice(0, MAX_CHARACTERS) : value;
}

/** Istio's words; one-way TLS is not mutual. */
function securityPolicy({ tls }: HttpHop | TcpHop): string {
	return tls.status === "mutual_tls" ? "mutual_tls" : tls.status === "unknown" ? UNKNOWN : "none";
}

/** `outbound|8080|v1|cart.demo.svc.cluster.local` → its host; elsewhere the host that was asked for. */
function calledHost(hop: HttpHop | TcpHop): string {
	const host = hop.upstreamCluster.split("|")[3];
	if (host !== undefined && host !== "") return host;
	return hop.kind === "http" ? hop.authority.replace(/:\d{1,5}$/, "").toLowerCase() : hop.peer.address;
}
