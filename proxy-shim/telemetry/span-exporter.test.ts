import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeProtobuf, spansOf } from "../../test/interop/otlp.ts";
import type { ExportOutcome } from "./otlp-client.ts";
import { SpanExporter, type SpanExporterOptions } from "./span-exporter.ts";
import { fakeClock, httpHop, workload } from "./test-kit.ts";

const ACCEPTED: ExportOutcome = { kind: "accepted", rejected: 0, message: "" };
const UNAVAILABLE: ExportOutcome = { kind: "retry", afterMs: undefined, reason: "gRPC 14 away" };

interface Sent {
	readonly bytes: Buffer;
	readonly message: Uint8Array;
	readonly answer: (outcome: ExportOutcome) => void;
}

function setUp(options: Partial<SpanExporterOptions> = {}) {
	const clock = fakeClock();
	const sent: Sent[] = [];
	const exporter = new SpanExporter({
		cluster: "",
		version: "1",
		clock,
		random: () => 0,
		client: {
			send(_path, message) {
				const { promise, resolve } = Promise.withResolvers<ExportOutcome>();
				sent.push({ bytes: Buffer.from(message), message, answer: resolve });
				return promise;
			},
		},
		...options,
	});
	return { clock, sent, exporter };
}

function spansIn(bytes: Uint8Array): number {
	return spansOf(decodeProtobuf("traces", bytes.subarray(5))).length;
}

function add(exporter: SpanExporter, count: number): void {
	for (let i = 0; i < count; i++) exporter.add(httpHop());
}

test("a chunk goes out when it is full, and what is left 200 ms after its first span", async () => {
	const { clock, sent, exporter } = setUp();
	add(exporter, 511);
	assert.equal(sent.length, 0);
	add(exporter, 1);
	assert.deepEqual(
		sent.map(({ bytes }) => spansIn(bytes)),
		[512],
	);
	sent[0]!.answer(ACCEPTED);
	add(exporter, 3);
	await clock.advance(199);
	assert.equal(sent.length, 1);
	await clock.advance(1);
	assert.equal(spansIn(sent[1]!.bytes), 3);
	sent[1]!.answer(ACCEPTED);
	await clock.advance(1_000);
	assert.equal(sent.length, 2, "nothing is sent when there is nothing");
	assert.deepEqual([exporter.stats().sentSpans, exporter.stats().queuedSpans, exporter.stats().queuedBytes], [515, 0, 0]);
});

test("no more than two requests are under way, however much waits", async () => {
	const { clock, sent, exporter } = setUp({ maxChunkSpans: 10 });
	add(exporter, 100);
	assert.equal(sent.length, 2);
	sent[0]!.answer(ACCEPTED);
	await clock.advance(0);
	assert.equal(sent.length, 3);
});

test("a chunk that was refused for a while is sent again byte for byte, no sooner than it was told", async () => {
	const { clock, sent, exporter } = setUp();
	add(exporter, 5);
	await clock.advance(200);
	sent[0]!.answer({ kind: "retry", afterMs: 3_000, reason: "gRPC 14 overloaded" });
	await clock.advance(0);
	add(exporter, 600);
	await clock.advance(2_999);
	assert.equal(sent.length, 1);
	await clock.advance(1);
	assert.equal(sent.length, 2, "one asks whether the collector is back");
	assert.deepEqual(sent[1]!.bytes, sent[0]!.bytes);
	sent[1]!.answer(ACCEPTED);
	await clock.advance(0);
	assert.equal(sent.length, 4, "then the others follow");
	assert.equal(exporter.stats().lastFailure, "");
	assert.equal(exporter.stats().retries, 1);
});

test("a sent buffer is not written to before it was answered, and used again after", async () => {
	const { clock, sent, exporter } = setUp({ maxChunkSpans: 10 });
	add(exporter, 20);
	const before = Buffer.from(sent[0]!.message);
	add(exporter, 15);
	assert.deepEqual(Buffer.from(sent[0]!.message), before);
	sent[0]!.answer(ACCEPTED);
	await clock.advance(0);
	sent[1]!.answer(ACCEPTED);
	sent[2]!.answer(ACCEPTED);
	await clock.advance(0);
	const buffers = sent.map(({ message }) => message.buffer);
	add(exporter, 40);
	assert.ok(sent.slice(3).some(({ message }) => buffers.includes(message.buffer)));
});

