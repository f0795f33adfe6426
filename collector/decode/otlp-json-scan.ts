/**
 * Walks JSON text by its bytes: what encloses the records is read key by key, the records themselves are only measured, so that a
 * payload is never one tree of objects. Depth is bounded and memory is constant, whatever the input.
 */
import { MeshscopeError } from "../../model/errors.ts";

/**
 * Levels of JSON. An AnyValue level takes up to four of them, so 32 levels of AnyValue need 128 and some for what is around; the
 * decoder behind judges AnyValue levels themselves.
 */
const MAX_JSON_DEPTH = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
export const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
export const LETTER_N = 0x6e;
/** Integers of this many characters may not fit a double exactly. */
const LONG_NUMBER_CHARS = 16;

const LITERALS = ["true", "false", "null"].map((word) => Uint8Array.from(word, (char) => char.charCodeAt(0)));

/** A value that was passed over. */
export interface JsonSlice {
	readonly start: number;
	readonly end: number;
	/** Values inside, itself included. */
	readonly values: number;
	readonly ascii: boolean;
	/** Holds an integer that JSON.parse may round. */
	readonly longNumbers: boolean;
}

export class JsonScanner {
	readonly bytes: Uint8Array<ArrayBuffer>;
	position = 0;
	/** Which of the open brackets are objects; one entry a level. */
	private readonly isObject = new Uint8Array(MAX_JSON_DEPTH);
	private ascii = true;
	private longNumbers = false;
	private readonly buffer: Buffer;

	constructor(bytes: Uint8Array<ArrayBuffer>) {
		this.bytes = bytes;
		this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.position = 3;
	}

	/** The first byte of the next token, or -1 at the end. */
	peek(): number {
		const { bytes } = this;
		let at = this.position;
		while (at < bytes.length && isSpace(bytes[at]!)) at++;
		this.position = at;
		return at < bytes.length ? bytes[at]! : -1;
	}

	/** Refuses anything behind the outermost value. */
	finish(): void {
		if (this.peek() !== -1) throw this.malformed("something follows the end of the document");
	}

	/** Calls `onKey` for each member of the object that begins here; it must consume the value. */
	object(onKey: (key: string) => void): void {
		this.expect(OPEN_BRACE, "an object");
		if (this.peek() === CLOSE_BRACE) {
			this.position++;
			return;
		}
		for (;;) {
			const key = this.key();
			this.expect(COLON, "a colon");
			onKey(key);
			const byte = this.peek();
			this.position++;
			if (byte === CLOSE_BRACE) return;
			if (byte !== COMMA) throw this.malformed("expected a comma or the end of the object", this.position - 1);
		}
	}

	/** Calls `onElement` for each element of the array that begins here; it must consume the value. */
	array(onElement: () => void): void {
		this.expect(OPEN_BRACKET, "an array");
		if (this.peek() === CLOSE_BRACKET) {
			this.position++;
			return;
		}
		for (;;) {
			onElement();
			const byte = this.peek();
			this.position++;
			if (byte === CLOSE_BRACKET) return;
			if (byte !== COMMA) throw this.malformed("expected a comma or the end of the array", this.position - 1);
		}
	}

