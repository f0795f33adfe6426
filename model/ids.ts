/**
 * Trace and span identifiers at the borders of the process.
 *
 * Inside the hot path ids are bytes in typed arrays; these brands exist only where a person or an API meets them.
 */

declare const traceIdBrand: unique symbol;
declare const spanIdBrand: unique symbol;

/** 32 lower-case hex digits, never all zero (W3C Trace Context, trace-id). */
export type TraceId = string & { readonly [traceIdBrand]: true };
/** 16 lower-case hex digits, never all zero (W3C Trace Context, parent-id). */
export type SpanId = string & { readonly [spanIdBrand]: true };

const HEX = /^[0-9a-fA-F]+$/;

/**
 * Reads a trace id as people paste it: hex of either case, with or without the leading zeros that 64-bit tracers drop.
 * Returns undefined when it is not hex, longer than 32 digits, or all zero.
 */
export function parseTraceId(text: string): TraceId | undefined {
	return parseHexId(text, 32) as TraceId | undefined;
}

/** As {@link parseTraceId}, for the 16 digits of a span id. */
export function parseSpanId(text: string): SpanId | undefined {
	return parseHexId(text, 16) as SpanId | undefined;
}

function parseHexId(text: string, digits: number): string | undefined {
	if (text.length === 0 || text.length > digits || !HEX.test(text)) return undefined;
	const id = text.toLowerCase().padStart(digits, "0");
	return /^0+$/.test(id) ? undefined : id;
}

/** Hex of `length` bytes of `bytes` from `offset`. */
export function hexFromBytes(bytes: Uint8Array, offset: number, length: number): string {
	let out = "";
	for (let i = offset; i < offset + length; i++) out += HEX_OF_BYTE[bytes[i]!]!;
	return out;
}

/** The bytes of a hex string of even length; the caller has checked the alphabet. */
export function bytesFromHex(hex: string): Uint8Array {
	const out = new Uint8Array(hex.length >> 1);
	for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
	return out;
}

const HEX_OF_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
