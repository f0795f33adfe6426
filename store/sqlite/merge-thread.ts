/**
 * Large merges in a thread of their own: half a second of computing must not keep commits waiting. The writer hands over the parts of
 * the blocks and gets the merged block back; only it writes. The thread starts with the first merge and ends when it has been idle.
 */
import { Worker } from "node:worker_threads";
import type { MergeJob, MergeResult } from "./merge-job.ts";

export type MergeAnswer = MergeResult | { readonly kind: "failed"; readonly error: string; readonly damaged: boolean };

/** Merging makes few short-lived objects. */
const YOUNG_GENERATION_MB = 12;

/** Runs one merge at a time; `done` is called in a later turn of the event loop. */
export type MergeRunner = {
	start(job: MergeJob, done: (answer: MergeAnswer) => void): void;
	close(): void;
};

export function createMergeThread(module: URL, idleMs: number): MergeRunner {
	let worker: Worker | undefined;
	let pending: ((answer: MergeAnswer) => void) | undefined;
	let idle: NodeJS.Timeout | undefined;

	function finish(answer: MergeAnswer): void {
		const done = pending;
		pending = undefined;
		idle = setTimeout(stop, idleMs);
		idle.unref();
		done?.(answer);
	}

	function stop(): void {
		if (pending !== undefined) return;
		const ending = worker;
		worker = undefined;
		void ending?.terminate();
	}

	function lost(from: Worker, reason: string): void {
		if (worker !== from) return;
		worker = undefined;
		if (pending !== undefined) finish({ kind: "failed", error: reason, damaged: false });
	}

	return {
		start(job, done) {
			if (pending !== undefined) throw new Error("a merge is under way");
			if (idle !== undefined) clearTimeout(idle);
			if (worker === undefined) {
				const started = new Worker(module, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } });
				worker = started;
				started.on("message", finish);
				started.on("error", (error) => lost(started, String(error)));
				started.on("exit", (code) => lost(started, `the merge thread ended with code ${code}`));
			}
			pending = done;
			worker.postMessage(job);
		},
		close() {
			pending = undefined;
			if (idle !== undefined) clearTimeout(idle);
			stop();
		},
	};
}
