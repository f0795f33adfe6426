import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LOG_SHAPE, RecordColumns, type RecordShape, SLOT, SPAN_SHAPE } from "../../model/columns.ts";
import { type DropReason, type ErrorCode, MeshscopeError } from "../../model/errors.ts";
import type { OtlpKeyValue, OtlpLogRecord, OtlpSpan } from "../../model/otlp/types.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { logsData, type OtlpMessageName, protobufjsEncode, tracesData } from "../../store/conformance/otlp-arbitraries.ts";
import { DEFAULT_LIMITS, type DecodeLimits } from "./limits.ts";
import { skimLogs, type SkimResult, skimTraces } from "./skim.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000);
const TRACE_ID = "0102030405060708090a0b0c0d0e0f10";
const SPAN_ID = "1112131415161718";

function skim(shape: RecordShape, bytes: Uint8Array, columns: RecordColumns, limits: DecodeLimits = DEFAULT_LIMITS): SkimResult {
	return (shape === SPAN_SHAPE ? skimTraces : skimLogs)(bytes, columns, limits);
}

interface Skimmed {
	readonly columns: RecordColumns;
	readonly result: SkimResult;
}

function skimNew(bytes: Uint8Array, limits: DecodeLimits = DEFAULT_LIMITS, shape: RecordShape = SPAN_SHAPE): Skimmed {
	const columns = new RecordColumns(shape);
	return { columns, result: skim(shape, bytes, columns, limits) };
}

function words(array: Uint32Array, at: number, count: number): string {
	return Array.from(array.subarray(at, at + count), (word) => word.toString(16).padStart(8, "0")).join("");
}

function time(array: Uint32Array, row: number): string {
	return String((BigInt(array[row * 2 + 1]!) << 32n) | BigInt(array[row * 2]!));
}

function text(columns: RecordColumns, start: number, end: number): string {
	return Buffer.from(columns.bytes.subarray(start, end)).toString("utf8");
}

function ranges(columns: RecordColumns, first: number, count: number): string {
	let out = "";
	for (let i = first; i < first + count; i++)
		out += Buffer.from(columns.bytes.subarray(columns.rangeStart[i]!, columns.rangeEnd[i]!)).toString("hex");
	return out;
}

/** Fields of the record: what each is, and its bytes in hex. */
function fieldsOf(columns: RecordColumns, row: number): { readonly slot: number; readonly hex: string }[] {
	const last = columns.firstField[row + 1]! - 1;
	assert.equal(columns.fieldSlot[last], SLOT.end);
	return Array.from({ length: last - columns.firstField[row]! }, (_, i) => {
		const field = columns.firstField[row]! + i;
		const bytes = columns.bytes.subarray(columns.fieldStart[field]!, columns.fieldStart[field + 1]!);
		return { slot: columns.fieldSlot[field]!, hex: Buffer.from(bytes).toString("hex") };
	});
}

/** The record's bytes as its field ranges have them, one after the other. */
function recordBytes(columns: RecordColumns, row: number): string {
	return fieldsOf(columns, row)
		.map(({ hex }) => hex)
		.join("");
}

/** Names of the record's slots, in the order of the wire. */
function slotsOf(columns: RecordColumns, row: number): (string | undefined)[] {
	const names = new Map<number, string>(Object.entries(SLOT).map(([name, slot]) => [slot, name]));
	return fieldsOf(columns, row).map(({ slot }) => names.get(slot));
}

function rowsOf(columns: RecordColumns): object[] {
	return Array.from({ length: columns.count }, (_, row) => {
		const scope = columns.scope[row]!;
		const resource = columns.scopeResource[scope]!;
		return {
			traceId: words(columns.traceId, row * 4, 4),
			spanId: words(columns.spanId, row * 2, 2),
			parentId: words(columns.parentId, row * 2, 2),
			time0: time(columns.time0, row),
			time1: time(columns.time1, row),
			kind: columns.kind[row],
			status: columns.status[row],
			name: text(columns, columns.nameStart[row]!, columns.nameEnd[row]!),
			service: text(columns, columns.serviceStart[resource]!, columns.serviceEnd[resource]!),
			bytes: recordBytes(columns, row),
			scope: ranges(columns, columns.scopeFirstRange[scope]!, columns.scopeRangeCount[scope]!),
			resource: ranges(columns, columns.resourceFirstRange[resource]!, columns.resourceRangeCount[resource]!),
		};
	});
}

