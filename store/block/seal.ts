/**
 * The envelope of a stored part: how it is compressed, and a checksum over what is stored.
 */
import { crc32 } from "node:zlib";
import { ByteWriter, DamagedBlockError } from "./bytes.ts";
import { zstd } from "./zstd.ts";

const RAW = 0;
const ZSTD = 1;
/** Before the content: kind byte, and its length before compression. Behind it: crc32 over all of it. Little-endian. */
export const ENVELOPE_BYTES = 5;
const OVERHEAD_BYTES = ENVELOPE_BYTES + 4;
/** Below this, a zstd frame's own header eats the gain. */
const MIN_COMPRESSED_BYTES = 64;

/** @param level zstd level; 0 stores the bytes as they are (for columns of random bits) */
export function sealPart(content: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
	let body: Uint8Array = content;
	let kind = RAW;
	if (level > 0 && content.length >= MIN_COMPRESSED_BYTES) {
		const packed = zstd.compress(content, level);
		if (packed.length < content.length) {
			body = packed;
			kind = ZSTD;
		}
	}
	const sealed = new Uint8Array(body.length + OVERHEAD_BYTES);
	const view = new DataView(sealed.buffer);
	const end = ENVELOPE_BYTES + body.length;
	sealed[0] = kind;
	view.setUint32(1, content.length, true);
	sealed.set(body, ENVELOPE_BYTES);
	view.setUint32(end, crc32(sealed.subarray(0, end)), true);
	return sealed;
}

/** Sealed runs one behind the other, in memory that is kept. */
export class SealedChunks {
	private readonly out = new ByteWriter(1 << 14);

	get length(): number {
		return this.out.length;
	}

	reset(): void {
		this.out.reset();
	}

	/** Returns how many bytes it took, sealed. */
	add(content: Uint8Array, level: number): number {
		const sealed = sealPart(content, level);
		this.out.raw(sealed);
		return sealed.length;
	}

	/** A view; valid until the next run. */
	view(): Uint8Array<ArrayBuffer> {
		return this.out.view();
	}
}

/** What an envelope says of its content's length, before compression: without a look at it, or a check. */
export function contentLength(envelope: Uint8Array): number {
	if (envelope.length < ENVELOPE_BYTES) throw new DamagedBlockError("a part is shorter than its envelope");
	return new DataView(envelope.buffer, envelope.byteOffset, envelope.byteLength).getUint32(1, true);
}

/** @throws DamagedBlockError when the checksum does not hold */
export function openPart(sealed: Uint8Array): Uint8Array {
	const end = sealed.length - 4;
	if (end < ENVELOPE_BYTES) throw new DamagedBlockError("a part is shorter than its envelope");
	const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength);
	if (crc32(sealed.subarray(0, end)) !== view.getUint32(end, true))
		throw new DamagedBlockError("a part's checksum does not match its bytes");
	const length = view.getUint32(1, true);
	const body = sealed.subarray(ENVELOPE_BYTES, end);
	const content = sealed[0] === ZSTD ? inflate(body, length) : body;
	if (sealed[0]! > ZSTD || content.length !== length) throw new DamagedBlockError("a part is not what its envelope says");
	return content;
}

function inflate(body: Uint8Array, length: number): Uint8Array {
	try {
		return zstd.decompress(body, length);
	} catch (error) {
		throw new DamagedBlockError(`a part cannot be decompressed: ${String(error)}`);
	}
}
