/**
 * Linkerd's proxy metrics. A series names one end and the direction; the other end is the proxy that was asked, whose workload
 * stands in the resource, or in labels that a scraper put beside the proxy's own.
 *
 * `response_total` is counted and `request_total` is not: it holds the same requests before they had an outcome. The authorisation
 * counters hold them a third time.
 *
 * Connections are counted whatever they carry, and no label says what that is. Those to an address that the same proxy counts requests
 * of are HTTP's: both kinds of series name it alike, and that of the requests is there before the connection is made.
 */
import { EXTERNAL, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Attributes, MetricFacts } from "../facts.ts";
import { hostEndpoint } from "./address.ts";
import { countOf } from "./attributes.ts";
import { identityEndpoint, normalPrincipal } from "./identity.ts";
import type { Protocol } from "../series.ts";
import { type Ending, endingOf, grpcStatusOf } from "./outcome.ts";

type Direction = "inbound" | "outbound";

/** Bytes that a proxy reads from its peer on the network and writes to it, by the direction of the call. */
const MEASURES: ReadonlyMap<string, (direction: Direction) => MetricFacts["measure"]> = new Map<
	string,
	(direction: Direction) => MetricFacts["measure"]
>([
	["response", () => ({ kind: "count" })],
	["response_latency_ms", (direction) => latency(direction)],
	["tcp_open", () => ({ kind: "count" })],
	["tcp_read_bytes", (direction) => ({ kind: direction === "inbound" ? "bytes_sent" : "bytes_received" })],
	["tcp_write_bytes", (direction) => ({ kind: direction === "inbound" ? "bytes_received" : "bytes_sent" })],
]);

function latency(direction: Direction): MetricFacts["measure"] {
	return { kind: "latency", nsPerUnit: 1_000_000, side: direction === "outbound" ? "source" : "destination" };
}

function linkerdName(name: string): string {
	return name.replace(/_total$/, "");
}

export function isLinkerdMetric(name: string): boolean {
	return MEASURES.has(linkerdName(name));
}

/** Series that show what is spoken with an address; of requests the mere being there. */
export function isLinkerdHttp(name: string): boolean {
	return name === "request_total" || name === "request" || linkerdName(name) === "response";
}

export function isLinkerdConnection(name: string): boolean {
	return name.startsWith("tcp_") && isLinkerdMetric(name);
}

/** The address that a proxy spoke with or was asked at, unique among the series of one proxy; undefined where they do not say. */
export function linkerdAddress(attributes: Attributes): string | undefined {
	const address = attributes.get("target_addr");
	return address === undefined ? undefined : `${attributes.get("direction") ?? ""} ${address}`;
}

/** What was spoken, by a series of {@link isLinkerdHttp}; undefined before the first answer. */
export function linkerdProtocol(name: string, attributes: Attributes): Protocol | undefined {
	if (linkerdName(name) !== "response") return undefined;
	return attributes.get("grpc_status") === undefined ? "http" : "grpc";
}

/** What a connection's series states where requests were carried: their bytes, and no connection. Undefined for nothing. */
export function carriedBy(facts: MetricFacts, protocol: Protocol | undefined): MetricFacts | undefined {
	return facts.measure.kind === "count" || protocol === undefined ? undefined : { ...facts, protocol, unit: "requests" };
}

export function linkerdMetricFacts(name: string, attributes: Attributes, resource: Attributes): MetricFacts | undefined {
	const direction = attributes.get("direction");
	const measure = MEASURES.get(linkerdName(name));
	if (measure === undefined || (direction !== "inbound" && direction !== "outbound")) return undefined;
	const isTcp = name.startsWith("tcp_");
	// Of the two connections of a proxied one, the other is between the proxy and its own app.
	if (isTcp && attributes.get("peer") !== (direction === "outbound" ? "dst" : "src")) return undefined;
	const mtls = linkerdMtls(attributes, direction);
	const proxy = proxyEnd(attributes, resource);
	if (mtls === undefined || proxy === undefined) return undefined;
	const status = isTcp ? { outcome: "ok" as const, code: "" } : responseStatus(attributes);
	return {
		emitter: "linkerd",
		source: direction === "outbound" ? proxy : (identityEndpoint(mtls.sourcePrincipal) ?? EXTERNAL),
		target: direction === "outbound" ? destinationEnd(attributes, proxy.namespace) : proxy,
		reporter: direction === "outbound" ? "source" : "destination",
		protocol: isTcp ? "tcp" : attributes.get("grpc_status") === undefined ? "http" : "grpc",
		unit: isTcp ? "connections" : "requests",
		...status,
		flags: "",
		mtls,
		measure: measure(direction),
	};
}

