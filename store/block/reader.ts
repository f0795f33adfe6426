/**
 * Reads a stored block part by part, each when it is first asked for, and rebuilds records from it to the byte. Of a single trace it
 * reads only the stretch of each part that holds it.
 */
import type { RecordShape } from "../../model/columns.ts";
import { ByteWriter, DamagedBlockError } from "./bytes.ts";
import { type PartName, SLOT, traceHash } from "./format.ts";
import { readHead, type StoredHead } from "./head.ts";
import { HeapReader } from "./heap.ts";
import { BlockHeap } from "./heap-chunks.ts";
import type { StoredIndices } from "./indices.ts";
import { contentLength, ENVELOPE_BYTES, openPart } from "./seal.ts";
import { Stretch } from "./stretch.ts";
import { readDirectory, STRETCHED_PARTS, type StretchDirectory, type StretchedPart, type StretchPlace } from "./stretches.ts";
import type { StoredTraces } from "./traces.ts";

/** An empty reader's own size, about. */
const READER_BYTES = 512;
/** Of a stretch's place in the directory. */
const PLACE_BYTES = 400;

type Hold = (bytes: number) => void;

export interface PartSource {
	/** A part as it was sealed, or undefined where the block has none; `hold` is told of bytes kept for the next part. */
	readonly load: (part: PartName, hold: Hold) => Uint8Array | undefined;
	/** Bytes `[start, end)` of a part, without the rest where that is cheaper. */
	readonly loadRange?: (part: PartName, start: number, end: number, hold: Hold) => Uint8Array | undefined;
	/** Lets go of what is kept. */
	readonly forget?: () => void;
}

export class BlockReader {
	/** Bytes kept in memory that {@link forgetParts} would let go of. */
	partBytes = 0;
	private readonly source: PartSource;
	private readonly hold: Hold = (bytes) => {
		this.partBytes += bytes;
	};
	private headValue: StoredHead | undefined;
	/** Null for a block of one stretch. */
	private directoryValue: StretchDirectory | null | undefined;
	private stretches: (Stretch | undefined)[] = [];
	/** The stretch asked last, and its first row: nearly all of what is asked for row by row is about one. */
	private current = 0;
	private firstRow = 0;
	private endRow = -1;
	/** Parts that are read from end to end just now, as they were sealed. */
	private readonly wholes = new Map<PartName, Uint8Array>();
	private tracesValue: StoredTraces | undefined;
	private offsetsValue: Float64Array | undefined;
	private durationsValue: Float64Array | undefined;
	private classesValue: Uint32Array | undefined;
	private layoutsValue: Uint32Array | undefined;
	private heapValue: BlockHeap | undefined;
	private filterValue: Uint8Array | null | undefined;

	constructor(source: PartSource | PartSource["load"]) {
		this.source = typeof source === "function" ? { load: source } : source;
	}

	head(): StoredHead {
		return (this.headValue ??= readHead(this.part("head")));
	}

	/** Lets go of everything but the head and the directory; parts are loaded again when they are asked for. */
	forgetParts(): void {
		this.source.forget?.();
		this.stretches = [];
		this.endRow = -1;
		this.tracesValue = undefined;
		this.offsetsValue = undefined;
		this.durationsValue = undefined;
		this.classesValue = undefined;
		this.layoutsValue = undefined;
		this.heapValue = undefined;
		this.filterValue = undefined;
		this.partBytes = 0;
	}

	/** Bytes that this reader keeps in memory besides parts. */
	get lastingBytes(): number {
		return READER_BYTES + (this.headValue?.heldBytes ?? 0) + directoryBytes(this.directoryValue);
	}

	get shape(): RecordShape {
		return this.head().shape;
	}

	traces(): StoredTraces {
		return (this.tracesValue ??= this.wholly(["traces"], () => this.joinTraces()));
	}

	/** The rows of a trace, from the first up to the second; undefined where the block does not hold it. */
	findTrace(...words: readonly [number, number, number, number]): readonly [number, number] | undefined {
		const places = this.directory()?.stretches;
		if (places === undefined)
			return this.stretch(0)
				.traces()
				.find(...words);
		const wanted = traceHash(...words);
		// The last stretch that begins below it; traces of one hash may go on in the next.
		let low = 0;
		let high = places.length;
		while (low + 1 < high) {
			const middle = (low + high) >>> 1;
			if (places[middle]!.hash < wanted) low = middle;
			else high = middle;
		}
		for (; low < places.length && places[low]!.hash <= wanted; low++) {
			const found = this.stretch(low)
				.traces()
				.find(...words);
			const { firstRow } = places[low]!;
			if (found !== undefined) return [firstRow + found[0], firstRow + found[1]];
		}
		return undefined;
	}

