/**
 * The dictionary of a stored block: one run of entry numbers over the chunks in which it is stored, each opened when one of its
 * entries is asked for.
 */
import { type ByteWriter, DamagedBlockError } from "./bytes.ts";
import type { EntryCursor, HeapReader } from "./heap.ts";

export interface ChunkPlace {
	/** Entries before it. */
	readonly before: number;
	readonly entries: number;
}

export class BlockHeap {
	readonly count: number;
	private readonly places: readonly ChunkPlace[];
	private readonly open: (chunk: number) => HeapReader;
	private readonly hold: (bytes: number) => void;
	private readonly chunks: (HeapReader | undefined)[] = [];
	private whole: { readonly bytes: Uint8Array; readonly starts: Uint32Array } | undefined;

	private readonly wholly: (work: () => void) => void;

	/**
	 * @param hold told of bytes that are kept in memory from then on
	 * @param wholly runs work that opens every chunk
	 */
	constructor(
		places: readonly ChunkPlace[],
		open: (chunk: number) => HeapReader,
		hold: (bytes: number) => void,
		wholly: (work: () => void) => void = (work) => work(),
	) {
		this.count = places.reduce((total, { entries }) => total + entries, 0);
		this.places = places;
		this.open = open;
		this.hold = hold;
		this.wholly = wholly;
	}

	/** The bytes of one entry, from 1; a fresh array unless all were unpacked. */
	item(id: number): Uint8Array {
		this.checkId(id);
		if (this.whole !== undefined) return this.whole.bytes.subarray(this.whole.starts[id]!, this.whole.starts[id + 1]!);
		const place = this.placeOf(id);
		return this.chunk(place).item(id - this.places[place]!.before);
	}

	/** As {@link item}, appended. */
	writeItem(id: number, out: ByteWriter): void {
		this.checkId(id);
		if (this.whole !== undefined) {
			out.raw(this.whole.bytes, this.whole.starts[id]!, this.whole.starts[id + 1]!);
			return;
		}
		const place = this.placeOf(id);
		this.chunk(place).writeItem(id - this.places[place]!.before, out);
	}

	private placeOf(id: number): number {
		const { places } = this;
		let low = 0;
		let high = places.length;
		while (low + 1 < high) {
			const middle = (low + high) >>> 1;
			if (places[middle]!.before < id) low = middle;
			else high = middle;
		}
		return low;
	}

	private checkId(id: number): void {
		if (id < 1 || id > this.count) throw new DamagedBlockError(`there is no dictionary entry ${id}`);
	}

	/** Opens what is not open. */
	private openAll(): void {
		this.wholly(() => this.places.forEach(({ entries }, i) => entries > 0 && this.chunk(i)));
	}

	/** Walks over the entries from the first, each put at the beginning of `into`; at most 255 bytes there are of use to the next. */
	cursor(into: Uint8Array): EntryCursor {
		this.openAll();
		let chunk = -1;
		let left = 0;
		let inside: EntryCursor | undefined;
		return {
			next: () => {
				while (left === 0) {
					const place = this.places[++chunk];
					if (place === undefined) throw new DamagedBlockError("there is no further dictionary entry");
					left = place.entries;
					if (left > 0) inside = this.chunk(chunk).cursor(into);
				}
				left--;
				return inside!.next();
			},
		};
	}

	/** Every entry: `id` is `[starts[id], starts[id + 1])`. */
	unpack(): { readonly bytes: Uint8Array; readonly starts: Uint32Array } {
		if (this.whole !== undefined) return this.whole;
		const { places, count } = this;
		this.openAll();
		const starts = new Uint32Array(count + 2);
		const full = places.flatMap(({ before, entries }, i) => (entries === 0 ? [] : [{ chunk: this.chunk(i), before }]));
		const bytes = new Uint8Array(full.reduce((total, { chunk }) => total + chunk.wholeBytes, 0));
		let at = 0;
		for (const { chunk, before } of full) at = chunk.unpackInto(bytes, at, starts, before);
		starts[count + 1] = at;
		this.hold(bytes.length + starts.byteLength);
		return (this.whole = { bytes, starts });
	}

	private chunk(i: number): HeapReader {
		let chunk = this.chunks[i];
		if (chunk === undefined) {
			chunk = this.open(i);
			if (chunk.count !== this.places[i]!.entries) throw new DamagedBlockError("entries of the dictionary do not add up");
			this.hold(chunk.heldBytes);
			this.chunks[i] = chunk;
		}
		return chunk;
	}
}
