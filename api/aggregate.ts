/** Gathers number points into buckets of one length, aligned to the epoch, so that two queries of one series agree on the edges. */
import type { Aggregation } from "./contract/metrics.ts";
import type { MetricPoint, MetricSeries } from "../store/store.ts";

/** OTLP DataPointFlags.NO_RECORDED_VALUE: the series ended here; there is no number. */
const NO_RECORDED_VALUE = 1;

interface Bucket {
	startNs: bigint;
	last: MetricPoint;
	values: number[];
	/** Change over the points of the bucket; undefined while no point had a predecessor. */
	increase: number | undefined;
}

export interface AggregatedPoints {
	/** What the buckets say: as asked, or `last` where a point is more than one number. */
	readonly aggregation: Aggregation;
	/** Oldest first; empty buckets are left out. */
	readonly points: readonly MetricPoint[];
}

/**
 * @param points raw points of one series in any order; for `rate` those of one step before `fromNs` too
 * @param fromNs buckets that end at or before it are left out
 */
export function aggregatePoints(
	series: Pick<MetricSeries, "type" | "temporality" | "monotonic">,
	points: readonly MetricPoint[],
	range: { readonly fromNs: bigint; readonly stepNs: bigint },
	asked: Aggregation,
): AggregatedPoints {
	const isNumber = series.type === "gauge" || series.type === "sum";
	const aggregation = isNumber ? asked : "last";
	const buckets = gather(series, points, range, isNumber);
	return { aggregation, points: buckets.flatMap((bucket) => pointOf(bucket, aggregation, range.stepNs)) };
}

function gather(
	series: Pick<MetricSeries, "temporality" | "monotonic">,
	points: readonly MetricPoint[],
	{ fromNs, stepNs }: { readonly fromNs: bigint; readonly stepNs: bigint },
	isNumber: boolean,
): Bucket[] {
	const timed = points
		.filter((point) => (point.flags & NO_RECORDED_VALUE) === 0)
		.map((point) => ({ point, timeNs: BigInt(point.timeUnixNano) }))
		.toSorted((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
	const buckets: Bucket[] = [];
	let current: Bucket | undefined;
	let previous: MetricPoint | undefined;
	for (const { point, timeNs } of timed) {
		const startNs = timeNs - (timeNs % stepNs);
		const before = previous;
		previous = point;
		if (startNs + stepNs <= fromNs) continue;
		if (current === undefined || current.startNs !== startNs) {
			current = { startNs, last: point, values: [], increase: undefined };
			buckets.push(current);
		}
		current.last = point;
		if (!isNumber) continue;
		current.values.push(Number(point.value));
		const increase = increaseOf(series, before, point, fromNs - stepNs);
		if (increase !== undefined) current.increase = (current.increase ?? 0) + increase;
	}
	return buckets;
}

/** How much a series grew by this point. Undefined when nothing says so. */
function increaseOf(
	series: Pick<MetricSeries, "temporality" | "monotonic">,
	before: MetricPoint | undefined,
	point: MetricPoint,
	seenFromNs: bigint,
): number | undefined {
	if (series.temporality === "delta") return Number(point.value);
	const isCounter = series.temporality === "cumulative" && series.monotonic;
	if (before === undefined) {
		// A counter that began within what was read has grown from zero. OTLP writes an unknown start as 0.
		const startNs = BigInt(point.startTimeUnixNano);
		return isCounter && startNs > 0n && startNs >= seenFromNs ? Number(point.value) : undefined;
	}
	const change = difference(point.value, before.value);
	const wasReset = change < 0 || isLater(point.startTimeUnixNano, before);
	return isCounter && wasReset ? Number(point.value) : change;
}

function isLater(startTimeUnixNano: string, before: MetricPoint): boolean {
	return before.startTimeUnixNano !== startTimeUnixNano && BigInt(startTimeUnixNano) >= BigInt(before.timeUnixNano);
}

/** Exact for 64-bit integers, whose difference is small where they are not. */
function difference(a: number | string | undefined, b: number | string | undefined): number {
	if (typeof a === "string" && typeof b === "string" && /^-?\d+$/.test(a) && /^-?\d+$/.test(b))
		return Number(BigInt(a) - BigInt(b));
	return Number(a) - Number(b);
}

function pointOf(bucket: Bucket, aggregation: Aggregation, stepNs: bigint): MetricPoint[] {
	const at = { timeUnixNano: bucket.startNs.toString() };
	if (aggregation === "last") return [{ ...bucket.last, ...at }];
	const value = numberOf(bucket, aggregation, stepNs);
	return value === undefined ? [] : [{ ...at, startTimeUnixNano: bucket.last.startTimeUnixNano, value, flags: 0 }];
}

function numberOf(bucket: Bucket, aggregation: Exclude<Aggregation, "last">, stepNs: bigint): number | undefined {
	const { values } = bucket;
	const sum = (): number => values.reduce((total, value) => total + value, 0);
	switch (aggregation) {
		case "avg":
			return sum() / values.length;
		case "min":
			return values.reduce((least, value) => Math.min(least, value));
		case "max":
			return values.reduce((most, value) => Math.max(most, value));
		case "sum":
			return sum();
		case "rate":
			return bucket.increase === undefined ? undefined : bucket.increase / (Number(stepNs) / 1e9);
	}
}
