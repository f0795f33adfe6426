import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MeshscopeError } from "../../model/errors.ts";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import { metricsData } from "../../store/conformance/metric-arbitraries.ts";
import {
	logsData,
	type OtlpMessageName,
	protobufjsDecode,
	protobufjsEncode,
	tracesData,
} from "../../store/conformance/otlp-arbitraries.ts";
import type { Signal } from "../../store/store.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { otlpJsonToProtobuf, type TranscodeResult } from "./otlp-json.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000);
const encoder = new TextEncoder();

function transcode(signal: Signal, json: unknown, limits = DEFAULT_LIMITS): TranscodeResult {
	const text = typeof json === "string" ? json : JSON.stringify(json, negativeZero);
	return otlpJsonToProtobuf(signal, Uint8Array.from(encoder.encode(text)), limits);
}

/** JSON.stringify writes -0 as 0; OTLP JSON can say it as a number in a text. */
function negativeZero(_key: string, value: unknown): unknown {
	return Object.is(value, -0) ? "-0" : value;
}

/** A traces request around spans given as JSON text. */
function around(...spans: string[]): string {
	return `{"resourceSpans":[{"scopeSpans":[{"spans":[${spans.join(",")}]}]}]}`;
}

const IDS = '"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708"';

function spansOf(result: TranscodeResult): readonly object[] {
	return decodeTracesData(result.bytes).resourceSpans?.[0]?.scopeSpans?.[0]?.spans ?? [];
}

const SIGNALS: readonly (readonly [Signal, OtlpMessageName, fc.Arbitrary<object>])[] = [
	["traces", "TracesData", tracesData],
	["logs", "LogsData", logsData],
	["metrics", "MetricsData", metricsData],
];

for (const [signal, message, arbitrary] of SIGNALS) {
	test(`${signal}: JSON means the same in protobuf as protobufjs makes of it`, () => {
		fc.assert(
			fc.property(arbitrary, fc.constantFrom(undefined, "\t"), (json, indent) => {
				const result = transcode(signal, JSON.stringify(json, negativeZero, indent));
				assert.deepEqual(result.dropped, {}, result.messages.join("; "));
				assert.deepEqual(
					protobufjsDecode(message, result.bytes),
					protobufjsDecode(message, protobufjsEncode(message, json)),
				);
			}),
			{ numRuns: Math.ceil(numRuns / 10) },
		);
	});

	test(`${signal}: snake_case names, upper-case ids and numbers for 64-bit integers mean the same`, () => {
		fc.assert(
			fc.property(arbitrary, (json) => {
				const expected = transcode(signal, json);
				assert.deepEqual(transcode(signal, otherSpelling(JSON.stringify(json, negativeZero))).bytes, expected.bytes);
			}),
			{ numRuns: Math.ceil(numRuns / 10) },
		);
	});

	test(`${signal}: damaged JSON is transcoded, dropped in part or refused, and never anything else`, () => {
		const edits = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'{}[]",:0e-."\\\u0000\u00ff9ntf x')), {
			minLength: 1,
			maxLength: 5,
		});
		fc.assert(
			fc.property(arbitrary, edits, (json, changes) => {
				const bytes = Uint8Array.from(encoder.encode(JSON.stringify(json)));
				for (const [at, char] of changes) bytes[at % bytes.length] = char.charCodeAt(0);
				try {
					protobufjsDecode(message, otlpJsonToProtobuf(signal, bytes, DEFAULT_LIMITS).bytes);
				} catch (error) {
					assert.ok(error instanceof MeshscopeError, String(error));
					assert.equal(error.code, "malformed_payload");
				}
			}),
			{ numRuns: Math.ceil(numRuns / 3) },
		);
	});

	test(`${signal}: random bytes and random JSON are refused or dropped`, () => {
		const json = fc.oneof(
			fc.uint8Array({ maxLength: 60 }),
			fc.json().map((text) => encoder.encode(text)),
		);
		fc.assert(
			fc.property(json, (input) => {
				try {
					otlpJsonToProtobuf(signal, Uint8Array.from(input), DEFAULT_LIMITS);
				} catch (error) {
					assert.ok(error instanceof MeshscopeError, String(error));
				}
			}),
			{ numRuns },
		);
	});
}

/** Keys of the schema in snake_case, hex ids in upper case, integers without quotes. */
function otherSpelling(text: string): string {
	return text
		.replace(
			/"(resourceSpans|scopeSpans|schemaUrl|droppedAttributesCount|stringValue|arrayValue|traceId|startTimeUnixNano|bucketCounts|dataPoints|logRecords|asInt)":/g,
			(_, key: string) => `"${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}":`,
		)
		.replace(
			/"(trace_id|spanId|parentSpanId)":"([0-9a-f]+)"/g,
			(_, key: string, id: string) => `"${key}":"${id.toUpperCase()}"`,
		)
		.replace(/"(start_time_unix_nano|endTimeUnixNano|timeUnixNano|intValue|as_int|count)":"(-?\d+)"/g, '"$1":$2');
}

