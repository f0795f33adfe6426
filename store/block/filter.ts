/**
 * Bloom filter over tokens: ten bits a token and six probes, one false answer in about a hundred.
 */
import type { TokenSet } from "./tokens.ts";

const BITS_PER_TOKEN = 10;
const PROBES = 6;

export function buildFilter(tokens: TokenSet): Uint8Array {
	const bytes = new Uint8Array(Math.max(8, Math.ceil((tokens.count * BITS_PER_TOKEN) / 8)));
	const scale = scaleOf(bytes);
	for (let i = 0; i < tokens.count; i++) {
		let at = tokens.words[i * 2]!;
		const step = tokens.words[i * 2 + 1]! | 1;
		for (let probe = 0; probe < PROBES; probe++) {
			const bit = Math.floor(at * scale);
			bytes[bit >>> 3]! |= 1 << (bit & 7);
			at = (at + step) >>> 0;
		}
	}
	return bytes;
}

export function mayContain(filter: Uint8Array, token: readonly [number, number]): boolean {
	const scale = scaleOf(filter);
	let at = token[0];
	const step = token[1] | 1;
	for (let probe = 0; probe < PROBES; probe++) {
		const bit = Math.floor(at * scale);
		if ((filter[bit >>> 3]! & (1 << (bit & 7))) === 0) return false;
		at = (at + step) >>> 0;
	}
	return true;
}

/** From 32 bits to a bit of the filter: multiplying costs a tenth of dividing. */
function scaleOf(filter: Uint8Array): number {
	return (filter.length * 8) / 2 ** 32;
}