	/** Passes over one value of any kind. Its brackets are checked; its texts and numbers are left to JSON.parse. */
	skip(): JsonSlice {
		this.ascii = true;
		this.longNumbers = false;
		this.peek();
		const start = this.position;
		let values = 0;
		let depth = 0;
		for (;;) {
			// A value begins here.
			values++;
			const byte = this.peek();
			if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
				if (depth === MAX_JSON_DEPTH) throw this.malformed(`values nest deeper than ${MAX_JSON_DEPTH} levels`);
				this.position++;
				const isObject = byte === OPEN_BRACE;
				this.isObject[depth++] = isObject ? 1 : 0;
				if (this.peek() !== (isObject ? CLOSE_BRACE : CLOSE_BRACKET)) {
					if (isObject) this.memberStart();
					continue;
				}
			} else {
				this.scalar(byte);
			}
			// A value ended here: close what ends with it.
			for (;;) {
				if (depth === 0) {
					return { start, end: this.position, values, ascii: this.ascii, longNumbers: this.longNumbers };
				}
				const isObject = this.isObject[depth - 1] === 1;
				const next = this.peek();
				this.position++;
				if (next === COMMA) {
					if (isObject) this.memberStart();
					break;
				}
				if (next !== (isObject ? CLOSE_BRACE : CLOSE_BRACKET))
					throw this.malformed("expected a comma or a closing bracket", this.position - 1);
				depth--;
			}
		}
	}

	/**
	 * JSON.parse over a slice; integers beyond 2^53 become bigint. `lossy` says that bytes were not UTF-8 and became U+FFFD.
	 * @throws SyntaxError where the slice is no JSON
	 */
	parse(slice: JsonSlice): { readonly value: unknown; readonly lossy: boolean } {
		let lossy = false;
		let text: string;
		if (slice.ascii) text = this.buffer.toString("latin1", slice.start, slice.end);
		else {
			const range = this.bytes.subarray(slice.start, slice.end);
			try {
				text = STRICT_UTF8.decode(range);
			} catch {
				lossy = true;
				text = LENIENT_UTF8.decode(range);
			}
		}
		const value: unknown = slice.longNumbers ? JSON.parse(text, exactIntegers) : JSON.parse(text);
		return { value, lossy };
	}

	malformed(message: string, at = this.position): MeshscopeError {
		return new MeshscopeError("malformed_payload", `JSON: ${message} at byte ${Math.min(at, this.bytes.length)}`);
	}

	private memberStart(): void {
		if (this.peek() !== QUOTE) throw this.malformed("expected a key");
		this.string();
		this.expect(COLON, "a colon");
	}

	private key(): string {
		if (this.peek() !== QUOTE) throw this.malformed("expected a key");
		const start = this.position;
		this.string();
		const raw = this.buffer.toString("latin1", start + 1, this.position - 1);
		if (!raw.includes("\\")) return raw;
		try {
			return JSON.parse(`"${raw}"`) as string;
		} catch {
			throw this.malformed("a key holds an invalid escape", start);
		}
	}

	private scalar(byte: number): void {
		if (byte === QUOTE) return this.string();
		if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return this.number();
		for (const literal of LITERALS) {
			if (byte === literal[0] && literal.every((char, i) => this.bytes[this.position + i] === char)) {
				this.position += literal.length;
				return;
			}
		}
		throw this.malformed(byte === -1 ? "the document ends too early" : "expected a value");
	}

	private string(): void {
		const { bytes } = this;
		const { length } = bytes;
		let at = this.position + 1;
		let all = 0;
		for (; at < length; at++) {
			const byte = bytes[at]!;
			if (byte === QUOTE) break;
			if (byte === BACKSLASH) at++;
			all |= byte;
		}
		if (at >= length) throw this.malformed("a text does not end");
		if (all >= 0x80) this.ascii = false;
		this.position = at + 1;
	}

	private number(): void {
		const { bytes } = this;
		const start = this.position;
		let at = start;
		let integer = true;
		for (; at < bytes.length; at++) {
			const byte = bytes[at]!;
			if (byte >= 0x30 && byte <= 0x39) continue;
			// + - . E e
			if (byte !== 0x2b && byte !== 0x2d && byte !== 0x2e && byte !== 0x45 && byte !== 0x65) break;
			if (at > start) integer = false;
		}
		if (integer && at - start >= LONG_NUMBER_CHARS) this.longNumbers = true;
		this.position = at;
	}

	private expect(byte: number, what: string): void {
		if (this.peek() !== byte) throw this.malformed(`expected ${what}`);
		this.position++;
	}
}

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LENIENT_UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

function isSpace(byte: number): boolean {
	return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** A JSON.parse reviver; the third argument is ECMAScript's "JSON.parse source text access". */
function exactIntegers(this: unknown, _key: string, value: unknown, context?: { readonly source?: string }): unknown {
	if (typeof value !== "number" || Number.isSafeInteger(value) || context?.source === undefined) return value;
	return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
