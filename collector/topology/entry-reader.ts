/**
 * What one attribute says to topology: whether it matters, its part in a profile's hash, its number. Looks at the bytes where they
 * stand; values that differ from request to request are cut down to what is left of them in a profile (model/topology/sources/keys.ts).
 */
import { decodeKeyValue } from "../../model/otlp/any-value.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import { WireReader } from "../../model/protobuf/reader.ts";
import { ByteHash } from "./byte-hash.ts";
import { type KeyTable, ROLE, type Role } from "./key-table.ts";

export const KIND_SERVER = 2;
const MAX_EXPORT_PATH = 80;
const MAX_ADDRESSES = 1 << 14;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class EntryReader {
	/** Of the attribute read last: `text`'s part in a profile's hash, or the hash of a request id. */
	readonly hash = new ByteHash();
	/** Of the attribute read last, where its role is a number's. */
	number = 0;
	private readonly keys: KeyTable;
	private readonly reduce: (key: string, kind: number, value: string) => string | undefined;
	private readonly seed: readonly [number, number];
	/** What is left of addresses at servers, by a hash of their host: most spans have one that was seen before. */
	private readonly addresses = new Map<number, number>();

	constructor(
		keys: KeyTable,
		reduce: (key: string, kind: number, value: string) => string | undefined,
		seed: readonly [number, number],
	) {
		this.keys = keys;
		this.reduce = reduce;
		this.seed = seed;
	}

	/** An attribute's field, tag included. `text` is the role of all that is part of the profile. */
	read(bytes: Uint8Array, start: number, end: number, isServer: boolean): Role {
		this.hash.set(0, 0);
		const keyEnd = keyEndOf(bytes, start, end);
		if (keyEnd === 0) return this.readOdd(bytes, start, end, isServer);
		const key = this.keys.find(bytes, keyEnd - bytes[keyLengthAt(bytes, start)]!, keyEnd);
		if (key < 0) return ROLE.none;
		// 0x12, length of the AnyValue, then its one field.
		let value = keyEnd + 2;
		if (bytes[keyEnd] !== 0x12) return this.readOdd(bytes, start, end, isServer);
		if (bytes[value - 1]! >= 0x80) value++;
		const tag = bytes[value]!;
		let from = value + 1;
		if (tag === 0x0a) {
			if (bytes[from]! >= 0x80) from++;
			from++;
		} else if (tag !== 0x18 && tag !== 0x10 && tag !== 0x21) return this.readOdd(bytes, start, end, isServer);
		return from > end ? ROLE.none : this.readValue(key, bytes, tag, from, end, isServer);
	}

	/** As {@link read}, of a pair of texts. */
	readPair(name: string, value: string, isServer: boolean): Role {
		this.hash.set(0, 0);
		const key = this.keys.findText(name);
		if (key < 0) return ROLE.none;
		const bytes = encoder.encode(value);
		return this.readValue(key, bytes, 0x0a, 0, bytes.length, isServer);
	}

	/** A pair in an unusual encoding: decoded whole, then taken like any other. */
	private readOdd(bytes: Uint8Array, start: number, end: number, isServer: boolean): Role {
		const pair = textPair(bytes, start, end);
		return pair === undefined ? ROLE.none : this.readPair(pair[0], pair[1], isServer);
	}

	private readValue(key: number, bytes: Uint8Array, tag: number, from: number, end: number, isServer: boolean): Role {
		const { hash } = this;
		const role = this.keys.role(key);
		switch (role) {
			case ROLE.text:
				hash.mixNumber(key);
				// The type is part of it: a text and a number that look alike are not the same bytes.
				hash.word0 ^= tag;
				hash.mix(bytes, from, end);
				return ROLE.text;
			case ROLE.address:
				this.mixAddress(key, bytes, from, end, isServer);
				return ROLE.text;
			case ROLE.authority: {
				if (isServer) return ROLE.none;
				hash.mixNumber(key);
				const start = authorityStart(bytes, from, end);
				const authority = authorityEnd(bytes, start, end);
				hash.mix(bytes, start, isExportLike(bytes, authority, end) ? end : authority);
				return ROLE.text;
			}
			case ROLE.path:
				if (!isExportLike(bytes, from, end)) return ROLE.none;
				hash.mixNumber(key);
				hash.mix(bytes, from, end);
				return ROLE.text;
			case ROLE.requestId:
				hash.set(this.seed[0], this.seed[1]);
				hash.mix(bytes, from, end);
				// Zero stands for none.
				hash.word0 = hash.word0 >>> 0 || 1;
				return role;
			default:
				this.number = numberAt(bytes, tag, from, end);
				return this.number >= 0 && this.number < Infinity ? role : ROLE.none;
		}
	}

	/** At a server, addresses that come to the same count as the same. */
	private mixAddress(key: number, bytes: Uint8Array, start: number, end: number, isServer: boolean): void {
		const { hash } = this;
		const hostTo = hostEnd(bytes, start, end);
		hash.mixNumber(key);
		if (!isServer) {
			hash.mix(bytes, start, hostTo);
			return;
		}
		let ofHost = this.seed[0];
		for (let i = start; i < hostTo; i++) ofHost = Math.imul(ofHost ^ bytes[i]!, 0x01000193) ^ (ofHost >>> 15);
		let reduced = this.addresses.get(ofHost);
		if (reduced === undefined) {
			const host = decoder.decode(bytes.subarray(start, hostTo));
			reduced = this.reduce(this.keys.name(key), KIND_SERVER, host) === host ? ofHost : 1;
			if (this.addresses.size >= MAX_ADDRESSES) this.addresses.clear();
			this.addresses.set(ofHost, reduced);
		}
		hash.word0 = Math.imul(hash.word0 ^ reduced, 0x85ebca6b);
		hash.word1 = Math.imul(hash.word1 + reduced, 0x27d4eb2f) ^ (hash.word1 >>> 15);
	}
}

