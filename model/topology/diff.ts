/**
 * What changed between two windows, most important first: edges that came, went, or carry another rate, share of errors, latency or
 * mTLS status.
 *
 * Ranked by traffic times effect, where an effect is the share of the requests that it touches. Counts of requests scatter by
 * themselves: a change within three standard errors of none is none. A certain observation is no statistic: one request in
 * plaintext on an edge that had mTLS throughout is told, however few it is.
 */
import type { Graph, GraphEdge } from "./graph.ts";
import type { MtlsStatus, Protocol, Unit } from "./series.ts";

export interface GraphWindow {
	readonly graph: Graph;
	readonly seconds: number;
}

export interface EdgeNumbers {
	/** Requests or connections. */
	readonly count: number;
	readonly ratePerSecond: number;
	readonly errors: number;
	readonly errorRatio: number;
	readonly p95Ms: number | undefined;
	readonly mtlsStatus: MtlsStatus;
	readonly mtlsPercent: number | undefined;
}

export type EffectName = "rate" | "errors" | "p95" | "mtls";

export interface EdgeChange {
	readonly kind: "added" | "gone" | "changed";
	readonly id: string;
	readonly source: string;
	readonly target: string;
	readonly protocol: Protocol;
	readonly unit: Unit;
	/** What changed, the greatest effect first: the share of the traffic that it touches, weighted. Empty for added and gone ones. */
	readonly effects: readonly { readonly what: EffectName; readonly effect: number }[];
	/** False for an edge so quiet that the other window may have missed it by chance. */
	readonly certain: boolean;
	/** Traffic times effect. */
	readonly score: number;
	readonly before: EdgeNumbers | undefined;
	readonly after: EdgeNumbers | undefined;
}

/** Standard errors beyond which a difference is taken for one. */
const SIGNIFICANT = 3;
const MIN_RATE_CHANGE = 0.2;
const MIN_SHARE_CHANGE = 0.002;
const MIN_P95_CHANGE = Math.log(1.1);
/** The histogram's own error, in both windows. */
const HISTOGRAM_ERROR = 2 * 0.011;
/** With fewer requests a 95th percentile is the word of fewer than five of them. */
const MIN_LATENCIES = 100;
/** Expected requests from which on their absence is no chance (e^-5 is 0.7 %). */
const EXPECTED = 5;
/** A failed or unprotected request weighs as much as so many that are merely more. */
const WEIGHTS: Readonly<Record<EffectName, number>> = { rate: 1, errors: 5, p95: 0.5, mtls: 5 };

export function diffGraphs(baseline: GraphWindow, current: GraphWindow): readonly EdgeChange[] {
	const before = new Map(baseline.graph.edges.map((edge) => [edge.id, edge]));
	const changes: EdgeChange[] = [];
	for (const edge of current.graph.edges) {
		const old = before.get(edge.id);
		before.delete(edge.id);
		const change =
			old === undefined || countOf(old) === 0
				? oneSided("added", edge, current.seconds, baseline.seconds)
				: countOf(edge) === 0
					? oneSided("gone", old, baseline.seconds, current.seconds)
					: compare(old, edge, baseline.seconds, current.seconds);
		if (change !== undefined) changes.push(change);
	}
	for (const old of before.values()) {
		const change = oneSided("gone", old, baseline.seconds, current.seconds);
		if (change !== undefined) changes.push(change);
	}
	return changes.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
}

function countOf(edge: GraphEdge): number {
	return edge.requests + edge.connections;
}

function oneSided(kind: "added" | "gone", edge: GraphEdge, seconds: number, otherSeconds: number): EdgeChange | undefined {
	if (countOf(edge) === 0) return undefined;
	const numbers = numbersOf(edge, seconds);
	return {
		kind,
		...nameOf(edge),
		effects: [],
		certain: (edge.observed * otherSeconds) / seconds >= EXPECTED,
		score: numbers.ratePerSecond,
		before: kind === "gone" ? numbers : undefined,
		after: kind === "added" ? numbers : undefined,
	};
}

