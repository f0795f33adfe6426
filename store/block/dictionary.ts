/**
 * The dictionary of a block under construction: every distinct run of bytes once, with a number.
 *
 * Lookup is by a seeded hash and always confirmed by comparing the bytes, so neither chance nor a hostile sender can make two
 * runs one. Reused for block after block.
 */
import { KEEP_BYTES, roomFor } from "./scratch.ts";

/** With their places in the table some 40 bytes each. */
const KEEP_ENTRIES = 1 << 18;
/** Far beyond what chance brings to a half-full table. */
const MAX_PROBES = 64;
/** A hostile sender that could foresee the hash could make every lookup walk one chain. */
const SEED = crypto.getRandomValues(new Uint32Array(2));
const HIGH_BITS = 0x80808080 | 0;
const SEED_0 = SEED[0]! | 0;
const SEED_1 = SEED[1]! | 0;

export class ItemDictionary {
	/** Numbers start at 1; 0 means "none". */
	count = 0;
	heap: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 16);
	heapUsed = 0;
	starts = new Uint32Array(1 << 12);
	lengths = new Uint32Array(1 << 12);
	private heapView = new DataView(this.heap.buffer);
	private hashes = new Int32Array(1 << 12);
	/** Number and hash of an entry side by side: a walk through the table reads no other memory until the hash agrees. */
	private table = new Int32Array(1 << 14);
	private mask = (1 << 13) - 1;
	private readonly crowded = new Map<string, number>();

	/** Forgets every entry; keeps the memory up to a bound. */
	reset(): void {
		this.count = 0;
		this.heapUsed = 0;
		this.crowded.clear();
		if (this.heap.length > KEEP_BYTES) this.setHeap(new Uint8Array(1 << 16));
		if (this.starts.length > KEEP_ENTRIES) {
			this.starts = new Uint32Array(1 << 12);
			this.lengths = new Uint32Array(1 << 12);
			this.hashes = new Int32Array(1 << 12);
			this.table = new Int32Array(1 << 14);
			this.mask = (1 << 13) - 1;
		} else this.table.fill(0);
	}

	/** The number of `source[start, start + length)`; the bytes are copied when they are new. */
	intern(source: Uint8Array, view: DataView, start: number, length: number): number {
		const hash = hashBytes(source, view, start, length);
		const { table, lengths, mask } = this;
		let slot = hash & mask;
		let probes = 0;
		for (let id = table[slot * 2]!; id !== 0; id = table[slot * 2]!) {
			if (table[slot * 2 + 1] === hash && lengths[id] === length && this.equals(id, view, start, length)) return id;
			if (++probes > MAX_PROBES) return this.internCrowded(source, view, start, length, hash);
			slot = (slot + 1) & mask;
		}
		const added = this.add(source, view, start, length, hash);
		table[slot * 2] = added;
		table[slot * 2 + 1] = hash;
		if (added * 2 > mask) this.growTable();
		return added;
	}

	/**
	 * As {@link intern}, with two guesses at the number. Records follow others of the same sender and repeat earlier ones of the same
	 * name, so the entry at the same place of those is right four times in five, and comparing needs no walk through the table.
	 */
	internGuessing(guess: number, other: number, source: Uint8Array, view: DataView, start: number, length: number): number {
		const { lengths, count } = this;
		if (guess <= count && lengths[guess] === length && this.equals(guess, view, start, length)) return guess;
		if (other !== guess && other <= count && lengths[other] === length && this.equals(other, view, start, length))
			return other;
		return this.intern(source, view, start, length);
	}

	/** A view of an item's bytes; valid until the next new item. */
	item(id: number): Uint8Array<ArrayBuffer> {
		const start = this.starts[id]!;
		return this.heap.subarray(start, start + this.lengths[id]!);
	}

	/** Walks over the items from the first, each put at the beginning of `into`, as far as it fits; gives their lengths. */
	cursor(into: Uint8Array): { next(): number } {
		let id = 0;
		return {
			next: () => {
				const start = this.starts[++id]!;
				const length = this.lengths[id]!;
				into.set(this.heap.subarray(start, start + Math.min(length, into.length)));
				return length;
			},
		};
	}

	/** Calls back for every entry with a byte above 0x7f; looks at four bytes in about half a nanosecond. */
	forEachNonAscii(visit: (id: number) => void): void {
		const { heap, heapUsed, starts, lengths } = this;
		const words = new Int32Array(heap.buffer, 0, heapUsed >> 2);
		let id = 1;
		let at = 0;
		while (at < heapUsed) {
			let word = at >> 2;
			if (at === word << 2) {
				while (word < words.length && (words[word]! & HIGH_BITS) === 0) word++;
				at = word << 2;
			}
			if (at >= heapUsed) return;
			if (heap[at]! < 0x80) {
				at++;
				continue;
			}
			while (starts[id]! + lengths[id]! <= at) id++;
			visit(id);
			at = starts[id]! + lengths[id]!;
		}
	}

	/** V8 compares two BigInts that are read and not kept as the two words they are: 14 ns for 45 bytes against 20 in steps of four. */
	private equals(id: number, view: DataView, start: number, length: number): boolean {
		const { heapView } = this;
		const at = this.starts[id]!;
		if (length < 8) {
			for (let i = 0; i < length; i++) if (heapView.getUint8(at + i) !== view.getUint8(start + i)) return false;
			return true;
		}
		// The last word first: values of one key begin alike. It overlaps the one before rather than going byte by byte.
		const last = length - 8;
		if (heapView.getBigInt64(at + last) !== view.getBigInt64(start + last)) return false;
		for (let i = 0; i < last; i += 8) if (heapView.getBigInt64(at + i) !== view.getBigInt64(start + i)) return false;
		return true;
	}

	/**
	 * Where too many entries crowd a part of the table, by a sender's doing: V8's own hash of strings decides. An entry may then be
	 * there twice after the table has grown, which costs room and nothing else.
	 */
	private internCrowded(source: Uint8Array, view: DataView, start: number, length: number, hash: number): number {
		const key = Buffer.from(source.buffer, source.byteOffset + start, length).toString("latin1");
		let id = this.crowded.get(key);
		if (id === undefined) {
			id = this.add(source, view, start, length, hash);
			this.crowded.set(key, id);
		}
		return id;
	}

	private add(source: Uint8Array, view: DataView, start: number, length: number, hash: number): number {
		const id = ++this.count;
		if (id >= this.starts.length) this.growItems();
		if (this.heapUsed + length > this.heap.length) this.growHeap(length);
		const at = this.heapUsed;
		const { heap, heapView } = this;
		if (length < 8) for (let i = 0; i < length; i++) heap[at + i] = source[start + i]!;
		else if (length < 128) {
			const last = length - 8;
			for (let i = 0; i < last; i += 8) heapView.setBigInt64(at + i, view.getBigInt64(start + i));
			heapView.setBigInt64(at + last, view.getBigInt64(start + last));
		} else heap.set(source.subarray(start, start + length), at);
		this.heapUsed = at + length;
		this.starts[id] = at;
		this.lengths[id] = length;
		this.hashes[id] = hash;
		return id;
	}

	private growItems(): void {
		const size = this.starts.length * 2;
		this.starts = copyInto(new Uint32Array(size), this.starts);
		this.lengths = copyInto(new Uint32Array(size), this.lengths);
		const hashes = new Int32Array(size);
		hashes.set(this.hashes);
		this.hashes = hashes;
	}

	private growHeap(more: number): void {
		this.setHeap(new Uint8Array(this.heap.buffer.transfer(roomFor(this.heapUsed + more, this.heap.length))));
	}

	private setHeap(heap: Uint8Array<ArrayBuffer>): void {
		this.heap = heap;
		this.heapView = new DataView(heap.buffer);
	}

	private growTable(): void {
		const size = (this.mask + 1) * 2;
		this.mask = size - 1;
		const table = (this.table = new Int32Array(size * 2));
		for (let id = 1; id <= this.count; id++) {
			const hash = this.hashes[id]!;
			let slot = hash & this.mask;
			let probes = 0;
			while (table[slot * 2] !== 0 && probes++ <= MAX_PROBES) slot = (slot + 1) & this.mask;
			if (table[slot * 2] !== 0) continue;
			table[slot * 2] = id;
			table[slot * 2 + 1] = hash;
		}
	}
}

