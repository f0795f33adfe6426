/**
 * Builds a block from rows in any order: takes them from fresh columns (group commit) or from other blocks (merge), orders them by
 * trace, and encodes the parts. One builder is reused; its arrays only grow.
 */
import type { RecordColumns, RecordShape } from "../../model/columns.ts";
import { invalidTexts } from "../../model/otlp/invalid-text.ts";
import type { FieldEntries } from "../store.ts";
import { ClassTable, type RowClass } from "./class-table.ts";
import { ItemDictionary } from "./dictionary.ts";
import { encodeBlock } from "./encode.ts";
import { type EncodedBlock, MAX_OFFSET, SLOT } from "./format.ts";
import { type Layout, LayoutTable } from "./layout-table.ts";
import type { BlockReader } from "./reader.ts";
import { type Scope, ScopeTable } from "./scope-table.ts";
import type { Stretch } from "./stretch.ts";

export interface WideRow {
	readonly time0: bigint;
	readonly time1: bigint;
}

/** Their items fill half of a core's first cache. */
const ROWS_AT_ONCE = 256;
const NAMESAKES = 1 << 16;
const decoder = new TextDecoder();

export class BlockBuilder {
	readonly shape: RecordShape;
	readonly dictionary = new ItemDictionary();
	readonly scopes: readonly Scope[];
	readonly classes: readonly RowClass[];
	readonly layouts: readonly Layout[];
	readonly wideRows = new Map<number, WideRow>();
	/** All offsets are relative to it. */
	baseNs = 0n;
	rows = 0;

	rowClass = new Uint32Array(0);
	rowLayout = new Uint32Array(0);
	/** First of the row's entry numbers in `items`. */
	rowItems = new Uint32Array(0);
	offset = new Float64Array(0);
	duration = new Float64Array(0);
	traceId = new Uint32Array(0);
	spanId = new Uint32Array(0);
	parentId = new Uint32Array(0);
	items = new Uint32Array(0);
	itemsUsed = 0;

	private readonly scopeTable = new ScopeTable(this.dictionary);
	private readonly classTable = new ClassTable();
	private readonly layoutTable = new LayoutTable();
	/** By the entry of a name: where the entries of its last record begin. Guesses only, so what is stale costs a comparison. */
	private readonly lastOfName = new Uint32Array(NAMESAKES);
	private readonly layoutScratch = new Uint8Array(16_384);

	constructor(shape: RecordShape) {
		this.shape = shape;
		this.scopes = this.scopeTable.entries;
		this.classes = this.classTable.entries;
		this.layouts = this.layoutTable.entries;
	}

	reset(): void {
		this.dictionary.reset();
		this.scopeTable.reset();
		this.classTable.reset();
		this.layoutTable.reset();
		this.wideRows.clear();
		this.rows = 0;
		this.itemsUsed = 0;
	}

	/** Which fields of the rows are equal; valid until the next row, also when the block is finished. */
	fieldEntries(): FieldEntries {
		const { count, heap, starts, lengths } = this.dictionary;
		return {
			numbers: this.items,
			firstOfRow: this.rowItems,
			end: this.itemsUsed,
			count,
			classOfRow: this.rowClass,
			classCount: this.classes.length,
			bytes: heap,
			starts,
			lengths,
		};
	}

