/**
 * Istio's standard metrics as facts about edges: every series names both ends, and the reporter says which end counted.
 *
 * The labels of ztunnel are the same, and so is the way to read its ends; what it may say of mTLS is in ztunnel-metrics.ts.
 */
import { EXTERNAL, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Attributes, MetricFacts } from "../facts.ts";
import type { Protocol, Reporter } from "../series.ts";
import { hostEndpoint } from "./address.ts";
import { countOf } from "./attributes.ts";
import { identityEndpoint, normalPrincipal } from "./identity.ts";
import { clusterId } from "./istio.ts";
import { type Ending, endingOf, grpcStatusOf, isUnreached } from "./outcome.ts";

type Measure = MetricFacts["measure"]["kind"];

/**
 * By name without prefix and `_total`. Bytes "sent" are those of the response and "received" those of the request, whoever reports:
 * Istio flips the source's counters, which its access logs do not. Messages of streams and closed connections measure nothing we count.
 */
const MEASURES: ReadonlyMap<string, Measure> = new Map([
	["istio_requests", "count"],
	["istio_request_duration_milliseconds", "latency"],
	// What is left of the name where a collector moves the unit out of it.
	["istio_request_duration", "latency"],
	["istio_request_bytes", "bytes_sent"],
	["istio_response_bytes", "bytes_received"],
	["istio_tcp_connections_opened", "count"],
	["istio_tcp_received_bytes", "bytes_sent"],
	["istio_tcp_sent_bytes", "bytes_received"],
]);

const FAILED_CONNECTIONS = "istio_tcp_connections_failed";

/** What the series of this name measure; undefined when it is none of Istio's that we count. */
export function istioMeasure(name: string): Measure | "failed_connections" | undefined {
	const istio = istioName(name);
	return istio === FAILED_CONNECTIONS ? "failed_connections" : istio === undefined ? undefined : MEASURES.get(istio);
}

/** `istiocustom.istio_requests_total`, `istio.requests.total` and `istio_requests` are all `istio_requests`. */
function istioName(name: string): string | undefined {
	const bare = name.startsWith("istiocustom") ? name.slice(12) : name;
	if (!bare.startsWith("istio")) return undefined;
	return bare.replaceAll(".", "_").replace(/_total$/, "");
}

/** Labels by their Prometheus name, or with dots as OTLP senders write them. */
export type Label = (name: string) => string | undefined;

export function istioLabels(attributes: Attributes): Label {
	return (name) => attributes.get(name) ?? attributes.get(name.replaceAll("_", "."));
}

export function istioReporter(label: Label): Reporter | undefined {
	const reporter = label("reporter");
	return reporter === "source" || reporter === "destination" || reporter === "waypoint" ? reporter : undefined;
}

export function istioMetricFacts(name: string, attributes: Attributes): MetricFacts | undefined {
	const measure = istioMeasure(name);
	const label = istioLabels(attributes);
	const reporter = istioReporter(label);
	if (measure === undefined || measure === "failed_connections" || reporter === undefined) return undefined;
	const ends = istioEnds(label, reporter);
	if (ends === undefined) return undefined;
	const isTcp = istioName(name)!.startsWith("istio_tcp_");
	const protocol = protocolOf(label, isTcp);
	const flags = label("response_flags") ?? "";
	const { outcome, code } = isTcp ? tcpEnding(flags) : requestEnding(label, flags);
	return {
		emitter: reporter === "waypoint" ? "waypoint" : "istio",
		...ends,
		reporter,
		protocol,
		unit: isTcp ? "connections" : "requests",
		outcome,
		code,
		flags,
		mtls: istioMtls(label, reporter),
		measure:
			measure === "latency"
				? { kind: measure, nsPerUnit: 1_000_000, side: reporter === "source" ? "source" : "destination" }
				: { kind: measure },
	};
}

