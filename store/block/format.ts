/**
 * What a block is made of, shared by its writer and its reader. docs/formats/block.md describes it for people.
 *
 * A block holds spans or log records, ordered by trace. Every top-level field of a record, except ids, times, name and kind, is an
 * entry of the block's dictionary; rows hold entry numbers, column by column. Rebuilding a record gives its bytes exactly.
 */
import { LOG_SHAPE, type RecordShape, SPAN_SHAPE } from "../../model/columns.ts";

export const BLOCK_FORMAT = 3;
/** Blocks of this format have one stretch; they are read like any. */
export const OLDEST_BLOCK_FORMAT = 2;

/** Layouts store these numbers (attributes as items), so they are fixed for ever. */
export { SLOT } from "../../model/columns.ts";

/** Parts are stored and read one by one: a search touches only what it needs. */
export const PART = {
	/** Counts, scopes, classes with their statistics, layouts, wide rows. */
	head: 0,
	/** Trace ids in order, rows of each. */
	traces: 1,
	/** First time of each row, as offsets. */
	times: 2,
	/** Second time minus first. */
	durations: 3,
	/** Class and layout number of each row. */
	classes: 4,
	/** Own and parent span ids. */
	ids: 5,
	/** Dictionary entry numbers, column by column, a layout at a time. */
	columns: 6,
	/** The dictionary's bytes. */
	heap: 7,
	/** Bloom filter over `key=value` tokens; only in blocks that are merged no further. */
	filter: 8,
	/** Where the stretches of the other parts lie; only in blocks of more than one (stretches.ts). */
	stretches: 9,
} as const;
export type PartName = keyof typeof PART;
export const PART_NAMES = Object.keys(PART) as readonly PartName[];
export const PARTS_PER_BLOCK = 16;

/** Offsets beyond this do not fit the time columns; such rows keep both times in the head ("wide" rows). 52 days of nanoseconds. */
export const MAX_OFFSET = 2 ** 52;

export const SHAPE_OF_SIGNAL: Readonly<Record<"traces" | "logs", RecordShape>> = { traces: SPAN_SHAPE, logs: LOG_SHAPE };

export type BlockParts = { readonly [name in PartName]?: Uint8Array };

/** What the engine keeps beside the parts, so that most searches need not open a block at all. */
export interface BlockSummary {
	readonly signal: "traces" | "logs";
	readonly rows: number;
	readonly traces: number;
	/** Earliest and latest first time, clamped to 2^63 - 1. */
	readonly minTimeNs: bigint;
	readonly maxTimeNs: bigint;
	/** Longest `time1 - time0`; wide rows count as their true length, at most 2^53. */
	readonly maxDurationNs: number;
	readonly minDurationNs: number;
	/** Sorted, distinct. */
	readonly services: readonly string[];
}

export interface EncodedBlock {
	readonly summary: BlockSummary;
	readonly parts: BlockParts;
	/** Sorted 48-bit hashes of the trace ids inside, for the trace index. */
	readonly traceHashes: Float64Array;
	/** Distinct (service, operation, kind) of the rows, for the catalogue of names. */
	readonly operations: readonly BlockOperation[];
}

export interface BlockOperation {
	readonly service: string;
	readonly name: string;
	readonly kind: number;
}

/**
 * Order of traces in blocks and in the trace index: 48 mixed bits of the id, so that ids with constant or time-ordered parts
 * (64-bit tracers, X-Ray) spread as evenly as random ones. Equal hashes are told apart by the whole id.
 */
export function traceHash(w0: number, w1: number, w2: number, w3: number): number {
	let a = Math.imul(w0 ^ 0x2545f491, 0x9e3779b1) ^ w3;
	a = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
	let b = Math.imul(w1 ^ 0x6c8e9cf5, 0xc2b2ae35) ^ w2;
	b = Math.imul(b ^ (b >>> 15) ^ a, 0x27d4eb2f);
	a = Math.imul(a ^ (a >>> 13) ^ b, 0x165667b1);
	b ^= b >>> 14;
	a ^= a >>> 16;
	return (a >>> 0) * 65_536 + (b >>> 16);
}

/** No {@link traceHash} exceeds it. */
export const GREATEST_TRACE_HASH = 2 ** 48 - 1;

export const NO_TRACE_HASH = traceHash(0, 0, 0, 0);
