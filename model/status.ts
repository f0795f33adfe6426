/** What the running server says about itself: `/api/v1/status`, `/metrics` and the status page show the same numbers. */
import type { DropReason, ErrorCode, TopologyLoss } from "./errors.ts";

export interface SignalCounters {
	/** Records durably stored since start. */
	readonly acceptedRecords: number;
	readonly acceptedBatches: number;
	/** Payload bytes after decompression. */
	readonly acceptedBytes: number;
	/** Batches recognised as sent before: acknowledged again, not stored again. */
	readonly duplicateBatches: number;
	/** Records left out of batches that were stored, by reason. */
	readonly droppedRecords: Readonly<Partial<Record<DropReason, number>>>;
	/** Batches refused whole, by error code. */
	readonly refusedBatches: Readonly<Partial<Record<ErrorCode, number>>>;
}

/** One target of the scraper. */
export interface ScrapeTargetStatus {
	/** Its URL without a query. */
	readonly target: string;
	readonly intervalMs: number;
	/** Whether the last scrape was read and stored. */
	readonly up: boolean;
	readonly scrapes: number;
	readonly failures: number;
	/** Of the last scrape. */
	readonly samples: number;
	/** Lines since start that could not be read. */
	readonly invalidLines: number;
	/** Of the last scrape, storing included. */
	readonly durationMs: number;
	/** Epoch ms; absent before the first. */
	readonly lastScrapeMs?: number;
	/** Why the last scrape gave nothing. */
	readonly error?: string;
}

/** The stage that turns what is committed into edges, a moment behind it. */
export interface TopologyStatus {
	/** How long the oldest group has waited that is not in the graph yet; 0 where none waits. */
	readonly lagMs: number;
	/** Epoch ms of the last flush; absent before the first. */
	readonly flushedMs?: number;
	/** Spans at hand, in case more of their traces comes. */
	readonly spansHeld: number;
	readonly series: number;
	readonly bytesOnDisk: number;
	/** Since start. */
	readonly losses: Readonly<Record<TopologyLoss, number>>;
	/** Flushes that found no room on the disk and were tried again. */
	readonly failedFlushes: number;
	/** Times that the thread was lost and started again. */
	readonly restarts: number;
}

export interface ServerStatus {
	readonly version: string;
	readonly startedAtMs: number;
	readonly uptimeSeconds: number;
	readonly ready: boolean;
	readonly addresses: {
		readonly http: string;
		readonly otlpGrpc?: string;
		readonly otlpHttp?: string;
		readonly zipkin?: string;
	};
	readonly ingest: {
		readonly traces: SignalCounters;
		readonly logs: SignalCounters;
		readonly metrics: SignalCounters;
		/** Over the last 10 s. */
		readonly recordsPerSecond: { readonly traces: number; readonly logs: number; readonly metrics: number };
		readonly invalidUtf8Strings: number;
	};
	readonly pipeline: {
		/** Bytes held between receipt and commit, and their bound. */
		readonly queuedBytes: number;
		readonly maxQueuedBytes: number;
		readonly queuedBatches: number;
		readonly commits: number;
		/** From receipt to acknowledgement over the last 1,000 batches. */
		readonly ackMs: { readonly p50: number; readonly p99: number; readonly max: number };
	};
	readonly store: {
		readonly engine: string;
		readonly directory: string;
		readonly bytesOnDisk: number;
		readonly walBytes: number;
		readonly freshBlocks: number;
		readonly spans: number;
		readonly logs: number;
		readonly metricPoints: number;
		readonly retention: { readonly maxAgeMs: number; readonly maxBytes: number };
		readonly windows: readonly {
			readonly name: string;
			readonly fromMs: number;
			readonly toMs: number;
			readonly bytes: number;
			readonly spans: number;
			readonly logs: number;
			readonly metricPoints: number;
			readonly state: "open" | "sealed" | "damaged";
			readonly problem?: string;
		}[];
	};
	readonly topology: TopologyStatus;
	/** Empty where nothing is scraped. */
	readonly scrape: readonly ScrapeTargetStatus[];
	readonly process: {
		readonly rssBytes: number;
		readonly heapUsedBytes: number;
		readonly cpuSeconds: number;
		readonly nodeVersion: string;
	};
}
