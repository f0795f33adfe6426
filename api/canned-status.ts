/** A server's status with a number of its own in every field, so that no two can be mixed up unseen. */
import type { ServerStatus, SignalCounters } from "../model/status.ts";
import { CANNED_NOW_MS } from "./canned-answers.ts";

const counters: SignalCounters = {
	acceptedRecords: 1_000,
	acceptedBatches: 10,
	acceptedBytes: 749_000,
	duplicateBatches: 1,
	droppedRecords: { invalid_trace_id: 3 },
	refusedBatches: { overloaded: 2, internal: 1 },
};

export const cannedStatus: ServerStatus = {
	version: "0.1.0",
	startedAtMs: CANNED_NOW_MS - 60_000,
	uptimeSeconds: 60,
	ready: true,
	addresses: { http: "unknown" },
	ingest: {
		traces: counters,
		logs: counters,
		metrics: counters,
		recordsPerSecond: { traces: 100, logs: 0, metrics: 0.5 },
		invalidUtf8Strings: 4,
	},
	pipeline: {
		queuedBytes: 5,
		maxQueuedBytes: 67_108_864,
		queuedBatches: 6,
		commits: 7,
		ackMs: { p50: 21, p99: 57, max: 80 },
	},
	store: {
		engine: "sqlite",
		directory: "/var/lib/meshscope",
		bytesOnDisk: 8,
		walBytes: 9,
		freshBlocks: 11,
		spans: 12,
		logs: 13,
		metricPoints: 14,
		retention: { maxAgeMs: 604_800_000, maxBytes: 10_000_000_000 },
		windows: [
			{
				name: "2026-01-01T11",
				fromMs: CANNED_NOW_MS - 3_600_000,
				toMs: CANNED_NOW_MS,
				bytes: 8,
				spans: 12,
				logs: 13,
				metricPoints: 14,
				state: "damaged",
				problem: "block 3: checksum differs",
			},
		],
	},
	topology: {
		lagMs: 1_500,
		flushedMs: CANNED_NOW_MS,
		spansHeld: 15,
		series: 16,
		bytesOnDisk: 17,
		losses: {
			implausible_time: 18,
			trace_too_large: 0,
			stated_early: 0,
			not_rejoined: 0,
			overflowed_names: 19,
			skipped_groups: 20,
		},
		failedFlushes: 21,
		restarts: 22,
	},
	scrape: [],
	process: { rssBytes: 100_000_000, heapUsedBytes: 20_000_000, cpuSeconds: 1.5, nodeVersion: "v24.0.0" },
};
