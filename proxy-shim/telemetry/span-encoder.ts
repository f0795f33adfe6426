/**
 * Writes a hop as an OTLP span straight into a chunk: fixed fields, the edge's template, and the few values that differ. No object is
 * made, and each length is known or made room for before what it measures (opentelemetry/proto/trace/v1/trace.proto).
 */
import type { HttpHop } from "./hop.ts";
import { redactQuery } from "./query-redaction.ts";
import { type SpanChunk, varintSize } from "./span-chunk.ts";
import { SpanTemplates } from "./span-templates.ts";
import { withoutOwnMember } from "./trace-state.ts";

const SPAN_TAG = 0x12;
const TRACE_ID_TAG = 0x0a;
const SPAN_ID_TAG = 0x12;
const TRACE_STATE_TAG = 0x1a;
const PARENT_TAG = 0x22;
const START_TAG = 0x39;
const END_TAG = 0x41;
const ATTRIBUTE_TAG = 0x4a;
const STATUS = Uint8Array.of(0x7a, 2, 0x18, 2);
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

const MAX_PATH_CHARACTERS = 2048;
const MAX_QUERY_CHARACTERS = 2048;
const MAX_USER_AGENT_CHARACTERS = 512;
/** Fixed fields, keys and numbers of a span: about 400. */
const FIXED_BYTES = 640;
/** Spans are mostly of this size class: the length has room for two bytes, and moves the span where it takes another number. */
const LENGTH_BYTES = 2;
/** Below this a loop is faster than the call into the runtime. */
const MAX_BY_HAND_CHARACTERS = 48;
const TWO_32 = 0x1_0000_0000;

const NIBBLES = new Uint8Array(256);
for (let digit = 0; digit < 16; digit++) NIBBLES[digit.toString(16).charCodeAt(0)] = digit;

/** `key` of a KeyValue, tag and length before it. */
function keyBytes(key: string): Uint8Array {
	return Uint8Array.of(0x0a, key.length, ...Buffer.from(key, "latin1"));
}

const URL_PATH = keyBytes("url.path");
const URL_QUERY = keyBytes("url.query");
const USER_AGENT = keyBytes("user_agent.original");
const PEER_PORT = keyBytes("network.peer.port");
const REQUEST_SIZE = keyBytes("http.request.body.size");
const RESPONSE_SIZE = keyBytes("http.response.body.size");
const RESEND_COUNT = keyBytes("http.request.resend_count");
const RETRY_COUNT = keyBytes("meshscope.retry.count");
const SERVICE_TIME = keyBytes("meshscope.upstream_service_time_ms");
const REQUEST_ID = keyBytes("guid:x-request-id");

export class SpanEncoder {
	readonly templates = new SpanTemplates();
	/** Of the chunk that is being written to; `at` is the next byte. */
	private bytes: Buffer<ArrayBuffer> = Buffer.alloc(0);
	private at = 0;

	append(chunk: SpanChunk, hop: HttpHop): void {
		const template = this.templates.of(hop);
		const { trace } = hop;
		const traceState = withoutOwnMember(trace.traceState);
		const path = pathOf(hop.path);
		const query = queryOf(hop.path);
		const userAgent = cut(hop.userAgent, MAX_USER_AGENT_CHARACTERS);
		const texts = path.length + query.length + userAgent.length + traceState.length + hop.requestId.length;
		chunk.reserve(FIXED_BYTES + template.head.length + template.attributes.length + 3 * texts);
		const { bytes, view } = chunk;
		this.bytes = bytes;
		const start = chunk.length + 1 + LENGTH_BYTES;
		let at = start;

		bytes[at++] = TRACE_ID_TAG;
		bytes[at++] = 16;
		at = writeHex(bytes, at, trace.traceId, 32);
		bytes[at++] = SPAN_ID_TAG;
		bytes[at++] = 8;
		at = writeHex(bytes, at, trace.spanId, 16);
		if (traceState !== "") {
			bytes[at++] = TRACE_STATE_TAG;
			const length = Buffer.byteLength(traceState);
			at = writeVarint(bytes, at, length);
			at += bytes.write(traceState, at);
		}
		let flags = HAS_IS_REMOTE | (trace.sampled ? 1 : 0);
		if (trace.parentSpanId !== "") {
			flags |= IS_REMOTE;
			bytes[at++] = PARENT_TAG;
			bytes[at++] = 8;
			at = writeHex(bytes, at, trace.parentSpanId, 16);
		}
		bytes.set(template.head, at);
		at += template.head.length;

		bytes[at++] = START_TAG;
		view.setBigUint64(at, hop.startTimeUnixNano, true);
		const duration = hop.durationNs > 0 ? Math.round(hop.durationNs) : 0;
		const low = view.getUint32(at, true) + (duration % TWO_32);
		const high = view.getUint32(at + 4, true) + Math.floor(duration / TWO_32) + (low >= TWO_32 ? 1 : 0);
		at += 8;
		bytes[at++] = END_TAG;
		view.setUint32(at, low, true);
		view.setUint32(at + 4, high, true);
		at += 8;

		bytes.set(template.attributes, at);
		this.at = at + template.attributes.length;
		// A gRPC path is the method, which the template names.
		if (!hop.isGrpc && path !== "") this.text(URL_PATH, path);
		if (query !== "") this.text(URL_QUERY, query);
		if (userAgent !== "") this.text(USER_AGENT, userAgent);
		if (hop.peer.port > 0) this.count(PEER_PORT, hop.peer.port);
		this.count(REQUEST_SIZE, hop.requestBytes);
		this.count(RESPONSE_SIZE, hop.responseBytes);
		if (hop.retries > 0) {
			this.count(RESEND_COUNT, hop.retries);
			this.count(RETRY_COUNT, hop.retries);
		}
		if (hop.upstreamServiceTimeMs >= 0) this.number(view, SERVICE_TIME, hop.upstreamServiceTimeMs);
		if (hop.requestId !== "") this.text(REQUEST_ID, hop.requestId);

		at = this.at;
		if (template.isError) {
			bytes.set(STATUS, at);
			at += STATUS.length;
		}
		bytes[at++] = 0x85;
		bytes[at++] = 1;
		view.setUint32(at, flags, true);
		this.finish(chunk, start, at + 4);
	}

