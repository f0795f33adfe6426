/**
 * The item columns and the heap of a block.
 *
 * Each column has a dictionary of its own (numbers of block entries, in order of appearance) and indices into it, so a column of
 * one value costs nothing a row. Entries are renumbered in the order of the columns, which puts values of one key side by side in
 * the heap.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteWriter } from "./bytes.ts";
import { SLOT } from "./format.ts";
import { HeapWriter } from "./heap.ts";
import { writeIndices } from "./indices.ts";
import { wordScratch } from "./scratch.ts";

const newIdScratch = wordScratch();
const metScratch = wordScratch();
const indexScratch = wordScratch();
const entryScratch = wordScratch();
const layoutRowsScratch = wordScratch();
const out = new ByteWriter(1 << 16);

export interface EncodedColumns {
	/** Scratch, all three: valid until the next block. */
	readonly columns: Uint8Array;
	readonly heap: Uint8Array;
	/** Final number of each of the builder's dictionary entries. */
	readonly newIdOf: Uint32Array;
}

export function encodeColumns(builder: BlockBuilder, ordered: Uint32Array): EncodedColumns {
	const { dictionary, rowLayout, rowItems, items, layouts } = builder;
	const entries = dictionary.count + 1;
	const newIdOf = newIdScratch(entries).fill(0);
	/**
	 * Pairs, side by side in memory: the column (from 1) that met the entry last, and the entry's index there. Within a layout nearly
	 * every entry has one column.
	 */
	const metBy = metScratch(entries * 2).fill(0);
	heap.begin(builder);
	out.reset();
	let column = 1;
	const firstOfLayout = new Uint32Array(layouts.length + 1);
	const byLayout = groupByLayout(ordered, rowLayout, firstOfLayout);
	for (let layout = 0; layout < layouts.length; layout++) {
		const first = firstOfLayout[layout]!;
		const count = firstOfLayout[layout + 1]! - first;
		const width = layouts[layout]!.slots.reduce((total, slot) => total + (slot === SLOT.item ? 1 : 0), 0);
		const indices = indexScratch(count * width);
		/** Entries of each column in order of appearance: at most one a row. */
		const found = entryScratch(count * width);
		const distinct = new Uint32Array(width);
		/** For entries that another column met first: index by (column, entry). */
		const shared = new Map<number, number>();
		for (let k = 0; k < count; k++) {
			let at = rowItems[byLayout[first + k]!]!;
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
					const known = shared.get(key);
					if (known !== undefined) local = known;
					else {
						local = distinct[position]!++;
						shared.set(key, local);
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
				const id = found[i]!;
				let renumbered = newIdOf[id]!;
				if (renumbered === 0) renumbered = newIdOf[id] = heap.add(id);
				out.zigzag(renumbered - previous - 1);
				previous = renumbered;
			}
			writeIndices(out, indices.subarray(position * count, (position + 1) * count), size);
		}
		column += width;
	}
	const keep = (id: number): void => {
		if (id !== 0 && newIdOf[id] === 0) newIdOf[id] = heap.add(id);
	};
	for (const scope of builder.scopes) {
		keep(scope.resourceItem);
		keep(scope.scopeItem);
	}
	for (const entry of builder.classes) {
		keep(entry.nameItem);
		keep(entry.kindItem);
	}
	return { columns: out.view(), heap: heap.finish(), newIdOf };
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

const heap = new HeapWriter();