	/** Place of the trace that a row belongs to. */
	traceOfRow(row: number): number {
		const stretch = this.stretchOfRow(row);
		return (this.directory()?.stretches[this.current]!.firstTrace ?? 0) + stretch.traces().ofRow(row - this.firstRow);
	}

	/** First time of each row less `head().baseNs`; ±2^52 stands for a wide row. */
	offsets(): Float64Array {
		return (this.offsetsValue ??= this.numbers(["traces", "times"], (stretch, to) => stretch.writeOffsets(to)));
	}

	durations(): Float64Array {
		return (this.durationsValue ??= this.numbers(["durations"], (stretch, to) => stretch.writeDurations(to)));
	}

	/** As `rowClasses()` for a single row. */
	classOfRow(row: number): number {
		return this.classesValue?.[row] ?? this.stretchOfRow(row).classes.at(row - this.firstRow);
	}

	rowClasses(): Uint32Array {
		return (this.classesValue ??= this.indices((stretch) => stretch.classes));
	}

	rowLayouts(): Uint32Array {
		return (this.layoutsValue ??= this.indices((stretch) => stretch.layouts));
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
		return this.offsetsValue?.[row] ?? this.stretchOfRow(row).offsetOfRow(row - this.firstRow);
	}

	/** As `durations()` for a single row; best asked in ascending order. */
	durationOfRow(row: number): number {
		return this.durationsValue?.[row] ?? this.stretchOfRow(row).durationOfRow(row - this.firstRow);
	}

	/** Span id of a row, as two words. */
	spanId(row: number): readonly [number, number] {
		return this.stretchOfRow(row)
			.ids()
			.spanId(row - this.firstRow);
	}

	/** Parent span id of a row, as two words; zeros for none. */
	parentId(row: number): readonly [number, number] {
		return this.stretchOfRow(row)
			.ids()
			.parentId(row - this.firstRow);
	}

	hasParent(row: number): boolean {
		return this.stretchOfRow(row)
			.ids()
			.hasParent(row - this.firstRow);
	}

	/** Span ids of every row, two words each; a fresh copy. */
	spanIds(): Uint32Array {
		const ids = new Uint32Array(this.rowCount() * 2);
		this.wholly(["ids"], () =>
			this.forEachStretch((stretch, firstRow) =>
				stretch.ids().writeSpanIds(ids.subarray(firstRow * 2, (firstRow + stretch.rows) * 2)),
			),
		);
		return ids;
	}

