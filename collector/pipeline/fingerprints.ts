/**
 * Which batches were stored of late: a client that did not hear the acknowledgement sends the same bytes again.
 *
 * Two generations of a fixed size: when the younger is full the older is forgotten, so memory is bounded and the newest half million
 * batches are always known.
 */
export const FINGERPRINT_BYTES = 16;
const GENERATION = 1 << 19;
/** A batch is remembered as a string of 16 characters, one a byte. */
type Key = string;

export class FingerprintSet {
	private readonly generation: number;
	private young = new Set<Key>();
	private old = new Set<Key>();

	constructor(generation = GENERATION) {
		this.generation = generation;
	}

	has(fingerprint: Uint8Array): boolean {
		const key = keyOf(fingerprint);
		return this.young.has(key) || this.old.has(key);
	}

	add(fingerprint: Uint8Array): void {
		if (this.young.size >= this.generation) {
			this.old = this.young;
			this.young = new Set();
		}
		this.young.add(keyOf(fingerprint));
	}
}

function keyOf(fingerprint: Uint8Array): Key {
	return String.fromCharCode(...fingerprint);
}