test("without the collector waits grow to 5 s, the queue stays within its bounds, and drops are counted", async () => {
	const { clock, sent, exporter } = setUp({ maxChunkSpans: 10, maxQueueSpans: 100 });
	for (let i = 0; i < 500; i++) {
		add(exporter, 1);
		sent.at(-1)?.answer(UNAVAILABLE);
		await clock.advance(20);
		sent.at(-1)?.answer(UNAVAILABLE);
	}
	const { queuedSpans, dropped, lastFailure } = exporter.stats();
	assert.ok(queuedSpans <= 110, String(queuedSpans));
	assert.equal(dropped.queue_full + queuedSpans, 500);
	assert.equal(lastFailure, "gRPC 14 away");
	assert.ok(sent.length < 20, `${sent.length} requests in 10 s are a storm`);
	sent.at(-1)!.answer(UNAVAILABLE);
	await clock.advance(5_000);
	for (let i = 0; i < 30; i++) {
		for (const one of sent) one.answer(ACCEPTED);
		await clock.advance(100);
	}
	assert.equal(exporter.stats().sentSpans, queuedSpans, "what waited arrives once the collector is back");
});

test("bytes bound the queue as well", async () => {
	const { exporter } = setUp({ maxChunkSpans: 10, maxQueueBytes: 20_000 });
	for (let i = 0; i < 200; i++) exporter.add(httpHop({ path: `/${"x".repeat(1_000)}` }));
	assert.ok(exporter.stats().queuedBytes < 60_000);
	assert.ok(exporter.stats().dropped.queue_full > 150);
});

test("what is refused for good or in part is counted and not sent again; what waited too long is given up", async () => {
	const { clock, sent, exporter } = setUp({ maxChunkSpans: 10, maxAgeMs: 1_000 });
	add(exporter, 20);
	sent[0]!.answer({ kind: "refused", reason: "gRPC 16 token" });
	sent[1]!.answer({ kind: "accepted", rejected: 4, message: "span without an id" });
	await clock.advance(0);
	assert.deepEqual(
		[exporter.stats().dropped.refused, exporter.stats().dropped.rejected, exporter.stats().sentSpans],
		[10, 4, 6],
	);
	add(exporter, 10);
	for (let i = 0; i < 20; i++) {
		for (const one of sent.slice(2)) one.answer(UNAVAILABLE);
		await clock.advance(100);
	}
	assert.equal(exporter.stats().dropped.expired, 10);
	assert.equal(exporter.stats().queuedSpans, 0);
});

test("a flush sends what is open and waits for it, but no longer than its limit", async () => {
	const { clock, sent, exporter } = setUp();
	add(exporter, 3);
	let ended = false;
	const flushed = exporter.flush(1_000).then(() => (ended = true));
	assert.equal(sent.length, 1);
	await clock.advance(10);
	assert.equal(ended, false);
	sent[0]!.answer(ACCEPTED);
	await clock.advance(0);
	await flushed;
	add(exporter, 3);
	const late = exporter.flush(1_000);
	await clock.advance(1_000);
	await late;
	exporter.close();
	sent[1]!.answer(UNAVAILABLE);
	await clock.advance(0);
	exporter.add(httpHop());
	assert.equal(exporter.stats().dropped.shutdown, 4);
});

test("each workload has a resource of its own, and so many workloads at most", async () => {
	const { clock, sent, exporter } = setUp();
	for (const service of ["a", "b", "a"]) exporter.add(httpHop({ local: workload(service) }));
	await clock.advance(200);
	assert.deepEqual(
		sent.map(({ bytes }) => spansIn(bytes)),
		[2, 1],
	);
	for (let i = 0; i < 300; i++) exporter.add(httpHop({ local: workload(`w${i}`) }));
	assert.ok(exporter.stats().dropped.too_many_workloads > 0);
});
