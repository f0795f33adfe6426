/**
 * The skim reader: walks an OTLP trace or log request on the wire and leaves columns, never an object a record.
 *
 * It is the only place that judges a record. A record it rejects is counted by reason and leaves no trace in the columns; the
 * rest of the batch goes on. Only bytes that are no ExportRequest at all cost the whole batch.
 * Wire format: protobuf encoding; messages: opentelemetry/proto/{collector,trace,logs}/v1.
 */
import { FIELD_IN_COLUMN, LOG_SHAPE, type RecordColumns, SPAN_SHAPE, SPAN_STATUS_FIELD } from "../../model/columns.ts";
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import type { DecodeLimits } from "./limits.ts";

export interface SkimResult {
	/** Records now in the columns. */
	readonly accepted: number;
	/** Records left out. */
	readonly rejected: number;
	readonly dropped: Partial<Record<DropReason, number>>;
	/**
	 * Two words over the ids of the accepted records, in order: together with the payload's length and checksum they tell a batch
	 * that is sent again from any other.
	 */
	readonly idsHash: readonly [number, number];
}

const MAX_FIELDS_PER_RECORD = 16_384;
/** A field costs 12 bytes of columns: 4 M of them are 48 MB. */
const MAX_FIELDS_PER_BATCH = 4_194_304;

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** Where `skipField` found the payload of a length-delimited field to begin. One reader a thread, so module state is safe and free. */
let payloadStart = 0;
/** The field number that `skipField` read. */
let fieldNo = 0;
let wireType = 0;

/** `service.name`, as it stands on the wire. */
const SERVICE_NAME_KEY = Uint8Array.from("service.name", (char) => char.charCodeAt(0));

export function skimTraces(payload: Uint8Array, columns: RecordColumns, limits: DecodeLimits): SkimResult {
	if (columns.shape !== SPAN_SHAPE) throw new TypeError("columns of another shape");
	return skim(payload, columns, limits);
}

export function skimLogs(payload: Uint8Array, columns: RecordColumns, limits: DecodeLimits): SkimResult {
	if (columns.shape !== LOG_SHAPE) throw new TypeError("columns of another shape");
	return skim(payload, columns, limits);
}

/**
 * Appends one ExportTraceServiceRequest or ExportLogsServiceRequest to `columns`.
 * @throws MeshscopeError `malformed_payload` when the bytes are no such message, `payload_too_large` when it holds more records than
 * the limit; the columns are then as they were before.
 */
function skim(payload: Uint8Array, columns: RecordColumns, limits: DecodeLimits): SkimResult {
	const before = columns.mark();
	const start = columns.appendPayload(payload);
	const end = start + payload.length;
	const tally: Tally = { accepted: 0, rejected: 0, dropped: {}, hash0: 0x9e3779b9, hash1: 0x85ebca6b };
	try {
		const bytes = columns.bytes;
		for (let at = start; at < end; ) {
			at = skipField(bytes, at, end);
			if (at < 0) throw malformed("request", start);
			if (fieldNo === 1 && wireType === WIRE_BYTES) skimResource(columns, payloadStart, at, limits, tally, start);
		}
	} catch (error) {
		columns.rewind(before);
		throw error;
	}
	return {
		accepted: tally.accepted,
		rejected: tally.rejected,
		dropped: tally.dropped,
		idsHash: [tally.hash0 >>> 0, tally.hash1 >>> 0],
	};
}

interface Tally {
	accepted: number;
	rejected: number;
	readonly dropped: Partial<Record<DropReason, number>>;
	hash0: number;
	hash1: number;
}

/** ResourceSpans / ResourceLogs: 1 resource, 2 scope groups, 3 schema URL. The resource may stand behind its groups. */
function skimResource(columns: RecordColumns, start: number, end: number, limits: DecodeLimits, tally: Tally, base: number): void {
	const bytes = columns.bytes;
	const resource = columns.resourceCount;
	columns.ensureResources(resource + 1);
	const firstRange = columns.rangeCount;
	columns.resourceFirstRange[resource] = firstRange;
	columns.serviceStart[resource] = 0;
	columns.serviceEnd[resource] = 0;
	let groups = 0;
	for (let at = start; at < end; ) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0) throw malformed("resource group", fieldStart - base);
		if (fieldNo === 2 && wireType === WIRE_BYTES) {
			groups++;
			continue;
		}
		columns.addRange(fieldStart, at);
		if (fieldNo === 1 && wireType === WIRE_BYTES) readResource(columns, resource, payloadStart, at, limits, base);
	}
	columns.resourceRangeCount[resource] = columns.rangeCount - firstRange;
	columns.resourceCount = resource + 1;
	if (groups === 0) return;
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (fieldNo === 2 && wireType === WIRE_BYTES) skimScope(columns, resource, payloadStart, at, limits, tally, base);
	}
}

