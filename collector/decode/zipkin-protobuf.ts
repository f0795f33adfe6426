/**
 * A Zipkin v2 protobuf ListOfSpans, span by span.
 * Source: openzipkin/zipkin-api zipkin.proto.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireError, WireReader } from "../../model/protobuf/reader.ts";
import type { DecodeLimits } from "./limits.ts";
import { NO_ENDPOINT, type ZipkinEndpoint, type ZipkinSink, type ZipkinSpan } from "./zipkin-span.ts";

/** OTLP span kinds by the numbers of Zipkin's: unspecified, client, server, producer, consumer. */
const OTLP_KINDS = [0, 3, 2, 4, 5] as const;
const NOTHING = new Uint8Array(0);

type Filling = { -readonly [K in keyof ZipkinSpan]: ZipkinSpan[K] } & {
	annotations: ZipkinSpan["annotations"][number][];
	tags: ZipkinSpan["tags"][number][];
};

export function readZipkinProtobuf(bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits, sink: ZipkinSink): void {
	try {
		const list = new WireReader(bytes);
		while (list.next()) {
			if (list.field !== 1) list.skip();
			else if (list.is(WIRE_LENGTH)) readRecord(list.message(), limits, sink);
		}
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
		throw new MeshscopeError("malformed_payload", `Zipkin protobuf: ${error.message}`);
	}
}

function readRecord(reader: WireReader, limits: DecodeLimits, sink: ZipkinSink): void {
	sink.met();
	const size = reader.end - reader.position;
	if (size > limits.maxRecordBytes) return sink.drop("record_too_large", `${size} bytes`);
	let span: ZipkinSpan;
	try {
		span = readSpan(reader, sink);
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
		return sink.drop("malformed_record", error.message);
	}
	sink.span(span);
}

function readSpan(reader: WireReader, sink: ZipkinSink): ZipkinSpan {
	const span: Filling = {
		traceId: NOTHING,
		id: NOTHING,
		parentId: NOTHING,
		kind: 0,
		name: "",
		startNs: 0n,
		durationNs: 0n,
		debug: false,
		shared: false,
		local: NO_ENDPOINT,
		remote: NO_ENDPOINT,
		annotations: [],
		tags: [],
	};
	while (reader.next()) {
		switch (reader.field) {
			case 1:
				if (reader.is(WIRE_LENGTH)) span.traceId = wideTraceId(reader.view());
				break;
			case 2:
				if (reader.is(WIRE_LENGTH)) span.parentId = nonZero(reader.view());
				break;
			case 3:
				if (reader.is(WIRE_LENGTH)) span.id = reader.view();
				break;
			case 4:
				if (reader.is(WIRE_VARINT)) span.kind = OTLP_KINDS[reader.uint32()] ?? 0;
				break;
			case 5:
				if (reader.is(WIRE_LENGTH)) span.name = text(reader, sink);
				break;
			case 6:
				if (reader.is(WIRE_FIXED64)) span.startNs = reader.fixed64() * 1000n;
				break;
			case 7:
				if (reader.is(WIRE_VARINT)) span.durationNs = reader.uint64() * 1000n;
				break;
			case 8:
				if (reader.is(WIRE_LENGTH)) span.local = readEndpoint(reader.message(), sink);
				break;
			case 9:
				if (reader.is(WIRE_LENGTH)) span.remote = readEndpoint(reader.message(), sink);
				break;
			case 10:
				if (reader.is(WIRE_LENGTH)) span.annotations.push(readAnnotation(reader.message(), sink));
				break;
			case 11:
				if (reader.is(WIRE_LENGTH)) span.tags.push(readTag(reader.message(), sink));
				break;
			case 12:
				if (reader.is(WIRE_VARINT)) span.debug = reader.bool();
				break;
			case 13:
				if (reader.is(WIRE_VARINT)) span.shared = reader.bool();
				break;
			default:
				reader.skip();
		}
	}
	return span;
}

function readEndpoint(reader: WireReader, sink: ZipkinSink): ZipkinEndpoint {
	let serviceName = "";
	let ipv4 = "";
	let ipv6 = "";
	let port = 0;
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) serviceName = text(reader, sink);
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) ipv4 = ipv4Text(reader.view());
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) ipv6 = ipv6Text(reader.view());
		else if (reader.field === 4 && reader.is(WIRE_VARINT)) port = reader.uint32() & 0xffff;
		else if (reader.field > 4) reader.skip();
	}
	return { serviceName, address: ipv4 || ipv6, port };
}

function readAnnotation(reader: WireReader, sink: ZipkinSink): ZipkinSpan["annotations"][number] {
	let timeNs = 0n;
	let value = "";
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_FIXED64)) timeNs = reader.fixed64() * 1000n;
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) value = text(reader, sink);
		else if (reader.field > 2) reader.skip();
	}
	return { timeNs, value };
}

/** An entry of `map<string, string>`. */
function readTag(reader: WireReader, sink: ZipkinSink): ZipkinSpan["tags"][number] {
	let key = "";
	let value = "";
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) key = text(reader, sink);
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) value = text(reader, sink);
		else if (reader.field > 2) reader.skip();
	}
	return [key, value];
}

function text(reader: WireReader, sink: ZipkinSink): string {
	const value = reader.string();
	if (value.includes("\ufffd")) sink.invalidUtf8();
	return value;
}

/** 64-bit trace ids are the right half of a 128-bit one. */
function wideTraceId(id: Uint8Array): Uint8Array {
	if (id.length !== 8) return id;
	const wide = new Uint8Array(16);
	wide.set(id, 8);
	return wide;
}

function nonZero(id: Uint8Array): Uint8Array {
	return id.some((byte) => byte !== 0) ? id : NOTHING;
}

function ipv4Text(bytes: Uint8Array): string {
	return bytes.length === 4 ? bytes.join(".") : "";
}

/** RFC 5952: lower-case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function ipv6Text(bytes: Uint8Array): string {
	if (bytes.length !== 16) return "";
	const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
	let bestStart = 0;
	let bestLength = 1;
	for (let start = 0; start < 8; start++) {
		let length = 0;
		while (start + length < 8 && groups[start + length] === 0) length++;
		if (length > bestLength) [bestStart, bestLength] = [start, length];
	}
	const hex = groups.map((group) => group.toString(16));
	if (bestLength < 2) return hex.join(":");
	return `${hex.slice(0, bestStart).join(":")}::${hex.slice(bestStart + bestLength).join(":")}`;
}
