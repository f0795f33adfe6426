import assert from "node:assert/strict";
import { test } from "node:test";
import type { OtlpSpan, TracesData } from "../base/otlp.ts";
import {
	buildWaterfall,
	collapsibleRows,
	findRow,
	MARK_CYCLE,
	MARK_NEGATIVE,
	MARK_NO_TIME,
	MARK_ORPHAN,
	MARK_SAME_ID,
	MARK_SKEW,
	positionOf,
	visibleRows,
} from "./waterfall.ts";
import type { Waterfall } from "./waterfall.ts";

const BASE = 1_790_000_000_000_000_000n;

interface SpanSketch {
	readonly id: string;
	readonly parent?: string;
	readonly start?: number;
	readonly end?: number;
	readonly service?: string;
	readonly kind?: number;
	readonly failed?: boolean;
}

/** A trace from sketches; times are nanoseconds after BASE. */
function traceOf(...sketches: readonly SpanSketch[]): TracesData {
	return {
		resourceSpans: sketches.map((sketch) => ({
			resource: { attributes: [{ key: "service.name", value: { stringValue: sketch.service ?? "shop" } }] },
			scopeSpans: [{ spans: [spanOf(sketch)] }],
		})),
	};
}

function spanOf(sketch: SpanSketch): OtlpSpan {
	const start = sketch.start ?? 0;
	return {
		spanId: sketch.id,
		...(sketch.parent === undefined ? {} : { parentSpanId: sketch.parent }),
		name: sketch.id,
		kind: sketch.kind ?? 1,
		startTimeUnixNano: String(BASE + BigInt(start)),
		endTimeUnixNano: String(BASE + BigInt(sketch.end ?? start + 10)),
		...(sketch.failed === true ? { status: { code: 2 } } : {}),
	};
}

/** `name@depth` of each row. */
function outline(waterfall: Waterfall): string[] {
	return waterfall.spans.map((span, row) => `${span.name}@${waterfall.depth[row]}`);
}

function marksOf(waterfall: Waterfall, name: string): number {
	return waterfall.marks[waterfall.spans.findIndex((span) => span.name === name)]!;
}

test("children follow their parent in order of start", () => {
	const waterfall = buildWaterfall(
		traceOf(
			{ id: "c2", parent: "a1", start: 30 },
			{ id: "b1", parent: "a1", start: 10 },
			{ id: "d1", parent: "b1", start: 12 },
			{ id: "a1", start: 0, end: 100 },
		),
	);
	assert.deepEqual(outline(waterfall), ["a1@0", "b1@1", "d1@2", "c2@1"]);
	assert.deepEqual([...waterfall.parent], [-1, 0, 1, 0]);
	assert.deepEqual([...waterfall.subtreeEnd], [4, 3, 3, 4]);
	assert.deepEqual([...waterfall.offsetNs], [0, 10, 12, 30]);
	assert.equal(waterfall.startNs, BASE);
	assert.equal(waterfall.durationNs, 100);
});

test("orphan spans become roots", () => {
	const waterfall = buildWaterfall(traceOf({ id: "a1" }, { id: "b1", parent: "ffff", start: 5 }));
	assert.deepEqual(outline(waterfall), ["a1@0", "b1@0"]);
	assert.equal(marksOf(waterfall, "b1"), MARK_ORPHAN);
	assert.equal(waterfall.rootCount, 2);
	assert.equal(waterfall.orphanCount, 1);
});

test("a parent of zeros is no parent", () => {
	const waterfall = buildWaterfall(traceOf({ id: "a1", parent: "0000000000000000" }));
	assert.equal(marksOf(waterfall, "a1"), 0);
});

test("parents match in either case of hex", () => {
	const waterfall = buildWaterfall(traceOf({ id: "AB" }, { id: "b1", parent: "ab", start: 1 }));
	assert.deepEqual(outline(waterfall), ["AB@0", "b1@1"]);
});