	/** Adds every row of a group. */
	addColumns(columns: RecordColumns): void {
		const count = columns.count;
		if (count === 0) return;
		if (this.rows === 0) this.baseNs = (BigInt(columns.time0[1]!) << 32n) | BigInt(columns.time0[0]!);
		const scopeOf = this.scopeTable.internAll(columns);
		this.ensureRows(this.rows + count);
		this.ensureItems(this.itemsUsed + columns.fieldCount);
		const baseLow = Number(this.baseNs & 0xffff_ffffn);
		const baseHigh = Number(this.baseNs >> 32n);
		const { bytes, view, time0, time1, firstField, fieldStart, fieldSlot } = columns;
		const { items, dictionary, layoutScratch, lastOfName, classTable, layoutTable } = this;
		/** Such a field is two bytes, the second of them the kind. */
		const itemOfKind = new Uint32Array(256);
		let used = this.itemsUsed;
		/** Where the entries of the record before begin; they are guesses for those of the next. */
		let before = used;
		for (let i = 0, row = this.rows; i < count; i++, row++) {
			this.rowItems[row] = used;
			const first = used;
			/** From an entry's place to its guesses: in the record before, and in the last one of the same name. */
			const toBefore = before - first;
			let toNamesake = toBefore;
			before = first;
			let nameItem = 0;
			let kindItem = 0;
			let slots = 0;
			let layoutHash = 17;
			const firstOfRow = firstField[i]!;
			let start = fieldStart[firstOfRow]!;
			for (let f = firstOfRow, fEnd = firstField[i + 1]! - 1; f < fEnd; f++) {
				const slot = fieldSlot[f]!;
				const end = fieldStart[f + 1]!;
				if (slot === SLOT.attribute) {
					items[used] = dictionary.internGuessing(
						items[used + toBefore]!,
						items[used + toNamesake]!,
						bytes,
						view,
						start,
						end - start,
					);
					used++;
					layoutScratch[slots++] = SLOT.item;
					// Layouts are told apart by attribute keys too (length and first byte stand for the key), so that a column holds
					// values of one key. It only steers compression: a clash of keys is harmless.
					layoutHash = Math.imul(layoutHash ^ ((bytes[start + 3]! << 8) | bytes[start + 4]!), 0x01000193);
				} else {
					if (slot === SLOT.item) {
						items[used] = dictionary.internGuessing(
							items[used + toBefore]!,
							items[used + toNamesake]!,
							bytes,
							view,
							start,
							end - start,
						);
						used++;
					} else if (slot === SLOT.name) {
						nameItem = dictionary.intern(bytes, view, start, end - start);
						if (nameItem < NAMESAKES) {
							toNamesake = lastOfName[nameItem]! - first;
							lastOfName[nameItem] = first;
						}
					} else if (slot === SLOT.kind) {
						const kind = columns.kind[i]!;
						kindItem = itemOfKind[kind]!;
						if (kindItem === 0) kindItem = itemOfKind[kind] = dictionary.intern(bytes, view, start, end - start);
					}
					layoutScratch[slots++] = slot;
					layoutHash = Math.imul(layoutHash ^ (slot << 24), 0x01000193);
				}
				start = end;
			}
			this.rowLayout[row] = layoutTable.intern(layoutScratch, slots, layoutHash);
			const scope = scopeOf[columns.scope[i]!]!;
			const kind = columns.kind[i]!;
			const status = columns.status[i]!;
			let rowClass = classTable.find(scope, nameItem, kindItem, kind, status);
			// A record whose name field is repeated has no name entry: such a class belongs to that row alone and is never found.
			if (rowClass < 0 || (nameItem === 0 && columns.nameEnd[i]! > columns.nameStart[i]!)) {
				const name = decoder.decode(bytes.subarray(columns.nameStart[i]!, columns.nameEnd[i]!));
				rowClass = classTable.add({ scope, nameItem, kindItem, name, kind, status });
			}
			this.rowClass[row] = rowClass;
			const i2 = i * 2;
			const low0 = time0[i2]!;
			const high0 = time0[i2 + 1]!;
			this.setTimes(
				row,
				(high0 - baseHigh) * 4_294_967_296 + (low0 - baseLow),
				(time1[i2 + 1]! - high0) * 4_294_967_296 + (time1[i2]! - low0),
				low0,
				high0,
				time1[i2]!,
				time1[i2 + 1]!,
			);
		}
		this.traceId.set(columns.traceId.subarray(0, count * 4), this.rows * 4);
		this.spanId.set(columns.spanId.subarray(0, count * 2), this.rows * 2);
		this.parentId.set(columns.parentId.subarray(0, count * 2), this.rows * 2);
		this.itemsUsed = used;
		this.rows += count;
	}

	/** Texts of the rows added that are not UTF-8 (names, attributes, bodies of logs), each once however often it repeats. */
	invalidTexts(): number {
		let invalid = 0;
		const { dictionary, shape } = this;
		dictionary.forEachNonAscii((id) => {
			const start = dictionary.starts[id]!;
			invalid += invalidTexts(shape, dictionary.heap, start, start + dictionary.lengths[id]!);
		});
		return invalid;
	}

	/** Adds every row of a stored block. */
	addBlock(block: BlockReader): void {
		const head = block.head();
		const count = head.rows;
		if (this.rows === 0) this.baseNs = head.baseNs;
		this.ensureRows(this.rows + count);
		const { count: entries } = block.heap();
		const heap = block.heap().unpack();
		const view = new DataView(heap.bytes.buffer, heap.bytes.byteOffset, heap.bytes.byteLength);
		const itemOf = new Uint32Array(entries + 1);
		for (let id = 1; id <= entries; id++)
			itemOf[id] = this.dictionary.intern(heap.bytes, view, heap.starts[id]!, heap.starts[id + 1]! - heap.starts[id]!);
		const { scopeTable, classTable, layoutTable } = this;
		const scopeOf = head.scopes.map((scope) =>
			scopeTable.intern(itemOf[scope.resourceItem]!, itemOf[scope.scopeItem]!, scope.service),
		);
		const classOf = head.classes.all().map((entry) => {
			const scope = scopeOf[entry.scope]!;
			const nameItem = itemOf[entry.nameItem]!;
			const kindItem = itemOf[entry.kindItem]!;
			const found =
				nameItem === 0 && entry.name !== "" ? -1 : classTable.find(scope, nameItem, kindItem, entry.kind, entry.status);
			return found >= 0
				? found
				: classTable.add({ scope, nameItem, kindItem, name: entry.name, kind: entry.kind, status: entry.status });
		});
		const layoutOf = head.layouts.map((layout) => layoutTable.intern(layout.slots, layout.slots.length, layout.hash));
		const first = this.rows;
		const rowClass = block.rowClasses();
		const rowLayout = block.rowLayouts();
		const itemCounts = head.layouts.map((layout) => layout.items);
		let used = this.itemsUsed;
		let totalItems = 0;
		for (let i = 0; i < count; i++) totalItems += itemCounts[rowLayout[i]!]!;
		this.ensureItems(used + totalItems);
		for (let i = 0; i < count; i++) {
			const layout = rowLayout[i]!;
			this.rowClass[first + i] = classOf[rowClass[i]!]!;
			this.rowLayout[first + i] = layoutOf[layout]!;
			this.rowItems[first + i] = used;
			used += itemCounts[layout]!;
		}
		this.itemsUsed = used;
		block.forEachStretchOfColumns((stretch, firstRow) => {
			for (let layout = 0; layout < head.layouts.length; layout++)
				this.addItems(stretch, layout, itemCounts[layout]!, first + firstRow, itemOf);
		});
		this.addTimes(block, first, count);
		block.copyIds(this.traceId, this.spanId, this.parentId, first);
		this.rows += count;
	}

