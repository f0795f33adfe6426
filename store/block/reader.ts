/**
 * Reads a stored block part by part, each when it is first asked for, and rebuilds records from it to the byte.
 */
import type { RecordShape } from "../../model/columns.ts";
import { ByteReader, ByteWriter, DamagedBlockError } from "./bytes.ts";
import { BLOCK_FORMAT, type PartName, SHAPE_OF_SIGNAL, SLOT, traceHash } from "./format.ts";
import { HeapReader } from "./heap.ts";
import { StoredIndices } from "./indices.ts";
import { openPart } from "./seal.ts";

export interface StoredClass {
	readonly scope: number;
	readonly service: string;
	readonly name: string;
	readonly nameItem: number;
	readonly kindItem: number;
	/** Span kind, or severity number. */
	readonly kind: number;
	/** Status code. */
	readonly status: number;
	readonly rows: number;
	readonly minDuration: number;
	readonly maxDuration: number;
}

export interface StoredHead {
	readonly shape: RecordShape;
	readonly rows: number;
	readonly baseNs: bigint;
	readonly scopes: readonly { readonly resourceItem: number; readonly scopeItem: number; readonly service: string }[];
	readonly classes: readonly StoredClass[];
	readonly layouts: readonly { readonly slots: Uint8Array; readonly hash: number; readonly items: number }[];
	/** Rows whose times do not fit the columns. */
	readonly wideRows: ReadonlyMap<number, { readonly time0: bigint; readonly time1: bigint }>;
}

export interface StoredColumn {
	/** Block entry numbers, in the order of the column's indices. */
	readonly entries: Uint32Array;
	readonly indices: StoredIndices;
}

interface StoredTraces {
	readonly count: number;
	/** Four words a trace. */
	readonly ids: Uint32Array;
	/** One longer than `count`. */
	readonly firstRow: Uint32Array;
}

/** An empty reader's own size, about. */
const READER_BYTES = 512;
const decoder = new TextDecoder();

const LITERAL_STEP = 64;

export class BlockReader {
	private readonly load: (part: PartName) => Uint8Array | undefined;
	/** Bytes that this reader keeps in memory, for whoever caches readers. */
	heldBytes = READER_BYTES;
	private headBytes = 0;
	private headValue: StoredHead | undefined;
	private tracesValue: StoredTraces | undefined;
	private offsetsValue: Float64Array | undefined;
	private durationsValue: Float64Array | undefined;
	private classesValue: { readonly classes: Uint32Array; readonly layouts: Uint32Array } | undefined;
	private idsValue: Uint8Array | undefined;
	private literalsValue: Uint32Array | undefined;
	private heapValue: HeapReader | undefined;
	private columnsValue: readonly (readonly StoredColumn[])[] | undefined;
	private layoutRowsValue: { readonly rows: readonly Uint32Array[]; readonly rank: Uint32Array } | undefined;
	private filterValue: Uint8Array | null | undefined;

	/** @param load gives a part as it was sealed, or undefined where the block has none */
	constructor(load: (part: PartName) => Uint8Array | undefined) {
		this.load = load;
	}

	head(): StoredHead {
		return (this.headValue ??= this.readHead());
	}

	/** Lets go of everything but the head; parts are loaded again when they are asked for. */
	forgetParts(): void {
		this.tracesValue = undefined;
		this.offsetsValue = undefined;
		this.durationsValue = undefined;
		this.classesValue = undefined;
		this.idsValue = undefined;
		this.literalsValue = undefined;
		this.heapValue = undefined;
		this.columnsValue = undefined;
		this.layoutRowsValue = undefined;
		this.filterValue = undefined;
		this.heldBytes = READER_BYTES + this.headBytes;
	}

	get shape(): RecordShape {
		return this.head().shape;
	}

