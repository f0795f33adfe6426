import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OtlpSpan } from "../../base/otlp.ts";
import { criticalPath, NO_ROW } from "./critical-path.ts";
import { timeSpent } from "./time-spent.ts";
import { buildWaterfall } from "../waterfall.ts";
import type { Waterfall } from "../waterfall.ts";

type Sketch = readonly [id: string, parent: string, fromNs: number, toNs: number];

function waterfallOf(...sketches: readonly Sketch[]): Waterfall {
	const spans = sketches.map(([spanId, parentSpanId, from, to]): OtlpSpan => ({
		spanId,
		parentSpanId,
		name: spanId,
		startTimeUnixNano: String(1_000_000 + from),
		endTimeUnixNano: String(1_000_000 + to),
	}));
	return buildWaterfall({ resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

/** `name from-to` of each piece. */
function pieces(waterfall: Waterfall): string[] {
	const { rows, fromNs, toNs } = criticalPath(waterfall);
	return rows.map((row, i) => `${row === NO_ROW ? "none" : waterfall.spans[row]!.name} ${fromNs[i]}-${toNs[i]}`);
}

test("the path goes through the child that ended last, and the rest is the span's own", () => {
	const waterfall = waterfallOf(["a1", "", 0, 100], ["b1", "a1", 10, 60], ["c1", "a1", 20, 90], ["d1", "c1", 30, 40]);
	assert.deepEqual(pieces(waterfall), ["a1 0-20", "c1 20-30", "d1 30-40", "c1 40-90", "a1 90-100"]);
});

test("calls one after the other are both on the path", () => {
	const waterfall = waterfallOf(["a1", "", 0, 100], ["b1", "a1", 10, 40], ["c1", "a1", 50, 90]);
	assert.deepEqual(pieces(waterfall), ["a1 0-10", "b1 10-40", "a1 40-50", "c1 50-90", "a1 90-100"]);
});

test("a child that outlasts its parent counts until the parent's end", () => {
	const waterfall = waterfallOf(["a1", "", 0, 100], ["b1", "a1", 0, 50], ["c1", "b1", 40, 90]);
	assert.deepEqual(pieces(waterfall), ["b1 0-40", "c1 40-50", "a1 50-100"]);
});

test("time in which no span ran is nobody's", () => {
	assert.deepEqual(pieces(waterfallOf(["a1", "", 0, 10], ["b1", "gone", 30, 50])), ["a1 0-10", "none 10-30", "b1 30-50"]);
});

test("an empty trace has no path", () => {
	assert.deepEqual(pieces(waterfallOf()), []);
});

test("a chain of 100,000 spans has a path", () => {
	const chain = Array.from({ length: 100_000 }, (_, i): Sketch => [`s${i}`, i === 0 ? "" : `s${i - 1}`, i, 300_000 - i]);
	assert.equal(criticalPath(waterfallOf(...chain)).rows.length, 199_999);
});

test("pieces follow each other without gap or overlap, add up to the trace's duration, and lie inside their spans", () => {
	const span = fc.record({ parent: fc.nat(12), from: fc.nat(40), length: fc.nat(40) });
	fc.assert(
		fc.property(fc.array(span, { minLength: 1, maxLength: 12 }), (drawn) => {
			const waterfall = waterfallOf(
				...drawn.map(({ parent, from, length }, i): Sketch => [`s${i}`, `s${parent}`, from, from + length]),
			);
			const { rows, fromNs, toNs, ownNs } = criticalPath(waterfall);
			let moment = 0;
			for (const [i, row] of rows.entries()) {
				assert.equal(fromNs[i], moment);
				assert.ok(toNs[i]! > moment);
				moment = toNs[i]!;
				if (row === NO_ROW) continue;
				assert.ok(fromNs[i]! >= waterfall.offsetNs[row]!);
				assert.ok(toNs[i]! <= waterfall.offsetNs[row]! + waterfall.lengthNs[row]!);
			}
			assert.equal(moment, waterfall.durationNs);
			const nobodys = rows.reduce((sum, row, i) => sum + (row === NO_ROW ? toNs[i]! - fromNs[i]! : 0), 0);
			assert.equal(
				ownNs.reduce((sum, ns) => sum + ns, nobodys),
				waterfall.durationNs,
			);
		}),
	);
});

test("time is summed by service and operation, most of the path first", () => {
	const waterfall = waterfallOf(["a1", "", 0, 100], ["b1", "a1", 10, 60], ["c1", "a1", 20, 90]);
	const sums = timeSpent(waterfall);
	assert.deepEqual(
		sums.map(({ operation, pathNs, selfNs, totalNs, row }) => [operation, pathNs, selfNs, totalNs, row]),
		[
			["c1", 70, 70, 70, 2],
			["a1", 30, 20, 100, 0],
			["b1", 0, 50, 50, 1],
		],
	);
});
