import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { matchesScalar, scalarText } from "../../model/otlp/attribute-match.ts";
import { decodeLogRecord, decodeResourceGroup, decodeSpan } from "../../model/otlp/decode.ts";
import { BlockBuilder } from "../block/builder.ts";
import { BlockReader } from "../block/reader.ts";
import { logsData, protobufjsEncode, tracesData } from "../conformance/otlp-arbitraries.ts";
import type { AttributeFilter } from "../store.ts";
import { AttributeMatcher } from "./block-match.ts";

function blockOf(signal: "traces" | "logs", payload: Uint8Array, withFilter: boolean): BlockReader | undefined {
	const shape = signal === "traces" ? SPAN_SHAPE : LOG_SHAPE;
	const columns = new RecordColumns(shape);
	(signal === "traces" ? skimTraces : skimLogs)(payload, columns, DEFAULT_LIMITS);
	if (columns.count === 0) return undefined;
	const builder = new BlockBuilder(shape);
	builder.addColumns(columns);
	const { parts } = builder.finish({ level: 1, withFilter });
	return new BlockReader((part) => parts[part]);
}

function traces(...spans: readonly object[]): Uint8Array {
	const withIds = spans.map((span, i) => ({
		traceId: (i + 1).toString(16).padStart(32, "0"),
		spanId: (i + 1).toString(16).padStart(16, "0"),
		...span,
	}));
	const resource = {
		attributes: [
			{ key: "service.name", value: { stringValue: "cart" } },
			{ key: "host", value: { stringValue: "h1" } },
		],
	};
	return protobufjsEncode("TracesData", { resourceSpans: [{ resource, scopeSpans: [{ scope: {}, spans: withIds }] }] });
}

function text(key: string, value: string): { readonly key: string; readonly value: { readonly stringValue: string } } {
	return { key, value: { stringValue: value } };
}

function rowsMatching(block: BlockReader, filters: readonly AttributeFilter[]): number {
	const matcher = new AttributeMatcher(block, filters);
	let rows = 0;
	for (let row = 0; row < block.head().rows; row++) if (matcher.matches(row)) rows++;
	if (!matcher.possible()) assert.equal(rows, 0);
	return rows;
}

test("all filters must hold for one row; the resource's attributes count as its own", () => {
	const both = { attributes: [text("a", "1"), text("b", "2")] };
	const block = blockOf("traces", traces(both, { attributes: [text("a", "1")] }, { attributes: [text("b", "2")] }), true)!;
	const a: AttributeFilter = { key: "a", value: "1", type: "text" };
	const b: AttributeFilter = { key: "b", value: "2", type: "string" };
	assert.equal(rowsMatching(block, []), 3);
	assert.equal(rowsMatching(block, [a]), 2);
	assert.equal(rowsMatching(block, [a, b]), 1);
	assert.equal(rowsMatching(block, [a, { key: "host", value: "h1", type: "text" }]), 2);
	assert.equal(rowsMatching(block, [a, { key: "host", value: "h2", type: "text" }]), 0);
});

test("a typed filter matches its type only, however its value is written", () => {
	const attributes = [
		{ key: "int", value: { intValue: "7" } },
		{ key: "double", value: { doubleValue: 1000 } },
		{ key: "bool", value: { boolValue: true } },
		text("string", "7"),
	];
	for (const withFilter of [true, false]) {
		const block = blockOf("traces", traces({ attributes }), withFilter)!;
		const matches = (key: string, type: AttributeFilter["type"], value: string): boolean =>
			rowsMatching(block, [{ key, type, value }]) === 1;
		assert.ok(
			matches("int", "int", "007") &&
				matches("int", "text", "7") &&
				!matches("int", "string", "7") &&
				!matches("int", "text", "007"),
		);
		assert.ok(matches("double", "double", "1e3") && matches("double", "text", "1000") && !matches("double", "int", "1000"));
		assert.ok(matches("bool", "bool", "true") && matches("bool", "text", "true") && !matches("bool", "string", "true"));
		assert.ok(matches("string", "string", "7") && matches("string", "text", "7") && !matches("string", "int", "7"));
	}
});