/** The attribute in a record's field, its value as text; undefined where it has no scalar value. */
export function textPair(bytes: Uint8Array, start: number, end: number): readonly [string, string] | undefined {
	const reader = new WireReader(bytes, start, end);
	reader.next();
	const message = reader.message();
	return pairOf(bytes, message.position, message.end);
}

/** The same of a KeyValue message. */
export function pairOf(bytes: Uint8Array, start: number, end: number): readonly [string, string] | undefined {
	const { key, value } = decodeKeyValue(bytes, start, end);
	const text = scalarText(value)?.text;
	return key === undefined || text === undefined ? undefined : [key, text];
}

/** Where the key's length stands in a KeyValue field: behind the tag, a length of one byte or two, and the key's tag. */
function keyLengthAt(bytes: Uint8Array, start: number): number {
	return bytes[start + 1]! < 0x80 ? start + 3 : start + 4;
}

/** Behind the key, where the pair is in the usual form; 0 where it is not. */
function keyEndOf(bytes: Uint8Array, start: number, end: number): number {
	const lengthAt = keyLengthAt(bytes, start);
	if (bytes[start]! >= 0x80 || (lengthAt === start + 4 && bytes[start + 2]! >= 0x80)) return 0;
	const length = bytes[lengthAt]!;
	const keyEnd = lengthAt + 1 + length;
	return bytes[lengthAt - 1] !== 0x0a || length >= 0x80 || length === 0 || keyEnd > end ? 0 : keyEnd;
}

/** A number as text, integer or double; NaN for anything else. */
function numberAt(bytes: Uint8Array, tag: number, from: number, end: number): number {
	if (tag === 0x0a) {
		let value = 0;
		let scale = 0;
		if (from === end) return NaN;
		for (let i = from; i < end; i++) {
			const digit = bytes[i]! - 48;
			if (digit >= 0 && digit <= 9) {
				value = value * 10 + digit;
				scale *= 10;
			} else if (bytes[i] === 46 && scale === 0) scale = 1;
			else return NaN;
		}
		return scale > 1 ? value / scale : value;
	}
	if (tag === 0x18) {
		let value = 0;
		for (let i = from, factor = 1; i < end; i++, factor *= 128) value += (bytes[i]! & 0x7f) * factor;
		// A negative number has ten bytes and comes out above 2^63.
		return value < 2 ** 63 ? value : NaN;
	}
	if (tag === 0x21 && end - from === 8) return new DataView(bytes.buffer, bytes.byteOffset + from, 8).getFloat64(0, true);
	return NaN;
}

/** Whether a path can be that of an export of telemetry: `/v1/…`, `/otlp/v1/…`, `/api/v2/spans`, or a gRPC service of OpenTelemetry's. */
function isExportLike(bytes: Uint8Array, start: number, end: number): boolean {
	const length = end - start;
	if (length > MAX_EXPORT_PATH || length < 8) return false;
	let at = bytes[start] === 47 ? start + 1 : start;
	const first = bytes[at];
	// v1, otlp and opentelemetry, api
	if (first !== 118 && first !== 111 && first !== 97) return false;
	at = end - 1;
	const last = bytes[at];
	// traces, metrics, logs, spans, Service; a method of one ends otherwise, but begins like nothing else.
	return last === 115 || last === 101 || first === 111;
}

/** End of the host in `host`, `host:port`, `[::1]:port`; an IPv6 address without brackets is all host. */
function hostEnd(bytes: Uint8Array, start: number, end: number): number {
	let colon = -1;
	for (let i = start; i < end; i++) {
		if (bytes[i] === 93) return i + 1;
		if (bytes[i] !== 58) continue;
		if (colon >= 0 && bytes[start] !== 91) return end;
		colon = i;
	}
	return colon < 0 ? end : colon;
}

/** Behind `scheme://`, where there is one. */
function authorityStart(bytes: Uint8Array, start: number, end: number): number {
	const most = Math.min(end - 2, start + 16);
	for (let i = start; i < most; i++) if (bytes[i] === 58 && bytes[i + 1] === 47 && bytes[i + 2] === 47) return i + 3;
	return start;
}

function authorityEnd(bytes: Uint8Array, start: number, end: number): number {
	for (let i = start; i < end; i++) if (bytes[i] === 47 || bytes[i] === 63 || bytes[i] === 35) return i;
	return end;
}
