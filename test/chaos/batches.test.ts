import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeProtobuf, logsOf, spansOf } from "../interop/otlp.ts";
import { makeTemplate } from "./batches.ts";

test("a batch of spans holds the ids it names, fresh in every batch", () => {
	const template = makeTemplate({ signal: "traces", traces: 3, recordsPerTrace: 4, serviceName: "load" });
	const nowMs = 1_790_000_000_000;
	const [batch, other] = [template.make(nowMs), template.make(nowMs)];
	const spans = spansOf(decodeProtobuf("traces", batch.bytes)).map(({ span }) => span);
	assert.deepEqual(
		spans.map(({ spanId }) => spanId),
		batch.spanIds,
	);
	assert.deepEqual(
		spans.map(({ traceId }) => traceId),
		batch.traceIds.flatMap((id) => [id, id, id, id]),
	);
	for (const [i, span] of spans.entries()) {
		assert.equal(span.parentSpanId, i % 4 === 0 ? undefined : batch.spanIds[i - (i % 4)]);
		assert.equal(span.startTimeUnixNano, String(BigInt(nowMs) * 1_000_000n + 1_500_000n));
		assert.equal(span.endTimeUnixNano, String(BigInt(nowMs) * 1_000_000n + 3_000_000n));
		assert.equal(span.attributes?.length, 17);
	}
	assert.equal(new Set([...batch.traceIds, ...other.traceIds]).size, 6);
	assert.equal(new Set([...batch.spanIds, ...other.spanIds]).size, 24);
});

test("a batch of log records holds the ids it names", () => {
	const batch = makeTemplate({ signal: "logs", traces: 2, recordsPerTrace: 2, serviceName: "load" }).make(1_790_000_000_000);
	const logs = logsOf(decodeProtobuf("logs", batch.bytes)).map(({ log }) => log);
	assert.deepEqual(
		logs.map(({ spanId }) => spanId),
		batch.spanIds,
	);
	assert.deepEqual(
		logs.map(({ traceId }) => traceId),
		batch.traceIds.flatMap((id) => [id, id]),
	);
	assert.equal(logs[0]?.timeUnixNano, "1790000000001500000");
});
