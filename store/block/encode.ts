/**
 * Turns a full builder into the parts of a block: rows in trace order, columns with dictionaries of their own, statistics.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteWriter } from "./bytes.ts";
import { collectTokens, type TokenSource } from "./tokens.ts";
import { buildFilter } from "./filter.ts";
import { BLOCK_FORMAT, type BlockOperation, type BlockParts, type EncodedBlock, MAX_OFFSET, SLOT, traceHash } from "./format.ts";
import { sealPart } from "./seal.ts";

const MAX_INT64 = (1n << 63n) - 1n;

export function encodeBlock(builder: BlockBuilder, options: { readonly level: number; readonly withFilter: boolean }): EncodedBlock {
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
		columns: sealPart(columns.bytes, level),
		heap: sealPart(columns.heap, level),
	};
	if (options.withFilter) parts.filter = sealPart(buildFilter(collectTokens(tokenSource(builder))), 0);
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

interface RowOrder {
	/** Builder rows in the order of the block. */
	readonly rows: Uint32Array;
	/** For each trace, in order: its first place in `rows`; one longer than the traces. */
	readonly firstOfTrace: Uint32Array;
	readonly hashes: Float64Array;
}

/** Groups rows by trace id through a hash table, orders the traces by hash, then the rows of each by first time. */
function orderRows(builder: BlockBuilder): RowOrder {
	const { rows, traceId, offset } = builder;
	let size = 1024;
	while (size < rows * 2) size *= 2;
	const mask = size - 1;
	const table = new Int32Array(size);
	const traceOf = new Uint32Array(rows);
	const firstRow = new Uint32Array(rows);
	const counts = new Uint32Array(rows);
	const hashes = new Float64Array(rows);
	let traces = 0;
	for (let row = 0; row < rows; row++) {
		const at = row * 4;
		const w0 = traceId[at]!;
		const w1 = traceId[at + 1]!;
		const w2 = traceId[at + 2]!;
		const w3 = traceId[at + 3]!;
		const hash = traceHash(w0, w1, w2, w3);
		let slot = Math.floor(hash / 65_536) & mask;
		let trace = -1;
		for (let found = table[slot]!; found !== 0; found = table[slot]!) {
			const other = firstRow[found - 1]! * 4;
			if (traceId[other + 3] === w3 && traceId[other + 2] === w2 && traceId[other + 1] === w1 && traceId[other] === w0) {
				trace = found - 1;
				break;
			}
			slot = (slot + 1) & mask;
		}
		if (trace < 0) {
			trace = traces++;
			table[slot] = trace + 1;
			firstRow[trace] = row;
			hashes[trace] = hash;
		}
		traceOf[row] = trace;
		counts[trace] = counts[trace]! + 1;
	}
	const ranked = rankTraces(hashes.subarray(0, traces), (trace) => firstRow[trace]! * 4, traceId);
	const placeOf = new Uint32Array(traces);
	const firstOfTrace = new Uint32Array(traces + 1);
	const sortedHashes = new Float64Array(traces);
	for (let rank = 0, at = 0; rank < traces; rank++) {
		const trace = ranked[rank]!;
		sortedHashes[rank] = hashes[trace]!;
		firstOfTrace[rank] = placeOf[trace] = at;
		at += counts[trace]!;
		firstOfTrace[rank + 1] = at;
	}
	const ordered = new Uint32Array(rows);
	for (let row = 0; row < rows; row++) {
		const trace = traceOf[row]!;
		const place = placeOf[trace]!;
		ordered[place] = row;
		placeOf[trace] = place + 1;
	}
	for (let rank = 0; rank < traces; rank++) sortByTime(ordered.subarray(firstOfTrace[rank]!, firstOfTrace[rank + 1]!), offset);
	return { rows: ordered, firstOfTrace, hashes: sortedHashes };
}