test("a cycle is cut at its earliest span and every span is shown once", () => {
	const waterfall = buildWaterfall(
		traceOf({ id: "a1", parent: "c1", start: 5 }, { id: "b1", parent: "a1", start: 1 }, { id: "c1", parent: "b1", start: 9 }),
	);
	assert.deepEqual(outline(waterfall), ["b1@0", "c1@1", "a1@2"]);
	assert.ok(marksOf(waterfall, "b1") & MARK_CYCLE);
	assert.equal(marksOf(waterfall, "c1") & MARK_CYCLE, 0);
});

test("a span that is its own parent becomes a root", () => {
	const waterfall = buildWaterfall(traceOf({ id: "a1", parent: "a1" }, { id: "b1", parent: "a1", start: 1 }));
	assert.deepEqual(outline(waterfall), ["a1@0", "b1@1"]);
	assert.equal(marksOf(waterfall, "a1"), MARK_CYCLE);
});

test("spans that hang below a cycle stay below it", () => {
	const waterfall = buildWaterfall(
		traceOf({ id: "e1", parent: "a1", start: 0 }, { id: "a1", parent: "b1", start: 5 }, { id: "b1", parent: "a1", start: 6 }),
	);
	assert.deepEqual(outline(waterfall), ["a1@0", "e1@1", "b1@1"]);
	assert.ok(marksOf(waterfall, "a1") & MARK_CYCLE);
});

test("a server span that shares its client's id is shown under it, and takes the children of its service", () => {
	const waterfall = buildWaterfall(
		traceOf(
			{ id: "a1", service: "gateway", kind: 2, start: 0, end: 100 },
			{ id: "b1", parent: "a1", service: "gateway", kind: 3, start: 10, end: 90 },
			{ id: "b1", parent: "a1", service: "cart", kind: 2, start: 20, end: 80 },
			{ id: "d1", parent: "b1", service: "cart", start: 30 },
		),
	);
	assert.deepEqual(outline(waterfall), ["a1@0", "b1@1", "b1@2", "d1@3"]);
	assert.ok(waterfall.marks[1]! & MARK_SAME_ID);
	assert.ok(waterfall.marks[2]! & MARK_SAME_ID);
});

test("two spans of one id and kind are both shown, the children under the earlier", () => {
	const waterfall = buildWaterfall(traceOf({ id: "a1" }, { id: "a1", start: 2 }, { id: "b1", parent: "a1", start: 3 }));
	assert.deepEqual(outline(waterfall), ["a1@0", "b1@1", "a1@0"]);
});

test("a span that starts before its parent is marked, and its bar is not moved", () => {
	const waterfall = buildWaterfall(traceOf({ id: "a1", start: 50, end: 90 }, { id: "b1", parent: "a1", start: 20, end: 60 }));
	assert.deepEqual(outline(waterfall), ["a1@0", "b1@1"]);
	assert.equal(marksOf(waterfall, "b1"), MARK_SKEW);
	assert.deepEqual([...waterfall.offsetNs], [30, 0]);
});

test("an end before the start leaves a bar without length", () => {
	const waterfall = buildWaterfall(traceOf({ id: "a1", start: 50, end: 20 }));
	assert.equal(marksOf(waterfall, "a1"), MARK_NEGATIVE);
	assert.equal(waterfall.lengthNs[0], 0);
});

test("a span without times stands where its parent starts and does not stretch the trace", () => {
	const trace = traceOf({ id: "a1", start: 0, end: 100 }, { id: "b1", parent: "a1", start: 40, end: 80 });
	const lost: OtlpSpan = { spanId: "c1", parentSpanId: "b1", name: "c1" };
	const waterfall = buildWaterfall({ resourceSpans: [...trace.resourceSpans!, { scopeSpans: [{ spans: [lost] }] }] });
	assert.equal(marksOf(waterfall, "c1"), MARK_NO_TIME);
	assert.equal(waterfall.offsetNs[waterfall.spans.indexOf(lost)], 40);
	assert.equal(waterfall.durationNs, 100);
});

