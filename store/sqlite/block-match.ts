/**
 * Attribute filters against one block: asked of each distinct dictionary entry once, never of each row.
 *
 * A filter holds for a row when one of its own attributes matches, or one of its resource's. The block's token filter, where it
 * has one, answers most searches for what is not there without the dictionary being read.
 */
import { canonicalText, matchesScalar, scalarText } from "../../model/otlp/attribute-match.ts";
import { decodeKeyValue } from "../../model/otlp/any-value.ts";
import { WIRE_LENGTH, WireError } from "../../model/protobuf/reader.ts";
import { mayContain } from "../block/filter.ts";
import type { BlockReader } from "../block/reader.ts";
import { forEachResourceAttribute, tokenOf } from "../block/tokens.ts";
import type { AttributeFilter } from "../store.ts";

/** A filter with what of a block it holds for. */
interface FilterMatch {
	/** By scope: 1 where the resource matches. */
	readonly scopes: Uint8Array;
	/** Undefined where no dictionary entry matches. */
	readonly entries: EntryRows | undefined;
}

export class AttributeMatcher {
	private readonly block: BlockReader;
	private readonly filters: readonly AttributeFilter[];
	/** Filters that hold for some rows only; undefined until the dictionary was asked. */
	private partial: readonly FilterMatch[] | undefined;
	private impossible = false;

	constructor(block: BlockReader, filters: readonly AttributeFilter[]) {
		this.block = block;
		this.filters = filters;
	}

	/** False when the token filter knows that no row can match. */
	passesFilter(): boolean {
		const tokens = this.block.filter();
		if (tokens !== undefined)
			for (const { key, type, value } of this.filters)
				if (!mayContain(tokens, tokenOf(key, canonicalText(type, value)))) return false;
		return true;
	}

	/** False when no row can match: by the token filter first, then by the dictionary. */
	possible(): boolean {
		if (this.filters.length === 0) return true;
		if (this.partial === undefined && !this.impossible) this.ask();
		return !this.impossible;
	}

	matches(row: number): boolean {
		if (!this.possible()) return false;
		const { partial, block } = this;
		if (partial === undefined || partial.length === 0) return true;
		const scope = block.head().classes.scope[block.rowClasses()[row]!]!;
		for (const { scopes, entries } of partial) if (scopes[scope] === 0 && entries?.has(row) !== true) return false;
		return true;
	}

	private ask(): void {
		const { block, filters } = this;
		if (!this.passesFilter()) {
			this.impossible = true;
			return;
		}
		const partial: FilterMatch[] = [];
		for (const filter of filters) {
			const test = new AttributeTest(filter);
			const scopes = matchingScopes(block, test);
			// All rows of the block say it, as of service.name in a block of one service.
			if (scopes.every((matches) => matches === 1)) continue;
			const entries = matchingEntries(block, test);
			if (entries === undefined && !scopes.includes(1)) {
				this.impossible = true;
				return;
			}
			partial.push({ scopes, entries });
		}
		this.partial = partial;
	}
}

/** The rows that hold one of a set of dictionary entries. */
export class EntryRows {
	private readonly block: BlockReader;
	/** By entry number. */
	private readonly wanted: Uint8Array;
	/** By layout: the positions at which some row holds a wanted entry. */
	private readonly positions: (readonly number[] | undefined)[] = [];

	/** @param wanted 1 for each entry that is looked for */
	constructor(block: BlockReader, wanted: Uint8Array) {
		this.block = block;
		this.wanted = wanted;
	}

	has(row: number): boolean {
		return this.last(row) !== 0;
	}

	/** The last wanted entry of a row, in the order of its fields; 0 when it holds none. */
	last(row: number): number {
		const { block, wanted } = this;
		const layout = block.rowLayouts()[row]!;
		const positions = (this.positions[layout] ??= this.positionsOf(layout));
		for (let i = positions.length - 1; i >= 0; i--) {
			const entry = block.entry(row, positions[i]!);
			if (wanted[entry] === 1) return entry;
		}
		return 0;
	}

