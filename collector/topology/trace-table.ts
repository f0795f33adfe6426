/**
 * The spans of recent traces, as rows in typed arrays: what the stage evaluates again when a trace gets more spans. A cache of the
 * store: a trace that is no longer here is read from there.
 */
import type { SpanFacts } from "../../model/topology/facts.ts";
import type { TraceSpans } from "../../model/topology/hop.ts";
import { NUMBER, NUMBERS_A_ROW, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";

const NONE = -1;
/** A row is 64 bytes: ids and request id as they came, then its numbers. */
const ROW_WORDS = 16;
const ROW_FLOATS = ROW_WORDS / 2;
const ID_WORDS = 6;
const NUMBERS_AT = ID_WORDS / 2;
/** Rows get room by the megabyte: one array that doubles is copied while it is being filled, and is held twice meanwhile. */
const CHUNK_BITS = 14;
const CHUNK_ROWS = 1 << CHUNK_BITS;
/** In the word that links a row to the next one of its trace: its hops are stated. */
const STATED = 1;

/** Traces and rows are numbers: places in the arrays here. */
export class TraceTable {
	rows = 0;
	traces = 0;
	/** Two views of each chunk. */
	private readonly words: Uint32Array[] = [];
	private readonly floats: Float64Array[] = [];
	private nextRow = new Uint32Array(0);
	private rowFacts = new Uint32Array(0);
	private usedRows = 0;
	private freeRow = NONE;

	private traceIds = new Uint32Array(0);
	private firstRow = new Int32Array(0);
	private lastRow = new Int32Array(0);
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
		this.firstRow[trace] = this.lastRow[trace] = NONE;
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
		const { nextRow } = this;
		const words = this.words[place >>> CHUNK_BITS]!;
		const floats = this.floats[place >>> CHUNK_BITS]!;
		const at = (place & (CHUNK_ROWS - 1)) * ROW_WORDS;
		const wordAt = row * WORDS_A_ROW + WORD.spanId;
		for (let i = 0; i < ID_WORDS; i++) words[at + i] = from.words[wordAt + i]!;
		const floatAt = at / 2 + NUMBERS_AT;
		for (let i = 0; i < NUMBERS_A_ROW; i++) floats[floatAt + i] = from.numbers[row * NUMBERS_A_ROW + i]!;
		this.rowFacts[place] = facts;
		nextRow[place] = linkTo(NONE) | (isStated ? STATED : 0);
		// Behind the others: senders send parents before children more often than not, and what is in order need not be sorted.
		const last = this.lastRow[trace]!;
		if (last === NONE) this.firstRow[trace] = place;
		else nextRow[last] = linkTo(place) | (nextRow[last]! & STATED);
		this.lastRow[trace] = place;
		this.rowCount[trace] = this.rowCount[trace]! + 1;
		this.rows++;
	}

	rowsOf(trace: number): number {
		return this.rowCount[trace]!;
	}

	/** Makes it the newest. */
	touch(trace: number, nowMs: number): void {
		// Which of those of one moment goes first does not matter.
		if (this.touchedMs[trace] === nowMs) return;
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
		const { scratch, nextRow } = this;
		scratch.ensure(this.rowCount[trace]!);
		scratch.count = 0;
		for (let row = this.firstRow[trace]!; row !== NONE;) {
			const next = nextRow[row]!;
			if (!onlyStated || (next & STATED) !== 0)
				scratch.add(
					this.words[row >>> CHUNK_BITS]!,
					this.floats[row >>> CHUNK_BITS]!,
					row & (CHUNK_ROWS - 1),
					facts,
					this.rowFacts[row]!,
				);
			row = linked(next);
		}
		return scratch;
	}

	/** Calls back with each row's place. */
	eachRow(trace: number, call: (row: number) => void): void {
		for (let row = this.firstRow[trace]!; row !== NONE; row = linked(this.nextRow[row]!)) call(row);
	}

	setStated(trace: number): void {
		const { nextRow } = this;
		for (let row = this.firstRow[trace]!; row !== NONE; row = linked(nextRow[row]!)) nextRow[row]! |= STATED;
	}

	factsOf(row: number): number {
		return this.rowFacts[row]!;
	}

	setFacts(row: number, facts: number): void {
		this.rowFacts[row] = facts;
	}

	traceWord(trace: number, at: number): number {
		return this.traceIds[trace * 4 + at]!;
	}

	remove(trace: number): void {
		const last = this.lastRow[trace]!;
		if (last !== NONE) {
			this.nextRow[last] = linkTo(this.freeRow);
			this.freeRow = this.firstRow[trace]!;
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
			this.freeRow = linked(this.nextRow[free]!);
			return free;
		}
		if (this.usedRows === this.words.length * CHUNK_ROWS) {
			const chunk = new ArrayBuffer(CHUNK_ROWS * ROW_WORDS * 4);
			this.words.push(new Uint32Array(chunk));
			this.floats.push(new Float64Array(chunk));
			if (this.usedRows === this.nextRow.length) {
				const size = Math.max(CHUNK_ROWS, this.usedRows * 2);
				this.nextRow = widened(this.nextRow, size);
				this.rowFacts = widened(this.rowFacts, size);
			}
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
		this.lastRow = widenedSigned(this.lastRow, size);
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

/** How a row names the next one; the lowest bit is the mark's. */
function linkTo(row: number): number {
	return (row + 1) << 1;
}

function linked(word: number): number {
	return (word >>> 1) - 1;
}

/** Arrays that hold one trace at a time for the rules. */
class Scratch implements TraceSpans {
	count = 0;
	spanId = new Uint32Array(0);
	parentId = new Uint32Array(0);
	requestId = new Uint32Array(0);
	startMs = new Float64Array(0);
	durationNs = new Float64Array(0);
	requestBytes = new Float64Array(0);
	responseBytes = new Float64Array(0);
	weight = new Float64Array(0);
	readonly facts: SpanFacts[] = [];
	factsNumber = new Uint32Array(0);
	private size = 0;

	/** @param from place of the row in the two arrays */
	add(words: Uint32Array, floats: Float64Array, from: number, known: readonly SpanFacts[], facts: number): void {
		const row = this.count++;
		const at = from * ROW_WORDS;
		const floatAt = from * ROW_FLOATS + NUMBERS_AT;
		this.spanId[row * 2] = words[at]!;
		this.spanId[row * 2 + 1] = words[at + 1]!;
		this.parentId[row * 2] = words[at + 2]!;
		this.parentId[row * 2 + 1] = words[at + 3]!;
		this.requestId[row * 2] = words[at + 4]!;
		this.requestId[row * 2 + 1] = words[at + 5]!;
		this.startMs[row] = floats[floatAt + NUMBER.startMs]!;
		this.durationNs[row] = floats[floatAt + NUMBER.durationNs]!;
		this.requestBytes[row] = floats[floatAt + NUMBER.requestBytes]!;
		this.responseBytes[row] = floats[floatAt + NUMBER.responseBytes]!;
		this.weight[row] = floats[floatAt + NUMBER.weight]!;
		this.facts[row] = known[facts]!;
		this.factsNumber[row] = facts;
	}

	ensure(rows: number): void {
		if (rows > this.size) this.grow(rows);
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
		this.factsNumber = new Uint32Array(size);
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
