/**
 * How a block is cut: its rows into stretches of whole traces, its dictionary into chunks. Each stretch of a part, and each chunk, is
 * sealed by itself, so that a trace is read without the rest of its block. The part described here says where each of them lies; a
 * block of one stretch has none, since its parts are sealed whole.
 */
import type { EntryNumbering } from "./cursor.ts";
import { ByteReader, type ByteWriter, DamagedBlockError } from "./bytes.ts";

/** Parts that have a value for each row, in the order in which the directory lists them. */
export const STRETCHED_PARTS = ["traces", "times", "durations", "classes", "ids", "columns"] as const;
export type StretchedPart = (typeof STRETCHED_PARTS)[number];

export interface StretchPlace {
	readonly firstRow: number;
	readonly rows: number;
	readonly firstTrace: number;
	readonly traces: number;
	/** Of its first trace. */
	readonly hash: number;
	/** For each of {@link STRETCHED_PARTS}: where its sealed bytes begin and end in the part. */
	readonly starts: readonly number[];
	readonly ends: readonly number[];
	readonly numbering: EntryNumbering;
}

export interface HeapPlace {
	/** Entries before it. */
	readonly before: number;
	readonly entries: number;
	readonly start: number;
	readonly end: number;
}

export interface StretchDirectory {
	readonly stretches: readonly StretchPlace[];
	readonly heap: readonly HeapPlace[];
	readonly rows: number;
	readonly traces: number;
}

export interface WrittenStretch {
	readonly traces: number;
	readonly rows: number;
	readonly hash: number;
	/** Sealed bytes in each of {@link STRETCHED_PARTS}. */
	readonly lengths: readonly number[];
}

export interface WrittenChunk {
	readonly entries: number;
	readonly length: number;
}

/** @param own a chunk a stretch */
export function writeDirectory(
	out: ByteWriter,
	stretches: readonly WrittenStretch[],
	shared: readonly WrittenChunk[],
	own: readonly WrittenChunk[],
): void {
	out.varint(stretches.length);
	for (const { traces, rows, hash, lengths } of stretches) {
		out.varint(traces);
		out.varint(rows);
		out.word(Math.floor(hash / 65_536));
		out.byte((hash % 65_536) >>> 8);
		out.byte(hash % 256);
		for (const length of lengths) out.varint(length);
	}
	out.varint(shared.length);
	for (const { entries, length } of [...shared, ...own]) {
		out.varint(entries);
		out.varint(length);
	}
}

export function readDirectory(part: Uint8Array): StretchDirectory {
	const reader = new ByteReader(part);
	const count = reader.varint();
	if (count > part.length) throw new DamagedBlockError("a list is longer than its part");
	const listed = Array.from({ length: count }, () => {
		const [traces, rows] = [reader.varint(), reader.varint()];
		const hash = reader.word() * 65_536 + reader.byte() * 256 + reader.byte();
		return { traces, rows, hash, lengths: STRETCHED_PARTS.map(() => reader.varint()) };
	});
	const sharedChunks = reader.varint();
	if (sharedChunks > part.length) throw new DamagedBlockError("a list is longer than its part");
	const heap: HeapPlace[] = [];
	let entries = 0;
	let sharedEntries = 0;
	for (let i = 0, start = 0; i < sharedChunks + count; i++) {
		const place: HeapPlace = { before: entries, entries: reader.varint(), start, end: (start += reader.varint()) };
		heap.push(place);
		entries += place.entries;
		if (i < sharedChunks) sharedEntries = entries;
	}
	const stretches: StretchPlace[] = [];
	let [firstRow, firstTrace] = [0, 0];
	let starts: readonly number[] = STRETCHED_PARTS.map(() => 0);
	for (const [i, { traces, rows, hash, lengths }] of listed.entries()) {
		const ends = lengths.map((length, p) => starts[p]! + length);
		const numbering = { shared: sharedEntries, shift: heap[sharedChunks + i]!.before - sharedEntries };
		stretches.push({ firstRow, rows, firstTrace, traces, hash, starts, ends, numbering });
		firstRow += rows;
		firstTrace += traces;
		starts = ends;
	}
	return { stretches, heap, rows: firstRow, traces: firstTrace };
}