/** Resource: 1 attributes. Finds service.name and holds the attributes to the depth limit. */
function readResource(columns: RecordColumns, resource: number, start: number, end: number, limits: DecodeLimits, base: number): void {
	const bytes = columns.bytes;
	let attributes = 0;
	for (let at = start; at < end; ) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0) throw malformed("resource", fieldStart - base);
		if (fieldNo !== 1 || wireType !== WIRE_BYTES) continue;
		if (++attributes > limits.maxAttributes)
			throw new MeshscopeError(
				"malformed_payload",
				`a resource has more than ${limits.maxAttributes} attributes; remove some or raise --max-attributes`,
			);
		const attributeStart = payloadStart;
		const reason = checkKeyValue(bytes, attributeStart, at, limits.maxDepth - 1);
		if (reason !== undefined)
			throw new MeshscopeError(
				"malformed_payload",
				`a resource attribute at byte ${attributeStart - base} ${reason === "too_deep" ? `nests deeper than ${limits.maxDepth} levels` : "is not a well-formed KeyValue"}`,
			);
		readServiceName(columns, resource, attributeStart, at);
	}
}

function readServiceName(columns: RecordColumns, resource: number, start: number, end: number): void {
	const bytes = columns.bytes;
	let isServiceName = false;
	let valueStart = 0;
	let valueEnd = 0;
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (wireType !== WIRE_BYTES) continue;
		if (fieldNo === 1) isServiceName = equalsAt(bytes, payloadStart, at, SERVICE_NAME_KEY);
		else if (fieldNo === 2) {
			const valueLimit = at;
			for (let inner = payloadStart; inner < valueLimit; ) {
				inner = skipField(bytes, inner, valueLimit);
				if ((fieldNo as number) === 1 && wireType === WIRE_BYTES) {
					valueStart = payloadStart;
					valueEnd = inner;
				}
			}
		}
	}
	if (isServiceName) {
		columns.serviceStart[resource] = valueStart;
		columns.serviceEnd[resource] = valueEnd;
	}
}

/** ScopeSpans / ScopeLogs: 1 scope, 2 records, 3 schema URL. */
function skimScope(
	columns: RecordColumns,
	resource: number,
	start: number,
	end: number,
	limits: DecodeLimits,
	tally: Tally,
	base: number,
): void {
	const bytes = columns.bytes;
	const scope = columns.scopeCount;
	columns.ensureScopes(scope + 1);
	columns.scopeResource[scope] = resource;
	const firstRange = columns.rangeCount;
	columns.scopeFirstRange[scope] = firstRange;
	let records = 0;
	for (let at = start; at < end; ) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0) throw malformed("scope group", fieldStart - base);
		if (fieldNo === 2 && wireType === WIRE_BYTES) {
			records++;
			continue;
		}
		columns.addRange(fieldStart, at);
		if (fieldNo === 1 && wireType === WIRE_BYTES) checkScope(bytes, payloadStart, at, limits, base);
	}
	columns.scopeRangeCount[scope] = columns.rangeCount - firstRange;
	columns.scopeCount = scope + 1;
	if (records === 0) return;
	// Counted before anything is built: a few kilobytes of gzip can hold millions of two-byte records.
	const room = limits.maxRecords - tally.accepted;
	columns.ensureRecords(columns.count + Math.min(records, room));
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (fieldNo !== 2 || wireType !== WIRE_BYTES) continue;
		const reason = skimRecord(columns, scope, payloadStart, at, limits, tally);
		if (reason === undefined) {
			if (++tally.accepted > limits.maxRecords) throw tooManyRecords(limits);
		} else {
			tally.rejected++;
			tally.dropped[reason] = (tally.dropped[reason] ?? 0) + 1;
		}
	}
}

