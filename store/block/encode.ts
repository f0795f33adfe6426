/**
 * Turns a full builder into the parts of a block: rows in trace order, columns with dictionaries of their own, statistics.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteWriter } from "./bytes.ts";
import { type EncodedColumns, encodeColumns } from "./columns.ts";
import { writeIndices } from "./indices.ts";
import { HeapReader } from "./heap.ts";
import { collectTokens } from "./tokens.ts";
import { buildFilter } from "./filter.ts";
import { BLOCK_FORMAT, type BlockOperation, type BlockParts, type EncodedBlock, MAX_OFFSET } from "./format.ts";
import { orderRows, type RowOrder } from "./order.ts";
import { wordScratch } from "./scratch.ts";
import { sealPart } from "./seal.ts";

// One block is encoded at a time in a thread, so the parts share writers that keep their memory.
const headOut = new ByteWriter(4096);
const tracesOut = new ByteWriter(4096);
const timesOut = new ByteWriter(4096);
const durationsOut = new ByteWriter(4096);
const classesOut = new ByteWriter(4096);
const idsOut = new ByteWriter(4096);
const classScratch = wordScratch();
const layoutScratch = wordScratch();

const MAX_PARENT_PLACE = 253;
const MAX_INT64 = (1n << 63n) - 1n;

export function encodeBlock(
	builder: BlockBuilder,
	options: { readonly level: number; readonly withFilter: boolean },
): EncodedBlock {
	const { level } = options;
	const order = orderRows(builder);
	const times = encodeTimes(builder, order);
	const columns = encodeColumns(builder, order.rows);
	const classes = encodeClasses(builder, order);
	const parts: { -readonly [name in keyof BlockParts]: BlockParts[name] } = {
		head: sealPart(encodeHead(builder, order, classes.stats, columns.newIdOf), level),
		traces: sealPart(encodeTraces(builder, order), 0),
		times: sealPart(times.times, 0),
		durations: sealPart(times.durations, 0),
		classes: sealPart(classes.bytes, level),
		ids: sealPart(encodeIds(builder, order), 0),
		columns: sealPart(columns.columns, level),
		heap: sealPart(columns.heap, level),
	};
	if (options.withFilter) parts.filter = encodeFilter(builder, columns);
	const operations = operationsOf(builder);
	return {
		summary: {
			signal: builder.shape.signal,
			rows: builder.rows,
			traces: order.hashes.length,
			minTimeNs: times.minTimeNs,
			maxTimeNs: times.maxTimeNs,
			minDurationNs: times.minDuration,
			maxDurationNs: times.maxDuration,
			services: [...new Set(builder.scopes.map((scope) => scope.service))].sort(),
		},
		parts,
		traceHashes: order.hashes,
		operations,
	};
}

function encodeTraces(builder: BlockBuilder, order: RowOrder): Uint8Array {
	const { rows, firstOfTrace, hashes } = order;
	const out = tracesOut;
	out.reset();
	out.varint(hashes.length);
	for (let trace = 0; trace < hashes.length; trace++) {
		const at = rows[firstOfTrace[trace]!]! * 4;
		for (let i = 0; i < 4; i++) out.word(builder.traceId[at + i]!);
	}
	for (let trace = 0; trace < hashes.length; trace++) out.varint(firstOfTrace[trace + 1]! - firstOfTrace[trace]!);
	return out.view();
}

function encodeTimes(
	builder: BlockBuilder,
	order: RowOrder,
): { times: Uint8Array; durations: Uint8Array; minTimeNs: bigint; maxTimeNs: bigint; minDuration: number; maxDuration: number } {
	const { rows, firstOfTrace } = order;
	const { offset, duration, baseNs, wideRows } = builder;
	const times = timesOut;
	const durations = durationsOut;
	times.reset();
	durations.reset();
	let min = Infinity;
	/** Of rows whose times are in the columns. */
	let zoneMin = Infinity;
	let zoneMax = -Infinity;
	let minDuration = Infinity;
	let maxDuration = -Infinity;
	for (let i = 0; i < rows.length; i++) {
		const row = rows[i]!;
		const time = offset[row]!;
		if (time < min) min = time;
		if (wideRows.size === 0 || !wideRows.has(row)) {
			if (time < zoneMin) zoneMin = time;
			if (time > zoneMax) zoneMax = time;
		}
		const length = duration[row]!;
		if (length < minDuration) minDuration = length;
		if (length > maxDuration) maxDuration = length;
	}
	// Offsets of first rows count from the earliest, so that they are never negative.
	times.zigzag(min);
	for (let trace = 0; trace + 1 < firstOfTrace.length; trace++) {
		let previous = min;
		for (let i = firstOfTrace[trace]!, end = firstOfTrace[trace + 1]!; i < end; i++) {
			const time = offset[rows[i]!]!;
			times.varint(time - previous);
			previous = time;
		}
	}
	for (let i = 0; i < rows.length; i++) durations.zigzag(duration[rows[i]!]!);
	let minTimeNs = zoneMin === Infinity ? MAX_INT64 : baseNs + BigInt(zoneMin);
	let maxTimeNs = zoneMax === -Infinity ? 0n : baseNs + BigInt(zoneMax);
	for (const { time0 } of wideRows.values()) {
		if (time0 < minTimeNs) minTimeNs = time0;
		if (time0 > maxTimeNs) maxTimeNs = time0;
	}
	if (minTimeNs < 0n) minTimeNs = 0n;
	return {
		times: times.view(),
		durations: durations.view(),
		minTimeNs: minTimeNs > MAX_INT64 ? MAX_INT64 : minTimeNs,
		maxTimeNs: maxTimeNs > MAX_INT64 ? MAX_INT64 : maxTimeNs,
		minDuration,
		maxDuration,
	};
}

