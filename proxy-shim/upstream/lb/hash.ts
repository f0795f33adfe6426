/**
 * Hashes of text for ring hash: FNV-1a over UTF-16 code units, then Murmur3's finaliser.
 *
 * Why not xxHash, which Envoy uses: its 64 bits need BigInt here, and what is hashed (a header, a cookie, an address) has 10 to 50
 * characters, over which FNV costs one multiplication each. FNV alone leaves the high bits of similar short texts alike, and the ring
 * is searched by the high bits; the finaliser spreads them. No hash table hangs on it, so it need not resist an attacker: who chooses
 * the header chooses the host anyway.
 */

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Unsigned, 32 bits. */
export function hashOf(text: string): number {
	return spread(fnv1a(text, FNV_OFFSET));
}

/** FNV-1a from another offset gives another hash of the same text. */
export function fnv1a(text: string, offset: number): number {
	let hash = offset;
	for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
	return hash;
}

/** Murmur3's finaliser: a bijection of 32 bits in which each bit of the input changes half of the output's. */
export function spread(hash: number): number {
	let h = hash;
	h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
	h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
	return (h ^ (h >>> 16)) >>> 0;
}
