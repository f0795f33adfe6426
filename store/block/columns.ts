/**
 * The item columns and the heap of a block.
 *
 * Each column has a dictionary of its own in each stretch (numbers of block entries, in order of appearance) and indices into it, so
 * a column of one value costs nothing a row. Entries are renumbered in the order of the columns, which puts values of one key side
 * by side in the heap; those of one stretch alone have a chunk of the heap of their own.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteWriter } from "./bytes.ts";
import { HeapWriter } from "./heap.ts";
import { writeIndices } from "./indices.ts";
import { itemCounts } from "./layout-table.ts";
import { wordScratch } from "./scratch.ts";
import { SealedChunks } from "./seal.ts";
import type { WrittenChunk } from "./stretches.ts";

/** Of entries that several stretches use: enough for zstd to learn from, few enough to be read for one trace. */
const SHARED_CHUNK_BYTES = 16_384;
const SHARED = 0xffff_ffff;

const newIdScratch = wordScratch();
const usedByScratch = wordScratch();
const metScratch = wordScratch();
const indexScratch = wordScratch();
const entryScratch = wordScratch();
const layoutRowsScratch = wordScratch();
const sharedHeap = new HeapWriter();
const ownHeap = new HeapWriter();
const sharedOut = new SealedChunks();
const ownOut = new SealedChunks();
const out = new ByteWriter(1 << 16);

/** Takes the stretches of a block in order; one block at a time in a thread. */
export class ColumnsEncoder {
	/** Number in the block of each of the builder's entries that scopes and classes use; scratch, whole after {@link finish}. */
	readonly newIdOf: Uint32Array;
	private readonly builder: BlockBuilder;
	private readonly level: number;
	private readonly sharedChunks: WrittenChunk[] = [];
	private readonly ownChunks: WrittenChunk[] = [];
	/** By entry: the stretch (from 1) that alone uses it, or {@link SHARED}. Undefined where there is one stretch. */
	private readonly usedBy: Uint32Array | undefined;
	/** How many entries are shared: numbers of a stretch's own follow them. */
	private readonly shared: number;
	/**
	 * Pairs, side by side in memory: the column (from 1) that met the entry last, and the entry's index there. Within a layout nearly
	 * every entry has one column.
	 */
	private readonly metBy: Uint32Array;
	private readonly widths: readonly number[];
	private column = 1;
	private sharedBefore = 0;

	/** @param rows of each stretch, in the order of the block */
	constructor(builder: BlockBuilder, stretches: readonly Uint32Array[], level: number) {
		this.builder = builder;
		this.level = level;
		const entries = builder.dictionary.count + 1;
		this.newIdOf = newIdScratch(entries).fill(0);
		this.metBy = metScratch(entries * 2).fill(0);
		this.widths = itemCounts(builder.layouts);
		const several = stretches.length > 1;
		this.usedBy = several ? usersOf(builder, stretches, this.widths) : undefined;
		this.shared = this.usedBy === undefined ? 0 : countShared(this.usedBy);
		sharedHeap.begin(builder);
		sharedOut.reset();
		ownOut.reset();
	}

	/** The columns of a stretch; scratch, valid until the next. */
	stretch(rows: Uint32Array): Uint8Array {
		const { builder, widths } = this;
		ownHeap.begin(builder);
		out.reset();
		const firstOfLayout = new Uint32Array(widths.length + 1);
		const byLayout = groupByLayout(rows, builder.rowLayout, firstOfLayout);
		for (let layout = 0; layout < widths.length; layout++) {
			const first = firstOfLayout[layout]!;
			const end = firstOfLayout[layout + 1]!;
			if (end > first) this.addLayout(byLayout.subarray(first, end), widths[layout]!);
		}
		if (this.usedBy !== undefined) {
			const length = ownHeap.count === 0 ? 0 : ownOut.add(ownHeap.finish(), this.level);
			this.ownChunks.push({ entries: ownHeap.count, length });
		}
		return out.view();
	}

	/** The heap part. */
	finish(): { readonly heap: Uint8Array; readonly shared: readonly WrittenChunk[]; readonly own: readonly WrittenChunk[] } {
		const { scopes, classes } = this.builder;
		for (const { resourceItem, scopeItem } of scopes)
			for (const id of [resourceItem, scopeItem]) if (id !== 0) this.numberOf(id);
		for (const { nameItem, kindItem } of classes) for (const id of [nameItem, kindItem]) if (id !== 0) this.numberOf(id);
		if (sharedHeap.count > 0 || this.sharedChunks.length === 0) this.endSharedChunk();
		const heap = new Uint8Array(sharedOut.length + ownOut.length);
		heap.set(sharedOut.view());
		heap.set(ownOut.view(), sharedOut.length);
		for (const writer of [sharedHeap, ownHeap]) writer.end();
		for (const writer of [sharedOut, ownOut, out]) writer.reset();
		return { heap, shared: this.sharedChunks, own: this.ownChunks };
	}