/**
 * Trace numbers ordered by (hash, id). The sort runs natively over doubles that hold the upper 33 bits of the hash and the trace's
 * number in the lower 20, so a block takes up to 1,048,576 traces; the few ties are put right afterwards.
 */
function rankTraces(hashes: Float64Array, idAt: (trace: number) => number, traceId: Uint32Array): Uint32Array {
	const count = hashes.length;
	if (count > 1_048_576) throw new RangeError("too many traces for one block");
	const keys = new Float64Array(count);
	for (let trace = 0; trace < count; trace++) keys[trace] = Math.floor(hashes[trace]! / 32_768) * 1_048_576 + trace;
	keys.sort();
	const ranked = new Uint32Array(count);
	for (let rank = 0; rank < count; rank++) ranked[rank] = keys[rank]! % 1_048_576;
	for (let rank = 1; rank < count; rank++) {
		const trace = ranked[rank]!;
		let place = rank;
		while (place > 0 && isAfter(ranked[place - 1]!, trace)) {
			ranked[place] = ranked[place - 1]!;
			place--;
		}
		ranked[place] = trace;
	}
	return ranked;

	function isAfter(a: number, b: number): boolean {
		if (hashes[a] !== hashes[b]) return hashes[a]! > hashes[b]!;
		const idA = idAt(a);
		const idB = idAt(b);
		for (let i = 0; i < 4; i++) if (traceId[idA + i] !== traceId[idB + i]) return traceId[idA + i]! > traceId[idB + i]!;
		return false;
	}
}

function sortByTime(rows: Uint32Array, offset: Float64Array): void {
	if (rows.length > 40) {
		// Stable like the insertion below: rows of one moment keep the order of their arrival.
		rows.sort((a, b) => offset[a]! - offset[b]! || a - b);
		return;
	}
	for (let i = 1; i < rows.length; i++) {
		const row = rows[i]!;
		const time = offset[row]!;
		let place = i;
		while (place > 0 && offset[rows[place - 1]!]! > time) {
			rows[place] = rows[place - 1]!;
			place--;
		}
		rows[place] = row;
	}
}

