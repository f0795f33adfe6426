/**
 * A trace as rows: the tree of its spans in drawing order, as a struct of arrays, free of the DOM.
 *
 * Rows are in pre-order, so a subtree is the range `[row, subtreeEnd[row])`: collapsing skips a range and 100,000 spans cost one
 * pass. Whatever senders got wrong (missing parents, cycles, ids used twice, clocks that differ) becomes a mark on the row, never
 * a span that is not shown, and never a bar that was moved.
 */
import { KIND_CLIENT, KIND_SERVER, nanosOf, serviceNameOf, STATUS_ERROR } from "../base/otlp.ts";
import type { OtlpSpan, ResourceSpans, ScopeSpans, TracesData } from "../base/otlp.ts";
import { preOrderOf } from "./pre-order.ts";

/** The parent that the span names is not among the spans. */
export const MARK_ORPHAN = 1;
/** The span was its own ancestor; it is shown as a root. */
export const MARK_CYCLE = 2;
/** Another span of the trace has the same id. */
export const MARK_SAME_ID = 4;
/** Starts before its parent does: the senders' clocks differ. */
export const MARK_SKEW = 8;
/** Ends before it starts; its bar has no length. */
export const MARK_NEGATIVE = 16;
/** No start time; it is drawn where its parent starts. */
export const MARK_NO_TIME = 32;

export interface Waterfall {
	readonly count: number;
	/** Start of the earliest span, nanoseconds since the epoch. */
	readonly startNs: bigint;
	/** From there to the latest end. */
	readonly durationNs: number;
	/** Of each row, from `startNs`. */
	readonly offsetNs: Float64Array;
	readonly lengthNs: Float64Array;
	/** Row of the parent, -1 for roots. */
	readonly parent: Int32Array;
	readonly depth: Uint32Array;
	/** One past the last row of the subtree. */
	readonly subtreeEnd: Uint32Array;
	/** Index into `services`. */
	readonly service: Uint32Array;
	/** `MARK_*` bits. */
	readonly marks: Uint8Array;
	/** 1 where the status is an error. */
	readonly failed: Uint8Array;
	readonly spans: readonly OtlpSpan[];
	/** Index into `sources`. */
	readonly source: Uint32Array;
	/** Resource and scope a span came with. */
	readonly sources: readonly SpanSource[];
	/** In order of first appearance. */
	readonly services: readonly string[];
	/** Row of the span of an id; of several of one id the first of the kind, else the first; -1 for none. */
	readonly rowOfSpan: (id: string | undefined, kind?: number) => number;
	readonly errorCount: number;
	readonly rootCount: number;
	readonly orphanCount: number;
}

export interface SpanSource {
	readonly resource: ResourceSpans["resource"];
	readonly scope: ScopeSpans["scope"];
}

/** One place a row, to be filled. */
export function rowColumns(count: number) {
	return {
		offsetNs: new Float64Array(count),
		lengthNs: new Float64Array(count),
		parent: new Int32Array(count),
		depth: new Uint32Array(count),
		subtreeEnd: new Uint32Array(count),
		service: new Uint32Array(count),
		marks: new Uint8Array(count),
		failed: new Uint8Array(count),
		source: new Uint32Array(count),
	};
}

