/** Classes of octets in an HTTP/1.1 head (RFC 9110 section 5.5 and 5.6.2, RFC 9112 section 3), as bits of one table. */

const TOKEN = 1;
const VALUE = 2;
const TARGET = 4;
const DIGIT = 8;

const CLASS = new Uint8Array(256);

for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	mark(char.charCodeAt(0), TOKEN);
// Field values: visible characters, space, tab and obs-text; no other control character, and not DEL.
for (let octet = 0x20; octet < 256; octet++) if (octet !== 0x7f) mark(octet, VALUE);
mark(0x09, VALUE);
// Targets: visible ASCII only, and no fragment, which has no place in a request line.
for (let octet = 0x21; octet < 0x7f; octet++) if (octet !== 0x23) mark(octet, TARGET);
for (let octet = 0x30; octet < 0x3a; octet++) mark(octet, DIGIT);

function mark(octet: number, kind: number): void {
	CLASS[octet] = CLASS[octet]! | kind;
}

export function isToken(octet: number): boolean {
	return (CLASS[octet]! & TOKEN) !== 0;
}

export function isValue(octet: number): boolean {
	return (CLASS[octet]! & VALUE) !== 0;
}

export function isTarget(octet: number): boolean {
	return (CLASS[octet]! & TARGET) !== 0;
}

export function isDigit(octet: number): boolean {
	return (CLASS[octet]! & DIGIT) !== 0;
}

/** The value of a hexadecimal digit, or -1. */
export function hexValue(octet: number): number {
	if (isDigit(octet)) return octet - 0x30;
	const lower = octet | 0x20;
	return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
