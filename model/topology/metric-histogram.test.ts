import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bucketBoundsNs, histogramIndex, MAX_BUCKET, quantileNs, ZERO_BUCKET } from "./histogram.ts";
import { latencyOfExplicit, latencyOfExponential } from "./metric-histogram.ts";

const NS_PER_MS = 1_000_000;

/** Istio's default buckets, in ms. */
const ISTIO_BOUNDS = [
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
];

function total(buckets: ReadonlyMap<number, number>): number {
	let sum = 0;
	for (const count of buckets.values()) {
		assert.ok(Number.isSafeInteger(count) && count > 0, `${count} is no count`);
		sum += count;
	}
	return sum;
}

const counts = (length: number): fc.Arbitrary<number[]> =>
	fc.array(fc.oneof(fc.constant(0), fc.nat(9), fc.nat(1_000_000)), { minLength: length, maxLength: length });

test("explicit buckets keep their counts whole, and within their bounds", () => {
	fc.assert(
		fc.property(counts(ISTIO_BOUNDS.length + 1), (given) => {
			const buckets = latencyOfExplicit(ISTIO_BOUNDS, given, NS_PER_MS);
			assert.equal(
				total(buckets),
				given.reduce((sum, count) => sum + count, 0),
			);
			for (const [i, count] of given.entries()) {
				if (count === 0) continue;
				const alone = latencyOfExplicit(
					ISTIO_BOUNDS,
					given.map((_, j) => (i === j ? count : 0)),
					NS_PER_MS,
				);
				assert.equal(total(alone), count);
				const low = (ISTIO_BOUNDS[i - 1] ?? 0) * NS_PER_MS;
				const high = (ISTIO_BOUNDS[i] ?? ISTIO_BOUNDS.at(-1)!) * NS_PER_MS;
				for (const index of alone.keys()) {
					const [lower, upper] = bucketBoundsNs(index);
					assert.ok(upper > low || index === histogramIndex(low), `bucket ${i}: ${upper} lies below ${low}`);
					assert.ok(lower < high, `bucket ${i}: ${lower} lies above ${high}`);
				}
			}
		}),
	);
});

test("within a bucket observations lie evenly, as Prometheus reads it", () => {
	const buckets = latencyOfExplicit([100, 200], [0, 1_000, 0], NS_PER_MS);
	for (const quantile of [0.1, 0.25, 0.5, 0.9, 0.99]) {
		const expected = (100 + 100 * quantile) * NS_PER_MS;
		const found = quantileNs(buckets, quantile)!;
		assert.ok(Math.abs(found / expected - 1) < 0.023, `${quantile}: ${found} is not near ${expected}`);
	}
});

test("a single observation lies in the middle of its bucket", () => {
	const [index] = [...latencyOfExplicit([100, 200], [0, 1, 0], NS_PER_MS).keys()];
	assert.equal(index, histogramIndex(150 * NS_PER_MS));
});

test("what lies above the last bound is counted at it", () => {
	assert.deepEqual([...latencyOfExplicit([10], [0, 7], NS_PER_MS)], [[histogramIndex(10 * NS_PER_MS), 7]]);
	assert.deepEqual(
		[...latencyOfExplicit([10, Number.POSITIVE_INFINITY], [0, 7, 0], NS_PER_MS)],
		[[histogramIndex(10 * NS_PER_MS), 7]],
	);
});

test("negative and zero bounds take no time", () => {
	assert.deepEqual([...latencyOfExplicit([-5, 0, 10], [2, 3, 0, 0], NS_PER_MS)], [[ZERO_BUCKET, 5]]);
});

test("exponential buckets of scale 5 are ours, and finer ones merge down exactly", () => {
	fc.assert(
		fc.property(
			fc.integer({ min: 5, max: 12 }),
			fc.integer({ min: 0, max: 1_000 }),
			counts(40),
			fc.nat(9),
			(scale, start, given, zeroCount) => {
				const offset = start * 2 ** (scale - 5);
				const buckets = latencyOfExponential({ scale, zeroCount, offset, counts: given }, 1);
				const expected = new Map<number, number>();
				if (zeroCount > 0) expected.set(ZERO_BUCKET, zeroCount);
				for (const [i, count] of given.entries()) {
					const index = (offset + i) >> (scale - 5);
					if (count > 0) expected.set(index, (expected.get(index) ?? 0) + count);
				}
				assert.deepEqual(buckets, expected);
			},
		),
	);
});

test("exponential buckets of any scale, offset and unit keep their counts whole", () => {
	fc.assert(
		fc.property(
			fc.integer({ min: -32, max: 32 }),
			fc.integer({ min: -5_000_000, max: 5_000_000 }),
			counts(20),
			fc.constantFrom(1, 1_000, 1_000_000, 1_000_000_000),
			(scale, offset, given, nsPerUnit) => {
				const buckets = latencyOfExponential({ scale, zeroCount: 0, offset, counts: given }, nsPerUnit);
				assert.equal(
					total(buckets),
					given.reduce((sum, count) => sum + count, 0),
				);
				for (const index of buckets.keys()) assert.ok(index >= ZERO_BUCKET && index <= MAX_BUCKET);
			},
		),
	);
});

test("milliseconds in exponential buckets come out where they were measured", () => {
	for (const scale of [0, 3, 5, 8, 20]) {
		for (const ms of [0.3, 1, 17, 250, 4_000]) {
			const offset = Math.ceil(Math.log2(ms) * 2 ** scale) - 1;
			const [index] = [...latencyOfExponential({ scale, zeroCount: 0, offset, counts: [1] }, NS_PER_MS).keys()];
			const [lower, upper] = bucketBoundsNs(index!);
			const width = 2 ** (2 ** -scale) * 2 ** (1 / 32);
			assert.ok(lower < ms * NS_PER_MS * width && upper > (ms * NS_PER_MS) / width, `${ms} ms at scale ${scale}`);
		}
	}
});

test("a bucket that spans everything costs no more than our buckets", () => {
	const buckets = latencyOfExponential({ scale: -32, zeroCount: 0, offset: 0, counts: [1_000_000] }, 1);
	assert.equal(total(buckets), 1_000_000);
});
