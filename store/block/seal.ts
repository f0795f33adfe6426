/**
 * The envelope of a stored part: how it is compressed, and a checksum over what is stored.
 */
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DamagedBlockError } from "./bytes.ts";

const RAW = 0;
const ZSTD = 1;
/** Envelope: kind byte, then the content, then crc32 over both, little-endian. */
const OVERHEAD_BYTES = 5;
/** Below this, a zstd frame's own header eats the gain. */
const MIN_COMPRESSED_BYTES = 64;

/** @param level zstd level; 0 stores the bytes as they are (for columns of random bits) */
export function sealPart(content: Uint8Array, level: number): Uint8Array<ArrayBuffer> {
	let body: Uint8Array = content;
	let kind = RAW;
	if (level > 0 && content.length >= MIN_COMPRESSED_BYTES) {
		const packed = zstdCompressSync(content, {
			params: { [constants.ZSTD_c_compressionLevel]: level },
			pledgedSrcSize: content.length,
			// One output chunk instead of many of 16 KiB.
			chunkSize: Math.max(1024, content.length >> 1),
		});
		if (packed.length < content.length) {
			body = packed;
			kind = ZSTD;
		}
	}
	const sealed = new Uint8Array(body.length + OVERHEAD_BYTES);
	sealed[0] = kind;
	sealed.set(body, 1);
	new DataView(sealed.buffer).setUint32(body.length + 1, crc32(sealed.subarray(0, body.length + 1)), true);
	return sealed;
}

/** @throws DamagedBlockError when the checksum does not hold */
export function openPart(sealed: Uint8Array): Uint8Array {
	const end = sealed.length - 4;
	if (end < 1) throw new DamagedBlockError("a part is shorter than its envelope");
	const stored = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength).getUint32(end, true);
	if (crc32(sealed.subarray(0, end)) !== stored) throw new DamagedBlockError("a part's checksum does not match its bytes");
	const body = sealed.subarray(1, end);
	if (sealed[0] === RAW) return body;
	if (sealed[0] !== ZSTD) throw new DamagedBlockError(`a part has the unknown kind ${sealed[0]}`);
	try {
		return zstdDecompressSync(body, { chunkSize: Math.min(1 << 22, Math.max(1024, body.length * 4)) });
	} catch (error) {
		throw new DamagedBlockError("a part cannot be decompressed in spite of its checksum", { cause: error });
	}
}
