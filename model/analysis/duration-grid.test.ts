import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DurationGrid, durationRow, durationRowBounds, MAX_POINTS } from "./duration-grid.ts";

const MS = 1_000_000;
const durations = fc.oneof(
	fc.integer({ min: 0, max: 5_000 }),
	fc.double({ min: 0, max: 60, noNaN: true }).map((log) => Math.floor(2 ** log)),
);

test("a duration lies within the bounds of its row, and rows leave no gap", () => {
	fc.assert(
		fc.property(durations, (ns) => {
			const { minNs, maxNs } = durationRowBounds(durationRow(ns));
			assert.ok(minNs <= ns && ns <= maxNs, `${minNs} ${ns} ${maxNs}`);
		}),
	);
	for (let row = 1; row < 200; row++) assert.equal(durationRowBounds(row).minNs, durationRowBounds(row - 1).maxNs + 1);
});

test("every span is counted once, in the cell whose bounds it lies in", () => {
	const span = fc.record({ since: fc.integer({ min: 0, max: 3_600_000 * MS - 1 }), ns: durations, isError: fc.boolean() });
	fc.assert(
		fc.property(fc.array(span, { maxLength: 200 }), fc.integer({ min: 1, max: 240 }), (spans, columns) => {
			const fromMs = 1_700_000_123_456;
			const range = { fromNs: BigInt(fromMs * MS), toNs: BigInt((fromMs + 3_600_000) * MS) };
			const grid = new DurationGrid(range, columns);
			const offset = Number(range.fromNs - grid.fromNs);
			for (const { since, ns, isError } of spans) grid.add(offset + since, ns, isError, () => "t");
			const answer = grid.answer();
			assert.ok(answer.columns <= Math.max(columns, 1) + 1, `${answer.columns} of ${columns}`);
			assert.ok(answer.fromMs <= fromMs && answer.fromMs + answer.columns * answer.columnMs >= fromMs + 3_600_000);
			const sum = (place: 2 | 3): number => answer.cells.reduce((total, cell) => total + cell[place], 0);
			assert.deepEqual([sum(2), sum(3)], [spans.length, spans.filter(({ isError }) => isError).length]);
			for (const [column, row, count] of answer.cells) {
				const { minNs, maxNs } = answer.rows[row]!;
				const inside = spans.filter(({ since, ns }) => {
					const ms = fromMs + since / MS;
					const startMs = answer.fromMs + column * answer.columnMs;
					return ns >= minNs && ns <= maxNs && ms >= startMs && ms < startMs + answer.columnMs;
				});
				assert.equal(count, inside.length);
			}
		}),
	);
});

test("spans are told one by one while they are few, and only counted beyond", () => {
	const range = { fromNs: 0n, toNs: 60_000n * BigInt(MS) };
	const grid = new DurationGrid(range, 60);
	for (let i = 0; i < MAX_POINTS; i++) grid.add(i, 10, false, () => "id");
	assert.deepEqual(grid.answer().points?.[7], { traceId: "id", timeUnixNano: "7", durationNs: 10, isError: false });
	grid.add(1, 10, true, () => "id");
	assert.equal(grid.answer().points, undefined);
	assert.equal(grid.answer().spans, MAX_POINTS + 1);
});

test("columns are as wide as people count: seconds, minutes, hours", () => {
	const widthOf = (seconds: number): number =>
		new DurationGrid({ fromNs: 0n, toNs: BigInt(seconds * 1e9) }, 120).answer().columnMs;
	assert.deepEqual([60, 900, 3_600, 86_400, 7 * 86_400].map(widthOf), [500, 10_000, 30_000, 900_000, 7_200_000]);
	assert.ok(new DurationGrid({ fromNs: 0n, toNs: 92n * 86_400_000_000_000n }, 10).answer().columns <= 10);
});
