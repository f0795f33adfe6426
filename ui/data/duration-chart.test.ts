import assert from "node:assert/strict";
import { test } from "node:test";
import {
	brushChange,
	brushedQuery,
	brushOf,
	cellsAfterKey,
	cellsOf,
	clearedChange,
	countedSpans,
	countIn,
	durationsQuery,
	readBrush,
	shadeOf,
	writeBrush,
	durationTicks,
} from "./duration-chart.ts";
import type { Grid } from "./duration-chart.ts";
import { readFilter } from "./trace-filter.ts";

const FROM = "2026-11-25T12:00:00.000Z";
const GRID: Grid = {
	from: FROM,
	columnMs: 1_000,
	columns: 8,
	rows: [
		{ minNs: 10, maxNs: 19 },
		{ minNs: 20, maxNs: 39 },
		{ minNs: 40, maxNs: 79 },
		{ minNs: 80, maxNs: 159 },
	],
	cells: [
		[0, 0, 5, 1],
		[3, 2, 7, 0],
		[7, 3, 2, 2],
	],
};
const filterOf = (text: string) => readFilter(new URLSearchParams(text));

test("the chart counts whole requests until a filter asks for spans inside of them, and what the address says", () => {
	const counted = (text: string) => countedSpans(new URLSearchParams(text), filterOf(text));
	assert.equal(counted("status=error&minDuration=1ms"), "root");
	for (const text of ["service=a", "operation=x", "mtls=mixed", "edge=6faeb2e1ed26185d", "attr=a=b"])
		assert.equal(counted(text), "all", text);
	assert.deepEqual([counted("service=a&spans=root"), counted("spans=all"), counted("spans=none")], ["root", "all", "root"]);
	assert.equal(durationsQuery(filterOf("service=a"), "root"), "service=a&from=now-15m&root=true&columns=160");
});

test("a brush covers the cells it was made of, in the address and back", () => {
	const cells = { firstColumn: 2, lastColumn: 4, firstRow: 1, lastRow: 2 };
	const brush = brushOf(GRID, cells);
	assert.deepEqual([brush.toMs - brush.fromMs, brush.minNs, brush.maxNs], [3_000, 20, 79]);
	assert.deepEqual(readBrush(writeBrush(brush)), brush);
	assert.deepEqual(cellsOf(GRID, brush), cells);
	assert.deepEqual(countIn(GRID, cells), { spans: 7, errors: 0 });
	for (const text of [null, "", "1-2", "2-1,1-2", "1-2,9-3", "a-b,c-d", "1-2,1-99999999999999999999"])
		assert.equal(readBrush(text), undefined, String(text));
	assert.equal(cellsOf(GRID, { ...brush, minNs: 500, maxNs: 900 }), undefined);
	assert.equal(cellsOf({ ...GRID, rows: [] }, brush), undefined);
});

test("the list asks for the brush, within what the filters ask for", () => {
	const brush = { fromMs: 1_000, toMs: 2_000, minNs: 20, maxNs: 79 };
	const asked = (text: string): string[] => {
		const query = new URLSearchParams(brushedQuery(filterOf(text), "root", brush));
		return ["from", "to", "minDuration", "maxDuration", "root"].map((name) => query.get(name) ?? "");
	};
	assert.deepEqual(asked("from=now-1h"), ["1000", "2000", "20ns", "79ns", "true"]);
	assert.deepEqual(asked("minDuration=50ns&maxDuration=1s"), ["1000", "2000", "50ns", "79ns", "true"]);
	assert.deepEqual(asked("minDuration=5ns&maxDuration=60ns"), ["1000", "2000", "20ns", "60ns", "true"]);
});

test("a selection pins the range, and clearing it brings the relative one back", () => {
	const cells = { firstColumn: 0, lastColumn: 0, firstRow: 0, lastRow: 0 };
	const change = brushChange(new URLSearchParams(), filterOf("from=now-1h"), GRID, cells);
	assert.deepEqual([change.from, change.to, change.was], [FROM, "2026-11-25T12:00:08.000Z", "now-1h"]);
	assert.deepEqual(clearedChange(new URLSearchParams(change)), {
		brush: undefined,
		was: undefined,
		from: "now-1h",
		to: undefined,
	});
	const pinned = new URLSearchParams({ from: change.from!, to: change.to! });
	assert.equal(brushChange(pinned, readFilter(pinned), GRID, cells).was, "");
	assert.deepEqual(clearedChange(pinned), { brush: undefined, was: undefined });
});

test("arrows begin a selection, move it and extend it, and stop at the edges", () => {
	const first = cellsAfterKey(GRID, undefined, "ArrowLeft", false);
	assert.deepEqual(first, { firstColumn: 6, lastColumn: 7, firstRow: 3, lastRow: 3 });
	assert.deepEqual(cellsAfterKey(GRID, first, "ArrowRight", false), first);
	assert.deepEqual(cellsAfterKey(GRID, first, "ArrowLeft", false), { ...first, firstColumn: 5, lastColumn: 6 });
	assert.deepEqual(cellsAfterKey(GRID, first, "ArrowDown", false), { ...first, firstRow: 2, lastRow: 2 });
	assert.deepEqual(cellsAfterKey(GRID, first, "ArrowLeft", true), { ...first, lastColumn: 6 });
	assert.deepEqual(cellsAfterKey(GRID, first, "ArrowDown", true), first, "never empty");
	assert.equal(cellsAfterKey(GRID, first, "Tab", false), undefined);
	assert.equal(cellsAfterKey({ ...GRID, rows: [] }, undefined, "ArrowUp", false), undefined);
});

test("shades rise with the count, and a single span is seen", () => {
	const shades = [1, 2, 10, 100, 1_000].map((count) => shadeOf(count, 1_000));
	assert.deepEqual(
		shades,
		shades.toSorted((a, b) => a - b),
	);
	assert.deepEqual([shades[0], shades.at(-1), shadeOf(1, 1)], [1, 5, 3]);
});

test("the marks of durations are round, few, and lie in their rows", () => {
	const rows = Array.from({ length: 40 }, (_, i) => ({
		minNs: Math.round(400_000 * 1.25 ** i),
		maxNs: Math.round(400_000 * 1.25 ** (i + 1)) - 1,
	}));
	const ticks = durationTicks({ rows }, 5);
	assert.deepEqual(
		ticks.map(({ ns }) => ns),
		[1e6, 1e7, 1e8, 1e9],
	);
	for (const { ns, row } of ticks) {
		const at = rows[Math.floor(row)]!;
		assert.ok(at.minNs <= ns && ns <= at.maxNs, String(ns));
	}
	assert.deepEqual(
		durationTicks({ rows: rows.slice(0, 6) }, 5).map(({ ns }) => ns),
		[4e5, 5e5, 6e5, 8e5, 1e6],
	);
	assert.deepEqual(durationTicks({ rows: [{ minNs: 4_100, maxNs: 4_800 }] }, 5), [{ ns: 4_100, row: 0 }]);
	assert.deepEqual(durationTicks({ rows: [] }, 5), []);
});
