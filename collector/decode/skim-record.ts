/**
 * Skims one record in whatever legal form it is written, and judges it. Nearly all records take the fast path (skim-fast.ts); this
 * one is the definition that the fast path must agree with.
 */
import { type RecordColumns, SLOT, SPAN_SHAPE, SPAN_STATUS_FIELD } from "../../model/columns.ts";
import type { DropReason } from "../../model/errors.ts";
import type { DecodeLimits } from "./limits.ts";
import { checkKeyValue, checkParts, met, skipField, WIRE_BYTES, WIRE_FIXED64, WIRE_VARINT } from "./wire-scan.ts";

export const MAX_FIELDS_PER_RECORD = 16_384;

/** One record, however written, into the next row. Returns why it was left out, or undefined. */
export function skimAnyRecord(
	columns: RecordColumns,
	scope: number,
	start: number,
	end: number,
	limits: DecodeLimits,
): DropReason | undefined {
	const length = end - start;
	if (length > limits.maxRecordBytes) return "record_too_large";
	const row = columns.count;
	const firstField = columns.fieldCount;
	// A record of L bytes has at most L / 2 fields, so one check a record keeps the loop below free of growth.
	columns.ensureFields(firstField + Math.min(length >> 1, MAX_FIELDS_PER_RECORD) + 2);
	const { bytes, shape, fieldStart, fieldSlot } = columns;
	const { traceIdField, spanIdField, parentIdField, time0Field, time1Field, nameField, kindField } = shape;
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

	for (let at = start; at < end;) {
		const from = at;
		if (fields - firstField >= MAX_FIELDS_PER_RECORD) return "too_many_fields";
		at = skipField(bytes, from, end);
		if (at < 0) return "malformed_record";
		const number = met.fieldNo;
		const body = met.payloadStart;
		fieldStart[fields] = from;
		fieldSlot[fields] = SLOT.item;
		if (number === shape.attributesField && met.wireType === WIRE_BYTES) {
			if (++attributes > limits.maxAttributes) return "too_many_attributes";
			const reason = checkKeyValue(bytes, body, at, limits.maxDepth - 1);
			if (reason !== undefined) return reason;
			fieldSlot[fields] = SLOT.attribute;
		} else if (number === traceIdField) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			traceIdBytes = at - body;
			if (traceIdBytes === 16) {
				columns.traceId[row4] = word(bytes, body);
				columns.traceId[row4 + 1] = word(bytes, body + 4);
				columns.traceId[row4 + 2] = word(bytes, body + 8);
				columns.traceId[row4 + 3] = word(bytes, body + 12);
				if (at - from === 18) fieldSlot[fields] = SLOT.traceId;
			}
			repeated ||= (seen & 1) !== 0;
			seen |= 1;
		} else if (number === spanIdField) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			spanIdBytes = at - body;
			if (spanIdBytes === 8) {
				columns.spanId[row2] = word(bytes, body);
				columns.spanId[row2 + 1] = word(bytes, body + 4);
				if (at - from === 10) fieldSlot[fields] = SLOT.spanId;
			}
			repeated ||= (seen & 2) !== 0;
			seen |= 2;
		} else if (number === parentIdField) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			parentIdBytes = at - body;
			if (parentIdBytes === 8) {
				columns.parentId[row2] = word(bytes, body);
				columns.parentId[row2 + 1] = word(bytes, body + 4);
				// An all-zero parent means none, but its bytes are kept as they came.
				if (at - from === 10 && (columns.parentId[row2]! | columns.parentId[row2 + 1]!) !== 0)
					fieldSlot[fields] = SLOT.parentId;
			}
			repeated ||= (seen & 4) !== 0;
			seen |= 4;
		} else if (number === time0Field) {
			if (met.wireType !== WIRE_FIXED64) return "malformed_record";
			columns.time0[row2] = littleWord(bytes, body);
			columns.time0[row2 + 1] = littleWord(bytes, body + 4);
			if (at - from === 9) fieldSlot[fields] = SLOT.time0;
			repeated ||= (seen & 8) !== 0;
			seen |= 8;
		} else if (number === time1Field) {
			if (met.wireType !== WIRE_FIXED64) return "malformed_record";
			columns.time1[row2] = littleWord(bytes, body);
			columns.time1[row2 + 1] = littleWord(bytes, body + 4);
			if (at - from === 9) fieldSlot[fields] = SLOT.time1;
			repeated ||= (seen & 16) !== 0;
			seen |= 16;
		} else if (number === nameField) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			columns.nameStart[row] = body;
			columns.nameEnd[row] = at;
			if (at > body) fieldSlot[fields] = SLOT.name;
			repeated ||= (seen & 32) !== 0;
			seen |= 32;
		} else if (number === kindField) {
			if (met.wireType !== WIRE_VARINT) return "malformed_record";
			const kind = bytes[body]!;
			// Enums beyond one byte are unknown ones: kept on the wire, 0 in the column.
			columns.kind[row] = kind < 0x80 && at === body + 1 ? kind : 0;
			if (at - from === 2 && kind !== 0) fieldSlot[fields] = SLOT.kind;
			repeated ||= (seen & 64) !== 0;
			seen |= 64;
		} else if (number === statusField) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			const code = statusCode(bytes, body, at);
			if (code < 0) return "malformed_record";
			columns.status[row] = code;
		} else if (isSpanPart(shape === SPAN_SHAPE, number)) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			const reason = checkParts(
				bytes,
				body,
				at,
				number === EVENTS_FIELD ? 3 : number === LINKS_FIELD ? 4 : 0,
				limits.maxDepth - 1,
			);
			if (reason !== undefined) return reason;
		}
		fields++;
	}
	const isSpan = shape === SPAN_SHAPE;
	// The ids of a log record are optional; a wrong length is a fault all the same.
	if (traceIdBytes !== 16 && (isSpan || traceIdBytes !== 0)) return "invalid_trace_id";
	if (spanIdBytes !== 8 && (isSpan || spanIdBytes !== 0)) return "invalid_span_id";
	if (parentIdBytes !== 0 && parentIdBytes !== 8) return "invalid_parent_id";
	if (isSpan && isZero4(columns.traceId, row4)) return "invalid_trace_id";
	if (isSpan && (columns.spanId[row2]! | columns.spanId[row2 + 1]!) === 0) return "invalid_span_id";
	if (repeated) for (let i = firstField; i < fields; i++) if (fieldSlot[i] !== SLOT.attribute) fieldSlot[i] = SLOT.item;
	finishRow(columns, row, firstField, fields, end, scope);
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
 * A log record without a time is placed by its observed time (opentelemetry/proto/logs/v1/logs.proto on time_unix_nano), and one
 * without an observed time was observed when it was made. In the columns only: a field that says zero is kept as its bytes.
 */