/** Builds the rows of a trace; linear but for one sort by start time. */
export function buildWaterfall(trace: TracesData): Waterfall {
	const input = gather(trace);
	const count = input.spans.length;
	const byStart = orderByStart(input);
	const { parent, marks, first, more } = findParents(input, byStart);
	breakCycles(parent, marks, byStart);
	const order = preOrder(parent, byStart);

	const rowOf = new Int32Array(count);
	for (let row = 0; row < count; row++) rowOf[order[row]!] = row;
	const out = rowColumns(count);
	const spans: OtlpSpan[] = [];
	let errorCount = 0;
	let rootCount = 0;
	let orphanCount = 0;
	let durationNs = 0;
	for (let row = 0; row < count; row++) {
		const index = order[row]!;
		const parentRow = parent[index]! < 0 ? -1 : rowOf[parent[index]!]!;
		let mark = marks[index]!;
		let offset = input.offsetNs[index]!;
		if (input.timed[index] === 0) {
			mark |= MARK_NO_TIME;
			offset = parentRow < 0 ? 0 : out.offsetNs[parentRow]!;
		} else if (parentRow >= 0 && offset < out.offsetNs[parentRow]! && (out.marks[parentRow]! & MARK_NO_TIME) === 0) {
			mark |= MARK_SKEW;
		}
		const length = input.lengthNs[index]!;
		if (length < 0) mark |= MARK_NEGATIVE;
		out.offsetNs[row] = offset;
		out.lengthNs[row] = Math.max(0, length);
		out.parent[row] = parentRow;
		out.depth[row] = parentRow < 0 ? 0 : out.depth[parentRow]! + 1;
		out.service[row] = input.service[index]!;
		out.marks[row] = mark;
		out.source[row] = input.source[index]!;
		const span = input.spans[index]!;
		spans.push(span);
		if (span.status?.code === STATUS_ERROR) {
			out.failed[row] = 1;
			errorCount++;
		}
		if (parentRow < 0) rootCount++;
		if ((mark & MARK_ORPHAN) !== 0) orphanCount++;
		durationNs = Math.max(durationNs, offset + out.lengthNs[row]!);
	}
	// Children follow their parents, so one pass from the end closes every subtree.
	for (let row = count - 1; row >= 0; row--) {
		out.subtreeEnd[row] = Math.max(out.subtreeEnd[row]!, row + 1);
		const parentRow = out.parent[row]!;
		if (parentRow >= 0) out.subtreeEnd[parentRow] = Math.max(out.subtreeEnd[parentRow]!, out.subtreeEnd[row]!);
	}
	return {
		...out,
		count,
		startNs: input.startNs,
		durationNs,
		spans,
		sources: input.sources,
		services: input.services,
		rowOfSpan: rowFinder(spans, rowOf, first, more),
		errorCount,
		rootCount,
		orphanCount,
	};
}

/** The rows to draw: all but those under a collapsed one. */
export function visibleRows(waterfall: Waterfall, collapsed: ReadonlySet<number>): Uint32Array {
	const rows = new Uint32Array(waterfall.count);
	let used = 0;
	for (let row = 0; row < waterfall.count; row = collapsed.has(row) ? waterfall.subtreeEnd[row]! : row + 1) rows[used++] = row;
	return rows.subarray(0, used);
}

export function hasChildren(waterfall: Waterfall, row: number): boolean {
	return waterfall.subtreeEnd[row]! > row + 1;
}

/** Every row that has children, for "collapse all". */
export function collapsibleRows(waterfall: Waterfall): Set<number> {
	const rows = new Set<number>();
	for (let row = 0; row < waterfall.count; row++) if (hasChildren(waterfall, row)) rows.add(row);
	return rows;
}

/** The row among `rows` (ascending) that shows `row`: itself, or the nearest ancestor that is not under a collapsed one. */
export function positionOf(rows: Uint32Array, row: number): number {
	let low = 0;
	let high = rows.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (rows[middle]! <= row) low = middle + 1;
		else high = middle;
	}
	return Math.max(0, low - 1);
}

/** The next row after `row` for which `test` holds, going round; -1 when there is none. */
export function findRow(waterfall: Waterfall, row: number, step: 1 | -1, test: (row: number) => boolean): number {
	for (let i = 1; i <= waterfall.count; i++) {
		const candidate = (((row + step * i) % waterfall.count) + waterfall.count) % waterfall.count;
		if (test(candidate)) return candidate;
	}
	return -1;
}

interface Gathered {
	readonly spans: OtlpSpan[];
	readonly source: number[];
	readonly sources: SpanSource[];
	readonly service: number[];
	readonly services: string[];
	readonly startNs: bigint;
	readonly offsetNs: Float64Array;
	/** Negative where the span ends before it starts. */
	readonly lengthNs: Float64Array;
	/** 0 where the span has no start time. */
	readonly timed: Uint8Array;
}