test("an empty request, a byte order mark and white space are read", () => {
	for (const text of [
		"{}",
		" {\r\n}\t",
		"\ufeff{}",
		'{"resourceSpans":null}',
		'{"resourceSpans":[]}',
		'{"unknown":{"a":[1,{}]}}',
	]) {
		assert.deepEqual(transcode("traces", text), {
			bytes: new Uint8Array(0),
			dropped: {},
			messages: [],
			invalidUtf8Strings: 0,
		});
	}
});

test("what is no JSON object is refused with the byte", () => {
	for (const text of [
		"",
		"[]",
		"null",
		"5",
		"{",
		'{"a"',
		'{"a":1',
		'{"a":1,}',
		"{} {}",
		'{"resourceSpans":[}',
		"{a:1}",
		'{"a":tru}',
		'{"a":"x',
	]) {
		assert.throws(
			() => transcode("traces", text),
			(error) => error instanceof MeshscopeError && error.code === "malformed_payload",
			text,
		);
	}
	assert.throws(() => transcode("traces", '{"a":1]'), /byte 6/);
});

test("unknown fields are ignored at every level", () => {
	const result = transcode(
		"traces",
		`{"x":1,"resourceSpans":[{"y":{"z":[{}]},"scopeSpans":[{"w":"","spans":[{${IDS},"name":"a","newField":[1,2,{"deep":null}]}]}]}]}`,
	);
	assert.deepEqual(spansOf(result), [{ traceId: "0102030405060708090a0b0c0d0e0f10", spanId: "0102030405060708", name: "a" }]);
});

test("enum names are read beside enum numbers", () => {
	const result = transcode("traces", around(`{${IDS},"kind":"SPAN_KIND_CLIENT","status":{"code":"STATUS_CODE_ERROR"}}`));
	assert.deepEqual(spansOf(result), [
		{ traceId: "0102030405060708090a0b0c0d0e0f10", spanId: "0102030405060708", kind: 3, status: { code: 2 } },
	]);
});

test("a wrong type in one record costs that record alone, and says where and why", () => {
	const wrong = [
		`{${IDS},"name":5}`,
		`{${IDS},"kind":"NO_SUCH_KIND"}`,
		`{${IDS},"attributes":{}}`,
		`{${IDS},"attributes":[{"key":"k","value":{"intValue":"1.5"}}]}`,
		`{${IDS},"attributes":[{"key":"k","value":{"intValue":"99999999999999999999"}}]}`,
		`{${IDS},"attributes":[{"key":"k","value":{"boolValue":"true"}}]}`,
		`{${IDS},"attributes":[{"key":"k","value":{"bytesValue":"%%%"}}]}`,
		`{${IDS},"startTimeUnixNano":-1}`,
		`{${IDS},"startTimeUnixNano":"soon"}`,
		`{${IDS},"droppedEventsCount":4294967296}`,
		`{${IDS},"status":[]}`,
		`{${IDS},"events":[null]}`,
		`{${IDS},"name":"bad escape \\q"}`,
		`{${IDS},"name":"raw control \u0001"}`,
		`{${IDS},"kind":01}`,
		"null",
		"[]",
		'"span"',
		"7",
	];
	const good = `{${IDS},"name":"good"}`;
	for (const bad of wrong) {
		const result = transcode("traces", around(good, bad, good));
		assert.equal(spansOf(result).length, 2, bad);
		assert.deepEqual(result.dropped, { malformed_record: 1 }, bad);
		assert.equal(result.messages.length, 1);
	}
	assert.deepEqual(transcode("traces", around(good, wrong[3]!)).messages, [
		'spans[1].attributes[0].value.intValue: expected int64, not "1.5"',
	]);
});

test("messages about dropped records are few and short", () => {
	const result = transcode(
		"traces",
		around(...new Array<string>(1000).fill(`{"name":"${"x".repeat(9)}","kind":"${"y".repeat(9_000)}"}`)),
	);
	assert.deepEqual(result.dropped, { malformed_record: 1000 });
	assert.equal(result.messages.length, 8);
	for (const message of result.messages) assert.ok(message.length < 200, message);
});

test("ids that are no hex are dropped by their own reason, ids of another length are for the reader behind to judge", () => {
	const result = transcode(
		"traces",
		around(
			'{"traceId":"xyz","spanId":"0102030405060708"}',
			'{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"123"}',
			`{${IDS},"parentSpanId":"zz"}`,
			'{"traceId":"0102","spanId":""}',
		),
	);
	assert.deepEqual(result.dropped, { invalid_trace_id: 1, invalid_span_id: 1, invalid_parent_id: 1 });
	assert.deepEqual(spansOf(result), [{ traceId: "0102" }]);
});

