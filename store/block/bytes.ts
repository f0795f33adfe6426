/**
 * Growable output and bounds-checked input for the parts of a block: varints, zigzag numbers up to ±2^53, raw bytes.
 */
import { KEEP_BYTES, roomFor } from "./scratch.ts";

const encoder = new TextEncoder();
const MOST_BYTES_A_UNIT = 3;

export class ByteWriter {
	bytes: Uint8Array<ArrayBuffer>;
	length = 0;

	constructor(initialBytes = 1024) {
		this.bytes = new Uint8Array(initialBytes);
	}

	/** Forgets what was written; keeps the memory up to a bound. */
	reset(): void {
		this.length = 0;
		// Detached, its memory goes now; else it would wait until this thread's heap is collected.
		if (this.bytes.length > KEEP_BYTES) this.bytes = new Uint8Array(this.bytes.buffer.transfer(1024));
	}

	reserve(more: number): void {
		const needed = this.length + more;
		if (needed <= this.bytes.length) return;
		this.bytes = new Uint8Array(this.bytes.buffer.transfer(roomFor(needed, this.bytes.length)));
	}

	byte(value: number): void {
		this.reserve(1);
		this.bytes[this.length++] = value;
	}

	/** An integer from 0 to 2^53. */
	varint(value: number): void {
		this.reserve(8);
		const bytes = this.bytes;
		let at = this.length;
		while (value >= 0x8000_0000) {
			bytes[at++] = (value % 128) | 0x80;
			value = Math.floor(value / 128);
		}
		while (value >= 0x80) {
			bytes[at++] = (value & 0x7f) | 0x80;
			value >>>= 7;
		}
		bytes[at++] = value;
		this.length = at;
	}

	/** An integer from -2^52 to 2^52. */
	zigzag(value: number): void {
		this.varint(value < 0 ? -2 * value - 1 : 2 * value);
	}

	word(value: number): void {
		this.reserve(4);
		const at = this.length;
		this.bytes[at] = value >>> 24;
		this.bytes[at + 1] = value >>> 16;
		this.bytes[at + 2] = value >>> 8;
		this.bytes[at + 3] = value;
		this.length = at + 4;
	}

	/** Words `[from, from + count)` of an array. */
	words(source: Uint32Array, from: number, count: number): void {
		this.reserve(count * 4);
		const { bytes } = this;
		let at = this.length;
		for (let i = from; i < from + count; i++, at += 4) {
			const value = source[i]!;
			bytes[at] = value >>> 24;
			bytes[at + 1] = value >>> 16;
			bytes[at + 2] = value >>> 8;
			bytes[at + 3] = value;
		}
		this.length = at;
	}

	raw(source: Uint8Array, start = 0, end = source.length): void {
		const size = end - start;
		this.reserve(size);
		// A call into the runtime costs more than copying a short run by hand.
		if (size < 48) for (let i = start, at = this.length; i < end; i++) this.bytes[at++] = source[i]!;
		else this.bytes.set(source.subarray(start, end), this.length);
		this.length += size;
	}

	lengthPrefixed(source: Uint8Array): void {
		this.varint(source.length);
		this.raw(source);
	}

	/** As UTF-8 behind its length. */
	text(value: string): void {
		this.reserve(value.length * MOST_BYTES_A_UNIT + 8);
		const at = this.length;
		const { written } = encoder.encodeInto(value, this.bytes.subarray(at + 1));
		// The length of most texts takes one byte; behind a longer one the text has to move.
		if (written >= 0x80) this.bytes.copyWithin(at + varintBytes(written), at + 1, at + 1 + written);
		this.varint(written);
		this.length += written;
	}

	/** Puts bytes in front of all that was written. */
	prepend(source: Uint8Array): void {
		this.reserve(source.length);
		this.bytes.copyWithin(source.length, 0, this.length);
		this.bytes.set(source);
		this.length += source.length;
	}

	bigint64(value: bigint): void {
		this.word(Number((value >> 32n) & 0xffff_ffffn));
		this.word(Number(value & 0xffff_ffffn));
	}

	/** A view; valid until the next write. */
	view(): Uint8Array<ArrayBuffer> {
		return this.bytes.subarray(0, this.length);
	}
}

function varintBytes(value: number): number {
	let bytes = 1;
	for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) bytes++;
	return bytes;
}

/** Reads what {@link ByteWriter} wrote. Running past the end throws: the part is damaged. */
export class ByteReader {
	readonly bytes: Uint8Array;
	at = 0;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
	}

	byte(): number {
		const value = this.bytes[this.at++];
		if (value === undefined) throw new DamagedBlockError("a part ends early");
		return value;
	}

	varint(): number {
		let byte = this.byte();
		if (byte < 0x80) return byte;
		let value = byte & 0x7f;
		let scale = 128;
		for (;;) {
			byte = this.byte();
			value += (byte & 0x7f) * scale;
			if (byte < 0x80) return value;
			scale *= 128;
		}
	}

	zigzag(): number {
		return unzigzag(this.varint());
	}

	word(): number {
		const at = this.at;
		this.at += 4;
		if (this.at > this.bytes.length) throw new DamagedBlockError("a part ends early");
		const { bytes } = this;
		return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
	}

	raw(length: number): Uint8Array {
		const start = this.at;
		this.at += length;
		if (this.at > this.bytes.length) throw new DamagedBlockError("a part ends early");
		return this.bytes.subarray(start, this.at);
	}

	lengthPrefixed(): Uint8Array {
		return this.raw(this.varint());
	}

	bigint64(): bigint {
		return (BigInt(this.word()) << 32n) | BigInt(this.word());
	}
}

export function unzigzag(value: number): number {
	return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** A stored block contradicts itself; the window that holds it must be set aside. */
export class DamagedBlockError extends Error {
	override readonly name = "DamagedBlockError";
}