function hexOf(message: OtlpMessageName, json: object): string {
	return Buffer.from(protobufjsEncode(message, json)).toString("hex");
}

/** A length-delimited field of a group in hex, or nothing where protobufjs writes nothing. */
function part(field: number, hex: string | undefined): string {
	if (hex === undefined) return "";
	const writer = new WireWriter();
	writer.bytesField(field, Buffer.from(hex, "hex"));
	return Buffer.from(writer.finish()).toString("hex");
}

interface JsonGroup {
	readonly resource?: { readonly attributes?: readonly OtlpKeyValue[] };
	readonly schemaUrl?: string;
	readonly groups: readonly { readonly scope?: object; readonly schemaUrl?: string; readonly records: readonly object[] }[];
}

function schemaUrl(url: string | undefined): string {
	return url === undefined ? "" : part(3, Buffer.from(url).toString("hex"));
}

function expectedRows(groups: readonly JsonGroup[], row: (record: object) => object): object[] {
	return groups.flatMap((group) =>
		group.groups.flatMap(({ scope, schemaUrl: scopeUrl, records }) =>
			records.map((record) => ({
				...row(record),
				service: group.resource?.attributes?.findLast(({ key }) => key === "service.name")?.value?.stringValue ?? "",
				scope: part(1, scope && hexOf("InstrumentationScope", scope)) + schemaUrl(scopeUrl),
				resource: part(1, group.resource && hexOf("Resource", group.resource)) + schemaUrl(group.schemaUrl),
			})),
		),
	);
}

function spanRow(record: object): object {
	const span = record as OtlpSpan;
	return {
		traceId: span.traceId,
		spanId: span.spanId,
		parentId: span.parentSpanId ?? "0".repeat(16),
		time0: span.startTimeUnixNano ?? "0",
		time1: span.endTimeUnixNano ?? "0",
		kind: span.kind ?? 0,
		status: span.status?.code ?? 0,
		name: span.name ?? "",
		bytes: hexOf("Span", span),
	};
}

function logRow(record: object): object {
	const log = record as OtlpLogRecord;
	const made = log.timeUnixNano ?? "0";
	const observed = log.observedTimeUnixNano ?? "0";
	return {
		traceId: log.traceId ?? "0".repeat(32),
		spanId: log.spanId ?? "0".repeat(16),
		parentId: "0".repeat(16),
		time0: made === "0" ? observed : made,
		time1: observed === "0" ? made : observed,
		kind: log.severityNumber ?? 0,
		status: 0,
		name: log.eventName ?? "",
		bytes: hexOf("LogRecord", log),
	};
}

test("columns hold exactly what a span request says, and the field ranges give each record back to the byte", () => {
	fc.assert(
		fc.property(tracesData, (json) => {
			const { columns, result } = skimNew(protobufjsEncode("TracesData", json));
			const groups = (json.resourceSpans ?? []).map(({ scopeSpans = [], ...rest }) => ({
				...rest,
				groups: scopeSpans.map(({ spans = [], ...scope }) => ({ ...scope, records: spans })),
			}));
			const expected = expectedRows(groups as JsonGroup[], spanRow);
			assert.deepEqual(rowsOf(columns), expected);
			assert.deepEqual([result.accepted, result.rejected, result.dropped], [expected.length, 0, {}]);
		}),
		{ numRuns: Math.ceil(numRuns / 10) },
	);
});

test("columns hold exactly what a log request says; a record without a time is placed by its observed time", () => {
	fc.assert(
		fc.property(logsData, (json) => {
			const { columns, result } = skimNew(protobufjsEncode("LogsData", json), DEFAULT_LIMITS, LOG_SHAPE);
			const groups = (json.resourceLogs ?? []).map(({ scopeLogs = [], ...rest }) => ({
				...rest,
				groups: scopeLogs.map(({ logRecords = [], ...scope }) => ({ ...scope, records: logRecords })),
			}));
			const expected = expectedRows(groups as JsonGroup[], logRow);
			assert.deepEqual(rowsOf(columns), expected);
			assert.equal(result.accepted, expected.length);
		}),
		{ numRuns: Math.ceil(numRuns / 10) },
	);
});

