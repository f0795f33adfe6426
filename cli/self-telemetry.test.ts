import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { IncomingBatch, IngestSink } from "../collector/ingest.ts";
import { startReceivers } from "../collector/receivers/receivers.ts";
import type { ServerStatus, SignalCounters } from "../model/status.ts";
import { startSelfTelemetry } from "./self-telemetry.ts";

const NONE: SignalCounters = {
	acceptedRecords: 1,
	acceptedBatches: 1,
	acceptedBytes: 1,
	duplicateBatches: 0,
	droppedRecords: { too_deep: 2 },
	refusedBatches: {},
};
const STATUS: ServerStatus = {
	version: "0",
	startedAtMs: 0,
	uptimeSeconds: 0,
	ready: true,
	addresses: { http: "127.0.0.1:0" },
	ingest: {
		traces: NONE,
		logs: NONE,
		metrics: NONE,
		recordsPerSecond: { traces: 0, logs: 0, metrics: 0 },
		invalidUtf8Strings: 0,
	},
	pipeline: { queuedBytes: 0, maxQueuedBytes: 0, queuedBatches: 0, commits: 7, ackMs: { p50: 1, p99: 2, max: 3 } },
	store: {
		engine: "none",
		directory: "",
		bytesOnDisk: 0,
		walBytes: 0,
		freshBlocks: 0,
		spans: 0,
		logs: 0,
		metricPoints: 0,
		retention: { maxAgeMs: 0, maxBytes: 0 },
		windows: [],
	},
	topology: {
		lagMs: 0,
		spansHeld: 0,
		series: 0,
		bytesOnDisk: 0,
		losses: {
			implausible_time: 0,
			trace_too_large: 0,
			stated_early: 0,
			not_rejoined: 0,
			overflowed_names: 0,
			skipped_groups: 0,
		},
		failedFlushes: 0,
		restarts: 0,
	},
	scrape: [],
	process: { rssBytes: 0, heapUsedBytes: 0, cpuSeconds: 0, nodeVersion: "" },
};

// One test: the SDK registers itself once a process.
test("own telemetry reaches the own receiver, marked, and causes no further telemetry", async () => {
	const batches: IncomingBatch[] = [];
	const recorder: IngestSink = {
		submit: async (batch) => {
			batches.push(batch);
			return { kind: "accepted", rejected: 0, errorMessage: "" };
		},
		reserve: () => true,
		release: () => {},
		countRefused: () => {},
	};
	// As in serve: the receivers feed the traced sink, so a loop would show here.
	let traced: IngestSink = recorder;
	const through: IngestSink = { ...recorder, submit: (batch) => traced.submit(batch) };
	const receivers = await startReceivers({ otlpGrpc: { host: "127.0.0.1", port: 0 } }, through, () => {});
	const complaints: unknown[] = [];
	const telemetry = startSelfTelemetry({
		endpoint: `http://${receivers.addresses.otlpGrpc}`,
		version: "1.2.3",
		env: { OTEL_SERVICE_NAME: "mesh-self" },
		status: () => STATUS,
		log: { warn: (fields) => complaints.push(fields) },
	});
	traced = telemetry.traceSink(recorder);
	telemetry.recordStart([
		{ name: "open store", startMs: 1_000, endMs: 1_010 },
		{ name: "bind receivers", startMs: 1_010, endMs: 1_012 },
	]);
	for (let i = 0; i < 150; i++) {
		await traced.submit({ signal: "traces", encoding: "otlp-protobuf", bytes: new Uint8Array(4), self: false });
		await traced.submit({ signal: "traces", encoding: "otlp-protobuf", bytes: new Uint8Array(8), self: true });
	}
	const api = createServer((_, response) => response.end("ok"));
	await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
	const { port } = api.address() as AddressInfo;
	telemetry.observeApi(port);
	await fetch(`http://127.0.0.1:${port}/x?secret=1`, {
		headers: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
	});
	batches.length = 0;
	await telemetry.shutdown();
	await receivers.close(1_000);
	await new Promise((resolve) => api.close(resolve));

	assert.deepEqual(complaints, []);
	assert.ok(batches.length >= 2 && batches.length <= 4, `${batches.length} batches`);
	assert.ok(
		batches.every((batch) => batch.self),
		"every export is marked",
	);
	const traces = Buffer.concat(batches.filter((batch) => batch.signal === "traces").map((batch) => batch.bytes)).toString(
		"latin1",
	);
	const occurrences = (text: string): number => traces.split(text).length - 1;
	assert.equal(occurrences("commit traces"), 2, "one batch in a hundred of 150, and none of our own");
	for (const text of ["mesh-self", "open store", "bind receivers", "http.response.status_code"])
		assert.ok(occurrences(text) > 0, text);
	assert.ok(
		traces.includes(Buffer.from("0af7651916cd43dd8448eb211c80319c", "hex").toString("latin1")),
		"the caller's trace goes on",
	);
	assert.equal(occurrences("secret"), 0, "query strings stay here");
	assert.equal(occurrences("process.command_args"), 0, "command lines hold tokens");
	const metrics = Buffer.concat(batches.filter((batch) => batch.signal === "metrics").map((batch) => batch.bytes)).toString(
		"latin1",
	);
	for (const text of ["meshscope.ingest.records", "meshscope.ingest.dropped", "too_deep", "meshscope.pipeline.commits"]) {
		assert.ok(metrics.includes(text), text);
	}
});
