/**
 * Trace search, newest first: windows and blocks are passed over by what is known of them (times, services, durations, classes, the
 * token filter), rows are looked at newest first, and the search ends as soon as nothing left can be among the answers.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { MAX_TIME_NS } from "../../model/time.ts";
import type { SearchedInfo, TraceQuery, TraceSearchResult, TraceSummary } from "../store.ts";
import { MAX_OFFSET } from "../block/format.ts";
import type { BlockReader, StoredClass } from "../block/reader.ts";
import { AttributeMatcher } from "./block-match.ts";
import { TraceGatherer, traceIdAt, traceWords } from "./trace-rows.ts";
import type { StoredBlock, WindowReader } from "./window-reader.ts";
import { reaches, type WindowEntry, type WindowSet } from "./window-set.ts";

const ENDLESS = 1n << 64n;
const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;

export function searchTraces(windows: WindowSet, query: TraceQuery, deadlineMs: number, now: () => number): TraceSearchResult {
	const search = new TraceSearch(windows, query, deadlineMs, now);
	return search.run();
}

class TraceSearch {
	private readonly windows: WindowSet;
	private readonly query: TraceQuery;
	private readonly deadlineMs: number;
	private readonly now: () => number;
	private readonly seen = new Set<string>();
	/** The best so far, newest first, at most `limit`. */
	private best: { readonly startNs: bigint; readonly summary: TraceSummary }[] = [];
	private windowsSearched = 0;
	private blocks = 0;
	private blocksSkipped = 0;
	private spansScanned = 0;
	private truncated = false;

	constructor(windows: WindowSet, query: TraceQuery, deadlineMs: number, now: () => number) {
		this.windows = windows;
		this.query = query;
		this.deadlineMs = deadlineMs;
		this.now = now;
	}

	run(): TraceSearchResult {
		const { query } = this;
		const all = this.windows.list();
		const ordered = inWindowRange(all, query).toSorted((a, b) => compare(reach(b), reach(a)));
		const damaged = new Set<string>();
		for (const entry of ordered) {
			if (this.isFull && this.worst > reach(entry)) break;
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
			if (this.now() > this.deadlineMs) {
				this.truncated = true;
				return;
			}
			if (!this.searchBlock(window, window.block(stored.id), all, damaged)) this.blocksSkipped++;
		}
	}

	/** By the row of the block alone. */
	private canHold(block: StoredBlock): boolean {
		const { query } = this;
		if (block.minTimeNs >= query.toNs || !reaches(block.maxTimeNs, query.fromNs)) return false;
		if (query.service !== undefined && !includesSorted(block.services, query.service)) return false;
		return overlapsDurations(block.minDurationNs, block.maxDurationNs, query);
	}

	/** False when the block could be passed over without looking at rows. */
	private searchBlock(window: WindowReader, block: BlockReader, all: readonly WindowEntry[], damaged: Set<string>): boolean {
		const head = block.head();
		const wanted = new Uint8Array(head.classes.length);
		let any = 0;
		for (const [i, entry] of head.classes.entries()) any |= wanted[i] = this.matchesClass(entry) ? 1 : 0;
		if (any === 0) return false;
		const matcher = this.query.attributes.length > 0 ? new AttributeMatcher(block, this.query.attributes) : undefined;
		if (matcher !== undefined && !matcher.possible()) return false;
		this.spansScanned += head.rows;
		const offsets = block.offsets();
		let lastPlace = -1;
		for (const row of this.candidates(block, wanted, matcher)) {
			const wide = head.wideRows.get(row);
			const startNs = wide === undefined ? head.baseNs + BigInt(offsets[row]!) : wide.time0;
			if (this.isFull && this.worst > startNs) break;
			const place = block.traceOfRow(row);
			if (place === lastPlace) continue;
			lastPlace = place;
			const id = traceIdAt(block, place);
			if (this.seen.has(id)) continue;
			this.seen.add(id);
			this.summarise(id, window, all, damaged);
			if (this.now() > this.deadlineMs) {
				this.truncated = true;
				break;
			}
		}
		return true;
	}

	private matchesClass(entry: StoredClass): boolean {
		const { service, operation, status } = this.query;
		if (service !== undefined && entry.service !== service) return false;
		if (operation !== undefined && entry.name !== operation) return false;
		if (status !== undefined && entry.status !== STATUS_CODES[status]) return false;
		return overlapsDurations(entry.minDuration, entry.maxDuration, this.query);
	}

	/** Rows that match, the newest of each trace, newest first. */
	private candidates(block: BlockReader, wanted: Uint8Array, matcher: AttributeMatcher | undefined): number[] {
		const { query } = this;
		const head = block.head();
		const classes = block.rowClasses();
		const offsets = block.offsets();
		const byDuration = query.minDurationNs !== undefined || query.maxDurationNs !== undefined;
		const durations = byDuration ? block.durations() : undefined;
		const minDuration = query.minDurationNs === undefined ? -Infinity : Number(query.minDurationNs);
		const maxDuration = query.maxDurationNs === undefined ? Infinity : Number(query.maxDurationNs);
		const from = Number(query.fromNs - head.baseNs);
		const to = Number(query.toNs - head.baseNs);
		const rows: number[] = [];
		for (let row = 0; row < classes.length; row++) {
			if (wanted[classes[row]!] === 0) continue;
			const offset = offsets[row]!;
			if (offset < from || offset >= to) continue;
			if (durations !== undefined && (durations[row]! < minDuration || durations[row]! > maxDuration)) continue;
			if (matcher === undefined || matcher.matches(row)) rows.push(row);
		}
		if (head.wideRows.size === 0) return newestOfEachTrace(block, rows, offsets).sort((a, b) => offsets[b]! - offsets[a]!);
		return this.withWideRows(block, rows, wanted, matcher);
	}

	/** Wide rows are out of the columns' reach: judged by their true times. */
	private withWideRows(
		block: BlockReader,
		rows: readonly number[],
		wanted: Uint8Array,
		matcher: AttributeMatcher | undefined,
	): number[] {
		const { query } = this;
		const { wideRows } = block.head();
		const classes = block.rowClasses();
		const found = rows.filter((row) => !wideRows.has(row));
		for (const [row, { time0, time1 }] of wideRows) {
			if (wanted[classes[row]!] === 0 || time0 < query.fromNs || time0 >= query.toNs) continue;
			if (query.minDurationNs !== undefined && time1 - time0 < query.minDurationNs) continue;
			if (query.maxDurationNs !== undefined && time1 - time0 > query.maxDurationNs) continue;
			if (matcher === undefined || matcher.matches(row)) found.push(row);
		}
		return found.sort((a, b) => compare(block.time0(b), block.time0(a)));
	}

	/** Makes the summary of a whole trace and keeps it when it is among the newest. */
	private summarise(id: string, current: WindowReader, all: readonly WindowEntry[], damaged: Set<string>): void {
		const gatherer = new TraceGatherer(traceWords(id as TraceSummary["traceId"]));
		gatherer.add(current);
		const others = all.filter((entry) => entry.name !== current.name);
		for (const name of this.windows.visit(others, (window) => gatherer.add(window))) damaged.add(name);
		const summary = gatherer.summary();
		if (summary === undefined) throw new MeshscopeError("internal", `trace ${id} was found and then was not`);
		const startNs = BigInt(summary.startTimeUnixNano);
		this.best.push({ startNs, summary });
		this.best.sort((a, b) => compare(b.startNs, a.startNs) || (a.summary.traceId < b.summary.traceId ? -1 : 1));
		if (this.best.length > this.query.limit) this.best.pop();
	}

	private get isFull(): boolean {
		return this.best.length >= this.query.limit;
	}

	/** Start of the oldest answer: a trace whose newest matching span began before it cannot come in. */
	private get worst(): bigint {
		return this.best[this.best.length - 1]!.startNs;
	}
}

