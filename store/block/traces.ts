/** The part of a block that lists its traces: their ids, in the order of their hashes, and the rows that each has. */
import { ByteReader, DamagedBlockError } from "./bytes.ts";
import { traceHash } from "./format.ts";

export interface StoredTraces {
	readonly count: number;
	/** Four words a trace. */
	readonly ids: Uint32Array;
	/** One longer than `count`. */
	readonly firstRow: Uint32Array;
}

export type TraceIdWords = readonly [number, number, number, number];

/** Rows of one trace, and where its id lies in the part. */
interface TraceRange {
	readonly place: number;
	readonly firstRow: number;
	readonly endRow: number;
	readonly id: TraceIdWords;
}

export class TracesPart {
	private readonly bytes: Uint8Array;
	private readonly count: number;
	private readonly idsAt: number;
	/** Of the block; asked late, so that looking for a trace that is not here reads no head. */
	private readonly rows: () => number;
	private readonly hold: (bytes: number) => void;
	private listed: StoredTraces | undefined;
	/** The trace last looked up: nearly all of what is asked for row by row is about its rows. */
	private last: TraceRange | undefined;

	/** @param hold told of bytes that are kept in memory from then on */
	constructor(part: Uint8Array, rows: () => number, hold: (bytes: number) => void) {
		const reader = new ByteReader(part);
		this.count = reader.varint();
		this.idsAt = reader.at;
		reader.raw(this.count * 16);
		this.bytes = reader.bytes;
		this.rows = rows;
		this.hold = hold;
		hold(this.bytes.length);
	}

	/** All of them, unpacked. */
	list(): StoredTraces {
		if (this.listed === undefined) {
			const { bytes, count, idsAt } = this;
			const ids = new Uint32Array(count * 4);
			for (let i = 0; i < ids.length; i++) ids[i] = wordAt(bytes, idsAt + i * 4);
			const reader = this.rowCounts();
			const firstRow = new Uint32Array(count + 1);
			for (let i = 0, at = 0; i < count; i++) firstRow[i + 1] = at += reader.varint();
			if (firstRow[count] !== this.rows()) throw new DamagedBlockError("rows of traces do not add up");
			this.listed = { count, ids, firstRow };
			this.hold(ids.byteLength + firstRow.byteLength);
		}
		return this.listed;
	}

	/** The rows of a trace, from the first up to the second; undefined where the block does not hold it. */
	find(w0: number, w1: number, w2: number, w3: number): readonly [number, number] | undefined {
		const { bytes, count, idsAt } = this;
		const wanted = traceHash(w0, w1, w2, w3);
		let low = 0;
		let high = count;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (traceHash(...idAt(bytes, idsAt + middle * 16)) < wanted) low = middle + 1;
			else high = middle;
		}
		for (; low < count; low++) {
			const id = idAt(bytes, idsAt + low * 16);
			if (id[0] === w0 && id[1] === w1 && id[2] === w2 && id[3] === w3) return this.rangeOf(low, id);
			if (traceHash(...id) !== wanted) break;
		}
		return undefined;
	}

	/** Place of the trace that a row belongs to. */
	ofRow(row: number): number {
		const { last } = this;
		if (last !== undefined && row >= last.firstRow && row < last.endRow) return last.place;
		const { firstRow, count } = this.list();
		let low = 0;
		let high = count;
		while (low + 1 < high) {
			const middle = (low + high) >>> 1;
			if (firstRow[middle]! <= row) low = middle;
			else high = middle;
		}
		return low;
	}

	/** First row of the trace that a row belongs to. */
	firstRowOf(row: number): number {
		const { last } = this;
		if (last !== undefined && row >= last.firstRow && row < last.endRow) return last.firstRow;
		return this.list().firstRow[this.ofRow(row)]!;
	}

	idOfRow(row: number): TraceIdWords {
		const { last } = this;
		if (last !== undefined && row >= last.firstRow && row < last.endRow) return last.id;
		const { ids } = this.list();
		const at = this.ofRow(row) * 4;
		return [ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!];
	}

	private rangeOf(place: number, id: TraceIdWords): readonly [number, number] {
		const rows = this.rowCounts();
		let firstRow = 0;
		for (let i = 0; i < place; i++) firstRow += rows.varint();
		const endRow = firstRow + rows.varint();
		if (endRow > this.rows()) throw new DamagedBlockError("rows of traces do not add up");
		this.last = { place, firstRow, endRow, id };
		return [firstRow, endRow];
	}

	private rowCounts(): ByteReader {
		const reader = new ByteReader(this.bytes);
		reader.at = this.idsAt + this.count * 16;
		return reader;
	}
}

function idAt(bytes: Uint8Array, at: number): TraceIdWords {
	return [wordAt(bytes, at), wordAt(bytes, at + 4), wordAt(bytes, at + 8), wordAt(bytes, at + 12)];
}

export function wordAt(bytes: Uint8Array, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
