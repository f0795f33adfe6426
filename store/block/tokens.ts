/**
 * Tokens: hashes of `key=value`, the unit of the attribute filter. Fixed for ever, since filters are stored.
 */
import type { RecordShape } from "../../model/columns.ts";
import { scalarText } from "../../model/otlp/attribute-match.ts";
import { decodeKeyValue } from "../../model/otlp/any-value.ts";
import type { OtlpKeyValue } from "../../model/otlp/types.ts";
import { WIRE_LENGTH, WireError, WireReader } from "../../model/protobuf/reader.ts";

/** The entries of a dictionary, back to back. */
export interface TokenSource {
	readonly shape: RecordShape;
	/** Items are numbered from 1: each a field of a record, or the fields of a resource group. */
	readonly items: number;
	readonly heap: Uint8Array;
	/** Where the bytes of an item begin; they end where those of the next begin, the last one's at `heapEnd`. */
	readonly starts: Uint32Array;
	readonly heapEnd: number;
	readonly isResource: ReadonlySet<number>;
}

/** Pairs of words, one pair a distinct attribute. */
export class TokenSet {
	words = new Uint32Array(1024);
	count = 0;

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

export function collectTokens(source: TokenSource): TokenSet {
	const { shape, items, heap, starts, heapEnd, isResource } = source;
	const tokens = new TokenSet();
	for (let id = 1; id <= items; id++) {
		const start = starts[id]!;
		const end = id === items ? heapEnd : starts[id + 1]!;
		if (isResource.has(id)) {
			const group = heap.subarray(start, end);
			forEachResourceAttribute(group, (from, to) => addKeyValue(tokens, group, from, to));
		} else {
			const body = attributeBody(heap, start, end, shape);
			if (body > 0) addKeyValue(tokens, heap, body, end);
		}
	}
	return tokens;
}

/** Where the KeyValue begins in the bytes of a record's field; 0 when the field is no attribute. */
export function attributeBody(bytes: Uint8Array, start: number, end: number, shape: RecordShape): number {
	const tag = (shape.attributesField << 3) | WIRE_LENGTH;
	let at = start + 1;
	if (bytes[start] !== tag) {
		// A tag may take more bytes than it needs; what is over is zero.
		if (bytes[start] !== (tag | 0x80)) return 0;
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

const encoder = new TextEncoder();

/** The token under which a filter `key=text` finds an attribute. */
export function tokenOf(key: string, text: string): readonly [number, number] {
	const keyBytes = encoder.encode(key);
	const textBytes = encoder.encode(text);
	const bytes = new Uint8Array(keyBytes.length + textBytes.length);
	bytes.set(keyBytes);
	bytes.set(textBytes, keyBytes.length);
	return hashToken(bytes, 0, keyBytes.length, keyBytes.length, bytes.length);
}

function addKeyValue(tokens: TokenSet, bytes: Uint8Array, start: number, end: number): void {
	const keyStart = start + 2;
	const keyEnd = keyStart + bytes[start + 1]!;
	// {key, string value} with one-byte lengths and plain ASCII, as nearly all are, needs no decoding.
	if (
		bytes[start] === 0x0a &&
		bytes[start + 1]! < 0x80 &&
		bytes[keyEnd] === 0x12 &&
		bytes[keyEnd + 1]! < 0x80 &&
		bytes[keyEnd + 2] === 0x0a &&
		keyEnd + 4 + bytes[keyEnd + 3]! === end &&
		isAscii(bytes, keyStart, end)
	) {
		const [a, b] = hashToken(bytes, keyStart, keyEnd, keyEnd + 4, end);
		tokens.add(a, b);
		return;
	}
	const attribute = decodedKeyValue(bytes, start, end);
	const scalar = scalarText(attribute?.value);
	if (scalar === undefined) return;
	const [a, b] = tokenOf(attribute?.key ?? "", scalar.text);
	tokens.add(a, b);
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

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
	let all = 0;
	for (let i = start; i < end; i++) all |= bytes[i]!;
	return all < 0x80;
}

/** FNV-1a in two lanes over key, a separator and value. */
function hashToken(bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number): [number, number] {
	let a = 0x811c9dc5;
	let b = 0x050c5d1f;
	for (let i = keyStart; i < keyEnd; i++) {
		a = Math.imul(a ^ bytes[i]!, 0x01000193);
		b = Math.imul(b ^ bytes[i]!, 0x2c1b3c6d);
	}
	a = Math.imul(a ^ 0xff, 0x01000193);
	b = Math.imul(b ^ 0xff, 0x2c1b3c6d);
	for (let i = valueStart; i < valueEnd; i++) {
		a = Math.imul(a ^ bytes[i]!, 0x01000193);
		b = Math.imul(b ^ bytes[i]!, 0x2c1b3c6d);
	}
	a = Math.imul(a ^ (a >>> 15), 0x85ebca6b);
	b = Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
	return [(a ^ (a >>> 16)) >>> 0, (b ^ (b >>> 16)) >>> 0];
}
