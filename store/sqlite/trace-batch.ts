/**
 * The hops of many traces at a time, since a block that is open for one of them is open for all. Facts, shapes and what was read of
 * blocks are kept from one batch to the next, within bounds.
 */
import type { TraceId } from "../../model/ids.ts";
import { FactsBook, HopsOfTraces, type HopSpans, SpanColumns } from "../../model/topology/hops/span-columns.ts";
import type { BlockReader } from "../block/reader.ts";
import { BlockSpans } from "./block-spans.ts";
import { type TraceWords, traceWords } from "./trace-rows.ts";
import { forEachBlockOfTraces, forEachTraceIn } from "./traces-of-window.ts";
import type { WindowReader } from "./window-reader.ts";

/** The traces at hand are too large to be held together. */
class TooLargeError extends Error {}

/** Calls back for every window. */
export type VisitAll = (visit: (window: WindowReader) => void) => void;

/** Some milliseconds of work. */
const ROWS_BETWEEN_CHECKS = 1_024;
/** Some 30 MB. */
const MAX_ROWS_TOGETHER = 400_000;
/** Some 20 MB. */
const MAX_BOOK = 20_000;
const MAX_ENTRY_BYTES = 16 << 20;

interface Wanted extends TraceWords {
	readonly columns: SpanColumns;
}

/** What is done with a batch beside its hops. */
export interface BatchVisitor {
	/** A batch begins; also again, with fewer traces, where they were too large. */
	readonly begin?: () => void;
	/** Each row, twice of a span that was stored twice. */
	readonly row?: (id: TraceId, block: BlockReader, row: number) => void;
	/** Each trace, once its rows were visited. @param spans empty where it is nowhere; valid during the call only */
	readonly trace: (id: TraceId, spans: HopSpans) => void;
}

export class TraceBatches {
	private readonly visitor: BatchVisitor;
	private readonly check: () => void;
	private readonly book = new FactsBook();
	private readonly hops = new HopsOfTraces();
	/** Readers of blocks are the cache's. */
	private blocks = new WeakMap<BlockReader, BlockSpans>();
	private entryBytes = 0;
	/** Used again from one batch to the next. */
	private readonly columns: SpanColumns[] = [];

	/** @param check throws to end the work; no trace of the batch is visited then */
	constructor(visitor: BatchVisitor, check: () => void) {
		this.visitor = visitor;
		this.check = check;
	}

	/** @param ids distinct */
	read(ids: readonly TraceId[], visitAll: VisitAll): void {
		try {
			this.readTogether(ids, visitAll);
		} catch (error) {
			if (!(error instanceof TooLargeError)) throw error;
			const middle = ids.length >>> 1;
			this.read(ids.slice(0, middle), visitAll);
			this.read(ids.slice(middle), visitAll);
		}
	}

	private readTogether(ids: readonly TraceId[], visitAll: VisitAll): void {
		if (this.book.size > MAX_BOOK) this.forget();
		this.visitor.begin?.();
		const inOrder: Wanted[] = ids.map((id, i) => {
			const columns = (this.columns[i] ??= new SpanColumns());
			columns.clear();
			return { ...traceWords(id), columns };
		});
		const traces = inOrder.toSorted((a, b) => a.hash - b.hash);
		let rows = 0;
		let unchecked = 0;
		const addRows = (spans: BlockSpans, block: BlockReader, { id, columns }: Wanted, first: number, end: number): void => {
			rows += end - first;
			if (rows > MAX_ROWS_TOGETHER && traces.length > 1) throw new TooLargeError();
			for (let row = first; row < end; row++) {
				spans.add(row, columns);
				this.visitor.row?.(id, block, row);
				if (++unchecked < ROWS_BETWEEN_CHECKS) continue;
				unchecked = 0;
				this.check();
			}
		};
		visitAll((window) =>
			forEachBlockOfTraces(window, traces, (number, own) => {
				const block = window.block(number);
				const found: [trace: Wanted, first: number, end: number][] = [];
				let rowsFound = 0;
				forEachTraceIn(block, own, (trace, first, end) => {
					found.push([trace, first, end]);
					rowsFound += end - first;
				});
				if (found.length === 0) return;
				const spans = this.spansOfBlock(block);
				spans.prepare(rowsFound);
				for (const [trace, first, end] of found) addRows(spans, block, trace, first, end);
				window.trimCache();
			}),
		);
		for (const { id, columns } of inOrder) this.visitor.trace(id, this.hops.of(columns));
	}

	private spansOfBlock(block: BlockReader): BlockSpans {
		let spans = this.blocks.get(block);
		if (spans !== undefined) return spans;
		spans = new BlockSpans(block, this.book);
		this.entryBytes += spans.heldBytes;
		if (this.entryBytes > MAX_ENTRY_BYTES) {
			this.blocks = new WeakMap();
			this.entryBytes = spans.heldBytes;
		}
		this.blocks.set(block, spans);
		return spans;
	}

	private forget(): void {
		this.blocks = new WeakMap();
		this.entryBytes = 0;
		this.book.clear();
		this.hops.clear();
	}
}
