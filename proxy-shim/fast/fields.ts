/**
 * The field lines of a head, read strictly: `name ":" OWS value OWS CRLF`, nothing else. What an origin and a proxy could read
 * differently (a bare LF, a fold, a space before the colon, a control character) is not read at all.
 */
import { isToken, isValue } from "./octets.ts";

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const HTAB = 0x09;
const COLON = 0x3a;

/** More fields than this are left to the other tier, whose limits then apply. */
export const MAX_FIELDS = 100;

/**
 * Appends `name, value, name, value, …` to `into`, names as they were sent. `text` is the latin1 text of `bytes` from `base` on.
 * Reads from `start` to the empty line that ends the head at `end` (the position of its CRLF).
 *
 * @returns undefined when all is well, else what was met.
 */
export function readFields(
	bytes: Uint8Array,
	text: string,
	base: number,
	start: number,
	end: number,
	into: string[],
): string | undefined {
	let at = start;
	while (at < end) {
		const nameStart = at;
		while (isToken(bytes[at]!)) at++;
		if (at === nameStart) return bytes[at] === SP || bytes[at] === HTAB ? "folded field line" : "invalid field name";
		if (bytes[at] !== COLON) return "invalid field name";
		const nameEnd = at++;
		while (bytes[at] === SP || bytes[at] === HTAB) at++;
		const valueStart = at;
		while (isValue(bytes[at]!)) at++;
		if (bytes[at] !== CR || bytes[at + 1] !== LF || at >= end) return "invalid field value";
		let valueEnd = at;
		while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
		if (into.length >= MAX_FIELDS * 2) return "too many fields";
		into.push(text.slice(nameStart - base, nameEnd - base), text.slice(valueStart - base, valueEnd - base));
		at += 2;
	}
	return undefined;
}

/** A length as RFC 9110 section 8.6 writes it, or -1: digits alone, and not more than a double counts exactly. */
export function readLength(value: string): number {
	return /^\d{1,15}$/.test(value) ? Number(value) : -1;
}
