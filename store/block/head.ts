/**
 * The head of a stored block: what its rows share. Kept in memory while a block's parts come and go, so classes are columns of
 * numbers and names are shared between blocks; an object a class would take four times as much.
 */
import type { RecordShape } from "../../model/columns.ts";
import { ByteReader, DamagedBlockError } from "./bytes.ts";
import { BLOCK_FORMAT, OLDEST_BLOCK_FORMAT, SHAPE_OF_SIGNAL, SLOT } from "./format.ts";

export interface StoredScope {
	readonly resourceItem: number;
	readonly scopeItem: number;
	readonly service: string;
}

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

export interface StoredLayout {
	readonly slots: Uint8Array;
	readonly hash: number;
	readonly items: number;
}

export interface StoredHead {
	readonly shape: RecordShape;
	readonly rows: number;
	readonly baseNs: bigint;
	readonly scopes: readonly StoredScope[];
	readonly classes: StoredClasses;
	readonly layouts: readonly StoredLayout[];
	/** Rows whose times do not fit the columns. */
	readonly wideRows: ReadonlyMap<number, { readonly time0: bigint; readonly time1: bigint }>;
	/** What it takes in memory, about. */
	readonly heldBytes: number;
}

/** The classes of a block, by number. */
export class StoredClasses {
	readonly length: number;
	/** Distinct. */
	readonly names: readonly string[];
	/** Place of each class's name among {@link names}. */
	readonly name: Numbers;
	readonly scope: Numbers;
	readonly kind: Uint8Array;
	readonly status: Uint8Array;
	/** Bounds, a ten-millionth apart from the durations themselves at most. */
	readonly minDuration: Float32Array;
	readonly maxDuration: Float32Array;
	readonly heldBytes: number;
	private readonly scopes: readonly StoredScope[];
	/** Dictionary entries. */
	readonly nameItem: Numbers;
	readonly kindItem: Numbers;
	private readonly rows: Numbers;

	/** @param reader stands before the list of classes, and after it then */
	constructor(reader: ByteReader, names: readonly string[], scopes: readonly StoredScope[]) {
		const count = countIn(reader);
		this.length = count;
		this.names = names;
		this.scopes = scopes;
		const words = new Uint32Array(count * 5);
		const column = (i: number): Uint32Array => words.subarray(i * count, (i + 1) * count);
		const [scope, name, nameItem, kindItem, classRows] = [column(0), column(1), column(2), column(3), column(4)];
		const codes = new Uint8Array(count * 2);
		this.kind = codes.subarray(0, count);
		this.status = codes.subarray(count);
		const durations = new Float32Array(count * 2);
		this.minDuration = durations.subarray(0, count);
		this.maxDuration = durations.subarray(count);
		for (let i = 0; i < count; i++) {
			scope[i] = reader.varint();
			name[i] = reader.varint();
			nameItem[i] = reader.varint();
			kindItem[i] = reader.varint();
			this.kind[i] = reader.byte();
			this.status[i] = reader.byte();
			classRows[i] = reader.varint();
			this.minDuration[i] = notAbove(reader.zigzag());
			this.maxDuration[i] = -notAbove(-reader.zigzag());
			if (scope[i]! >= scopes.length || name[i]! >= names.length)
				throw new DamagedBlockError("a class names what the head does not list");
		}
		this.scope = narrowed(scope);
		this.name = narrowed(name);
		this.nameItem = narrowed(nameItem);
		this.kindItem = narrowed(kindItem);
		this.rows = narrowed(classRows);
		const numbers = [this.scope, this.name, this.nameItem, this.kindItem, this.rows, codes, durations];
		this.heldBytes = numbers.reduce((total, { byteLength }) => total + byteLength, 0);
	}

