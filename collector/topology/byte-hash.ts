/** Two words of hash over the bytes that are fed to it. Seeded by whoever owns it, so that nobody outside can make hashes meet. */

const encoder = new TextEncoder();

export class ByteHash {
	word0 = 0;
	word1 = 0;

	set(word0: number, word1: number): void {
		this.word0 = word0;
		this.word1 = word1;
	}

	mix(bytes: Uint8Array, start: number, end: number): void {
		let { word0, word1 } = this;
		for (let i = start; i < end; i++) {
			const byte = bytes[i]!;
			word0 = Math.imul(word0 ^ byte, 0x01000193);
			word1 = Math.imul(word1 + byte, 0x27d4eb2f) ^ (word1 >>> 15);
		}
		this.word0 = Math.imul(word0 ^ (end - start), 0x85ebca6b);
		this.word1 = word1;
	}

	/** As {@link mix}, four bytes at a time: another hash of the same bytes. */
	mixLong(bytes: Uint8Array, view: DataView, start: number, end: number): void {
		let { word0, word1 } = this;
		let at = start;
		for (; at + 4 <= end; at += 4) {
			const word = view.getInt32(at, true);
			word0 = Math.imul(word0 ^ word, 0x9e3779b1);
			word0 ^= word0 >>> 15;
			word1 = Math.imul(word1 + word, 0x27d4eb2f) ^ (word1 >>> 15);
		}
		this.word0 = word0;
		this.word1 = word1;
		this.mix(bytes, at, end);
	}

	mixNumber(number: number): void {
		this.word0 = Math.imul(this.word0 ^ number, 0x01000193);
		this.word1 = Math.imul(this.word1 + number, 0x27d4eb2f);
	}

	mixText(text: string): void {
		const bytes = encoder.encode(text);
		this.mix(bytes, 0, bytes.length);
	}
}
