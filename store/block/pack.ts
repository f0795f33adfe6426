/**
 * All parts of a small block in one row: a group of five spans would otherwise cost eight rows.
 */
import { ByteReader, ByteWriter } from "./bytes.ts";
import { type BlockParts, PART, PART_NAMES, type PartName, PARTS_PER_BLOCK } from "./format.ts";

/** Row number, within a block's, of a pack. */
export const PACK = PARTS_PER_BLOCK - 1;
/** Above this, reading one part must not cost reading all. */
export const MAX_PACK_BYTES = 24_576;

export function packParts(parts: BlockParts): Uint8Array {
	const out = new ByteWriter(4096);
	for (const name of PART_NAMES) {
		const part = parts[name];
		if (part === undefined) continue;
		out.byte(PART[name]);
		out.lengthPrefixed(part);
	}
	return out.view();
}

export function unpackPart(pack: Uint8Array, wanted: PartName): Uint8Array | undefined {
	const reader = new ByteReader(pack);
	while (reader.at < pack.length) {
		const number = reader.byte();
		const part = reader.lengthPrefixed();
		if (number === PART[wanted]) return part;
	}
	return undefined;
}

export function sizeOfParts(parts: BlockParts): number {
	let total = 0;
	for (const name of PART_NAMES) total += parts[name]?.length ?? 0;
	return total;
}
