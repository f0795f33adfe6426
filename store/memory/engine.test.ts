import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { decodeMetrics } from "../../collector/decode/metrics.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { MeshscopeError } from "../../model/errors.ts";
import { type ConformanceDecoders, runStoreConformance, type StoreUnderTest, TOPOLOGY_KEPT_MS } from "../conformance/kit.ts";
import { from, NOW_MS, span, string, traceId, Workbench } from "../conformance/workbench.ts";
import { type MemoryOptions, openMemoryStore } from "./engine.ts";
import { openMemoryTopology } from "./topology.ts";

const decoders: ConformanceDecoders = {
	skimTraces: (bytes, columns) => void skimTraces(bytes, columns, DEFAULT_LIMITS),
	skimLogs: (bytes, columns) => void skimLogs(bytes, columns, DEFAULT_LIMITS),
	decodeMetrics: (bytes) => decodeMetrics(bytes, DEFAULT_LIMITS).batch,
};

async function memoryStore(options: Partial<MemoryOptions> = {}): Promise<StoreUnderTest> {
	const topology = openMemoryTopology({ keptSinceMs: (nowMs) => nowMs - TOPOLOGY_KEPT_MS, now: () => NOW_MS });
	const store = openMemoryStore({ topology: topology.reader, ...options });
	return {
		...store,
		topology: { ...topology, committed: store.committed },
		capabilities: { durable: false, sql: false, backup: false },
		dispose: async () => store.writer.close(),
	};
}

runStoreConformance("memory", memoryStore, decoders);

test("the oldest groups make room for new ones", async () => {
	const bench = new Workbench(await memoryStore({ maxBytes: 10_000 }), decoders);
	for (let i = 1; i <= 10; i++)
		bench.append({ traces: [from("a", [span(i, 1, { attributes: [string("k", "v".repeat(2_000))] })])] });
	assert.deepEqual(await bench.found({}).then((found) => found.sort((a, b) => a - b)), [7, 8, 9, 10]);
	assert.equal(await bench.spans(traceId(6)), undefined);
	assert.ok(bench.writer.stats().windows[0]!.bytes <= 10_000);
});

test("a group larger than the store is refused and changes nothing", async () => {
	const bench = new Workbench(await memoryStore({ maxBytes: 1_000 }), decoders);
	bench.append({ traces: [from("a", [span(1, 1)])] });
	assert.throws(
		() => bench.append({ traces: [from("b", [span(2, 1, { name: "n".repeat(2_000) })])] }),
		(error) => error instanceof MeshscopeError && error.code === "store_full" && error.retryable,
	);
	assert.deepEqual(await bench.found({}), [1]);
	assert.deepEqual(
		(await bench.reader.services()).map(({ name }) => name),
		["a"],
	);
	bench.append({ traces: [from("a", [span(3, 1)])] });
	assert.equal((await bench.found({})).length, 2);
});

test("groups older than the retention go with the next maintenance", async () => {
	const bench = new Workbench(await memoryStore({ maxAgeMs: 1_000 }), decoders);
	bench.append({ traces: [from("a", [span(1, 1)])], arrivedMs: NOW_MS });
	bench.append({ traces: [from("a", [span(2, 1)])], arrivedMs: NOW_MS + 600 });
	assert.equal(bench.writer.maintain(NOW_MS + 1_500), false);
	assert.deepEqual(await bench.found({}), [2]);
});

test("there is no backup, and the error says so by its code", async () => {
	const { writer } = await memoryStore();
	await assert.rejects(writer.backup("/nowhere"), (error) => error instanceof MeshscopeError && error.code === "unimplemented");
});
