/**
 * Every span of a range that a query asks for, newest windows and blocks first, from columns alone: for answers that count spans
 * instead of telling traces. A span that was stored twice is visited once.
 */
import type { SearchedInfo, SpanQuery } from "../store.ts";
import type { FoundHop } from "../topology-queries.ts";
import type { BlockReader } from "../block/reader.ts";
import { type BlockScan, scanBlocks } from "./block-scan.ts";
import { type HopKnowledge, HopSearch } from "./hop-search.ts";
import { SeenSpans } from "./seen-spans.ts";
import { SpanMatch } from "./span-match.ts";
import { spanKeyAt, traceIds } from "./trace-rows.ts";
import type { WindowReader } from "./window-reader.ts";
import { reaches, type WindowEntry, type WindowSet } from "./window-set.ts";

/** A row that matches. `sinceNs` is its start after `originNs`, as a number; `hop` that of a search by hops. */
export interface VisitedSpan {
	readonly block: BlockReader;
	readonly row: number;
	readonly sinceNs: number;
	readonly durationNs: number;
	readonly hop: FoundHop | undefined;
}

type Matching = Pick<VisitedSpan, "row" | "sinceNs" | "durationNs">;

export interface ScanOptions {
	readonly windows: WindowSet;
	readonly query: SpanQuery;
	readonly originNs: bigint;
	readonly known: HopKnowledge | undefined;
	readonly isLate: () => boolean;
}

export function scanMatchingSpans(options: ScanOptions, visit: (span: VisitedSpan) => void): SearchedInfo {
	const { windows, query, originNs, known, isLate } = options;
	const match = new SpanMatch({ ...query, limit: 1 }, true);
	const hops = known === undefined ? undefined : new HopSearch(query, known);
	const all = windowsInRange(windows.list(), query);
	const seen = new SeenSpans();
	const damaged = new Set<string>();
	let ranOut = false;

	/** Visits rows of a block that belong to hops that are asked for. */
	const visitInHops = (window: WindowReader, block: BlockReader, rows: readonly Matching[], search: HopSearch): void => {
		const visitAll = (look: (window: WindowReader) => void): void => visitWindows(windows, window, all, damaged, look);
		const idOf = traceIds(block);
		for (let first = 0, next = 0; first < rows.length; first = next) {
			const unknown = new Set<string>();
			for (; next < rows.length && unknown.size < search.together; next++) {
				const id = idOf(block.traceOfRow(rows[next]!.row));
				if (search.spansOf(id) === undefined) unknown.add(id);
			}
			if (isLate() || (unknown.size > 0 && !search.look([...unknown], isLate, visitAll))) {
				ranOut = true;
				return;
			}
			for (const { row, sinceNs, durationNs } of rows.slice(first, next)) {
				const spans = search.spansOf(idOf(block.traceOfRow(row)))!;
				const hop = spans.size === 0 ? undefined : spans.get(spanKeyAt(block, row));
				if (hop !== undefined) visit({ block, row, sinceNs, durationNs, hop });
			}
		}
	};

	const scanBlock = (block: BlockReader, window: WindowReader): boolean => {
		const { baseNs, wideRows, classes, scopes } = block.head();
		const blockSinceNs = Number(baseNs - originNs);
		const matching: Matching[] = [];
		const wasLookedAt = match.eachRow(block, (row, offset, durationNs) => {
			if (!seen.isFirst(row, offset, durationNs)) return;
			const wide = wideRows.get(row);
			const sinceNs = wide === undefined ? blockSinceNs + offset : Number(wide.time0 - originNs);
			if (hops === undefined) visit({ block, row, sinceNs, durationNs, hop: undefined });
			else if (
				hops.canBegin(wide?.time0 ?? baseNs + BigInt(offset), scopes[classes.scope[block.classOfRow(row)]!]!.service)
			)
				matching.push({ row, sinceNs, durationNs });
		});
		if (hops !== undefined) visitInHops(window, block, matching, hops);
		return wasLookedAt;
	};

	const scan: BlockScan = {
		windows,
		entries: all,
		canHold: (stored) =>
			match.canHold(stored) && hops?.canHold(stored.minTimeNs, stored.maxTimeNs, stored.services) !== false,
		isLate,
	};
	const searched = scanBlocks(scan, (block, window, laterReachNs) => {
		seen.begin(block, laterReachNs);
		if (!scanBlock(block, window)) return "passed";
		return ranOut ? "late" : "scanned";
	});
	return {
		...searched,
		damagedWindows: [...new Set([...damaged, ...searched.damagedWindows])],
		...(hops === undefined ? {} : { hops: hops.searched() }),
	};
}

/** Those that can hold records of the range. */
export function windowsInRange(
	windows: readonly WindowEntry[],
	{ fromNs, toNs }: { readonly fromNs: bigint; readonly toNs: bigint },
): readonly WindowEntry[] {
	return windows.filter((entry) => entry.state !== "sealed" || (entry.minTimeNs < toNs && reaches(entry.maxTimeNs, fromNs)));
}

/** The window at hand, and then the others. */
function visitWindows(
	windows: WindowSet,
	current: WindowReader,
	all: readonly WindowEntry[],
	damaged: Set<string>,
	visit: (window: WindowReader) => void,
): void {
	visit(current);
	const others = all.filter((entry) => entry.name !== current.name);
	for (const name of windows.visit(others, visit)) damaged.add(name);
}
