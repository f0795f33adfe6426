/**
 * The whole mesh step by step: how much there was, how much of it failed, and under which mTLS status. The voices of each edge are
 * weighed as for a graph, but only what is told here is added up, which takes a fifth of the time: histograms are most of a roll-up's
 * bytes, and identities, codes and node names most of the work.
 */
import { noOutcomes } from "../../model/topology/edge-sums.ts";
import { noMtlsCounts } from "../../model/topology/mtls-status.ts";
import { addTotals, emptyTotals, type SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import {
	addCounted,
	addStatuses,
	countDecision,
	mtlsDecision,
	neverArrivedBeside,
	SOMETHING,
	type Tally,
	type Voice,
	voicesOf,
	type WindowSeries,
} from "../../model/topology/voices.ts";
import type { MeshPoint } from "../store.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { StepPlan } from "./plan.ts";
import { withDims } from "./window-sums.ts";

/**
 * Steps in which nothing was seen are left out. Whom to believe of an edge is decided once for all steps, by the sums over them: were it
 * decided step by step, requests that spans tell in one step and metrics in the next would count twice.
 */
export function meshPoints(reader: TopologyReader, known: KnownSeries, plan: StepPlan): readonly MeshPoint[] {
	const steps: { readonly startMs: number; readonly totals: Map<number, SeriesTotals> }[] = [];
	const whole = new Map<number, SeriesTotals>();
	for (let startMs = plan.fromMs; startMs < plan.toMs; startMs += plan.stepMs) {
		const totals = new Map<number, SeriesTotals>();
		addRollups(totals, reader.deltas(plan.resolutionMs, startMs, startMs + plan.stepMs), undefined, "counts");
		if (totals.size === 0) continue;
		steps.push({ startMs, totals });
		for (const [id, ofStep] of totals) {
			let sum = whole.get(id);
			if (sum === undefined) whole.set(id, (sum = emptyTotals()));
			addTotals(sum, ofStep);
		}
	}
	const pairs = known.pairs();
	const beliefs = new Map<number, Belief>();
	for (const [pair, series] of edgesOf(withDims(whole, known), pairs)) beliefs.set(pair, beliefOf(voicesOf(series)));
	return steps.map(({ startMs, totals }) => pointOf(edgesOf(withDims(totals, known), pairs), beliefs, startMs));
}

/** Whose word counts of an edge, and whose of its mTLS; undefined where nobody's does. */
interface Belief {
	readonly counting: VoiceName | undefined;
	readonly mtls: VoiceName | undefined;
}

type VoiceName = Pick<Voice, "witness" | "reporter">;

function beliefOf(voices: readonly Voice[]): Belief {
	const counting = countDecision(voices);
	const tally = noTally();
	if (counting !== undefined) addCounted(counting, tally);
	return { counting: counting?.voice, mtls: mtlsDecision(voices, tally.count)?.voice };
}

function voiceOf(voices: readonly Voice[], name: VoiceName | undefined): Voice | undefined {
	return name && voices.find(({ witness, reporter }) => witness === name.witness && reporter === name.reporter);
}

/** Series that speak of the same requests. */
function edgesOf(all: readonly WindowSeries[], pairs: ReadonlyMap<number, number>): ReadonlyMap<number, WindowSeries[]> {
	const edges = new Map<number, WindowSeries[]>();
	for (const series of all) {
		if (!(series.totals.count > SOMETHING)) continue;
		const pair = pairs.get(series.id)!;
		const edge = edges.get(pair);
		if (edge === undefined) edges.set(pair, [series]);
		else edge.push(series);
	}
	return edges;
}

const noTally = (): Tally => ({ count: 0, outcomes: noOutcomes(), mtlsCounts: noMtlsCounts() });

function pointOf(edges: ReadonlyMap<number, WindowSeries[]>, beliefs: ReadonlyMap<number, Belief>, timeMs: number): MeshPoint {
	const tallies = { requests: noTally(), connections: noTally() };
	for (const [pair, series] of edges) {
		const tally = tallies[series[0]!.dims.unit];
		const voices = voicesOf(series);
		const belief = beliefs.get(pair);
		const before = tally.count;
		const voice = voiceOf(voices, belief?.counting);
		if (voice !== undefined) addCounted({ voice, neverArrived: neverArrivedBeside(voice, voices) }, tally);
		const knowing = voiceOf(voices, belief?.mtls);
		addStatuses(knowing && { voice: knowing, peers: [] }, tally.count - before, tally);
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
