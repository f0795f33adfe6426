/**
 * Tokens: hashes of `key=value`, the unit of the attribute filter. Fixed for ever, since filters are stored.
 */
import { Buffer } from "node:buffer";
import type { RecordShape } from "../../model/columns.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import { decodeKeyValue } from "../../model/otlp/any-value.ts";
import type { OtlpKeyValue } from "../../model/otlp/types.ts";
import { WIRE_LENGTH, WireError, WireReader } from "../../model/protobuf/reader.ts";
import type { EntryCursor } from "./heap.ts";

/** A dictionary, its entries numbered from 1: each a field of a record, or the fields of a resource group. */
export interface TokenEntries {
	readonly count: number;
	item(id: number): Uint8Array;
	/** Walks over the entries from the first, each put at the beginning of `into`. */
	cursor(into: Uint8Array): EntryCursor;
}

/** The dictionary of a block. */
export interface TokenSource {
	readonly shape: RecordShape;
	readonly heap: TokenEntries;
	readonly isResource: ReadonlySet<number>;
}

/** Holds one entry at a time, always at its beginning: a view that never changes is read twice as fast as one made for each block. */
const ENTRY = new Uint8Array(1 << 16);
const ENTRY_VIEW = new DataView(ENTRY.buffer);

/** Pairs of words, one pair a distinct attribute. */
export class TokenSet {
	words: Uint32Array<ArrayBuffer>;
	count = 0;

	constructor(tokens = 512) {
		this.words = new Uint32Array(tokens * 2);
	}

	add(a: number, b: number): void {
		if (this.count * 2 === this.words.length) {
			const larger = new Uint32Array(this.words.length * 2);
			larger.set(this.words);
			this.words = larger;
		}
		this.words[this.count * 2] = a;
		this.words[this.count * 2 + 1] = b;
		this.count++;
	}
}

export function collectTokens({ shape, heap, isResource }: TokenSource): TokenSet {
	const tokens = new TokenSet();
	const cursor = heap.cursor(ENTRY);
	for (let id = 1; id <= heap.count; id++) {
		const length = cursor.next();
		const bytes = length > ENTRY.length ? heap.item(id) : ENTRY;
		if (isResource.has(id))
			forEachResourceAttribute(bytes.subarray(0, length), (from, to) => addKeyValue(tokens, bytes, from, to));
		else {
			const start = attributeBody(bytes, length, shape);
			if (start > 0) addKeyValue(tokens, bytes, start, length);
		}
	}
	return tokens;
}

/** Where the KeyValue begins in the bytes of a record's field; 0 when the field is no attribute. */
export function attributeBody(bytes: Uint8Array, end: number, shape: RecordShape): number {
	const tag = (shape.attributesField << 3) | WIRE_LENGTH;
	let at = 1;
	if (bytes[0] !== tag) {
		// A tag may take more bytes than it needs; what is over is zero.
		if (bytes[0] !== (tag | 0x80)) return 0;
		while (at < end && bytes[at] === 0x80) at++;
		if (bytes[at++] !== 0) return 0;
	}
	while (at < end && bytes[at]! >= 0x80) at++;
	return at < end ? at + 1 : 0;
}

/** Calls back with the range of every KeyValue of the Resource (field 1 of the group, whose field 1 the attributes are). */
export function forEachResourceAttribute(group: Uint8Array, visit: (start: number, end: number) => void): void {
	const outer = new WireReader(group);
	while (outer.next()) {
		if (outer.field !== 1) {
			outer.skip();
			continue;
		}
		if (!outer.is(WIRE_LENGTH)) continue;
		const resource = outer.message();
		while (resource.next()) {
			if (resource.field !== 1) resource.skip();
			else if (resource.is(WIRE_LENGTH)) {
				const attribute = resource.message();
				visit(attribute.position, attribute.end);
			}
		}
	}
}

const HIGH_BITS = 0x80808080 | 0;
const encoder = new TextEncoder();

