/**
 * The parts of a block that have a value for each row, written a stretch at a time.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteWriter } from "./bytes.ts";
import { writeIndices } from "./indices.ts";
import { wordScratch } from "./scratch.ts";

/** Traces `[first, end)` of an order of rows. */
export interface TraceRange {
	readonly rows: Uint32Array;
	readonly firstOfTrace: Uint32Array;
	readonly first: number;
	readonly end: number;
}

// One block is encoded at a time in a thread, so the parts share writers that keep their memory. What is given back is valid until
// the next stretch.
const tracesOut = new ByteWriter(4096);
const timesOut = new ByteWriter(4096);
const durationsOut = new ByteWriter(4096);
const classesOut = new ByteWriter(4096);
const idsOut = new ByteWriter(4096);
const classScratch = wordScratch();
const layoutScratch = wordScratch();

const MAX_PARENT_PLACE = 253;

export function rowsOfRange({ rows, firstOfTrace, first, end }: TraceRange): Uint32Array {
	return rows.subarray(firstOfTrace[first]!, firstOfTrace[end]!);
}

export function encodeTraces({ traceId }: BlockBuilder, { rows, firstOfTrace, first, end }: TraceRange): Uint8Array {
	const out = tracesOut;
	out.reset();
	out.varint(end - first);
	for (let trace = first; trace < end; trace++) out.words(traceId, rows[firstOfTrace[trace]!]! * 4, 4);
	for (let trace = first; trace < end; trace++) out.varint(firstOfTrace[trace + 1]! - firstOfTrace[trace]!);
	return out.view();
}

export function encodeTimes({ offset }: BlockBuilder, range: TraceRange): Uint8Array {
	const { rows, firstOfTrace, first, end } = range;
	const out = timesOut;
	out.reset();
	// Offsets of first rows count from the earliest, so that they are never negative.
	let min = Infinity;
	for (let i = firstOfTrace[first]!, rowsEnd = firstOfTrace[end]!; i < rowsEnd; i++) min = Math.min(min, offset[rows[i]!]!);
	out.zigzag(min);
	for (let trace = first; trace < end; trace++) {
		let previous = min;
		for (let i = firstOfTrace[trace]!, rowsEnd = firstOfTrace[trace + 1]!; i < rowsEnd; i++) {
			const time = offset[rows[i]!]!;
			out.varint(time - previous);
			previous = time;
		}
	}
	return out.view();
}

export function encodeDurations({ duration }: BlockBuilder, range: TraceRange): Uint8Array {
	const out = durationsOut;
	out.reset();
	const rows = rowsOfRange(range);
	for (let i = 0; i < rows.length; i++) out.zigzag(duration[rows[i]!]!);
	return out.view();
}

export function encodeClasses(builder: BlockBuilder, range: TraceRange): Uint8Array {
	const { rowClass, rowLayout } = builder;
	const rows = rowsOfRange(range);
	const classes = classScratch(rows.length);
	const layouts = layoutScratch(rows.length);
	for (let i = 0; i < rows.length; i++) {
		const row = rows[i]!;
		classes[i] = rowClass[row]!;
		layouts[i] = rowLayout[row]!;
	}
	const out = classesOut;
	out.reset();
	writeIndices(out, classes, builder.classes.length);
	writeIndices(out, layouts, builder.layouts.length);
	return out.view();
}

export function encodeIds(builder: BlockBuilder, range: TraceRange): Uint8Array {
	const { rows, firstOfTrace } = range;
	const { spanId, parentId } = builder;
	const own = rowsOfRange(range);
	const out = idsOut;
	out.reset();
	for (let i = 0; i < own.length; i++) out.words(spanId, own[i]! * 2, 2);
	// A byte a row for the parent: 0 none, 1 an id given in full behind the bytes, else 2 + its place among the rows of the trace.
	const codesAt = out.length - firstOfTrace[range.first]!;
	out.reserve(own.length);
	out.length += own.length;
	for (let trace = range.first; trace < range.end; trace++) {
		const first = firstOfTrace[trace]!;
		const end = firstOfTrace[trace + 1]!;
		const placeOf = end - first > 48 ? placesBySpanId(builder, rows, first, end) : undefined;
		for (let i = first; i < end; i++) {
			const at = rows[i]! * 2;
			const p0 = parentId[at]!;
			const p1 = parentId[at + 1]!;
			let code = 0;
			if ((p0 | p1) !== 0) {
				let place = -1;
				if (placeOf !== undefined) place = placeOf.get(p0 * 4_294_967_296 + p1) ?? -1;
				else
					for (let j = first; j < end; j++) {
						const other = rows[j]! * 2;
						if (spanId[other + 1] === p1 && spanId[other] === p0) {
							place = j - first;
							break;
						}
					}
				const other = place < 0 ? -1 : rows[first + place]! * 2;
				const known = other >= 0 && place <= MAX_PARENT_PLACE && spanId[other + 1] === p1 && spanId[other] === p0;
				code = known ? place + 2 : 1;
				if (!known) {
					out.word(p0);
					out.word(p1);
				}
			}
			out.bytes[codesAt + i] = code;
		}
	}
	return out.view();
}

/** Doubles of 64-bit ids can clash in their last 11 bits; the caller compares the id it finds. */
function placesBySpanId(builder: BlockBuilder, rows: Uint32Array, first: number, end: number): Map<number, number> {
	const places = new Map<number, number>();
	for (let i = first; i < end; i++) {
		const at = rows[i]! * 2;
		const key = builder.spanId[at]! * 4_294_967_296 + builder.spanId[at + 1]!;
		if (!places.has(key)) places.set(key, i - first);
	}
	return places;
}