/** InstrumentationScope: 3 attributes. */
function checkScope(bytes: Uint8Array, start: number, end: number, limits: DecodeLimits, base: number): void {
	for (let at = start; at < end; ) {
		const fieldStart = at;
		at = skipField(bytes, at, end);
		if (at < 0 || (fieldNo === 3 && wireType === WIRE_BYTES && checkKeyValue(bytes, payloadStart, at, limits.maxDepth - 1) !== undefined))
			throw malformed("scope", fieldStart - base);
	}
}

/** One record into the next row. Returns why it was left out, or undefined. The hot loop of the write path. */
function skimRecord(
	columns: RecordColumns,
	scope: number,
	start: number,
	end: number,
	limits: DecodeLimits,
	tally: Tally,
): DropReason | undefined {
	const length = end - start;
	if (length > limits.maxRecordBytes) return "record_too_large";
	const row = columns.count;
	if (tally.accepted >= limits.maxRecords) throw tooManyRecords(limits);
	const firstField = columns.fieldCount;
	// A record of L bytes has at most L / 2 fields, so one check a record keeps the loop below free of growth.
	columns.ensureFields(firstField + Math.min(length >> 1, MAX_FIELDS_PER_RECORD) + 1);
	const { bytes, shape, fieldStart, fieldLength, fieldNumber } = columns;
	const { traceIdField, spanIdField, parentIdField, time0Field, time1Field, nameField, kindField } = shape;
	const attributesTag = (shape.attributesField << 3) | WIRE_BYTES;
	const statusField = shape === SPAN_SHAPE ? SPAN_STATUS_FIELD : -1;
	const row4 = row * 4;
	const row2 = row * 2;
	clearRow(columns, row);
	let fields = firstField;
	let attributes = 0;
	let traceIdBytes = 0;
	let spanIdBytes = 0;
	let parentIdBytes = 0;
	/** Bit per column field met; a second meeting makes the record's fields plain bytes again. */
	let seen = 0;
	let repeated = false;

	for (let at = start; at < end; ) {
		const from = at;
		if (fields - firstField >= MAX_FIELDS_PER_RECORD) return "too_many_fields";
		if (bytes[at] === attributesTag) {
			let size = bytes[at + 1]!;
			at += 2;
			if (size >= 0x80) {
				const high = bytes[at++]!;
				if (high < 0x80) size = (size & 0x7f) | (high << 7);
				else {
					at = skipField(bytes, from, end);
					if (at < 0) return "malformed_record";
					size = at - payloadStart;
					at = payloadStart;
				}
			}
			const valueStart = at;
			at += size;
			if (!(at <= end)) return "malformed_record";
			if (++attributes > limits.maxAttributes) return "too_many_attributes";
			if (!isPlainKeyValue(bytes, valueStart, at)) {
				const reason = checkKeyValue(bytes, valueStart, at, limits.maxDepth - 1);
				if (reason !== undefined) return reason;
			}
			fieldStart[fields] = from;
			fieldLength[fields] = at - from;
			fieldNumber[fields++] = shape.attributesField;
			continue;
		}
		at = skipField(bytes, from, end);
		if (at < 0) return "malformed_record";
		const number = fieldNo;
		const body = payloadStart;
		fieldStart[fields] = from;
		fieldLength[fields] = at - from;
		fieldNumber[fields] = number;
		if (number === traceIdField) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			traceIdBytes = at - body;
			if (traceIdBytes === 16) {
				columns.traceId[row4] = word(bytes, body);
				columns.traceId[row4 + 1] = word(bytes, body + 4);
				columns.traceId[row4 + 2] = word(bytes, body + 8);
				columns.traceId[row4 + 3] = word(bytes, body + 12);
				if (at - from === 18) fieldNumber[fields] = number | FIELD_IN_COLUMN;
			}
			repeated ||= (seen & 1) !== 0;
			seen |= 1;
		} else if (number === spanIdField) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			spanIdBytes = at - body;
			if (spanIdBytes === 8) {
				columns.spanId[row2] = word(bytes, body);
				columns.spanId[row2 + 1] = word(bytes, body + 4);
				if (at - from === 10) fieldNumber[fields] = number | FIELD_IN_COLUMN;
			}
			repeated ||= (seen & 2) !== 0;
			seen |= 2;
		} else if (number === parentIdField) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			parentIdBytes = at - body;
			if (parentIdBytes === 8) {
				columns.parentId[row2] = word(bytes, body);
				columns.parentId[row2 + 1] = word(bytes, body + 4);
				// An all-zero parent means none, but its bytes are kept as they came.
				if (at - from === 10 && (columns.parentId[row2]! | columns.parentId[row2 + 1]!) !== 0)
					fieldNumber[fields] = number | FIELD_IN_COLUMN;
			}
			repeated ||= (seen & 4) !== 0;
			seen |= 4;
		} else if (number === time0Field) {
			if (wireType !== WIRE_FIXED64) return "malformed_record";
			columns.time0[row2] = littleWord(bytes, body);
			columns.time0[row2 + 1] = littleWord(bytes, body + 4);
			if (at - from === 9) fieldNumber[fields] = number | FIELD_IN_COLUMN;
			repeated ||= (seen & 8) !== 0;
			seen |= 8;
		} else if (number === time1Field) {
			if (wireType !== WIRE_FIXED64) return "malformed_record";
			columns.time1[row2] = littleWord(bytes, body);
			columns.time1[row2 + 1] = littleWord(bytes, body + 4);
			if (at - from === 9) fieldNumber[fields] = number | FIELD_IN_COLUMN;
			repeated ||= (seen & 16) !== 0;
			seen |= 16;
		} else if (number === nameField) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			columns.nameStart[row] = body;
			columns.nameEnd[row] = at;
			if (at > body) fieldNumber[fields] = number | FIELD_IN_COLUMN;
			repeated ||= (seen & 32) !== 0;
			seen |= 32;
		} else if (number === kindField) {
			if (wireType !== WIRE_VARINT) return "malformed_record";
			const kind = bytes[body]!;
			// Enums beyond one byte are unknown ones: kept on the wire, 0 in the column.
			columns.kind[row] = kind < 0x80 && at === body + 1 ? kind : 0;
			if (at - from === 2 && kind !== 0) fieldNumber[fields] = number | FIELD_IN_COLUMN;
			repeated ||= (seen & 64) !== 0;
			seen |= 64;
		} else if (number === statusField) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			const code = statusCode(bytes, body, at);
			if (code < 0) return "malformed_record";
			columns.status[row] = code;
		} else if (isSpanPart(shape === SPAN_SHAPE, number)) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			const reason = checkParts(bytes, body, at, number === EVENTS_FIELD ? 3 : number === LINKS_FIELD ? 4 : 0, limits.maxDepth - 1);
			if (reason !== undefined) return reason;
		}
		fields++;
	}
	if (shape === SPAN_SHAPE) {
		if (traceIdBytes !== 16 || isZero4(columns.traceId, row4)) return "invalid_trace_id";
		if (spanIdBytes !== 8 || (columns.spanId[row2]! | columns.spanId[row2 + 1]!) === 0) return "invalid_span_id";
		if (parentIdBytes !== 0 && parentIdBytes !== 8) return "invalid_parent_id";
	} else {
		// The ids of a log record are optional; a wrong length is a fault all the same.
		if (traceIdBytes !== 0 && traceIdBytes !== 16) return "invalid_trace_id";
		if (spanIdBytes !== 0 && spanIdBytes !== 8) return "invalid_span_id";
		if (columns.time0[row2] === 0 && columns.time0[row2 + 1] === 0) useObservedTime(columns, row2, firstField, fields, time0Field);
	}
	if (repeated) for (let i = firstField; i < fields; i++) fieldNumber[i] = fieldNumber[i]! & ~FIELD_IN_COLUMN;
	tally.hash0 = Math.imul(tally.hash0 ^ columns.traceId[row4 + 3]! ^ columns.spanId[row2]!, 0x01000193) ^ (tally.hash0 >>> 15);
	tally.hash1 = Math.imul(tally.hash1 ^ columns.spanId[row2 + 1]! ^ columns.time0[row2]!, 0x85ebca6b) ^ (tally.hash1 >>> 13);
	columns.scope[row] = scope;
	columns.fieldCount = fields;
	if (fields > MAX_FIELDS_PER_BATCH) throw new MeshscopeError("payload_too_large", "the batch has more than 4,194,304 fields; send smaller batches");
	columns.count = row + 1;
	columns.firstField[row + 1] = fields;
	return undefined;
}

