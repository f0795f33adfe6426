/**
 * `/api/v1/status`, and the two probes. The server passes its status through `statusAnswer`, which drops every key that is not
 * named here: what is not in this file cannot leak.
 */
import * as z from "zod";
import { epochMs } from "./common.ts";

const counts = z.record(z.string(), z.number());

const signalCounters = z
	.object({
		acceptedRecords: z.number().meta({ description: "Records durably stored since start." }),
		acceptedBatches: z.number(),
		acceptedBytes: z.number().meta({ description: "Payload bytes after decompression." }),
		duplicateBatches: z.number().meta({ description: "Batches sent again: acknowledged, not stored twice." }),
		droppedRecords: counts.meta({ description: "Records left out of stored batches, by reason." }),
		refusedBatches: counts.meta({ description: "Batches refused whole, by error code." }),
	})
	.meta({ id: "SignalCounters" });

const windowStatus = z
	.object({
		name: z.string(),
		fromMs: epochMs,
		toMs: epochMs,
		bytes: z.number(),
		spans: z.number(),
		logs: z.number(),
		metricPoints: z.number(),
		state: z.enum(["open", "sealed", "damaged"]),
		problem: z.string().optional().meta({ description: "Damaged windows: what was found." }),
	})
	.meta({ id: "WindowStatus" });

const topologyStatus = z
	.object({
		lagMs: z.number().meta({ description: "How long the oldest group has waited that is not in the graph yet." }),
		flushedMs: epochMs.optional().meta({ description: "Of the last flush; absent before the first." }),
		spansHeld: z.number().meta({ description: "Spans at hand, in case more of their traces comes." }),
		series: z.number(),
		bytesOnDisk: z.number(),
		losses: counts.meta({ description: "Left out of the graph, or said before its time, since start, by reason." }),
		failedFlushes: z.number().meta({ description: "Flushes that found no room and were tried again." }),
		restarts: z.number().meta({ description: "Times that the thread was lost and started again." }),
	})
	.meta({ id: "TopologyStatus" });

const scrapeTarget = z
	.object({
		target: z.string().meta({ description: "Its URL without a query." }),
		intervalMs: z.number(),
		up: z.boolean().meta({ description: "Whether the last scrape was read and stored." }),
		scrapes: z.number(),
		failures: z.number(),
		samples: z.number().meta({ description: "Of the last scrape." }),
		invalidLines: z.number().meta({ description: "Lines since start that could not be read." }),
		durationMs: z.number().meta({ description: "Of the last scrape, storing included." }),
		lastScrapeMs: epochMs.optional(),
		error: z.string().optional().meta({ description: "Why the last scrape gave nothing." }),
	})
	.meta({ id: "ScrapeTargetStatus" });

export const statusAnswer = z
	.object({
		version: z.string(),
		startedAtMs: epochMs,
		uptimeSeconds: z.number(),
		ready: z.boolean(),
		addresses: z
			.object({
				http: z.string(),
				otlpGrpc: z.string().optional(),
				otlpHttp: z.string().optional(),
				zipkin: z.string().optional(),
			})
			.meta({ description: "Where it listens." }),
		ingest: z.object({
			traces: signalCounters,
			logs: signalCounters,
			metrics: signalCounters,
			recordsPerSecond: z
				.object({ traces: z.number(), logs: z.number(), metrics: z.number() })
				.meta({ description: "Over the last 10 s." }),
			invalidUtf8Strings: z.number().meta({ description: "Strings in which invalid UTF-8 became U+FFFD." }),
		}),
		pipeline: z.object({
			queuedBytes: z.number().meta({ description: "Held between receipt and commit." }),
			maxQueuedBytes: z.number().meta({ description: "Beyond it, receivers answer retryable." }),
			queuedBatches: z.number(),
			commits: z.number(),
			ackMs: z
				.object({ p50: z.number(), p99: z.number(), max: z.number() })
				.meta({ description: "From receipt to acknowledgement, last 1,000 batches." }),
		}),
		store: z.object({
			engine: z.string(),
			directory: z.string(),
			bytesOnDisk: z.number(),
			walBytes: z.number(),
			freshBlocks: z.number().meta({ description: "Blocks that wait to be merged." }),
			spans: z.number(),
			logs: z.number(),
			metricPoints: z.number(),
			retention: z.object({ maxAgeMs: z.number(), maxBytes: z.number() }),
			windows: z.array(windowStatus).readonly(),
		}),
		topology: topologyStatus.meta({ description: "The stage that turns what is committed into edges." }),
		controlPlane: z.boolean().meta({ description: "Whether a control plane runs in this process: `/api/v1/mesh` answers." }),
		scrape: z.array(scrapeTarget).readonly().meta({ description: "Targets that are scraped." }),
		process: z.object({ rssBytes: z.number(), heapUsedBytes: z.number(), cpuSeconds: z.number(), nodeVersion: z.string() }),
	})
	.meta({ id: "StatusAnswer", description: "What the running server says about itself." });
export type StatusAnswer = z.infer<typeof statusAnswer>;

export const probeAnswer = z.object({ status: z.literal("ok") }).meta({ id: "ProbeAnswer", examples: [{ status: "ok" }] });
export type ProbeAnswer = z.infer<typeof probeAnswer>;
