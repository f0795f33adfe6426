/**
 * The main thread's half of the write path: hands payloads to the writer thread, bounds what is under way, and turns the writer's
 * results into answers. Nothing here looks into a payload.
 */
import { Worker } from "node:worker_threads";
import { assertUnreachable, type ErrorCode, MeshscopeError } from "../../model/errors.ts";
import type { ServerStatus, TopologyStatus } from "../../model/status.ts";
import type { BackupReport, Signal, StoreStats } from "../../store/store.ts";
import type { TopologyStats } from "../topology/messages.ts";
import type { IncomingBatch, IngestOutcome, IngestSink } from "../ingest.ts";
import { IngestCounters } from "./counters.ts";
import type { BatchResult, FromWriter, ToWriter, WriterSettings } from "./messages.ts";
import { SpareBuffers } from "./spare-buffers.ts";

export interface PipelineOptions extends WriterSettings {
	/** Payload bytes between receipt and commit; beyond it receivers refuse, retryably. */
	readonly maxQueuedBytes: number;
	/** Module that runs in the writer thread and names an engine. */
	readonly writerModule: URL;
	readonly now: () => number;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

export interface Pipeline {
	readonly sink: IngestSink;
	/** Resolves, never rejects, when the writer can no longer go on. */
	readonly failed: Promise<Error>;
	status(): Promise<{
		readonly ingest: ServerStatus["ingest"];
		readonly pipeline: ServerStatus["pipeline"];
		readonly store: StoreStats;
		readonly topology: TopologyStatus;
	}>;
	backup(directory: string): Promise<BackupReport>;
	/** Commits what was submitted, then releases the store. */
	close(): Promise<void>;
}

/** How long a client should wait before it sends again what was refused. */
const RETRY_AFTER_MS = 1_000;

/** Some ten payloads of the usual size: as many as are under way at full load. */
const SPARE_BYTES = 24 * 1024 * 1024;
/** The writer makes few short-lived objects; the default of three times 16 MB would only be held. */
const YOUNG_GENERATION_MB = 12;
const SPARES_IDLE_MS = 10_000;

interface Waiting {
	readonly signal: Signal;
	readonly bytes: number;
	readonly receivedMs: number;
	readonly resolve: (outcome: IngestOutcome) => void;
}

/** @throws Error when the store cannot be opened: the message says why */
export async function startPipeline(options: PipelineOptions): Promise<Pipeline> {
	const { writerModule, now, log, maxQueuedBytes, ...settings } = options;
	const worker = new Worker(writerModule, {
		workerData: settings,
		resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
	});
	const pipeline = new WriterClient(worker, maxQueuedBytes, now, log);
	await pipeline.opened;
	return pipeline;
}

class WriterClient implements Pipeline {
	readonly sink: IngestSink;
	readonly opened: Promise<void>;
	readonly failed: Promise<Error>;
	private readonly worker: Worker;
	private readonly maxQueuedBytes: number;
	private readonly now: () => number;
	private readonly log: PipelineOptions["log"];
	private readonly counters = new IngestCounters();
	private readonly spares = new SpareBuffers(SPARE_BYTES);
	/** A server that has been quiet gives its spares back. */
	private readonly sparesIdle = setTimeout(() => this.spares.clear(), SPARES_IDLE_MS).unref();
	private readonly waiting = new Map<number, Waiting>();
	private readonly asked = new Map<number, (message: FromWriter) => void>();
	private nextId = 1;
	/** Payloads that were submitted and not answered, and room promised to receivers that are still reading. */
	private queuedBytes = 0;
	private reservedBytes = 0;
	private commits = 0;
	private closing = false;
	private onFailed: (error: Error) => void = () => {};
	private onOpened: (error: Error | undefined) => void = () => {};
	private onClosed: () => void = () => {};

	constructor(worker: Worker, maxQueuedBytes: number, now: () => number, log: PipelineOptions["log"]) {
		this.worker = worker;
		this.maxQueuedBytes = maxQueuedBytes;
		this.now = now;
		this.log = log;
		this.failed = new Promise((resolve) => {
			this.onFailed = resolve;
		});
		this.opened = new Promise((resolve, reject) => {
			this.onOpened = (error) => (error === undefined ? resolve() : reject(error));
		});
		worker.on("message", (message: FromWriter) => this.receive(message));
		worker.on("error", (error) => this.end(error instanceof Error ? error : new Error(String(error))));
		worker.on("exit", (code) => this.end(new Error(`the writer thread ended with code ${code}`)));
		this.sink = {
			submit: (batch) => this.submit(batch),
			reserve: (bytes) => this.reserve(bytes),
			release: (bytes) => {
				this.reservedBytes -= bytes;
			},
			spare: (bytes) => this.spares.take(bytes),
			countRefused: (signal, code) => this.counters.refused(signal, code),
		};
	}

	async status(): ReturnType<Pipeline["status"]> {
		const answer = await this.ask((id) => ({ kind: "stats", id }));
		if (answer.kind !== "stats") throw new MeshscopeError("shutting_down", "the store is closed");
		this.commits = answer.commits;
		return {
			ingest: this.counters.ingest(this.now()),
			pipeline: {
				queuedBytes: this.queuedBytes,
				maxQueuedBytes: this.maxQueuedBytes,
				queuedBatches: this.waiting.size,
				commits: this.commits,
				ackMs: this.counters.ack(),
			},
			store: answer.stats,
			topology: topologyStatus(answer.topology, answer.stats.topologySkipped, this.now()),
		};
	}