	/** The span's own tag and length, in front of it. */
	private finish(chunk: SpanChunk, start: number, end: number): void {
		const { bytes } = this;
		const size = end - start;
		const lengthBytes = varintSize(size);
		const moved = lengthBytes - LENGTH_BYTES;
		if (moved !== 0) bytes.copyWithin(start + moved, start, end);
		bytes[chunk.length] = SPAN_TAG;
		writeVarint(bytes, chunk.length + 1, size);
		chunk.length = end + moved;
		chunk.spans++;
	}

	private text(key: Uint8Array, value: string): void {
		const { bytes } = this;
		const { length } = value;
		// As if it were ASCII, which it nearly always is; otherwise once more, with its true size.
		let text = this.textStart(key, length);
		if (length <= MAX_BY_HAND_CHARACTERS) {
			let i = 0;
			for (; i < length; i++) {
				const code = value.charCodeAt(i);
				if (code >= 0x80) break;
				bytes[text + i] = code;
			}
			if (i === length) {
				this.textHead(key, length);
				this.at = text + length;
				return;
			}
		} else if (bytes.write(value, text) === length) {
			this.textHead(key, length);
			this.at = text + length;
			return;
		}
		const size = Buffer.byteLength(value);
		text = this.textStart(key, size);
		bytes.write(value, text);
		this.textHead(key, size);
		this.at = text + size;
	}

	private textStart(key: Uint8Array, size: number): number {
		const any = 1 + varintSize(size) + size;
		const pair = key.length + 1 + varintSize(any) + any;
		return this.at + 1 + varintSize(pair) + pair - size;
	}

	private textHead(key: Uint8Array, size: number): void {
		const { bytes } = this;
		const any = 1 + varintSize(size) + size;
		let at = this.pairHead(key, any);
		bytes[at++] = 0x0a;
		writeVarint(bytes, at, size);
	}

	/** Everything of a KeyValue up to its value. */
	private pairHead(key: Uint8Array, any: number): number {
		const { bytes } = this;
		let { at } = this;
		bytes[at++] = ATTRIBUTE_TAG;
		at = writeVarint(bytes, at, key.length + 1 + varintSize(any) + any);
		for (let i = 0; i < key.length; i++) bytes[at++] = key[i]!;
		bytes[at++] = 0x12;
		return writeVarint(bytes, at, any);
	}

	/** What is no count is 0: one bad number must not cost the chunk. */
	private count(key: Uint8Array, given: number): void {
		const value = Number.isSafeInteger(given) && given > 0 ? given : 0;
		const at = this.pairHead(key, 1 + (value < TWO_32 / 16 ? varintSize(value) : bigVarintSize(value)));
		this.bytes[at] = 0x18;
		this.at = writeVarint(this.bytes, at + 1, value);
	}

	private number(view: DataView, key: Uint8Array, value: number): void {
		if (Number.isSafeInteger(value)) return this.count(key, value);
		const at = this.pairHead(key, 9);
		this.bytes[at] = 0x21;
		view.setFloat64(at + 1, value, true);
		this.at = at + 9;
	}
}

function bigVarintSize(value: number): number {
	let size = 1;
	for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
	return size;
}

function writeVarint(bytes: Uint8Array, start: number, value: number): number {
	let at = start;
	let large = value;
	while (large >= 0x8000_0000) {
		bytes[at++] = (large % 0x80) | 0x80;
		large = Math.floor(large / 0x80);
	}
	// The rest fits into an integer, whose shifts cost a tenth of that.
	let rest = large | 0;
	while (rest >= 0x80) {
		bytes[at++] = (rest & 0x7f) | 0x80;
		rest >>>= 7;
	}
	bytes[at++] = rest;
	return at;
}

function writeHex(bytes: Uint8Array, start: number, hex: string, digits: number): number {
	let at = start;
	for (let i = 0; i < digits; i += 2) bytes[at++] = (NIBBLES[hex.charCodeAt(i)]! << 4) | NIBBLES[hex.charCodeAt(i + 1)]!;
	return at;
}

function pathOf(pathAndQuery: string): string {
	const mark = pathAndQuery.indexOf("?");
	return cut(mark < 0 ? pathAndQuery : pathAndQuery.slice(0, mark), MAX_PATH_CHARACTERS);
}

function queryOf(pathAndQuery: string): string {
	const mark = pathAndQuery.indexOf("?");
	// Cut before it is redacted, so that half a secret is one too.
	return mark < 0 ? "" : redactQuery(pathAndQuery.slice(mark + 1, mark + 1 + MAX_QUERY_CHARACTERS));
}

function cut(text: string, characters: number): string {
	return text.length > characters ? text.slice(0, characters) : text;
}
