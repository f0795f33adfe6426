/**
 * Memory of committed payloads, kept for the next ones up to a bound. The main thread owns it; buffers go out with a payload and
 * come back with its acknowledgement.
 */

/** What a spare may be larger than the payload it is taken for: sizes are rounded up by at most an eighth. */
const CLASSES_PER_DOUBLING = 8;
export const MIN_SPARE_BYTES = 128 * 1024;
export const MAX_SPARE_BYTES = 8 * 1024 * 1024;

export class SpareBuffers {
	private readonly maxBytes: number;
	private readonly bySize = new Map<number, ArrayBuffer[]>();
	private heldBytes = 0;

	constructor(maxBytes: number) {
		this.maxBytes = maxBytes;
	}

	/** Undefined below and above the sizes that are kept: such memory is better made anew. */
	take(bytes: number): Uint8Array<ArrayBuffer> | undefined {
		if (bytes < MIN_SPARE_BYTES || bytes > MAX_SPARE_BYTES) return undefined;
		const size = sizeClass(bytes);
		const buffer = this.bySize.get(size)?.pop();
		if (buffer !== undefined) this.heldBytes -= size;
		return new Uint8Array(buffer ?? new ArrayBuffer(size));
	}

	give(buffers: readonly ArrayBuffer[]): void {
		for (const buffer of buffers) {
			const size = buffer.byteLength;
			if (size !== sizeClass(size) || this.heldBytes + size > this.maxBytes) {
				buffer.transfer(0);
				continue;
			}
			const same = this.bySize.get(size);
			if (same === undefined) this.bySize.set(size, [buffer]);
			else same.push(buffer);
			this.heldBytes += size;
		}
	}

	/** Gives everything back to the system. */
	clear(): void {
		for (const buffers of this.bySize.values()) for (const buffer of buffers) buffer.transfer(0);
		this.bySize.clear();
		this.heldBytes = 0;
	}
}

function sizeClass(bytes: number): number {
	const step = Math.max(1, 2 ** Math.floor(Math.log2(bytes)) / CLASSES_PER_DOUBLING);
	return Math.ceil(bytes / step) * step;
}