	/** Ids of every row, two words each; all zero for none. */
	ids(): { readonly spans: Uint32Array; readonly parents: Uint32Array } {
		const rows = this.rowCount();
		const spans = new Uint32Array(rows * 2);
		const parents = new Uint32Array(rows * 2);
		this.wholly(["traces", "ids"], () =>
			this.forEachStretch((stretch, firstRow) => {
				const own = stretch.ids().all();
				spans.set(own.spans, firstRow * 2);
				parents.set(own.parents, firstRow * 2);
			}),
		);
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

	heap(): BlockHeap {
		if (this.heapValue === undefined) {
			const places = this.directory()?.heap;
			if (places === undefined) {
				const only = new HeapReader(this.part("heap"));
				this.heapValue = new BlockHeap([{ before: 0, entries: only.count }], () => only, this.hold);
			} else {
				const open = (i: number): HeapReader => new HeapReader(this.piece("heap", places[i]!.start, places[i]!.end));
				this.heapValue = new BlockHeap(places, open, this.hold, (work) => this.wholly(["heap"], work));
			}
		}
		return this.heapValue;
	}

	/** The bytes of a dictionary entry; empty for 0. */
	item(id: number): Uint8Array {
		return id === 0 ? NO_BYTES : this.heap().item(id);
	}

	/** Calls back for each stretch with the number of its first row, for work on all columns. */
	forEachStretchOfColumns(visit: (stretch: Stretch, firstRow: number) => void): void {
		this.wholly(["classes", "columns"], () => this.forEachStretch(visit));
	}

	/** True where some row of a layout may hold an entry of a set at a position. @param wanted 1 for each entry of the set */
	columnHas(layout: number, position: number, wanted: Uint8Array): boolean {
		let has = false;
		this.forEachStretchOfColumns((stretch) => {
			has ||= stretch.column(layout, position)?.entries.some((entry) => wanted[entry] === 1) === true;
		});
		return has;
	}

	/** Dictionary entry at a position of a row. */
	entry(row: number, position: number): number {
		return this.stretchOfRow(row).entry(row - this.firstRow, position);
	}

	/** Dictionary entries of a row in the order of its fields, ids, times, name and kind left out. Returns how many there are. */
	entriesOfRow(row: number, into: number[]): number {
		return this.stretchOfRow(row).entriesOfRow(row - this.firstRow, into);
	}

	filter(): Uint8Array | undefined {
		if (this.filterValue === undefined) {
			const sealed = this.source.load("filter", this.hold);
			this.filterValue = sealed === undefined ? null : openPart(sealed);
			this.partBytes += this.filterValue?.length ?? 0;
		}
		return this.filterValue ?? undefined;
	}

	/**
	 * How large the block's texts are once they are unpacked: names in the head, all else in the dictionary. From what the parts say of
	 * themselves, so without reading them.
	 */
	unpackedBytes(): number {
		const chunks = this.directory()?.heap.filter(({ entries }) => entries > 0) ?? [{ start: 0 }];
		return chunks.reduce((total, { start }) => total + this.lengthAt("heap", start), this.lengthAt("head", 0));
	}

	/** Calls back for each top-level field of a record, in its order, with its dictionary entry; ids and times, in columns, have 0. */
	forEachField(row: number, visit: (slot: number, entry: number) => void): void {
		const head = this.head();
		const stretch = this.stretchOfRow(row);
		const own = row - this.firstRow;
		let position = 0;
		for (const slot of head.layouts[stretch.layouts.at(own)]!.slots) {
			if (slot === SLOT.item) visit(slot, stretch.entry(own, position++));
			else if (slot === SLOT.name) visit(slot, head.classes.nameItem[stretch.classes.at(own)]!);
			else if (slot === SLOT.kind) visit(slot, head.classes.kindItem[stretch.classes.at(own)]!);
			else visit(slot, 0);
		}
	}

	/** Appends a record's message bytes, exactly as they came. */
	writeRecord(row: number, out: ByteWriter): void {
		const head = this.head();
		const { shape } = head;
		const stretch = this.stretchOfRow(row);
		const own = row - this.firstRow;
		const layout = head.layouts[stretch.layouts.at(own)]!;
		const entry = head.classes.at(stretch.classes.at(own));
		let position = 0;
		for (const slot of layout.slots) {
			switch (slot) {
				case SLOT.item:
					this.writeItem(stretch.entry(own, position++), out);
					break;
				case SLOT.traceId:
					out.byte((shape.traceIdField << 3) | 2);
					out.byte(16);
					for (const word of stretch.traces().idOfRow(own)) out.word(word);
					break;
				case SLOT.spanId:
					writeId(out, shape.spanIdField, stretch.ids().spanId(own));
					break;
				case SLOT.parentId:
					writeId(out, shape.parentIdField, stretch.ids().parentId(own));
					break;
				case SLOT.time0:
					writeTime(out, shape.time0Field, this.time0(row));
					break;
				case SLOT.time1:
					writeTime(out, shape.time1Field, this.time1(row));
					break;
				case SLOT.name:
					this.writeItem(entry.nameItem, out);
					break;
				case SLOT.kind:
					this.writeItem(entry.kindItem, out);
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

	private writeItem(id: number, out: ByteWriter): void {
		if (id !== 0) this.heap().writeItem(id, out);
	}

	private directory(): StretchDirectory | undefined {
		if (this.directoryValue === undefined) {
			const sealed = this.source.load("stretches", this.hold);
			this.directoryValue = sealed === undefined ? null : readDirectory(openPart(sealed));
		}
		return this.directoryValue ?? undefined;
	}

	private stretch(i: number): Stretch {
		const known = this.stretches[i];
		if (known !== undefined) return known;
		const place = this.directory()?.stretches[i];
		return (this.stretches[i] = new Stretch({
			piece: (part) => (place === undefined ? this.part(part) : this.stretchedPiece(part, place)),
			head: () => this.head(),
			rows: () => place?.rows ?? this.head().rows,
			numbering: place?.numbering ?? { shared: Infinity, shift: 0 },
			hold: this.hold,
		}));
	}

	/** Sets `current` and `firstRow` to the row's stretch. */
	private stretchOfRow(row: number): Stretch {
		if (row >= this.firstRow && row < this.endRow) return this.stretch(this.current);
		const places = this.directory()?.stretches;
		let low = 0;
		if (places !== undefined) {
			let high = places.length;
			while (low + 1 < high) {
				const middle = (low + high) >>> 1;
				if (places[middle]!.firstRow <= row) low = middle;
				else high = middle;
			}
		}
		this.current = low;
		this.firstRow = places?.[low]!.firstRow ?? 0;
		this.endRow = this.firstRow + (places?.[low]!.rows ?? this.head().rows);
		return this.stretch(low);
	}

	private forEachStretch(visit: (stretch: Stretch, firstRow: number) => void): void {
		const places = this.directory()?.stretches;
		if (places === undefined) visit(this.stretch(0), 0);
		else for (const [i, { firstRow }] of places.entries()) visit(this.stretch(i), firstRow);
	}

	/** Rows of the block, as head and directory agree. */
	private rowCount(): number {
		const { rows } = this.head();
		const listed = this.directory()?.rows ?? rows;
		if (listed !== rows) throw new DamagedBlockError("rows of stretches do not add up");
		return rows;
	}

	private joinTraces(): StoredTraces {
		const directory = this.directory();
		if (directory === undefined) return this.stretch(0).traces().list();
		const count = directory.traces;
		const ids = new Uint32Array(count * 4);
		const firstRow = new Uint32Array(count + 1);
		for (const [i, place] of directory.stretches.entries()) {
			const own = this.stretch(i).traces().list();
			if (own.count !== place.traces) throw new DamagedBlockError("traces of stretches do not add up");
			ids.set(own.ids, place.firstTrace * 4);
			for (let trace = 0; trace < own.count; trace++)
				firstRow[place.firstTrace + trace] = place.firstRow + own.firstRow[trace]!;
		}
		firstRow[count] = this.rowCount();
		this.hold(ids.byteLength + firstRow.byteLength);
		return { count, ids, firstRow };
	}

	private numbers(parts: readonly StretchedPart[], write: (stretch: Stretch, to: Float64Array) => void): Float64Array {
		const numbers = new Float64Array(this.rowCount());
		this.wholly(parts, () =>
			this.forEachStretch((stretch, firstRow) => write(stretch, numbers.subarray(firstRow, firstRow + stretch.rows))),
		);
		this.hold(numbers.byteLength);
		return numbers;
	}

	private indices(of: (stretch: Stretch) => StoredIndices): Uint32Array {
		const indices = new Uint32Array(this.rowCount());
		this.wholly(["classes"], () => this.forEachStretch((stretch, firstRow) => of(stretch).writeTo(indices, firstRow)));
		this.hold(indices.byteLength);
		return indices;
	}

	private part(name: PartName): Uint8Array {
		const sealed = this.source.load(name, this.hold);
		if (sealed === undefined) throw new DamagedBlockError(`the ${name} of a block is missing`);
		return openPart(sealed);
	}

	private lengthAt(name: PartName, at: number): number {
		const { source } = this;
		const end = at + ENVELOPE_BYTES;
		const envelope =
			source.loadRange === undefined
				? source.load(name, this.hold)?.subarray(at, end)
				: source.loadRange(name, at, end, this.hold);
		if (envelope === undefined) throw new DamagedBlockError(`the ${name} of a block is missing`);
		return contentLength(envelope);
	}

	private stretchedPiece(part: StretchedPart, { starts, ends }: StretchPlace): Uint8Array {
		const p = STRETCHED_PARTS.indexOf(part);
		return this.piece(part, starts[p]!, ends[p]!);
	}

	private piece(part: StretchedPart | "heap", start: number, end: number): Uint8Array {
		const { source } = this;
		const whole = this.wholes.get(part);
		const sealed =
			whole === undefined && source.loadRange !== undefined
				? source.loadRange(part, start, end, this.hold)
				: (whole ?? this.wholePart(part)).subarray(start, end);
		if (sealed === undefined) throw new DamagedBlockError(`the ${part} of a block is missing`);
		return openPart(sealed);
	}

	/** Has the parts loaded whole, once, for work on all of their stretches. */
	private wholly<T>(parts: readonly (StretchedPart | "heap")[], work: () => T): T {
		if (this.directory() === undefined) return work();
		const added = parts.filter((part) => !this.wholes.has(part));
		for (const part of added) this.wholes.set(part, this.wholePart(part));
		try {
			return work();
		} finally {
			for (const part of added) this.wholes.delete(part);
		}
	}

	private wholePart(part: StretchedPart | "heap"): Uint8Array {
		const sealed = this.source.load(part, this.hold);
		if (sealed === undefined) throw new DamagedBlockError(`the ${part} of a block is missing`);
		const { heap, stretches } = this.directory()!;
		const end = part === "heap" ? heap.at(-1)!.end : stretches.at(-1)!.ends[STRETCHED_PARTS.indexOf(part)];
		if (sealed.length !== end) throw new DamagedBlockError(`the ${part} of a block is longer or shorter than it was`);
		return sealed;
	}
}

function directoryBytes(directory: StretchDirectory | null | undefined): number {
	return (directory?.stretches.length ?? 0) * PLACE_BYTES;
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
