/**
 * Which blocks to merge next: a pure function of their sizes.
 *
 * A row should be written again as seldom as can be: merging costs more CPU than storing did. A block that is large enough as it was
 * committed is never rewritten, it only gets what final blocks have beside their rows. Small blocks are merged in tiers of sixteen, so
 * that a row is rewritten a few times however slowly rows arrive; once there are rows or bytes enough for a full block, the oldest
 * become one that is merged no further.
 */
import type { StoredBlock } from "./block-table.ts";

/** Rows at which small blocks become a final one: large enough that dictionaries pay, small enough to decode in milliseconds. */
export const FINAL_ROWS = 16_384;
/**
 * A block of so many rows becomes final as it is. Measured on blocks of 5,600 spans: merging three of them saves a tenth of their
 * bytes. Far too many rows for a pack: their ids alone are larger.
 */
export const LARGE_ROWS = 4_096;
/**
 * Bytes of texts at which small blocks become a final one, however few their rows: that of 16,384 usual spans has 4 MB, and
 * making a block takes several times the bytes it is made of. Records of 100 kB, merged by rows alone, took 2.4 GB and 11 s.
 */
export const FINAL_BYTES = 12 << 20;
/** A block of so many bytes of texts becomes final as it is, too. */
export const LARGE_BYTES = FINAL_BYTES / 2;
/** Blocks that become final together, or fewer when they have {@link FINAL_BYTES}: one transaction, and one run in the trace index. */
const BLOCKS_FINALISED = 8;
/** No merge of several blocks reads more than this. */
const MAX_MERGE_ROWS = FINAL_ROWS * 2;
const MAX_MERGE_BYTES = FINAL_BYTES * 2;
const BLOCKS_PER_TIER = 16;
/** Powers of the number of blocks a merge takes: what came of one merge lies above its tier and is not taken into the next. */
const TIER_ROWS = [16, 256, LARGE_ROWS] as const;

export interface MergeableBlock extends StoredBlock {
	/** Of its texts, before compression (`unpackedBytes` of store/block/reader.ts). */
	readonly unpackedBytes: number;
}

export interface MergePlan {
	/** The blocks become one that is merged again, or one final block, or final ones each as it is. */
	readonly kind: "merge" | "complete" | "finalise";
	readonly signal: "traces" | "logs";
	readonly blocks: readonly MergeableBlock[];
}

/** @param unmerged blocks that are not final and not being merged, oldest first; `sealing` once there will be no more */
export function planMerge(
	signal: MergePlan["signal"],
	unmerged: readonly MergeableBlock[],
	sealing: boolean,
): MergePlan | undefined {
	const large = unmerged.filter(isLarge);
	if (large.length >= BLOCKS_FINALISED || unpackedBytesOf(large) >= FINAL_BYTES || (sealing && large.length > 0))
		return { kind: "finalise", signal, blocks: large.slice(0, finalisedAtOnce(large)) };
	const small = unmerged.filter((block) => !isLarge(block));
	if (isFull(small) || (sealing && small.length > 0)) return { kind: "complete", signal, blocks: takeOldest(small) };
	for (const [tier, limit] of TIER_ROWS.entries()) {
		const floor = tier === 0 ? 0 : TIER_ROWS[tier - 1]!;
		const members = small.filter((block) => block.rows >= floor && block.rows < limit);
		if (members.length < BLOCKS_PER_TIER) continue;
		return { kind: rowsOf(members) >= LARGE_ROWS ? "complete" : "merge", signal, blocks: members };
	}
	return undefined;
}

function isLarge({ rows, unpackedBytes }: MergeableBlock): boolean {
	return rows >= LARGE_ROWS || unpackedBytes >= LARGE_BYTES;
}

function finalisedAtOnce(large: readonly MergeableBlock[]): number {
	let count = 0;
	for (let bytes = 0; count < BLOCKS_FINALISED && bytes < FINAL_BYTES && count < large.length; count++)
		bytes += large[count]!.unpackedBytes;
	return count;
}

function rowsOf(blocks: readonly MergeableBlock[]): number {
	let rows = 0;
	for (const block of blocks) rows += block.rows;
	return rows;
}

export function unpackedBytesOf(blocks: readonly MergeableBlock[]): number {
	let bytes = 0;
	for (const block of blocks) bytes += block.unpackedBytes;
	return bytes;
}

function isFull(blocks: readonly MergeableBlock[]): boolean {
	return rowsOf(blocks) >= FINAL_ROWS || unpackedBytesOf(blocks) >= FINAL_BYTES;
}

function takeOldest(blocks: readonly MergeableBlock[]): MergeableBlock[] {
	const taken: MergeableBlock[] = [];
	let rows = 0;
	let bytes = 0;
	for (const block of blocks) {
		rows += block.rows;
		bytes += block.unpackedBytes;
		if (taken.length > 0 && (rows > MAX_MERGE_ROWS || bytes > MAX_MERGE_BYTES)) break;
		taken.push(block);
		if (rows >= FINAL_ROWS || bytes >= FINAL_BYTES) break;
	}
	return taken;
}