type Write = (writer: WireWriter) => void;

function wire(write: Write): Uint8Array<ArrayBuffer> {
	const writer = new WireWriter();
	write(writer);
	return writer.finish();
}

function message(field: number, ...writes: readonly Write[]): Write {
	return (writer) => {
		const mark = writer.begin(field);
		for (const write of writes) write(writer);
		writer.end(mark);
	};
}

const bytes =
	(field: number, hex: string): Write =>
	(writer) =>
		writer.bytesField(field, Buffer.from(hex, "hex"));
const fixed64 =
	(field: number, value: bigint): Write =>
	(writer) =>
		writer.fixed64Field(field, value);
const varint =
	(field: number, value: number): Write =>
	(writer) =>
		writer.varintField(field, value);
const string =
	(field: number, value: string): Write =>
	(writer) =>
		writer.stringField(field, value);
const raw =
	(hex: string): Write =>
	(writer) =>
		writer.raw(Buffer.from(hex, "hex"));

function attribute(key: string, value: string, field = 9): Write {
	return message(field, string(1, key), message(2, string(1, value)));
}

const IDS: readonly Write[] = [bytes(1, TRACE_ID), bytes(2, SPAN_ID)];

/** A request with one group of these spans' fields. */
function spans(...records: readonly (readonly Write[])[]): Uint8Array<ArrayBuffer> {
	return wire(message(1, message(2, ...records.map((fields) => message(2, ...fields)))));
}

/** A value of `levels` lists inside one another. */
function nested(levels: number, kind: "array" | "kvlist"): Write {
	if (levels === 0) return string(1, "x");
	const inner = nested(levels - 1, kind);
	return kind === "array" ? message(5, message(1, inner)) : message(6, message(1, string(1, "k"), message(2, inner)));
}

const valid = [...IDS, string(5, "good")];
const many = (count: number, write: (i: number) => Write): Write[] => Array.from({ length: count }, (_, i) => write(i));

