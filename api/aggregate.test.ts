import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetricPoint } from "../store/store.ts";
import { aggregatePoints } from "./aggregate.ts";
import { AGGREGATIONS } from "./contract/metrics.ts";

const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const gauge = { type: "gauge", temporality: "unspecified", monotonic: false } as const;
const counter = { type: "sum", temporality: "cumulative", monotonic: true } as const;
const upDownCounter = { type: "sum", temporality: "cumulative", monotonic: false } as const;
const delta = { type: "sum", temporality: "delta", monotonic: true } as const;

function point(second: number, value: number | string, startSecond = 0): MetricPoint {
	return {
		timeUnixNano: `${BigInt(second) * SECOND}`,
		startTimeUnixNano: `${BigInt(startSecond) * SECOND}`,
		value,
		flags: 0,
	};
}

function values(points: readonly MetricPoint[]): readonly unknown[] {
	return points.map((each) => [Number(BigInt(each.timeUnixNano) / SECOND), each.value]);
}

test("buckets are aligned to the epoch and empty ones are left out", () => {
	const points = [point(65, 1), point(119, 3), point(240, 5)];
	const { points: buckets } = aggregatePoints(gauge, points, { fromNs: 61n * SECOND, stepNs: MINUTE }, "avg");
	assert.deepEqual(values(buckets), [
		[60, 2],
		[240, 5],
	]);
});

test("each aggregation says what its name says", () => {
	const points = [point(0, 4), point(10, "1"), point(20, 2.5)];
	const answer = (name: (typeof AGGREGATIONS)[number]) =>
		aggregatePoints(gauge, points, { fromNs: 0n, stepNs: MINUTE }, name).points[0]?.value;
	assert.deepEqual(AGGREGATIONS.map(answer), [2.5, 2.5, 1, 4, 7.5, -1.5 / 60]);
});

test("points in any order are put in order, and last keeps a 64-bit integer exact", () => {
	const { points } = aggregatePoints(
		gauge,
		[point(20, "9007199254740993"), point(10, "1")],
		{ fromNs: 0n, stepNs: MINUTE },
		"last",
	);
	assert.deepEqual(values(points), [[0, "9007199254740993"]]);
});

test("the rate of a counter takes the growth since the point before its bucket", () => {
	const points = [point(50, "100"), point(70, "130"), point(110, "160"), point(130, "220")];
	const { points: buckets } = aggregatePoints(counter, points, { fromNs: MINUTE, stepNs: MINUTE }, "rate");
	assert.deepEqual(values(buckets), [
		[60, 1],
		[120, 1],
	]);
});

test("a counter that falls, or says that it started again, has grown from zero", () => {
	const fell = [point(60, "100"), point(90, "30")];
	assert.deepEqual(values(aggregatePoints(counter, fell, { fromNs: MINUTE, stepNs: MINUTE }, "rate").points), [[60, 0.5]]);
	const restarted = [point(60, "100"), point(90, "120", 61)];
	assert.deepEqual(values(aggregatePoints(counter, restarted, { fromNs: MINUTE, stepNs: MINUTE }, "rate").points), [[60, 2]]);
});

test("a counter that began within the range grew from zero; an older one, or of unknown start, needs a second point", () => {
	const range = { fromNs: MINUTE, stepNs: MINUTE };
	assert.deepEqual(values(aggregatePoints(counter, [point(90, "60", 70)], range, "rate").points), [[60, 1]]);
	const later = { fromNs: 10n * MINUTE, stepNs: MINUTE };
	assert.deepEqual(aggregatePoints(counter, [point(600, "60", 100)], later, "rate").points, []);
	assert.deepEqual(aggregatePoints(counter, [point(30, "60", 0)], { fromNs: 0n, stepNs: MINUTE }, "rate").points, []);
});

test("the rate of a delta sum adds up, and what may fall may have a negative rate", () => {
	const range = { fromNs: 0n, stepNs: MINUTE };
	assert.deepEqual(values(aggregatePoints(delta, [point(10, "30"), point(20, "90")], range, "rate").points), [[0, 2]]);
	assert.deepEqual(values(aggregatePoints(upDownCounter, [point(0, 120), point(50, 0)], range, "rate").points), [[0, -2]]);
});

test("differences of 64-bit counters are exact", () => {
	const points = [point(0, "9223372036854775000"), point(30, "9223372036854775060")];
	assert.deepEqual(values(aggregatePoints(counter, points, { fromNs: 0n, stepNs: MINUTE }, "rate").points).at(-1), [0, 1]);
});

test("a histogram answers its last point in each bucket, whatever was asked, and says so", () => {
	const histogram = { type: "histogram", temporality: "cumulative", monotonic: false } as const;
	const at = (second: number, count: string): MetricPoint => ({
		timeUnixNano: `${BigInt(second) * SECOND}`,
		startTimeUnixNano: "0",
		count,
		explicitBounds: [1],
		bucketCounts: [count, "0"],
		flags: 0,
	});
	const answer = aggregatePoints(histogram, [at(10, "1"), at(50, "2"), at(70, "3")], { fromNs: 0n, stepNs: MINUTE }, "rate");
	assert.equal(answer.aggregation, "last");
	assert.deepEqual(
		answer.points.map((each) => [each.timeUnixNano, each.count]),
		[
			["0", "2"],
			[MINUTE.toString(), "3"],
		],
	);
});

test("a point that says it has no value counts for nothing", () => {
	const points = [point(10, 5), { ...point(20, 0), flags: 1 }];
	assert.deepEqual(values(aggregatePoints(gauge, points, { fromNs: 0n, stepNs: MINUTE }, "min").points), [[0, 5]]);
});
