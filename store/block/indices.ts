/**
 * Columns of small numbers: one, two or four bytes each, by how many distinct ones there are.
 */
import type { ByteReader, ByteWriter } from "./bytes.ts";

/** One, two or four bytes a number, by how many distinct ones there are; nothing at all where there is only one. */
export function writeIndices(to: ByteWriter, values: Uint32Array, distinct: number): void {
	if (distinct <= 1) return;
	const count = values.length;
	if (distinct > 65_536) {
		for (let i = 0; i < count; i++) to.word(values[i]!);
		return;
	}
	const wide = distinct > 256;
	to.reserve(wide ? count * 2 : count);
	const { bytes, length } = to;
	for (let i = 0; i < count; i++) bytes[length + i] = values[i]!;
	// Low bytes, then high bytes: each half compresses better than the two mixed.
	if (wide) for (let i = 0; i < count; i++) bytes[length + count + i] = values[i]! >>> 8;
	to.length += wide ? count * 2 : count;
}

/** Indices as they are stored: single ones are read in place, all of them unpacked for whole-column work. */
export class StoredIndices {
	readonly count: number;
	private readonly bytes: Uint8Array;
	/** Bytes a number: 0 where all are zero. */
	private readonly width: 0 | 1 | 2 | 4;

	constructor(reader: ByteReader, count: number, distinct: number) {
		this.count = count;
		this.width = distinct <= 1 ? 0 : distinct <= 256 ? 1 : distinct <= 65_536 ? 2 : 4;
		this.bytes = reader.raw(count * this.width);
	}

	/** True when every number is zero. */
	get isConstant(): boolean {
		return this.width === 0;
	}

	at(i: number): number {
		const { bytes, count } = this;
		if (this.width === 1) return bytes[i]!;
		if (this.width === 2) return bytes[i]! | (bytes[count + i]! << 8);
		if (this.width === 0) return 0;
		const at = i * 4;
		return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
	}

	/** Writes all of them from `to[first]` on. */
	writeTo(to: Uint32Array, first: number): void {
		if (this.width === 1) to.set(this.bytes, first);
		else if (this.width > 0) for (let i = 0; i < this.count; i++) to[first + i] = this.at(i);
	}

	/** One array type whatever the width, so that loops over it stay monomorphic. */
	unpack(): Uint32Array {
		if (this.width === 1) return new Uint32Array(this.bytes);
		const all = new Uint32Array(this.count);
		if (this.width > 0) for (let i = 0; i < all.length; i++) all[i] = this.at(i);
		return all;
	}
}
