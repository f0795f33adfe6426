/**
 * Reads a stored block part by part, each when it is first asked for, and rebuilds records from it to the byte.
 */
import type { RecordShape } from "../../model/columns.ts";
import { ByteReader, ByteWriter, DamagedBlockError, unzigzag } from "./bytes.ts";
import { MAX_RESTARTS, OffsetCursor, StoredColumn, VarintCursor } from "./cursor.ts";
import { type PartName, SLOT } from "./format.ts";
import { readHead, type StoredHead } from "./head.ts";
import { HeapReader } from "./heap.ts";
import { IdsPart } from "./ids.ts";
import { StoredIndices } from "./indices.ts";
import { openPart } from "./seal.ts";
import { type StoredTraces, TracesPart } from "./traces.ts";

/** An empty reader's own size, about. */
const READER_BYTES = 512;

export class BlockReader {
	private readonly load: (part: PartName, hold: (bytes: number) => void) => Uint8Array | undefined;
	/** Bytes that this reader keeps in memory, for whoever caches readers. */
	heldBytes = READER_BYTES;
	private readonly hold = (bytes: number): void => {
		this.heldBytes += bytes;
	};
	private headValue: StoredHead | undefined;
	private tracesValue: TracesPart | undefined;
	private offsetsValue: Float64Array | undefined;
	private offsetCursor: OffsetCursor | undefined;
	private durationsValue: Float64Array | undefined;
	private durationCursor: VarintCursor | undefined;
	private storedClassesValue: { readonly classes: StoredIndices; readonly layouts: StoredIndices } | undefined;
	private classesValue: { readonly classes: Uint32Array; readonly layouts: Uint32Array } | undefined;
	private idsValue: IdsPart | undefined;
	private heapValue: HeapReader | undefined;
	private columnsValue: readonly (readonly StoredColumn[])[] | undefined;
	private ranksValue: { readonly counts: Uint32Array; readonly rank: Uint32Array } | undefined;
	private layoutRowsValue: readonly Uint32Array[] | undefined;
	private filterValue: Uint8Array | null | undefined;

	private readonly forgetSource: () => void;

	/**
	 * @param load gives a part as it was sealed, or undefined where the block has none; told of bytes that it keeps for the next part
	 * @param forgetSource lets go of those
	 */
	constructor(
		load: (part: PartName, hold: (bytes: number) => void) => Uint8Array | undefined,
		forgetSource: () => void = () => {},
	) {
		this.load = load;
		this.forgetSource = forgetSource;
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
		this.forgetSource();
		this.tracesValue = undefined;
		this.offsetsValue = undefined;
		this.offsetCursor = undefined;
		this.durationsValue = undefined;
		this.durationCursor = undefined;
		this.storedClassesValue = undefined;
		this.classesValue = undefined;
		this.idsValue = undefined;
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
		return this.tracesPart().list();
	}

	/** The rows of a trace, from the first up to the second; undefined where the block does not hold it. */
	findTrace(w0: number, w1: number, w2: number, w3: number): readonly [number, number] | undefined {
		return this.tracesPart().find(w0, w1, w2, w3);
	}

	/** Place of the trace that a row belongs to. */
	traceOfRow(row: number): number {
		return this.tracesPart().ofRow(row);
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
		return this.offsetCursor.at(row, this.tracesPart().firstRowOf(row));
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
		return this.idsPart().spanId(row);
	}

	/** Parent span id of a row, as two words; zeros for none. */
	parentId(row: number): readonly [number, number] {
		return this.idsPart().parentId(row);
	}

	hasParent(row: number): boolean {
		return this.idsPart().hasParent(row);
	}

	/** Ids of every row, two words each; all zero for none. */
	ids(): { readonly spans: Uint32Array; readonly parents: Uint32Array } {
		return this.idsPart().all();
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
			const sealed = this.load("filter", this.hold);
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
					for (const word of this.tracesPart().idOfRow(row)) out.word(word);
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

	private idsPart(): IdsPart {
		return (this.idsValue ??= new IdsPart(this.part("ids"), this.head().rows, () => this.tracesPart(), this.hold));
	}

	private tracesPart(): TracesPart {
		return (this.tracesValue ??= new TracesPart(this.part("traces"), () => this.head().rows, this.hold));
	}

	private part(name: PartName): Uint8Array {
		const sealed = this.load(name, this.hold);
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

function writeTime(out: ByteWriter, field: number, time: bigint): void {
	out.byte((field << 3) | 1);
	const low = Number(BigInt.asUintN(32, time));
	const high = Number(BigInt.asUintN(32, time >> 32n));
	for (let i = 0; i < 32; i += 8) out.byte((low >>> i) & 0xff);
	for (let i = 0; i < 32; i += 8) out.byte((high >>> i) & 0xff);
}
