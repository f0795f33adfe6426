/**
 * Short texts out of bytes, quickly: telemetry repeats the same few hundred keys and values millions of times.
 *
 * TextDecoder costs about 200 ns a call, whatever the length; most texts here have under 32 bytes and were met before.
 */

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

const SLOTS = 2048;
const MAX_KEPT_BYTES = 48;
const MAX_BY_HAND_BYTES = 64;
/** Direct-mapped: a text that falls on a taken slot replaces it, so a flood of new texts costs no memory. */
const kept: string[] = new Array<string>(SLOTS).fill("");

/** The text of a range of bytes; what is not UTF-8 becomes U+FFFD. A byte order mark is kept. */
export function utf8Text(bytes: Uint8Array, start: number, end: number): string {
	const length = end - start;
	if (length > MAX_BY_HAND_BYTES) return DECODER.decode(bytes.subarray(start, end));
	let hash = length;
	for (let i = start; i < end; i++) {
		const byte = bytes[i]!;
		if (byte >= 0x80) return DECODER.decode(bytes.subarray(start, end));
		hash = (Math.imul(hash, 31) + byte) | 0;
	}
	if (length > MAX_KEPT_BYTES) return asciiText(bytes, start, end);
	const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
	const candidate = kept[slot]!;
	if (candidate.length === length && sameAscii(candidate, bytes, start)) return candidate;
	return (kept[slot] = asciiText(bytes, start, end));
}

function asciiText(bytes: Uint8Array, start: number, end: number): string {
	let text = "";
	for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
	return text;
}

function sameAscii(text: string, bytes: Uint8Array, start: number): boolean {
	for (let i = 0; i < text.length; i++) {
		if (text.charCodeAt(i) !== bytes[start + i]) return false;
	}
	return true;
}

/** Whether a range of bytes is UTF-8 as the standard has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
	let at = start;
	while (at < end) {
		const first = bytes[at++]!;
		if (first < 0x80) continue;
		// The second byte's range is what keeps out the forms that are not allowed.
		let low = 0x80;
		let high = 0xbf;
		let more: number;
		if (first >= 0xc2 && first <= 0xdf) more = 1;
		else if (first >= 0xe0 && first <= 0xef) {
			more = 2;
			if (first === 0xe0) low = 0xa0;
			else if (first === 0xed) high = 0x9f;
		} else if (first >= 0xf0 && first <= 0xf4) {
			more = 3;
			if (first === 0xf0) low = 0x90;
			else if (first === 0xf4) high = 0x8f;
		} else return false;
		if (at + more > end || bytes[at]! < low || bytes[at]! > high) return false;
		for (let i = 1; i < more; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return false;
		at += more;
	}
	return true;
}
