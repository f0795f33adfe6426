/**
 * Reads protobuf wire data in place: a cursor over a range of bytes that somebody else owns.
 *
 * Nothing is copied but strings. Every read is checked against the end of the range, so that no input, however malformed,
 * makes it read outside, loop or throw anything but {@link WireError}.
 * Source of the format: protobuf.dev/programming-guides/encoding.
 */
import { utf8Text } from "./utf8.ts";

/** Wire types that are read here. The group types 3 and 4 are refused: OTLP and Zipkin never use them. */
export const WIRE_VARINT = 0;
export const WIRE_FIXED64 = 1;
export const WIRE_LENGTH = 2;
export const WIRE_FIXED32 = 5;

const MAX_LENGTH = 0x7fff_ffff;
const TWO_32 = 0x1_0000_0000;

/** The bytes are not a well-formed message; `offset` is where reading stopped, in the array that was given. */
export class WireError extends Error {
	readonly offset: number;

	constructor(message: string, offset: number) {
		super(`${message} at byte ${offset}`);
		this.name = "WireError";
		this.offset = offset;
	}
}

export class WireReader {
	readonly bytes: Uint8Array;
	/** Next byte to read; always within the range. */
	position: number;
	readonly end: number;
	/** Field number and wire type of the tag that `next` met last. */
	field = 0;
	wireType = 0;
	/** First byte of that tag. */
	tagStart = 0;

	constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
		if (start < 0 || end > bytes.length || start > end) throw new WireError("range outside of the bytes", start);
		this.bytes = bytes;
		this.position = start;
		this.end = end;
	}

	/** Reads the next tag; false at the end of the range. */
	next(): boolean {
		if (this.position >= this.end) return false;
		this.tagStart = this.position;
		const tag = this.uint32();
		this.field = tag >>> 3;
		this.wireType = tag & 7;
		if (this.field === 0) throw new WireError("field number 0", this.tagStart);
		return true;
	}

	/** True when the field has this wire type; otherwise skips its value, as protobuf parsers do with unknown fields. */
	is(wireType: number): boolean {
		if (this.wireType === wireType) return true;
		this.skip();
		return false;
	}

	/** A varint's low 32 bits, unsigned. */
	uint32(): number {
		const { bytes, end } = this;
		let at = this.position;
		let value = 0;
		for (let shift = 0; shift < 70; shift += 7) {
			if (at >= end) throw new WireError("varint cut short", this.position);
			const byte = bytes[at++]!;
			if (shift < 32) value |= (byte & 0x7f) << shift;
			if (byte < 0x80) {
				this.position = at;
				return value >>> 0;
			}
		}
		throw new WireError("varint longer than 10 bytes", this.position);
	}

	int32(): number {
		return this.uint32() | 0;
	}

	/** Zigzag. */
	sint32(): number {
		const value = this.uint32();
		return (value >>> 1) ^ -(value & 1);
	}

	bool(): boolean {
		return this.uint64() !== 0n;
	}

	uint64(): bigint {
		const { bytes, end } = this;
		let at = this.position;
		let low = 0;
		let middle = 0;
		let high = 0;
		// 28 + 28 + 8 bits: each part stays within an int32, so that only one bigint is minted.
		for (let index = 0; index < 10; index++) {
			if (at >= end) throw new WireError("varint cut short", this.position);
			const byte = bytes[at++]!;
			const bits = byte & 0x7f;
			if (index < 4) low |= bits << (7 * index);
			else if (index < 8) middle |= bits << (7 * (index - 4));
			else high |= bits << (7 * (index - 8));
			if (byte < 0x80) {
				this.position = at;
				if (index < 7) return BigInt(low + middle * 0x1000_0000);
				return (BigInt(high & 0xff) << 56n) | (BigInt(middle) << 28n) | BigInt(low);
			}
		}
		throw new WireError("varint longer than 10 bytes", this.position);
	}

	int64(): bigint {
		return BigInt.asIntN(64, this.uint64());
	}

	/** Unsigned. */
	fixed32(): number {
		const { bytes } = this;
		const at = this.take(4);
		return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
	}

	fixed64(): bigint {
		const low = this.fixed32Of8();
		const high = this.fixed32();
		return high < 0x20_0000 ? BigInt(high * TWO_32 + low) : (BigInt(high) << 32n) | BigInt(low);
	}

	sfixed64(): bigint {
		return BigInt.asIntN(64, this.fixed64());
	}

	double(): number {
		const at = this.take(8);
		for (let i = 0; i < 8; i++) DOUBLE_BYTES[i] = this.bytes[at + i]!;
		return DOUBLE_VIEW.getFloat64(0, true);
	}

	/** Reads a length; `position` is then the first byte of the value, the answer the one after its last. */
	lengthEnd(): number {
		const at = this.position;
		const length = this.uint32();
		if (length > MAX_LENGTH || length > this.end - this.position) {
			throw new WireError(`length ${length} beyond the end`, at);
		}
		return this.position + length;
	}

	/** Length-delimited text; bytes that are not UTF-8 become U+FFFD. */
	string(): string {
		const end = this.lengthEnd();
		const start = this.position;
		this.position = end;
		return utf8Text(this.bytes, start, end);
	}

	/** A view of length-delimited bytes, not a copy. */
	view(): Uint8Array {
		const end = this.lengthEnd();
		const start = this.position;
		this.position = end;
		return this.bytes.subarray(start, end);
	}

	/** A reader of a length-delimited message; this reader goes on behind it. */
	message(): WireReader {
		const end = this.lengthEnd();
		const start = this.position;
		this.position = end;
		return new WireReader(this.bytes, start, end);
	}

	/** Passes over the value of the field met last. */
	skip(): void {
		switch (this.wireType) {
			case WIRE_VARINT:
				this.uint32();
				return;
			case WIRE_FIXED64:
				this.take(8);
				return;
			case WIRE_LENGTH:
				this.position = this.lengthEnd();
				return;
			case WIRE_FIXED32:
				this.take(4);
				return;
			default:
				throw new WireError(`wire type ${this.wireType} is not supported`, this.tagStart);
		}
	}

	private take(count: number): number {
		const at = this.position;
		if (count > this.end - at) throw new WireError("value cut short", at);
		this.position = at + count;
		return at;
	}

	/** The low half of a fixed64, after a check that all of it is there. */
	private fixed32Of8(): number {
		if (this.end - this.position < 8) throw new WireError("value cut short", this.position);
		return this.fixed32();
	}
}

const DOUBLE_BYTES = new Uint8Array(8);
const DOUBLE_VIEW = new DataView(DOUBLE_BYTES.buffer);