const BAD_SPANS: readonly (readonly [string, DropReason, readonly Write[]])[] = [
	["no trace id", "invalid_trace_id", [bytes(2, SPAN_ID)]],
	["an empty trace id", "invalid_trace_id", [bytes(1, ""), bytes(2, SPAN_ID)]],
	["a trace id of 15 bytes", "invalid_trace_id", [bytes(1, TRACE_ID.slice(2)), bytes(2, SPAN_ID)]],
	["a trace id of 17 bytes", "invalid_trace_id", [bytes(1, `${TRACE_ID}00`), bytes(2, SPAN_ID)]],
	["a trace id of 32 bytes", "invalid_trace_id", [bytes(1, TRACE_ID + TRACE_ID), bytes(2, SPAN_ID)]],
	["a trace id of zeros", "invalid_trace_id", [bytes(1, "0".repeat(32)), bytes(2, SPAN_ID)]],
	["no span id", "invalid_span_id", [bytes(1, TRACE_ID)]],
	["a span id of 7 bytes", "invalid_span_id", [bytes(1, TRACE_ID), bytes(2, SPAN_ID.slice(2))]],
	["a span id of 16 bytes", "invalid_span_id", [bytes(1, TRACE_ID), bytes(2, TRACE_ID)]],
	["a span id of zeros", "invalid_span_id", [bytes(1, TRACE_ID), bytes(2, "0".repeat(16))]],
	["a parent id of 4 bytes", "invalid_parent_id", [...IDS, bytes(4, "01020304")]],
	["a parent id of 16 bytes", "invalid_parent_id", [...IDS, bytes(4, TRACE_ID)]],
	["a trace id that is a number", "malformed_record", [varint(1, 5), bytes(2, SPAN_ID)]],
	["a span id that is a number", "malformed_record", [bytes(1, TRACE_ID), varint(2, 5)]],
	["a parent id that is a number", "malformed_record", [...IDS, varint(4, 5)]],
	["a start that is a varint", "malformed_record", [...IDS, varint(7, 5)]],
	["an end that is a varint", "malformed_record", [...IDS, varint(8, 5)]],
	["a name that is a number", "malformed_record", [...IDS, varint(5, 5)]],
	["a kind that is a string", "malformed_record", [...IDS, string(6, "SERVER")]],
	["a status that is a number", "malformed_record", [...IDS, varint(15, 2)]],
	["a status cut short", "malformed_record", [...IDS, raw("7a021805ff")]],
	["an event that is a number", "malformed_record", [...IDS, varint(11, 2)]],
	["a group (wire type 3)", "malformed_record", [...IDS, raw("a301a401")]],
	["the end of a group (wire type 4)", "malformed_record", [...IDS, raw("a401")]],
	["field number 0", "malformed_record", [...IDS, raw("0000")]],
	["a tag of six bytes", "malformed_record", [...IDS, raw("88808080800100")]],
	["a varint of eleven bytes", "malformed_record", [...IDS, raw("30ffffffffffffffffffff01")]],
	["a length of 2^35", "malformed_record", [...IDS, raw("1affffffff7f")]],
	["an attribute that ends after its tag", "malformed_record", [...IDS, raw("4a")]],
	["an attribute longer than its span", "malformed_record", [...IDS, raw("4a7f0a01")]],
	["an attribute longer than its span, by two bytes of length", "malformed_record", [...IDS, raw("4aff7f0a01")]],
	["an attribute longer than its span, by three bytes of length", "malformed_record", [...IDS, raw("4affff7f0a01")]],
	["an attribute whose key passes its end", "malformed_record", [...IDS, raw("4a030a0561")]],
	["an attribute whose value passes its end", "malformed_record", [...IDS, raw("4a070a01611205")]],
	["an attribute whose key is a number", "malformed_record", [...IDS, raw("4a020801")]],
	["an attribute value with a group", "malformed_record", [...IDS, message(9, string(1, "k"), message(2, raw("4344")))]],
	["an int value that is a string", "malformed_record", [...IDS, message(9, string(1, "k"), message(2, string(3, "5")))]],
	["an array of numbers", "malformed_record", [...IDS, message(9, string(1, "k"), message(2, message(5, varint(1, 5))))]],
	["33 arrays in one another", "too_deep", [...IDS, message(9, string(1, "k"), message(2, nested(33, "array")))]],
	["33 key-value lists in one another", "too_deep", [...IDS, message(9, string(1, "k"), message(2, nested(33, "kvlist")))]],
	["2,000 arrays in one another", "too_deep", [...IDS, message(9, string(1, "k"), message(2, nested(2_000, "array")))]],
	["33 arrays in an event", "too_deep", [...IDS, message(11, message(3, string(1, "k"), message(2, nested(33, "array"))))]],
	["33 arrays in a link", "too_deep", [...IDS, message(13, message(4, string(1, "k"), message(2, nested(33, "array"))))]],
	["10,000 attributes", "too_many_attributes", [...IDS, ...many(10_000, (i) => attribute(`k${i}`, "v"))]],
	["16,385 fields", "too_many_fields", [...IDS, ...many(16_383, () => raw("9a0600"))]],
	["more bytes than a record may have", "record_too_large", [...IDS, string(5, "x".repeat(5 << 20))]],
];

for (const [what, reason, fields] of BAD_SPANS) {
	test(`a span with ${what} costs only itself: ${reason}`, () => {
		const alone = skimNew(spans(valid, valid));
		const { columns, result } = skimNew(spans(valid, fields, valid));
		assert.deepEqual([result.accepted, result.rejected, result.dropped], [2, 1, { [reason]: 1 }]);
		assert.deepEqual(rowsOf(columns), rowsOf(alone.columns), "its neighbours are as if it had not been there");
		assert.deepEqual(result.idsHash, alone.result.idsHash);
	});
}

const BAD_LOGS: readonly (readonly [string, DropReason, readonly Write[]])[] = [
	["a trace id of 8 bytes", "invalid_trace_id", [bytes(9, SPAN_ID)]],
	["a span id of 16 bytes", "invalid_span_id", [bytes(10, TRACE_ID)]],
	["a time that is a varint", "malformed_record", [varint(1, 5)]],
	["a body that is a number", "malformed_record", [varint(5, 5)]],
	["a body of 33 arrays", "too_deep", [message(5, nested(33, "array"))]],
	["10,000 attributes", "too_many_attributes", many(10_000, (i) => attribute(`k${i}`, "v", 6))],
];

