import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
	keyValue,
	logRecord,
	protobufjsEncode,
	resource,
	scope,
	span,
	tracesData,
	type OtlpMessageName,
} from "../../store/conformance/otlp-arbitraries.ts";
import { WireError } from "../protobuf/reader.ts";
import { WireWriter } from "../protobuf/writer.ts";
import { base64 } from "./any-value.ts";
import {
	attributesToPlain,
	decodeAnyValue,
	decodeKeyValue,
	decodeLogRecord,
	decodeResource,
	decodeResourceGroup,
	decodeScope,
	decodeSpan,
	decodeTracesData,
} from "./decode.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000);

type Decoder = (bytes: Uint8Array, start: number, end: number) => object;

const MESSAGES: readonly (readonly [OtlpMessageName, fc.Arbitrary<object>, Decoder])[] = [
	["Span", span, decodeSpan],
	["LogRecord", logRecord, decodeLogRecord],
	["Resource", resource, decodeResource],
	["InstrumentationScope", scope, decodeScope],
	["KeyValue", keyValue, decodeKeyValue],
];

for (const [message, arbitrary, decode] of MESSAGES) {
	test(`a ${message} encoded by protobufjs is read back as the JSON it came from`, () => {
		fc.assert(
			fc.property(arbitrary, (json) => {
				const bytes = protobufjsEncode(message, json);
				assert.deepEqual(decode(bytes, 0, bytes.length), json);
			}),
			{ numRuns: Math.ceil(numRuns / 5) },
		);
	});

	test(`a damaged ${message} is read or refused with WireError`, () => {
		fc.assert(
			fc.property(
				arbitrary,
				fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
				(json, edits) => {
					const bytes = protobufjsEncode(message, json);
					for (const [at, byte] of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
					expectWireErrorAtMost(() => decode(bytes, 0, bytes.length));
				},
			),
			{ numRuns: Math.ceil(numRuns / 5) },
		);
	});

	test(`random bytes as ${message} are read or refused with WireError`, () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => expectWireErrorAtMost(() => decode(bytes, 0, bytes.length))),
			{ numRuns },
		);
	});
}

function expectWireErrorAtMost(run: () => unknown): void {
	try {
		run();
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
	}
}

test("TracesData is read back whole, empty groups included", () => {
	fc.assert(
		fc.property(tracesData, (json) => {
			const bytes = protobufjsEncode("TracesData", json);
			const withEmptyParts = (json.resourceSpans ?? []).map((group) => ({
				resource: {},
				...group,
				...(group.scopeSpans === undefined
					? {}
					: { scopeSpans: group.scopeSpans.map((inner) => ({ scope: {}, ...inner })) }),
			}));
			assert.deepEqual(decodeTracesData(bytes), withEmptyParts.length === 0 ? {} : { resourceSpans: withEmptyParts });
		}),
		{ numRuns: Math.ceil(numRuns / 10) },
	);
});

test("unknown fields and known fields of a wrong wire type are passed over", () => {
	const writer = new WireWriter();
	writer.stringField(99, "from the future");
	writer.fixed32Field(100, 7);
	writer.varintField(1, 5);
	writer.fixed64Field(5, 5n);
	writer.stringField(7, "a time as text");
	writer.varintField(6, 2);
	const bytes = writer.finish();
	assert.deepEqual(decodeSpan(bytes, 0, bytes.length), { kind: 2 });
});

test("a field given twice takes its last value, and a default last value is absent", () => {
	const writer = new WireWriter();
	writer.stringField(5, "first");
	writer.stringField(5, "second");
	writer.varintField(6, 3);
	writer.varintField(6, 0);
	const bytes = writer.finish();
	assert.deepEqual(decodeSpan(bytes, 0, bytes.length), { name: "second" });
});

