/**
 * The rows of one stretch of a stored block: whole traces, read from the stretch's own piece of each part. Rows and traces are
 * numbered from the beginning of the stretch.
 */
import { ByteReader, DamagedBlockError, unzigzag } from "./bytes.ts";
import { type EntryNumbering, MAX_RESTARTS, OffsetCursor, StoredColumn, VarintCursor } from "./cursor.ts";
import type { StoredHead } from "./head.ts";
import { IdsPart } from "./ids.ts";
import { StoredIndices } from "./indices.ts";
import type { StretchedPart } from "./stretches.ts";
import { TracesPart } from "./traces.ts";

export interface StretchSource {
	/** Content of the stretch's piece of a part. */
	piece(part: StretchedPart): Uint8Array;
	head(): StoredHead;
	/** Rows of the stretch. */
	rows(): number;
	readonly numbering: EntryNumbering;
	/** Told of bytes that are kept in memory from then on. */
	hold(bytes: number): void;
}

export class Stretch {
	private readonly source: StretchSource;
	private tracesValue: TracesPart | undefined;
	private offsetCursor: OffsetCursor | undefined;
	private offsetsValue: Float64Array | undefined;
	private durationCursor: VarintCursor | undefined;
	private durationsValue: Float64Array | undefined;
	private classesValue: { readonly classes: StoredIndices; readonly layouts: StoredIndices } | undefined;
	private idsValue: IdsPart | undefined;
	private ranksValue: { readonly counts: Uint32Array; readonly rank: Uint32Array } | undefined;
	private layoutRowsValue: readonly Uint32Array[] | undefined;
	private columnsValue: readonly (readonly StoredColumn[])[] | undefined;

	constructor(source: StretchSource) {
		this.source = source;
	}

	get rows(): number {
		return this.source.rows();
	}

	traces(): TracesPart {
		const { source } = this;
		return (this.tracesValue ??= new TracesPart(
			source.piece("traces"),
			() => source.rows(),
			(bytes) => source.hold(bytes),
		));
	}

	/** First time of each row less `head().baseNs`; ±2^52 stands for a wide row. */
	writeOffsets(to: Float64Array): void {
		const reader = new ByteReader(this.source.piece("times"));
		const { firstRow, count } = this.traces().list();
		const first = reader.zigzag();
		for (let trace = 0; trace < count; trace++) {
			let time = first;
			for (let row = firstRow[trace]!, end = firstRow[trace + 1]!; row < end; row++) to[row] = time += reader.varint();
		}
	}

	writeDurations(to: Float64Array): void {
		const reader = new ByteReader(this.source.piece("durations"));
		for (let row = 0; row < to.length; row++) to[row] = reader.zigzag();
	}

	/** Best asked in ascending order. */
	offsetOfRow(row: number): number {
		if (this.offsetsValue !== undefined) return this.offsetsValue[row]!;
		this.offsetCursor ??= new OffsetCursor(this.held("times"));
		if (this.offsetCursor.restarts > MAX_RESTARTS) {
			this.writeOffsets((this.offsetsValue = this.numbers()));
			return this.offsetsValue[row]!;
		}
		return this.offsetCursor.at(row, this.traces().firstRowOf(row));
	}

	/** Best asked in ascending order. */
	durationOfRow(row: number): number {
		if (this.durationsValue !== undefined) return this.durationsValue[row]!;
		this.durationCursor ??= new VarintCursor(new ByteReader(this.held("durations")));
		if (this.durationCursor.restarts > MAX_RESTARTS) {
			this.writeDurations((this.durationsValue = this.numbers()));
			return this.durationsValue[row]!;
		}
		return unzigzag(this.durationCursor.at(row));
	}

	/** Class of each row. */
	get classes(): StoredIndices {
		return this.readClasses().classes;
	}

	/** Layout of each row. */
	get layouts(): StoredIndices {
		return this.readClasses().layouts;
	}

	ids(): IdsPart {
		const { source } = this;
		return (this.idsValue ??= new IdsPart(
			source.piece("ids"),
			source.rows(),
			() => this.traces(),
			(bytes) => source.hold(bytes),
		));
	}

	/** Undefined for a layout that no row of the stretch has. */
	column(layout: number, position: number): StoredColumn | undefined {
		return this.columns()[layout]![position];
	}

	/** Rows of a layout, ascending: the order of the column's indices. */
	rowsOfLayout(layout: number): Uint32Array {
		if (this.layoutRowsValue === undefined) {
			const { counts, rank } = this.ranks();
			const { layouts } = this;
			const rows = Array.from(counts, (count) => new Uint32Array(count));
			for (let row = 0; row < rank.length; row++) rows[layouts.at(row)]![rank[row]!] = row;
			this.layoutRowsValue = rows;
			this.source.hold(rank.byteLength);
		}
		return this.layoutRowsValue[layout]!;
	}

	/** Dictionary entry at a position of a row. */
	entry(row: number, position: number): number {
		const column = this.column(this.layouts.at(row), position);
		if (column === undefined) throw new DamagedBlockError("a row has no such field");
		return column.entryAt(this.ranks().rank[row]!);
	}

	/** Every one of a row's, in order; returns how many there are. */
	entriesOfRow(row: number, into: number[]): number {
		const columns = this.columns()[this.layouts.at(row)]!;
		const rank = this.ranks().rank[row]!;
		for (let position = 0; position < columns.length; position++) into[position] = columns[position]!.entryAt(rank);
		return columns.length;
	}

	private numbers(): Float64Array<ArrayBuffer> {
		this.source.hold(this.rows * 8);
		return new Float64Array(this.rows);
	}

	private held(part: StretchedPart): Uint8Array {
		const piece = this.source.piece(part);
		this.source.hold(piece.length);
		return piece;
	}

	private readClasses(): NonNullable<Stretch["classesValue"]> {
		if (this.classesValue === undefined) {
			const head = this.source.head();
			const reader = new ByteReader(this.held("classes"));
			const classes = new StoredIndices(reader, this.rows, head.classes.length);
			this.classesValue = { classes, layouts: new StoredIndices(reader, this.rows, head.layouts.length) };
		}
		return this.classesValue;
	}

	private columns(): readonly (readonly StoredColumn[])[] {
		if (this.columnsValue === undefined) {
			const { numbering } = this.source;
			const reader = new ByteReader(this.held("columns"));
			const { counts } = this.ranks();
			this.columnsValue = this.source.head().layouts.map(({ items }, i) => {
				const count = counts[i]!;
				if (count === 0) return [];
				const readIndices = (distinct: number): StoredIndices => new StoredIndices(reader, count, distinct);
				return Array.from({ length: items }, () => new StoredColumn(reader, numbering, readIndices));
			});
		}
		return this.columnsValue;
	}

	/** How many rows each layout has, and the place of each row among those of its layout. */
	private ranks(): NonNullable<Stretch["ranksValue"]> {
		if (this.ranksValue === undefined) {
			const { layouts } = this;
			const counts = new Uint32Array(this.source.head().layouts.length);
			const rank = new Uint32Array(this.rows);
			for (let row = 0; row < rank.length; row++) rank[row] = counts[layouts.at(row)]!++;
			this.ranksValue = { counts, rank };
			this.source.hold(rank.byteLength);
		}
		return this.ranksValue;
	}
}
