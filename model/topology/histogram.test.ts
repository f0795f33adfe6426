import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
	addBuckets,
	bucketBoundsNs,
	bucketMidNs,
	histogramIndex,
	LatencyHistogram,
	MAX_BUCKET,
	quantileNs,
	quantilesNs,
	ZERO_BUCKET,
} from "./histogram.ts";

/** Latencies as they come: most between a microsecond and a minute, some odd. */
const latencyNs = fc.oneof(
	{ weight: 5, arbitrary: fc.double({ min: 3, max: 10.8, noNaN: true }).map((power) => Math.round(10 ** power)) },
	{ weight: 1, arbitrary: fc.nat(300) },
	{ weight: 1, arbitrary: fc.maxSafeNat() },
);

function bucketsOf(values: readonly number[]): Map<number, number> {
	const buckets = new Map<number, number>();
	for (const value of values) addBuckets(buckets, new Map([[histogramIndex(value), 1]]));
	return buckets;
}

test("powers of two end their bucket exactly", () => {
	for (let power = 0; power < 64; power++) {
		assert.equal(histogramIndex(2 ** power), power * 32 - 1, `2^${power}`);
		assert.equal(bucketBoundsNs(histogramIndex(2 ** power))[1], 2 ** power);
		if (power < 52) assert.equal(histogramIndex(2 ** power * (1 + Number.EPSILON)), power * 32, `just above 2^${power}`);
	}
});

test("a value lies above its bucket's lower bound and not above its upper one", () => {
	fc.assert(
		fc.property(fc.double({ min: 1, max: 2 ** 63, noNaN: true }), (ns) => {
			const [lower, upper] = bucketBoundsNs(histogramIndex(ns));
			assert.ok(lower < ns && ns <= upper, `${lower} < ${ns} <= ${upper}`);
		}),
	);
});

test("what took no time sorts first and answers 0", () => {
	for (const ns of [0, -0, -5, 0.5, Number.NaN, Number.NEGATIVE_INFINITY])
		assert.equal(histogramIndex(ns), ZERO_BUCKET, String(ns));
	assert.ok(ZERO_BUCKET < histogramIndex(1));
	assert.equal(bucketMidNs(ZERO_BUCKET), 0);
});

test("what takes longer than a histogram holds lies in its last bucket", () => {
	for (const ns of [2 ** 64, 1e30, Number.POSITIVE_INFINITY]) assert.equal(histogramIndex(ns), MAX_BUCKET);
});

test("no value is told wrong by more than 1.1 %", () => {
	fc.assert(
		fc.property(latencyNs, (ns) => {
			assert.ok(Math.abs(bucketMidNs(histogramIndex(ns)) - ns) <= 0.011 * ns, String(ns));
		}),
	);
});

test("percentiles lie within 1.1 % of the exact ones, of one histogram and of many added up", () => {
	fc.assert(
		fc.property(
			fc.array(fc.array(latencyNs, { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 5 }),
			fc.constantFrom(0, 0.01, 0.5, 0.9, 0.95, 0.99, 1),
			(parts, quantile) => {
				const all = parts.flat().sort((a, b) => a - b);
				const exact = all[Math.max(0, Math.ceil(quantile * all.length - 1e-9) - 1)]!;
				const merged = new Map<number, number>();
				const dense = new LatencyHistogram();
				for (const part of parts) {
					addBuckets(merged, bucketsOf(part));
					dense.add(bucketsOf(part));
				}
				const told = quantileNs(merged, quantile)!;
				assert.ok(Math.abs(told - exact) <= 0.011 * exact, `${told} instead of ${exact}`);
				assert.equal(quantileNs(dense, quantile), told);
			},
		),
	);
});

test("adding and taking back leaves nothing", () => {
	fc.assert(
		fc.property(fc.array(latencyNs), fc.array(latencyNs), (kept, taken) => {
			const buckets = bucketsOf(kept);
			addBuckets(buckets, bucketsOf(taken));
			addBuckets(buckets, bucketsOf(taken), -1);
			assert.deepEqual(new Map([...buckets].sort()), new Map([...bucketsOf(kept)].sort()));
			addBuckets(buckets, bucketsOf(kept), -1);
			assert.equal(buckets.size, 0);
		}),
	);
});

test("a histogram made for adding up holds what the Maps held, in rising order", () => {
	fc.assert(
		fc.property(fc.array(fc.array(latencyNs)), (parts) => {
			const dense = new LatencyHistogram();
			const other = new LatencyHistogram();
			for (const [i, part] of parts.entries()) (i % 2 === 0 ? dense : other).add(bucketsOf(part));
			dense.add(other);
			const found: [number, number][] = [];
			dense.forEach((count, index) => found.push([index, count]));
			assert.deepEqual(
				found,
				[...bucketsOf(parts.flat())].sort(([a], [b]) => a - b),
			);
			assert.equal(dense.total(), parts.flat().length);
		}),
	);
});

test("observations that lie far apart count like all others, and widen no array", () => {
	fc.assert(
		fc.property(
			fc.array(latencyNs, { minLength: 1, maxLength: 60 }),
			fc.array(latencyNs, { maxLength: 20 }),
			(values, others) => {
				const one = new LatencyHistogram();
				for (const value of values) one.addOne(histogramIndex(value), 1);
				assert.ok(one.counts.length <= 256 + 64, `${one.counts.length} buckets`);
				const two = new LatencyHistogram();
				for (const value of others) two.addOne(histogramIndex(value), 1);
				one.add(two);
				const expected = bucketsOf([...values, ...others]);
				const found = new Map<number, number>();
				one.forEach((count, index) => {
					assert.ok(!found.has(index), "each bucket once");
					found.set(index, count);
				});
				assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()));
				assert.equal(one.total(), values.length + others.length);
				assert.deepEqual(quantilesNs(one, [0.5, 0.99]), quantilesNs(expected, [0.5, 0.99]));
			},
		),
	);
});

test("an empty histogram has no percentiles, and a bucket below zero counts as empty", () => {
	assert.equal(quantilesNs(new Map(), [0.5]), undefined);
	assert.equal(quantilesNs(new Map([[100, -1]]), [0.5]), undefined);
	assert.equal(
		quantileNs(
			new Map([
				[100, -5],
				[200, 1],
			]),
			0.01,
		),
		bucketMidNs(200),
	);
});

test("the median of fractions that rounding leaves just short of half is still the lower bucket", () => {
	const third = 1 / 0.3;
	const buckets = new Map([
		[10, third * 3],
		[20, third + third + third],
	]);
	assert.equal(quantileNs(buckets, 0.5), bucketMidNs(10));
});