function newestOfEachTrace(block: BlockReader, rows: readonly number[], offsets: Float64Array): number[] {
	const { firstRow } = block.traces();
	const kept: number[] = [];
	let trace = -1;
	for (const row of rows) {
		if (trace >= 0 && row < firstRow[trace + 1]!) {
			if (offsets[row]! > offsets[kept[kept.length - 1]!]!) kept[kept.length - 1] = row;
			continue;
		}
		trace = block.traceOfRow(row);
		kept.push(row);
	}
	return kept;
}

/** Durations at the columns' limits stand for anything beyond them. */
function overlapsDurations(min: number, max: number, query: TraceQuery): boolean {
	const { minDurationNs, maxDurationNs } = query;
	if (minDurationNs !== undefined && max < MAX_OFFSET && BigInt(max) < minDurationNs) return false;
	return maxDurationNs === undefined || min <= -MAX_OFFSET || BigInt(min) <= maxDurationNs;
}

function inWindowRange(windows: readonly WindowEntry[], query: TraceQuery): readonly WindowEntry[] {
	return windows.filter(
		(entry) => entry.state !== "sealed" || (entry.minTimeNs < query.toNs && reaches(entry.maxTimeNs, query.fromNs)),
	);
}

/** The newest time a window can hold. */
function reach(entry: WindowEntry): bigint {
	return entry.state === "sealed" ? reachOf(entry.maxTimeNs) : ENDLESS;
}

function reachOf(maxTimeNs: bigint): bigint {
	return maxTimeNs === MAX_TIME_NS ? ENDLESS : maxTimeNs;
}

function compare(a: bigint, b: bigint): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

function includesSorted(sorted: readonly string[], wanted: string): boolean {
	let low = 0;
	let high = sorted.length;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (sorted[middle]! < wanted) low = middle + 1;
		else high = middle;
	}
	return sorted[low] === wanted;
}