	at(i: number): StoredClass {
		if (i >= this.length) throw new DamagedBlockError(`there is no class ${i}`);
		const scope = this.scope[i]!;
		return {
			scope,
			service: this.scopes[scope]!.service,
			name: this.names[this.name[i]!]!,
			nameItem: this.nameItem[i]!,
			kindItem: this.kindItem[i]!,
			kind: this.kind[i]!,
			status: this.status[i]!,
			rows: this.rows[i]!,
			minDuration: this.minDuration[i]!,
			maxDuration: this.maxDuration[i]!,
		};
	}

	/** As of {@link at}, alone. */
	serviceOf(i: number): string {
		return this.scopes[this.scope[i]!]!.service;
	}

	nameOf(i: number): string {
		return this.names[this.name[i]!]!;
	}

	/** For work on all of them. */
	all(): StoredClass[] {
		return Array.from({ length: this.length }, (_, i) => this.at(i));
	}
}

type Numbers = Uint16Array | Uint32Array;

function narrowed(words: Uint32Array): Numbers {
	return words.every((word) => word < 65_536) ? Uint16Array.from(words) : words.slice();
}

/** The nearest number of single precision that is not above. */
function notAbove(value: number): number {
	const near = Math.fround(value);
	return near <= value ? near : Math.fround(near - Math.abs(near) * 2 ** -23);
}

/** About: a scope, and a name's place in a list. */
const SCOPE_BYTES = 48;
const NAME_BYTES = 8;
const decoder = new TextDecoder();

export function readHead(part: Uint8Array): StoredHead {
	const reader = new ByteReader(part);
	const format = reader.byte();
	if (format < OLDEST_BLOCK_FORMAT || format > BLOCK_FORMAT)
		throw new DamagedBlockError(`a block has format ${format}; this version reads ${OLDEST_BLOCK_FORMAT} to ${BLOCK_FORMAT}`);
	const shape = SHAPE_OF_SIGNAL[reader.byte() === 0 ? "traces" : "logs"];
	const rows = reader.varint();
	const baseNs = reader.bigint64();
	const text = (): string => shared(decoder.decode(reader.lengthPrefixed()));
	const services = list(reader, text);
	const scopes = list(reader, () => ({
		resourceItem: reader.varint(),
		scopeItem: reader.varint(),
		service: services[reader.varint()]!,
	}));
	const names = list(reader, text);
	const classes = new StoredClasses(reader, names, scopes);
	const layouts = list(reader, () => {
		const hash = reader.word() | 0;
		// A copy: a view would keep the whole part in memory.
		const slots = Uint8Array.from(reader.lengthPrefixed());
		return { slots, hash, items: slots.reduce((total, slot) => total + (slot === SLOT.item ? 1 : 0), 0) };
	});
	const wideRows = new Map(
		list(reader, () => [reader.varint(), { time0: reader.bigint64(), time1: reader.bigint64() }] as const),
	);
	const heldBytes =
		classes.heldBytes +
		scopes.length * SCOPE_BYTES +
		names.length * NAME_BYTES +
		layouts.reduce((total, { slots }) => total + slots.length + SCOPE_BYTES, 0) +
		wideRows.size * SCOPE_BYTES * 2;
	return { shape, rows, baseNs, scopes, classes, layouts, wideRows, heldBytes };
}

/** Names come again in every block: one copy serves all. Beyond this many, sharing ends and begins anew. */
const MAX_SHARED_NAMES = 16_384;
/** Longer ones do not come again so often that they were worth keeping: a sender may name a service by megabytes. */
const MAX_SHARED_CHARS = 1_024;
const sharedNames = new Map<string, string>();

function shared(name: string): string {
	if (name.length > MAX_SHARED_CHARS) return name;
	const known = sharedNames.get(name);
	if (known !== undefined) return known;
	if (sharedNames.size >= MAX_SHARED_NAMES) sharedNames.clear();
	sharedNames.set(name, name);
	return name;
}

function countIn(reader: ByteReader): number {
	const count = reader.varint();
	if (count > reader.bytes.length) throw new DamagedBlockError("a list is longer than its part");
	return count;
}

function list<T>(reader: ByteReader, read: () => T): T[] {
	return Array.from({ length: countIn(reader) }, read);
}
