/** The store of a running server: the writer thread behind the pipeline, and the reader threads. The one place where serve names an engine. */
import { mkdirSync } from "node:fs";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import type { IngestSink } from "../../collector/ingest.ts";
import { startPipeline } from "../../collector/pipeline/pipeline.ts";
import type { Pipeline } from "../../collector/pipeline/pipeline.ts";
import type { ServerStatus } from "../../model/status.ts";
import { openReaderPool } from "../../store/sqlite/reader-pool.ts";
import type { StoreReader } from "../../store/store.ts";
import { CommandError, messageOf } from "../context.ts";
import type { Settings } from "../settings.ts";
import type { Log } from "./log.ts";

export interface RunningStore {
	readonly sink: IngestSink;
	readonly reader: StoreReader;
	/** Resolves, never rejects, when the writer can no longer go on. */
	readonly failed: Promise<Error>;
	status(): Promise<Pick<ServerStatus, "ingest" | "pipeline" | "store" | "topology">>;
	/** Commits what was submitted and releases every file. */
	close(): Promise<void>;
}

/** Decompressed parts of blocks that each reader thread keeps. */
const READER_CACHE_BYTES = 32 * 2 ** 20;
/** Below the API's own limit, so that a search ends with what it found rather than with nothing. */
const SEARCH_BUDGET_MS = 10_000;
/** A thread costs some 10 MB; queries of a person at work come closer together than this. */
const READER_IDLE_MS = 30_000;

/** @throws CommandError when the directory cannot be used: locked, of a newer version, not writable */
export async function openRunningStore(
	settings: Settings,
	env: Readonly<Record<string, string | undefined>>,
	log: Log,
): Promise<RunningStore> {
	const note = (level: "info" | "warn" | "error", message: string): void => log[level]({}, message);
	const pipeline = await openPipeline(settings, env, note);
	const reader = openReaderPool({
		directory: settings.dataDirectory,
		threads: settings.readers,
		cacheBytes: READER_CACHE_BYTES,
		searchBudgetMs: SEARCH_BUDGET_MS,
		idleMs: READER_IDLE_MS,
		log: note,
	});
	return {
		sink: pipeline.sink,
		reader,
		failed: pipeline.failed,
		async status() {
			const { ingest, pipeline: queue, store, topology } = await pipeline.status();
			const { capabilities: _, topologySkipped: _skipped, ...facts } = store;
			return {
				ingest,
				pipeline: queue,
				store: { engine: "sqlite", directory: settings.dataDirectory, ...facts },
				topology,
			};
		},
		async close() {
			await Promise.all([pipeline.close(), reader.close()]);
		},
	};
}

async function openPipeline(
	settings: Settings,
	env: Readonly<Record<string, string | undefined>>,
	log: (level: "info" | "warn" | "error", message: string) => void,
): Promise<Pipeline> {
	try {
		mkdirSync(settings.dataDirectory, { recursive: true });
		return await startPipeline({
			directory: settings.dataDirectory,
			windowMs: settings.windowMs,
			maxAgeMs: settings.retentionMs,
			maxBytes: settings.maxDiskBytes,
			limits: { ...DEFAULT_LIMITS, maxAttributes: settings.maxAttributes, maxRecordBytes: settings.maxRecordBytes },
			failpoint: env["MESHSCOPE_FAILPOINT"],
			maxQueuedBytes: settings.queueBytes,
			writerModule: new URL("../../collector/pipeline/writer-worker.ts", import.meta.url),
			now: Date.now,
			log,
		});
	} catch (error) {
		throw new CommandError(`the data directory ${settings.dataDirectory} cannot be opened: ${messageOf(error)}`);
	}
}
