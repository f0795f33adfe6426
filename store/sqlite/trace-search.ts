/**
 * Trace search, newest first: windows and blocks are passed over by what is known of them (times, services, durations, classes, the
 * token filter), rows are looked at newest first, and the search ends as soon as nothing left can be among the answers.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { MAX_TIME_NS } from "../../model/time.ts";
import type { SearchedInfo, TraceQuery, TraceSearchResult, TraceSummary } from "../store.ts";
import { MAX_OFFSET } from "../block/format.ts";
import type { StoredHead } from "../block/head.ts";
import type { BlockReader } from "../block/reader.ts";
import { AttributeMatcher } from "./block-match.ts";
import { type HopKnowledge, HopSearch } from "./hop-search.ts";
import { spanKeyAt, TraceGatherer, traceIdAt, traceWords } from "./trace-rows.ts";
import type { StoredBlock, WindowReader } from "./window-reader.ts";
import { reaches, type WindowEntry, type WindowSet } from "./window-set.ts";

const ENDLESS = 1n << 64n;
/** Finding a single value costs as much as decoding some ten of them. */
const FEW_ROWS = 16;
const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;

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
	private readonly minDuration: number;
	private readonly maxDuration: number;
	/** Of rows. */
	private readonly asksDurations: boolean;
	/** Of hops: one row of a hop's trace lasts at least as long as the hop, and no row that measures it lasts longer. */
	private readonly asksHopDurations: boolean;
	/** Of anything that classes can rule out. */
	private readonly asksClasses: boolean;
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
		const { minDurationNs, maxDurationNs } = query;
		this.minDuration = minDurationNs === undefined ? -Infinity : Number(minDurationNs);
		this.maxDuration = maxDurationNs === undefined ? Infinity : Number(maxDurationNs);
		const asksDurations = minDurationNs !== undefined || maxDurationNs !== undefined;
		this.asksDurations = asksDurations && query.edge === undefined;
		// What else is asked may hold on a span of the hop that lasts longer, and lies in another block.
		const asksElse =
			query.service !== undefined ||
			query.operation !== undefined ||
			query.status !== undefined ||
			query.attributes.length > 0;
		this.asksHopDurations = asksDurations && query.edge !== undefined && !asksElse;
		this.asksClasses =
			this.asksDurations ||
			hops !== undefined ||
			query.service !== undefined ||
			query.operation !== undefined ||
			query.status !== undefined;
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

	/** By the row of the block alone. */
	private canHold(block: StoredBlock): boolean {
		const { query } = this;
		if (block.minTimeNs >= query.toNs || !reaches(block.maxTimeNs, query.fromNs)) return false;
		if (query.service !== undefined && !includesSorted(block.services, query.service)) return false;
		if (this.hops?.canHold(block.minTimeNs, block.maxTimeNs, block.services) === false) return false;
		return !this.looksAtDurations || this.overlapsDurations(block.minDurationNs, block.maxDurationNs);
	}

	/** False when the block could be passed over without looking at rows. */
	private searchBlock(window: WindowReader, block: BlockReader, all: readonly WindowEntry[], damaged: Set<string>): boolean {
		const matcher = this.query.attributes.length > 0 ? new AttributeMatcher(block, this.query.attributes) : undefined;
		// Before the head, which takes longer to read, unless the head itself can say no.
		if (!this.asksClasses && matcher?.passesFilter() === false) return false;
		const head = block.head();
		const wanted = this.matchingClasses(head);
		if (wanted === undefined || matcher?.possible() === false) return false;
		this.spansScanned += head.rows;
		let lastPlace = -1;
		for (const { row, offset } of this.candidates(block, wanted, matcher)) {
			const startNs = head.wideRows.get(row)?.time0 ?? head.baseNs + BigInt(offset);
			if (this.isFull && this.worst > startNs) break;
			const place = block.traceOfRow(row);
			if (place === lastPlace && this.hops === undefined) continue;
			lastPlace = place;
			const id = traceIdAt(block, place);
			if (this.seen.has(id)) continue;
			if (this.hops !== undefined) {
				if (!this.hops.canBegin(startNs, head.classes.at(block.classOfRow(row)).service)) continue;
				const isInHop = this.hops.matches(
					id,
					spanKeyAt(block, row),
					() => this.isLate(),
					(visit) => this.visitAll(window, all, damaged, visit),
				);
				if (this.isLate()) {
					this.truncated = true;
					break;
				}
				if (!isInHop) continue;
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

	/** 1 for each class whose rows can match; undefined when there is none. */
	private matchingClasses({ classes, scopes }: StoredHead): Uint8Array | undefined {
		const { service, operation, status } = this.query;
		const name = operation === undefined ? -1 : classes.names.indexOf(operation);
		if (operation !== undefined && name < 0) return undefined;
		const ofService = Uint8Array.from(scopes, (scope) => (service === undefined || scope.service === service ? 1 : 0));
		if (!ofService.includes(1)) return undefined;
		const code = status === undefined ? -1 : STATUS_CODES[status];
		const wanted = new Uint8Array(classes.length);
		let any = false;
		for (let i = 0; i < wanted.length; i++) {
			if (ofService[classes.scope[i]!] === 0 || (name >= 0 && classes.name[i] !== name)) continue;
			if (code >= 0 && classes.status[i] !== code) continue;
			if (this.asksDurations && !this.overlapsDurations(classes.minDuration[i]!, classes.maxDuration[i]!)) continue;
			wanted[i] = 1;
			any = true;
		}
		return any ? wanted : undefined;
	}

	/** Rows that match, the newest of each trace, newest first. */
	private candidates(block: BlockReader, wanted: Uint8Array, matcher: AttributeMatcher | undefined): Candidate[] {
		const { query, minDuration, maxDuration } = this;
		const { baseNs, wideRows } = block.head();
		const from = Number(query.fromNs - baseNs);
		const to = Number(query.toNs - baseNs);
		const rows = rowsOfClasses(block.rowClasses(), wanted);
		// Columns are decoded whole only where that takes less than finding single values.
		const few = rows.length * FEW_ROWS < block.head().rows;
		const durations = !this.asksDurations || few ? undefined : block.durations();
		const offsets = few ? undefined : block.offsets();
		const found: Candidate[] = [];
		for (const row of rows) {
			if (this.asksDurations) {
				const duration = durations === undefined ? block.durationOfRow(row) : durations[row]!;
				if (duration < minDuration || duration > maxDuration) continue;
			}
			const offset = offsets === undefined ? block.offsetOfRow(row) : offsets[row]!;
			if (offset < from || offset >= to) continue;
			if (matcher === undefined || matcher.matches(row)) found.push({ row, offset });
		}
		// A hop may be of any span of a trace, not of its newest one only.
		const kept = this.hops === undefined ? newestOfEachTrace(block, found) : this.withinHops(block, found);
		if (wideRows.size === 0) return kept.sort((a, b) => b.offset - a.offset);
		return this.withWideRows(block, found, wanted, matcher);
	}

	/** Rows that a hop of the durations can have. */
	private withinHops(block: BlockReader, candidates: readonly Candidate[]): Candidate[] {
		if (!this.asksHopDurations || block.head().wideRows.size > 0) return [...candidates];
		const { minDuration, maxDuration } = this;
		const durations = block.durations();
		const { firstRow } = block.traces();
		let end = -1;
		let lastsLong = false;
		return candidates.filter(({ row }) => {
			if (row >= end) {
				const trace = block.traceOfRow(row);
				end = firstRow[trace + 1]!;
				lastsLong = false;
				for (let i = firstRow[trace]!; i < end && !lastsLong; i++)
					lastsLong = durations[i]! >= minDuration || durations[i]! >= MAX_OFFSET;
			}
			return lastsLong && (durations[row]! <= maxDuration || durations[row]! <= -MAX_OFFSET);
		});
	}

	/** Wide rows are out of the columns' reach: judged by their true times. */
	private withWideRows(
		block: BlockReader,
		columnRows: readonly Candidate[],
		wanted: Uint8Array,
		matcher: AttributeMatcher | undefined,
	): Candidate[] {
		const { query } = this;
		const { wideRows } = block.head();
		const classes = block.rowClasses();
		const found = columnRows.filter(({ row }) => !wideRows.has(row));
		for (const [row, { time0, time1 }] of wideRows) {
			if (wanted[classes[row]!] === 0 || time0 < query.fromNs || time0 >= query.toNs) continue;
			if (this.asksDurations) {
				if (query.minDurationNs !== undefined && time1 - time0 < query.minDurationNs) continue;
				if (query.maxDurationNs !== undefined && time1 - time0 > query.maxDurationNs) continue;
			}
			if (matcher === undefined || matcher.matches(row)) found.push({ row, offset: 0 });
		}
		return found.sort((a, b) => compare(block.time0(b.row), block.time0(a.row)));
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

	/** Durations at the columns' limits stand for anything beyond them. */
	private overlapsDurations(min: number, max: number): boolean {
		return (max >= this.minDuration || max >= MAX_OFFSET) && (min <= this.maxDuration || min <= -MAX_OFFSET);
	}

	private get looksAtDurations(): boolean {
		return this.asksDurations || this.asksHopDurations;
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

function rowsOfClasses(rowClasses: Uint32Array, wanted: Uint8Array): number[] {
	const rows: number[] = [];
	for (let row = 0; row < rowClasses.length; row++) if (wanted[rowClasses[row]!] === 1) rows.push(row);
	return rows;
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
