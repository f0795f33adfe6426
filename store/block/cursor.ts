/**
 * Single values out of columns that are stored as varints, without decoding the rest: a lookup needs the ten rows of one trace out
 * of the sixteen thousand of a block. Going forward costs a glance at each byte in between, going back begins anew.
 */
import { ByteReader, DamagedBlockError } from "./bytes.ts";
import type { StoredIndices } from "./indices.ts";

/** Whoever goes back more often than this is better served by the column decoded whole. */
export const MAX_RESTARTS = 8;

export class VarintCursor {
	/** How often a value before the last one was asked for. */
	restarts = 0;
	private readonly reader: ByteReader;
	private readonly begin: number;
	/** Number of the value that the reader stands before; the one before it is known. */
	private next = 0;
	private last = 0;

	/** @param reader stands before the first value */
	constructor(reader: ByteReader) {
		this.reader = reader;
		this.begin = reader.at;
	}

	at(index: number): number {
		if (index === this.next - 1) return this.last;
		if (index < this.next) {
			this.restarts++;
			this.next = 0;
			this.reader.at = this.begin;
		}
		skipVarints(this.reader, index - this.next);
		this.next = index + 1;
		return (this.last = this.reader.varint());
	}
}

/** First times of rows: each is given by its distance from the row before in the same trace. */
export class OffsetCursor {
	private readonly first: number;
	private readonly steps: VarintCursor;
	/** Last row asked for, and its time. */
	private row = -1;
	private time = 0;

	constructor(part: Uint8Array) {
		const reader = new ByteReader(part);
		this.first = reader.zigzag();
		this.steps = new VarintCursor(reader);
	}

	get restarts(): number {
		return this.steps.restarts;
	}

	/** @param firstRow of the row's trace */
	at(row: number, firstRow: number): number {
		let next = this.row + 1;
		if (row < this.row || firstRow > this.row) {
			next = firstRow;
			this.time = this.first;
		}
		for (; next <= row; next++) this.time += this.steps.at(next);
		this.row = row;
		return this.time;
	}
}

/** Columns number the entries that stretches share first, then those of their own stretch. */
export interface EntryNumbering {
	readonly shared: number;
	/** What makes a number beyond the shared ones the entry's number in the block. */
	readonly shift: number;
}

/** The dictionary entries of one column: ascending for the most part, stored as differences. */
export class StoredColumn {
	/** Places of the rows of a layout among {@link entries}. */
	readonly indices: StoredIndices;
	private readonly distinct: number;
	private readonly numbering: EntryNumbering;
	private readonly reader: ByteReader;
	private readonly begin: number;
	private all: Uint32Array | undefined;
	private restarts = 0;
	private next = 0;
	private last = 0;

	/** @param reader stands before the column, and after it then */
	constructor(reader: ByteReader, numbering: EntryNumbering, readIndices: (distinct: number) => StoredIndices) {
		this.distinct = reader.varint();
		this.numbering = numbering;
		this.reader = new ByteReader(reader.bytes);
		this.begin = this.reader.at = reader.at;
		skipVarints(reader, this.distinct);
		this.indices = readIndices(this.distinct);
	}

	/** Block entry numbers, in the order of the column's indices. */
	get entries(): Uint32Array {
		if (this.all === undefined) {
			const all = new Uint32Array(this.distinct);
			const { reader } = this;
			reader.at = this.begin;
			for (let i = 0, previous = 0; i < all.length; i++) {
				previous += reader.zigzag() + 1;
				all[i] = this.entryOf(previous);
			}
			this.all = all;
		}
		return this.all;
	}

	/** Block entry number of a row, by its place among the rows of the layout. */
	entryAt(rank: number): number {
		const place = this.indices.at(rank);
		if (this.all !== undefined || this.restarts > MAX_RESTARTS) return this.entries[place]!;
		if (place >= this.distinct) throw new DamagedBlockError("a column points past its entries");
		if (place < this.next - 1) {
			this.restarts++;
			this.next = 0;
		}
		if (this.next === 0) {
			this.last = 0;
			this.reader.at = this.begin;
		}
		this.goTo(place);
		return this.entryOf(this.last);
	}

	private entryOf(number: number): number {
		const { shared, shift } = this.numbering;
		return number > shared ? number + shift : number;
	}

	/** Nearly every difference is a byte, and a lookup goes over thousands of them. */
	private goTo(place: number): void {
		const { reader } = this;
		const { bytes } = reader;
		let { next, last } = this;
		for (let { at } = reader; next <= place; next++) {
			const byte = bytes[at]!;
			if (byte < 0x80) {
				at++;
				last += (byte & 1) === 0 ? (byte >>> 1) + 1 : -(byte >>> 1);
			} else {
				reader.at = at;
				last += reader.zigzag() + 1;
				at = reader.at;
			}
			if (next === place) reader.at = at;
		}
		this.next = next;
		this.last = last;
	}
}

function skipVarints(reader: ByteReader, count: number): void {
	const { bytes } = reader;
	let { at } = reader;
	for (let left = count; left > 0; at++) {
		if (at >= bytes.length) throw new DamagedBlockError("a part ends early");
		if (bytes[at]! < 0x80) left--;
	}
	reader.at = at;
}
