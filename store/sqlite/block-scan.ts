/** The blocks of spans that can answer a query over a range, newest first, until the time is up. */
import { MAX_TIME_NS } from "../../model/time.ts";
import type { SearchedInfo } from "../store.ts";
import type { BlockReader } from "../block/reader.ts";
import type { StoredBlock, WindowReader } from "./window-reader.ts";
import type { WindowEntry, WindowSet } from "./window-set.ts";

const ENDLESS = 1n << 64n;

export interface BlockScan {
	readonly windows: WindowSet;
	/** Those to scan. */
	readonly entries: readonly WindowEntry[];
	readonly canHold: (block: StoredBlock) => boolean;
	readonly isLate: () => boolean;
}

/** What became of a block; `late` ends the scan. */
export type BlockVisit = "scanned" | "passed" | "late";

/**
 * `laterReachNs`: the latest start that a block to come can hold; undefined for none. In a snapshot of the window.
 */
export type VisitBlock = (block: BlockReader, window: WindowReader, laterReachNs: bigint | undefined) => BlockVisit;

export function scanBlocks({ windows, entries, canHold, isLate }: BlockScan, visit: VisitBlock): SearchedInfo {
	const searched = { windows: 0, blocks: 0, blocksSkipped: 0, spansScanned: 0, truncated: false };
	const damaged = new Set<string>();
	const ordered = entries.toSorted((a, b) => compare(windowReach(b), windowReach(a)));

	const scanWindow = (window: WindowReader, reachOfOthers: bigint | undefined): void => {
		const all = window.blocks("traces");
		const able = all.filter(canHold).sort((a, b) => compare(b.maxTimeNs, a.maxTimeNs));
		searched.blocks += all.length;
		searched.blocksSkipped += all.length - able.length;
		for (const [i, stored] of able.entries()) {
			if (isLate()) searched.truncated = true;
			if (searched.truncated) return;
			const block = window.block(stored.id);
			const next = able[i + 1];
			const nextReach = next === undefined ? undefined : reachOf(next.maxTimeNs);
			const became = visit(block, window, later(nextReach, reachOfOthers));
			if (became === "passed") searched.blocksSkipped++;
			else searched.spansScanned += block.head().rows;
			if (became === "late") searched.truncated = true;
			// Columns of a range of many blocks would fill the memory before the query ends.
			windows.cache.trim();
		}
	};

	for (const [i, entry] of ordered.entries()) {
		const next = ordered[i + 1];
		const reachOfOthers = next === undefined ? undefined : windowReach(next);
		for (const name of windows.visit([entry], (window) => scanWindow(window, reachOfOthers))) damaged.add(name);
		searched.windows++;
		if (searched.truncated) break;
	}
	return { ...searched, damagedWindows: [...damaged] };
}

/** The latest time a window can hold. */
export function windowReach(entry: WindowEntry): bigint {
	return entry.state === "sealed" ? reachOf(entry.maxTimeNs) : ENDLESS;
}

/** Times beyond SQLite's integers are stored as the largest one. */
export function reachOf(maxTimeNs: bigint): bigint {
	return maxTimeNs === MAX_TIME_NS ? ENDLESS : maxTimeNs;
}

function later(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
	if (a === undefined || b === undefined) return a ?? b;
	return a > b ? a : b;
}

function compare(a: bigint, b: bigint): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