function gather(trace: TracesData): Gathered {
	const spans: OtlpSpan[] = [];
	const source: number[] = [];
	const sources: SpanSource[] = [];
	const service: number[] = [];
	const services: string[] = [];
	const serviceIndex = new Map<string, number>();
	for (const resourceSpans of trace.resourceSpans ?? []) {
		const name = serviceNameOf(resourceSpans.resource) ?? "";
		for (const scopeSpans of resourceSpans.scopeSpans ?? []) {
			if (scopeSpans.spans === undefined || scopeSpans.spans.length === 0) continue;
			let index = serviceIndex.get(name);
			if (index === undefined) {
				index = services.push(name) - 1;
				serviceIndex.set(name, index);
			}
			const sourceIndex = sources.push({ resource: resourceSpans.resource, scope: scopeSpans.scope }) - 1;
			for (const span of scopeSpans.spans) {
				spans.push(span);
				source.push(sourceIndex);
				service.push(index);
			}
		}
	}
	const count = spans.length;
	const seconds = new Float64Array(count);
	const nanos = new Float64Array(count);
	const ends = new Float64Array(count * 2);
	let first = -1;
	for (let i = 0; i < count; i++) {
		const span = spans[i]!;
		writeTime(span.startTimeUnixNano, seconds, nanos, i);
		writeTime(span.endTimeUnixNano, ends, ends, i, count);
		if (seconds[i] === 0 && nanos[i] === 0) continue;
		const isEarlier =
			first < 0 || seconds[i]! < seconds[first]! || (seconds[i] === seconds[first] && nanos[i]! < nanos[first]!);
		if (isEarlier) first = i;
	}
	const originSeconds = first < 0 ? 0 : seconds[first]!;
	const originNanos = first < 0 ? 0 : nanos[first]!;
	const offsetNs = new Float64Array(count);
	const lengthNs = new Float64Array(count);
	const timed = new Uint8Array(count);
	for (let i = 0; i < count; i++) {
		if (seconds[i] === 0 && nanos[i] === 0) continue;
		timed[i] = 1;
		offsetNs[i] = (seconds[i]! - originSeconds) * NS_A_SECOND + (nanos[i]! - originNanos);
		const [endSeconds, endNanos] = [ends[i]!, ends[count + i]!];
		// An end of 0 is a span that was sent unfinished: no length rather than minus fifty years.
		const isOpen = endSeconds === 0 && endNanos === 0;
		lengthNs[i] = isOpen ? 0 : (endSeconds - seconds[i]!) * NS_A_SECOND + (endNanos - nanos[i]!);
	}
	const startNs = BigInt(originSeconds) * BigInt(NS_A_SECOND) + BigInt(originNanos);
	return { spans, source, sources, service, services, startNs, offsetNs, lengthNs, timed };
}

const NS_A_SECOND = 1e9;

/** Seconds and nanoseconds of a time, zeros where it is none: as bigints, two hundred thousand take a tenth of a second. */
function writeTime(time: string | number | undefined, seconds: Float64Array, nanos: Float64Array, at: number, shift = 0): void {
	if (typeof time === "string" && time.length === DIGITS_OF_TIME) {
		const whole = digits(time, 0, 10);
		const rest = digits(time, 10, DIGITS_OF_TIME);
		if (whole >= 0 && rest >= 0) {
			seconds[at] = whole;
			nanos[at + shift] = rest;
			return;
		}
	}
	const ns = nanosOf(time);
	seconds[at] = Number(ns / 1_000_000_000n);
	nanos[at + shift] = Number(ns % 1_000_000_000n);
}

/** Of every time from 2001 to 2286. */
const DIGITS_OF_TIME = 19;

/** -1 where another character stands among them. */
function digits(text: string, from: number, to: number): number {
	let value = 0;
	for (let i = from; i < to; i++) {
		const digit = text.charCodeAt(i) - 48;
		if (digit < 0 || digit > 9) return -1;
		value = value * 10 + digit;
	}
	return value;
}

/** Earliest first; the longer one first where two start together, since it is the likelier parent. */
function orderByStart(input: Gathered): Uint32Array {
	const order = new Uint32Array(input.spans.length);
	for (let i = 0; i < order.length; i++) order[i] = i;
	return order.sort((a, b) => input.offsetNs[a]! - input.offsetNs[b]! || input.lengthNs[b]! - input.lengthNs[a]! || a - b);
}

interface Parents {
	readonly parent: Int32Array;
	readonly marks: Uint8Array;
	/** The first span of an id; the few further ones of the same id are in `more`. */
	readonly first: ReadonlyMap<string, number>;
	readonly more: ReadonlyMap<string, readonly number[]>;
}

