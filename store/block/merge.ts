/** Blocks into one, from their parts alone. */
import { BlockBuilder } from "./builder.ts";
import { type BlockParts, type EncodedBlock, SHAPE_OF_SIGNAL } from "./format.ts";
import { BlockReader } from "./reader.ts";

const builders = {
	traces: new BlockBuilder(SHAPE_OF_SIGNAL.traces),
	logs: new BlockBuilder(SHAPE_OF_SIGNAL.logs),
};

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