	/** Orders and encodes everything added, then forgets it. */
	finish(options: { readonly level: number; readonly withFilter: boolean }): EncodedBlock {
		const encoded = encodeBlock(this, options);
		this.reset();
		return encoded;
	}

	/** Copies a layout's columns into rows, some rows at a time: each then stays in the cache until it has every item. */
	private addItems(stretch: Stretch, layout: number, width: number, first: number, itemOf: Uint32Array): void {
		const { items, rowItems } = this;
		const startOf = stretch.rowsOfLayout(layout).map((row) => rowItems[first + row]!);
		if (startOf.length === 0) return;
		const columns = Array.from({ length: width }, (_, position) => {
			const { entries, indices } = stretch.column(layout, position)!;
			return { entryOf: entries.map((entry) => itemOf[entry]!), indices: indices.unpack() };
		});
		for (let from = 0; from < startOf.length; from += ROWS_AT_ONCE) {
			const to = Math.min(from + ROWS_AT_ONCE, startOf.length);
			for (let position = 0; position < width; position++) {
				const { entryOf, indices } = columns[position]!;
				for (let k = from; k < to; k++) items[startOf[k]! + position] = entryOf[indices[k]!]!;
			}
		}
	}

	private addTimes(block: BlockReader, first: number, count: number): void {
		const head = block.head();
		const shiftNs = head.baseNs - this.baseNs;
		const shift = Number(shiftNs);
		const offsets = block.offsets();
		const durations = block.durations();
		const fits = Math.abs(shift) < MAX_OFFSET;
		for (let i = 0; i < count; i++) {
			const offset = offsets[i]! + shift;
			this.duration[first + i] = durations[i]!;
			this.offset[first + i] = offset;
			if (fits && Math.abs(offset) < MAX_OFFSET) continue;
			const time0 = head.baseNs + BigInt(offsets[i]!);
			this.setWide(first + i, time0, time0 + BigInt(durations[i]!));
		}
		for (const [row, times] of head.wideRows) this.setWide(first + row, times.time0, times.time1);
	}

	private setTimes(
		row: number,
		offset: number,
		duration: number,
		low0: number,
		high0: number,
		low1: number,
		high1: number,
	): void {
		this.offset[row] = offset;
		this.duration[row] = duration;
		if (Math.abs(offset) < MAX_OFFSET && Math.abs(duration) < MAX_OFFSET) return;
		this.setWide(row, (BigInt(high0) << 32n) | BigInt(low0), (BigInt(high1) << 32n) | BigInt(low1));
	}

	private setWide(row: number, time0: bigint, time1: bigint): void {
		this.wideRows.set(row, { time0, time1 });
		this.offset[row] = time0 < this.baseNs ? -MAX_OFFSET : MAX_OFFSET;
		const duration = Number(time1 - time0);
		this.duration[row] = Math.max(-MAX_OFFSET, Math.min(MAX_OFFSET, duration));
	}

	private ensureRows(total: number): void {
		if (total <= this.rowClass.length) return;
		const size = Math.max(total, this.rowClass.length * 2, 1024);
		this.rowClass = larger(this.rowClass, size);
		this.rowLayout = larger(this.rowLayout, size);
		this.rowItems = larger(this.rowItems, size);
		this.traceId = larger(this.traceId, size * 4);
		this.spanId = larger(this.spanId, size * 2);
		this.parentId = larger(this.parentId, size * 2);
		this.offset = largerFloats(this.offset, size);
		this.duration = largerFloats(this.duration, size);
	}

	private ensureItems(total: number): void {
		if (total > this.items.length) this.items = larger(this.items, Math.max(total, this.items.length * 2, 16_384));
	}
}

function larger(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
	const grown = new Uint32Array(length);
	grown.set(array);
	return grown;
}

function largerFloats(array: Float64Array<ArrayBuffer>, length: number): Float64Array<ArrayBuffer> {
	const grown = new Float64Array(length);
	grown.set(array);
	return grown;
}
