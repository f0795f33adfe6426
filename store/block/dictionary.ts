/**
 * The dictionary of a block under construction: every distinct run of bytes once, with a number.
 *
 * Lookup is by a seeded hash and always confirmed by comparing the bytes, so neither chance nor a hostile sender can make two
 * runs one. Reused for block after block.
 */

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
	private table = new Int32Array(1 << 13);
	private mask = (1 << 13) - 1;
	private readonly crowded = new Map<string, number>();

	reset(): void {
		this.count = 0;
		this.heapUsed = 0;
		this.table.fill(0);
		this.crowded.clear();
	}

	/** The number of `source[start, start + length)`; the bytes are copied when they are new. */
	intern(source: Uint8Array, view: DataView, start: number, length: number): number {
		const hash = hashBytes(source, view, start, length);
		const { table, hashes } = this;
		let slot = hash & this.mask;
		let probes = 0;
		for (let id = table[slot]!; id !== 0; id = table[slot]!) {
			if (hashes[id] === hash && this.lengths[id] === length && this.equals(id, source, view, start, length)) return id;
			if (++probes > MAX_PROBES) return this.internCrowded(source, start, length, hash);
			slot = (slot + 1) & this.mask;
		}
		this.table[slot] = this.add(source, start, length, hash);
		if (this.count * 2 > this.mask) this.growTable();
		return this.count;
	}

	/**
	 * As {@link intern}, with a guess: records follow others of the same sender, so the entry at the same place of the record before
	 * is the right one more often than not, and comparing costs half of hashing.
	 */
	internGuessing(guess: number, source: Uint8Array, view: DataView, start: number, length: number): number {
		if (guess <= this.count && this.lengths[guess] === length && this.equals(guess, source, view, start, length))
			return guess;
		return this.intern(source, view, start, length);
	}

	/** A view of an item's bytes; valid until the next new item. */
	item(id: number): Uint8Array<ArrayBuffer> {
		const start = this.starts[id]!;
		return this.heap.subarray(start, start + this.lengths[id]!);
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

	private equals(id: number, source: Uint8Array, view: DataView, start: number, length: number): boolean {
		const { heap, heapView } = this;
		let at = this.starts[id]!;
		let i = start;
		const end = start + length;
		if (length >= 4) {
			for (const wordsEnd = end - 4; i < wordsEnd; i += 4, at += 4)
				if (heapView.getInt32(at, true) !== view.getInt32(i, true)) return false;
			// The last word overlaps the one before rather than going byte by byte.
			return heapView.getInt32(at + end - 4 - i, true) === view.getInt32(end - 4, true);
		}
		for (; i < end; i++, at++) if (heap[at] !== source[i]) return false;
		return true;
	}

	/**
	 * Where too many entries crowd a part of the table, by a sender's doing: V8's own hash of strings decides. An entry may then be
	 * there twice after the table has grown, which costs room and nothing else.
	 */
	private internCrowded(source: Uint8Array, start: number, length: number, hash: number): number {
		const key = Buffer.from(source.buffer, source.byteOffset + start, length).toString("latin1");
		let id = this.crowded.get(key);
		if (id === undefined) {
			id = this.add(source, start, length, hash);
			this.crowded.set(key, id);
		}
		return id;
	}

	private add(source: Uint8Array, start: number, length: number, hash: number): number {
		const id = ++this.count;
		if (id >= this.starts.length) this.growItems();
		if (this.heapUsed + length > this.heap.length) this.growHeap(length);
		const at = this.heapUsed;
		const { heap } = this;
		if (length < 48) for (let i = 0; i < length; i++) heap[at + i] = source[start + i]!;
		else heap.set(source.subarray(start, start + length), at);
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
		const larger = new Uint8Array(Math.max(this.heapUsed + more, this.heap.length * 2));
		larger.set(this.heap.subarray(0, this.heapUsed));
		this.heap = larger;
		this.heapView = new DataView(larger.buffer);
	}

	private growTable(): void {
		const size = (this.mask + 1) * 2;
		this.mask = size - 1;
		this.table = new Int32Array(size);
		for (let id = 1; id <= this.count; id++) {
			let slot = this.hashes[id]! & this.mask;
			let probes = 0;
			while (this.table[slot] !== 0 && probes++ <= MAX_PROBES) slot = (slot + 1) & this.mask;
			if (this.table[slot] === 0) this.table[slot] = id;
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