function encodeTraces(builder: BlockBuilder, order: RowOrder): Uint8Array {
	const { rows, firstOfTrace, hashes } = order;
	const out = new ByteWriter(hashes.length * 18 + 8);
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
	const { offset, duration, baseNs } = builder;
	const times = new ByteWriter(rows.length * 6 + 16);
	const durations = new ByteWriter(rows.length * 5 + 16);
	let min = Infinity;
	let max = -Infinity;
	let minDuration = Infinity;
	let maxDuration = -Infinity;
	for (let i = 0; i < rows.length; i++) {
		const row = rows[i]!;
		const time = offset[row]!;
		if (time < min) min = time;
		if (time > max) max = time;
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
	let minTimeNs = baseNs + BigInt(min);
	let maxTimeNs = baseNs + BigInt(max);
	for (const { time0 } of builder.wideRows.values()) {
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
	const out = new ByteWriter(rows.length * 4 + 16);
	for (let i = 0; i < rows.length; i++) {
		const row = rows[i]!;
		const entry = rowClass[row]!;
		stats.rows[entry] = stats.rows[entry]! + 1;
		const length = duration[row]!;
		if (length < stats.minDuration[entry]!) stats.minDuration[entry] = length;
		if (length > stats.maxDuration[entry]!) stats.maxDuration[entry] = length;
	}
	writeIndices(out, rows.length, count, (i) => rowClass[rows[i]!]!);
	writeIndices(out, rows.length, builder.layouts.length, (i) => rowLayout[rows[i]!]!);
	return { bytes: out.view(), stats };
}

/** One, two or four bytes a number, by how many there are; nothing at all where there is only one. */
function writeIndices(out: ByteWriter, count: number, distinct: number, valueAt: (i: number) => number): void {
	if (distinct <= 1) return;
	if (distinct <= 256) {
		out.reserve(count);
		const { bytes, length } = out;
		for (let i = 0; i < count; i++) bytes[length + i] = valueAt(i);
		out.length += count;
	} else if (distinct <= 65_536) {
		out.reserve(count * 2);
		const { bytes, length } = out;
		// Low bytes, then high bytes: each half compresses better than the two mixed.
		for (let i = 0; i < count; i++) {
			const value = valueAt(i);
			bytes[length + i] = value;
			bytes[length + count + i] = value >>> 8;
		}
		out.length += count * 2;
	} else for (let i = 0; i < count; i++) out.word(valueAt(i));
}

function encodeIds(builder: BlockBuilder, order: RowOrder): Uint8Array {
	const { rows, firstOfTrace } = order;
	const { spanId, parentId } = builder;
	const out = new ByteWriter(rows.length * 10 + 16);
	for (let i = 0; i < rows.length; i++) {
		const at = rows[i]! * 2;
		out.word(spanId[at]!);
		out.word(spanId[at + 1]!);
	}
	// A parent is 0 for none, 1 for an id given in full, else 2 + its place among the rows of the trace.
	for (let trace = 0; trace + 1 < firstOfTrace.length; trace++) {
		const first = firstOfTrace[trace]!;
		const end = firstOfTrace[trace + 1]!;
		const placeOf = end - first > 48 ? placesBySpanId(builder, rows, first, end) : undefined;
		for (let i = first; i < end; i++) {
			const at = rows[i]! * 2;
			const p0 = parentId[at]!;
			const p1 = parentId[at + 1]!;
			if ((p0 | p1) === 0) {
				out.byte(0);
				continue;
			}
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
			if (place >= 0 && spanId[rows[first + place]! * 2 + 1] === p1 && spanId[rows[first + place]! * 2] === p0) out.varint(place + 2);
			else {
				out.byte(1);
				out.word(p0);
				out.word(p1);
			}
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

/**
 * Item columns, a layout at a time. Each column has a dictionary of its own (numbers of block entries, in order of appearance) and
 * indices into it, so a column of one value costs nothing a row. Entries are renumbered in the order of the columns, which puts
 * values of one key side by side in the heap.
 */
function encodeColumns(builder: BlockBuilder, ordered: Uint32Array): { bytes: Uint8Array; heap: Uint8Array; newIdOf: Uint32Array } {
	const { dictionary, rowLayout, rowItems, items, layouts } = builder;
	const newIdOf = new Uint32Array(dictionary.count + 1);
	const heap = new HeapWriter(builder);
	const out = new ByteWriter(ordered.length * 20 + 64);
	const rowsOf = rowsByLayout(ordered, rowLayout, layouts.length);
	/** Index of an entry in the dictionary of the column under way; valid where `epochOf` is that column's. */
	const localOf = new Uint32Array(dictionary.count + 1);
	const epochOf = new Uint32Array(dictionary.count + 1);
	const indices = new Uint32Array(ordered.length);
	let epoch = 0;
	for (let layout = 0; layout < layouts.length; layout++) {
		const rows = rowsOf[layout]!;
		const width = layouts[layout]!.slots.reduce((total, slot) => total + (slot === SLOT.item ? 1 : 0), 0);
		const entries = new ByteWriter();
		for (let position = 0; position < width; position++) {
			epoch++;
			let distinct = 0;
			let previous = 0;
			entries.reset();
			for (let k = 0; k < rows.length; k++) {
				const id = items[rowItems[rows[k]!]! + position]!;
				if (epochOf[id] !== epoch) {
					epochOf[id] = epoch;
					localOf[id] = distinct++;
					let renumbered = newIdOf[id]!;
					if (renumbered === 0) renumbered = newIdOf[id] = heap.add(id);
					entries.zigzag(renumbered - previous - 1);
					previous = renumbered;
				}
				indices[k] = localOf[id]!;
			}
			out.varint(distinct);
			out.raw(entries.bytes, 0, entries.length);
			writeIndices(out, rows.length, distinct, (k) => indices[k]!);
		}
	}
	for (const scope of builder.scopes) {
		if (scope.resourceItem !== 0 && newIdOf[scope.resourceItem] === 0) newIdOf[scope.resourceItem] = heap.add(scope.resourceItem);
		if (scope.scopeItem !== 0 && newIdOf[scope.scopeItem] === 0) newIdOf[scope.scopeItem] = heap.add(scope.scopeItem);
	}
	for (const { nameItem, kindItem } of builder.classes) {
		if (nameItem !== 0 && newIdOf[nameItem] === 0) newIdOf[nameItem] = heap.add(nameItem);
		if (kindItem !== 0 && newIdOf[kindItem] === 0) newIdOf[kindItem] = heap.add(kindItem);
	}
	return { bytes: out.view(), heap: heap.finish(), newIdOf };
}

function rowsByLayout(ordered: Uint32Array, rowLayout: Uint32Array, layouts: number): Uint32Array[] {
	const counts = new Uint32Array(layouts);
	for (let i = 0; i < ordered.length; i++) counts[rowLayout[ordered[i]!]!]!++;
	const rowsOf = Array.from(counts, (count) => new Uint32Array(count));
	counts.fill(0);
	for (let i = 0; i < ordered.length; i++) {
		const row = ordered[i]!;
		const layout = rowLayout[row]!;
		rowsOf[layout]![counts[layout]!++] = row;
	}
	return rowsOf;
}

/** Entries with what they share with the one before left out: values of one key lie side by side and begin alike. */
class HeapWriter {
	private readonly builder: BlockBuilder;
	private readonly shared = new ByteWriter(4096);
	private readonly suffixLengths = new ByteWriter(4096);
	private readonly suffixes = new ByteWriter(65_536);
	private count = 0;
	private previous = 0;

	constructor(builder: BlockBuilder) {
		this.builder = builder;
	}

	add(id: number): number {
		const { heap, starts, lengths } = this.builder.dictionary;
		const start = starts[id]!;
		const length = lengths[id]!;
		let same = 0;
		if (this.previous !== 0) {
			const other = starts[this.previous]!;
			const most = Math.min(length, lengths[this.previous]!, 255);
			while (same < most && heap[start + same] === heap[other + same]) same++;
		}
		this.shared.byte(same);
		this.suffixLengths.varint(length - same);
		this.suffixes.raw(heap, start + same, start + length);
		this.previous = id;
		return ++this.count;
	}

	finish(): Uint8Array {
		const out = new ByteWriter(this.shared.length + this.suffixLengths.length + this.suffixes.length + 24);
		out.varint(this.count);
		out.varint(this.suffixLengths.length);
		out.raw(this.shared.bytes, 0, this.shared.length);
		out.raw(this.suffixLengths.bytes, 0, this.suffixLengths.length);
		out.raw(this.suffixes.bytes, 0, this.suffixes.length);
		return out.view();
	}
}

const encoder = new TextEncoder();

function encodeHead(builder: BlockBuilder, order: RowOrder, stats: ClassStats, newIdOf: Uint32Array): Uint8Array {
	const out = new ByteWriter(4096);
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

function operationsOf(builder: BlockBuilder): BlockOperation[] {
	const seen = new Map<string, BlockOperation>();
	for (const entry of builder.classes) {
		const service = builder.scopes[entry.scope]!.service;
		const key = `${service}\u0000${entry.kind}\u0000${entry.name}`;
		if (!seen.has(key)) seen.set(key, { service, name: entry.name, kind: entry.kind });
	}
	return [...seen.values()];
}

/** Every attribute of the block once: the distinct attribute fields of rows, and the attributes of each resource. */
function tokenSource(builder: BlockBuilder): TokenSource {
	const { dictionary } = builder;
	return {
		shape: builder.shape,
		items: dictionary.count,
		item: (id) => dictionary.item(id),
		isResource: new Set(builder.scopes.map((scope) => scope.resourceItem)),
	};
}
