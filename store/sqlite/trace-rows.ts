/**
 * Every row of a trace, from whatever windows and blocks it lies in, each span once; and what is made of them: the summary, and the
 * trace as OTLP.
 */
import type { TraceId } from "../../model/ids.ts";
import { outlineOf, SpanSet, type SummarySpan } from "../../model/otlp/trace-summary.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { ByteWriter } from "../block/bytes.ts";
import { traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import type { TraceSummary } from "../store.ts";
import type { WindowReader } from "./window-reader.ts";

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
	private readonly words: TraceWords;
	private readonly gathered = new SpanSet();

	constructor(words: TraceWords) {
		this.words = words;
	}

	add(window: WindowReader): void {
		forEachBlockOfTrace(window, this.words, (block, first, end) => {
			for (let row = first; row < end; row++) this.gathered.add(summarySpan(block, row));
		});
	}

	summary(): TraceSummary | undefined {
		const { spans } = this.gathered;
		return spans.length === 0 ? undefined : { traceId: this.words.id, ...outlineOf(spans) };
	}
}

/** Gathers a trace whole: its records as they came, grouped by resource and scope. */
export class TraceAssembler {
	private readonly words: TraceWords;
	private readonly gathered = new SpanSet();
	/** Resource and scope bytes (as text of one byte a character) to the records below them. */
	private readonly groups = new Map<string, { readonly resource: Uint8Array; readonly scopes: Map<string, ScopeGroup> }>();
	private readonly record = new ByteWriter(4096);

	constructor(words: TraceWords) {
		this.words = words;
	}

	add(window: WindowReader): void {
		forEachBlockOfTrace(window, this.words, (block, first, end) => {
			for (let row = first; row < end; row++) this.addRow(block, row);
		});
	}

	private addRow(block: BlockReader, row: number): void {
		if (!this.gathered.add(summarySpan(block, row))) return;
		const head = block.head();
		const scope = head.scopes[head.classes.scope[block.classOfRow(row)]!]!;
		const resource = block.item(scope.resourceItem);
		const resourceKey = latin1(resource);
		let group = this.groups.get(resourceKey);
		if (group === undefined) {
			group = { resource: resource.slice(), scopes: new Map() };
			this.groups.set(resourceKey, group);
		}
		const scopeBytes = block.item(scope.scopeItem);
		const scopeKey = latin1(scopeBytes);
		let members = group.scopes.get(scopeKey);
		if (members === undefined) {
			members = { scope: scopeBytes.slice(), records: [] };
			group.scopes.set(scopeKey, members);
		}
		this.record.reset();
		block.writeRecord(row, this.record);
		members.records.push(this.record.view().slice());
	}

	/** The summary, and the spans as `TracesData`; undefined when the trace is nowhere. */
	finish(): { readonly summary: TraceSummary; readonly tracesData: Uint8Array } | undefined {
		const { spans } = this.gathered;
		if (spans.length === 0) return undefined;
		const writer = new WireWriter();
		for (const { resource, scopes } of this.groups.values()) {
			const resourceSpans = writer.begin(1);
			writer.raw(resource);
			for (const { scope, records } of scopes.values()) {
				const scopeSpans = writer.begin(2);
				writer.raw(scope);
				for (const bytes of records) writer.bytesField(2, bytes);
				writer.end(scopeSpans);
			}
			writer.end(resourceSpans);
		}
		return { summary: { traceId: this.words.id, ...outlineOf(spans) }, tracesData: writer.finish() };
	}
}

interface ScopeGroup {
	readonly scope: Uint8Array;
	readonly records: Uint8Array[];
}

function summarySpan(block: BlockReader, row: number): SummarySpan {
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

export function traceIdAt(block: BlockReader, place: number): TraceId {
	const { ids } = block.traces();
	let id = "";
	for (let i = 0; i < 4; i++) id += ids[place * 4 + i]!.toString(16).padStart(8, "0");
	return id as TraceId;
}

function latin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
