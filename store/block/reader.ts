/**
 * Reads a stored block part by part, each when it is first asked for, and rebuilds records from it to the byte.
 */
import type { RecordShape } from "../../model/columns.ts";
import { ByteReader, ByteWriter, DamagedBlockError, unzigzag } from "./bytes.ts";
import { MAX_RESTARTS, OffsetCursor, StoredColumn, VarintCursor } from "./cursor.ts";
import { type PartName, SLOT, traceHash } from "./format.ts";
import { readHead, type StoredHead } from "./head.ts";
import { HeapReader } from "./heap.ts";
import { StoredIndices } from "./indices.ts";
import { openPart } from "./seal.ts";

interface StoredTraces {
	readonly count: number;
	/** Four words a trace. */
	readonly ids: Uint32Array;
	/** One longer than `count`. */
	readonly firstRow: Uint32Array;
}

/** Rows of one trace, and where its id lies in the part that lists the traces. */
interface TraceRange {
	readonly place: number;
	readonly firstRow: number;
	readonly endRow: number;
	readonly id: readonly [number, number, number, number];
}

/** An empty reader's own size, about. */
const READER_BYTES = 512;

const LITERAL_STEP = 64;

export class BlockReader {
	private readonly load: (part: PartName) => Uint8Array | undefined;
	/** Bytes that this reader keeps in memory, for whoever caches readers. */
	heldBytes = READER_BYTES;
	private headValue: StoredHead | undefined;
	private tracesValue: StoredTraces | undefined;
	/** The trace last looked up: nearly all of what is asked for row by row is about its rows. */
	private traceValue: TraceRange | undefined;
	private traceBytesValue: { readonly bytes: Uint8Array; readonly count: number; readonly idsAt: number } | undefined;
	private offsetsValue: Float64Array | undefined;
	private offsetCursor: OffsetCursor | undefined;
	private durationsValue: Float64Array | undefined;
	private durationCursor: VarintCursor | undefined;
	private storedClassesValue: { readonly classes: StoredIndices; readonly layouts: StoredIndices } | undefined;
	private classesValue: { readonly classes: Uint32Array; readonly layouts: Uint32Array } | undefined;
	private idsValue: Uint8Array | undefined;
	private literalsValue: Uint32Array | undefined;
	private heapValue: HeapReader | undefined;
	private columnsValue: readonly (readonly StoredColumn[])[] | undefined;
	private ranksValue: { readonly counts: Uint32Array; readonly rank: Uint32Array } | undefined;
	private layoutRowsValue: readonly Uint32Array[] | undefined;
	private filterValue: Uint8Array | null | undefined;

	/** @param load gives a part as it was sealed, or undefined where the block has none */
	constructor(load: (part: PartName) => Uint8Array | undefined) {
		this.load = load;
	}

	head(): StoredHead {
		if (this.headValue === undefined) {
			this.headValue = readHead(this.part("head"));
			this.heldBytes += this.headValue.heldBytes;
		}
		return this.headValue;
	}

	/** Lets go of everything but the head; parts are loaded again when they are asked for. */
	forgetParts(): void {
		this.tracesValue = undefined;
		this.traceValue = undefined;
		this.traceBytesValue = undefined;
		this.offsetsValue = undefined;
		this.offsetCursor = undefined;
		this.durationsValue = undefined;
		this.durationCursor = undefined;
		this.storedClassesValue = undefined;
		this.classesValue = undefined;
		this.idsValue = undefined;
		this.literalsValue = undefined;
		this.heapValue = undefined;
		this.columnsValue = undefined;
		this.ranksValue = undefined;
		this.layoutRowsValue = undefined;
		this.filterValue = undefined;
		this.heldBytes = READER_BYTES + (this.headValue?.heldBytes ?? 0);
	}

	get shape(): RecordShape {
		return this.head().shape;
	}

