import assert from "node:assert/strict";
import { test } from "node:test";
import { rowOffsets, rowsInView, tablePieces } from "./virtual-rows.ts";

const even = rowOffsets(1_000, () => 30);
const uneven = rowOffsets(100, (i) => (i % 10 === 0 ? 120 : 20));

test("the rows of a view and the spare ones around it are drawn, whatever their heights", () => {
	assert.deepEqual(rowsInView(even, 0, 300, 0), { first: 0, end: 11 });
	assert.deepEqual(rowsInView(even, 3_000, 3_300, 5), { first: 95, end: 116 });
	// Ten rows take 300: the view from 310 begins in the tall eleventh row.
	assert.deepEqual(rowsInView(uneven, 310, 450, 0), { first: 10, end: 13 });
});

test("a view beyond either end draws the rows there", () => {
	assert.deepEqual(rowsInView(even, -500, -400, 2), { first: 0, end: 3 });
	assert.deepEqual(rowsInView(even, 99_000, 99_300, 2), { first: 998, end: 1_000 });
	assert.deepEqual(
		rowsInView(
			rowOffsets(0, () => 30),
			0,
			300,
			2,
		),
		{ first: 0, end: 0 },
	);
});

test("rows and gaps together are the table: every row once, in order, and its whole height", () => {
	for (const kept of [undefined, 0, 3, 50, 99, 100])
		for (const top of [0, 100, 1_500, 2_999, 5_000]) {
			const pieces = tablePieces(uneven, rowsInView(uneven, top, top + 200, 2), kept);
			const rows = pieces.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i));
			assert.deepEqual(
				rows,
				Array.from({ length: 100 }, (_, i) => i),
			);
			const height = pieces.reduce(
				(sum, piece) => sum + (piece.kind === "gap" ? piece.height : uneven[piece.end]! - uneven[piece.first]!),
				0,
			);
			assert.equal(height, uneven[100]);
		}
});

test("the row that has the focus stays drawn when it is scrolled away, and the rows before and after it", () => {
	const isDrawn = (kept: number): boolean =>
		tablePieces(even, rowsInView(even, 15_000, 15_300, 2), kept).some(
			({ kind, first, end }) => kind === "rows" && first <= Math.max(0, kept - 1) && Math.min(999, kept + 1) < end,
		);
	assert.ok(isDrawn(0) && isDrawn(3) && isDrawn(505) && isDrawn(999));
});
