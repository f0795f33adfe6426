/**
 * Blocks that a reader has opened, the least recently used forgotten first once their decoded columns pass a bound.
 */
import type { BlockReader } from "../block/reader.ts";

export class BlockCache {
	private readonly maxBytes: number;
	private readonly readers = new Map<string, BlockReader>();

	constructor(maxBytes: number) {
		this.maxBytes = maxBytes;
	}

	get(window: string, id: number, open: () => BlockReader): BlockReader {
		const key = `${window}/${id}`;
		let reader = this.readers.get(key);
		if (reader !== undefined) this.readers.delete(key);
		else reader = open();
		this.readers.set(key, reader);
		return reader;
	}

	/** Call between queries: readers grow while they are used. */
	trim(): void {
		let total = 0;
		for (const reader of this.readers.values()) total += reader.lastingBytes + reader.partBytes;
		// Heads last: they are small, and most searches pass over most blocks by their heads alone.
		for (const reader of this.readers.values()) {
			if (total <= this.maxBytes) return;
			// Most of hundreds have been forgotten before.
			if (reader.partBytes === 0) continue;
			total -= reader.partBytes;
			reader.forgetParts();
		}
		for (const [key, reader] of this.readers) {
			if (total <= this.maxBytes) return;
			total -= reader.lastingBytes;
			this.readers.delete(key);
		}
	}

	forgetWindow(window: string): void {
		for (const key of this.readers.keys()) if (key.startsWith(`${window}/`)) this.readers.delete(key);
	}
}
