/**
 * The dictionary's bytes as they are stored: each entry without what it shares with the one before, since values of one key lie side
 * by side and begin alike. Every sixteenth entry is whole, so that a single one can be had without the rest.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteReader, ByteWriter, DamagedBlockError } from "./bytes.ts";

const RESTART_ENTRIES = 16;

/** Entries with what they share with the one before left out: values of one key lie side by side and begin alike. */
export class HeapWriter {
	private builder: BlockBuilder | undefined;
	private readonly shared = new ByteWriter(4096);
	private readonly suffixLengths = new ByteWriter(4096);
	private readonly suffixes = new ByteWriter(65_536);
	/** What stands in front of the suffixes. */
	private readonly before = new ByteWriter(4096);
	/** Entries so far. */
	count = 0;
	private previous = 0;

	/** Of entries so far, without what they share. */
	get bytes(): number {
		return this.suffixes.length;
	}

	begin(builder: BlockBuilder): void {
		this.builder = builder;
		this.shared.reset();
		this.suffixLengths.reset();
		this.suffixes.reset();
		this.count = 0;
		this.previous = 0;
	}

	/** Gives large memory back. */
	end(): void {
		this.builder = undefined;
		for (const writer of [this.shared, this.suffixLengths, this.suffixes, this.before]) writer.reset();
	}

	add(id: number): number {
		const { heap, starts, lengths } = this.builder!.dictionary;
		const start = starts[id]!;
		const length = lengths[id]!;
		let same = 0;
		if (this.count % RESTART_ENTRIES !== 0) {
			const other = starts[this.previous]!;
			const most = Math.min(length, lengths[this.previous]!, 255);
			while (same < most && heap[start + same] === heap[other + same]) same++;
		}
		this.shared.byte(same);
		this.suffixLengths.varint(length - same);
		this.suffixes.raw(heap, start + same, start + length);
		this.previous = id;
		return ++this.count;
	}

	/** The stored form of the entries; a view, valid until the next `begin` or `end`, which has to come before the next entry. */
	finish(): Uint8Array {
		const { before } = this;
		before.reset();
		before.varint(this.count);
		before.varint(this.suffixLengths.length);
		before.raw(this.shared.bytes, 0, this.shared.length);
		before.raw(this.suffixLengths.bytes, 0, this.suffixLengths.length);
		this.suffixes.prepend(before.view());
		return this.suffixes.view();
	}
}

/** Entries in their order, for work on all of them. */
export interface EntryCursor {
	/** The length of the next entry; of one that is longer than the buffer, only the beginning is there. */
	next(): number;
}

/** Entries are numbered from 1. */
export class HeapReader {
	readonly count: number;
	/** Bytes that entry `id` shares with the one before: `shared[id - 1]`. */
	private readonly shared: Uint8Array;
	/** Varints: bytes of its own of each entry. */
	private readonly lengths: Uint8Array;
	private readonly suffixes: Uint8Array;
	/** Of every sixteenth entry two numbers: where its length and where its suffix begins. All of them would be as large as the heap. */
	private readonly restarts: Uint32Array;

	constructor(part: Uint8Array) {
		const reader = new ByteReader(part);
		const count = reader.varint();
		const lengthsSize = reader.varint();
		this.count = count;
		this.shared = reader.raw(count);
		this.lengths = reader.raw(lengthsSize);
		this.suffixes = part.subarray(reader.at);
		this.restarts = restartsOf(this.lengths, count, this.suffixes.length);
	}

	get heldBytes(): number {
		const { suffixes, lengths, restarts, count } = this;
		return count + lengths.length + suffixes.length + restarts.byteLength;
	}

	/** The bytes of one entry; a fresh array. */
	item(id: number): Uint8Array {
		const bytes = new Uint8Array(this.locate(id));
		this.fill(id, bytes, 0, bytes.length);
		return bytes;
	}

	writeItem(id: number, out: ByteWriter): void {
		const length = this.locate(id);
		out.reserve(length);
		this.fill(id, out.bytes, out.length, length);
		out.length += length;
	}

