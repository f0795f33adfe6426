/**
 * Latency histograms: base-2 exponential buckets of scale 5, as OTLP sends them, over nanoseconds.
 *
 * Bucket i holds (2^(i/32), 2^((i+1)/32)]. Bounds never depend on the data, so that histograms of any two edges, windows or threads add
 * up bucket by bucket, and a percentile of a sum is as good as that of one part.
 *
 * A bucket answers with the harmonic mean of its bounds l and u, m = 2lu/(l+u). The farthest values are the bounds themselves, and
 * both lie equally far: m/l - 1 = 1 - m/u = (u-l)/(u+l) = (b-1)/(b+1) for b = u/l = 2^(1/32), which is 0.01083. No value of a bucket
 * is told wrong by more than 1.083 %.
 */

const BUCKETS_AN_OCTAVE = 32;
const GROWTH = 2 * BUCKETS_AN_OCTAVE;
/** What took no time, or less than a nanosecond. Sorts before every other bucket; exactly 1 ns lies in bucket -1. */
export const ZERO_BUCKET = -2;
/** 2^64 ns are 584 years; longer ones are counted here. */
export const MAX_BUCKET = 64 * BUCKETS_AN_OCTAVE - 1;

/** Bucket i ends at UPPER_NS[i + 1]; exact where i + 1 is a multiple of 32. */
const UPPER_NS = Float64Array.from(
	{ length: MAX_BUCKET + 2 },
	(_, i) => 2 ** Math.floor(i / BUCKETS_AN_OCTAVE) * 2 ** ((i % BUCKETS_AN_OCTAVE) / BUCKETS_AN_OCTAVE),
);

/** ceil(log2(ns) * 32) - 1, and what log2 rounds wrongly put right by the bounds. NaN counts as no time. */
export function histogramIndex(ns: number): number {
	if (!(ns >= 1)) return ZERO_BUCKET;
	let index = Math.ceil(Math.log2(ns) * BUCKETS_AN_OCTAVE) - 1;
	if (index >= MAX_BUCKET) return MAX_BUCKET;
	if (ns > UPPER_NS[index + 1]!) index++;
	else if (index >= 0 && ns <= UPPER_NS[index]!) index--;
	return index;
}

/** Bounds of a bucket in ns: above the first, up to and including the second. */
export function bucketBoundsNs(index: number): readonly [lower: number, upper: number] {
	if (index <= ZERO_BUCKET) return [0, 0];
	const upper = UPPER_NS[Math.min(index, MAX_BUCKET) + 1]!;
	return [index < 0 ? upper / UPPER_NS[1]! : UPPER_NS[Math.min(index, MAX_BUCKET)]!, upper];
}

export function bucketMidNs(index: number): number {
	const [lower, upper] = bucketBoundsNs(index);
	return upper === 0 ? 0 : (2 * lower * upper) / (lower + upper);
}

/** Counts by bucket: a Map, or a {@link LatencyHistogram}. */
export interface BucketCounts {
	forEach(visit: (count: number, index: number) => void): void;
}

/**
 * The values at these quantiles (0 to 1, rising), by nearest rank: the least bucket up to which at least q of the observations lie.
 * Undefined when there are none. Buckets of a negative count, which a correction may leave for a moment, count as empty.
 */
export function quantilesNs(buckets: BucketCounts, quantiles: readonly number[]): readonly number[] | undefined {
	let histogram: LatencyHistogram;
	if (buckets instanceof LatencyHistogram) histogram = buckets;
	else {
		histogram = new LatencyHistogram();
		histogram.add(buckets);
	}
	histogram.settle();
	const { counts, first } = histogram;
	let total = 0;
	let last = -1;
	for (let i = 0; i < counts.length; i++) {
		const count = counts[i]!;
		if (!(count > 0)) continue;
		total += count;
		last = i;
	}
	if (last < 0) return undefined;
	let at = -1;
	let upTo = 0;
	return quantiles.map((quantile) => {
		// Counts scaled up from samples are fractions whose sum is rounded: a rank that is met but for the rounding is met.
		const rank = quantile * total * (1 - 1e-12);
		while (at < last && (upTo < rank || upTo === 0)) upTo += Math.max(0, counts[++at]!);
		return bucketMidNs(first + at);
	});
}

/** As {@link quantilesNs}, for one. */
export function quantileNs(buckets: BucketCounts, quantile: number): number | undefined {
	return quantilesNs(buckets, [quantile])?.[0];
}