function copyInto(target: Uint32Array<ArrayBuffer>, source: Uint32Array): Uint32Array<ArrayBuffer> {
	target.set(source);
	return target;
}

/** Two lanes of four bytes, so that one multiplication need not wait for the other. */
function hashBytes(source: Uint8Array, view: DataView, start: number, length: number): number {
	let a = SEED_0 ^ length;
	let b = SEED_1;
	let i = start;
	const end = start + length;
	for (const pairsEnd = end - 7; i < pairsEnd; i += 8) {
		a = Math.imul(a ^ view.getInt32(i, true), 0x9e3779b1);
		b = Math.imul(b ^ view.getInt32(i + 4, true), 0x85ebca77);
		a ^= a >>> 15;
		b ^= b >>> 13;
	}
	if (length >= 8) {
		a = Math.imul(a ^ view.getInt32(end - 8, true), 0x27d4eb2f);
		b = Math.imul(b ^ view.getInt32(end - 4, true), 0x165667b1);
	} else for (; i < end; i++) a = Math.imul(a ^ source[i]!, 0x01000193);
	let hash = a ^ Math.imul(b, 0xc2b2ae3d);
	hash ^= hash >>> 16;
	hash = Math.imul(hash, 0x7feb352d);
	return hash ^ (hash >>> 15);
}