	/** Its length; from then on `suffixStarts` is about it. */
	private locate(id: number): number {
		if (id < 1 || id > this.count) throw new DamagedBlockError(`there is no dictionary entry ${id}`);
		const { shared, restarts } = this;
		const restart = Math.floor((id - 1) / RESTART_ENTRIES);
		const first = restart * RESTART_ENTRIES;
		const lengths = new ByteReader(this.lengths);
		lengths.at = restarts[restart * 2]!;
		suffixStarts[0] = restarts[restart * 2 + 1]!;
		for (let i = first; i < id; i++) suffixStarts[i - first + 1] = suffixStarts[i - first]! + lengths.varint();
		return shared[id - 1]! + suffixStarts[id - first]! - suffixStarts[id - first - 1]!;
	}

	/** Of an entry that was located. */
	private fill(id: number, bytes: Uint8Array, at: number, length: number): void {
		const { shared, suffixes } = this;
		const first = id - 1 - ((id - 1) % RESTART_ENTRIES);
		let missing = length;
		// Backwards: each entry gives the bytes that the ones behind it did not have of their own.
		for (let i = id - 1; missing > 0 && i >= first; i--) {
			const own = shared[i]!;
			if (own >= missing) continue;
			const start = suffixStarts[i - first]!;
			if (missing - own < SHORT_BYTES)
				for (let to = at + own, from = start, end = at + missing; to < end; to++) bytes[to] = suffixes[from++]!;
			else bytes.set(suffixes.subarray(start, start + missing - own), at + own);
			missing = own;
		}
		if (missing > 0) throw new DamagedBlockError(`dictionary entry ${id} has no beginning`);
	}

	/** Walks over the entries from the first, each put at the beginning of `into`; at most 255 bytes there are of use to the next. */
	cursor(into: Uint8Array): EntryCursor {
		return new HeapCursor(into, this.shared, this.lengths, this.suffixes);
	}

	/** Bytes of all entries, whole. */
	get wholeBytes(): number {
		let total = this.suffixes.length;
		for (const same of this.shared) total += same;
		return total;
	}

	/** Writes every entry, whole, from `at` on, and where entry `id` begins to `starts[before + id]`. Returns the end. */
	unpackInto(bytes: Uint8Array, at: number, starts: Uint32Array, before: number): number {
		const { count, shared, suffixes } = this;
		const lengths = new ByteReader(this.lengths);
		let start = at;
		for (let id = 1, other = at, from = 0; id <= count; id++) {
			const same = shared[id - 1]!;
			const own = start + same;
			const end = own + lengths.varint();
			starts[before + id] = start;
			for (let i = start, to = other; i < own; i++) bytes[i] = bytes[to++]!;
			for (let i = own; i < end; i++) bytes[i] = suffixes[from++]!;
			other = start;
			start = end;
		}
		return start;
	}
}

/** A call into the runtime costs more than copying a short run by hand. */
const SHORT_BYTES = 48;

/** Of the entry that was located last: where its own bytes and those of the entries before it begin, since the last whole one. */
const suffixStarts = new Uint32Array(RESTART_ENTRIES + 1);

function restartsOf(lengths: Uint8Array, count: number, suffixBytes: number): Uint32Array {
	const restarts = new Uint32Array(Math.ceil(count / RESTART_ENTRIES) * 2);
	const reader = new ByteReader(lengths);
	let start = 0;
	let at = 0;
	for (let i = 0, to = 0; i < count; i++) {
		if (i % RESTART_ENTRIES === 0) {
			restarts[to++] = at;
			restarts[to++] = start;
		}
		// Nearly every length is a byte.
		const byte = lengths[at]!;
		if (byte < 0x80) {
			at++;
			start += byte;
		} else {
			reader.at = at;
			start += reader.varint();
			at = reader.at;
		}
	}
	if (start > suffixBytes) throw new DamagedBlockError("the heap ends early");
	return restarts;
}

class HeapCursor implements EntryCursor {
	private readonly into: Uint8Array;
	private readonly shared: Uint8Array;
	private readonly lengths: ByteReader;
	private readonly suffixes: Uint8Array;
	private place = 0;
	private start = 0;

	constructor(into: Uint8Array, shared: Uint8Array, lengths: Uint8Array, suffixes: Uint8Array) {
		this.into = into;
		this.shared = shared;
		this.lengths = new ByteReader(lengths);
		this.suffixes = suffixes;
	}

	next(): number {
		const { into, suffixes, start } = this;
		const same = this.shared[this.place++]!;
		const own = this.lengths.varint();
		this.start = start + own;
		for (let to = same, from = start, end = Math.min(same + own, into.length); to < end; to++) into[to] = suffixes[from++]!;
		return same + own;
	}
}