for (const [what, reason, fields] of BAD_LOGS) {
	test(`a log record with ${what} costs only itself: ${reason}`, () => {
		const request = wire(message(1, message(2, message(2, ...fields), message(2, string(12, "good")))));
		const { columns, result } = skimNew(request, DEFAULT_LIMITS, LOG_SHAPE);
		assert.deepEqual([result.accepted, result.dropped], [1, { [reason]: 1 }]);
		assert.equal(text(columns, columns.nameStart[0]!, columns.nameEnd[0]!), "good");
	});
}

test("32 lists in one another, a kind beyond one byte and an unknown status pass", () => {
	const deep = message(9, string(1, "k"), message(2, nested(32, "array")));
	const { columns, result } = skimNew(spans([...IDS, deep, varint(6, 300), message(15, varint(3, 7))]));
	assert.equal(result.accepted, 1);
	assert.deepEqual([columns.kind[0], columns.status[0]], [0, 0]);
	assert.deepEqual(slotsOf(columns, 0), ["traceId", "spanId", "attribute", "item", "item"]);
});

test("an id or time field that stands twice is in no column, and the last one counts", () => {
	const other = TRACE_ID.replaceAll("0", "f");
	const cases: readonly (readonly [readonly Write[], object])[] = [
		[[bytes(1, other), ...IDS], { traceId: TRACE_ID }],
		[[...IDS, bytes(2, "2122232425262728")], { spanId: "2122232425262728" }],
		[[...IDS, bytes(4, SPAN_ID), bytes(4, "2122232425262728")], { parentId: "2122232425262728" }],
		[[...IDS, fixed64(7, 5n), fixed64(7, 6n)], { time0: "6" }],
		[[...IDS, fixed64(8, 5n), fixed64(8, 6n)], { time1: "6" }],
		[[...IDS, string(5, "first"), string(5, "last")], { name: "last" }],
		[[...IDS, varint(6, 2), varint(6, 3)], { kind: 3 }],
	];
	for (const [fields, expected] of cases) {
		const { columns } = skimNew(spans(fields));
		const [row] = rowsOf(columns);
		assert.deepEqual({ ...row, ...expected }, row);
		assert.ok(
			slotsOf(columns, 0).every((slot) => slot === "item"),
			"every field is kept as bytes",
		);
	}
});

test("a field in any but its canonical encoding is in no column", () => {
	const longTag = "8a00"; // field 1, wire type 2, in two bytes
	const { columns } = skimNew(
		spans([raw(`${longTag}10${TRACE_ID}`), raw(`128800${SPAN_ID}`), raw("308200"), bytes(4, "0".repeat(16))]),
	);
	assert.deepEqual(slotsOf(columns, 0), ["item", "item", "item", "item"]);
	assert.equal(rowsOf(columns).length, 1);
});

test("fields in any order, with unknown ones between, give the same columns and their own bytes", () => {
	const fields: readonly Write[] = [
		...IDS,
		bytes(4, "2122232425262728"),
		string(5, "checkout"),
		varint(6, 2),
		fixed64(7, 1_000n),
		fixed64(8, 3_000n),
		attribute("k", "v"),
		message(15, varint(3, 2)),
		raw("f0d80107"),
		raw("dd3e01020304"),
		raw("d93e0102030405060708"),
		string(2_000, "unknown"),
	];
	const { bytes: _, ...expected } = rowsOf(skimNew(spans(fields)).columns)[0] as { readonly bytes: string };
	fc.assert(
		fc.property(fc.shuffledSubarray([...fields], { minLength: fields.length }), (shuffled) => {
			const { columns } = skimNew(spans(shuffled));
			const { bytes: own, ...row } = rowsOf(columns)[0] as { readonly bytes: string };
			assert.deepEqual(row, expected);
			assert.equal(own, Buffer.from(wire((writer) => shuffled.forEach((write) => write(writer)))).toString("hex"));
		}),
		{ numRuns: 500 },
	);
});

