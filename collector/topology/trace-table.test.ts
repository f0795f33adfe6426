import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EPOCH_MS, factsOf } from "../../model/topology/hops/hop-kit.ts";
import { WORD } from "./record-rows.ts";
import { rowsOf, type TestSpan } from "./stage-bench.ts";
import { TraceTable } from "./trace-table.ts";

const FACTS = factsOf(3, "a");

function spanOf(trace: number, id: number): TestSpan {
	return { trace, id, parent: 0, facts: FACTS, startMs: EPOCH_MS + id, durationMs: 1 };
}

/** Trace ids that differ in one word alone, as those of 64-bit tracers and of X-Ray do. */
function idOf(trace: number, word = 3): Uint32Array {
	const words = new Uint32Array(4);
	words[word] = trace;
	return words;
}

function idsIn(table: TraceTable): number[] {
	return [...table.inOrderOfTouch()].map((trace) => table.traceWord(trace, 3));
}

test("traces are found by all four words of their id", () => {
	const table = new TraceTable();
	const places = [0, 1, 2, 3].map((word) => table.add(idOf(7, word), 0));
	assert.deepEqual(
		[0, 1, 2, 3].map((word) => table.find(idOf(7, word), 0)),
		places,
	);
	assert.equal(new Set(places).size, 4);
	assert.equal(table.find(idOf(8), 0), -1);
});

test("what is removed is gone and everything else is still found, however full the table is", () => {
	fc.assert(
		fc.property(
			fc.array(fc.record({ id: fc.integer({ min: 1, max: 5_000 }), isRemoval: fc.boolean() }), { maxLength: 300 }),
			fc.integer({ min: 0, max: 3_000 }),
			(steps, filling) => {
				const table = new TraceTable();
				const model = new Set<number>();
				// Up to half of the slots: some hundred chains of several, which removal must close.
				for (let id = 1; id <= filling; id++) {
					table.add(idOf(id), 0);
					model.add(id);
				}
				for (const { id, isRemoval } of steps) {
					const at = table.find(idOf(id), 0);
					assert.equal(at >= 0, model.has(id), `${id}`);
					if (at >= 0 && isRemoval) {
						table.remove(at);
						model.delete(id);
					} else if (at < 0) {
						table.add(idOf(id), 0);
						model.add(id);
					}
				}
				for (let id = 1; id <= 5_000; id++) assert.equal(table.find(idOf(id), 0) >= 0, model.has(id), `${id}`);
				assert.equal(table.traces, model.size);
			},
		),
		{ numRuns: 30 },
	);
});

test("the order of touch is kept through touches and removals, and removing the one in hand is allowed", () => {
	const table = new TraceTable();
	const places = [1, 2, 3, 4, 5].map((id) => table.add(idOf(id), 0));
	assert.deepEqual(idsIn(table), [1, 2, 3, 4, 5]);
	table.touch(places[0]!, 10);
	table.touch(places[2]!, 20);
	table.touch(places[2]!, 30);
	assert.deepEqual(idsIn(table), [2, 4, 5, 1, 3]);
	assert.equal(table.touchedMs[places[2]!], 30);
	table.remove(places[1]!);
	table.remove(places[2]!);
	assert.deepEqual(idsIn(table), [4, 5, 1]);
	for (const trace of table.inOrderOfTouch()) if (table.traceWord(trace, 3) !== 5) table.remove(trace);
	assert.deepEqual(idsIn(table), [5]);
	table.add(idOf(6), 0);
	assert.deepEqual(idsIn(table), [5, 6]);
});

test("places of removed traces and rows are used again, and nothing of what stood there is left", () => {
	const table = new TraceTable();
	const rows = rowsOf([spanOf(1, 1), spanOf(1, 2), spanOf(2, 3)]);
	const first = table.add(rows.words, WORD.traceId);
	table.addRow(first, rows, 0, 0, true);
	table.addRow(first, rows, 1, 0, true);
	table.flags[first] = 7;
	table.nextMaturityMs[first] = 5;
	table.remove(first);
	assert.deepEqual([table.rows, table.traces], [0, 0]);
	const second = table.add(rows.words, 2 * 11 + WORD.traceId);
	assert.equal(second, first);
	assert.deepEqual([table.flags[second], table.nextMaturityMs[second], table.rowsOf(second)], [0, Infinity, 0]);
	table.addRow(second, rows, 2, 0, false);
	const spans = table.spansOf(second, [FACTS], false);
	assert.equal(spans.count, 1);
	assert.equal(spans.spanId[1], 3);
	assert.equal(table.spansOf(second, [FACTS], true).count, 0, "not stated");
});

test("rows come back as they were put in, across growth", () => {
	const table = new TraceTable();
	const spans = Array.from({ length: 6_000 }, (_, i) => ({ ...spanOf((i % 3) + 1, i + 1), requestId: i, weight: i / 2 }));
	const rows = rowsOf(spans);
	spans.forEach((span, row) => {
		const found = table.find(rows.words, row * 11);
		const trace = found >= 0 ? found : table.add(rows.words, row * 11);
		table.addRow(trace, rows, row, 0, span.id % 2 === 0);
	});
	const places = [1, 2, 3].map((id) => table.find(idOf(id), 0));
	const seen = table.spansOf(places[0]!, [FACTS], false);
	assert.equal(seen.count, 2_000);
	for (let i = 0; i < seen.count; i++) {
		const id = seen.spanId[i * 2 + 1]!;
		assert.equal(seen.startMs[i], EPOCH_MS + id);
		assert.equal(seen.weight[i], (id - 1) / 2);
		assert.equal(seen.requestId[i * 2 + 1], id - 1);
	}
	assert.equal(table.spansOf(places[0]!, [FACTS], true).count, 1_000);
	table.setStated(places[0]!);
	assert.equal(table.spansOf(places[0]!, [FACTS], true).count, 2_000);
});
