/**
 * Which blocks to merge next: a pure function of their sizes.
 *
 * Small blocks are merged in tiers of sixteen, so that a row is rewritten a few times however slowly rows arrive; once there are
 * rows enough for a full block, the oldest become one that is merged no further.
 */
import type { StoredBlock } from "./block-table.ts";

/** Rows of a final block: large enough that dictionaries pay, small enough that one trace is decoded from it in milliseconds. */
export const FINAL_ROWS = 16_384;
/** No merge reads more than this. */
const MAX_MERGE_ROWS = FINAL_ROWS * 2;
const BLOCKS_PER_TIER = 16;
/** Powers of the number of blocks a merge takes: what came of one merge lies above its tier and is not taken into the next. */
const TIER_ROWS = [16, 256, 4_096, FINAL_ROWS] as const;

export interface MergePlan {
	readonly signal: "traces" | "logs";
	readonly blocks: readonly StoredBlock[];
	readonly final: boolean;
}

/** @param unmerged blocks that are not final and not being merged, oldest first; `sealing` once there will be no more */
export function planMerge(
	signal: MergePlan["signal"],
	unmerged: readonly StoredBlock[],
	sealing: boolean,
): MergePlan | undefined {
	let rows = 0;
	for (const block of unmerged) rows += block.rows;
	if (rows >= FINAL_ROWS || (sealing && unmerged.length > 0)) return { signal, blocks: takeRows(unmerged), final: true };
	for (const [tier, limit] of TIER_ROWS.entries()) {
		const floor = tier === 0 ? 0 : TIER_ROWS[tier - 1]!;
		const members = unmerged.filter((block) => block.rows >= floor && block.rows < limit);
		if (members.length >= BLOCKS_PER_TIER) return { signal, blocks: takeRows(members), final: false };
	}
	return undefined;
}

function takeRows(blocks: readonly StoredBlock[]): StoredBlock[] {
	const taken: StoredBlock[] = [];
	let rows = 0;
	for (const block of blocks) {
		if (taken.length > 0 && rows + block.rows > MAX_MERGE_ROWS) break;
		taken.push(block);
		rows += block.rows;
		if (rows >= FINAL_ROWS) break;
	}
	return taken;
}