const EVENTS_FIELD = 11;
const LINKS_FIELD = 13;
const LOG_BODY_FIELD = 5;

/** Fields that hold values of their own: events and links of a span, the body of a log record. */
function isSpanPart(isSpan: boolean, number: number): boolean {
	return isSpan ? number === EVENTS_FIELD || number === LINKS_FIELD : number === LOG_BODY_FIELD;
}

/**
 * A log record without a time is placed by its observed time (opentelemetry/proto/logs/v1/logs.proto on time_unix_nano), in the
 * column only: its bytes stay as they came.
 */
function useObservedTime(columns: RecordColumns, row2: number, firstField: number, endField: number, time0Field: number): void {
	columns.time0[row2] = columns.time1[row2]!;
	columns.time0[row2 + 1] = columns.time1[row2 + 1]!;
	for (let i = firstField; i < endField; i++)
		if ((columns.fieldNumber[i]! & ~FIELD_IN_COLUMN) === time0Field) columns.fieldNumber[i] = time0Field;
}

function clearRow(columns: RecordColumns, row: number): void {
	const { traceId, spanId, parentId, time0, time1 } = columns;
	const row4 = row * 4;
	const row2 = row * 2;
	traceId[row4] = traceId[row4 + 1] = traceId[row4 + 2] = traceId[row4 + 3] = 0;
	spanId[row2] = spanId[row2 + 1] = 0;
	parentId[row2] = parentId[row2 + 1] = 0;
	time0[row2] = time0[row2 + 1] = 0;
	time1[row2] = time1[row2 + 1] = 0;
	columns.nameStart[row] = columns.nameEnd[row] = 0;
	columns.kind[row] = 0;
	columns.status[row] = 0;
	columns.firstField[row] = columns.fieldCount;
}

