/**
 * Reads from the columns of a group what topology needs of each record. Runs in the writer thread over every span, so it makes no
 * object a record: the values that matter are hashed where they stand, and only a combination that is new is spelled out.
 */
import { type RecordColumns, SLOT, SPAN_SHAPE } from "../../model/columns.ts";
import type { FieldEntries } from "../../store/store.ts";
import { decodeKeyValue } from "../../model/otlp/any-value.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import { WireReader } from "../../model/protobuf/reader.ts";
import { KeyTable, ROLE, type Role, type RoledKey } from "./key-table.ts";
import { NUMBER, NUMBERS_A_ROW, type Profile, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";

export interface ExtractorOptions {
	readonly keys: readonly RoledKey[];
	/** Of the resource; all are text. */
	readonly resourceKeys: readonly string[];
	/** What of a value is part of the profile; undefined for nothing. */
	readonly reduce: (key: string, kind: number, value: string) => string | undefined;
	/** Records without any of the keys are left out: most log records are no access logs. */
	readonly onlyWithKeys: boolean;
	/** Tells whether a span's name is part of its profile. Called with the name's bytes. */
	readonly keepsName: (bytes: Uint8Array, start: number, end: number) => boolean;
	/** 1 / probability from a span's tracestate; 0 where it does not say. */
	readonly weightOf: (traceState: string) => number;
	/** Attributes of a log record that holds them as a JSON text. */
	readonly attributesOfBody?: (body: string) => readonly (readonly [string, string])[] | undefined;
	/** Number of the first profile; 1 where absent. */
	readonly firstProfile?: number;
	/** Two random words: nobody outside can make hashes meet. */
	readonly seed: readonly [number, number];
}

/** Profiles that are remembered; beyond it all are forgotten and told again. */
const MAX_PROFILES = 1 << 16;
const TABLE_SIZE = MAX_PROFILES * 2;
const UNKNOWN_ENTRY = -1;
const ENTRY_WORDS = 4;
const NO_ENTRIES = new Uint32Array(0);
const MAX_EXPORT_PATH = 80;
const MAX_ADDRESSES = 1 << 14;
const KIND_SERVER = 2;
const TRACE_STATE_TAG = (3 << 3) | 2;
const LOG_BODY_TAG = (5 << 3) | 2;

export class RecordExtractor {
	private readonly options: ExtractorOptions;
	private readonly keys: KeyTable;
	private readonly resourceKeys: ReadonlySet<string>;
	private nextProfile: number;
	private known = 0;
	/** Open addressing: two words of hash, and the profile's number; 0 where free. */
	private readonly hashes = new Uint32Array(TABLE_SIZE * 2);
	private readonly ids = new Uint32Array(TABLE_SIZE);
	private fresh: Profile[] = [];
	private hash0 = 0;
	private hash1 = 0;
	/** Of the record in hand. */
	private kind = 0;
	/** Of the attribute in hand. */
	private number = 0;
	/** Of each entry of the group's dictionary, elsewhere than at a server and there: its role, its part in a profile's hash; its number. */
	private entryWords = new Int32Array(0);
	private entryNumber = new Float64Array(0);
	/** What is left of addresses at servers, by a hash of their host: most spans have one that was seen before. */
	private readonly addresses = new Map<number, number>();
	/** Of the group's resources and scopes. */
	private scopeHash0 = new Uint32Array(64);
	private scopeHash1 = new Uint32Array(64);
	private words = new Uint32Array(0);
	private numbers = new Float64Array(0);

	constructor(options: ExtractorOptions) {
		this.options = options;
		this.keys = new KeyTable(options.keys);
		this.resourceKeys = new Set(options.resourceKeys);
		this.nextProfile = options.firstProfile ?? 1;
	}

	/**
	 * The group's records, in their order; undefined when none matters.
	 * @param entries where the store found equal fields: each is then read once
	 */
	extract(columns: RecordColumns, entries?: FieldEntries): RecordRows | undefined {
		this.fresh = [];
		this.forgetEntries(entries?.count ?? 0);
		this.hashScopes(columns);
		const { count } = columns;
		if (this.words.length < count * WORDS_A_ROW) {
			this.words = new Uint32Array(count * WORDS_A_ROW * 2);
			this.numbers = new Float64Array(count * NUMBERS_A_ROW * 2);
		}
		let rows = 0;
		for (let record = 0; record < count; record++) if (this.extractRecord(columns, record, rows, entries)) rows++;
		if (rows === 0) return undefined;
		return {
			count: rows,
			words: this.words.slice(0, rows * WORDS_A_ROW),
			numbers: this.numbers.slice(0, rows * NUMBERS_A_ROW),
			profiles: this.fresh,
		};
	}

	private extractRecord(columns: RecordColumns, record: number, row: number, entries: FieldEntries | undefined): boolean {
		const { bytes, fieldStart, fieldSlot, firstField } = columns;
		const { numbers, words } = this;
		const isSpan = columns.shape === SPAN_SHAPE;
		const at = row * NUMBERS_A_ROW;
		const wordAt = row * WORDS_A_ROW;
		const scope = columns.scope[record]!;
		// Severity is no part of what an access log says.
		const kind = isSpan ? columns.kind[record]! : 0;
		const status = isSpan ? columns.status[record]! : 0;
		this.kind = kind;
		this.hash0 = Math.imul(this.scopeHash0[scope]! ^ (kind * 4 + status + 1), 0x9e3779b1);
		this.hash1 = Math.imul(this.scopeHash1[scope]! ^ (kind * 4 + status + 1), 0x85ebca6b);
		words[wordAt + WORD.requestId] = 0;
		words[wordAt + WORD.requestId + 1] = 0;
		numbers[at + NUMBER.requestBytes] = numbers[at + NUMBER.responseBytes] = numbers[at + NUMBER.weight] = 0;
		numbers[at + NUMBER.durationNs] = isSpan ? durationNs(columns, record) : 0;
		let matched = 0;
		let { hash0, hash1 } = this;
		const { entryWords, entryNumber } = this;
		const entryOf = entries?.numbers ?? NO_ENTRIES;
		const isServer = kind === KIND_SERVER ? 1 : 0;
		let next = entries === undefined ? 0 : entries.firstOfRow[record]!;
		for (let f = firstField[record]!, end = firstField[record + 1]! - 1; f < end; f++) {
			const slot = fieldSlot[f]!;
			if (slot !== SLOT.attribute) {
				if (slot !== SLOT.item) continue;
				next++;
				if (isSpan && bytes[fieldStart[f]!] === TRACE_STATE_TAG) numbers[at + NUMBER.weight] = this.weight(columns, f);
				continue;
			}
			// What an entry of the group's dictionary says is found out once; what passes of some depends on the kind.
			const entry = entries === undefined ? 0 : entryOf[next++]! * 2 + isServer;
			const entryAt = entry * ENTRY_WORDS;
			let role = entryWords[entryAt]! as Role | typeof UNKNOWN_ENTRY;
			if (role === UNKNOWN_ENTRY) {
				role = this.readEntry(columns, f);
				// Place 0 is of an attribute that has no entry: it stays unknown.
				entryWords[entryAt] = entry === 0 ? UNKNOWN_ENTRY : role;
				entryWords[entryAt + 1] = this.hash0;
				entryWords[entryAt + 2] = this.hash1;
				entryNumber[entry] = this.number;
			}
			switch (role) {
				case ROLE.none:
					continue;
				case ROLE.text:
					hash0 = Math.imul(hash0 ^ entryWords[entryAt + 1]!, 0x85ebca6b);
					hash1 = Math.imul(hash1 + entryWords[entryAt + 2]!, 0x27d4eb2f) ^ (hash1 >>> 15);
					break;
				case ROLE.requestId:
					words[wordAt + WORD.requestId] = entryWords[entryAt + 1]!;
					words[wordAt + WORD.requestId + 1] = entryWords[entryAt + 2]!;
					break;
				case ROLE.requestBytes:
					numbers[at + NUMBER.requestBytes] = entryNumber[entry]!;
					break;
				case ROLE.responseBytes:
					numbers[at + NUMBER.responseBytes] = entryNumber[entry]!;
					break;
				case ROLE.durationMs:
					numbers[at + NUMBER.durationNs] = entryNumber[entry]! * 1e6;
			}
			matched++;
		}
		if (matched === 0 && this.options.onlyWithKeys) return this.extractBody(columns, record, row);
		this.hash0 = hash0;
		this.hash1 = hash1;
		if (isSpan && this.options.keepsName(bytes, columns.nameStart[record]!, columns.nameEnd[record]!))
			this.mix(bytes, columns.nameStart[record]!, columns.nameEnd[record]!);
		this.finishRow(columns, record, row, undefined);
		return true;
	}

	/**
	 * What an attribute is, as one of ROLE: `text` for all that is part of the profile, with its hash in the two hash words; a number
	 * in `number`.
	 */
	private readEntry(columns: RecordColumns, field: number): Role {
		const { bytes, fieldStart } = columns;
		const start = fieldStart[field]!;
		const end = fieldStart[field + 1]!;
		this.hash0 = this.hash1 = 0;
		const keyEnd = keyEndOf(bytes, start, end);
		if (keyEnd === 0) return this.readOdd(columns, field);
		const key = this.keys.find(bytes, keyEnd - bytes[keyLengthAt(bytes, start)]!, keyEnd);
		if (key < 0) return ROLE.none;
		// 0x12, length of the AnyValue, then its one field.
		let value = keyEnd + 2;
		if (bytes[keyEnd] !== 0x12) return this.readOdd(columns, field);
		if (bytes[value - 1]! >= 0x80) value++;
		const tag = bytes[value]!;
		let from = value + 1;
		if (tag === 0x0a) {
			if (bytes[from]! >= 0x80) from++;
			from++;
		} else if (tag !== 0x18 && tag !== 0x10 && tag !== 0x21) return this.readOdd(columns, field);
		return from > end ? ROLE.none : this.readValue(key, bytes, tag, from, end);
	}

	private readValue(key: number, bytes: Uint8Array, tag: number, from: number, end: number): Role {
		const role = this.keys.role(key);
		switch (role) {
			case ROLE.text:
				this.mixKey(key);
				// The type is part of it: a text and a number that look alike are not the same bytes.
				this.hash0 ^= tag;
				this.mix(bytes, from, end);
				return ROLE.text;
			case ROLE.address:
				this.mixAddress(key, bytes, from, end);
				return ROLE.text;
			case ROLE.authority: {
				if (this.kind === KIND_SERVER) return ROLE.none;
				this.mixKey(key);
				const start = authorityStart(bytes, from, end);
				const authority = authorityEnd(bytes, start, end);
				this.mix(bytes, start, isExportLike(bytes, authority, end) ? end : authority);
				return ROLE.text;
			}
			case ROLE.path:
				if (!isExportLike(bytes, from, end)) return ROLE.none;
				this.mixKey(key);
				this.mix(bytes, from, end);
				return ROLE.text;
			case ROLE.requestId:
				this.hash0 = this.options.seed[0];
				this.hash1 = this.options.seed[1];
				this.mix(bytes, from, end);
				// Zero stands for none.
				this.hash0 = this.hash0 >>> 0 || 1;
				return role;
			default:
				this.number = numberAt(bytes, tag, from, end);
				return this.number >= 0 && this.number < Infinity ? role : ROLE.none;
		}
	}

	/** A pair in an unusual encoding: decoded whole, then taken like any other. */
	private readOdd(columns: RecordColumns, field: number): Role {
		const pair = textPair(columns, field);
		if (pair === undefined) return ROLE.none;
		const key = this.findKey(pair[0]);
		if (key < 0) return ROLE.none;
		const value = encoder.encode(pair[1]);
		return this.readValue(key, value, 0x0a, 0, value.length);
	}

	private finishRow(
		columns: RecordColumns,
		record: number,
		row: number,
		attributes: readonly (readonly [string, string])[] | undefined,
	): void {
		const { words, numbers } = this;
		const wordAt = row * WORDS_A_ROW;
		const { traceId, spanId, parentId, time0 } = columns;
		for (let i = 0; i < 4; i++) words[wordAt + WORD.traceId + i] = traceId[record * 4 + i]!;
		for (let i = 0; i < 2; i++) {
			words[wordAt + WORD.spanId + i] = spanId[record * 2 + i]!;
			words[wordAt + WORD.parentId + i] = parentId[record * 2 + i]!;
		}
		numbers[row * NUMBERS_A_ROW + NUMBER.startMs] = (time0[record * 2 + 1]! * 4_294_967_296 + time0[record * 2]!) / 1e6;
		words[wordAt + WORD.profile] = this.profileOf(columns, record, attributes);
	}

	/** A log record without attributes of ours may hold them in its body, as JSON. */
	private extractBody(columns: RecordColumns, record: number, row: number): boolean {
		const { attributesOfBody } = this.options;
		if (attributesOfBody === undefined) return false;
		const body = bodyText(columns, record);
		const attributes = body === undefined ? undefined : attributesOfBody(body);
		if (attributes === undefined) return false;
		let matched = 0;
		for (const [name, value] of attributes) {
			const key = this.findKey(name);
			if (key < 0) continue;
			matched++;
			const bytes = encoder.encode(value);
			const { hash0, hash1 } = this;
			this.hash0 = this.hash1 = 0;
			const role = this.readValue(key, bytes, 0x0a, 0, bytes.length);
			const at = row * NUMBERS_A_ROW;
			if (role === ROLE.requestBytes) this.numbers[at + NUMBER.requestBytes] = this.number;
			else if (role === ROLE.responseBytes) this.numbers[at + NUMBER.responseBytes] = this.number;
			else if (role === ROLE.durationMs) this.numbers[at + NUMBER.durationNs] = this.number * 1e6;
			this.hash0 = Math.imul(hash0 ^ this.hash0, 0x85ebca6b);
			this.hash1 = Math.imul(hash1 + this.hash1, 0x27d4eb2f) ^ (hash1 >>> 15);
		}
		if (matched === 0) return false;
		this.finishRow(columns, record, row, attributes);
		return true;
	}

	private weight(columns: RecordColumns, field: number): number {
		const { bytes, fieldStart } = columns;
		const reader = new WireReader(bytes, fieldStart[field]!, fieldStart[field + 1]!);
		reader.next();
		return this.options.weightOf(reader.string());
	}

	/** At a server, addresses that come to the same count as the same. */
	private mixAddress(key: number, bytes: Uint8Array, start: number, end: number): void {
		const hostTo = hostEnd(bytes, start, end);
		this.mixKey(key);
		if (this.kind !== KIND_SERVER) {
			this.mix(bytes, start, hostTo);
			return;
		}
		let hash = this.options.seed[0];
		for (let i = start; i < hostTo; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193) ^ (hash >>> 15);
		let reduced = this.addresses.get(hash);
		if (reduced === undefined) {
			const host = decoder.decode(bytes.subarray(start, hostTo));
			reduced = this.options.reduce(this.keys.name(key), this.kind, host) === host ? hash : 1;
			if (this.addresses.size >= MAX_ADDRESSES) this.addresses.clear();
			this.addresses.set(hash, reduced);
		}
		this.hash0 = Math.imul(this.hash0 ^ reduced, 0x85ebca6b);
		this.hash1 = Math.imul(this.hash1 + reduced, 0x27d4eb2f) ^ (this.hash1 >>> 15);
	}

	private findKey(name: string): number {
		const bytes = encoder.encode(name);
		return this.keys.find(bytes, 0, bytes.length);
	}

	private mixKey(key: number): void {
		this.hash0 = Math.imul(this.hash0 ^ key, 0x01000193);
		this.hash1 = Math.imul(this.hash1 + key, 0x27d4eb2f);
	}

	private mix(bytes: Uint8Array, start: number, end: number): void {
		let { hash0, hash1 } = this;
		for (let i = start; i < end; i++) {
			const byte = bytes[i]!;
			hash0 = Math.imul(hash0 ^ byte, 0x01000193);
			hash1 = Math.imul(hash1 + byte, 0x27d4eb2f) ^ (hash1 >>> 15);
		}
		this.hash0 = Math.imul(hash0 ^ (end - start), 0x85ebca6b);
		this.hash1 = hash1;
	}

	private forgetEntries(count: number): void {
		const size = (count + 1) * 2;
		if (size > this.entryNumber.length) {
			this.entryWords = new Int32Array(size * 2 * ENTRY_WORDS);
			this.entryNumber = new Float64Array(size * 2);
		}
		for (let at = 0; at < size * ENTRY_WORDS; at += ENTRY_WORDS) this.entryWords[at] = UNKNOWN_ENTRY;
	}

	private profileOf(
		columns: RecordColumns,
		record: number,
		attributes: readonly (readonly [string, string])[] | undefined,
	): number {
		const hash0 = this.hash0 >>> 0;
		const hash1 = this.hash1 >>> 0;
		const { hashes, ids } = this;
		let slot = (hash0 ^ (hash1 >>> 7)) & (TABLE_SIZE - 1);
		while (ids[slot] !== 0) {
			if (hashes[slot * 2] === hash0 && hashes[slot * 2 + 1] === hash1) return ids[slot]!;
			slot = (slot + 1) & (TABLE_SIZE - 1);
		}
		if (this.known === MAX_PROFILES) {
			this.ids.fill(0);
			this.known = 0;
			slot = (hash0 ^ (hash1 >>> 7)) & (TABLE_SIZE - 1);
		}
		const id = this.nextProfile++;
		hashes[slot * 2] = hash0;
		hashes[slot * 2 + 1] = hash1;
		ids[slot] = id;
		this.known++;
		this.fresh.push(this.spellOut(columns, record, id, attributes));
		return id;
	}

	private spellOut(
		columns: RecordColumns,
		record: number,
		id: number,
		given: readonly (readonly [string, string])[] | undefined,
	): Profile {
		const { bytes, scope, scopeResource, nameStart, nameEnd, firstField, fieldSlot } = columns;
		const isSpan = columns.shape === SPAN_SHAPE;
		const kind = isSpan ? columns.kind[record]! : 0;
		const attributes: [string, string][] = [];
		if (given === undefined) {
			for (let f = firstField[record]!, end = firstField[record + 1]! - 1; f < end; f++) {
				const pair = fieldSlot[f] === SLOT.attribute ? textPair(columns, f) : undefined;
				if (pair !== undefined) this.keep(pair, kind, attributes);
			}
		} else for (const pair of given) this.keep(pair, kind, attributes);
		const keepsName = isSpan && this.options.keepsName(bytes, nameStart[record]!, nameEnd[record]!);
		return {
			id,
			kind,
			status: isSpan ? columns.status[record]! : 0,
			name: keepsName ? decoder.decode(bytes.subarray(nameStart[record]!, nameEnd[record]!)) : "",
			scope: scopeName(columns, scope[record]!),
			resource: this.resourceAttributes(columns, scopeResource[scope[record]!]!),
			attributes,
		};
	}

	private keep([key, value]: readonly [string, string], kind: number, into: [string, string][]): void {
		const number = this.findKey(key);
		if (number < 0 || !isProfiled(this.keys.role(number))) return;
		const reduced = this.options.reduce(key, kind, value);
		if (reduced !== undefined) into.push([key, reduced]);
	}

	private resourceAttributes(columns: RecordColumns, resource: number): [string, string][] {
		const attributes: [string, string][] = [];
		for (const [key, value] of resourcePairs(columns, resource))
			if (this.resourceKeys.has(key)) attributes.push([key, value]);
		return attributes;
	}

	private hashScopes(columns: RecordColumns): void {
		if (this.scopeHash0.length < columns.scopeCount) {
			this.scopeHash0 = new Uint32Array(columns.scopeCount * 2);
			this.scopeHash1 = new Uint32Array(columns.scopeCount * 2);
		}
		let resource = -1;
		let resource0 = 0;
		let resource1 = 0;
		for (let scope = 0; scope < columns.scopeCount; scope++) {
			if (columns.scopeResource[scope] !== resource) {
				resource = columns.scopeResource[scope]!;
				[this.hash0, this.hash1] = this.options.seed;
				for (const [key, value] of this.resourceAttributes(columns, resource)) this.mixText(`${key}\u0000${value}`);
				resource0 = this.hash0;
				resource1 = this.hash1;
			}
			this.hash0 = resource0;
			this.hash1 = resource1;
			this.mixText(scopeName(columns, scope));
			this.scopeHash0[scope] = this.hash0;
			this.scopeHash1[scope] = this.hash1;
		}
	}

	private mixText(text: string): void {
		const bytes = encoder.encode(text);
		this.mix(bytes, 0, bytes.length);
	}
}

/** Where the key's length stands in a KeyValue field: behind the tag, a length of one byte or two, and the key's tag. */
function keyLengthAt(bytes: Uint8Array, start: number): number {
	return bytes[start + 1]! < 0x80 ? start + 3 : start + 4;
}

/** Behind the key, where the pair is in the usual form; 0 where it is not. */
function keyEndOf(bytes: Uint8Array, start: number, end: number): number {
	const lengthAt = keyLengthAt(bytes, start);
	if (lengthAt === start + 4 && bytes[start + 2]! >= 0x80) return 0;
	const length = bytes[lengthAt]!;
	const keyEnd = lengthAt + 1 + length;
	return bytes[lengthAt - 1] !== 0x0a || length >= 0x80 || length === 0 || keyEnd > end ? 0 : keyEnd;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function durationNs(columns: RecordColumns, record: number): number {
	const { time0, time1 } = columns;
	const at = record * 2;
	const duration = (time1[at + 1]! - time0[at + 1]!) * 4_294_967_296 + (time1[at]! - time0[at]!);
	return duration > 0 ? duration : 0;
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

function isProfiled(role: Role): boolean {
	return role === ROLE.text || role === ROLE.address || role === ROLE.authority || role === ROLE.path;
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

/** The attribute in a record's field, its value as text; undefined where it has no scalar value. */
function textPair(columns: RecordColumns, field: number): readonly [string, string] | undefined {
	const { bytes, fieldStart } = columns;
	const reader = new WireReader(bytes, fieldStart[field]!, fieldStart[field + 1]!);
	reader.next();
	const message = reader.message();
	return pairOf(bytes, message.position, message.end);
}

function pairOf(bytes: Uint8Array, start: number, end: number): readonly [string, string] | undefined {
	const { key, value } = decodeKeyValue(bytes, start, end);
	const text = scalarText(value)?.text;
	return key === undefined || text === undefined ? undefined : [key, text];
}

/** ResourceSpans.resource (1) → Resource.attributes (1). */
function* resourcePairs(columns: RecordColumns, resource: number): Generator<readonly [string, string]> {
	const first = columns.resourceFirstRange[resource]!;
	for (let range = first; range < first + columns.resourceRangeCount[resource]!; range++) {
		const field = new WireReader(columns.bytes, columns.rangeStart[range]!, columns.rangeEnd[range]!);
		if (!field.next() || field.field !== 1) continue;
		const message = field.message();
		while (message.next()) {
			if (message.field !== 1) {
				message.skip();
				continue;
			}
			const attribute = message.message();
			const pair = pairOf(columns.bytes, attribute.position, attribute.end);
			if (pair !== undefined) yield pair;
		}
	}
}

/** ScopeSpans.scope (1) → InstrumentationScope.name (1). */
function scopeName(columns: RecordColumns, scope: number): string {
	const first = columns.scopeFirstRange[scope]!;
	for (let range = first; range < first + columns.scopeRangeCount[scope]!; range++) {
		const field = new WireReader(columns.bytes, columns.rangeStart[range]!, columns.rangeEnd[range]!);
		if (!field.next() || field.field !== 1) continue;
		const message = field.message();
		while (message.next()) {
			if (message.field === 1) return message.string();
			message.skip();
		}
	}
	return "";
}

/** LogRecord.body (5) where it is a text. */
function bodyText(columns: RecordColumns, record: number): string | undefined {
	const { bytes, firstField, fieldStart, fieldSlot } = columns;
	for (let f = firstField[record]!, end = firstField[record + 1]! - 1; f < end; f++) {
		if (fieldSlot[f] !== SLOT.item || bytes[fieldStart[f]!] !== LOG_BODY_TAG) continue;
		const reader = new WireReader(bytes, fieldStart[f]!, fieldStart[f + 1]!);
		reader.next();
		const value = reader.message();
		// Only an object can hold attributes: the first byte of its text tells.
		if (value.next() && value.field === 1) return value.string();
	}
	return undefined;
}
