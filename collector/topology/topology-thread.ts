/** The topology thread as the writer starts it. */
import { Worker } from "node:worker_threads";
import type { TopologyThread } from "./feed.ts";
import type { FromTopology, TopologyWorkerData } from "./messages.ts";

/** Rows come in typed arrays; what hops leave behind is short-lived. */
const YOUNG_GENERATION_MB = 8;

export function startTopologyThread(
	module: URL,
	workerData: TopologyWorkerData,
	receive: (message: FromTopology) => void,
	lost: (reason: string) => void,
): TopologyThread {
	const worker = new Worker(module, { workerData, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB } });
	let isEnding = false;
	worker.on("message", receive);
	worker.on("error", (error) => {
		if (!isEnding) lost(error instanceof Error ? (error.stack ?? error.message) : String(error));
		isEnding = true;
	});
	worker.on("exit", (code) => {
		if (!isEnding) lost(`the thread ended with code ${code}`);
		isEnding = true;
	});
	return {
		post: (message, transfer) => worker.postMessage(message, transfer),
		terminate() {
			isEnding = true;
			void worker.terminate();
		},
	};
}
