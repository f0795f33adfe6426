/**
 * Trace search, newest first: windows and blocks are passed over by what is known of them, rows are looked at newest first, and the
 * search ends as soon as nothing left can be among the answers.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { TraceId } from "../../model/ids.ts";
import type { SearchedInfo, TraceQuery, TraceSearchResult, TraceSummary } from "../store.ts";
import type { BlockReader } from "../block/reader.ts";
import { reachOf, windowReach } from "./block-scan.ts";
import { type HopKnowledge, HopSearch } from "./hop-search.ts";
import { SpanMatch } from "./span-match.ts";
import { windowsInRange } from "./span-scan.ts";
import { spanKeyAt, TraceGatherer, traceIds, traceWords } from "./trace-rows.ts";
import type { StoredBlock, WindowReader } from "./window-reader.ts";
import type { WindowEntry, WindowSet } from "./window-set.ts";

interface Candidate {
	readonly row: number;
	/** First time, as in the block's column; 0 for a wide row. */
	readonly offset: number;
}

/** @param known of the hops that the query asks for; undefined where it asks for none */
export function searchTraces(
	windows: WindowSet,
	query: TraceQuery,
	deadlineMs: number,
	now: () => number,
	known: HopKnowledge | undefined,
): TraceSearchResult {
	const hops = known === undefined ? undefined : new HopSearch(query, known);
	const search = new TraceSearch(windows, query, deadlineMs, now, hops);
	return search.run();
}

class TraceSearch {
	private readonly windows: WindowSet;
	private readonly query: TraceQuery;
	private readonly deadlineMs: number;
	private readonly now: () => number;
	private readonly match: SpanMatch;
	private readonly hops: HopSearch | undefined;
	private readonly seen = new Set<string>();
	/** The best so far, newest first, at most `limit`. */
	private best: { readonly startNs: bigint; readonly summary: TraceSummary }[] = [];
	private windowsSearched = 0;
	private blocks = 0;
	private blocksSkipped = 0;
	private spansScanned = 0;
	private truncated = false;

	constructor(windows: WindowSet, query: TraceQuery, deadlineMs: number, now: () => number, hops: HopSearch | undefined) {
		this.hops = hops;
		this.windows = windows;
		this.query = query;
		this.deadlineMs = deadlineMs;
		this.now = now;
		this.match = new SpanMatch(query, false);
	}

	run(): TraceSearchResult {
		const { query } = this;
		const all = this.windows.list();
		const ordered = windowsInRange(all, query).toSorted((a, b) => compare(windowReach(b), windowReach(a)));
		const damaged = new Set<string>();
		for (const entry of ordered) {
			if (this.isFull && this.worst > windowReach(entry)) break;
			for (const name of this.windows.visit([entry], (window) => this.searchWindow(window, all, damaged)))
				damaged.add(name);
			this.windowsSearched++;
			if (this.truncated) break;
		}
		const searched: SearchedInfo = {
			windows: this.windowsSearched,
			blocks: this.blocks,
			blocksSkipped: this.blocksSkipped,
			spansScanned: this.spansScanned,
			truncated: this.truncated,
			damagedWindows: [...damaged],
			...(this.hops === undefined ? {} : { hops: this.hops.searched() }),
		};
		return { traces: this.best.map(({ summary }) => summary), searched };
	}

	private searchWindow(window: WindowReader, all: readonly WindowEntry[], damaged: Set<string>): void {
		const blocks = window.blocks("traces").toSorted((a, b) => compare(b.maxTimeNs, a.maxTimeNs));
		for (const stored of blocks) {
			this.blocks++;
			if ((this.isFull && this.worst > reachOf(stored.maxTimeNs)) || !this.canHold(stored)) {
				this.blocksSkipped++;
				continue;
			}
			if (this.isLate()) {
				this.truncated = true;
				return;
			}
			if (!this.searchBlock(window, window.block(stored.id), all, damaged)) this.blocksSkipped++;
		}
	}

	/** False when the block could be passed over without looking at rows. */
	private searchBlock(window: WindowReader, block: BlockReader, all: readonly WindowEntry[], damaged: Set<string>): boolean {
		const candidates = this.candidates(block);
		if (candidates === undefined) return false;
		const head = block.head();
		this.spansScanned += head.rows;
		let lastPlace = -1;
		const idOf = traceIds(block);
		for (const [i, { row, offset }] of candidates.entries()) {
			const startNs = head.wideRows.get(row)?.time0 ?? head.baseNs + BigInt(offset);
			if (this.isFull && this.worst > startNs) break;
			const place = block.traceOfRow(row);
			if (place === lastPlace && this.hops === undefined) continue;
			lastPlace = place;
			const id = idOf(place);
			if (this.seen.has(id)) continue;
			if (this.hops !== undefined) {
				if (!this.canBegin(block, row, startNs)) continue;
				if (this.hops.spansOf(id) === undefined) {
					const ids = this.idsFrom(block, candidates, i, idOf);
					if (
						!this.hops.look(
							ids,
							() => this.isLate(),
							(visit) => this.visitAll(window, all, damaged, visit),
						)
					) {
						this.truncated = true;
						break;
					}
				}
				const spans = this.hops.spansOf(id)!;
				if (spans.size === 0 || !spans.has(spanKeyAt(block, row))) continue;
			}
			this.seen.add(id);
			this.summarise(id, window, all, damaged);
			if (this.truncated || this.isLate()) {
				this.truncated = true;
				break;
			}
		}
		return true;
	}

