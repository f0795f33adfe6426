/**
 * Which spans of a block a query asks for, hops aside: blocks are passed over by their row in the window (times, services, durations),
 * then by their classes and their token filter; rows by their columns and, an attribute asked of each distinct entry once, by their
 * dictionary.
 */
import type { TraceQuery } from "../store.ts";
import { MAX_OFFSET } from "../block/format.ts";
import type { StoredHead } from "../block/head.ts";
import type { BlockReader } from "../block/reader.ts";
import { AttributeMatcher } from "./block-match.ts";
import { asksHops } from "../topology-queries.ts";
import type { StoredBlock } from "./window-reader.ts";
import { reaches } from "./window-set.ts";

/** Finding a single value costs as much as decoding some ten of them. */
const FEW_ROWS = 16;
const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;

/** `offset` and `durationNs` as in the block's columns: those of wide rows (`head().wideRows`) stand for nothing. */
export type VisitRow = (row: number, offset: number, durationNs: number) => void;

export class SpanMatch {
	private readonly query: TraceQuery;
	private readonly minDuration: number;
	private readonly maxDuration: number;
	/** Of rows. */
	private readonly asksDurations: boolean;
	/** Of hops: one row of a hop's trace lasts at least as long as the hop, and no row that measures it lasts longer. */
	private readonly asksHopDurations: boolean;
	/** Of anything that classes can rule out. */
	private readonly asksClasses: boolean;
	private readonly tellsDurations: boolean;

	/** @param tellsDurations whether rows are visited with their durations; NaN otherwise */
	constructor(query: TraceQuery, tellsDurations: boolean) {
		this.query = query;
		this.tellsDurations = tellsDurations;
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
			query.isRoot !== undefined ||
			query.attributes.length > 0;
		this.asksHopDurations = asksDurations && query.edge !== undefined && !asksElse;
		this.asksClasses =
			this.asksDurations ||
			asksHops(query) ||
			query.service !== undefined ||
			query.operation !== undefined ||
			query.status !== undefined;
	}

	/** By the row of the block alone. */
	canHold(block: StoredBlock): boolean {
		const { query } = this;
		if (block.minTimeNs >= query.toNs || !reaches(block.maxTimeNs, query.fromNs)) return false;
		if (query.service !== undefined && !includesSorted(block.services, query.service)) return false;
		if (!this.asksDurations && !this.asksHopDurations) return true;
		return this.overlapsDurations(block.minDurationNs, block.maxDurationNs);
	}

	/**
	 * Visits the rows that match, in ascending order and then wide ones.
	 * @returns false when the block could be passed over without looking at rows
	 */
	eachRow(block: BlockReader, visit: VisitRow): boolean {
		const { query, minDuration, maxDuration, asksDurations } = this;
		const matcher = query.attributes.length > 0 ? new AttributeMatcher(block, query.attributes) : undefined;
		// Before the head, which takes longer to read, unless the head itself can say no.
		if (!this.asksClasses && matcher?.passesFilter() === false) return false;
		const head = block.head();
		const wanted = this.matchingClasses(head);
		if (wanted === undefined || matcher?.possible() === false) return false;
		const { baseNs, wideRows } = head;
		const from = Number(query.fromNs - baseNs);
		const to = Number(query.toNs - baseNs);
		const classes = block.rowClasses();
		const rows = rowsOfClasses(classes, wanted);
		// Columns are decoded whole only where that takes less than finding single values.
		const few = rows.length * FEW_ROWS < head.rows;
		const readsDurations = asksDurations || this.tellsDurations;
		const durations = readsDurations && !few ? block.durations() : undefined;
		const offsets = few ? undefined : block.offsets();
		const canBeOfHop = this.hopRows(block);
		for (const row of rows) {
			let duration = Number.NaN;
			if (readsDurations) {
				duration = durations === undefined ? block.durationOfRow(row) : durations[row]!;
				if (asksDurations && (duration < minDuration || duration > maxDuration)) continue;
			}
			const offset = offsets === undefined ? block.offsetOfRow(row) : offsets[row]!;
			if (offset < from || offset >= to || !canBeOfHop(row)) continue;
			if (query.isRoot !== undefined && block.hasParent(row) === query.isRoot) continue;
			if (matcher !== undefined && !matcher.matches(row)) continue;
			if (wideRows.size === 0 || !wideRows.has(row)) visit(row, offset, duration);
		}
		// Wide rows are out of the columns' reach: judged by their true times.
		for (const [row, { time0, time1 }] of wideRows) {
			if (wanted[classes[row]!] === 0 || time0 < query.fromNs || time0 >= query.toNs) continue;
			const durationNs = time1 - time0;
			if (asksDurations) {
				if (query.minDurationNs !== undefined && durationNs < query.minDurationNs) continue;
				if (query.maxDurationNs !== undefined && durationNs > query.maxDurationNs) continue;
			}
			if (query.isRoot !== undefined && block.hasParent(row) === query.isRoot) continue;
			if (matcher === undefined || matcher.matches(row)) visit(row, 0, Number(durationNs));
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

	/** Tells of rows in ascending order whether a hop of the durations can have them. */
	private hopRows(block: BlockReader): (row: number) => boolean {
		if (!this.asksHopDurations || block.head().wideRows.size > 0) return () => true;
		const { minDuration, maxDuration } = this;
		const durations = block.durations();
		const { firstRow } = block.traces();
		let end = -1;
		let lastsLong = false;
		return (row) => {
			if (row >= end) {
				const trace = block.traceOfRow(row);
				end = firstRow[trace + 1]!;
				lastsLong = false;
				for (let i = firstRow[trace]!; i < end && !lastsLong; i++)
					lastsLong = durations[i]! >= minDuration || durations[i]! >= MAX_OFFSET;
			}
			return lastsLong && (durations[row]! <= maxDuration || durations[row]! <= -MAX_OFFSET);
		};
	}

	/** Durations at the columns' limits stand for anything beyond them. */
	private overlapsDurations(min: number, max: number): boolean {
		return (max >= this.minDuration || max >= MAX_OFFSET) && (min <= this.maxDuration || min <= -MAX_OFFSET);
	}
}

function rowsOfClasses(rowClasses: Uint32Array, wanted: Uint8Array): number[] {
	const rows: number[] = [];
	for (let row = 0; row < rowClasses.length; row++) if (wanted[rowClasses[row]!] === 1) rows.push(row);
	return rows;
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