	traces(): StoredTraces {
		if (this.tracesValue === undefined) {
			const reader = new ByteReader(this.part("traces"));
			const count = reader.varint();
			const ids = new Uint32Array(count * 4);
			for (let i = 0; i < ids.length; i++) ids[i] = reader.word();
			const firstRow = new Uint32Array(count + 1);
			for (let i = 0, at = 0; i < count; i++) firstRow[i + 1] = at += reader.varint();
			if (firstRow[count] !== this.head().rows) throw new DamagedBlockError("rows of traces do not add up");
			this.tracesValue = { count, ids, firstRow };
			this.heldBytes += ids.byteLength + firstRow.byteLength;
		}
		return this.tracesValue;
	}

	/** Place of a trace in the block, or -1. */
	findTrace(w0: number, w1: number, w2: number, w3: number): number {
		const { ids, count } = this.traces();
		const wanted = traceHash(w0, w1, w2, w3);
		let low = 0;
		let high = count;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.hashAt(ids, middle) < wanted) low = middle + 1;
			else high = middle;
		}
		for (; low < count && this.hashAt(ids, low) === wanted; low++) {
			const at = low * 4;
			if (ids[at] === w0 && ids[at + 1] === w1 && ids[at + 2] === w2 && ids[at + 3] === w3) return low;
		}
		return -1;
	}

	/** Place of the trace that a row belongs to. */
	traceOfRow(row: number): number {
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

	rowClasses(): Uint32Array {
		return this.readClasses().classes;
	}

	rowLayouts(): Uint32Array {
		return this.readClasses().layouts;
	}

	time0(row: number): bigint {
		const head = this.head();
		return head.wideRows.get(row)?.time0 ?? head.baseNs + BigInt(this.offsets()[row]!);
	}

	time1(row: number): bigint {
		const head = this.head();
		return head.wideRows.get(row)?.time1 ?? head.baseNs + BigInt(this.offsets()[row]! + this.durations()[row]!);
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
		if (code > 1) {
			const { firstRow } = this.traces();
			return this.spanId(firstRow[this.traceOfRow(row)]! + code - 2);
		}
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
		return this.layoutRows().rows[layout]!;
	}

	/** Dictionary entry at a position of a row. */
	entry(row: number, position: number): number {
		const column = this.column(this.rowLayouts()[row]!, position);
		return column.entries[column.indices.isConstant ? 0 : column.indices.at(this.layoutRows().rank[row]!)]!;
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
		const layout = head.layouts[this.rowLayouts()[row]!]!;
		const entry = head.classes[this.rowClasses()[row]!]!;
		let position = 0;
		for (const slot of layout.slots) {
			switch (slot) {
				case SLOT.item:
					out.raw(this.item(this.entry(row, position++)));
					break;
				case SLOT.traceId: {
					const at = this.traceOfRow(row) * 4;
					const { ids } = this.traces();
					out.byte((shape.traceIdField << 3) | 2);
					out.byte(16);
					for (let i = 0; i < 4; i++) out.word(ids[at + i]!);
					break;
				}
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

	private hashAt(ids: Uint32Array, trace: number): number {
		const at = trace * 4;
		return traceHash(ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!);
	}

	private part(name: PartName): Uint8Array {
		const sealed = this.load(name);
		if (sealed === undefined) throw new DamagedBlockError(`the ${name} of a block is missing`);
		return openPart(sealed);
	}

	private readHead(): StoredHead {
		const reader = new ByteReader(this.part("head"));
		const format = reader.byte();
		if (format !== BLOCK_FORMAT)
			throw new DamagedBlockError(`a block has format ${format}; this version reads ${BLOCK_FORMAT}`);
		const shape = SHAPE_OF_SIGNAL[reader.byte() === 0 ? "traces" : "logs"];
		const rows = reader.varint();
		const baseNs = reader.bigint64();
		const services = list(reader, () => decoder.decode(reader.lengthPrefixed()));
		const scopes = list(reader, () => ({
			resourceItem: reader.varint(),
			scopeItem: reader.varint(),
			service: services[reader.varint()]!,
		}));
		const names = list(reader, () => decoder.decode(reader.lengthPrefixed()));
		const classes = list(reader, () => {
			const scope = reader.varint();
			return {
				scope,
				service: scopes[scope]!.service,
				name: names[reader.varint()]!,
				nameItem: reader.varint(),
				kindItem: reader.varint(),
				kind: reader.byte(),
				status: reader.byte(),
				rows: reader.varint(),
				minDuration: reader.zigzag(),
				maxDuration: reader.zigzag(),
			};
		});
		const layouts = list(reader, () => {
			const hash = reader.word() | 0;
			const slots = reader.lengthPrefixed();
			return { slots, hash, items: slots.reduce((total, slot) => total + (slot === SLOT.item ? 1 : 0), 0) };
		});
		const wideRows = new Map(
			list(reader, () => [reader.varint(), { time0: reader.bigint64(), time1: reader.bigint64() }] as const),
		);
		this.headBytes = reader.bytes.length * 4;
		this.heldBytes += this.headBytes;
		return { shape, rows, baseNs, scopes, classes, layouts, wideRows };
	}

	private readClasses(): { readonly classes: Uint32Array; readonly layouts: Uint32Array } {
		if (this.classesValue === undefined) {
			const head = this.head();
			const reader = new ByteReader(this.part("classes"));
			const classes = new StoredIndices(reader, head.rows, head.classes.length).unpack();
			const layouts = new StoredIndices(reader, head.rows, head.layouts.length).unpack();
			this.classesValue = { classes, layouts };
			this.heldBytes += classes.byteLength * 2;
		}
		return this.classesValue;
	}

	private readColumns(): readonly (readonly StoredColumn[])[] {
		if (this.columnsValue === undefined) {
			const bytes = this.part("columns");
			const reader = new ByteReader(bytes);
			this.columnsValue = this.head().layouts.map((layout, i) => {
				const rows = this.rowsOfLayout(i).length;
				return Array.from({ length: layout.items }, () => {
					const distinct = reader.varint();
					const entries = new Uint32Array(distinct);
					for (let k = 0, previous = 0; k < distinct; k++) entries[k] = previous += reader.zigzag() + 1;
					return { entries, indices: new StoredIndices(reader, rows, distinct) };
				});
			});
			this.heldBytes += bytes.length;
		}
		return this.columnsValue;
	}

	private layoutRows(): { readonly rows: readonly Uint32Array[]; readonly rank: Uint32Array } {
		if (this.layoutRowsValue === undefined) {
			const head = this.head();
			const rowLayouts = this.rowLayouts();
			const counts = new Uint32Array(head.layouts.length);
			for (let row = 0; row < head.rows; row++) counts[rowLayouts[row]!]!++;
			const rows = Array.from(counts, (count) => new Uint32Array(count));
			const rank = new Uint32Array(head.rows);
			counts.fill(0);
			for (let row = 0; row < head.rows; row++) {
				const layout = rowLayouts[row]!;
				const place = counts[layout]!++;
				rows[layout]![place] = row;
				rank[row] = place;
			}
			this.layoutRowsValue = { rows, rank };
			this.heldBytes += head.rows * 8;
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

function writeTime(out: ByteWriter, field: number, time: bigint): void {
	out.byte((field << 3) | 1);
	const low = Number(BigInt.asUintN(32, time));
	const high = Number(BigInt.asUintN(32, time >> 32n));
	for (let i = 0; i < 32; i += 8) out.byte((low >>> i) & 0xff);
	for (let i = 0; i < 32; i += 8) out.byte((high >>> i) & 0xff);
}

function list<T>(reader: ByteReader, read: () => T): T[] {
	const count = reader.varint();
	if (count > reader.bytes.length) throw new DamagedBlockError("a list is longer than its part");
	return Array.from({ length: count }, read);
}
