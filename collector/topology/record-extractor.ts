/**
 * Reads from the columns of a group what topology needs of each record. Runs in the writer thread over every span, so it makes no
 * object a record: equal fields are read once a group, and only a combination of values that is new is spelled out.
 */
import { type RecordColumns, SLOT, SPAN_SHAPE } from "../../model/columns.ts";
import { WireReader } from "../../model/protobuf/reader.ts";
import type { FieldEntries } from "../../store/store.ts";
import { ByteHash } from "./byte-hash.ts";
import { EntryReader, KIND_SERVER, textPair } from "./entry-reader.ts";
import { KeyTable, ROLE, type Role, type RoledKey } from "./key-table.ts";
import { MAX_PROFILES, NUMBER, NUMBERS_A_ROW, type Profile, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";
import { scopeName } from "./record-scopes.ts";
import { ScopeHashes } from "./scope-hashes.ts";

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
	readonly attributesOfBody?: (body: string) => Pairs | undefined;
	/** Number of the first profile; 1 where absent. */
	readonly firstProfile?: number;
	/** Two random words: nobody outside can make hashes meet. */
	readonly seed: readonly [number, number];
}

const INITIAL_SLOTS = 1 << 12;
const SLOT_WORDS = 4;
const TRACE_STATE_TAG = (3 << 3) | 2;
const LOG_BODY_TAG = (5 << 3) | 2;
/** Entries for which room is kept from group to group. */
const KEEP_ENTRIES = 1 << 17;

/** Of classes: not looked at; else 1 more than the side whose entries count. */
const UNREAD = 0;
const NOT_SERVER = 1;

const decoder = new TextDecoder();

type Pairs = readonly (readonly [string, string])[];

export class RecordExtractor {
	private readonly options: ExtractorOptions;
	private readonly keys: KeyTable;
	private readonly reader: EntryReader;
	private readonly scopes: ScopeHashes;
	private nextProfile: number;
	private known = 0;
	/** Open addressing, four words a slot: the profile's number, 0 where free, and two words of hash. */
	private profiles = new Uint32Array(INITIAL_SLOTS * SLOT_WORDS);
	private fresh: Profile[] = [];
	/** Of each entry, elsewhere than at a server and there: its role, and two words of hash or one number. */
	private roles = new Uint8Array(0);
	private entryWords = new Int32Array(0);
	private entryNumbers = new Float64Array(0);
	/** Of each class: where its side's entries are, and where hashes of its profiles begin. */
	private classSides = new Uint8Array(0);
	private classWords = new Int32Array(0);
	private readonly hash = new ByteHash();
	/** Of the rows in hand. */
	private words = new Uint32Array(0);
	private numbers = new Float64Array(0);

	constructor(options: ExtractorOptions) {
		this.options = options;
		this.keys = new KeyTable(options.keys);
		this.reader = new EntryReader(this.keys, options.reduce, options.seed);
		this.scopes = new ScopeHashes(options.resourceKeys, options.seed);
		this.nextProfile = options.firstProfile ?? 1;
	}

	/**
	 * The group's records, in their order; undefined when none matters.
	 * @param entries where the store found equal fields: each is then read once
	 */
	extract(columns: RecordColumns, entries: FieldEntries = eachItsOwn(columns)): RecordRows | undefined {
		this.fresh = [];
		this.scopes.read(columns);
		this.forgetEntries(entries);
		const { count } = columns;
		this.words = new Uint32Array(count * WORDS_A_ROW);
		this.numbers = new Float64Array(count * NUMBERS_A_ROW);
		const rows = this.extractRows(columns, entries);
		let { words, numbers } = this;
		// They are sent away.
		this.words = new Uint32Array(0);
		this.numbers = new Float64Array(0);
		if (rows === 0) return undefined;
		if (rows < count) {
			words = words.slice(0, rows * WORDS_A_ROW);
			numbers = numbers.slice(0, rows * NUMBERS_A_ROW);
		}
		return { count: rows, words, numbers, profiles: this.fresh };
	}

