/** One edge in depth: its course over time, its latencies with traces that show them, and every evidence behind it. */
import { type Endpoint, type GroupBy, nodeId } from "../../model/topology/endpoint.ts";
import type { EndpointBook } from "../../model/topology/endpoint-book.ts";
import { type GraphEdge, resolveGraph, type WindowSeries } from "../../model/topology/graph.ts";
import { bucketBoundsNs, histogramIndex, type LatencyHistogram, quantilesNs } from "../../model/topology/histogram.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import type { Exemplar } from "../../model/topology/series.ts";
import { SOMETHING, witnessOf } from "../../model/topology/voices.ts";
import type { EdgeEvidence, EdgeLatencyBucket, EdgePoint } from "../store.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { StepPlan } from "./plan.ts";
import { eachStep } from "./steps.ts";
import { withDims } from "./window-sums.ts";

/** Buckets of the histogram that are shown as one: 2^(4/32), 9 % wide. */
const SHOWN_TOGETHER = 4;
const MAX_EXEMPLARS_A_BUCKET = 3;

/** The edge step by step; steps in which nothing was seen are left out. */
export function edgePoints(
	reader: TopologyReader,
	known: KnownSeries,
	edge: { readonly id: string; readonly groupBy: GroupBy; readonly series: ReadonlySet<number> },
	plan: StepPlan,
): readonly EdgePoint[] {
	const points: EdgePoint[] = [];
	const book = known.endpoints();
	eachStep(reader, plan, edge.series, (totals, stepStart) => {
		const { edges } = resolveGraph({
			series: withDims(totals, known),
			groupBy: edge.groupBy,
			book,
			certificates: [],
			seconds: plan.stepMs / 1_000,
		});
		const found = edges.find(({ id }) => id === edge.id);
		if (found !== undefined) points.push(pointOf(found, stepStart));
	});
	return points;
}

function pointOf(edge: GraphEdge, timeMs: number): EdgePoint {
	const { requests, connections, errors, requestRate, errorRatio, bytes, latencyMs, mtls } = edge;
	return { timeMs, requests, connections, errors, requestRate, errorRatio, bytes, latencyMs, mtlsCounts: mtls.counts };
}

/** The side that the edge's latency is told of, coarse enough to draw, with traces for each bar. */
export function latencyBuckets(
	edge: GraphEdge,
	series: readonly WindowSeries[],
	exemplars: readonly Exemplar[],
	histogramOf: (totals: SeriesTotals) => LatencyHistogram,
): readonly EdgeLatencyBucket[] {
	const counts = new Map<number, number>();
	const own = new Set(edge.series);
	for (const { id, dims, totals } of series) {
		if (!own.has(id) || witnessOf(dims.evidence) !== edge.basis.latency) continue;
		histogramOf(totals).forEach((count, index) => {
			const bar = Math.floor(index / SHOWN_TOGETHER);
			counts.set(bar, (counts.get(bar) ?? 0) + count);
		});
	}
	const byBar = new Map<number, Exemplar[]>();
	for (const exemplar of exemplars) {
		const bar = Math.floor(histogramIndex(exemplar.durationNs) / SHOWN_TOGETHER);
		const traces = byBar.get(bar);
		if (traces === undefined) byBar.set(bar, [exemplar]);
		else if (traces.length < MAX_EXEMPLARS_A_BUCKET) traces.push(exemplar);
	}
	return [...new Set([...counts.keys(), ...byBar.keys()])]
		.sort((a, b) => a - b)
		.map((bar) => ({
			fromMs: bucketBoundsNs(bar * SHOWN_TOGETHER)[0] / 1e6,
			toMs: bucketBoundsNs(bar * SHOWN_TOGETHER + SHOWN_TOGETHER - 1)[1] / 1e6,
			count: Math.max(0, counts.get(bar) ?? 0),
			exemplars: (byBar.get(bar) ?? []).map(exemplarAnswer),
		}))
		.filter(({ count, exemplars }) => count > SOMETHING || exemplars.length > 0);
}

export function exemplarAnswer({ traceId, timeMs, durationNs, isError }: Exemplar): EdgeLatencyBucket["exemplars"][number] {
	return { traceId, timeMs, durationMs: durationNs / 1e6, isError };
}

/** A row a series, so that every figure of the edge can be told where it comes from. */
export function evidenceRows(edge: GraphEdge, series: readonly WindowSeries[], book: EndpointBook): readonly EdgeEvidence[] {
	const own = new Set(edge.series);
	return series
		.filter(({ id }) => own.has(id))
		.map(({ id, dims, totals }) => ({
			series: id,
			evidence: dims.evidence,
			reporter: dims.reporter,
			sampled: dims.sampled,
			source: nameOf(dims.source, book),
			target: nameOf(dims.target, book),
			mtls: dims.mtls,
			outcome: dims.outcome,
			destinationOutcome: dims.destinationOutcome,
			observed: totals.observed,
			count: totals.count,
			attempts: totals.attempts,
			failedHandshakes: totals.failedHandshakes,
			bytes: { sent: totals.bytesSent, received: totals.bytesReceived },
			codes: Object.fromEntries(totals.codes),
			flags: Object.fromEntries(totals.flags),
			sourceP95Ms: p95Ms(totals.sourceLatency),
			destinationP95Ms: p95Ms(totals.destinationLatency),
			firstSeenMs: totals.firstMs <= totals.lastMs ? totals.firstMs : undefined,
			lastSeenMs: totals.firstMs <= totals.lastMs ? totals.lastMs : undefined,
		}))
		.sort((a, b) => b.count - a.count || a.series - b.series);
}

/** As the source named it, and whom that was taken for. */
function nameOf(endpoint: Endpoint, book: EndpointBook): { readonly told: string; readonly taken: string } {
	return { told: nodeId(endpoint, "workload"), taken: nodeId(book.resolve(endpoint), "workload") };
}

function p95Ms(histogram: LatencyHistogram): number | undefined {
	const [value] = quantilesNs(histogram, [0.95]) ?? [];
	return value === undefined ? undefined : value / 1e6;
}
