/**
 * Turns a full builder into the parts of a block: rows in trace order, cut into stretches, columns with dictionaries of their own,
 * statistics.
 */
import type { BlockBuilder } from "./builder.ts";
import { ByteWriter } from "./bytes.ts";
import { ColumnsEncoder } from "./columns.ts";
import {
	encodeClasses,
	encodeDurations,
	encodeIds,
	encodeTimes,
	encodeTraces,
	rowsOfRange,
	type TraceRange,
} from "./encode-rows.ts";
import { cutIntoStretches } from "./cuts.ts";
import { buildFilter } from "./filter.ts";
import { BLOCK_FORMAT, type BlockOperation, type BlockParts, type EncodedBlock, MAX_OFFSET } from "./format.ts";
import { orderRows, type RowOrder } from "./order.ts";
import { SealedChunks, sealPart } from "./seal.ts";
import { STRETCHED_PARTS, type StretchedPart, writeDirectory, type WrittenStretch } from "./stretches.ts";
import { collectTokens } from "./tokens.ts";

// One block is encoded at a time in a thread, so the parts share writers that keep their memory.
const headOut = new ByteWriter(4096);
const directoryOut = new ByteWriter(1024);
const stretchedOut: Readonly<Record<StretchedPart, SealedChunks>> = {
	traces: new SealedChunks(),
	times: new SealedChunks(),
	durations: new SealedChunks(),
	classes: new SealedChunks(),
	ids: new SealedChunks(),
	columns: new SealedChunks(),
};

const MAX_INT64 = (1n << 63n) - 1n;

/** @throws Error for a block of no rows: there is none */
export function encodeBlock(
	builder: BlockBuilder,
	options: { readonly level: number; readonly withFilter: boolean },
): EncodedBlock {
	const { level } = options;
	if (builder.rows === 0) throw new Error("a block has a row at least");
	const order = orderRows(builder);
	const zone = timeZone(builder);
	const cuts = cutIntoStretches(builder, order);
	const ranges = cuts.slice(1).map((end, i): TraceRange => ({ ...order, first: cuts[i]!, end }));
	const columns = new ColumnsEncoder(builder, ranges.map(rowsOfRange), level);
	for (const part of STRETCHED_PARTS) stretchedOut[part].reset();
	const stretches = ranges.map((range): WrittenStretch => {
		const { traces, times, durations, classes, ids, columns: columnsOut } = stretchedOut;
		return {
			traces: range.end - range.first,
			rows: rowsOfRange(range).length,
			hash: order.hashes[range.first] ?? 0,
			// In the order of the directory.
			lengths: [
				traces.add(encodeTraces(builder, range), 0),
				times.add(encodeTimes(builder, range), 0),
				durations.add(encodeDurations(builder, range), 0),
				classes.add(encodeClasses(builder, range), level),
				ids.add(encodeIds(builder, range), 0),
				columnsOut.add(columns.stretch(rowsOfRange(range)), level),
			],
		};
	});
	const { heap, shared, own } = columns.finish();
	const parts: { -readonly [name in keyof BlockParts]: BlockParts[name] } = {
		head: sealPart(encodeHead(builder, order, classStats(builder), columns.newIdOf), level),
		heap,
	};
	for (const part of STRETCHED_PARTS) parts[part] = stretchedOut[part].view().slice();
	if (options.withFilter) parts.filter = encodeFilter(builder);
	if (stretches.length > 1) {
		directoryOut.reset();
		writeDirectory(directoryOut, stretches, shared, own);
		parts.stretches = sealPart(directoryOut.view(), 0);
	}
	// Of a block with long names, what they grew to is given back.
	headOut.reset();
	for (const part of STRETCHED_PARTS) stretchedOut[part].reset();
	return {
		summary: {
			signal: builder.shape.signal,
			rows: builder.rows,
			traces: order.hashes.length,
			minTimeNs: zone.minTimeNs,
			maxTimeNs: zone.maxTimeNs,
			minDurationNs: zone.minDuration,
			maxDurationNs: zone.maxDuration,
			services: [...new Set(builder.scopes.map((scope) => scope.service))].sort(),
		},
		parts,
		traceHashes: order.hashes,
		operations: operationsOf(builder),
	};
}

interface TimeZone {
	readonly minTimeNs: bigint;
	readonly maxTimeNs: bigint;
	readonly minDuration: number;
	readonly maxDuration: number;
}

function timeZone({ rows, offset, duration, baseNs, wideRows }: BlockBuilder): TimeZone {
	/** Of rows whose times are in the columns. */
	let min = Infinity;
	let max = -Infinity;
	let minDuration = Infinity;
	let maxDuration = -Infinity;
	for (let row = 0; row < rows; row++) {
		const length = duration[row]!;
		if (length < minDuration) minDuration = length;
		if (length > maxDuration) maxDuration = length;
		if (wideRows.size > 0 && wideRows.has(row)) continue;
		const time = offset[row]!;
		if (time < min) min = time;
		if (time > max) max = time;
	}
	let minTimeNs = min === Infinity ? MAX_INT64 : baseNs + BigInt(min);
	let maxTimeNs = max === -Infinity ? 0n : baseNs + BigInt(max);
	for (const { time0 } of wideRows.values()) {
		if (time0 < minTimeNs) minTimeNs = time0;
		if (time0 > maxTimeNs) maxTimeNs = time0;
	}
	if (minTimeNs < 0n) minTimeNs = 0n;
	return {
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

function classStats({ rows, rowClass, duration, classes }: BlockBuilder): ClassStats {
	const stats: ClassStats = {
		rows: new Uint32Array(classes.length),
		minDuration: new Float64Array(classes.length).fill(MAX_OFFSET),
		maxDuration: new Float64Array(classes.length).fill(-MAX_OFFSET),
	};
	for (let row = 0; row < rows; row++) {
		const entry = rowClass[row]!;
		stats.rows[entry]!++;
		const length = duration[row]!;
		if (length < stats.minDuration[entry]!) stats.minDuration[entry] = length;
		if (length > stats.maxDuration[entry]!) stats.maxDuration[entry] = length;
	}
	return stats;
}

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
	for (const service of services) out.text(service);
	out.varint(builder.scopes.length);
	for (const scope of builder.scopes) {
		out.varint(newIdOf[scope.resourceItem]!);
		out.varint(newIdOf[scope.scopeItem]!);
		out.varint(serviceOf.get(scope.service)!);
	}
	const names = [...new Set(builder.classes.map((entry) => entry.name))];
	const nameOf = new Map(names.map((name, i) => [name, i]));
	out.varint(names.length);
	for (const name of names) out.text(name);
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

function encodeFilter({ shape, scopes, dictionary }: BlockBuilder): Uint8Array {
	const isResource = new Set(scopes.map(({ resourceItem }) => resourceItem));
	return sealPart(buildFilter(collectTokens({ shape, heap: dictionary, isResource })), 0);
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