	private addLayout(rows: Uint32Array, width: number): void {
		const { rowItems, items } = this.builder;
		const { metBy, column } = this;
		const count = rows.length;
		const indices = indexScratch(count * width);
		/** Entries of each column in order of appearance: at most one a row. */
		const found = entryScratch(count * width);
		const distinct = new Uint32Array(width);
		/** For entries that another column met first: index by (column, entry). */
		const twice = new Map<number, number>();
		for (let k = 0; k < count; k++) {
			let at = rowItems[rows[k]!]!;
			for (let position = 0, to = k; position < width; position++, to += count) {
				const id = items[at++]!;
				const owner = metBy[id * 2]!;
				let local: number;
				if (owner === column + position) local = metBy[id * 2 + 1]!;
				else if (owner < column) {
					// New, or known from an earlier layout only, whose columns are done.
					local = distinct[position]!++;
					metBy[id * 2] = column + position;
					metBy[id * 2 + 1] = local;
					found[position * count + local] = id;
				} else {
					const key = position * 2 ** 32 + id;
					const known = twice.get(key);
					if (known !== undefined) local = known;
					else {
						local = distinct[position]!++;
						twice.set(key, local);
						found[position * count + local] = id;
					}
				}
				indices[to] = local;
			}
		}
		for (let position = 0; position < width; position++) {
			const size = distinct[position]!;
			out.varint(size);
			let previous = 0;
			for (let i = position * count, end = i + size; i < end; i++) {
				const number = this.numberOf(found[i]!);
				out.zigzag(number - previous - 1);
				previous = number;
			}
			writeIndices(out, indices.subarray(position * count, (position + 1) * count), size);
		}
		this.column += width;
	}

	/** Of a shared entry its number in the block; of one that a stretch has for itself, its place behind the shared ones. */
	private numberOf(id: number): number {
		const known = this.newIdOf[id]!;
		if (known !== 0) return known;
		const { usedBy } = this;
		if (usedBy !== undefined && usedBy[id] !== SHARED) return (this.newIdOf[id] = this.shared + ownHeap.add(id));
		if (usedBy !== undefined && sharedHeap.bytes >= SHARED_CHUNK_BYTES) this.endSharedChunk();
		return (this.newIdOf[id] = this.sharedBefore + sharedHeap.add(id));
	}

	private endSharedChunk(): void {
		const entries = sharedHeap.count;
		this.sharedChunks.push({ entries, length: sharedOut.add(sharedHeap.finish(), this.level) });
		this.sharedBefore += entries;
		sharedHeap.begin(this.builder);
	}
}

/** What uses each entry: the number, from 1, of the only stretch that does, or {@link SHARED}. Scratch. */
function usersOf(builder: BlockBuilder, stretches: readonly Uint32Array[], widths: readonly number[]): Uint32Array {
	const { items, rowItems, rowLayout } = builder;
	const usedBy = usedByScratch(builder.dictionary.count + 1).fill(0);
	for (const [i, rows] of stretches.entries()) {
		const number = i + 1;
		for (let k = 0; k < rows.length; k++) {
			const row = rows[k]!;
			for (let at = rowItems[row]!, end = at + widths[rowLayout[row]!]!; at < end; at++) {
				const id = items[at]!;
				const user = usedBy[id]!;
				if (user !== number) usedBy[id] = user === 0 ? number : SHARED;
			}
		}
	}
	for (const { resourceItem, scopeItem } of builder.scopes) usedBy[resourceItem] = usedBy[scopeItem] = SHARED;
	for (const { nameItem, kindItem } of builder.classes) usedBy[nameItem] = usedBy[kindItem] = SHARED;
	// 0 is no entry.
	usedBy[0] = 0;
	return usedBy;
}

function countShared(usedBy: Uint32Array): number {
	let count = 0;
	for (let id = 0; id < usedBy.length; id++) if (usedBy[id] === SHARED) count++;
	return count;
}

/** Rows by layout, each layout's in the order of the block; fills in where each begins. */
function groupByLayout(ordered: Uint32Array, rowLayout: Uint32Array, firstOfLayout: Uint32Array): Uint32Array {
	for (let i = 0; i < ordered.length; i++) firstOfLayout[rowLayout[ordered[i]!]! + 1]!++;
	for (let layout = 1; layout < firstOfLayout.length; layout++) firstOfLayout[layout]! += firstOfLayout[layout - 1]!;
	const next = firstOfLayout.slice();
	const grouped = layoutRowsScratch(ordered.length);
	for (let i = 0; i < ordered.length; i++) {
		const row = ordered[i]!;
		grouped[next[rowLayout[row]!]!++] = row;
	}
	return grouped;
}