function compare(old: GraphEdge, edge: GraphEdge, oldSeconds: number, seconds: number): EdgeChange | undefined {
	const before = numbersOf(old, oldSeconds);
	const after = numbersOf(edge, seconds);
	const effects = (
		[
			["rate", rateEffect(before, after, old.observed, edge.observed)],
			["errors", shareEffect(before.errorRatio, after.errorRatio, old.observed, edge.observed)],
			["p95", latencyEffect(old, edge)],
			["mtls", mtlsEffect(old, edge)],
		] as const
	)
		.filter(([, effect]) => effect > 0)
		.map(([what, effect]) => ({ what, effect: effect * WEIGHTS[what] }))
		.sort((a, b) => b.effect - a.effect);
	if (effects.length === 0) return undefined;
	const traffic = Math.max(before.ratePerSecond, after.ratePerSecond);
	const score = traffic * effects.reduce((sum, { effect }) => sum + effect, 0);
	return { kind: "changed", ...nameOf(edge), effects, certain: true, score, before, after };
}

function nameOf({
	id,
	source,
	target,
	protocol,
	unit,
}: GraphEdge): Pick<EdgeChange, "id" | "source" | "target" | "protocol" | "unit"> {
	return { id, source, target, protocol, unit };
}

function numbersOf(edge: GraphEdge, seconds: number): EdgeNumbers {
	const count = countOf(edge);
	return {
		count,
		ratePerSecond: count / seconds,
		errors: edge.errors,
		errorRatio: edge.errorRatio,
		p95Ms: edge.latencyMs?.p95,
		mtlsStatus: edge.mtls.status,
		mtlsPercent: edge.mtls.percent,
	};
}

/** Share of the greater rate that came or went. Counts scatter as Poisson's: a rate of n observations by 1/sqrt(n) of itself. */
function rateEffect(before: EdgeNumbers, after: EdgeNumbers, observedBefore: number, observedAfter: number): number {
	const difference = Math.abs(after.ratePerSecond - before.ratePerSecond);
	const error = Math.hypot(before.ratePerSecond / Math.sqrt(observedBefore), after.ratePerSecond / Math.sqrt(observedAfter));
	const share = difference / Math.max(before.ratePerSecond, after.ratePerSecond);
	return difference > SIGNIFICANT * error && share >= MIN_RATE_CHANGE ? share : 0;
}

/** The difference of two shares where it is no chance: the test of two proportions, pooled. */
function shareEffect(before: number, after: number, observedBefore: number, observedAfter: number): number {
	const difference = Math.abs(after - before);
	const pooled = (before * observedBefore + after * observedAfter) / Math.max(1, observedBefore + observedAfter);
	const error = Math.sqrt(pooled * (1 - pooled) * (1 / Math.max(1, observedBefore) + 1 / Math.max(1, observedAfter)));
	return difference > SIGNIFICANT * error && difference >= MIN_SHARE_CHANGE ? difference : 0;
}

/** Doublings or halvings of the 95th percentile, at most two. */
function latencyEffect(old: GraphEdge, edge: GraphEdge): number {
	const before = old.latencyMs;
	const after = edge.latencyMs;
	if (before === undefined || after === undefined || old.latencySide !== edge.latencySide) return 0;
	const enough = Math.min(before.count, after.count, old.observed, edge.observed) >= MIN_LATENCIES;
	if (!enough || before.p95 <= 0 || after.p95 <= 0) return 0;
	const change = Math.abs(Math.log(after.p95 / before.p95));
	const error = Math.hypot(logError(before, old.observed), logError(after, edge.observed));
	return change >= Math.max(MIN_P95_CHANGE, SIGNIFICANT * error + HISTOGRAM_ERROR) ? Math.min(2, change / Math.LN2) : 0;
}

/**
 * Standard error of ln(p95) of n values: sqrt(0.95 * 0.05 / n) over the density there, which the distance from p90 to p99 tells: 0.09 of
 * all values lie in it.
 */
function logError({ p90, p99, count }: NonNullable<GraphEdge["latencyMs"]>, observed: number): number {
	return (Math.sqrt((0.95 * 0.05) / Math.min(count, observed)) * Math.log(Math.max(1, p99 / p90))) / 0.09;
}

/** Share of the requests that gained or lost mutual TLS; a change of status counts as a hundredth at least. */
function mtlsEffect(old: GraphEdge, edge: GraphEdge): number {
	const before = old.mtls;
	const after = edge.mtls;
	// Whether it is known is a change of the evidence, not of the traffic.
	if (before.percent === undefined || after.percent === undefined) return 0;
	if (before.status !== after.status) return Math.max(0.01, Math.abs(after.percent - before.percent) / 100);
	return shareEffect(before.percent / 100, after.percent / 100, old.observed, edge.observed);
}