	/** One loop over all fields of all records, without a call for those that were read before. */
	private extractRows(columns: RecordColumns, entries: FieldEntries): number {
		const { roles, entryWords, entryNumbers, classSides, classWords, words, numbers } = this;
		const { count, traceId, spanId, parentId, time0, time1 } = columns;
		const { numbers: entryOf, firstOfRow, classOfRow } = entries;
		const isSpan = columns.shape === SPAN_SHAPE;
		const { onlyWithKeys } = this.options;
		let rows = 0;
		for (let record = 0; record < count; record++) {
			const at = rows * NUMBERS_A_ROW;
			const wordAt = rows * WORDS_A_ROW;
			const ofClass = classOfRow[record]!;
			if (classSides[ofClass] === UNREAD) this.readClass(columns, record, ofClass);
			const side = classSides[ofClass]! - NOT_SERVER;
			let hash0 = classWords[ofClass * 2]!;
			let hash1 = classWords[ofClass * 2 + 1]!;
			const t = record * 2;
			// A log record's second time is when it was observed.
			if (isSpan) {
				const durationNs = (time1[t + 1]! - time0[t + 1]!) * 4_294_967_296 + (time1[t]! - time0[t]!);
				numbers[at + NUMBER.durationNs] = durationNs > 0 ? durationNs : 0;
			}
			let matched = 0;
			const end = record + 1 < count ? firstOfRow[record + 1]! : entries.end;
			for (let place = firstOfRow[record]!; place < end; place++) {
				const entry = entryOf[place]! * 2 + side;
				let role = roles[entry]! as Role;
				if (role === ROLE.none) continue;
				if (role === ROLE.unread) {
					role = this.readEntry(columns, entries, entryOf[place]!, side);
					if (role === ROLE.none) continue;
				}
				matched++;
				if (role === ROLE.text) {
					hash0 = Math.imul(hash0 ^ entryWords[entry * 2]!, 0x85ebca6b);
					hash1 = Math.imul(hash1 + entryWords[entry * 2 + 1]!, 0x27d4eb2f) ^ (hash1 >>> 15);
				} else if (role === ROLE.requestId) {
					words[wordAt + WORD.requestId] = entryWords[entry * 2]!;
					words[wordAt + WORD.requestId + 1] = entryWords[entry * 2 + 1]!;
				} else setNumber(numbers, at, role, entryNumbers[entry]!);
			}
			let attributes: Pairs | undefined;
			if (matched === 0 && onlyWithKeys) {
				attributes = this.attributesOfBody(columns, record);
				if (attributes === undefined) continue;
				const { hash } = this;
				hash.set(hash0, hash1);
				this.mixPairs(attributes, at);
				hash0 = hash.word0;
				hash1 = hash.word1;
			}
			words[wordAt + WORD.traceId] = traceId[t * 2]!;
			words[wordAt + WORD.traceId + 1] = traceId[t * 2 + 1]!;
			words[wordAt + WORD.traceId + 2] = traceId[t * 2 + 2]!;
			words[wordAt + WORD.traceId + 3] = traceId[t * 2 + 3]!;
			words[wordAt + WORD.spanId] = spanId[t]!;
			words[wordAt + WORD.spanId + 1] = spanId[t + 1]!;
			words[wordAt + WORD.parentId] = parentId[t]!;
			words[wordAt + WORD.parentId + 1] = parentId[t + 1]!;
			numbers[at + NUMBER.startMs] = (time0[t + 1]! * 4_294_967_296 + time0[t]!) / 1e6;
			words[wordAt + WORD.profile] = this.profileOf(columns, record, hash0 >>> 0, hash1 >>> 0, attributes);
			rows++;
		}
		return rows;
	}

	/** Where the hash of a profile begins: resource, scope, kind and status, and the name where it matters. */
	private readClass(columns: RecordColumns, record: number, ofClass: number): void {
		const { bytes, scope, kind, status, nameStart, nameEnd, shape } = columns;
		const { hash, scopes } = this;
		const isSpan = shape === SPAN_SHAPE;
		hash.set(scopes.word0[scope[record]!]!, scopes.word1[scope[record]!]!);
		// Severity is no part of what an access log says.
		hash.mixNumber(isSpan ? kind[record]! * 4 + status[record]! : 0);
		const start = nameStart[record]!;
		const end = nameEnd[record]!;
		if (isSpan && this.options.keepsName(bytes, start, end)) hash.mix(bytes, start, end);
		this.classSides[ofClass] = isSpan && kind[record] === KIND_SERVER ? NOT_SERVER + 1 : NOT_SERVER;
		this.classWords[ofClass * 2] = hash.word0;
		this.classWords[ofClass * 2 + 1] = hash.word1;
	}