	traces(): StoredTraces {
		if (this.tracesValue === undefined) {
			const { bytes, count, idsAt } = this.traceBytes();
			const ids = new Uint32Array(count * 4);
			for (let i = 0; i < ids.length; i++) ids[i] = wordAt(bytes, idsAt + i * 4);
			const reader = new ByteReader(bytes);
			reader.at = idsAt + count * 16;
			const firstRow = new Uint32Array(count + 1);
			for (let i = 0, at = 0; i < count; i++) firstRow[i + 1] = at += reader.varint();
			if (firstRow[count] !== this.head().rows) throw new DamagedBlockError("rows of traces do not add up");
			this.tracesValue = { count, ids, firstRow };
			this.heldBytes += ids.byteLength + firstRow.byteLength;
		}
		return this.tracesValue;
	}

	/** The rows of a trace, from the first up to the second; undefined where the block does not hold it. */
	findTrace(w0: number, w1: number, w2: number, w3: number): readonly [number, number] | undefined {
		const { bytes, count, idsAt } = this.traceBytes();
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

	private rangeOf(place: number, id: TraceRange["id"]): readonly [number, number] {
		const { bytes, count, idsAt } = this.traceBytes();
		const rows = new ByteReader(bytes);
		rows.at = idsAt + count * 16;
		let firstRow = 0;
		for (let i = 0; i < place; i++) firstRow += rows.varint();
		const endRow = firstRow + rows.varint();
		if (endRow > this.head().rows) throw new DamagedBlockError("rows of traces do not add up");
		this.traceValue = { place, firstRow, endRow, id };
		return [firstRow, endRow];
	}

	/** Place of the trace that a row belongs to. */
	traceOfRow(row: number): number {
		const trace = this.traceValue;
		if (trace !== undefined && row >= trace.firstRow && row < trace.endRow) return trace.place;
		const { firstRow, count } = this.traces();
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
	private firstRowOfTrace(row: number): number {
		const trace = this.traceValue;
		if (trace !== undefined && row >= trace.firstRow && row < trace.endRow) return trace.firstRow;
		return this.traces().firstRow[this.traceOfRow(row)]!;
	}

	private traceIdOfRow(row: number): TraceRange["id"] {
		const trace = this.traceValue;
		if (trace !== undefined && row >= trace.firstRow && row < trace.endRow) return trace.id;
		const { ids } = this.traces();
		const at = this.traceOfRow(row) * 4;
		return [ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!];
	}

	/** First time of each row less `head().baseNs`; ±2^52 stands for a wide row. */
	offsets(): Float64Array {
		if (this.offsetsValue === undefined) {
			const reader = new ByteReader(this.part("times"));
			const { firstRow, count } = this.traces();
			const offsets = new Float64Array(this.head().rows);
			const first = reader.zigzag();
			for (let trace = 0; trace < count; trace++) {
				let time = first;
				for (let row = firstRow[trace]!, end = firstRow[trace + 1]!; row < end; row++)
					offsets[row] = time += reader.varint();
			}
			this.offsetsValue = offsets;
			this.heldBytes += offsets.byteLength;
		}
		return this.offsetsValue;
	}

	durations(): Float64Array {
		if (this.durationsValue === undefined) {
			const reader = new ByteReader(this.part("durations"));
			const durations = new Float64Array(this.head().rows);
			for (let row = 0; row < durations.length; row++) durations[row] = reader.zigzag();
			this.durationsValue = durations;
			this.heldBytes += durations.byteLength;
		}
		return this.durationsValue;
	}

	/** As `rowClasses()` for a single row. */
	classOfRow(row: number): number {
		return this.classesValue?.classes[row] ?? this.storedClasses().classes.at(row);
	}

	/** As `rowLayouts()` for a single row. */
	layoutOfRow(row: number): number {
		return this.classesValue?.layouts[row] ?? this.storedClasses().layouts.at(row);
	}

	rowClasses(): Uint32Array {
		return this.readClasses().classes;
	}

	rowLayouts(): Uint32Array {
		return this.readClasses().layouts;
	}

	time0(row: number): bigint {
		const head = this.head();
		return head.wideRows.get(row)?.time0 ?? head.baseNs + BigInt(this.offsetOfRow(row));
	}

	time1(row: number): bigint {
		const head = this.head();
		return head.wideRows.get(row)?.time1 ?? head.baseNs + BigInt(this.offsetOfRow(row) + this.durationOfRow(row));
	}

	/** As `offsets()` for a single row; best asked in ascending order. */
	offsetOfRow(row: number): number {
		if (this.offsetsValue !== undefined) return this.offsetsValue[row]!;
		if (this.offsetCursor === undefined) {
			const part = this.part("times");
			this.offsetCursor = new OffsetCursor(part);
			this.heldBytes += part.length;
		}
		if (this.offsetCursor.restarts > MAX_RESTARTS) return this.offsets()[row]!;
		return this.offsetCursor.at(row, this.firstRowOfTrace(row));
	}

	/** As `durations()` for a single row; best asked in ascending order. */
	durationOfRow(row: number): number {
		if (this.durationsValue !== undefined) return this.durationsValue[row]!;
		if (this.durationCursor === undefined) {
			const part = this.part("durations");
			this.durationCursor = new VarintCursor(new ByteReader(part));
			this.heldBytes += part.length;
		}
		if (this.durationCursor.restarts > MAX_RESTARTS) return this.durations()[row]!;
		return unzigzag(this.durationCursor.at(row));
	}

	/** Span id of a row, as two words. */
	spanId(row: number): readonly [number, number] {
		const bytes = this.idBytes();
		return [wordAt(bytes, row * 8), wordAt(bytes, row * 8 + 4)];
	}

	/** Parent span id of a row, as two words; zeros for none. */
	parentId(row: number): readonly [number, number] {
		const bytes = this.idBytes();
		const { rows } = this.head();
		const codes = rows * 8;
		const code = bytes[codes + row]!;
		if (code === 0) return [0, 0];
		if (code > 1) return this.spanId(this.firstRowOfTrace(row) + code - 2);
		const step = Math.floor(row / LITERAL_STEP);
		let literal = this.literalsBefore(bytes, codes, rows)[step]!;
		for (let i = codes + step * LITERAL_STEP, end = codes + row; i < end; i++) if (bytes[i] === 1) literal++;
		const at = rows * 9 + literal * 8;
		if (at + 8 > bytes.length) throw new DamagedBlockError("a parent id is missing");
		return [wordAt(bytes, at), wordAt(bytes, at + 4)];
	}

	/** How many parents are written out before each {@link LITERAL_STEP}th row: counting from the first would be quadratic in a trace. */
	private literalsBefore(bytes: Uint8Array, codes: number, rows: number): Uint32Array {
		if (this.literalsValue !== undefined) return this.literalsValue;
		const counts = new Uint32Array(Math.ceil(rows / LITERAL_STEP));
		let literals = 0;
		for (let row = 0; row < rows; row++) {
			if (row % LITERAL_STEP === 0) counts[row / LITERAL_STEP] = literals;
			if (bytes[codes + row] === 1) literals++;
		}
		this.heldBytes += counts.byteLength;
		return (this.literalsValue = counts);
	}

	/** Ids of every row, two words each; all zero for none. */
	ids(): { readonly spans: Uint32Array; readonly parents: Uint32Array } {
		const bytes = this.idBytes();
		const { rows } = this.head();
		const spans = new Uint32Array(rows * 2);
		const parents = new Uint32Array(rows * 2);
		for (let i = 0; i < spans.length; i++) spans[i] = wordAt(bytes, i * 4);
		const { firstRow, count } = this.traces();
		let literal = rows * 9;
		for (let trace = 0; trace < count; trace++) {
			const first = firstRow[trace]!;
			for (let row = first, end = firstRow[trace + 1]!; row < end; row++) {
				const code = bytes[rows * 8 + row]!;
				if (code === 1) {
					if (literal + 8 > bytes.length) throw new DamagedBlockError("a parent id is missing");
					parents[row * 2] = wordAt(bytes, literal);
					parents[row * 2 + 1] = wordAt(bytes, literal + 4);
					literal += 8;
				} else if (code > 1) {
					const parent = first + code - 2;
					if (parent >= end) throw new DamagedBlockError("a parent lies outside of its trace");
					parents[row * 2] = spans[parent * 2]!;
					parents[row * 2 + 1] = spans[parent * 2 + 1]!;
				}
			}
		}
		return { spans, parents };
	}

	/** Copies ids of every row to row `first` on. */
	copyIds(traceId: Uint32Array, spanId: Uint32Array, parentId: Uint32Array, first: number): void {
		const { spans, parents } = this.ids();
		spanId.set(spans, first * 2);
		parentId.set(parents, first * 2);
		const { ids, firstRow, count } = this.traces();
		for (let trace = 0; trace < count; trace++)
			for (let row = firstRow[trace]!, end = firstRow[trace + 1]!; row < end; row++)
				for (let i = 0; i < 4; i++) traceId[(first + row) * 4 + i] = ids[trace * 4 + i]!;
	}

	heap(): HeapReader {
		if (this.heapValue === undefined) {
			this.heapValue = new HeapReader(this.part("heap"));
			// What unpacking adds is counted beforehand: searches by attribute do it.
			this.heldBytes += this.heapValue.heldBytes * 2;
		}
		return this.heapValue;
	}

	/** The bytes of a dictionary entry; empty for 0. */
	item(id: number): Uint8Array {
		return id === 0 ? NO_BYTES : this.heap().item(id);
	}

	column(layout: number, position: number): StoredColumn {
		return this.readColumns()[layout]![position]!;
	}

	/** Rows of a layout, ascending: the order of the column's indices. */
	rowsOfLayout(layout: number): Uint32Array {
		return this.layoutRows()[layout]!;
	}

	/** Dictionary entry at a position of a row. */
	entry(row: number, position: number): number {
		return this.column(this.layoutOfRow(row), position).entryAt(this.ranks().rank[row]!);
	}

	filter(): Uint8Array | undefined {
		if (this.filterValue === undefined) {
			const sealed = this.load("filter");
			this.filterValue = sealed === undefined ? null : openPart(sealed);
			this.heldBytes += this.filterValue?.length ?? 0;
		}
		return this.filterValue ?? undefined;
	}

	/** Appends a record's message bytes, exactly as they came. */
	writeRecord(row: number, out: ByteWriter): void {
		const head = this.head();
		const { shape } = head;
		const layout = head.layouts[this.layoutOfRow(row)]!;
		const entry = head.classes.at(this.classOfRow(row));
		let position = 0;
		for (const slot of layout.slots) {
			switch (slot) {
				case SLOT.item:
					out.raw(this.item(this.entry(row, position++)));
					break;
				case SLOT.traceId:
					out.byte((shape.traceIdField << 3) | 2);
					out.byte(16);
					for (const word of this.traceIdOfRow(row)) out.word(word);
					break;
				case SLOT.spanId:
					writeId(out, shape.spanIdField, this.spanId(row));
					break;
				case SLOT.parentId:
					writeId(out, shape.parentIdField, this.parentId(row));
					break;
				case SLOT.time0:
					writeTime(out, shape.time0Field, this.time0(row));
					break;
				case SLOT.time1:
					writeTime(out, shape.time1Field, this.time1(row));
					break;
				case SLOT.name:
					out.raw(this.item(entry.nameItem));
					break;
				case SLOT.kind:
					out.raw(this.item(entry.kindItem));
					break;
				default:
					throw new DamagedBlockError(`a layout has the unknown slot ${slot}`);
			}
		}
	}

	/** A record's message bytes; a fresh copy. */
	record(row: number): Uint8Array {
		const out = new ByteWriter(1024);
		this.writeRecord(row, out);
		return out.view();
	}

	/** Span ids, eight bytes a row; then a code for the parent of each row; then the ids of parents that are given in full. */
	private idBytes(): Uint8Array {
		if (this.idsValue === undefined) {
			this.idsValue = this.part("ids");
			if (this.idsValue.length < this.head().rows * 9) throw new DamagedBlockError("ids are missing");
			this.heldBytes += this.idsValue.length;
		}
		return this.idsValue;
	}

	private traceBytes(): NonNullable<BlockReader["traceBytesValue"]> {
		if (this.traceBytesValue === undefined) {
			const reader = new ByteReader(this.part("traces"));
			const count = reader.varint();
			const idsAt = reader.at;
			reader.raw(count * 16);
			this.traceBytesValue = { bytes: reader.bytes, count, idsAt };
			this.heldBytes += reader.bytes.length;
		}
		return this.traceBytesValue;
	}

	private part(name: PartName): Uint8Array {
		const sealed = this.load(name);
		if (sealed === undefined) throw new DamagedBlockError(`the ${name} of a block is missing`);
		return openPart(sealed);
	}

	private readClasses(): { readonly classes: Uint32Array; readonly layouts: Uint32Array } {
		if (this.classesValue === undefined) {
			const stored = this.storedClasses();
			const classes = stored.classes.unpack();
			this.classesValue = { classes, layouts: stored.layouts.unpack() };
			this.heldBytes += classes.byteLength * 2;
		}
		return this.classesValue;
	}

	private storedClasses(): NonNullable<BlockReader["storedClassesValue"]> {
		if (this.storedClassesValue === undefined) {
			const head = this.head();
			const reader = new ByteReader(this.part("classes"));
			const classes = new StoredIndices(reader, head.rows, head.classes.length);
			const layouts = new StoredIndices(reader, head.rows, head.layouts.length);
			this.storedClassesValue = { classes, layouts };
			this.heldBytes += reader.bytes.length;
		}
		return this.storedClassesValue;
	}

	private readColumns(): readonly (readonly StoredColumn[])[] {
		if (this.columnsValue === undefined) {
			const bytes = this.part("columns");
			const reader = new ByteReader(bytes);
			const { counts } = this.ranks();
			this.columnsValue = this.head().layouts.map((layout, i) => {
				const readIndices = (distinct: number): StoredIndices => new StoredIndices(reader, counts[i]!, distinct);
				return Array.from({ length: layout.items }, () => new StoredColumn(reader, readIndices));
			});
			this.heldBytes += bytes.length;
		}
		return this.columnsValue;
	}

	/** How many rows each layout has, and the place of each row among those of its layout. */
	private ranks(): NonNullable<BlockReader["ranksValue"]> {
		if (this.ranksValue === undefined) {
			const head = this.head();
			const { layouts } = this.storedClasses();
			const counts = new Uint32Array(head.layouts.length);
			const rank = new Uint32Array(head.rows);
			for (let row = 0; row < rank.length; row++) rank[row] = counts[layouts.at(row)]!++;
			this.ranksValue = { counts, rank };
			this.heldBytes += rank.byteLength;
		}
		return this.ranksValue;
	}

	private layoutRows(): readonly Uint32Array[] {
		if (this.layoutRowsValue === undefined) {
			const { counts, rank } = this.ranks();
			const rowLayouts = this.rowLayouts();
			const rows = Array.from(counts, (count) => new Uint32Array(count));
			for (let row = 0; row < rank.length; row++) rows[rowLayouts[row]!]![rank[row]!] = row;
			this.layoutRowsValue = rows;
			this.heldBytes += rank.byteLength;
		}
		return this.layoutRowsValue;
	}
}

const NO_BYTES = new Uint8Array(0);

function writeId(out: ByteWriter, field: number, [high, low]: readonly [number, number]): void {
	out.byte((field << 3) | 2);
	out.byte(8);
	out.word(high);
	out.word(low);
}

function wordAt(bytes: Uint8Array, at: number): number {
	return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** The four words of a trace id. */
function idAt(bytes: Uint8Array, at: number): TraceRange["id"] {
	return [wordAt(bytes, at), wordAt(bytes, at + 4), wordAt(bytes, at + 8), wordAt(bytes, at + 12)];
}

function writeTime(out: ByteWriter, field: number, time: bigint): void {
	out.byte((field << 3) | 1);
	const low = Number(BigInt.asUintN(32, time));
	const high = Number(BigInt.asUintN(32, time >> 32n));
	for (let i = 0; i < 32; i += 8) out.byte((low >>> i) & 0xff);
	for (let i = 0; i < 32; i += 8) out.byte((high >>> i) & 0xff);
}
