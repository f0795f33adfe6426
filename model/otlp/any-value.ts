/**
 * AnyValue and KeyValue, from the wire to OTLP JSON and to plain JavaScript values.
 * Source: opentelemetry/proto/common/v1/common.proto.
 */
import { WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireReader } from "../protobuf/reader.ts";
import type { OtlpAnyValue, OtlpDouble, OtlpKeyValue, PlainValue } from "./types.ts";

/** Lists (arrays and key-value lists) that may lie around a value, inside one another. What lies deeper is given as its bytes. */
export const MAX_VALUE_DEPTH = 32;

/** One KeyValue message. */
export function decodeKeyValue(bytes: Uint8Array, start: number, end: number): OtlpKeyValue {
	return readKeyValue(new WireReader(bytes, start, end), 0);
}

/** One AnyValue message. */
export function decodeAnyValue(bytes: Uint8Array, start: number, end: number): OtlpAnyValue {
	return readAnyValue(new WireReader(bytes, start, end), 0);
}

export function readKeyValue(reader: WireReader, depth: number): OtlpKeyValue {
	let key = "";
	let value: OtlpAnyValue | undefined;
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) key = reader.string();
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) value = readAnyValue(reader.message(), depth);
		else if (reader.field > 2) reader.skip();
	}
	if (value === undefined) return key === "" ? {} : { key };
	return key === "" ? { value } : { key, value };
}

export function readAnyValue(reader: WireReader, depth: number): OtlpAnyValue {
	if (depth > MAX_VALUE_DEPTH) return { bytesValue: base64(reader.bytes.subarray(reader.position, reader.end)) };
	// A oneof: the last field on the wire wins.
	let value: OtlpAnyValue = {};
	while (reader.next()) {
		switch (reader.field) {
			case 1:
				if (reader.is(WIRE_LENGTH)) value = { stringValue: reader.string() };
				break;
			case 2:
				if (reader.is(WIRE_VARINT)) value = { boolValue: reader.bool() };
				break;
			case 3:
				if (reader.is(WIRE_VARINT)) value = { intValue: reader.int64().toString() };
				break;
			case 4:
				if (reader.is(WIRE_FIXED64)) value = { doubleValue: jsonDouble(reader.double()) };
				break;
			case 5:
				if (reader.is(WIRE_LENGTH)) value = { arrayValue: listOf(readValues(reader.message(), depth + 1)) };
				break;
			case 6:
				if (reader.is(WIRE_LENGTH)) value = { kvlistValue: listOf(readKeyValues(reader.message(), depth + 1)) };
				break;
			case 7:
				if (reader.is(WIRE_LENGTH)) value = { bytesValue: base64(reader.view()) };
				break;
			default:
				reader.skip();
		}
	}
	return value;
}

/** ArrayValue. */
function readValues(reader: WireReader, depth: number): OtlpAnyValue[] {
	const values: OtlpAnyValue[] = [];
	while (reader.next()) {
		if (reader.field !== 1) reader.skip();
		else if (reader.is(WIRE_LENGTH)) values.push(readAnyValue(reader.message(), depth));
	}
	return values;
}

/** KeyValueList. */
function readKeyValues(reader: WireReader, depth: number): OtlpKeyValue[] {
	const values: OtlpKeyValue[] = [];
	while (reader.next()) {
		if (reader.field !== 1) reader.skip();
		else if (reader.is(WIRE_LENGTH)) values.push(readKeyValue(reader.message(), depth));
	}
	return values;
}

function listOf<T>(values: readonly T[]): { readonly values?: readonly T[] } {
	return values.length === 0 ? {} : { values };
}

export function jsonDouble(value: number): OtlpDouble {
	if (Number.isFinite(value)) return value;
	return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

/** How a 64-bit integer is given: as decimal text like all of them in JSON answers, or as a number while that is exact. */
export type IntegerForm = "text" | "number";

/**
 * Attributes as a record of plain values, for filters, tables and people: bytes are base64 text, an empty value is undefined.
 * Without prototype, so that no key is special; of equal keys the last wins.
 */
export function attributesToPlain(
	attributes: readonly OtlpKeyValue[] | undefined,
	integers: IntegerForm = "text",
): Record<string, PlainValue> {
	const plain = Object.create(null) as Record<string, PlainValue>;
	for (const { key = "", value } of attributes ?? [])
		plain[key] = value === undefined ? undefined : plainValue(value, integers);
	return plain;
}

/** As {@link attributesToPlain}, for one value: a log's body. */
export function plainValue(value: OtlpAnyValue, integers: IntegerForm = "text"): PlainValue {
	if (value.stringValue !== undefined) return value.stringValue;
	if (value.boolValue !== undefined) return value.boolValue;
	if (value.intValue !== undefined) {
		const number = Number(value.intValue);
		return integers === "number" && Number.isSafeInteger(number) ? number : value.intValue;
	}
	if (value.doubleValue !== undefined) return value.doubleValue;
	if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map((item) => plainValue(item, integers));
	if (value.kvlistValue !== undefined) return attributesToPlain(value.kvlistValue.values, integers);
	return value.bytesValue;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Standard alphabet, padded. */
export function base64(bytes: Uint8Array): string {
	let text = "";
	for (let i = 0; i < bytes.length; i += 3) {
		const left = bytes.length - i;
		const word = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0);
		text += BASE64[word >>> 18]! + BASE64[(word >>> 12) & 63]!;
		text += left > 1 ? BASE64[(word >>> 6) & 63]! : "=";
		text += left > 2 ? BASE64[word & 63]! : "=";
	}
	return text;
}
