/** Entry of the merge thread: parts of blocks in, what becomes of them out. */
import { parentPort } from "node:worker_threads";
import { DamagedBlockError } from "../block/bytes.ts";
import { collectAfter } from "../block/garbage.ts";
import { type MergeJob, type MergeResult, runMerge } from "./merge-job.ts";
import type { MergeAnswer } from "./merge-thread.ts";

const port = parentPort!;

port.on("message", (job: MergeJob) => {
	let answer: MergeAnswer;
	let transfer: ArrayBuffer[] = [];
	try {
		answer = runMerge(job);
		transfer = buffersOf(answer);
	} catch (error) {
		answer = {
			kind: "failed",
			error: error instanceof Error ? (error.stack ?? error.message) : String(error),
			damaged: error instanceof DamagedBlockError,
		};
	}
	port.postMessage(answer, transfer);
	collectAfter(job.textBytes);
});

function buffersOf(result: MergeResult): ArrayBuffer[] {
	if (result.kind === "finalised")
		return result.extras.flatMap(({ filter, traceHashes }) => [filter.buffer, traceHashes.buffer]);
	const { parts, traceHashes } = result.block;
	return [...new Set([...Object.values(parts), traceHashes].map(({ buffer }) => buffer as ArrayBuffer))];
}
