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
	private readonly out = new ByteWriter(65_536);
	private count = 0;
	private previous = 0;

	begin(builder: BlockBuilder): void {
		this.builder = builder;
		this.shared.reset();
		this.suffixLengths.reset();
		this.suffixes.reset();
		this.count = 0;
		this.previous = 0;
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

	finish(): Uint8Array {
		const { out } = this;
		out.reset();
		out.varint(this.count);
		out.varint(this.suffixLengths.length);
		out.raw(this.shared.bytes, 0, this.shared.length);
		out.raw(this.suffixLengths.bytes, 0, this.suffixLengths.length);
		out.raw(this.suffixes.bytes, 0, this.suffixes.length);
		return out.view();
	}
}

/** Entries are numbered from 1. */
export class HeapReader {
	readonly count: number;
	/** Bytes that entry `id` shares with the one before: `shared[id - 1]`. */
	private readonly shared: Uint8Array;
	private readonly suffixes: Uint8Array;
	/** Where the suffix of entry `id` begins: `suffixStarts[id - 1]`; one longer than `count`. */
	private readonly suffixStarts: Uint32Array;
	private whole: { readonly bytes: Uint8Array; readonly starts: Uint32Array } | undefined;

	constructor(part: Uint8Array) {
		const reader = new ByteReader(part);
		const count = reader.varint();
		const lengthsSize = reader.varint();
		this.count = count;
		this.shared = reader.raw(count);
		const lengths = new ByteReader(reader.raw(lengthsSize));
		this.suffixes = part.subarray(reader.at);
		const starts = new Uint32Array(count + 1);
		for (let i = 0, at = 0; i < count; i++) starts[i + 1] = at += lengths.varint();
		if (starts[count]! > this.suffixes.length) throw new DamagedBlockError("the heap ends early");
		this.suffixStarts = starts;
	}

	get heldBytes(): number {
		return this.suffixes.length + this.count * 5 + (this.whole === undefined ? 0 : this.whole.bytes.length + this.count * 4);
	}

	/** The bytes of one entry; a fresh array unless the whole heap was unpacked. */
	item(id: number): Uint8Array {
		if (this.whole !== undefined) return this.whole.bytes.subarray(this.whole.starts[id]!, this.whole.starts[id + 1]!);
		if (id < 1 || id > this.count) throw new DamagedBlockError(`there is no dictionary entry ${id}`);
		const { shared, suffixes, suffixStarts } = this;
		const length = shared[id - 1]! + suffixStarts[id]! - suffixStarts[id - 1]!;
		const bytes = new Uint8Array(length);
		// Backwards: each entry gives the bytes that the ones behind it did not have of their own.
		let missing = length;
		for (let i = id - 1; missing > 0 && i >= 0; i--) {
			const own = shared[i]!;
			if (own >= missing) continue;
			const start = suffixStarts[i]!;
			bytes.set(suffixes.subarray(start, start + missing - own), own);
			missing = own;
		}
		return bytes;
	}

	/** Walks over the entries from the first, each put at the beginning of `into`; at most 255 bytes there are of use to the next. */
	cursor(into: Uint8Array): HeapCursor {
		return new HeapCursor(into, this.shared, this.suffixes, this.suffixStarts);
	}

	/** Every entry: `id` is `[starts[id], starts[id + 1])`. */
	unpack(): { readonly bytes: Uint8Array; readonly starts: Uint32Array } {
		if (this.whole !== undefined) return this.whole;
		const { count, shared, suffixes, suffixStarts } = this;
		const starts = new Uint32Array(count + 2);
		let total = 0;
		for (let id = 1; id <= count; id++) {
			starts[id] = total;
			total += shared[id - 1]! + suffixStarts[id]! - suffixStarts[id - 1]!;
		}
		starts[count + 1] = total;
		const bytes = new Uint8Array(total);
		for (let id = 1, from = 0; id <= count; id++) {
			const start = starts[id]!;
			const same = shared[id - 1]!;
			const end = starts[id + 1]!;
			for (let i = start, other = starts[id - 1]!, own = start + same; i < own; i++) bytes[i] = bytes[other++]!;
			for (let i = start + same; i < end; i++) bytes[i] = suffixes[from++]!;
		}
		this.whole = { bytes, starts };
		return this.whole;
	}
}

class HeapCursor {
	private readonly into: Uint8Array;
	private readonly shared: Uint8Array;
	private readonly suffixes: Uint8Array;
	private readonly suffixStarts: Uint32Array;
	private place = 0;

	constructor(into: Uint8Array, shared: Uint8Array, suffixes: Uint8Array, suffixStarts: Uint32Array) {
		this.into = into;
		this.shared = shared;
		this.suffixes = suffixes;
		this.suffixStarts = suffixStarts;
	}

	/** The length of the next entry; of one that is longer than `into`, only the beginning is there. */
	next(): number {
		const { into, suffixes, suffixStarts, place } = this;
		const same = this.shared[place]!;
		const start = suffixStarts[place]!;
		const length = same + suffixStarts[place + 1]! - start;
		this.place = place + 1;
		for (let to = same, from = start, end = Math.min(length, into.length); to < end; to++) into[to] = suffixes[from++]!;
		return length;
	}
}