/** Reasons for which a connection was left plain; any other one says nothing we know. */
const PLAIN_REASONS: ReadonlySet<string> = new Set([
	"port_skipped",
	"no_tls_from_remote",
	"not_provided_by_service_discovery",
	"ingress_without_override",
	"disabled",
]);

/** Undefined for connections that do not cross the network. */
function linkerdMtls(attributes: Attributes, direction: Direction): MetricFacts["mtls"] | undefined {
	const none = { sourcePrincipal: "", destinationPrincipal: "", verifiedBy: "" } as const;
	const reason = attributes.get("no_tls_reason");
	if (reason === "loopback") return undefined;
	switch (attributes.get("tls")) {
		case "true": {
			const peer = normalPrincipal(attributes.get(direction === "outbound" ? "server_id" : "client_id"));
			// TLS without an identity of the peer is one-sided.
			if (peer === "") return { status: "tls", ...none };
			return direction === "outbound"
				? { status: "mutual_tls", sourcePrincipal: "", destinationPrincipal: peer, verifiedBy: "client" }
				: { status: "mutual_tls", sourcePrincipal: peer, destinationPrincipal: "", verifiedBy: "server" };
		}
		case "opaque":
			return { status: "tls", ...none };
		case "disabled":
			return { status: "plaintext", ...none };
		case "no_identity":
			return { status: reason !== undefined && PLAIN_REASONS.has(reason) ? "plaintext" : "unknown", ...none };
		default:
			return { status: "unknown", ...none };
	}
}

const WORKLOADS = ["deployment", "statefulset", "daemonset", "replicaset", "job", "cronjob"] as const;

/** Workload and namespace of the proxy that counted; undefined where nobody says. */
function proxyEnd(attributes: Attributes, resource: Attributes): Endpoint | undefined {
	const named = resource.get("service.name");
	const workload =
		first(WORKLOADS, (kind) => resource.get(`k8s.${kind}.name`)) ??
		first(WORKLOADS, (kind) => resource.get(`linkerd.io/proxy-${kind}`)) ??
		first(WORKLOADS, (kind) => attributes.get(kind));
	// All proxies share this name.
	const service = named === undefined || named === "linkerd-proxy" ? workload : named;
	if (service === undefined) return undefined;
	const namespace =
		resource.get("k8s.namespace.name") ??
		resource.get("linkerd.io/workload-ns") ??
		resource.get("service.namespace") ??
		attributes.get("namespace");
	return serviceEndpoint(service, namespace, workload, resource.get("k8s.cluster.name"));
}

/** The workload, which is what the other end's own metrics are named by; the service or authority where it is not known. */
function destinationEnd(attributes: Attributes, callerNamespace: string): Endpoint {
	const workload = first(WORKLOADS, (kind) => attributes.get(`dst_${kind}`));
	const service = workload ?? attributes.get("dst_service");
	if (service !== undefined) return serviceEndpoint(service, attributes.get("dst_namespace"), workload);
	const address = attributes.get("target_addr") ?? attributes.get("target_ip");
	return hostEndpoint(attributes.get("authority") ?? address, callerNamespace) ?? UNKNOWN;
}

/** Linkerd's own judgement is heard where the codes see nothing wrong. */
function responseStatus(attributes: Attributes): Ending {
	const http = countOf(attributes.get("status_code"));
	const ending = endingOf(http, grpcStatusOf(attributes.get("grpc_status")), "", "no_response");
	return ending.outcome === "ok" && attributes.get("classification") === "failure"
		? { ...ending, outcome: "server_error" }
		: ending;
}

function first<T extends string>(kinds: readonly T[], read: (kind: T) => string | undefined): string | undefined {
	for (const kind of kinds) {
		const value = read(kind);
		if (value !== undefined) return value;
	}
	return undefined;
}