/** KeyValue {1: key, 2: AnyValue with a single scalar}, in the order and form that every exporter writes. */
function isPlainKeyValue(bytes: Uint8Array, start: number, end: number): boolean {
	if (bytes[start] !== 0x0a) return false;
	const keyLength = bytes[start + 1]!;
	const at = start + 2 + keyLength;
	if (keyLength >= 0x80 || at + 2 > end || bytes[at] !== 0x12) return false;
	let length = bytes[at + 1]!;
	let value = at + 2;
	if (length >= 0x80) {
		const high = bytes[value++]!;
		if (high >= 0x80) return false;
		length = (length & 0x7f) | (high << 7);
	}
	if (value + length !== end || length < 2) return false;
	const tag = bytes[value]!;
	if (tag === 0x0a || tag === 0x3a) {
		const size = bytes[value + 1]!;
		if (size < 0x80) return value + 2 + size === end;
		const high = bytes[value + 2]!;
		return high < 0x80 && value + 3 + ((size & 0x7f) | (high << 7)) === end;
	}
	return (tag === 0x10 && length === 2 && bytes[value + 1]! < 0x80) || (tag === 0x21 && length === 9);
}

/** Any well-formed KeyValue, however written: 1 key, 2 value. */
function checkKeyValue(bytes: Uint8Array, start: number, end: number, depthLeft: number): DropReason | undefined {
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (at < 0) return "malformed_record";
		if (fieldNo === 1 && wireType !== WIRE_BYTES) return "malformed_record";
		if (fieldNo === 2) {
			if (wireType !== WIRE_BYTES) return "malformed_record";
			const reason = checkAnyValue(bytes, payloadStart, at, depthLeft);
			if (reason !== undefined) return reason;
		}
	}
	return undefined;
}

/** AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array {1: AnyValue}, 6 kvlist {1: KeyValue}, 7 bytes. */
function checkAnyValue(bytes: Uint8Array, start: number, end: number, depthLeft: number): DropReason | undefined {
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (at < 0) return "malformed_record";
		const expected = ANY_VALUE_WIRE[fieldNo];
		if (expected !== undefined && expected !== wireType) return "malformed_record";
		if (fieldNo !== 5 && fieldNo !== 6) continue;
		if (depthLeft === 0) return "too_deep";
		const isList = fieldNo === 5;
		const listEnd = at;
		for (let inner = payloadStart; inner < listEnd; ) {
			inner = skipField(bytes, inner, listEnd);
			if (inner < 0) return "malformed_record";
			if ((fieldNo as number) !== 1) continue;
			if (wireType !== WIRE_BYTES) return "malformed_record";
			const reason = isList
				? checkAnyValue(bytes, payloadStart, inner, depthLeft - 1)
				: checkKeyValue(bytes, payloadStart, inner, depthLeft - 1);
			if (reason !== undefined) return reason;
		}
	}
	return undefined;
}

