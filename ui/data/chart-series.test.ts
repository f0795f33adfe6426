import assert from "node:assert/strict";
import { test } from "node:test";
import { axisTime, everyStep, percentTop, timeTicks, withoutFalls } from "./chart-series.ts";

const at = (second: number): string => new Date(second * 1_000).toISOString();

test("a step that nothing was seen in has its place and no point", () => {
	const points = [{ time: at(0) }, { time: at(120) }];
	const steps = everyStep({ window: { from: at(0), to: at(240) }, stepMs: 60_000, points });
	assert.deepEqual(steps.timesMs, [0, 60_000, 120_000, 180_000]);
	assert.deepEqual(steps.points, [points[0], undefined, points[1], undefined]);
});

test("what was not flushed yet is no gap", () => {
	const steps = everyStep({ window: { from: at(0), to: at(240), flushed: at(70) }, stepMs: 60_000, points: [] });
	assert.deepEqual(steps.timesMs, [0, 60_000]);
	assert.deepEqual(steps.lengthsMs, [60_000, 10_000]);
});

test("the step that goes on is no fall: it has a count only where that is no less than before", () => {
	const steps = everyStep({ window: { from: at(0), to: at(240), flushed: at(130) }, stepMs: 60_000, points: [] });
	assert.deepEqual(withoutFalls(steps, 60_000, [5, 0, 1]), [5, 0, 1]);
	assert.deepEqual(withoutFalls(steps, 60_000, [0, 5, 1]), [0, 5, undefined]);
});

test("no axis of percentages ends above 100, and one of nothing has some height", () => {
	assert.deepEqual([[0, 99.9], [0, undefined], [3, 12], []].map(percentTop), [100, 1, undefined, 1]);
});

test("marks are round, within the range, and few", () => {
	for (const minutes of [1, 15, 60, 360, 1_440, 10_080, 132_480]) {
		const [fromMs, toMs] = [1_767_268_923_456, 1_767_268_923_456 + minutes * 60_000];
		const ticks = timeTicks(fromMs, toMs, 6);
		assert.ok(ticks.length >= 1 && ticks.length <= 7, `${minutes} min: ${ticks.length}`);
		assert.ok(ticks.every((tick) => tick >= fromMs && tick <= toMs));
	}
	assert.deepEqual(timeTicks(0, 3_600_000, 6), [0, 600_000, 1_200_000, 1_800_000, 2_400_000, 3_000_000, 3_600_000]);
});

test("a long range names the day, a short one the second", () => {
	const noon = Date.UTC(2026, 0, 1, 12, 4, 5);
	assert.deepEqual(
		[60_000, 3_600_000, 604_800_000].map((range) => axisTime(noon, range)),
		["12:04:05", "12:04", "01-01 12:04"],
	);
});
