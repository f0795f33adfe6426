/** What becomes of blocks, from their parts alone: several are merged into one, a large one is made final as it is. */
import { BlockBuilder } from "./builder.ts";
import { buildFilter } from "./filter.ts";
import { type BlockParts, type EncodedBlock, SHAPE_OF_SIGNAL, traceHash } from "./format.ts";
import { BlockReader } from "./reader.ts";
import { sealPart } from "./seal.ts";
import { collectTokens, type TokenSource } from "./tokens.ts";

const builders = {
	traces: new BlockBuilder(SHAPE_OF_SIGNAL.traces),
	logs: new BlockBuilder(SHAPE_OF_SIGNAL.logs),
};

/** What a final block has beside its rows. */
export interface FinalExtras {
	/** The filter part, sealed. */
	readonly filter: Uint8Array<ArrayBuffer>;
	/** Sorted hashes of the trace ids inside, for the trace index. */
	readonly traceHashes: Float64Array<ArrayBuffer>;
}

/** @throws DamagedBlockError when an input contradicts itself */
export function mergeBlocks(
	signal: "traces" | "logs",
	inputs: readonly BlockParts[],
	options: { readonly level: number; readonly withFilter: boolean },
): EncodedBlock {
	const builder = builders[signal];
	builder.reset();
	for (const parts of inputs) builder.addBlock(new BlockReader((part) => parts[part]));
	return builder.finish(options);
}

/**
 * From the parts in {@link PARTS_FOR_EXTRAS}.
 * @throws DamagedBlockError when they contradict each other
 */
export function finalExtras(parts: BlockParts): FinalExtras {
	const block = new BlockReader((part) => parts[part]);
	const { ids, count } = block.traces();
	const traceHashes = new Float64Array(count);
	for (let i = 0, at = 0; i < count; i++, at += 4)
		traceHashes[i] = traceHash(ids[at]!, ids[at + 1]!, ids[at + 2]!, ids[at + 3]!);
	return { filter: sealPart(buildFilter(collectTokens(storedTokens(block))), 0), traceHashes };
}

export const PARTS_FOR_EXTRAS = ["head", "stretches", "traces", "heap"] as const;

/** Every attribute of a stored block once. */
export function storedTokens(block: BlockReader): TokenSource {
	return {
		shape: block.shape,
		heap: block.heap(),
		isResource: new Set(block.head().scopes.map(({ resourceItem }) => resourceItem)),
	};
}