function useOtherTime(
	columns: RecordColumns,
	missing: Uint32Array,
	other: Uint32Array,
	row2: number,
	slot: number,
	firstField: number,
	endField: number,
): void {
	missing[row2] = other[row2]!;
	missing[row2 + 1] = other[row2 + 1]!;
	const { fieldSlot } = columns;
	for (let i = firstField; i < endField; i++) if (fieldSlot[i] === slot) fieldSlot[i] = SLOT.item;
}

/** Closes the row behind its last field. */
export function finishRow(
	columns: RecordColumns,
	row: number,
	firstField: number,
	endField: number,
	endByte: number,
	scope: number,
): void {
	const row2 = row * 2;
	if (columns.shape !== SPAN_SHAPE) {
		const { time0, time1 } = columns;
		if ((time0[row2]! | time0[row2 + 1]!) === 0) useOtherTime(columns, time0, time1, row2, SLOT.time0, firstField, endField);
		else if ((time1[row2]! | time1[row2 + 1]!) === 0)
			useOtherTime(columns, time1, time0, row2, SLOT.time1, firstField, endField);
	}
	columns.fieldStart[endField] = endByte;
	columns.fieldSlot[endField] = SLOT.end;
	columns.scope[row] = scope;
	columns.fieldCount = endField + 1;
	columns.count = row + 1;
	columns.firstField[row + 1] = endField + 1;
}

export function clearRow(columns: RecordColumns, row: number): void {
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
export function isPlainKeyValue(bytes: Uint8Array, start: number, end: number): boolean {
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

/** Status.code (field 3), 0 to 2; unknown codes read as unset. Negative when malformed. */
function statusCode(bytes: Uint8Array, start: number, end: number): number {
	let code = 0;
	for (let at = start; at < end;) {
		at = skipField(bytes, at, end);
		if (at < 0) return -1;
		if (met.fieldNo === 3 && met.wireType === WIRE_VARINT) code = at === met.payloadStart + 1 ? bytes[met.payloadStart]! : 0;
	}
	return code <= 2 ? code : 0;
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
