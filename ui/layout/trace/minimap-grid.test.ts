import assert from "node:assert/strict";
import { test } from "node:test";
import { buildWaterfall } from "../waterfall.ts";
import type { Waterfall } from "../waterfall.ts";
import { minimapGrid } from "./minimap-grid.ts";

/** Roots, in order of start. */
function waterfallOf(...spans: readonly (readonly [service: string, from: number, to: number, isFailed?: boolean])[]): Waterfall {
	return buildWaterfall({
		resourceSpans: spans.map(([service, from, to, isFailed = false], i) => ({
			resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
			scopeSpans: [
				{
					spans: [
						{
							spanId: String(i + 1).padStart(16, "0"),
							startTimeUnixNano: String(1_000_000 + from),
							endTimeUnixNano: String(1_000_000 + to),
							...(isFailed ? { status: { code: 2 } } : {}),
						},
					],
				},
			],
		})),
	});
}

/** A character a pixel: the slot, `x` for failed, `.` for none. */
function told(waterfall: Waterfall, columns: number, lines: number): string[] {
	const text = Array.from(minimapGrid(waterfall, [0, 1, 2], columns, lines), (slot) => "0123456789x."[slot]).join("");
	return Array.from({ length: lines }, (_, line) => text.slice(line * columns, (line + 1) * columns));
}

test("each line shows the spans that fall on it, the later ones before the earlier", () => {
	const waterfall = waterfallOf(["a", 0, 100], ["b", 10, 30], ["a", 40, 60], ["c", 50, 50]);
	assert.deepEqual(told(waterfall, 10, 2), ["0110000000", "....02...."]);
});

test("a failed span is seen whatever shares its pixels, and one without length is a pixel wide", () => {
	assert.deepEqual(told(waterfallOf(["a", 0, 100], ["a", 50, 50, true], ["b", 50, 90]), 10, 1), ["00000x1110"]);
});

test("a span at the very end keeps a pixel, a trace without length its first, and a long stretch all of its pixels", () => {
	assert.deepEqual(told(waterfallOf(["a", 0, 10], ["b", 10, 10]), 10, 2), ["0000000000", ".........1"]);
	assert.deepEqual(told(waterfallOf(["a", 0, 0]), 10, 1), ["0........."]);
	assert.deepEqual(told(waterfallOf(["a", 0, 100], ["b", 10, 90]), 100, 1), [
		`${"0".repeat(10)}${"1".repeat(80)}${"0".repeat(10)}`,
	]);
});
