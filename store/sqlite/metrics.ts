/**
 * Metric queries over every window: a series that several windows hold is one in the answer.
 */
import type {
	MetricPoint,
	MetricPointQuery,
	MetricPointResult,
	MetricSeries,
	MetricSeriesQuery,
	MetricSeriesResult,
} from "../store.ts";
import { MAX_POINT_BYTES, pointsOf } from "./metric-points.ts";
import { querySeries, SeriesBudget, type WindowSeries } from "./metric-series.ts";
import type { TimeRange } from "./metric-time.ts";
import type { WindowSet } from "./window-set.ts";

interface MergedSeries {
	readonly identity: string;
	readonly series: MetricSeries;
	readonly lastTimeNs: bigint;
}

/** By name, then identity: the first `limit` of the matching ones. @param check throws to end the query, between windows */
export function metricSeries(windows: WindowSet, query: MetricSeriesQuery, check: () => void = alwaysGoOn): MetricSeriesResult {
	const { series: merged, damaged } = mergedSeries(windows, query, undefined, check);
	const series = merged.map((each) => ({ ...each.series, lastTimeUnixNano: each.lastTimeNs.toString() }));
	return { series, damagedWindows: damaged };
}

/**
 * Points by series, each in order of time. Where `maxPoints` leaves some out, the windows that arrived last and, in each, the
 * newest points of a series are kept.
 */
export function metricPoints(windows: WindowSet, query: MetricPointQuery, check: () => void = alwaysGoOn): MetricPointResult {
	const { series: wanted, damaged } = mergedSeries(windows, query, query, check);
	const found = new Map(wanted.map((each) => [each.identity, { merged: each, chunks: [] as (readonly MetricPoint[])[] }]));
	let left = query.maxPoints;
	let bytesLeft = MAX_POINT_BYTES;
	let truncated = false;
	const damagedLater = windows.visit(windows.list(), (window) => {
		check();
		const own = querySeries(window.database, query, query, new SeriesBudget()).filter(({ identity }) => found.has(identity));
		const answer = pointsOf(window.database, own, query, left, bytesLeft);
		left -= answer.points;
		bytesLeft -= answer.bytes;
		truncated ||= answer.truncated;
		for (const { series, points } of answer.series) found.get(series.identity)!.chunks.push(points);
	});
	const series = [...found.values()]
		.filter(({ chunks }) => chunks.length > 0)
		.map(({ merged, chunks }) => ({
			series: { ...merged.series, lastTimeUnixNano: merged.lastTimeNs.toString() },
			points: inOrder(chunks),
		}));
	return { series, truncated, damagedWindows: [...new Set([...damaged, ...damagedLater])] };
}

/** Descriptions are those of the newest window. */
function mergedSeries(
	windows: WindowSet,
	query: MetricSeriesQuery,
	range: TimeRange | undefined,
	check: () => void,
): { readonly series: readonly MergedSeries[]; readonly damaged: readonly string[] } {
	const merged = new Map<string, MergedSeries>();
	const budget = new SeriesBudget();
	const damaged = windows.visit(windows.list(), (window) => {
		check();
		for (const found of querySeries(window.database, query, range, new SeriesBudget())) {
			if (!merged.has(found.identity)) budget.take(found.chars);
			merge(merged, found);
		}
	});
	const series = [...merged.values()].sort((a, b) => compare(a.series.name, b.series.name) || compare(a.identity, b.identity));
	return { series: series.slice(0, query.limit), damaged };
}

function alwaysGoOn(): void {}

function merge(merged: Map<string, MergedSeries>, { identity, series, lastTimeNs }: WindowSeries): void {
	const known = merged.get(identity);
	if (known === undefined) merged.set(identity, { identity, series, lastTimeNs });
	else if (lastTimeNs > known.lastTimeNs) merged.set(identity, { ...known, lastTimeNs });
}

/** Newest chunk first in, points by time out; chunks of one series rarely overlap. */
function inOrder(chunks: readonly (readonly MetricPoint[])[]): MetricPoint[] {
	const points = chunks.toReversed().flat();
	return chunks.length === 1 ? points : points.sort((a, b) => compare(BigInt(a.timeUnixNano), BigInt(b.timeUnixNano)));
}

function compare<T extends bigint | string>(a: T, b: T): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