const ANY_VALUE_WIRE: readonly (number | undefined)[] = [
	undefined,
	WIRE_BYTES,
	WIRE_VARINT,
	WIRE_VARINT,
	WIRE_FIXED64,
	WIRE_BYTES,
	WIRE_BYTES,
	WIRE_BYTES,
];

/** Span.Event / Span.Link with attributes in `attributesField`, or (0) an AnyValue itself. */
function checkParts(bytes: Uint8Array, start: number, end: number, attributesField: number, maxDepth: number): DropReason | undefined {
	if (attributesField === 0) return checkAnyValue(bytes, start, end, maxDepth);
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (at < 0) return "malformed_record";
		if (fieldNo !== attributesField) continue;
		if (wireType !== WIRE_BYTES) return "malformed_record";
		const reason = checkKeyValue(bytes, payloadStart, at, maxDepth);
		if (reason !== undefined) return reason;
	}
	return undefined;
}

/** Status.code (field 3), 0 to 2; unknown codes read as unset. Negative when malformed. */
function statusCode(bytes: Uint8Array, start: number, end: number): number {
	let code = 0;
	for (let at = start; at < end; ) {
		at = skipField(bytes, at, end);
		if (at < 0) return -1;
		if (fieldNo === 3 && wireType === WIRE_VARINT) code = at === payloadStart + 1 ? bytes[payloadStart]! : 0;
	}
	return code <= 2 ? code : 0;
}

/**
 * Passes over the field at `at`; returns the offset behind it, or -1 when it is malformed or passes `end`. Leaves the field's
 * number, wire type and the start of its value in module state. Groups (wire types 3 and 4) are refused: OTLP has none.
 */
function skipField(bytes: Uint8Array, at: number, end: number): number {
	let tag = bytes[at++]!;
	if (tag >= 0x80) {
		tag &= 0x7f;
		for (let shift = 7; ; shift += 7) {
			if (at >= end || shift > 28) return -1;
			const byte = bytes[at++]!;
			tag |= (byte & 0x7f) << shift;
			if (byte < 0x80) break;
		}
		tag >>>= 0;
	}
	fieldNo = tag >>> 3;
	wireType = tag & 7;
	if (fieldNo === 0) return -1;
	if (wireType === WIRE_BYTES) {
		if (at >= end) return -1;
		let length = bytes[at++]!;
		if (length >= 0x80) {
			length &= 0x7f;
			for (let shift = 7; ; shift += 7) {
				if (at >= end || shift > 28) return -1;
				const byte = bytes[at++]!;
				length += (byte & 0x7f) * 2 ** shift;
				if (byte < 0x80) break;
			}
		}
		payloadStart = at;
		at += length;
		return at <= end ? at : -1;
	}
	payloadStart = at;
	if (wireType === WIRE_VARINT) {
		for (let count = 0; count < 10; count++) {
			if (at >= end) return -1;
			if (bytes[at++]! < 0x80) return at;
		}
		return -1;
	}
	if (wireType === WIRE_FIXED64) at += 8;
	else if (wireType === WIRE_FIXED32) at += 4;
	else return -1;
	return at <= end ? at : -1;
}

function word(bytes: Uint8Array, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function littleWord(bytes: Uint8Array, at: number): number {
	return ((bytes[at + 3]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0;
}

function isZero4(words: Uint32Array, at: number): boolean {
	return (words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0;
}

function equalsAt(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
	if (end - start !== expected.length) return false;
	for (let i = 0; i < expected.length; i++) if (bytes[start + i] !== expected[i]) return false;
	return true;
}

function malformed(what: string, offset: number): MeshscopeError {
	return new MeshscopeError("malformed_payload", `the ${what} at byte ${offset} is not well-formed protobuf; check the exporter's encoding`);
}

function tooManyRecords(limits: DecodeLimits): MeshscopeError {
	return new MeshscopeError("payload_too_large", `the batch holds more than ${limits.maxRecords} records; lower the exporter's batch size`);
}
