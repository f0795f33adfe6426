/**
 * Reads a chunked body (RFC 9112 section 7.1). Strict: sizes of plain hexadecimal digits, CRLF and no other line end, extensions and
 * trailers bounded. Data is given out as slices of what came in, never copied.
 */
import { readFields } from "./fields.ts";
import { hexValue, isValue } from "./octets.ts";

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
/** 2^52 bytes in one chunk are beyond any sender; more digits would lose precision. */
const MAX_SIZE_DIGITS = 13;
const MAX_EXTENSION_BYTES = 256;
const MAX_TRAILER_BYTES = 16 << 10;

type State = "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailers" | "done" | "bad";

export interface ChunkedReader {
	/** Takes the next bytes of the body and returns how many of them belong to it: all of them while it goes on. */
	advance(bytes: Buffer, start: number): number;
	readonly done: boolean;
	/** After this nothing more may be passed on. */
	readonly bad: boolean;
	/** `name, value, …` as sent, once it is done. */
	readonly trailers: readonly string[];
}

export function createChunkedReader(onData: (slice: Buffer) => void): ChunkedReader {
	let state: State = "size";
	let digits = 0;
	let size = 0;
	let extensionBytes = 0;
	/** Everything after the last chunk's size line, with the empty line that ends it. */
	let tail = "";
	const trailers: string[] = [];

	return {
		get done() {
			return state === "done";
		},
		get bad() {
			return state === "bad";
		},
		trailers,
		advance(bytes, start) {
			let at = start;
			while (at < bytes.length && state !== "done" && state !== "bad") {
				if (state === "data") {
					const taken = Math.min(size, bytes.length - at);
					size -= taken;
					onData(bytes.subarray(at, at + taken));
					at += taken;
					if (size === 0) state = "data-cr";
				} else if (state === "trailers") at = takeTail(bytes, at);
				else step(bytes[at++]!);
			}
			return at - start;
		},
	};

	function step(octet: number): void {
		switch (state) {
			case "size": {
				const value = hexValue(octet);
				if (value >= 0 && digits < MAX_SIZE_DIGITS) {
					size = size * 16 + value;
					digits++;
				} else if (digits > 0 && octet === CR) state = "size-lf";
				else if (digits > 0 && octet === SEMICOLON) state = "extension";
				else state = "bad";
				return;
			}
			case "extension":
				if (octet === CR) state = "size-lf";
				else if (!isValue(octet) || ++extensionBytes > MAX_EXTENSION_BYTES) state = "bad";
				return;
			case "size-lf":
				if (octet !== LF) state = "bad";
				else state = size === 0 ? "trailers" : "data";
				digits = 0;
				return;
			case "data-cr":
				state = octet === CR ? "data-lf" : "bad";
				return;
			case "data-lf":
				state = octet === LF ? "size" : "bad";
				extensionBytes = 0;
				return;
			default:
				state = "bad";
		}
	}

	/** Returns where the trailer section ended, or how far it reached. */
	function takeTail(bytes: Buffer, start: number): number {
		let at = start;
		while (at < bytes.length) {
			const lineFeed = bytes.indexOf(LF, at);
			const end = lineFeed < 0 ? bytes.length : lineFeed + 1;
			tail += bytes.toString("latin1", at, end);
			at = end;
			if (tail.length > MAX_TRAILER_BYTES) {
				state = "bad";
				return at;
			}
			if (tail === "\r\n" || tail.endsWith("\r\n\r\n")) {
				const fields = Buffer.from(tail, "latin1");
				const fault = readFields(fields, tail, 0, 0, tail.length - 2, trailers);
				state = fault === undefined ? "done" : "bad";
				return at;
			}
			if (lineFeed >= 0 && tail.charCodeAt(tail.length - 2) !== CR) {
				state = "bad";
				return at;
			}
		}
		return at;
	}
}
