/**
 * Reads a stored block part by part, each when it is first asked for, and rebuilds records from it to the byte.
 */
import type { RecordShape } from "../../model/columns.ts";
import { ByteReader, ByteWriter, DamagedBlockError } from "./bytes.ts";
import { BLOCK_FORMAT, type PartName, SHAPE_OF_SIGNAL, SLOT, traceHash } from "./format.ts";
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

export interface StoredHeap {
	readonly count: number;
	readonly bytes: Uint8Array;
	/** Entry `i` (from 1) is `[starts[i], starts[i + 1])`. */
	readonly starts: Uint32Array;
}

export interface StoredColumn {
	/** Block entry numbers, in the order of the column's indices. */
	readonly entries: Uint32Array;
	/** Undefined where every row holds `entries[0]`. */
	readonly indices: Uint32Array | undefined;
}

interface StoredTraces {
	readonly count: number;
	/** Four words a trace. */
	readonly ids: Uint32Array;
	/** One longer than `count`. */
	readonly firstRow: Uint32Array;
}

const decoder = new TextDecoder();

export class BlockReader {
	private readonly load: (part: PartName) => Uint8Array | undefined;
	/** Bytes that this reader keeps in memory, for whoever caches readers. */
	heldBytes = 512;
	private headValue: StoredHead | undefined;
	private tracesValue: StoredTraces | undefined;
	private offsetsValue: Float64Array | undefined;
	private durationsValue: Float64Array | undefined;
	private classesValue: { readonly classes: Uint32Array; readonly layouts: Uint32Array } | undefined;
	private idsValue: { readonly spans: Uint32Array; readonly parents: Uint32Array } | undefined;
	private heapValue: StoredHeap | undefined;
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

	/** Two words an id; all zero for none. */
	ids(): { readonly spans: Uint32Array; readonly parents: Uint32Array } {
		if (this.idsValue === undefined) {
			const { rows } = this.head();
			const reader = new ByteReader(this.part("ids"));
			const spans = new Uint32Array(rows * 2);
			const parents = new Uint32Array(rows * 2);
			for (let i = 0; i < spans.length; i++) spans[i] = reader.word();
			const { firstRow, count } = this.traces();
			for (let trace = 0; trace < count; trace++) {
				const first = firstRow[trace]!;
				for (let row = first, end = firstRow[trace + 1]!; row < end; row++) {
					const code = reader.varint();
					if (code === 1) {
						parents[row * 2] = reader.word();
						parents[row * 2 + 1] = reader.word();
					} else if (code > 1) {
						const parent = first + code - 2;
						if (parent >= end) throw new DamagedBlockError("a parent lies outside of its trace");
						parents[row * 2] = spans[parent * 2]!;
						parents[row * 2 + 1] = spans[parent * 2 + 1]!;
					}
				}
			}
			this.idsValue = { spans, parents };
			this.heldBytes += spans.byteLength * 2;
		}
		return this.idsValue;
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

	heap(): StoredHeap {
		if (this.heapValue === undefined) {
			const heap = readHeap(this.part("heap"));
			this.heapValue = heap;
			this.heldBytes += heap.bytes.length + heap.starts.byteLength;
		}
		return this.heapValue;
	}

	/** The bytes of a dictionary entry; empty for 0. */
	item(id: number): Uint8Array {
		if (id === 0) return NO_BYTES;
		const { bytes, starts } = this.heap();
		return bytes.subarray(starts[id]!, starts[id + 1]!);
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
		return column.entries[column.indices === undefined ? 0 : column.indices[this.layoutRows().rank[row]!]!]!;
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
					writeId(out, shape.spanIdField, this.ids().spans, row);
					break;
				case SLOT.parentId:
					writeId(out, shape.parentIdField, this.ids().parents, row);
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
		this.heldBytes += reader.bytes.length * 4;
		return { shape, rows, baseNs, scopes, classes, layouts, wideRows };
	}

	private readClasses(): { readonly classes: Uint32Array; readonly layouts: Uint32Array } {
		if (this.classesValue === undefined) {
			const head = this.head();
			const reader = new ByteReader(this.part("classes"));
			const classes = readIndices(reader, head.rows, head.classes.length) ?? new Uint32Array(head.rows);
			const layouts = readIndices(reader, head.rows, head.layouts.length) ?? new Uint32Array(head.rows);
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
					return { entries, indices: readIndices(reader, rows, distinct) };
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

function writeId(out: ByteWriter, field: number, ids: Uint32Array, row: number): void {
	out.byte((field << 3) | 2);
	out.byte(8);
	out.word(ids[row * 2]!);
	out.word(ids[row * 2 + 1]!);
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

/** One type for every width, so that loops over indices stay monomorphic. */
function readIndices(reader: ByteReader, count: number, distinct: number): Uint32Array | undefined {
	if (distinct <= 1) return undefined;
	if (distinct <= 256) return new Uint32Array(reader.raw(count));
	const indices = new Uint32Array(count);
	if (distinct <= 65_536) {
		const halves = reader.raw(count * 2);
		for (let i = 0; i < count; i++) indices[i] = halves[i]! | (halves[count + i]! << 8);
	} else for (let i = 0; i < count; i++) indices[i] = reader.word();
	return indices;
}

function readHeap(part: Uint8Array): StoredHeap {
	const reader = new ByteReader(part);
	const count = reader.varint();
	const lengthsSize = reader.varint();
	const shared = reader.raw(count);
	const lengths = new ByteReader(reader.raw(lengthsSize));
	const suffixes = reader.bytes.subarray(reader.at);
	const starts = new Uint32Array(count + 2);
	let total = 0;
	for (let id = 1; id <= count; id++) {
		starts[id] = total;
		total += shared[id - 1]! + lengths.varint();
	}
	starts[count + 1] = total;
	const bytes = new Uint8Array(total);
	let from = 0;
	for (let id = 1; id <= count; id++) {
		const start = starts[id]!;
		const same = shared[id - 1]!;
		if (same > 0) bytes.copyWithin(start, starts[id - 1]!, starts[id - 1]! + same);
		const size = starts[id + 1]! - start - same;
		for (let i = start + same, end = i + size; i < end; i++) bytes[i] = suffixes[from++]!;
	}
	if (from > suffixes.length) throw new DamagedBlockError("the heap ends early");
	return { count, bytes, starts };
}
