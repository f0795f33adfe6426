/**
 * Finds the end of a chunked body (RFC 9112 section 7.1) without touching its bytes: they are passed on as they are, extensions and
 * trailers too, once they are known to be well-formed. Strict: sizes of plain hexadecimal digits, CRLF and no other line end.
 */
import { hexValue, isToken, isValue } from "./octets.ts";

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const COLON = 0x3a;
/** 2^52 bytes in one chunk are beyond any sender; more digits would lose precision. */
const MAX_SIZE_DIGITS = 13;
const MAX_EXTENSION_BYTES = 256;
const MAX_TRAILER_BYTES = 16 << 10;

type State =
	| "size"
	| "extension"
	| "size-lf"
	| "data"
	| "data-cr"
	| "data-lf"
	| "trailer-start"
	| "trailer-name"
	| "trailer-value"
	| "trailer-lf"
	| "end-lf"
	| "done"
	| "bad";

export interface ChunkedReader {
	/**
	 * Takes the next bytes of the body. Returns how many of them belong to it: all of them while it goes on. `done` and `bad` tell
	 * why it stopped earlier; after `bad` nothing more may be passed on.
	 */
	advance(bytes: Uint8Array, start: number): number;
	readonly done: boolean;
	readonly bad: boolean;
	/** Bytes of data so far, without framing. */
	readonly dataBytes: number;
}

export function createChunkedReader(): ChunkedReader {
	let state: State = "size";
	let digits = 0;
	let size = 0;
	let extensionBytes = 0;
	let trailerBytes = 0;
	let dataBytes = 0;

	return {
		get done() {
			return state === "done";
		},
		get bad() {
			return state === "bad";
		},
		get dataBytes() {
			return dataBytes;
		},
		advance(bytes, start) {
			let at = start;
			while (at < bytes.length && state !== "done" && state !== "bad") {
				if (state === "data") {
					const taken = Math.min(size, bytes.length - at);
					size -= taken;
					dataBytes += taken;
					at += taken;
					if (size === 0) state = "data-cr";
					continue;
				}
				step(bytes[at++]!);
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
				else state = size === 0 ? "trailer-start" : "data";
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
				trailerStep(octet);
		}
	}

	function trailerStep(octet: number): void {
		if (++trailerBytes > MAX_TRAILER_BYTES) state = "bad";
		else if (state === "trailer-start") state = octet === CR ? "end-lf" : isToken(octet) ? "trailer-name" : "bad";
		else if (state === "trailer-name") state = octet === COLON ? "trailer-value" : isToken(octet) ? state : "bad";
		else if (state === "trailer-value") state = octet === CR ? "trailer-lf" : isValue(octet) ? state : "bad";
		else if (state === "trailer-lf") state = octet === LF ? "trailer-start" : "bad";
		else if (state === "end-lf") state = octet === LF ? "done" : "bad";
		else state = "bad";
	}
}
