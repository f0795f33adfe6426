/**
 * Writes protobuf wire data into one growing array. A sub-message is written straight behind its tag and its length put in
 * afterwards, so nothing is measured twice and nothing is built in between.
 */
import { WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT } from "./reader.ts";

const ENCODER = new TextEncoder();
const MAX_BY_HAND_CHARS = 32;

export class WireWriter {
	private bytes: Uint8Array<ArrayBuffer>;
	private view: DataView;
	/** Bytes written so far. */
	length = 0;

	constructor(initialBytes = 1024) {
		this.bytes = new Uint8Array(Math.max(initialBytes, 16));
		this.view = new DataView(this.bytes.buffer);
	}

	tag(field: number, wireType: number): void {
		this.varint(field * 8 + wireType);
	}

	/** A non-negative integer up to 2^53. */
	varint(value: number): void {
		this.reserve(10);
		let rest = value;
		while (rest >= 0x80) {
			this.bytes[this.length++] = (rest % 0x80) | 0x80;
			rest = Math.floor(rest / 0x80);
		}
		this.bytes[this.length++] = rest;
	}

	/** Any 64-bit integer; negative ones take ten bytes. */
	varint64(value: bigint): void {
		let rest = BigInt.asUintN(64, value);
		if (rest <= 0x1f_ffff_ffff_ffffn) return this.varint(Number(rest));
		this.reserve(10);
		while (rest >= 0x80n) {
			this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
			rest >>= 7n;
		}
		this.bytes[this.length++] = Number(rest);
	}

	fixed32(value: number): void {
		this.reserve(4);
		this.view.setUint32(this.length, value, true);
		this.length += 4;
	}

	/** Signed or unsigned. */
	fixed64(value: bigint): void {
		this.reserve(8);
		this.view.setBigUint64(this.length, BigInt.asUintN(64, value), true);
		this.length += 8;
	}

	double(value: number): void {
		this.reserve(8);
		this.view.setFloat64(this.length, value, true);
		this.length += 8;
	}

	/** Bytes as they are, without tag or length. */
	raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
		this.reserve(end - start);
		this.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.length);
		this.length += end - start;
	}

	varintField(field: number, value: number): void {
		this.tag(field, WIRE_VARINT);
		this.varint(value);
	}

	varint64Field(field: number, value: bigint): void {
		this.tag(field, WIRE_VARINT);
		this.varint64(value);
	}

	fixed32Field(field: number, value: number): void {
		this.tag(field, WIRE_FIXED32);
		this.fixed32(value);
	}

	fixed64Field(field: number, value: bigint): void {
		this.tag(field, WIRE_FIXED64);
		this.fixed64(value);
	}

	doubleField(field: number, value: number): void {
		this.tag(field, WIRE_FIXED64);
		this.double(value);
	}

	bytesField(field: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
		this.tag(field, WIRE_LENGTH);
		this.varint(end - start);
		this.raw(bytes, start, end);
	}

	/** Lone surrogates become U+FFFD. */
	stringField(field: number, text: string): void {
		const mark = this.begin(field);
		this.text(text);
		this.end(mark);
	}

	/** Opens a sub-message; give the answer to `end` once its fields are written. */
	begin(field: number): number {
		this.tag(field, WIRE_LENGTH);
		this.reserve(1);
		return ++this.length;
	}

	end(mark: number): void {
		const size = this.length - mark;
		if (size < 0x80) {
			this.bytes[mark - 1] = size;
			return;
		}
		const extra = varintSize(size) - 1;
		this.reserve(extra);
		this.bytes.copyWithin(mark + extra, mark, this.length);
		const end = this.length + extra;
		this.length = mark - 1;
		this.varint(size);
		this.length = end;
	}

	/** Forgets everything behind `length`, as if it had not been written. */
	truncate(length: number): void {
		this.length = Math.min(this.length, length);
	}

	/** True when every byte from `start` on is 0. */
	isZeroFrom(start: number): boolean {
		for (let i = start; i < this.length; i++) if (this.bytes[i] !== 0) return false;
		return true;
	}

	/** A copy of what was written, sole owner of its buffer. */
	finish(): Uint8Array<ArrayBuffer> {
		return this.bytes.slice(0, this.length);
	}

	private text(text: string): void {
		const { length } = text;
		this.reserve(length * 3);
		if (length <= MAX_BY_HAND_CHARS) {
			const { bytes } = this;
			const start = this.length;
			let i = 0;
			for (; i < length; i++) {
				const code = text.charCodeAt(i);
				if (code >= 0x80) break;
				bytes[start + i] = code;
			}
			if (i === length) {
				this.length = start + length;
				return;
			}
		}
		this.length += ENCODER.encodeInto(text, this.bytes.subarray(this.length)).written;
	}

	private reserve(count: number): void {
		const needed = this.length + count;
		if (needed <= this.bytes.length) return;
		const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
		larger.set(this.bytes.subarray(0, this.length));
		this.bytes = larger;
		this.view = new DataView(larger.buffer);
	}
}

function varintSize(value: number): number {
	let size = 1;
	for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
	return size;
}
