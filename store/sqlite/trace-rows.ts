/**
 * Every row of a trace, from whatever windows and blocks it lies in, each span once; and what is made of them: the summary, and the
 * trace as OTLP.
 */
import type { TraceId } from "../../model/ids.ts";
import { outlineOf, SpanSet, type SummarySpan } from "../../model/otlp/trace-summary.ts";
import { TracesJsonWriter } from "../../model/otlp/traces-json.ts";
import { ByteWriter } from "../block/bytes.ts";
import { traceHash } from "../block/format.ts";
import type { BlockReader } from "../block/reader.ts";
import type { TraceSummary, WholeTrace } from "../store.ts";
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
	newestCommit = Infinity,
): void {
	const visitBlock = (id: number): void => {
		if (newestCommit !== Infinity && window.commitOf(id) > newestCommit) return;
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
	/** Resource and scope bytes (as text of one byte a character) to the records below them. */
	private readonly groups = new Map<string, { readonly resource: Uint8Array; readonly scopes: Map<string, ScopeGroup> }>();
	private readonly record = new ByteWriter(4096);
	private readonly check: () => void;

	/** @param check throws to end the work, which is then left */
	constructor(words: TraceWords, check: () => void) {
		this.words = words;
		this.check = check;
	}

	/** @param newestCommit groups behind it are left out */
	add(window: WindowReader, newestCommit = Infinity): void {
		const addRows = (block: BlockReader, first: number, end: number): void => {
			for (let row = first; row < end; row++) {
				this.addRow(block, row);
				if ((row - first) % ROWS_BETWEEN_CHECKS === ROWS_BETWEEN_CHECKS - 1) this.check();
			}
		};
		forEachBlockOfTrace(window, this.words, addRows, newestCommit);
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
			members = { scope: scopeBytes.slice(), spans: new Pieces(SMALL_PIECE_BYTES) };
			group.scopes.set(scopeKey, members);
		}
		this.record.reset();
		block.writeRecord(row, this.record);
		members.spans.add(SPANS_TAG, this.record.view());
	}

	/** Undefined when the trace is nowhere. Call once: what was gathered is let go of while it is written. */
	finish(format: "protobuf" | "json"): WholeTrace | undefined {
		const { spans } = this.gathered;
		if (spans.length === 0) return undefined;
		const summary = { traceId: this.words.id, ...outlineOf(spans) };
		return { summary, body: format === "json" ? this.json() : this.protobuf() };
	}

	private json(): WholeTrace["body"] {
		const writer = new TracesJsonWriter();
		for (const { resource, scopes } of this.groups.values()) {
			writer.beginResource(resource);
			for (const { scope, spans } of scopes.values()) writer.addScope(scope, this.checked(spans.take()));
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

	private protobuf(): WholeTrace["body"] {
		const pieces = new Pieces(LARGE_PIECE_BYTES);
		const header = new ByteWriter(1024);
		for (const { resource, scopes } of this.groups.values()) {
			let length = resource.length;
			for (const { scope, spans } of scopes.values()) {
				const inner = scope.length + spans.length;
				length += 1 + varintLength(inner) + inner;
			}
			header.reset();
			header.byte(RESOURCE_SPANS_TAG);
			header.varint(length);
			header.raw(resource);
			for (const { scope, spans } of scopes.values()) {
				header.byte(SCOPE_SPANS_TAG);
				header.varint(scope.length + spans.length);
				header.raw(scope);
				pieces.raw(header.view());
				header.reset();
				for (const piece of spans.take()) pieces.raw(piece);
			}
		}
		return [...pieces.take()];
	}
}

/** Fields 1, 2 and 2 of TracesData, ResourceSpans and ScopeSpans. */
const RESOURCE_SPANS_TAG = 0x0a;
const SCOPE_SPANS_TAG = 0x12;
const SPANS_TAG = 0x12;
const SMALL_PIECE_BYTES = 2_048;
const LARGE_PIECE_BYTES = 65_536;
const MAX_PIECE_BYTES = 1 << 20;

interface ScopeGroup {
	readonly scope: Uint8Array;
	/** As fields of the ScopeSpans. */
	readonly spans: Pieces;
}

/** Bytes in pieces of whole fields: nothing is copied to grow, and each piece can go once it was read. */
class Pieces {
	length = 0;
	private full: Uint8Array<ArrayBuffer>[] = [];
	private piece: ByteWriter;
	private pieceBytes: number;

	constructor(firstBytes: number) {
		this.pieceBytes = firstBytes;
		this.piece = new ByteWriter(firstBytes);
	}

	/** A length-delimited field. */
	add(tag: number, value: Uint8Array): void {
		this.makeRoom(value.length + 9);
		const before = this.piece.length;
		this.piece.byte(tag);
		this.piece.lengthPrefixed(value);
		this.length += this.piece.length - before;
	}

	raw(bytes: Uint8Array): void {
		this.makeRoom(bytes.length);
		this.piece.raw(bytes);
		this.length += bytes.length;
	}

	/** Every piece, let go of one by one. */
	*take(): Generator<Uint8Array<ArrayBuffer>> {
		if (this.piece.length > 0) this.full.push(this.piece.view());
		this.piece = new ByteWriter(0);
		this.full.reverse();
		for (let piece = this.full.pop(); piece !== undefined; piece = this.full.pop()) yield piece;
	}

	private makeRoom(bytes: number): void {
		if (this.piece.length + bytes <= this.piece.bytes.length) return;
		if (this.piece.length > 0) this.full.push(this.piece.view());
		this.pieceBytes = Math.min(this.pieceBytes * 4, MAX_PIECE_BYTES);
		this.piece = new ByteWriter(Math.max(this.pieceBytes, bytes));
	}
}

function varintLength(value: number): number {
	let length = 1;
	for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
	return length;
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

function latin1(bytes: Uint8Array): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
