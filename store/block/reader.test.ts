import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import { span } from "../conformance/workbench.ts";
import { BlockBuilder } from "./builder.ts";
import type { BlockParts } from "./format.ts";
import { BlockReader } from "./reader.ts";
import { STRETCH_ROWS } from "./cuts.ts";

const VALUE_BYTES = 1_000;

/** Of traces of one span, each with a long name or value of its own. */
function partsOf(rows: number, place: "name" | "attribute"): BlockParts {
	const spans = Array.from({ length: rows }, (_, i) => {
		const text = `${i} `.padStart(VALUE_BYTES, "x");
		return span(i + 1, 1, place === "name" ? { name: text } : { attributes: [{ key: "k", value: { stringValue: text } }] });
	});
	const columns = new RecordColumns(SPAN_SHAPE);
	skimTraces(protobufjsEncode("TracesData", { resourceSpans: [{ scopeSpans: [{ spans }] }] }), columns, DEFAULT_LIMITS);
	const builder = new BlockBuilder(SPAN_SHAPE);
	builder.addColumns(columns);
	return builder.finish({ level: 1, withFilter: false }).parts;
}

for (const [kind, rows, place] of [
	["attributes in one stretch", 100, "attribute"],
	["attributes in several stretches", 3 * STRETCH_ROWS, "attribute"],
	["names", 100, "name"],
] as const) {
	test(`how large ${kind} are unpacked is told without unpacking them`, () => {
		const parts = partsOf(rows, place);
		assert.equal(parts.stretches !== undefined, rows > STRETCH_ROWS);
		const bytes = new BlockReader((part) => parts[part]).unpackedBytes();
		const stored = parts.heap!.length + parts.head!.length;
		assert.ok(stored * 5 < bytes, `${stored} stored`);
		// Neighbours share at most 255 bytes.
		assert.ok(bytes > rows * (VALUE_BYTES - 255) && bytes < rows * (2 * VALUE_BYTES + 100), `${bytes} bytes of ${rows} rows`);
	});
}

test("how large a block without its texts is unpacked cannot be told", () => {
	assert.throws(() => new BlockReader(() => undefined).unpackedBytes(), /the head of a block is missing/);
});