	private mixPairs(pairs: Pairs, at: number): void {
		const { hash, reader } = this;
		for (const [key, value] of pairs) {
			const role = reader.readPair(key, value, false);
			if (role === ROLE.text) {
				hash.mixNumber(reader.hash.word0);
				hash.word1 = Math.imul(hash.word1 ^ reader.hash.word1, 0x85ebca6b);
			} else if (role !== ROLE.none) setNumber(this.numbers, at, role, reader.number);
		}
	}

	/** What an entry says is found out once a group; what passes of some depends on the side. */
	private readEntry(columns: RecordColumns, entries: FieldEntries, number: number, side: number): Role {
		const { bytes, starts, lengths } = entries;
		const start = starts[number]!;
		const end = start + lengths[number]!;
		const entry = number * 2 + side;
		const role = this.roleOf(columns, bytes, start, end, side === 1);
		this.roles[entry] = role;
		if (role === ROLE.text || role === ROLE.requestId) {
			this.entryWords[entry * 2] = this.reader.hash.word0;
			this.entryWords[entry * 2 + 1] = this.reader.hash.word1;
		} else if (role === ROLE.traceState) {
			const reader = new WireReader(bytes, start, end);
			reader.next();
			this.entryNumbers[entry] = this.options.weightOf(reader.string());
		} else this.entryNumbers[entry] = this.reader.number;
		return role;
	}

	private roleOf(
		{ shape }: RecordColumns,
		bytes: Uint8Array<ArrayBuffer>,
		start: number,
		end: number,
		isServer: boolean,
	): Role {
		const tag = bytes[start]!;
		if (tag === shape.attributesField * 8 + 2) return this.reader.read(bytes, start, end, isServer);
		if (tag === TRACE_STATE_TAG && shape === SPAN_SHAPE) return ROLE.traceState;
		return isLongTagOf(shape.attributesField, bytes, start, end) ? this.reader.read(bytes, start, end, isServer) : ROLE.none;
	}

	/** A log record without attributes of ours may hold them in its body, as JSON. */
	private attributesOfBody(columns: RecordColumns, record: number): Pairs | undefined {
		const body = this.options.attributesOfBody === undefined ? undefined : bodyText(columns, record);
		const attributes = body === undefined ? undefined : this.options.attributesOfBody?.(body);
		return attributes?.some(([key]) => this.keys.findText(key) >= 0) === true ? attributes : undefined;
	}

	private forgetEntries({ count, classCount }: FieldEntries): void {
		if (classCount > this.classSides.length) {
			this.classSides = new Uint8Array(classCount * 2);
			this.classWords = new Int32Array(classCount * 4);
		} else this.classSides.fill(UNREAD, 0, classCount);
		const size = (count + 1) * 2;
		if (size > this.roles.length || this.roles.length > Math.max(size, KEEP_ENTRIES) * 4) {
			this.roles = new Uint8Array(size * 2);
			this.entryNumbers = new Float64Array(size * 2);
			this.entryWords = new Int32Array(this.entryNumbers.buffer);
		} else this.roles.fill(ROLE.unread, 0, size);
	}

	private profileOf(
		columns: RecordColumns,
		record: number,
		hash0: number,
		hash1: number,
		attributes: Pairs | undefined,
	): number {
		if ((this.known + 1) * SLOT_WORDS * 2 > this.profiles.length) this.growProfiles();
		const { profiles } = this;
		const last = profiles.length - SLOT_WORDS;
		let slot = slotOf(hash0, hash1) & last;
		for (let id = profiles[slot]!; id !== 0; id = profiles[slot]!) {
			if (profiles[slot + 1] === hash0 && profiles[slot + 2] === hash1) return id;
			slot = (slot + SLOT_WORDS) & last;
		}
		const id = this.nextProfile++;
		profiles[slot] = id;
		profiles[slot + 1] = hash0;
		profiles[slot + 2] = hash1;
		this.known++;
		this.fresh.push(this.spellOut(columns, record, id, attributes));
		return id;
	}