test("a resource may stand behind its scope groups, and a scope behind its spans", () => {
	const resource = message(1, attribute("service.name", "cart", 1));
	const scope = message(1, string(1, "lib"));
	const group = message(2, message(2, ...valid), scope, string(3, "url"));
	const { columns } = skimNew(wire(message(1, group, resource, raw("a80601"))));
	const [row] = rowsOf(columns) as [{ readonly service: string; readonly scope: string; readonly resource: string }];
	assert.equal(row.service, "cart");
	assert.equal(row.scope, Buffer.from(wire((writer) => [scope, string(3, "url")].forEach((w) => w(writer)))).toString("hex"));
	assert.equal(
		row.resource,
		Buffer.from(wire((writer) => [resource, raw("a80601")].forEach((w) => w(writer)))).toString("hex"),
	);
});

const MALFORMED: readonly (readonly [string, Uint8Array])[] = [
	["text", Buffer.from("not protobuf")],
	["a request cut in a group", spans(valid).subarray(0, 10)],
	["a group in the request", Buffer.from("0b0c", "hex")],
	["a group in a resource group", wire(message(1, message(2, message(2, ...valid)), raw("0b0c")))],
	["a scope cut short", wire(message(1, message(2, message(2, ...valid), raw("0a050a"))))],
	["a resource attribute cut short", wire(message(1, message(1, raw("0a090a01")), message(2, message(2, ...valid))))],
	["a resource that nests too deep", wire(message(1, message(1, message(1, string(1, "k"), message(2, nested(40, "array"))))))],
	["10,000 resource attributes", wire(message(1, message(1, ...many(10_000, (i) => attribute(`k${i}`, "v", 1)))))],
];

for (const [what, request] of MALFORMED) {
	test(`${what} costs the batch, and the columns are as they were`, () => {
		const columns = new RecordColumns(SPAN_SHAPE);
		skim(SPAN_SHAPE, spans(valid), columns);
		const before = [columns.mark(), rowsOf(columns)];
		const group = spans(valid, valid);
		assertRefused("malformed_payload", () => skim(SPAN_SHAPE, Buffer.concat([group, request]), columns));
		assert.deepEqual([columns.mark(), rowsOf(columns)], before);
		skim(SPAN_SHAPE, group, columns);
		assert.equal(rowsOf(columns).length, 3);
	});
}

function assertRefused(code: ErrorCode, work: () => void): void {
	assert.throws(work, (error) => error instanceof MeshscopeError && error.code === code);
}

test("more records than the limit refuse the batch as too large, and restore the columns", () => {
	const columns = new RecordColumns(SPAN_SHAPE);
	const limits = { ...DEFAULT_LIMITS, maxRecords: 2 };
	assertRefused("payload_too_large", () => skim(SPAN_SHAPE, spans(valid, valid, valid), columns, limits));
	assert.deepEqual(columns.mark(), [0, 0, 0, 0, 0, 0]);
	assert.equal(skim(SPAN_SHAPE, spans(valid, valid), columns, limits).accepted, 2);
});

test("columns of another shape are a fault of the program", () => {
	assert.throws(() => skimTraces(new Uint8Array(0), new RecordColumns(LOG_SHAPE), DEFAULT_LIMITS), TypeError);
	assert.throws(() => skimLogs(new Uint8Array(0), new RecordColumns(SPAN_SHAPE), DEFAULT_LIMITS), TypeError);
});

test("batches lie in the columns one behind the other, and what was there before is not touched", () => {
	fc.assert(
		fc.property(fc.array(tracesData, { minLength: 1, maxLength: 4 }), (requests) => {
			const columns = new RecordColumns(SPAN_SHAPE);
			const expected = requests.flatMap((json) => {
				const encoded = protobufjsEncode("TracesData", json);
				skim(SPAN_SHAPE, encoded, columns);
				return rowsOf(skimNew(encoded).columns);
			});
			assert.deepEqual(rowsOf(columns), expected);
		}),
		{ numRuns: 300 },
	);
});

