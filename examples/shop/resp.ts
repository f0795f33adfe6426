/** As much of the Redis serialization protocol as the shop needs: both ends of it (https://redis.io/docs/latest/develop/reference/protocol-spec/). */

export type RespValue = string | number | undefined | Error | RespValue[];

const MAX_VALUE_BYTES = 1 << 20;

export function encodeCommand(parts: readonly string[]): string {
	return `*${parts.length}\r\n${parts.map(bulk).join("")}`;
}

export function bulk(text: string | undefined): string {
	return text === undefined ? "$-1\r\n" : `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** Takes bytes as they come and tells each whole value once. */
export class RespReader {
	private buffer = Buffer.alloc(0);
	private readonly onValue: (value: RespValue) => void;

	constructor(onValue: (value: RespValue) => void) {
		this.onValue = onValue;
	}

	/** @throws when the bytes are no RESP, or a value is beyond a megabyte */
	push(chunk: Buffer): void {
		this.buffer = Buffer.concat([this.buffer, chunk]);
		for (;;) {
			const read = readValue(this.buffer, 0);
			if (read === undefined) break;
			this.buffer = this.buffer.subarray(read.end);
			this.onValue(read.value);
		}
		if (this.buffer.length > MAX_VALUE_BYTES) throw new Error("RESP value too large");
	}
}

/** Undefined where the value is not whole yet. */
function readValue(buffer: Buffer, at: number): { readonly value: RespValue; readonly end: number } | undefined {
	const lineEnd = buffer.indexOf("\r\n", at);
	if (lineEnd < 0) return undefined;
	const text = buffer.toString("utf8", at + 1, lineEnd);
	const end = lineEnd + 2;
	switch (String.fromCharCode(buffer[at] ?? 0)) {
		case "+":
			return { value: text, end };
		case "-":
			return { value: new Error(text), end };
		case ":":
			return { value: Number(text), end };
		case "$": {
			const length = Number(text);
			if (length < 0) return { value: undefined, end };
			if (!(length <= MAX_VALUE_BYTES)) throw new Error(`RESP bulk string of ${text} bytes`);
			if (buffer.length < end + length + 2) return undefined;
			return { value: buffer.toString("utf8", end, end + length), end: end + length + 2 };
		}
		case "*": {
			const values: RespValue[] = [];
			let next = end;
			for (let left = Number(text); left > 0; left--) {
				const one = readValue(buffer, next);
				if (one === undefined) return undefined;
				values.push(one.value);
				next = one.end;
			}
			return { value: values, end: next };
		}
		default:
			throw new Error("no RESP");
	}
}
