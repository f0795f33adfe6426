/** Entry of the merge thread: parts of blocks in, the parts of one block out. */
import { parentPort } from "node:worker_threads";
import { DamagedBlockError } from "../block/bytes.ts";
import { mergeBlocks } from "../block/merge.ts";
import type { MergeAnswer, MergeJob } from "./merge-thread.ts";

const port = parentPort!;

port.on("message", (job: MergeJob) => {
	let answer: MergeAnswer;
	const transfer = new Set<ArrayBuffer>();
	try {
		const block = mergeBlocks(job.signal, job.inputs, job);
		for (const part of Object.values(block.parts)) if (part.buffer instanceof ArrayBuffer) transfer.add(part.buffer);
		transfer.add(block.traceHashes.buffer as ArrayBuffer);
		answer = { block };
	} catch (error) {
		answer = {
			error: error instanceof Error ? (error.stack ?? error.message) : String(error),
			damaged: error instanceof DamagedBlockError,
		};
	}
	port.postMessage(answer, [...transfer]);
});