/** Adds `factor` times `from`; a bucket that comes to zero is removed. */
export function addBuckets(into: Map<number, number>, from: BucketCounts, factor = 1): void {
	from.forEach((count, index) => {
		const sum = (into.get(index) ?? 0) + factor * count;
		if (sum === 0) into.delete(index);
		else into.set(index, sum);
	});
}

/** One for all that are empty: most histograms of a query begin so, and a typed array is dear to make. */
const NO_COUNTS = new Float64Array(0);

/** Buckets of an array that single observations widen: eight octaves. Latencies that lie further apart are few, or somebody's attack. */
const MAX_WIDENED = 256;

/**
 * A histogram that is added to often: one array over the buckets met so far. Adding to it costs 2 ns a bucket where a Map costs 40.
 * The array belongs to the histogram; {@link reserve} may replace it. Single observations far from all others are kept beside it.
 */
export class LatencyHistogram implements BucketCounts {
	/** Bucket of `counts[0]`. */
	first = 0;
	counts: Float64Array<ArrayBuffer> = NO_COUNTS;
	private far: Map<number, number> | undefined;

	/** One observation, or one less. */
	addOne(index: number, weight: number): void {
		const { length } = this.counts;
		const at = index - this.first;
		if (at < 0 || at >= length) {
			const width = at < 0 ? length - at : at + 1;
			if (length > 0 && width > MAX_WIDENED) {
				this.far ??= new Map();
				this.far.set(index, (this.far.get(index) ?? 0) + weight);
				return;
			}
			this.reserve(index, index);
		}
		this.counts[index - this.first]! += weight;
	}

	/** Makes room for buckets `first` to `last`, so that `counts[index - this.first]` is there for each of them. */
	reserve(first: number, last: number): void {
		const length = this.counts.length;
		if (length > 0 && first >= this.first && last < this.first + length) return;
		// Two octaves at a time: a histogram that grows bucket by bucket would be copied each time.
		const newFirst = Math.floor((length === 0 ? first : Math.min(first, this.first)) / GROWTH) * GROWTH;
		const newLast = Math.ceil(((length === 0 ? last : Math.max(last, this.first + length - 1)) + 1) / GROWTH) * GROWTH - 1;
		const larger = new Float64Array(newLast - newFirst + 1);
		if (length > 0) larger.set(this.counts, this.first - newFirst);
		this.first = newFirst;
		this.counts = larger;
		if (this.far === undefined) return;
		for (const [index, count] of this.far) {
			if (index < newFirst || index > newLast) continue;
			larger[index - newFirst]! += count;
			this.far.delete(index);
		}
	}

	/** Takes into the array what lies beside it, however wide that makes it. */
	settle(): void {
		while (this.far !== undefined && this.far.size > 0) {
			const [index] = this.far.keys();
			this.reserve(index!, index!);
		}
	}

	add(from: BucketCounts): void {
		if (!(from instanceof LatencyHistogram)) {
			let least = Infinity;
			let most = -Infinity;
			from.forEach((_, index) => {
				least = Math.min(least, index);
				most = Math.max(most, index);
			});
			if (least > most) return;
			this.reserve(least, most);
			from.forEach((count, index) => void (this.counts[index - this.first]! += count));
			return;
		}
		if (from.far !== undefined) for (const [index, count] of from.far) this.addOne(index, count);
		if (from.counts.length > 0) this.addCounts(from.first, from.counts);
	}

	/** Adds counts of as many buckets, beginning with `first`; copies them, where there are none yet with `copy`. */
	addCounts(
		first: number,
		counts: Float64Array<ArrayBuffer>,
		copy: (counts: Float64Array<ArrayBuffer>) => Float64Array<ArrayBuffer> = (own) => own.slice(),
	): void {
		if (this.counts.length === 0 && this.far === undefined) {
			this.first = first;
			this.counts = copy(counts);
			return;
		}
		this.reserve(first, first + counts.length - 1);
		const offset = first - this.first;
		for (let i = 0; i < counts.length; i++) this.counts[offset + i]! += counts[i]!;
	}

	/** In rising order but for what lies far from the others; empty buckets are left out. */
	forEach(visit: (count: number, index: number) => void): void {
		const { counts, first } = this;
		for (let i = 0; i < counts.length; i++) {
			const count = counts[i]!;
			if (count !== 0) visit(count, first + i);
		}
		if (this.far !== undefined) for (const [index, count] of this.far) if (count !== 0) visit(count, index);
	}

	total(): number {
		let total = 0;
		for (let i = 0; i < this.counts.length; i++) total += this.counts[i]!;
		if (this.far !== undefined) for (const count of this.far.values()) total += count;
		return total;
	}
}
