/**
 * The spans of recent traces, as rows in typed arrays: what the stage evaluates again when a trace gets more spans. A cache of the
 * store: a trace that is no longer here is read from there.
 */
import type { SpanFacts } from "../../model/topology/facts.ts";
import type { TraceSpans } from "../../model/topology/hop.ts";
import { NUMBER, NUMBERS_A_ROW, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";

const NONE = -1;
/** Row words: ids and request id as they came, place of the facts, next row of the trace, whether its hops are stated. */
const ROW_WORDS = 9;
const FACTS_AT = 6;
const NEXT_AT = 7;
const STATED_AT = 8;
const INITIAL_ROWS = 1 << 12;

/** Traces and rows are numbers: places in the arrays here. */
export class TraceTable {
	rows = 0;
	traces = 0;
	private rowWords = new Uint32Array(INITIAL_ROWS * ROW_WORDS);
	private rowNumbers = new Float64Array(INITIAL_ROWS * NUMBERS_A_ROW);
	private rowCapacity = INITIAL_ROWS;
	private usedRows = 0;
	private freeRow = NONE;

	private traceIds = new Uint32Array(0);
	private firstRow = new Int32Array(0);
	private rowCount = new Uint32Array(0);
	private older = new Int32Array(0);
	private newer = new Int32Array(0);
	/** What the stage notes of each trace. */
	touchedMs = new Float64Array(0);
	nextMaturityMs = new Float64Array(0);
	flags = new Uint8Array(0);
	private traceCapacity = 0;
	private usedTraces = 0;
	private freeTrace = NONE;
	private slots = new Int32Array(1 << 12).fill(NONE);
	/** Ends of the list in order of touch. */
	private oldest = NONE;
	private newest = NONE;
	private readonly scratch = new Scratch();

	/** The trace of these four words; -1 when it is not here. */
	find(words: Uint32Array, at: number): number {
		const mask = this.slots.length - 1;
		for (let slot = slotOf(words, at) & mask; ; slot = (slot + 1) & mask) {
			const trace = this.slots[slot]!;
			if (trace === NONE || this.isTrace(trace, words, at)) return trace;
		}
	}

	add(words: Uint32Array, at: number): number {
		if ((this.traces + 1) * 2 > this.slots.length) this.growSlots();
		const trace = this.newTrace();
		for (let i = 0; i < 4; i++) this.traceIds[trace * 4 + i] = words[at + i]!;
		this.firstRow[trace] = NONE;
		this.rowCount[trace] = 0;
		this.touchedMs[trace] = 0;
		this.nextMaturityMs[trace] = Infinity;
		this.flags[trace] = 0;
		this.link(trace);
		this.place(trace);
		this.traces++;
		return trace;
	}

	/** @param facts number of the row's facts */
	addRow(trace: number, from: RecordRows, row: number, facts: number, isStated: boolean): void {
		const place = this.newRow();
		const { rowWords, rowNumbers } = this;
		const at = place * ROW_WORDS;
		const wordAt = row * WORDS_A_ROW + WORD.spanId;
		for (let i = 0; i < FACTS_AT; i++) rowWords[at + i] = from.words[wordAt + i]!;
		rowWords[at + FACTS_AT] = facts;
		rowWords[at + NEXT_AT] = this.firstRow[trace]! + 1;
		rowWords[at + STATED_AT] = isStated ? 1 : 0;
		for (let i = 0; i < NUMBERS_A_ROW; i++) rowNumbers[place * NUMBERS_A_ROW + i] = from.numbers[row * NUMBERS_A_ROW + i]!;
		this.firstRow[trace] = place;
		this.rowCount[trace] = this.rowCount[trace]! + 1;
		this.rows++;
	}

	rowsOf(trace: number): number {
		return this.rowCount[trace]!;
	}

	/** Makes it the newest. */
	touch(trace: number, nowMs: number): void {
		this.touchedMs[trace] = nowMs;
		if (this.newest === trace) return;
		this.unlink(trace);
		this.link(trace);
	}

	/** From the one that was not touched for longest; removing the one in hand is allowed. */
	*inOrderOfTouch(): Generator<number> {
		for (let trace = this.oldest; trace !== NONE;) {
			const next = this.newer[trace]!;
			yield trace;
			trace = next;
		}
	}

	/**
	 * The spans of a trace; valid until the next call.
	 * @param onlyStated only those whose hops are stated
	 */
	spansOf(trace: number, facts: readonly SpanFacts[], onlyStated: boolean): TraceSpans {
		return this.scratch.gather(trace, this, facts, onlyStated);
	}

	/** Calls back with each row's place. */
	eachRow(trace: number, call: (row: number) => void): void {
		for (let row = this.firstRow[trace]!; row !== NONE; row = this.rowWords[row * ROW_WORDS + NEXT_AT]! - 1) call(row);
	}

	isStated(row: number): boolean {
		return this.rowWords[row * ROW_WORDS + STATED_AT] === 1;
	}

	setStated(trace: number): void {
		for (let row = this.firstRow[trace]!; row !== NONE; row = this.rowWords[row * ROW_WORDS + NEXT_AT]! - 1)
			this.rowWords[row * ROW_WORDS + STATED_AT] = 1;
	}

	factsOf(row: number): number {
		return this.rowWords[row * ROW_WORDS + FACTS_AT]!;
	}

	setFacts(row: number, facts: number): void {
		this.rowWords[row * ROW_WORDS + FACTS_AT] = facts;
	}

	/** The words of a row, ids first. */
	word(row: number, at: number): number {
		return this.rowWords[row * ROW_WORDS + at]!;
	}

	number(row: number, at: number): number {
		return this.rowNumbers[row * NUMBERS_A_ROW + at]!;
	}

	traceWord(trace: number, at: number): number {
		return this.traceIds[trace * 4 + at]!;
	}

	remove(trace: number): void {
		for (let row = this.firstRow[trace]!; row !== NONE;) {
			const next = this.rowWords[row * ROW_WORDS + NEXT_AT]! - 1;
			this.rowWords[row * ROW_WORDS + NEXT_AT] = this.freeRow + 1;
			this.freeRow = row;
			row = next;
		}
		this.rows -= this.rowCount[trace]!;
		this.unplace(trace);
		this.unlink(trace);
		this.newer[trace] = this.freeTrace;
		this.freeTrace = trace;
		this.traces--;
	}

	private isTrace(trace: number, words: Uint32Array, at: number): boolean {
		const { traceIds } = this;
		const own = trace * 4;
		return (
			traceIds[own] === words[at] &&
			traceIds[own + 1] === words[at + 1] &&
			traceIds[own + 2] === words[at + 2] &&
			traceIds[own + 3] === words[at + 3]
		);
	}

	private newRow(): number {
		const free = this.freeRow;
		if (free !== NONE) {
			this.freeRow = this.rowWords[free * ROW_WORDS + NEXT_AT]! - 1;
			return free;
		}
		if (this.usedRows === this.rowCapacity) {
			this.rowCapacity *= 2;
			this.rowWords = widened(this.rowWords, this.rowCapacity * ROW_WORDS);
			const numbers = new Float64Array(this.rowCapacity * NUMBERS_A_ROW);
			numbers.set(this.rowNumbers);
			this.rowNumbers = numbers;
		}
		return this.usedRows++;
	}

	private newTrace(): number {
		const free = this.freeTrace;
		if (free !== NONE) {
			this.freeTrace = this.newer[free]!;
			return free;
		}
		if (this.usedTraces === this.traceCapacity) this.growTraces();
		return this.usedTraces++;
	}

	private growTraces(): void {
		const size = Math.max(1 << 10, this.traceCapacity * 2);
		this.traceCapacity = size;
		this.traceIds = widened(this.traceIds, size * 4);
		this.rowCount = widened(this.rowCount, size);
		this.firstRow = widenedSigned(this.firstRow, size);
		this.older = widenedSigned(this.older, size);
		this.newer = widenedSigned(this.newer, size);
		this.touchedMs = widenedFloats(this.touchedMs, size);
		this.nextMaturityMs = widenedFloats(this.nextMaturityMs, size);
		const flags = new Uint8Array(size);
		flags.set(this.flags);
		this.flags = flags;
	}

	private growSlots(): void {
		this.slots = new Int32Array(this.slots.length * 2).fill(NONE);
		for (let trace = this.oldest; trace !== NONE; trace = this.newer[trace]!) this.place(trace);
	}

	private place(trace: number): void {
		const mask = this.slots.length - 1;
		let slot = slotOf(this.traceIds, trace * 4) & mask;
		while (this.slots[slot] !== NONE) slot = (slot + 1) & mask;
		this.slots[slot] = trace;
	}

	/** Closes the gap behind it, so that no tombstones are needed. */
	private unplace(trace: number): void {
		const { slots } = this;
		const mask = slots.length - 1;
		let slot = slotOf(this.traceIds, trace * 4) & mask;
		while (slots[slot] !== trace) slot = (slot + 1) & mask;
		for (let next = (slot + 1) & mask; slots[next] !== NONE; next = (next + 1) & mask) {
			const home = slotOf(this.traceIds, slots[next]! * 4) & mask;
			if (((next - home) & mask) < ((next - slot) & mask)) continue;
			slots[slot] = slots[next]!;
			slot = next;
		}
		slots[slot] = NONE;
	}

	private link(trace: number): void {
		this.older[trace] = this.newest;
		this.newer[trace] = NONE;
		if (this.newest === NONE) this.oldest = trace;
		else this.newer[this.newest] = trace;
		this.newest = trace;
	}

	private unlink(trace: number): void {
		const older = this.older[trace]!;
		const newer = this.newer[trace]!;
		if (older === NONE) this.oldest = newer;
		else this.newer[older] = newer;
		if (newer === NONE) this.newest = older;
		else this.older[newer] = older;
	}
}

/** Arrays that hold one trace at a time for the rules. */
class Scratch {
	private size = 0;
	private spanId = new Uint32Array(0);
	private parentId = new Uint32Array(0);
	private requestId = new Uint32Array(0);
	private startMs = new Float64Array(0);
	private durationNs = new Float64Array(0);
	private requestBytes = new Float64Array(0);
	private responseBytes = new Float64Array(0);
	private weight = new Float64Array(0);
	private readonly facts: SpanFacts[] = [];

	gather(trace: number, table: TraceTable, known: readonly SpanFacts[], onlyStated: boolean): TraceSpans {
		if (table.rowsOf(trace) > this.size) this.grow(table.rowsOf(trace));
		const { spanId, parentId, requestId, startMs, durationNs, requestBytes, responseBytes, weight, facts } = this;
		let count = 0;
		table.eachRow(trace, (row) => {
			if (onlyStated && !table.isStated(row)) return;
			spanId[count * 2] = table.word(row, 0);
			spanId[count * 2 + 1] = table.word(row, 1);
			parentId[count * 2] = table.word(row, 2);
			parentId[count * 2 + 1] = table.word(row, 3);
			requestId[count * 2] = table.word(row, 4);
			requestId[count * 2 + 1] = table.word(row, 5);
			startMs[count] = table.number(row, NUMBER.startMs);
			durationNs[count] = table.number(row, NUMBER.durationNs);
			requestBytes[count] = table.number(row, NUMBER.requestBytes);
			responseBytes[count] = table.number(row, NUMBER.responseBytes);
			weight[count] = table.number(row, NUMBER.weight);
			facts[count] = known[table.factsOf(row)]!;
			count++;
		});
		return { count, spanId, parentId, requestId, startMs, durationNs, requestBytes, responseBytes, weight, facts };
	}

	private grow(rows: number): void {
		const size = Math.max(rows, this.size * 2, 64);
		this.size = size;
		this.spanId = new Uint32Array(size * 2);
		this.parentId = new Uint32Array(size * 2);
		this.requestId = new Uint32Array(size * 2);
		this.startMs = new Float64Array(size);
		this.durationNs = new Float64Array(size);
		this.requestBytes = new Float64Array(size);
		this.responseBytes = new Float64Array(size);
		this.weight = new Float64Array(size);
	}
}

/** Ids of 64-bit tracers and of X-Ray have constant words: all four are mixed. */
function slotOf(words: Uint32Array, at: number): number {
	let hash = Math.imul(words[at]! ^ 0x2545f491, 0x9e3779b1) ^ words[at + 3]!;
	hash = Math.imul(hash ^ (hash >>> 16) ^ words[at + 1]!, 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13) ^ words[at + 2]!, 0xc2b2ae35);
	return (hash ^ (hash >>> 16)) >>> 0;
}

function widened(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
	const larger = new Uint32Array(length);
	larger.set(array);
	return larger;
}

function widenedSigned(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
	const larger = new Int32Array(length);
	larger.set(array);
	return larger;
}

function widenedFloats(array: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
	const larger = new Float64Array(length);
	larger.set(array);
	return larger;
}
