/**
 * Just enough protobuf writing for the benchmark's templates: OTLP trace messages whose changing fields have a fixed width, so that
 * a request can be refreshed in place. Runs once at start, never while something is measured.
 */
import { Buffer } from "node:buffer";

/** A growing buffer; one owner, no sharing. */
export class WireWriter {
	bytes: Buffer<ArrayBuffer> = Buffer.alloc(4096);
	length = 0;

	reset(): void {
		this.length = 0;
	}

	/** Writes a tag; wire type 0 varint, 1 fixed64, 2 length-delimited, 5 fixed32. */
	tag(field: number, wireType: number): void {
		this.varint(field * 8 + wireType);
	}

	varint(value: number): void {
		this.reserve(10);
		let rest = value;
		while (rest > 127) {
			this.bytes[this.length++] = (rest % 128) | 128;
			rest = Math.floor(rest / 128);
		}
		this.bytes[this.length++] = rest;
	}

	/** Leaves room for a field of fixed width; returns the offset of its first byte. */
	room(bytes: number): number {
		this.reserve(bytes);
		const at = this.length;
		this.bytes.fill(0, at, at + bytes);
		this.length += bytes;
		return at;
	}

	/** Length-delimited text; returns the offset of its first byte. */
	text(field: number, value: string): number {
		const size = Buffer.byteLength(value);
		this.tag(field, 2);
		this.varint(size);
		this.reserve(size);
		const at = this.length;
		this.length += this.bytes.write(value, at);
		return at;
	}

	message(field: number, body: Uint8Array): number {
		this.tag(field, 2);
		this.varint(body.length);
		this.reserve(body.length);
		const at = this.length;
		this.bytes.set(body, at);
		this.length += body.length;
		return at;
	}

	/** A KeyValue with a string value; returns the offset of the value's first byte. */
	attribute(field: number, key: string, value: string): number {
		const keyBytes = Buffer.byteLength(key);
		const valueBytes = Buffer.byteLength(value);
		const anyValueBytes = 1 + varintBytes(valueBytes) + valueBytes;
		this.tag(field, 2);
		this.varint(1 + varintBytes(keyBytes) + keyBytes + 1 + varintBytes(anyValueBytes) + anyValueBytes);
		this.text(1, key);
		this.tag(2, 2);
		this.varint(anyValueBytes);
		return this.text(1, value);
	}

	view(): Buffer<ArrayBuffer> {
		return this.bytes.subarray(0, this.length);
	}

	private reserve(bytes: number): void {
		if (this.length + bytes <= this.bytes.length) return;
		const larger = Buffer.alloc(Math.max(this.bytes.length * 2, this.length + bytes));
		larger.set(this.view());
		this.bytes = larger;
	}
}

export function varintBytes(value: number): number {
	let bytes = 1;
	for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) bytes++;
	return bytes;
}
