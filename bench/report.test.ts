import assert from "node:assert/strict";
import { test } from "node:test";
import { type Figure, isMet, markdownOf, textOf } from "./report.ts";
import { percentile, slopeOf, spreadOf } from "./statistics.ts";

function figure(values: readonly number[], bar?: Figure["bar"]): Figure {
	return {
		section: "ingest",
		name: "rate",
		unit: "×",
		value: spreadOf(values),
		repetitions: values.length,
		...(bar === undefined ? {} : { bar }),
	};
}

test("the median decides whether a bar is met, and the bar itself is within it", () => {
	assert.equal(isMet(figure([0.9, 1, 5], { atLeast: 1 })), true);
	assert.equal(isMet(figure([0.9, 0.99, 5], { atLeast: 1 })), false);
	assert.equal(isMet(figure([60], { atMost: 60 })), true);
	assert.equal(isMet(figure([60.1], { atMost: 60 })), false);
});

test("a figure that was not measured does not meet its bar", () => {
	assert.equal(isMet(figure([], { atMost: 60 })), false);
	assert.equal(isMet(figure([1, 2])), undefined);
});

test("fast but wrong is not met", () => {
	const wrong: Figure = { ...figure([1], { atMost: 60 }), invalid: "3 of 200 answers wrong" };
	assert.equal(isMet(wrong), false);
	assert.match(textOf(wrong), /NOT MET.*INVALID: 3 of 200 answers wrong/);
});

test("a missed bar stands out beside its figure", () => {
	const missed = figure([0.5, 0.6, 0.7], { atLeast: 1 });
	assert.match(textOf(missed), /0\.6 × \(0\.5 – 0\.7\) {2}\[bar ≥ 1 ×: NOT MET\]/);
	const page = markdownOf({ lines: [["Node", "v24"]] }, [missed, figure([2], { atLeast: 1 })], []);
	assert.match(page, /\| rate \| 0\.6 × \| 0\.5 – 0\.7 \| 3 \| ≥ 1 × \| \*\*not met\*\* \|/);
	assert.match(page, /\| rate \| 2 × \| {2}\| 1 \| ≥ 1 × \| met \|/);
});

test("a percentile is a value that was measured: the nearest rank", () => {
	const values = Array.from({ length: 200 }, (_, index) => index + 1);
	assert.equal(percentile(values, 0.5), 100);
	assert.equal(percentile(values, 0.99), 198);
	assert.equal(percentile(values, 1), 200);
	assert.ok(Number.isNaN(percentile([], 0.5)));
});

test("the slope of a line is its slope, noise around it or not", () => {
	assert.equal(slopeOf([0, 1, 2, 3].map((x) => ({ x, y: 7 + 2 * x }))), 2);
	assert.ok(Math.abs(slopeOf([0, 1, 2, 3].map((x) => ({ x, y: 7 + (x % 2) })))) < 0.5);
});