/** Every row must be readable whatever came before it. */
function assertSound(columns: RecordColumns, result: SkimResult, accepted: number): void {
	assert.equal(columns.count, accepted);
	assert.equal(
		Object.values(result.dropped).reduce((total, count) => total + count, 0),
		result.rejected,
	);
	for (const row of rowsOf(columns) as { readonly traceId: string; readonly spanId: string }[]) {
		assert.notEqual(row.traceId, "0".repeat(32));
		assert.notEqual(row.spanId, "0".repeat(16));
	}
}

function assertOnlyMeshscopeErrors(shape: RecordShape, payload: Uint8Array): void {
	const columns = new RecordColumns(shape);
	try {
		const result = skim(shape, payload, columns);
		if (shape === SPAN_SHAPE) assertSound(columns, result, result.accepted);
	} catch (error) {
		assert.ok(error instanceof MeshscopeError, String(error));
		assert.deepEqual(columns.mark(), [0, 0, 0, 0, 0, 0]);
	}
}

test("random bytes never throw anything but MeshscopeError", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
			assertOnlyMeshscopeErrors(SPAN_SHAPE, payload);
			assertOnlyMeshscopeErrors(LOG_SHAPE, payload);
			// As the body of one span, so that more of them get past the outer messages.
			const body = Buffer.from(payload).toString("hex");
			assertOnlyMeshscopeErrors(SPAN_SHAPE, spans([...IDS, raw(body)]));
		}),
		{ numRuns },
	);
});

test("mutated payloads never throw anything but MeshscopeError", () => {
	const sources = [
		...fc.sample(tracesData, 150).map((json) => [SPAN_SHAPE, protobufjsEncode("TracesData", json)] as const),
		...fc.sample(logsData, 50).map((json) => [LOG_SHAPE, protobufjsEncode("LogsData", json)] as const),
	].filter(([, payload]) => payload.length > 0);
	const mutation = fc.tuple(fc.constantFrom("set", "cut", "insert", "remove"), fc.nat(), fc.nat({ max: 255 }));
	fc.assert(
		fc.property(
			fc.constantFrom(...sources),
			fc.array(mutation, { minLength: 1, maxLength: 4 }),
			([shape, payload], mutations) => {
				const list = [...payload];
				for (const [kind, at, byte] of mutations) {
					const place = at % (list.length + 1);
					if (kind === "cut") list.length = place;
					else list.splice(place, kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
				}
				assertOnlyMeshscopeErrors(shape, Uint8Array.from(list));
			},
		),
		{ numRuns },
	);
});

/** Bytes of columns that a payload makes the reader hold, its own copy of the payload left out. */
function columnBytes(columns: RecordColumns): number {
	let total = 0;
	for (const value of Object.values(columns) as unknown[]) if (ArrayBuffer.isView(value)) total += value.byteLength;
	return total - columns.bytes.byteLength;
}

function repeated(unitHex: string, totalBytes: number): Uint8Array<ArrayBuffer> {
	const unit = Buffer.from(unitHex, "hex");
	const out = new Uint8Array(totalBytes - (totalBytes % unit.length));
	for (let at = 0; at < out.length; at += unit.length) out.set(unit, at);
	return out;
}

/** In 8 MB: what a payload of nothing but empty things is made of. */
const EMPTY_ITEMS: readonly (readonly [string, (total: number) => Uint8Array])[] = [
	[
		"empty spans",
		(total) =>
			wire(
				message(
					1,
					message(2, (writer) => writer.raw(repeated("1200", total))),
				),
			),
	],
	["empty scope groups", (total) => wire(message(1, (writer) => writer.raw(repeated("1200", total))))],
	["empty resource groups", (total) => repeated("0a00", total)],
	["resource groups of one empty scope group", (total) => repeated("0a021200", total)],
	["resource groups of one empty span", (total) => repeated("0a0412021200", total)],
	["unknown fields of the request", (total) => repeated("a001", total)],
];

for (const [what, build] of EMPTY_ITEMS) {
	test(`8 MB of ${what} cost no memory`, () => {
		const { columns, result } = skimNew(build(8 << 20));
		assert.equal(result.accepted, 0);
		assert.ok(columnBytes(columns) < 32 << 20, `${columnBytes(columns)} bytes`);
	});
}