interface ClassStats {
	readonly rows: Uint32Array;
	readonly minDuration: Float64Array;
	readonly maxDuration: Float64Array;
}

function encodeClasses(builder: BlockBuilder, order: RowOrder): { bytes: Uint8Array; stats: ClassStats } {
	const count = builder.classes.length;
	const stats: ClassStats = {
		rows: new Uint32Array(count),
		minDuration: new Float64Array(count).fill(MAX_OFFSET),
		maxDuration: new Float64Array(count).fill(-MAX_OFFSET),
	};
	const { rows } = order;
	const { rowClass, rowLayout, duration } = builder;
	const out = classesOut;
	out.reset();
	const classes = classScratch(rows.length);
	const layouts = layoutScratch(rows.length);
	for (let i = 0; i < rows.length; i++) {
		const row = rows[i]!;
		const entry = (classes[i] = rowClass[row]!);
		layouts[i] = rowLayout[row]!;
		stats.rows[entry] = stats.rows[entry]! + 1;
		const length = duration[row]!;
		if (length < stats.minDuration[entry]!) stats.minDuration[entry] = length;
		if (length > stats.maxDuration[entry]!) stats.maxDuration[entry] = length;
	}
	writeIndices(out, classes, count);
	writeIndices(out, layouts, builder.layouts.length);
	return { bytes: out.view(), stats };
}

function encodeIds(builder: BlockBuilder, order: RowOrder): Uint8Array {
	const { rows, firstOfTrace } = order;
	const { spanId, parentId } = builder;
	const out = idsOut;
	out.reset();
	for (let i = 0; i < rows.length; i++) {
		const at = rows[i]! * 2;
		out.word(spanId[at]!);
		out.word(spanId[at + 1]!);
	}
	// A byte a row for the parent: 0 none, 1 an id given in full behind the bytes, else 2 + its place among the rows of the trace.
	const codesAt = out.length;
	out.reserve(rows.length);
	out.length += rows.length;
	for (let trace = 0; trace + 1 < firstOfTrace.length; trace++) {
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

const encoder = new TextEncoder();

function encodeHead(builder: BlockBuilder, order: RowOrder, stats: ClassStats, newIdOf: Uint32Array): Uint8Array {
	const out = headOut;
	out.reset();
	out.byte(BLOCK_FORMAT);
	out.byte(builder.shape.signal === "traces" ? 0 : 1);
	out.varint(builder.rows);
	out.bigint64(builder.baseNs);
	const services = [...new Set(builder.scopes.map((scope) => scope.service))];
	const serviceOf = new Map(services.map((service, i) => [service, i]));
	out.varint(services.length);
	for (const service of services) out.lengthPrefixed(encoder.encode(service));
	out.varint(builder.scopes.length);
	for (const scope of builder.scopes) {
		out.varint(newIdOf[scope.resourceItem]!);
		out.varint(newIdOf[scope.scopeItem]!);
		out.varint(serviceOf.get(scope.service)!);
	}
	const names = [...new Set(builder.classes.map((entry) => entry.name))];
	const nameOf = new Map(names.map((name, i) => [name, i]));
	out.varint(names.length);
	for (const name of names) out.lengthPrefixed(encoder.encode(name));
	out.varint(builder.classes.length);
	for (const [i, entry] of builder.classes.entries()) {
		out.varint(entry.scope);
		out.varint(nameOf.get(entry.name)!);
		out.varint(newIdOf[entry.nameItem]!);
		out.varint(newIdOf[entry.kindItem]!);
		out.byte(entry.kind);
		out.byte(entry.status);
		out.varint(stats.rows[i]!);
		out.zigzag(stats.minDuration[i]!);
		out.zigzag(stats.maxDuration[i]!);
	}
	out.varint(builder.layouts.length);
	for (const layout of builder.layouts) {
		out.word(layout.hash >>> 0);
		out.lengthPrefixed(layout.slots);
	}
	out.varint(builder.wideRows.size);
	if (builder.wideRows.size > 0) {
		const placeOf = new Uint32Array(builder.rows);
		for (let i = 0; i < order.rows.length; i++) placeOf[order.rows[i]!] = i;
		for (const [row, times] of builder.wideRows) {
			out.varint(placeOf[row]!);
			out.bigint64(times.time0);
			out.bigint64(times.time1);
		}
	}
	return out.view();
}

function encodeFilter(builder: BlockBuilder, { heap, newIdOf }: EncodedColumns): Uint8Array {
	const isResource = new Set(builder.scopes.map(({ resourceItem }) => newIdOf[resourceItem]!));
	return sealPart(buildFilter(collectTokens({ shape: builder.shape, heap: new HeapReader(heap), isResource })), 0);
}

function operationsOf(builder: BlockBuilder): BlockOperation[] {
	const seen = new Map<string, BlockOperation>();
	for (const entry of builder.classes) {
		const service = builder.scopes[entry.scope]!.service;
		const key = `${service}\u0000${entry.kind}\u0000${entry.name}`;
		if (!seen.has(key)) seen.set(key, { service, name: entry.name, kind: entry.kind });
	}
	return [...seen.values()];
}