	private canBegin(block: BlockReader, row: number, startNs: bigint): boolean {
		const { scopes, classes } = block.head();
		return this.hops!.canBegin(startNs, scopes[classes.scope[block.classOfRow(row)]!]!.service);
	}

	/** Traces of candidates from `first` on whose hops are not known, as many as are looked at together. */
	private idsFrom(
		block: BlockReader,
		candidates: readonly Candidate[],
		first: number,
		idOf: (place: number) => TraceId,
	): readonly string[] {
		const most = this.hops!.together;
		const { baseNs, wideRows } = block.head();
		const ids = new Set<string>();
		for (let i = first; i < candidates.length && ids.size < most; i++) {
			const { row, offset } = candidates[i]!;
			const startNs = wideRows.get(row)?.time0 ?? baseNs + BigInt(offset);
			if (this.isFull && this.worst > startNs) break;
			if (!this.canBegin(block, row, startNs)) continue;
			const id = idOf(block.traceOfRow(row));
			if (!this.seen.has(id) && this.hops!.spansOf(id) === undefined) ids.add(id);
		}
		return [...ids];
	}

	private canHold(block: StoredBlock): boolean {
		if (this.hops?.canHold(block.minTimeNs, block.maxTimeNs, block.services) === false) return false;
		return this.match.canHold(block);
	}

	/** Rows that match, the newest of each trace, newest first; undefined when the block could be passed over without looking at rows. */
	private candidates(block: BlockReader): readonly Candidate[] | undefined {
		const found: Candidate[] = [];
		if (!this.match.eachRow(block, (row, offset) => found.push({ row, offset }))) return undefined;
		if (block.head().wideRows.size > 0) return found.sort((a, b) => compare(block.time0(b.row), block.time0(a.row)));
		// A hop may be of any span of a trace, not of its newest one only.
		return (this.hops === undefined ? newestOfEachTrace(block, found) : found).sort((a, b) => b.offset - a.offset);
	}

	/** Makes the summary of a whole trace and keeps it when it is among the newest. */
	private summarise(id: string, current: WindowReader, all: readonly WindowEntry[], damaged: Set<string>): void {
		const gatherer = new TraceGatherer(traceWords(id as TraceSummary["traceId"]), () => this.isLate());
		this.visitAll(current, all, damaged, (window) => gatherer.add(window));
		if (gatherer.gaveUp) {
			this.truncated = true;
			return;
		}
		const summary = gatherer.summary();
		if (summary === undefined) throw new MeshscopeError("internal", `trace ${id} was found and then was not`);
		const startNs = BigInt(summary.startTimeUnixNano);
		this.best.push({ startNs, summary });
		this.best.sort((a, b) => compare(b.startNs, a.startNs) || (a.summary.traceId < b.summary.traceId ? -1 : 1));
		if (this.best.length > this.query.limit) this.best.pop();
	}

	private visitAll(
		current: WindowReader,
		all: readonly WindowEntry[],
		damaged: Set<string>,
		visit: (window: WindowReader) => void,
	): void {
		visit(current);
		const others = all.filter((entry) => entry.name !== current.name);
		for (const name of this.windows.visit(others, visit)) damaged.add(name);
	}

	private isLate(): boolean {
		return this.now() > this.deadlineMs;
	}

	private get isFull(): boolean {
		return this.best.length >= this.query.limit;
	}

	/** Start of the oldest answer: a trace whose newest matching span began before it cannot come in. */
	private get worst(): bigint {
		return this.best[this.best.length - 1]!.startNs;
	}
}

function newestOfEachTrace(block: BlockReader, candidates: readonly Candidate[]): Candidate[] {
	const { firstRow } = block.traces();
	const kept: Candidate[] = [];
	let trace = -1;
	for (const candidate of candidates) {
		if (trace >= 0 && candidate.row < firstRow[trace + 1]!) {
			if (candidate.offset > kept[kept.length - 1]!.offset) kept[kept.length - 1] = candidate;
			continue;
		}
		trace = block.traceOfRow(candidate.row);
		kept.push(candidate);
	}
	return kept;
}

function compare(a: bigint, b: bigint): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
