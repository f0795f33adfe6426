/** Entry of a reader thread: one query at a time, answered by the engine's reader. */
import { parentPort, workerData } from "node:worker_threads";
import { MeshscopeError } from "../../model/errors.ts";
import type { TraceResult } from "../store.ts";
import type { ReaderAnswer, ReaderRequest, ReaderWorkerData } from "./reader-pool.ts";
import { openSqliteReader } from "./reader.ts";

const port = parentPort!;
const settings = workerData as ReaderWorkerData;
let current = 0;
const reader = openSqliteReader({
	...settings,
	now: Date.now,
	isCancelled: () => Atomics.load(settings.cancelled, 0) === current,
});

port.on("message", async (request: ReaderRequest) => {
	let answer: ReaderAnswer;
	const transfer: ArrayBuffer[] = [];
	current = request.id;
	try {
		const method = reader[request.method] as (...args: unknown[]) => Promise<unknown>;
		const value = await method.apply(reader, [...request.args]);
		// Moved, not copied: a trace may be the largest thing in the process.
		const { body = [], hops } = isTraceResult(value) ? (value.trace ?? {}) : {};
		for (const { buffer } of [...body, ...(hops?.json ?? [])]) if (buffer instanceof ArrayBuffer) transfer.push(buffer);
		answer = { id: request.id, value };
	} catch (error) {
		answer = { id: request.id, error: errorOf(error) };
	}
	port.postMessage(answer, transfer);
});

function isTraceResult(value: unknown): value is TraceResult {
	return typeof value === "object" && value !== null && "trace" in value;
}

function errorOf(error: unknown): NonNullable<ReaderAnswer["error"]> {
	if (error instanceof MeshscopeError) return { code: error.code, message: error.message, details: error.details };
	return { code: undefined, message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
