/**
 * Every row of a trace, from whatever windows and blocks it lies in, each span once; and what is made of them: the summary, and the
 * trace as OTLP.
 */
import type { TraceId } from "../../model/ids.ts";
import { outlineOf, SpanSet, type SummarySpan, TraceOutliner } from "../../model/otlp/trace-summary.ts";
import { traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import type { TraceSummary } from "../store.ts";
import { RecordGroups } from "./record-groups.ts";
import { spanKey } from "../topology-queries.ts";
import type { StoredSpans } from "./stored-spans.ts";
import { TraceJson } from "./trace-json.ts";
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

/**
 * Calls back for every block of the window that holds the trace, with the range of its rows, and whether nothing but its head was kept
 * before. In a snapshot.
 */
export function forEachBlockOfTrace(
	window: WindowReader,
	trace: TraceWords,
	visit: (block: BlockReader, firstRow: number, endRow: number, wasUnread: boolean) => void,
): void {
	const visitBlock = (id: number): void => {
		const block = window.block(id);
		const wasUnread = block.partBytes === 0;
		const rows = block.findTrace(trace.w0, trace.w1, trace.w2, trace.w3);
		if (rows !== undefined) visit(block, rows[0], rows[1], wasUnread);
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

/** A trace as it is put together: its records as they came, grouped by resource and scope. */
export interface TraceBody {
	add(block: BlockReader, row: number, span: SummarySpan): void;
	/** In pieces; call once, last. */
	finish(): Uint8Array[];
}

export function protobufBody(): TraceBody {
	const groups = new RecordGroups();
	return { add: (block, row) => groups.add(block, row), finish: () => [...groups.message().take()] };
}

export function jsonBody(id: TraceId): TraceBody {
	return new TraceJson(id);
}

/** Gathers a trace whole, each span once. */
export class TraceAssembler {
	private readonly words: TraceWords;
	private readonly body: TraceBody;
	private readonly gathered = new SpanSet();
	private readonly outliner = new TraceOutliner();
	private readonly check: () => void;
	private readonly hops: StoredSpans | undefined;
	/** Of these nothing was kept before. */
	private readonly unread: BlockReader[] = [];

	/** @param check throws to end the work, which is then left @param hops is given every span */
	constructor(words: TraceWords, body: TraceBody, check: () => void, hops?: StoredSpans) {
		this.words = words;
		this.body = body;
		this.check = check;
		this.hops = hops;
	}

	add(window: WindowReader): void {
		forEachBlockOfTrace(window, this.words, (block, first, end, wasUnread) => {
			if (wasUnread) this.unread.push(block);
			if ((end - first) * WHOLE_COLUMNS_FROM > block.head().rows) readColumns(block);
			this.hops?.begin(block, end - first);
			for (let row = first; row < end; row++) {
				const span = new RowSpan(block, row);
				if (this.gathered.add(span)) {
					this.outliner.add(span);
					this.body.add(block, row, span);
					this.hops?.add(row);
				}
				if ((row - first) % ROWS_BETWEEN_CHECKS === ROWS_BETWEEN_CHECKS - 1) this.check();
			}
		});
	}

	/** Undefined when the trace is nowhere. Call once, last. */
	finish(): { readonly summary: TraceSummary; readonly body: Uint8Array[] } | undefined {
		const { spans } = this.gathered;
		if (spans.length === 0) return undefined;
		const summary = { traceId: this.words.id, ...this.outliner.outline(spans) };
		// Hardly anybody asks for a trace twice: what is kept of it only brings on a collection of everything.
		for (const block of this.unread) block.forgetParts();
		return { summary, body: this.body.finish() };
	}
}

export function summarySpan(block: BlockReader, row: number): SummarySpan {
	const { spanId, parentSpanId, kind, statusCode, startNs, endNs, service, name } = new RowSpan(block, row);
	return { spanId, parentSpanId, kind, statusCode, startNs, endNs, service, name };
}

/** Where a trace is most of a block, its columns are unpacked at once: row by row takes longer. */
const WHOLE_COLUMNS_FROM = 2;

function readColumns(block: BlockReader): void {
	block.offsets();
	block.durations();
	block.rowClasses();
	block.heap().unpack();
}

/** {@link summarySpan} that is read as it is asked: of a hundred thousand spans of one trace most is asked once or never. */
class RowSpan implements SummarySpan {
	readonly spanId: string;
	private readonly block: BlockReader;
	private readonly row: number;

	constructor(block: BlockReader, row: number) {
		this.spanId = wordsHex(block.spanId(row));
		this.block = block;
		this.row = row;
	}

	get parentSpanId(): string {
		return this.block.hasParent(this.row) ? wordsHex(this.block.parentId(this.row)) : "";
	}

	get kind(): number {
		return this.block.head().classes.kind[this.block.classOfRow(this.row)]!;
	}

	get statusCode(): number {
		return this.block.head().classes.status[this.block.classOfRow(this.row)]!;
	}

	get startNs(): bigint {
		return this.block.time0(this.row);
	}

	get endNs(): bigint {
		return this.block.time1(this.row);
	}

	get service(): string {
		return this.block.head().classes.serviceOf(this.block.classOfRow(this.row));
	}

	get name(): string {
		return this.block.head().classes.nameOf(this.block.classOfRow(this.row));
	}
}

const HEX = "0123456789abcdef".split("").map((digit) => digit.charCodeAt(0));

/** In one call: text that is joined of halves is copied again when it becomes a key. */
function wordsHex([high, low]: readonly [number, number]): string {
	return String.fromCharCode(
		HEX[high >>> 28]!,
		HEX[(high >>> 24) & 15]!,
		HEX[(high >>> 20) & 15]!,
		HEX[(high >>> 16) & 15]!,
		HEX[(high >>> 12) & 15]!,
		HEX[(high >>> 8) & 15]!,
		HEX[(high >>> 4) & 15]!,
		HEX[high & 15]!,
		HEX[low >>> 28]!,
		HEX[(low >>> 24) & 15]!,
		HEX[(low >>> 20) & 15]!,
		HEX[(low >>> 16) & 15]!,
		HEX[(low >>> 12) & 15]!,
		HEX[(low >>> 8) & 15]!,
		HEX[(low >>> 4) & 15]!,
		HEX[low & 15]!,
	);
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
