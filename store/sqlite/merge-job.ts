/** One step of merging as data: it is computed in the merge thread or, when it is small, in the writer. */
import type { BlockParts, EncodedBlock } from "../block/format.ts";
import { type FinalExtras, finalExtras, mergeBlocks } from "../block/merge.ts";

export type MergeJob =
	| {
			readonly kind: "merge";
			readonly signal: "traces" | "logs";
			readonly inputs: readonly BlockParts[];
			readonly level: number;
			readonly withFilter: boolean;
			/** Of the inputs' texts, before compression. */
			readonly textBytes: number;
	  }
	| { readonly kind: "finalise"; readonly inputs: readonly BlockParts[]; readonly textBytes: number };

export type MergeResult =
	| { readonly kind: "merged"; readonly block: EncodedBlock }
	/** One for each input. */
	| { readonly kind: "finalised"; readonly extras: readonly FinalExtras[] };

/** @throws DamagedBlockError when an input contradicts itself */
export function runMerge(job: MergeJob): MergeResult {
	if (job.kind === "merge") return { kind: "merged", block: mergeBlocks(job.signal, job.inputs, job) };
	return { kind: "finalised", extras: job.inputs.map(finalExtras) };
}