	private growProfiles(): void {
		const before = this.profiles;
		if (this.known >= MAX_PROFILES) {
			before.fill(0);
			this.known = 0;
			return;
		}
		this.profiles = new Uint32Array(before.length * 2);
		const last = this.profiles.length - SLOT_WORDS;
		for (let at = 0; at < before.length; at += SLOT_WORDS) {
			if (before[at] === 0) continue;
			let slot = slotOf(before[at + 1]!, before[at + 2]!) & last;
			while (this.profiles[slot] !== 0) slot = (slot + SLOT_WORDS) & last;
			for (let i = 0; i < SLOT_WORDS; i++) this.profiles[slot + i] = before[at + i]!;
		}
	}

	private spellOut(columns: RecordColumns, record: number, id: number, given: Pairs | undefined): Profile {
		const { bytes, scope, scopeResource, nameStart, nameEnd, firstField, fieldStart, fieldSlot } = columns;
		const isSpan = columns.shape === SPAN_SHAPE;
		const kind = isSpan ? columns.kind[record]! : 0;
		const attributes: [string, string][] = [];
		if (given === undefined) {
			for (let f = firstField[record]!, end = firstField[record + 1]! - 1; f < end; f++) {
				const pair = fieldSlot[f] === SLOT.attribute ? textPair(bytes, fieldStart[f]!, fieldStart[f + 1]!) : undefined;
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
			resource: this.scopes.resourceAttributes(columns, scopeResource[scope[record]!]!),
			attributes,
		};
	}

	private keep([key, value]: readonly [string, string], kind: number, into: [string, string][]): void {
		const number = this.keys.findText(key);
		if (number < 0 || !isProfiled(this.keys.role(number))) return;
		const reduced = this.options.reduce(key, kind, value);
		if (reduced !== undefined) into.push([key, reduced]);
	}
}

/** A multiple of SLOT_WORDS, before the table's size is considered. */
function slotOf(hash0: number, hash1: number): number {
	return (hash0 ^ (hash1 >>> 7)) & -SLOT_WORDS;
}

function setNumber(numbers: Float64Array, at: number, role: Role, value: number): void {
	if (role === ROLE.requestBytes) numbers[at + NUMBER.requestBytes] = value;
	else if (role === ROLE.responseBytes) numbers[at + NUMBER.responseBytes] = value;
	else if (role === ROLE.traceState) numbers[at + NUMBER.weight] = value;
	else if (role === ROLE.durationMs) numbers[at + NUMBER.durationNs] = value * 1e6;
}

function isProfiled(role: Role): boolean {
	return role === ROLE.text || role === ROLE.address || role === ROLE.authority || role === ROLE.path;
}

/** As the store would give it, had it looked for no equal fields: each has a number of its own. */
function eachItsOwn({ bytes, count, firstField, fieldCount, fieldStart, fieldSlot }: RecordColumns): FieldEntries {
	const numbers = new Uint32Array(fieldCount);
	const firstOfRow = new Uint32Array(count);
	const classOfRow = new Uint32Array(count);
	const starts = new Uint32Array(fieldCount + 1);
	const lengths = new Uint32Array(fieldCount + 1);
	let end = 0;
	for (let record = 0; record < count; record++) {
		firstOfRow[record] = end;
		classOfRow[record] = record;
		for (let f = firstField[record]!, last = firstField[record + 1]! - 1; f < last; f++) {
			if (fieldSlot[f] !== SLOT.attribute && fieldSlot[f] !== SLOT.item) continue;
			numbers[end] = end + 1;
			end++;
			starts[end] = fieldStart[f]!;
			lengths[end] = fieldStart[f + 1]! - fieldStart[f]!;
		}
	}
	return { numbers, firstOfRow, end, count: end, classOfRow, classCount: count, bytes, starts, lengths };
}

/** A tag of more bytes than it needs, which protobuf allows. */
function isLongTagOf(field: number, bytes: Uint8Array, start: number, end: number): boolean {
	if (bytes[start]! < 0x80) return false;
	const reader = new WireReader(bytes, start, end);
	return reader.next() && reader.field === field && reader.wireType === 2;
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
