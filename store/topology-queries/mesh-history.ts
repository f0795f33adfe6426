/**
 * The whole mesh step by step: how much there was, how much of it failed, and under which mTLS status. The voices of each edge are
 * weighed as for a graph, but only what is told here is added up, which takes a fifth of the time: histograms are most of a roll-up's
 * bytes, and identities, codes and node names most of the work.
 */
import { noOutcomes } from "../../model/topology/edge-sums.ts";
import { noMtlsCounts } from "../../model/topology/mtls-status.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import {
	addCounted,
	addStatuses,
	countDecision,
	mtlsDecision,
	SOMETHING,
	type Tally,
	voicesOf,
	type WindowSeries,
} from "../../model/topology/voices.ts";
import type { MeshPoint } from "../store.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { StepPlan } from "./plan.ts";
import { withDims } from "./window-sums.ts";

/** Steps in which nothing was seen are left out. */
export function meshPoints(reader: TopologyReader, known: KnownSeries, plan: StepPlan): readonly MeshPoint[] {
	const points: MeshPoint[] = [];
	for (let startMs = plan.fromMs; startMs < plan.toMs; startMs += plan.stepMs) {
		const totals = new Map<number, SeriesTotals>();
		addRollups(totals, reader.deltas(plan.resolutionMs, startMs, startMs + plan.stepMs), undefined, "counts");
		if (totals.size > 0) points.push(pointOf(edgesOf(withDims(totals, known), known.pairs()), startMs));
	}
	return points;
}

/** Series that speak of the same requests. */
function edgesOf(all: readonly WindowSeries[], pairs: ReadonlyMap<number, number>): Iterable<WindowSeries[]> {
	const edges = new Map<number, WindowSeries[]>();
	for (const series of all) {
		if (!(series.totals.count > SOMETHING)) continue;
		const pair = pairs.get(series.id)!;
		const edge = edges.get(pair);
		if (edge === undefined) edges.set(pair, [series]);
		else edge.push(series);
	}
	return edges.values();
}

function pointOf(edges: Iterable<WindowSeries[]>, timeMs: number): MeshPoint {
	const noTally = (): Tally => ({ count: 0, outcomes: noOutcomes(), mtlsCounts: noMtlsCounts() });
	const tallies = { requests: noTally(), connections: noTally() };
	for (const series of edges) {
		const tally = tallies[series[0]!.dims.unit];
		const voices = voicesOf(series);
		const before = tally.count;
		const counting = countDecision(voices);
		if (counting !== undefined) addCounted(counting, tally);
		addStatuses(mtlsDecision(voices, tally.count - before), tally.count - before, tally);
	}
	const { requests, connections } = tallies;
	return {
		timeMs,
		requests: requests.count,
		errors: errorsOf(requests),
		connections: connections.count,
		connectionErrors: errorsOf(connections),
		requestMtls: requests.mtlsCounts,
		connectionMtls: connections.mtlsCounts,
	};
}

function errorsOf({ outcomes }: Tally): number {
	return outcomes.server_error + outcomes.no_response;
}
