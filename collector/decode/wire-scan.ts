/**
 * Scanning the wire without building anything: passing over fields, and judging whether values are well-formed.
 */
import type { DropReason } from "../../model/errors.ts";

export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/**
 * What `skipField` met last: the first byte of the value, the field's number, its wire type. One reader a thread, so shared state is
 * safe, and free where an object of its own would cost an allocation a field.
 */
export const met = { payloadStart: 0, fieldNo: 0, wireType: 0 };

/**
 * Passes over the field at `at`; returns the offset behind it, or -1 when it is malformed or passes `end`. Leaves the field's
 * number, wire type and the start of its value in module state. Groups (wire types 3 and 4) are refused: OTLP has none.
 */
export function skipField(bytes: Uint8Array, at: number, end: number): number {
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
	met.fieldNo = tag >>> 3;
	met.wireType = tag & 7;
	if (met.fieldNo === 0) return -1;
	if (met.wireType === WIRE_BYTES) {
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
		met.payloadStart = at;
		at += length;
		return at <= end ? at : -1;
	}
	met.payloadStart = at;
	if (met.wireType === WIRE_VARINT) {
		for (let count = 0; count < 10; count++) {
			if (at >= end) return -1;
			if (bytes[at++]! < 0x80) return at;
		}
		return -1;
	}
	if (met.wireType === WIRE_FIXED64) at += 8;
	else if (met.wireType === WIRE_FIXED32) at += 4;
	else return -1;
	return at <= end ? at : -1;
}

/** Any well-formed KeyValue, however written: 1 key, 2 value. */
export function checkKeyValue(bytes: Uint8Array, start: number, end: number, depthLeft: number): DropReason | undefined {
	for (let at = start; at < end;) {
		at = skipField(bytes, at, end);
		if (at < 0) return "malformed_record";
		if (met.fieldNo === 1 && met.wireType !== WIRE_BYTES) return "malformed_record";
		if (met.fieldNo === 2) {
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			const reason = checkAnyValue(bytes, met.payloadStart, at, depthLeft);
			if (reason !== undefined) return reason;
		}
	}
	return undefined;
}

/** AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array {1: AnyValue}, 6 kvlist {1: KeyValue}, 7 bytes. */
function checkAnyValue(bytes: Uint8Array, start: number, end: number, depthLeft: number): DropReason | undefined {
	for (let at = start; at < end;) {
		at = skipField(bytes, at, end);
		if (at < 0) return "malformed_record";
		const expected = ANY_VALUE_WIRE[met.fieldNo];
		if (expected !== undefined && expected !== met.wireType) return "malformed_record";
		if (met.fieldNo !== 5 && met.fieldNo !== 6) continue;
		if (depthLeft < 0) return "too_deep";
		const isList = met.fieldNo === 5;
		const listEnd = at;
		for (let inner = met.payloadStart; inner < listEnd;) {
			inner = skipField(bytes, inner, listEnd);
			if (inner < 0) return "malformed_record";
			if ((met.fieldNo as number) !== 1) continue;
			if (met.wireType !== WIRE_BYTES) return "malformed_record";
			const reason = isList
				? checkAnyValue(bytes, met.payloadStart, inner, depthLeft - 1)
				: checkKeyValue(bytes, met.payloadStart, inner, depthLeft - 1);
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
export function checkParts(
	bytes: Uint8Array,
	start: number,
	end: number,
	attributesField: number,
	maxDepth: number,
): DropReason | undefined {
	if (attributesField === 0) return checkAnyValue(bytes, start, end, maxDepth);
	for (let at = start; at < end;) {
		at = skipField(bytes, at, end);
		if (at < 0) return "malformed_record";
		if (met.fieldNo !== attributesField) continue;
		if (met.wireType !== WIRE_BYTES) return "malformed_record";
		const reason = checkKeyValue(bytes, met.payloadStart, at, maxDepth);
		if (reason !== undefined) return reason;
	}
	return undefined;
}
