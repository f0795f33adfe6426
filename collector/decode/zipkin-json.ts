/**
 * A Zipkin v2 JSON list, span by span. The outer list is walked by its bytes and each span parsed by itself.
 * Source: openzipkin/zipkin-api zipkin2-api.yaml, definitions Span, Endpoint, Annotation, Tags.
 */
import type { DropReason } from "../../model/errors.ts";
import { bytesFromHex } from "../../model/ids.ts";
import type { DecodeLimits } from "./limits.ts";
import { JsonScanner } from "./otlp-json-scan.ts";
import { NO_ENDPOINT, ZIPKIN_KINDS, type ZipkinEndpoint, type ZipkinSink, type ZipkinSpan } from "./zipkin-span.ts";

/** JSON takes more room than protobuf; the reader behind judges the real size. */
const JSON_BYTES_PER_PROTOBUF_BYTE = 4;
const MAX_VALUES_PER_SPAN = 262_144;
const NOTHING = new Uint8Array(0);

type JsonObject = Readonly<Record<string, unknown>>;

export function readZipkinJson(bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits, sink: ZipkinSink): void {
	const scanner = new JsonScanner(bytes);
	const reader = new SpanReader(sink);
	scanner.array(() => {
		sink.met();
		const slice = scanner.skip();
		if (
			slice.end - slice.start > limits.maxRecordBytes * JSON_BYTES_PER_PROTOBUF_BYTE ||
			slice.values > MAX_VALUES_PER_SPAN
		) {
			return sink.drop("record_too_large", `${slice.end - slice.start} bytes of JSON, ${slice.values} values`);
		}
		let value: unknown;
		try {
			({ value, lossy: reader.lossy } = scanner.parse(slice));
		} catch (error) {
			if (!(error instanceof SyntaxError)) throw error;
			return sink.drop("malformed_record", `no JSON between bytes ${slice.start} and ${slice.end}`);
		}
		const span = reader.span(value);
		if (span === undefined) sink.drop(reader.reason, reader.problem);
		else sink.span(span);
	});
	scanner.finish();
}

/** Reads one parsed span; what does not fit sets `problem` and the span is given up. */
class SpanReader {
	problem = "";
	reason: DropReason = "malformed_record";
	lossy = false;
	private readonly sink: ZipkinSink;

	constructor(sink: ZipkinSink) {
		this.sink = sink;
	}

	span(value: unknown): ZipkinSpan | undefined {
		this.problem = "";
		this.reason = "malformed_record";
		if (!isObject(value)) {
			this.problem = "expected an object";
			return undefined;
		}
		const parentId = this.id(value, "parentId", 16, "invalid_parent_id");
		const span: ZipkinSpan = {
			traceId: this.id(value, "traceId", 32, "invalid_trace_id"),
			id: this.id(value, "id", 16, "invalid_span_id"),
			parentId: parentId.some((byte) => byte !== 0) ? parentId : NOTHING,
			kind: ZIPKIN_KINDS[this.text(value, "kind").toUpperCase()] ?? 0,
			name: this.text(value, "name"),
			startNs: this.nanos(value, "timestamp"),
			durationNs: this.nanos(value, "duration"),
			debug: this.bool(value, "debug"),
			shared: this.bool(value, "shared"),
			local: this.endpoint(value, "localEndpoint"),
			remote: this.endpoint(value, "remoteEndpoint"),
			annotations: this.annotations(value),
			tags: this.tags(value),
		};
		return this.problem === "" ? span : undefined;
	}

	private fail(key: string, expected: string, reason: DropReason = "malformed_record"): void {
		if (this.problem !== "") return;
		this.problem = `${key}: expected ${expected}`;
		this.reason = reason;
	}

	private text(object: JsonObject, key: string): string {
		const value = own(object, key);
		if (value === undefined) return "";
		if (typeof value === "string") return this.checked(value);
		this.fail(key, "a text");
		return "";
	}

	private checked(text: string): string {
		if (!text.isWellFormed() || (this.lossy && text.includes("\ufffd"))) this.sink.invalidUtf8();
		return text;
	}

	/** Shorter ids than `digits` are filled with zeros, as 64-bit trace ids are; longer ones are for the reader behind. */
	private id(object: JsonObject, key: string, digits: number, reason: DropReason): Uint8Array {
		const value = own(object, key);
		if (value === undefined || value === "") return NOTHING;
		if (typeof value !== "string" || !/^[0-9a-fA-F]+$/.test(value)) {
			this.fail(key, "hex digits", reason);
			return NOTHING;
		}
		return bytesFromHex(value.padStart(Math.max(digits, value.length + (value.length % 2)), "0"));
	}

	/** Microseconds as a number, or as text, to nanoseconds. */
	private nanos(object: JsonObject, key: string): bigint {
		const value = own(object, key);
		if (value === undefined) return 0n;
		if (typeof value === "bigint" && value >= 0n) return value * 1000n;
		if (typeof value === "string" && /^\d{1,20}$/.test(value)) return BigInt(value) * 1000n;
		if (typeof value === "number" && value >= 0 && Number.isFinite(value)) {
			return Number.isInteger(value) ? BigInt(value) * 1000n : BigInt(Math.round(value * 1000));
		}
		this.fail(key, "microseconds");
		return 0n;
	}

	private bool(object: JsonObject, key: string): boolean {
		const value = own(object, key);
		if (value !== undefined && typeof value !== "boolean") this.fail(key, "true or false");
		return value === true;
	}

	private endpoint(object: JsonObject, key: string): ZipkinEndpoint {
		const value = own(object, key);
		if (value === undefined) return NO_ENDPOINT;
		if (!isObject(value)) {
			this.fail(key, "an object");
			return NO_ENDPOINT;
		}
		const port = own(value, "port") ?? 0;
		const validPort = typeof port === "number" && Number.isInteger(port) && port >= 0 && port <= 0xffff;
		if (!validPort) this.fail(`${key}.port`, "a port");
		return {
			serviceName: this.text(value, "serviceName"),
			address: this.text(value, "ipv4") || this.text(value, "ipv6"),
			port: validPort ? port : 0,
		};
	}

	private annotations(object: JsonObject): ZipkinSpan["annotations"] {
		const value = own(object, "annotations");
		if (value === undefined) return [];
		if (!Array.isArray(value) || !value.every(isObject)) {
			this.fail("annotations", "a list of objects");
			return [];
		}
		return value.map((annotation) => ({
			timeNs: this.nanos(annotation, "timestamp"),
			value: this.text(annotation, "value"),
		}));
	}

	/** Zipkin's tags are texts; numbers and booleans, which some senders write, are taken as their text. */
	private tags(object: JsonObject): ZipkinSpan["tags"] {
		const value = own(object, "tags");
		if (value === undefined) return [];
		if (!isObject(value)) {
			this.fail("tags", "an object");
			return [];
		}
		const tags: (readonly [string, string])[] = [];
		for (const [key, tag] of Object.entries(value)) {
			if (typeof tag === "string") tags.push([this.checked(key), this.checked(tag)]);
			else if (typeof tag === "number" || typeof tag === "boolean" || typeof tag === "bigint")
				tags.push([this.checked(key), String(tag)]);
			else if (tag !== null) this.fail("tags", "texts");
		}
		return tags;
	}
}

function isObject(value: unknown): value is JsonObject {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member that is there and not null. */
function own(object: JsonObject, key: string): unknown {
	return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined;
}
