/** How a metric's observation of an edge enters the series that graphs are made of. */
import type { MetricFacts } from "./facts.ts";
import type { SeriesTotals } from "./rollup.ts";
import type { SeriesDims } from "./series.ts";

/** What one point adds to one edge. */
export interface MetricObservation {
	readonly facts: MetricFacts;
	/** Of the point: a gap between two points is not spread over the time between. */
	readonly timeMs: number;
	/** Requests, connections, handshakes or bytes, as the facts' measure says; for latencies how many were observed. */
	readonly amount: number;
	/** Latencies only: buckets of histogram.ts, whose total may differ from `amount` where a sender fills them by approximation. */
	readonly latency: { readonly buckets: ReadonlyMap<number, number>; readonly sumNs: number } | undefined;
}

/** The series that observations with these facts belong to. */
export function metricDims(facts: MetricFacts): SeriesDims {
	const { source, target, protocol, unit, reporter, outcome, mtls } = facts;
	return {
		source,
		target,
		protocol,
		unit,
		evidence: "metric",
		reporter,
		sampled: false,
		mtls: {
			status: mtls.status,
			source: reporter === "source" ? mtls.status : "unknown",
			destination: reporter === "source" ? "unknown" : mtls.status,
			sourcePrincipal: mtls.sourcePrincipal,
			destinationPrincipal: mtls.destinationPrincipal,
			tlsVersion: "",
			cipher: "",
			verifiedBy: mtls.verifiedBy,
		},
		outcome,
		destinationOutcome: undefined,
	};
}

export function addMetricObservation(sums: SeriesTotals, observation: MetricObservation): void {
	const { facts, amount, latency, timeMs } = observation;
	switch (facts.measure.kind) {
		case "count":
			sums.observed += amount;
			sums.count += amount;
			sums.attempts += amount;
			addTo(sums.codes, facts.code, amount);
			for (const flag of facts.flags.split(",")) addTo(sums.flags, flag, amount);
			break;
		case "failed_handshakes":
			sums.failedHandshakes += amount;
			break;
		case "bytes_sent":
			sums.bytesSent += amount;
			break;
		case "bytes_received":
			sums.bytesReceived += amount;
			break;
		case "latency": {
			if (latency === undefined) break;
			const isSource = facts.measure.side === "source";
			(isSource ? sums.sourceLatency : sums.destinationLatency).add(latency.buckets);
			if (isSource) sums.sourceLatencyNs += latency.sumNs;
			else sums.destinationLatencyNs += latency.sumNs;
			break;
		}
	}
	sums.firstMs = Math.min(sums.firstMs, timeMs);
	sums.lastMs = Math.max(sums.lastMs, timeMs);
}

function addTo(counts: Map<string, number>, name: string, amount: number): void {
	if (name !== "") counts.set(name, (counts.get(name) ?? 0) + amount);
}
