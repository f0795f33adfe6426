import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LOG_SHAPE, SPAN_SHAPE } from "../../model/columns.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import type { OtlpKeyValue } from "../../model/otlp/types.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { keyValue, protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import { ByteWriter } from "./bytes.ts";
import { buildFilter, mayContain } from "./filter.ts";
import { HeapReader } from "./heap.ts";
import { attributeBody, collectTokens, type TokenSource, tokenOf } from "./tokens.ts";

function source(items: readonly Uint8Array[], resources: readonly number[] = [], shape = SPAN_SHAPE): TokenSource {
	const lengths = new ByteWriter();
	for (const { length } of items) lengths.varint(length);
	const heap = new ByteWriter();
	heap.varint(items.length);
	heap.varint(lengths.length);
	heap.raw(new Uint8Array(items.length));
	heap.raw(lengths.view());
	for (const item of items) heap.raw(item);
	return { shape, heap: new HeapReader(heap.view()), isResource: new Set(resources) };
}

function field(number: number, body: Uint8Array, tagHex?: string): Uint8Array {
	const writer = new WireWriter();
	if (tagHex === undefined) writer.bytesField(number, body);
	else {
		writer.raw(Buffer.from(tagHex, "hex"));
		writer.varint(body.length);
		writer.raw(body);
	}
	return writer.finish();
}

function attributeItem({ key, value }: OtlpKeyValue, tagHex?: string): Uint8Array {
	return field(SPAN_SHAPE.attributesField, protobufjsEncode("KeyValue", { key, value }), tagHex);
}

function holds(filter: Uint8Array, pair: OtlpKeyValue): boolean {
	const scalar = scalarText(pair.value);
	return scalar === undefined || mayContain(filter, tokenOf(pair.key ?? "", scalar.text));
}

test("the filter knows every scalar attribute of the block, of spans, of logs and of resources", () => {
	fc.assert(
		fc.property(fc.array(keyValue, { maxLength: 20 }), (pairs) => {
			const filter = buildFilter(collectTokens(source(pairs.map((pair) => attributeItem(pair)))));
			for (const pair of pairs) assert.ok(holds(filter, pair), JSON.stringify(pair));
			const logs = pairs.map((pair) => field(LOG_SHAPE.attributesField, protobufjsEncode("KeyValue", pair)));
			const logFilter = buildFilter(collectTokens(source(logs, [], LOG_SHAPE)));
			for (const pair of pairs) assert.ok(holds(logFilter, pair), JSON.stringify(pair));
			const resource = field(1, protobufjsEncode("Resource", { attributes: pairs }));
			const resourceFilter = buildFilter(collectTokens(source([resource], [1])));
			for (const pair of pairs) assert.ok(holds(resourceFilter, pair), JSON.stringify(pair));
		}),
		{ numRuns: 500 },
	);
});

test("an attribute is known however its tag, its lengths and its fields are written", () => {
	const pair = { key: "http.method", value: { stringValue: "GET" } };
	const backwards = Buffer.from("12050a034745540a0b687474702e6d6574686f64", "hex");
	const items = [attributeItem(pair, "ca00"), attributeItem(pair, "ca8000"), field(9, backwards)];
	for (const item of items) {
		const filter = buildFilter(collectTokens(source([item])));
		assert.ok(holds(filter, pair), Buffer.from(item).toString("hex"));
	}
	const field25 = attributeItem(pair, "ca01");
	assert.equal(attributeBody(field25, field25.length, SPAN_SHAPE), 0, "field 25 is none");
});

test("unknown fields of a scope that only look like an attribute give no token and no fault", () => {
	for (const hex of ["4a03ffffff", "4a", "4aff", "4a0412020a7f", "ca", "ca80", "4a020801"]) {
		const tokens = collectTokens(source([Buffer.from(hex, "hex")]));
		assert.ok(tokens.count <= 1, hex);
	}
});

test("fewer than three in a hundred values that are not there pass the filter, whatever its size", () => {
	for (const size of [10, 1_000, 50_000]) {
		const pairs = Array.from({ length: size }, (_, i) => ({ key: `key.${i % 17}`, value: { stringValue: `value ${i}` } }));
		const filter = buildFilter(collectTokens(source(pairs.map((pair) => attributeItem(pair)))));
		for (const pair of pairs) assert.ok(holds(filter, pair));
		let passed = 0;
		const asked = 10_000;
		for (let i = 0; i < asked; i++) if (mayContain(filter, tokenOf(`key.${i % 17}`, `other ${i}`))) passed++;
		assert.ok(passed < asked * 0.03, `${passed} of ${asked} at ${size} tokens`);
	}
});

test("key and value do not run into one another", () => {
	assert.notDeepEqual(tokenOf("ab", "c"), tokenOf("a", "bc"));
	assert.notDeepEqual(tokenOf("", "abc"), tokenOf("abc", ""));
});

test("an empty filter holds nothing", () => {
	const filter = buildFilter(collectTokens(source([])));
	assert.equal(mayContain(filter, tokenOf("a", "b")), false);
});
