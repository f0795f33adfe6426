/**
 * Where trace, span and request ids come from: cryptographic randomness, taken in blocks. A call of `randomBytes` costs about a
 * microsecond whatever its size; a slice of a block's hex costs ten nanoseconds.
 */
import { randomFillSync } from "node:crypto";

export interface IdSource {
	/** 32 lower-case hex digits, never all zero. */
	traceId(): string;
	/** 16 lower-case hex digits, never all zero. */
	spanId(): string;
	/** A UUID of version 4. */
	requestId(): string;
}

const BLOCK_BYTES = 4096;
const ZEROES = "0".repeat(32);

/** @param fill writes random bytes over all of what it is given */
export function createIdSource(fill: (bytes: Uint8Array) => void = randomFillSync): IdSource {
	const block = Buffer.alloc(BLOCK_BYTES);
	let hex = "";
	let at = 0;

	function digits(count: number): string {
		if (at + count > hex.length) {
			fill(block);
			hex = block.toString("hex");
			at = 0;
		}
		at += count;
		return hex.slice(at - count, at);
	}

	/** Zero comes once in 2^64 draws; a source that gives nothing else is broken, and then any id will do. */
	function nonZero(count: number): string {
		for (let draws = 0; draws < 8; draws++) {
			const id = digits(count);
			if (id !== ZEROES.slice(0, count)) return id;
		}
		return ZEROES.slice(1, count) + "1";
	}

	return {
		traceId: () => nonZero(32),
		spanId: () => nonZero(16),
		requestId() {
			const d = digits(32);
			const variant = "89ab"[Number.parseInt(d[16]!, 16) & 3]!;
			return `${d.slice(0, 8)}-${d.slice(8, 12)}-4${d.slice(13, 16)}-${variant}${d.slice(17, 20)}-${d.slice(20)}`;
		},
	};
}
