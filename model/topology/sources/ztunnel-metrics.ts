/**
 * ztunnel's metrics: Istio's TCP set with other things to say of mTLS, and connections that failed.
 *
 * ztunnel never proves plaintext: its policy is `mutual_tls`, which at the source is what it set out to do, or `unknown`.
 */
import type { Attributes, MetricFacts } from "../facts.ts";
import type { Outcome, Reporter } from "../series.ts";
import { istioEnds, istioLabels, istioMeasure, istioMetricFacts, istioReporter } from "./istio-metrics.ts";
import type { Label } from "./istio-metrics.ts";
import { normalPrincipal } from "./identity.ts";

/** Handshakes that came to nothing; the other flags are of connections. */
const HANDSHAKE_FLAGS: ReadonlySet<string> = new Set(["TLS_FAILURE", "CERT_REVOKED"]);

/** Undefined when the series is not ztunnel's. */
export function ztunnelMetricFacts(name: string, attributes: Attributes, resource: Attributes): MetricFacts | undefined {
	const measure = istioMeasure(name);
	const label = istioLabels(attributes);
	const reporter = istioReporter(label);
	if (measure === undefined || reporter === undefined) return undefined;
	const mtls = ztunnelMtls(label, reporter);
	if (measure !== "failed_connections") {
		const facts = isZtunnel(label, reporter, resource) ? istioMetricFacts(name, attributes) : undefined;
		return facts?.protocol === "tcp" ? { ...facts, emitter: "ztunnel", mtls } : undefined;
	}
	const ends = istioEnds(label, reporter);
	if (ends === undefined) return undefined;
	const flags = label("response_flags") ?? "";
	return {
		emitter: "ztunnel",
		...ends,
		reporter,
		protocol: "tcp",
		unit: "connections",
		outcome: outcomeOf(flags),
		code: "",
		flags,
		mtls,
		measure: { kind: HANDSHAKE_FLAGS.has(flags) ? "failed_handshakes" : "count" },
	};
}

/** By the target's name, or by a policy that no sidecar states at the source. */
function isZtunnel(label: Label, reporter: Reporter, resource: Attributes): boolean {
	if (reporter === "source" && label("connection_security_policy") === "mutual_tls") return true;
	return ["service.name", "k8s.daemonset.name", "k8s.container.name", "app"].some((key) => resource.get(key) === "ztunnel");
}

function ztunnelMtls(label: Label, reporter: Reporter): MetricFacts["mtls"] {
	const isMutual = label("connection_security_policy") === "mutual_tls";
	return {
		status: isMutual ? "mutual_tls" : "unknown",
		// Without a tunnel the names are those of the registry.
		sourcePrincipal: isMutual ? normalPrincipal(label("source_principal")) : "",
		destinationPrincipal: isMutual ? normalPrincipal(label("destination_principal")) : "",
		verifiedBy: !isMutual ? "" : reporter === "destination" ? "server" : "metric",
	};
}

/** Refused by the destination's rules; a NetworkPolicy is only guessed from a connection that timed out. */
function outcomeOf(flags: string): Outcome {
	return flags === "DENY" ? "client_error" : "no_response";
}
