/**
 * Where a block is cut into stretches: between traces, once a stretch has rows or bytes enough that reading it for one of its traces
 * is work worth saving.
 */
import type { BlockBuilder } from "./builder.ts";
import { itemCounts } from "./layout-table.ts";
import type { RowOrder } from "./order.ts";
import { byteScratch } from "./scratch.ts";

/**
 * A stretch ends with the trace that fills it. Of a block of 6,000 spans a trace then costs 115 kB of buffers instead of 636; with 512
 * it would be 80, for a byte a span more on disk and 5 % more CPU in building a block (docs/adr/0017-stretches-of-a-block.md).
 */
export const STRETCH_ROWS = 1024;
/** Of dictionary entries that no stretch before has. A thousand common spans bring 56 kB (docs/adr/0021-parts-in-slices.md). */
const STRETCH_BYTES = 131_072;

const seenScratch = byteScratch();

/** Where stretches begin, in traces; one longer than there are stretches. */
export function cutIntoStretches(builder: BlockBuilder, { rows, firstOfTrace }: RowOrder): number[] {
	const cuts = [0];
	const traces = firstOfTrace.length - 1;
	const bytesOf = newBytes(builder);
	let begin = 0;
	let bytes = 0;
	for (let trace = 0; trace < traces - 1; trace++) {
		const end = firstOfTrace[trace + 1]!;
		if (bytesOf !== undefined) for (let i = firstOfTrace[trace]!; i < end; i++) bytes += bytesOf(rows[i]!);
		if (end - begin < STRETCH_ROWS && bytes < STRETCH_BYTES) continue;
		cuts.push(trace + 1);
		begin = end;
		bytes = 0;
	}
	cuts.push(traces);
	return cuts;
}

/** Bytes of a row's entries that no row before had; undefined where entries are so few that rows alone decide. */
function newBytes({
	rows,
	dictionary,
	layouts,
	items,
	rowItems,
	rowLayout,
}: BlockBuilder): ((row: number) => number) | undefined {
	if (dictionary.heapUsed * STRETCH_ROWS < (STRETCH_BYTES / 2) * rows) return undefined;
	const { lengths, count } = dictionary;
	const seen = seenScratch(count + 1).fill(0);
	const widths = itemCounts(layouts);
	return (row) => {
		let bytes = 0;
		for (let at = rowItems[row]!, end = at + widths[rowLayout[row]!]!; at < end; at++) {
			const id = items[at]!;
			if (seen[id] === 1) continue;
			seen[id] = 1;
			bytes += lengths[id]!;
		}
		return bytes;
	};
}