test("a resource or scope that cannot be read costs the records under it and no others", () => {
	const span = `{${IDS}}`;
	const result = transcode(
		"traces",
		`{"resourceSpans":[
			{"scopeSpans":[{"spans":[${span},${span}]}],"resource":{"attributes":5}},
			{"resource":{},"scopeSpans":[{"scope":"x","spans":[${span}]},{"spans":[${span}]}]},
			{"scopeSpans":{}},
			7
		]}`,
	);
	assert.deepEqual(result.dropped, { malformed_record: 5 });
	const groups = decodeTracesData(result.bytes).resourceSpans ?? [];
	assert.equal(groups.length, 1);
	assert.equal(groups[0]!.scopeSpans!.length, 1);
});

test("integers beyond 2^53 keep every digit, as numbers too", () => {
	const result = transcode(
		"traces",
		around(
			`{${IDS},"startTimeUnixNano":1544712660300000123,"endTimeUnixNano":18446744073709551615,"attributes":[{"key":"k","value":{"intValue":-9223372036854775808}},{"key":"d","value":{"doubleValue":12345678901234567890}}]}`,
		),
	);
	assert.deepEqual(spansOf(result), [
		{
			traceId: "0102030405060708090a0b0c0d0e0f10",
			spanId: "0102030405060708",
			startTimeUnixNano: "1544712660300000123",
			endTimeUnixNano: "18446744073709551615",
			attributes: [
				{ key: "k", value: { intValue: "-9223372036854775808" } },
				{ key: "d", value: { doubleValue: Number("12345678901234567890") } },
			],
		},
	]);
});

test("of equal keys the last wins, and __proto__ is a key like any unknown one", () => {
	const result = transcode(
		"traces",
		around(
			`{${IDS},"name":"first","name":"last","__proto__":{"kind":3},"attributes":[{"key":"__proto__","value":{"stringValue":"v"}}]}`,
		),
	);
	assert.deepEqual(spansOf(result), [
		{
			traceId: "0102030405060708090a0b0c0d0e0f10",
			spanId: "0102030405060708",
			name: "last",
			attributes: [{ key: "__proto__", value: { stringValue: "v" } }],
		},
	]);
});

test("bytes that are not UTF-8 and lone surrogates become U+FFFD and are counted", () => {
	const text = around(`{${IDS},"name":"a?b","traceState":"\\ud800"}`);
	const bytes = Uint8Array.from(encoder.encode(text));
	bytes[text.indexOf("?")] = 0xff;
	const result = otlpJsonToProtobuf("traces", bytes, DEFAULT_LIMITS);
	assert.deepEqual(spansOf(result), [
		{ traceId: "0102030405060708090a0b0c0d0e0f10", spanId: "0102030405060708", name: "a\ufffdb", traceState: "\ufffd" },
	]);
	assert.equal(result.invalidUtf8Strings, 2);
});

test("10 MB of opening brackets are refused in milliseconds, wherever they stand", () => {
	const brackets = "[".repeat(10_000_000);
	for (const text of [brackets, `{"a":${brackets}`, around(`{"attributes":${brackets}`), `{"a":${'{"a":'.repeat(2_000_000)}`]) {
		const bytes = Uint8Array.from(encoder.encode(text));
		const heapBefore = process.memoryUsage().heapUsed;
		const started = performance.now();
		assert.throws(
			() => otlpJsonToProtobuf("traces", bytes, DEFAULT_LIMITS),
			(error) => error instanceof MeshscopeError && error.code === "malformed_payload",
		);
		const elapsedMs = performance.now() - started;
		assert.ok(elapsedMs < 100, `${elapsedMs} ms`);
		assert.ok(process.memoryUsage().heapUsed - heapBefore < 20_000_000);
	}
});

test("more records or groups than the limit refuse the batch before they are all read", () => {
	const limits = { ...DEFAULT_LIMITS, maxRecords: 10 };
	assert.equal(spansOf(transcode("traces", around(...new Array<string>(10).fill("{}")), limits)).length, 10);
	for (const text of [
		around(...new Array<string>(11).fill("{}")),
		`{"resourceSpans":[${new Array<string>(11).fill("{}").join(",")}]}`,
	]) {
		assert.throws(
			() => transcode("traces", text, limits),
			(error) => error instanceof MeshscopeError && error.code === "payload_too_large",
		);
	}
});

test("a record too large to be read costs itself alone", () => {
	const limits = { ...DEFAULT_LIMITS, maxRecordBytes: 1_000 };
	const result = transcode("traces", around(`{${IDS},"name":"${"n".repeat(4_000)}"}`, `{${IDS}}`), limits);
	assert.deepEqual(result.dropped, { record_too_large: 1 });
	assert.equal(spansOf(result).length, 1);
	const many = transcode("traces", around(`{${IDS},"attributes":[${new Array<string>(300_000).fill("{}").join(",")}]}`));
	assert.deepEqual(many.dropped, { record_too_large: 1 });
});