	private positionsOf(layout: number): readonly number[] {
		const positions: number[] = [];
		for (let position = 0, { items } = this.block.head().layouts[layout]!; position < items; position++)
			if (this.block.columnHas(layout, position, this.wanted)) positions.push(position);
		return positions;
	}
}

function matchingScopes(block: BlockReader, test: AttributeTest): Uint8Array {
	const { scopes } = block.head();
	const byItem = new Map<number, boolean>();
	return Uint8Array.from(scopes, ({ resourceItem }) => {
		let matches = byItem.get(resourceItem);
		if (matches === undefined) {
			matches = false;
			const group = block.item(resourceItem);
			forEachResourceAttribute(group, (start, end) => (matches ||= test.matches(group, start, end)));
			byItem.set(resourceItem, matches);
		}
		return matches ? 1 : 0;
	});
}

function matchingEntries(block: BlockReader, test: AttributeTest): EntryRows | undefined {
	const { count } = block.heap();
	const { bytes, starts } = block.heap().unpack();
	// Numbers of attribute fields are below 16, so that a tag is one byte.
	const tag = (block.shape.attributesField << 3) | WIRE_LENGTH;
	const wanted = new Uint8Array(count + 1);
	let any = false;
	for (let id = 1; id <= count; id++) {
		let body = starts[id]!;
		if (bytes[body] !== tag) continue;
		while (bytes[++body]! >= 0x80);
		if (!test.matches(bytes, body + 1, starts[id + 1]!)) continue;
		wanted[id] = 1;
		any = true;
	}
	return any ? new EntryRows(block, wanted) : undefined;
}

const encoder = new TextEncoder();

/** One filter against KeyValue messages. Nearly all have another key, which shows in their first bytes. */
class AttributeTest {
	private readonly filter: AttributeFilter;
	private readonly key: Uint8Array;
	private readonly text: Uint8Array;
	/** Bytes that are not UTF-8 read as U+FFFD: a filter that has it must not compare bytes. */
	private readonly byBytes: boolean;
	private readonly wantsString: boolean;

	constructor(filter: AttributeFilter) {
		this.filter = filter;
		this.key = encoder.encode(filter.key);
		this.text = encoder.encode(filter.value);
		this.byBytes = !filter.key.includes("\ufffd") && !filter.value.includes("\ufffd");
		this.wantsString = filter.type === "string" || filter.type === "text";
	}

	/** The KeyValue in `bytes[start, end)`. */
	matches(bytes: Uint8Array, start: number, end: number): boolean {
		const { key, text } = this;
		const keyStart = start + 2;
		const valueStart = keyStart + bytes[start + 1]!;
		// {key, value} with one-byte lengths that reach exactly to the end: no other field can overrule what is compared here.
		const plain =
			this.byBytes &&
			bytes[start] === 0x0a &&
			bytes[start + 1]! < 0x80 &&
			bytes[valueStart] === 0x12 &&
			bytes[valueStart + 1]! < 0x80 &&
			valueStart + 2 + bytes[valueStart + 1]! === end;
		if (!plain) return this.decoded(bytes, start, end);
		if (bytes[start + 1] !== key.length || !equals(bytes, keyStart, key)) return false;
		// A short string and nothing else.
		if (bytes[valueStart + 2] === 0x0a && bytes[valueStart + 3]! < 0x80 && valueStart + 4 + bytes[valueStart + 3]! === end)
			return this.wantsString && bytes[valueStart + 3] === text.length && equals(bytes, valueStart + 4, text);
		return this.decoded(bytes, start, end);
	}

	private decoded(bytes: Uint8Array, start: number, end: number): boolean {
		const { key, type, value } = this.filter;
		try {
			const attribute = decodeKeyValue(bytes, start, end);
			return (attribute.key ?? "") === key && matchesScalar(scalarText(attribute.value), type, value);
		} catch (error) {
			// A value that cannot be read says nothing.
			if (error instanceof WireError) return false;
			throw error;
		}
	}
}

function equals(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
	for (let i = 0; i < wanted.length; i++) if (bytes[start + i] !== wanted[i]) return false;
	return true;
}