/** The token under which a filter `key=text` finds an attribute. */
export function tokenOf(key: string, text: string): readonly [number, number] {
	const token = new TokenSet(1);
	addText(token, key, text);
	return [token.words[0]!, token.words[1]!];
}

function addText(tokens: TokenSet, key: string, text: string): void {
	const keyBytes = encoder.encode(key);
	const bytes = Buffer.concat([keyBytes, encoder.encode(text)]);
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	addRuns(tokens, bytes, view, 0, keyBytes.length, keyBytes.length, bytes.length);
}

function addKeyValue(tokens: TokenSet, bytes: Uint8Array, start: number, end: number): void {
	const keyStart = start + 2;
	const keyEnd = keyStart + bytes[start + 1]!;
	// {key, string value} with one-byte lengths and plain ASCII, as nearly all are, needs no decoding.
	if (
		bytes === ENTRY &&
		bytes[start] === 0x0a &&
		bytes[start + 1]! < 0x80 &&
		bytes[keyEnd] === 0x12 &&
		bytes[keyEnd + 1]! < 0x80 &&
		bytes[keyEnd + 2] === 0x0a &&
		keyEnd + 4 + bytes[keyEnd + 3]! === end &&
		addRuns(tokens, ENTRY, ENTRY_VIEW, keyStart, keyEnd, keyEnd + 4, end)
	)
		return;
	const attribute = decodedKeyValue(bytes, start, end);
	const scalar = scalarText(attribute?.value);
	if (scalar !== undefined) addText(tokens, attribute?.key ?? "", scalar.text);
}

/** Undefined where the bytes are none: an unknown field of a scope can look like an attribute, and nobody has checked it. */
function decodedKeyValue(bytes: Uint8Array, start: number, end: number): OtlpKeyValue | undefined {
	try {
		return decodeKeyValue(bytes, start, end);
	} catch (error) {
		if (error instanceof WireError) return undefined;
		throw error;
	}
}

/**
 * The token of a key and a value: two lanes, of four bytes each, over one and then the other. From `ENTRY`, only ASCII: what else is
 * there has to be decoded first, since bytes that are not UTF-8 are searched for as U+FFFD. Returns whether it was added.
 */
function addRuns(
	tokens: TokenSet,
	bytes: Uint8Array,
	view: DataView,
	keyStart: number,
	keyEnd: number,
	valueStart: number,
	valueEnd: number,
): boolean {
	let a = 0x811c9dc5 ^ (keyEnd - keyStart);
	let b = 0x050c5d1f ^ (valueEnd - valueStart);
	let all = 0;
	for (let run = 0; run < 2; run++) {
		let i = run === 0 ? keyStart : valueStart;
		const end = run === 0 ? keyEnd : valueEnd;
		for (const pairsEnd = end - 7; i < pairsEnd; i += 8) {
			const first = view.getInt32(i, true);
			const second = view.getInt32(i + 4, true);
			all |= first | second;
			a = Math.imul(a ^ first, 0x9e3779b1);
			b = Math.imul(b ^ second, 0x85ebca77);
			a ^= a >>> 15;
			b ^= b >>> 13;
		}
		if (i < end - 3) {
			const word = view.getInt32(i, true);
			all |= word;
			a = Math.imul(a ^ word, 0x27d4eb2f);
			a ^= a >>> 14;
			i += 4;
		}
		let rest = 0;
		for (; i < end; i++) rest = (rest << 8) | bytes[i]!;
		all |= rest;
		b = Math.imul(b ^ rest, 0x165667b1);
		b ^= b >>> 12;
	}
	if ((all & HIGH_BITS) !== 0 && bytes === ENTRY) return false;
	b ^= Math.imul(a, 0xc2b2ae3d);
	a ^= Math.imul(b, 0x7feb352d);
	b = Math.imul(b ^ (b >>> 13), 0x85ebca6b);
	a = Math.imul(a ^ (a >>> 15), 0xc2b2ae35);
	tokens.add((a ^ (a >>> 16)) >>> 0, (b ^ (b >>> 16)) >>> 0);
	return true;
}
