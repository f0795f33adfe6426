import assert from "node:assert/strict";
import { test } from "node:test";
import { IngestCounters } from "./counters.ts";

test("counters keep signals apart, count by reason and code, and rates cover the last ten seconds", () => {
	const counters = new IngestCounters();
	const start = 1_800_000_000_000;
	counters.accepted("traces", 100, 1_000, start);
	counters.accepted("logs", 7, 70, start);
	counters.accepted("traces", 50, 500, start + 9_000);
	counters.duplicate("traces");
	counters.dropped("traces", { too_deep: 2 });
	counters.dropped("traces", { too_deep: 1, invalid_span_id: 4 });
	counters.refused("metrics", "overloaded");
	counters.refused("metrics", "overloaded");
	const now = counters.ingest(start + 9_000);
	assert.deepEqual(now.traces, {
		acceptedRecords: 150,
		acceptedBatches: 2,
		acceptedBytes: 1_500,
		duplicateBatches: 1,
		droppedRecords: { too_deep: 3, invalid_span_id: 4 },
		refusedBatches: {},
	});
	assert.deepEqual(now.metrics.refusedBatches, { overloaded: 2 });
	assert.deepEqual(now.recordsPerSecond, { traces: 15, logs: 0.7, metrics: 0 });
	assert.deepEqual(counters.ingest(start + 10_000).recordsPerSecond, { traces: 5, logs: 0, metrics: 0 });
	assert.deepEqual(counters.ingest(start + 60_000).recordsPerSecond, { traces: 0, logs: 0, metrics: 0 });
	assert.equal(counters.ingest(start + 60_000).traces.acceptedRecords, 150, "totals stay");
});

test("a clock that goes back does not break the rates", () => {
	const counters = new IngestCounters();
	counters.accepted("traces", 10, 1, 1_800_000_010_000);
	counters.accepted("traces", 10, 1, 1_800_000_000_000);
	assert.equal(counters.ingest(1_800_000_010_000).recordsPerSecond.traces, 2);
});

test("acknowledgement times are those of the last thousand batches", () => {
	const counters = new IngestCounters();
	assert.deepEqual(counters.ack(), { p50: 0, p99: 0, max: 0 });
	for (let i = 0; i < 500; i++) counters.acknowledged(5_000);
	for (let i = 1; i <= 1_000; i++) counters.acknowledged(i);
	assert.deepEqual(counters.ack(), { p50: 501, p99: 991, max: 1_000 });
});