/**
 * The destination says what it negotiated. A waypoint says it of the leg from the client to itself, and takes the destination's
 * principal from the registry. The source never says: that it knows both principals shows that they were exchanged.
 */
function istioMtls(label: Label, reporter: Reporter): MetricFacts["mtls"] {
	const sourcePrincipal = normalPrincipal(label("source_principal"));
	const known = normalPrincipal(label("destination_principal"));
	const destinationPrincipal = reporter === "waypoint" ? "" : known;
	const policy = label("connection_security_policy");
	if (reporter === "source") {
		const both = sourcePrincipal !== "" && destinationPrincipal !== "";
		return {
			status: both ? "mutual_tls" : "unknown",
			sourcePrincipal,
			// Alone it is metadata of the endpoint, not what the endpoint showed.
			destinationPrincipal: both ? destinationPrincipal : "",
			verifiedBy: both ? "metric" : "",
		};
	}
	if (policy === "mutual_tls") {
		const verifiedBy = reporter === "waypoint" ? "metric" : "server";
		return { status: "mutual_tls", sourcePrincipal, destinationPrincipal, verifiedBy };
	}
	return { status: policy === "none" ? "none" : "unknown", sourcePrincipal, destinationPrincipal, verifiedBy: "" };
}

/** Undefined when the labels name neither end. */
export function istioEnds(label: Label, reporter: Reporter): Pick<MetricFacts, "source" | "target"> | undefined {
	const source =
		workloadEnd(label, "source") ??
		identityEndpoint(normalPrincipal(label("source_principal"))) ??
		(reporter === "source" ? UNKNOWN : EXTERNAL);
	const target = workloadEnd(label, "destination") ?? serviceEnd(label, reporter, source.namespace);
	return target === UNKNOWN && (source === UNKNOWN || source === EXTERNAL) ? undefined : { source, target };
}

const GATEWAY = /^istio-(?:ingress|egress)gateway/;

function workloadEnd(label: Label, end: "source" | "destination"): Endpoint | undefined {
	const workload = label(`${end}_workload`);
	const service = label(`${end}_canonical_service`) ?? label(`${end}_app`) ?? workload;
	if (service === undefined) return undefined;
	const namespace =
		label(`${end}_workload_namespace`) ?? (end === "destination" ? label("destination_service_namespace") : undefined);
	const endpoint = serviceEndpoint(service, namespace, workload, clusterId(label(`${end}_cluster`)));
	return GATEWAY.test(workload ?? service) ? { ...endpoint, kind: "gateway" } : endpoint;
}

const NO_SERVICE: ReadonlySet<string> = new Set(["PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster"]);

/**
 * A service that no workload is known for. Without a namespace its name is the Host header: of our own workload's making at the
 * source, and anybody's at the other reporters, where it names nothing.
 */
function serviceEnd(label: Label, reporter: Reporter, callerNamespace: string): Endpoint {
	const service = label("destination_service_name") ?? label("destination_service");
	if (service === undefined || NO_SERVICE.has(service)) return UNKNOWN;
	const namespace = label("destination_service_namespace");
	if (namespace !== undefined) {
		// A ServiceEntry has its host for a name.
		if (service.includes(".")) return hostEndpoint(service, "") ?? UNKNOWN;
		return serviceEndpoint(service, namespace, "", clusterId(label("destination_cluster")));
	}
	if (reporter !== "source") return UNKNOWN;
	return hostEndpoint(label("destination_service") ?? service, callerNamespace) ?? UNKNOWN;
}

export function protocolOf(label: Label, isTcp: boolean): Protocol {
	if (isTcp) return "tcp";
	return label("request_protocol") === "grpc" ? "grpc" : "http";
}

export function requestEnding(label: Label, flags: string): Ending {
	return endingOf(countOf(label("response_code")), grpcStatusOf(label("grpc_response_status")), flags, "no_response");
}

export function tcpEnding(flags: string): Ending {
	return { outcome: isUnreached(flags) ? "no_response" : "ok", code: "" };
}
