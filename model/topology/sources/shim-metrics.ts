/**
 * Our own proxy's metrics: Istio's, with labels that say more than Istio knows. A source states what TLS it saw, and of a hop between
 * two of our proxies one counts, so that a request is one however often it was tried (docs/formats/shim-telemetry.md).
 */
import { EXTERNAL, type Endpoint, UNKNOWN } from "../endpoint.ts";
import type { Attributes, MetricFacts } from "../facts.ts";
import type { MtlsStatus } from "../series.ts";
import { hostEndpoint } from "./address.ts";
import { PUBLIC_ADDRESS } from "./keys.ts";
import { identityEndpoint, normalPrincipal } from "./identity.ts";
import { istioLabels, istioMeasure, istioReporter, type Label, protocolOf, requestEnding, tcpEnding } from "./istio-metrics.ts";
import { shimPeer } from "./shim.ts";

const HANDSHAKES = "meshscope_tls_handshake_failures";

/** Of metrics that are not Istio's. */
export function shimMeasure(name: string): "failed_handshakes" | undefined {
	return name.replaceAll(".", "_").replace(/_total$/, "") === HANDSHAKES ? "failed_handshakes" : undefined;
}

export function isShimSeries(attributes: Attributes): boolean {
	return istioLabels(attributes)("meshscope_counted_by") !== undefined;
}

/** Undefined for what somebody else counts. */
export function shimMetricFacts(name: string, attributes: Attributes): MetricFacts | undefined {
	const label = istioLabels(attributes);
	const measure = shimMeasure(name) ?? istioMeasure(name);
	const reporter = istioReporter(label);
	if (measure === undefined || measure === "failed_connections") return undefined;
	if ((reporter !== "source" && reporter !== "destination") || label("meshscope_counted_by") !== "metric") return undefined;
	const source = endOf(label, "source", "") ?? (reporter === "source" ? UNKNOWN : namelessCaller(label));
	const target =
		endOf(label, "destination", source.namespace) ?? hostEndpoint(label("destination_service"), source.namespace) ?? UNKNOWN;
	const isTcp = label("request_protocol") === "tcp";
	const flags = label("response_flags") ?? "";
	const { outcome, code } = isTcp ? tcpEnding(flags) : requestEnding(label, flags);
	return {
		emitter: "shim",
		source,
		target,
		reporter,
		protocol: protocolOf(label, isTcp),
		unit: isTcp ? "connections" : "requests",
		outcome,
		code,
		flags,
		mtls: mtlsOf(label, reporter),
		measure: measure === "latency" ? { kind: measure, nsPerUnit: 1_000_000, side: reporter } : { kind: measure },
	};
}

function endOf(label: Label, end: "source" | "destination", namespace: string): Endpoint | undefined {
	const service = label(`${end}_canonical_service`);
	if (service === undefined) {
		return label("meshscope_peer_verified") === "true"
			? identityEndpoint(normalPrincipal(label(`${end}_principal`)))
			: undefined;
	}
	const cluster = label(`${end}_cluster`) ?? "";
	return shimPeer(service, label(`${end}_workload_namespace`) ?? namespace, label(`${end}_workload`) ?? "", cluster);
}

/** As a span of the same call has it; whose the address is may be learnt. */
function namelessCaller(label: Label): Endpoint {
	const address = label("meshscope_source_address");
	return address === undefined || address === PUBLIC_ADDRESS ? EXTERNAL : (hostEndpoint(address, "") ?? EXTERNAL);
}

const STATUSES: ReadonlyMap<string, MtlsStatus> = new Map([
	["mutual_tls", "mutual_tls"],
	["tls", "tls"],
	["plaintext", "plaintext"],
]);

function mtlsOf(label: Label, reporter: "source" | "destination"): MetricFacts["mtls"] {
	const status = STATUSES.get(label("meshscope_mtls_status") ?? "") ?? "unknown";
	const isVouched = status !== "unknown" && (status !== "mutual_tls" || label("meshscope_peer_verified") === "true");
	return {
		status,
		sourcePrincipal: normalPrincipal(label("source_principal")),
		destinationPrincipal: normalPrincipal(label("destination_principal")),
		verifiedBy: !isVouched ? "" : reporter === "source" ? "client" : "server",
	};
}