	async backup(directory: string): Promise<BackupReport> {
		const answer = await this.ask((id) => ({ kind: "backup", id, directory }));
		if (answer.kind !== "backup") throw new MeshscopeError("shutting_down", "the store is closed");
		if (answer.error !== undefined) throw new Error(answer.error);
		return { files: answer.files, bytes: answer.bytes };
	}

	async close(): Promise<void> {
		if (this.closing) return;
		this.closing = true;
		const closed = new Promise<void>((resolve) => {
			this.onClosed = resolve;
		});
		clearTimeout(this.sparesIdle);
		this.send({ kind: "close" });
		await closed;
		await this.worker.terminate();
	}

	private submit(batch: IncomingBatch): Promise<IngestOutcome> {
		const bytes = batch.bytes.length;
		if (this.closing) return Promise.resolve(this.refusal(batch.signal, "shutting_down", "the server is shutting down"));
		// A payload as large as the bound still passes when nothing else is under way.
		if (this.queuedBytes > 0 && this.queuedBytes + bytes > this.maxQueuedBytes)
			return Promise.resolve(this.refusal(batch.signal, "overloaded", "the write queue is full"));
		return new Promise((resolve) => {
			const id = this.nextId++;
			this.waiting.set(id, { signal: batch.signal, bytes, receivedMs: performance.now(), resolve });
			this.queuedBytes += bytes;
			const { signal, encoding } = batch;
			this.send({ kind: "batch", id, signal, encoding, bytes: batch.bytes }, [batch.bytes.buffer]);
		});
	}

	private reserve(bytes: number): boolean {
		const held = this.queuedBytes + this.reservedBytes;
		if (this.closing || (held > 0 && held + bytes > this.maxQueuedBytes)) return false;
		this.reservedBytes += bytes;
		return true;
	}

	private refusal(signal: Signal, code: ErrorCode, message: string): IngestOutcome {
		this.counters.refused(signal, code);
		return { kind: "refused", code, message, retryAfterMs: RETRY_AFTER_MS };
	}

	private receive(message: FromWriter): void {
		switch (message.kind) {
			case "ready":
				this.onOpened(undefined);
				break;
			case "failed":
				this.onOpened(new Error(message.message));
				break;
			case "results":
				for (const result of message.results) this.settle(result);
				break;
			case "spares":
				this.spares.give(message.buffers);
				this.sparesIdle.refresh();
				break;
			case "stats":
			case "backup":
				this.asked.get(message.id)?.(message);
				this.asked.delete(message.id);
				break;
			case "log":
				this.log(message.level, message.message);
				break;
			case "closed":
				this.onClosed();
				break;
			default:
				assertUnreachable(message);
		}
	}

	private settle(result: BatchResult): void {
		const waiting = this.waiting.get(result.id);
		if (waiting === undefined) return;
		this.waiting.delete(result.id);
		this.queuedBytes -= waiting.bytes;
		const { counters } = this;
		const { signal } = waiting;
		if (result.refused !== undefined) {
			counters.refused(signal, result.refused.code);
			waiting.resolve({ kind: "refused", ...result.refused });
			return;
		}
		if (result.duplicate) counters.duplicate(signal);
		else {
			counters.accepted(signal, result.records, waiting.bytes, this.now());
			counters.dropped(signal, result.dropped);
			counters.invalidUtf8Strings += result.invalidUtf8Strings;
		}
		counters.acknowledged(performance.now() - waiting.receivedMs);
		waiting.resolve({ kind: "accepted", rejected: result.rejected, errorMessage: result.errorMessage });
	}

	private ask(message: (id: number) => ToWriter): Promise<FromWriter> {
		if (this.closing) return Promise.resolve({ kind: "closed" });
		return new Promise((resolve) => {
			const id = this.nextId++;
			this.asked.set(id, resolve);
			this.send(message(id));
		});
	}

	private send(message: ToWriter, transfer: ArrayBuffer[] = []): void {
		this.worker.postMessage(message, transfer);
	}

	/** The writer is gone: nobody must wait for it, and what was not answered was not kept. */
	private end(error: Error): void {
		this.onOpened(error);
		this.onClosed();
		if (!this.closing) this.onFailed(error);
		this.closing = true;
		for (const waiting of this.waiting.values())
			waiting.resolve({
				kind: "refused",
				code: "overloaded",
				message: "the store has failed",
				retryAfterMs: RETRY_AFTER_MS,
			});
		this.waiting.clear();
		for (const answer of this.asked.values()) answer({ kind: "closed" });
		this.asked.clear();
	}
}

function topologyStatus(stats: TopologyStats, skippedGroups: number, nowMs: number): TopologyStatus {
	const { stage, pendingSinceMs, restarts } = stats;
	return {
		lagMs: pendingSinceMs === undefined ? 0 : Math.max(0, nowMs - pendingSinceMs),
		...(stage?.flushedMs === undefined ? {} : { flushedMs: stage.flushedMs }),
		spansHeld: stage?.rows ?? 0,
		series: stage?.series ?? 0,
		bytesOnDisk: stage?.bytesOnDisk ?? 0,
		losses: {
			implausible_time: stage?.drops.implausibleTime ?? 0,
			trace_too_large: stage?.drops.traceTooLarge ?? 0,
			stated_early: stage?.drops.statedEarly ?? 0,
			not_rejoined: stage?.drops.notRejoined ?? 0,
			overflowed_names: stage?.drops.overflowed ?? 0,
			skipped_groups: skippedGroups,
		},
		failedFlushes: stage?.failedFlushes ?? 0,
		restarts,
	};
}