test("a resource given twice in its group is merged", () => {
	const writer = new WireWriter();
	writer.bytesField(1, protobufjsEncode("Resource", { attributes: [{ key: "a", value: { intValue: "1" } }] }));
	writer.bytesField(2, new Uint8Array(3));
	writer.bytesField(1, protobufjsEncode("Resource", { attributes: [{ key: "b", value: {} }], droppedAttributesCount: 2 }));
	writer.stringField(3, "https://schema");
	const bytes = writer.finish();
	assert.deepEqual(decodeResourceGroup(bytes, 0, bytes.length), {
		resource: {
			attributes: [
				{ key: "a", value: { intValue: "1" } },
				{ key: "b", value: {} },
			],
			droppedAttributesCount: 2,
		},
		schemaUrl: "https://schema",
	});
});

test("a value in 32 lists is read, what lies deeper is given as its bytes", () => {
	function nested(levels: number): Uint8Array {
		const writer = new WireWriter();
		if (levels === 1) writer.stringField(1, "core");
		else {
			const list = writer.begin(5);
			writer.bytesField(1, nested(levels - 1));
			writer.end(list);
		}
		return writer.finish();
	}
	let value = decodeAnyValue(nested(33), 0, nested(33).length);
	for (let level = 1; level < 33; level++) value = value.arrayValue!.values![0]!;
	assert.deepEqual(value, { stringValue: "core" });
	value = decodeAnyValue(nested(34), 0, nested(34).length);
	for (let level = 1; level < 34; level++) value = value.arrayValue!.values![0]!;
	assert.deepEqual(value, { bytesValue: base64(nested(1)) });
	const deep = nested(2_000);
	assert.doesNotThrow(() => decodeAnyValue(deep, 0, deep.length));
});

test("plain attributes hold any key and no prototype", () => {
	const plain = attributesToPlain([
		{ key: "__proto__", value: { stringValue: "x" } },
		{ key: "constructor", value: { intValue: "9007199254740993" } },
		{ key: "toString", value: { intValue: "-7" } },
		{ key: "nested", value: { kvlistValue: { values: [{ key: "__proto__", value: { boolValue: false } }] } } },
		{ key: "list", value: { arrayValue: { values: [{ doubleValue: "NaN" }, {}, { bytesValue: "AA==" }] } } },
		{ key: "empty" },
		{ value: { stringValue: "no key" } },
	]);
	assert.equal(Object.getPrototypeOf(plain), null);
	assert.deepEqual(Object.keys(plain), ["__proto__", "constructor", "toString", "nested", "list", "empty", ""]);
	assert.equal(
		JSON.stringify(plain),
		'{"__proto__":"x","constructor":"9007199254740993","toString":"-7","nested":{"__proto__":false},"list":["NaN",null,"AA=="],"":"no key"}',
	);
	assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

test("base64 is what Buffer writes", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) =>
			assert.equal(base64(bytes), Buffer.from(bytes).toString("base64")),
		),
		{ numRuns },
	);
});

test("a trace of 100,000 spans with 17 attributes is read in a few seconds at worst", () => {
	const attributes = Array.from({ length: 17 }, (_, i) => ({
		key: `envoy.attribute.${i}`,
		value: { stringValue: `value of ${i}` },
	}));
	const one = protobufjsEncode("Span", {
		traceId: "0102030405060708090a0b0c0d0e0f10",
		spanId: "0102030405060708",
		name: "ingress",
		kind: 2,
		startTimeUnixNano: "1700000000000000000",
		endTimeUnixNano: "1700000000001000000",
		attributes,
	});
	const started = performance.now();
	let attributeCount = 0;
	for (let i = 0; i < 100_000; i++) attributeCount += decodeSpan(one, 0, one.length).attributes!.length;
	const elapsedMs = performance.now() - started;
	assert.equal(attributeCount, 1_700_000);
	// The aim is 1 s on an idle core; the bound leaves room for a machine that is busy with other tests.
	assert.ok(elapsedMs < 5_000, `${elapsedMs} ms`);
	console.log(`# decodeSpan ×100k: ${Math.round(elapsedMs)} ms`);
});
