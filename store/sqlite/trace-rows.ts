/**
 * Every row of a trace, from whatever windows and blocks it lies in, each span once; and what is made of them: the summary, and the
 * trace as OTLP.
 */
import type { TraceId } from "../../model/ids.ts";
import { outlineOf, SpanSet, type SummarySpan } from "../../model/otlp/trace-summary.ts";
import { type OnSpan, TracesJsonWriter } from "../../model/otlp/traces-json.ts";
import { traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import type { TraceSummary, WholeTrace } from "../store.ts";
import { RecordGroups } from "./record-groups.ts";
import { spanKey } from "../topology-queries.ts";
import type { WindowReader } from "./window-reader.ts";

/** Some tenths of a millisecond of work. */
const ROWS_BETWEEN_CHECKS = 256;

export interface TraceWords {
	readonly id: TraceId;
	readonly w0: number;
	readonly w1: number;
	readonly w2: number;
	readonly w3: number;
	readonly hash: number;
}

export function traceWords(id: TraceId): TraceWords {
	const word = (at: number): number => Number.parseInt(id.slice(at, at + 8), 16);
	const [w0, w1, w2, w3] = [word(0), word(8), word(16), word(24)];
	return { id, w0, w1, w2, w3, hash: traceHash(w0, w1, w2, w3) };
}

/** Calls back for every block of the window that holds the trace, with the range of its rows. In a snapshot. */
export function forEachBlockOfTrace(
	window: WindowReader,
	trace: TraceWords,
	visit: (block: BlockReader, firstRow: number, endRow: number) => void,
): void {
	const visitBlock = (id: number): void => {
		const block = window.block(id);
		const rows = block.findTrace(trace.w0, trace.w1, trace.w2, trace.w3);
		if (rows !== undefined) visit(block, rows[0], rows[1]);
	};
	for (const id of window.blocksOfTrace("traces", trace.hash)) visitBlock(id);
	for (const id of window.unmergedBlocks("traces")) visitBlock(id);
}

/** Gathers a trace's spans for its summary, from columns alone: no record is rebuilt. */
export class TraceGatherer {
	/** The time was up before every span was there: there is no summary then. */
	gaveUp = false;
	private readonly words: TraceWords;
	private readonly isLate: () => boolean;
	private readonly gathered = new SpanSet();

	constructor(words: TraceWords, isLate: () => boolean) {
		this.words = words;
		this.isLate = isLate;
	}

	add(window: WindowReader): void {
		forEachBlockOfTrace(window, this.words, (block, first, end) => {
			for (let row = first; row < end && !this.gaveUp; row++) {
				this.gathered.add(summarySpan(block, row));
				if ((row - first) % ROWS_BETWEEN_CHECKS === ROWS_BETWEEN_CHECKS - 1) this.gaveUp = this.isLate();
			}
		});
	}

	summary(): TraceSummary | undefined {
		const { spans } = this.gathered;
		return spans.length === 0 || this.gaveUp ? undefined : { traceId: this.words.id, ...outlineOf(spans) };
	}
}

/** Gathers a trace whole: its records as they came, grouped by resource and scope. */
export class TraceAssembler {
	private readonly words: TraceWords;
	private readonly gathered = new SpanSet();
	private readonly groups = new RecordGroups();
	private readonly check: () => void;

	/** @param check throws to end the work, which is then left */
	constructor(words: TraceWords, check: () => void) {
		this.words = words;
		this.check = check;
	}

	add(window: WindowReader): void {
		const addRows = (block: BlockReader, first: number, end: number): void => {
			for (let row = first; row < end; row++) {
				if (this.gathered.add(summarySpan(block, row))) this.groups.add(block, row);
				if ((row - first) % ROWS_BETWEEN_CHECKS === ROWS_BETWEEN_CHECKS - 1) this.check();
			}
		};
		forEachBlockOfTrace(window, this.words, addRows);
	}

	/**
	 * Undefined when the trace is nowhere. Call once: what was gathered is let go of while it is written.
	 * @param onSpan told of the spans of JSON
	 */
	finish(format: "protobuf" | "json", onSpan?: OnSpan): WholeTrace | undefined {
		const { spans } = this.gathered;
		if (spans.length === 0) return undefined;
		const summary = { traceId: this.words.id, ...outlineOf(spans) };
		return { summary, body: format === "json" ? this.json(onSpan) : [...this.groups.message().take()] };
	}

	private json(onSpan: OnSpan | undefined): WholeTrace["body"] {
		const writer = new TracesJsonWriter(onSpan);
		for (const { resource, scopes } of this.groups.byResource()) {
			writer.beginResource(resource);
			for (const { scope, records } of scopes) writer.addScope(scope, this.checked(records.take()));
			writer.endResource();
		}
		return writer.finish();
	}

	private *checked<T>(items: Iterable<T>): Generator<T> {
		for (const item of items) {
			yield item;
			this.check();
		}
	}
}

export function summarySpan(block: BlockReader, row: number): SummarySpan {
	const entry = block.head().classes.at(block.classOfRow(row));
	const parent = block.parentId(row);
	return {
		spanId: wordsHex(block.spanId(row)),
		parentSpanId: (parent[0] | parent[1]) === 0 ? "" : wordsHex(parent),
		kind: entry.kind,
		statusCode: entry.status,
		startNs: block.time0(row),
		endNs: block.time1(row),
		service: entry.service,
		name: entry.name,
	};
}

function wordsHex([high, low]: readonly [number, number]): string {
	return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

/** As {@link spanKey} of what the rules read. */
export function spanKeyAt(block: BlockReader, row: number): string {
	return spanKey({ spanId: wordsHex(block.spanId(row)), kind: block.head().classes.at(block.classOfRow(row)).kind });
}

export function traceIdAt(block: BlockReader, place: number): TraceId {
	const { ids } = block.traces();
	let id = "";
	for (let i = 0; i < 4; i++) id += ids[place * 4 + i]!.toString(16).padStart(8, "0");
	return id as TraceId;
}

/** As {@link traceIdAt} for who asks for the same ones again. */
export function traceIds(block: BlockReader): (place: number) => TraceId {
	const ids: (TraceId | undefined)[] = [];
	return (place) => (ids[place] ??= traceIdAt(block, place));
}
