/**
 * Reader threads: queries never run on the main thread, so they cannot hold up ingest. Threads start with the first query and end
 * when they have been idle, so that a quiet server stays small.
 */
import { Worker } from "node:worker_threads";
import { type ErrorCode, MeshscopeError } from "../../model/errors.ts";
import type {
	EdgeQuery,
	EdgeResult,
	GraphQuery,
	GraphResult,
	LogQuery,
	LogSearchResult,
	MetricPointQuery,
	MetricPointResult,
	MetricSeries,
	MetricSeriesQuery,
	MtlsResult,
	OperationInfo,
	ServiceInfo,
	ServiceTrafficQuery,
	ServiceTrafficResult,
	StoreReader,
	TraceQuery,
	TraceResult,
	TraceSearchResult,
} from "../store.ts";
import type { TraceId } from "../../model/ids.ts";

export interface ReaderWorkerData {
	readonly directory: string;
	readonly cacheBytes: number;
	readonly searchBudgetMs: number;
}

export interface ReaderPoolOptions extends ReaderWorkerData {
	readonly threads: number;
	/** How long an idle thread stays. */
	readonly idleMs: number;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

type Method = Exclude<keyof StoreReader, "close">;

export interface ReaderRequest {
	readonly id: number;
	readonly method: Method;
	readonly args: readonly unknown[];
}

export interface ReaderAnswer {
	readonly id: number;
	readonly value?: unknown;
	readonly error?: { readonly code: ErrorCode; readonly message: string };
}

interface Job {
	readonly request: ReaderRequest;
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

interface Thread {
	readonly worker: Worker;
	job: Job | undefined;
	idle: NodeJS.Timeout | undefined;
}

export function openReaderPool(options: ReaderPoolOptions): StoreReader {
	const pool = new ReaderPool(options);
	return {
		trace: (id: TraceId, format: "protobuf" | "json") => pool.run<TraceResult | undefined>("trace", [id, format]),
		searchTraces: (query: TraceQuery) => pool.run<TraceSearchResult>("searchTraces", [query]),
		services: () => pool.run<readonly ServiceInfo[]>("services", []),
		operations: (service: string) => pool.run<readonly OperationInfo[]>("operations", [service]),
		searchLogs: (query: LogQuery) => pool.run<LogSearchResult>("searchLogs", [query]),
		metricSeries: (query: MetricSeriesQuery) => pool.run<readonly MetricSeries[]>("metricSeries", [query]),
		metricPoints: (query: MetricPointQuery) => pool.run<MetricPointResult>("metricPoints", [query]),
		graph: (query: GraphQuery) => pool.run<GraphResult>("graph", [query]),
		edge: (query: EdgeQuery) => pool.run<EdgeResult | undefined>("edge", [query]),
		mtls: (query: GraphQuery) => pool.run<MtlsResult>("mtls", [query]),
		serviceTraffic: (query: ServiceTrafficQuery) => pool.run<ServiceTrafficResult | undefined>("serviceTraffic", [query]),
		close: () => pool.close(),
	};
}

class ReaderPool {
	private readonly options: ReaderPoolOptions;
	private readonly threads: Thread[] = [];
	private readonly queue: Job[] = [];
	private nextId = 1;
	private closed = false;

	constructor(options: ReaderPoolOptions) {
		this.options = options;
	}

	run<T>(method: Method, args: readonly unknown[]): Promise<T> {
		if (this.closed) return Promise.reject(new MeshscopeError("shutting_down", "the server is shutting down"));
		return new Promise<T>((resolve, reject) => {
			const request = { id: this.nextId++, method, args };
			this.queue.push({ request, resolve: resolve as (value: unknown) => void, reject });
			this.dispatch();
		});
	}

	async close(): Promise<void> {
		this.closed = true;
		for (const job of this.queue.splice(0)) job.reject(new MeshscopeError("shutting_down", "the server is shutting down"));
		await Promise.all(this.threads.splice(0).map((thread) => thread.worker.terminate()));
	}

	private dispatch(): void {
		while (this.queue.length > 0) {
			const thread = this.threads.find((candidate) => candidate.job === undefined) ?? this.start();
			if (thread === undefined) return;
			if (thread.idle !== undefined) clearTimeout(thread.idle);
			thread.idle = undefined;
			thread.job = this.queue.shift()!;
			thread.worker.postMessage(thread.job.request);
		}
	}

	private start(): Thread | undefined {
		if (this.threads.length >= this.options.threads) return undefined;
		const { directory, cacheBytes, searchBudgetMs } = this.options;
		const workerData: ReaderWorkerData = { directory, cacheBytes, searchBudgetMs };
		const thread: Thread = {
			worker: new Worker(new URL("reader-worker.ts", import.meta.url), { workerData }),
			job: undefined,
			idle: undefined,
		};
		this.threads.push(thread);
		thread.worker.on("message", (answer: ReaderAnswer) => this.finish(thread, answer));
		thread.worker.on("error", (error) => this.lose(thread, String(error)));
		thread.worker.on("exit", (code) => this.lose(thread, `a reader thread ended with code ${code}`));
		return thread;
	}

	private finish(thread: Thread, answer: ReaderAnswer): void {
		const { job } = thread;
		thread.job = undefined;
		if (job !== undefined) {
			if (answer.error === undefined) job.resolve(answer.value);
			else {
				if (answer.error.code === "internal") this.options.log("error", `${job.request.method}: ${answer.error.message}`);
				job.reject(new MeshscopeError(answer.error.code, answer.error.message));
			}
		}
		this.dispatch();
		if (thread.job === undefined) {
			thread.idle = setTimeout(() => this.retire(thread), this.options.idleMs);
			thread.idle.unref();
		}
	}

	private retire(thread: Thread): void {
		if (thread.job !== undefined) return;
		this.forget(thread);
		void thread.worker.terminate();
	}

	/** A thread that died costs its query, and is started anew for the next. */
	private lose(thread: Thread, reason: string): void {
		if (!this.forget(thread)) return;
		if (!this.closed) this.options.log("error", reason);
		thread.job?.reject(new MeshscopeError("internal", "the query's thread ended"));
		this.dispatch();
	}

	private forget(thread: Thread): boolean {
		const at = this.threads.indexOf(thread);
		if (at >= 0) this.threads.splice(at, 1);
		return at >= 0;
	}
}