test("the token filter rules a block out without the dictionary being read", () => {
	const shape = SPAN_SHAPE;
	const columns = new RecordColumns(shape);
	skimTraces(traces({ attributes: [text("a", "1")] }), columns, DEFAULT_LIMITS);
	const builder = new BlockBuilder(shape);
	builder.addColumns(columns);
	const { parts } = builder.finish({ level: 1, withFilter: true });
	const loaded: string[] = [];
	const block = new BlockReader((part) => {
		loaded.push(part);
		return parts[part];
	});
	assert.equal(new AttributeMatcher(block, [{ key: "a", value: "absent", type: "text" }]).possible(), false);
	assert.deepEqual(loaded, ["filter"]);
});

test("a key that does not lie first, is doubled, or is long is found like any other", () => {
	const long = "k".repeat(200);
	const block = blockOf(
		"traces",
		traces({ attributes: [text(long, "v"), text("k", "w".repeat(300)), { value: { stringValue: "no key" } }] }),
		true,
	)!;
	assert.equal(rowsMatching(block, [{ key: long, value: "v", type: "text" }]), 1);
	assert.equal(rowsMatching(block, [{ key: "k", value: "w".repeat(300), type: "text" }]), 1);
	assert.equal(rowsMatching(block, [{ key: "", value: "no key", type: "text" }]), 1);
	assert.equal(rowsMatching(block, [{ key: "k", value: "w", type: "text" }]), 0);
});

const anyFilter = fc.record({
	key: fc.constantFrom("http.method", "http.status_code", "service.name", "peer", "", "__proto__"),
	value: fc.oneof(fc.constantFrom("", "true", "0", "200"), fc.string({ maxLength: 4 })),
	type: fc.constantFrom("text", "string", "int", "double", "bool"),
}) as fc.Arbitrary<AttributeFilter>;

for (const signal of ["traces", "logs"] as const) {
	test(`rows of ${signal} match as their decoded attributes do`, () => {
		const data: fc.Arbitrary<object> = signal === "traces" ? tracesData : logsData;
		fc.assert(
			fc.property(data, fc.array(anyFilter, { maxLength: 2 }), fc.boolean(), fc.nat(), (json, random, withFilter, pick) => {
				const block = blockOf(
					signal,
					protobufjsEncode(signal === "traces" ? "TracesData" : "LogsData", json),
					withFilter,
				);
				if (block === undefined) return;
				const rows = Array.from({ length: block.head().rows }, (_, row) => attributesOf(block, row));
				const all = rows.flat();
				// A filter that some row holds, beside random ones that hardly any does.
				const present = all[pick % Math.max(1, all.length)];
				const scalar = scalarText(present?.value);
				const sure: AttributeFilter[] =
					scalar === undefined
						? []
						: [{ key: present?.key ?? "", value: scalar.text, type: pick % 2 === 0 ? "text" : scalar.type }];
				for (const filters of [sure, random, [...sure, ...random]]) {
					const matcher = new AttributeMatcher(block, filters);
					for (const [row, own] of rows.entries()) {
						const expected = filters.every(({ key, value, type }) =>
							own.some((each) => (each.key ?? "") === key && matchesScalar(scalarText(each.value), type, value)),
						);
						assert.equal(matcher.matches(row), expected, JSON.stringify({ filters, own }));
					}
				}
			}),
			{ numRuns: Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 1_000) },
		);
	});

	function attributesOf(block: BlockReader, row: number) {
		const record = block.record(row);
		const { attributes = [] } = (signal === "traces" ? decodeSpan : decodeLogRecord)(record, 0, record.length);
		const group = block.item(block.head().scopes[block.head().classes.scope[block.rowClasses()[row]!]!]!.resourceItem);
		return [...attributes, ...(decodeResourceGroup(group, 0, group.length).resource.attributes ?? [])];
	}
}