test("times at the edges of 64 bits are read", () => {
	const waterfall = buildWaterfall({
		resourceSpans: [
			{ scopeSpans: [{ spans: [{ spanId: "a1", startTimeUnixNano: "1", endTimeUnixNano: "9223372036854775807" }] }] },
		],
	});
	assert.equal(waterfall.durationNs, Number((1n << 63n) - 2n));
});

test("an empty trace has no rows", () => {
	const waterfall = buildWaterfall({});
	assert.equal(waterfall.count, 0);
	assert.equal(visibleRows(waterfall, new Set()).length, 0);
});

test("failed spans and services are counted", () => {
	const waterfall = buildWaterfall(
		traceOf({ id: "a1", failed: true }, { id: "b1", service: "cart" }, { id: "c1", service: "cart" }),
	);
	assert.equal(waterfall.errorCount, 1);
	assert.deepEqual(waterfall.services, ["shop", "cart"]);
});

test("a collapsed row hides its subtree and nothing else", () => {
	const waterfall = buildWaterfall(
		traceOf(
			{ id: "a1" },
			{ id: "b1", parent: "a1", start: 1 },
			{ id: "c1", parent: "b1", start: 2 },
			{ id: "d1", parent: "a1", start: 3 },
		),
	);
	assert.deepEqual([...visibleRows(waterfall, new Set([1]))], [0, 1, 3]);
	assert.deepEqual([...visibleRows(waterfall, collapsibleRows(waterfall))], [0]);
	assert.equal(positionOf(visibleRows(waterfall, new Set([1])), 2), 1, "a hidden row is shown by its ancestor");
	assert.equal(positionOf(visibleRows(waterfall, new Set([1])), 3), 2);
});

test("the search for the next failed span goes round", () => {
	const waterfall = buildWaterfall(
		traceOf({ id: "a1", failed: true }, { id: "b1", start: 1 }, { id: "c1", start: 2, failed: true }),
	);
	const failed = (row: number): boolean => waterfall.failed[row] === 1;
	assert.equal(findRow(waterfall, 0, 1, failed), 2);
	assert.equal(findRow(waterfall, 2, 1, failed), 0);
	assert.equal(findRow(waterfall, 0, -1, failed), 2);
	assert.equal(
		findRow(waterfall, 0, 1, () => false),
		-1,
	);
});

test("a chain of 100,000 spans is laid out in one second", () => {
	const spans = Array.from({ length: 100_000 }, (_, i) =>
		spanOf({ id: `s${i}`, ...(i === 0 ? {} : { parent: `s${i - 1}` }), start: i }),
	);
	const startedMs = performance.now();
	const waterfall = buildWaterfall({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
	const tookMs = performance.now() - startedMs;
	assert.equal(waterfall.depth[99_999], 99_999);
	assert.ok(tookMs < 1_000, `took ${tookMs.toFixed(0)} ms`);
});

test("any parents whatever give every span exactly one row below its parent", () => {
	let seed = 20_261;
	const random = (below: number): number => {
		seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
		return Math.floor((seed / 2 ** 32) * below);
	};
	for (let round = 0; round < 300; round++) {
		const size = 1 + random(30);
		const spans = Array.from({ length: size }, () =>
			spanOf({ id: `s${random(size)}`, parent: `s${random(size + 3)}`, start: random(50), kind: random(6) }),
		);
		const waterfall = buildWaterfall({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
		assert.equal(new Set(waterfall.spans).size, size);
		for (let row = 0; row < size; row++) {
			const parent = waterfall.parent[row]!;
			assert.ok(parent < row, "a parent stands above its child");
			if (parent >= 0) assert.ok(row < waterfall.subtreeEnd[parent]!, "a child lies inside its parent's subtree");
		}
	}
});
