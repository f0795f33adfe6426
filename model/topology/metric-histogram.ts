/**
 * Histograms of metrics, in whatever buckets they were counted, as our latency buckets (histogram.ts).
 *
 * Counts are whole and stay whole: a bucket's count is spread over the latency buckets that it covers by rounding its running total, so
 * that nothing is lost or made up and the same histogram always gives the same answer.
 */
import { bucketBoundsNs, histogramIndex, MAX_BUCKET, ZERO_BUCKET } from "./histogram.ts";

/** Our buckets an octave (scale 5). */
const OUR_SCALE = 5;
const BUCKETS_AN_OCTAVE = 2 ** OUR_SCALE;

/**
 * Buckets between explicit bounds: `counts` has one more than `bounds`. Within a bucket observations are taken to lie evenly, as in
 * Prometheus' quantiles; those above the last bound are counted at it, since nothing says how far above they lie.
 */
export function latencyOfExplicit(bounds: readonly number[], counts: readonly number[], nsPerUnit: number): Map<number, number> {
	const into = new Map<number, number>();
	for (const [i, count] of counts.entries()) {
		if (!(count > 0)) continue;
		const low = Math.max((bounds[i - 1] ?? 0) * nsPerUnit, 0);
		const high = (bounds[i] ?? Number.POSITIVE_INFINITY) * nsPerUnit;
		if (Number.isFinite(high)) spreadEvenly(into, low, high, count);
		else add(into, histogramIndex(low), count);
	}
	return into;
}

/** Exponential buckets as OTLP sends them: bucket `offset + i` holds (base^(offset+i), base^(offset+i+1)], base 2^(2^-scale). */
export interface ExponentialBuckets {
	readonly scale: number;
	readonly zeroCount: number;
	readonly offset: number;
	readonly counts: readonly number[];
}

/**
 * Exact where each bucket lies within one of ours: scale 5 and more, in units that are a power of two of a nanosecond. Others are
 * spread evenly over the logarithm.
 */
export function latencyOfExponential(buckets: ExponentialBuckets, nsPerUnit: number): Map<number, number> {
	const into = new Map<number, number>();
	if (buckets.zeroCount > 0) add(into, ZERO_BUCKET, buckets.zeroCount);
	const width = 2 ** (OUR_SCALE - buckets.scale);
	const shift = Math.log2(nsPerUnit) * BUCKETS_AN_OCTAVE;
	for (const [i, count] of buckets.counts.entries()) {
		if (!(count > 0)) continue;
		const low = (buckets.offset + i) * width + shift;
		spread(into, Math.floor(low), Math.ceil(low + width) - 1, count, (index) => (index + 1 - low) / width);
	}
	return into;
}

function spreadEvenly(into: Map<number, number>, lowNs: number, highNs: number, count: number): void {
	if (!(highNs > lowNs)) return add(into, histogramIndex(highNs), count);
	const share = (index: number): number => (bucketBoundsNs(index)[1] - lowNs) / (highNs - lowNs);
	// Below the place of the first observation no bucket gets any.
	const first = histogramIndex(lowNs + ((highNs - lowNs) * 0.5) / count) - 1;
	spread(into, Math.max(first, histogramIndex(lowNs)), histogramIndex(highNs), count, share);
}

/** @param share of the count that lies at or below the end of a bucket */
function spread(into: Map<number, number>, first: number, last: number, count: number, share: (index: number) => number): void {
	const end = clamp(last);
	let placed = 0;
	for (let index = clamp(first); index < end && placed < count; index++) {
		const upTo = Math.min(Math.max(Math.round(count * share(index)), placed), count);
		if (upTo > placed) add(into, index, upTo - placed);
		placed = upTo;
	}
	if (placed < count) add(into, end, count - placed);
}

function clamp(index: number): number {
	return Math.min(Math.max(index, ZERO_BUCKET), MAX_BUCKET);
}

function add(into: Map<number, number>, index: number, count: number): void {
	into.set(index, (into.get(index) ?? 0) + count);
}