function findParents(input: Gathered, byStart: Uint32Array): Parents {
	const { spans, service } = input;
	const parent = new Int32Array(spans.length).fill(-1);
	const marks = new Uint8Array(spans.length);
	const first = new Map<string, number>();
	const more = new Map<string, number[]>();
	for (const i of byStart) {
		const id = idOf(spans[i]!.spanId);
		if (id === "") continue;
		const earlier = first.get(id);
		if (earlier === undefined) {
			first.set(id, i);
			continue;
		}
		marks[i]! |= MARK_SAME_ID;
		marks[earlier]! |= MARK_SAME_ID;
		const rest = more.get(id);
		if (rest === undefined) more.set(id, [i]);
		else rest.push(i);
	}
	for (let i = 0; i < spans.length; i++) {
		const id = idOf(spans[i]!.spanId);
		const client = marks[i]! & MARK_SAME_ID && spans[i]!.kind === KIND_SERVER ? sharedClient(id, i) : -1;
		if (client >= 0) {
			parent[i] = client;
			continue;
		}
		const parentId = idOf(spans[i]!.parentSpanId);
		if (parentId === "") continue;
		const candidate = first.get(parentId);
		if (candidate === undefined) marks[i]! |= MARK_ORPHAN;
		else parent[i] = bestParent(parentId, candidate, i);
	}
	return { parent, marks, first, more };

	/** Zipkin lets the two ends of a call share one id: the server's end belongs under the client's. */
	function sharedClient(id: string, server: number): number {
		const all = [first.get(id)!, ...(more.get(id) ?? [])];
		return all.find((other) => other !== server && spans[other]!.kind === KIND_CLIENT) ?? -1;
	}

	/** Among spans of one id: the one of the child's service, else the server's end, else the earliest. */
	function bestParent(parentId: string, candidate: number, child: number): number {
		const rest = more.get(parentId);
		if (rest === undefined) return candidate;
		const all = [candidate, ...rest].filter((other) => other !== child);
		return (
			all.find((other) => service[other] === service[child]) ??
			all.find((other) => spans[other]!.kind === KIND_SERVER) ??
			all[0] ??
			candidate
		);
	}
}

/** OTLP JSON allows either case; some senders write an absent parent as zeros. */
function idOf(id: string | undefined): string {
	if (id === undefined || id === "" || (id.startsWith("0") && /^0+$/.test(id))) return "";
	return id.toLowerCase();
}

function rowFinder(
	spans: readonly OtlpSpan[],
	rowOf: Int32Array,
	first: ReadonlyMap<string, number>,
	more: ReadonlyMap<string, readonly number[]>,
): Waterfall["rowOfSpan"] {
	return (text, kind) => {
		const id = idOf(text);
		const index = first.get(id);
		if (index === undefined) return -1;
		const rest = more.get(id);
		if (rest === undefined) return rowOf[index]!;
		const rows = [index, ...rest].map((one) => rowOf[one]!).sort((a, b) => a - b);
		// Zipkin lets both ends of a call share an id: the kind tells which is meant.
		return rows.find((row) => spans[row]!.kind === kind) ?? rows[0]!;
	};
}

/** Makes the earliest span of every cycle a root. */
function breakCycles(parent: Int32Array, marks: Uint8Array, byStart: Uint32Array): void {
	const rank = new Uint32Array(parent.length);
	for (let k = 0; k < byStart.length; k++) rank[byStart[k]!] = k;
	// 0 unseen, 1 on the path being walked, 2 known to end at a root.
	const state = new Uint8Array(parent.length);
	const path: number[] = [];
	for (const start of byStart) {
		path.length = 0;
		let at = start;
		while (at >= 0 && state[at] === 0) {
			state[at] = 1;
			path.push(at);
			at = parent[at]!;
		}
		if (at >= 0 && state[at] === 1) {
			// `at` lies on a cycle, but a walk that came from outside need not have entered it at its earliest span.
			let earliest = at;
			for (let next = parent[at]!; next !== at; next = parent[next]!) if (rank[next]! < rank[earliest]!) earliest = next;
			parent[earliest] = -1;
			marks[earliest]! |= MARK_CYCLE;
		}
		for (const seen of path) state[seen] = 2;
	}
}

function preOrder(parent: Int32Array, byStart: Uint32Array): Uint32Array {
	const count = parent.length;
	const firstChild = new Int32Array(count).fill(-1);
	const nextSibling = new Int32Array(count).fill(-1);
	let firstRoot = -1;
	// Prepending from the latest to the earliest leaves every list of siblings in order of start.
	for (let k = count - 1; k >= 0; k--) {
		const i = byStart[k]!;
		const p = parent[i]!;
		if (p < 0) {
			nextSibling[i] = firstRoot;
			firstRoot = i;
		} else {
			nextSibling[i] = firstChild[p]!;
			firstChild[p] = i;
		}
	}
	return preOrderOf(firstRoot, firstChild, nextSibling, count);
}
