import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { decodeMetrics } from "../../collector/decode/metrics.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { type ConformanceDecoders, runStoreConformance, type StoreUnderTest, TOPOLOGY_KEPT_MS } from "../conformance/kit.ts";
import { joinSums } from "../conformance/rollup-sums.ts";
import { NOW_MS } from "../conformance/workbench.ts";
import { createFailpoint } from "./failpoint.ts";
import { openMemoryStore } from "../memory/engine.ts";
import { openMemoryTopology } from "../memory/topology.ts";
import { openSqliteReader } from "./reader.ts";
import { openScanner } from "./scan.ts";
import { openCommittedTraces } from "./topology/committed-traces.ts";
import { openTopologyReader } from "./topology/reader.ts";
import { openTopologyWriter } from "./topology/writer.ts";
import { openSqliteWriter } from "./writer.ts";

const decoders: ConformanceDecoders = {
	skimTraces: (bytes, columns) => void skimTraces(bytes, columns, DEFAULT_LIMITS),
	skimLogs: (bytes, columns) => void skimLogs(bytes, columns, DEFAULT_LIMITS),
	decodeMetrics: (bytes) => decodeMetrics(bytes, DEFAULT_LIMITS).batch,
};

const HOUR_MS = 3_600_000;

function openAt(directory: string): StoreUnderTest {
	const writer = openSqliteWriter({
		directory,
		windowMs: HOUR_MS,
		maxAgeMs: 365 * 24 * HOUR_MS,
		maxBytes: 10 ** 9,
		now: Date.now,
		log: () => {},
		failpoint: createFailpoint(undefined),
	});
	const reader = openSqliteReader({ directory, cacheBytes: 8 << 20, searchBudgetMs: 60_000, now: Date.now });
	const scanner = openScanner(directory);
	const topology = {
		writer: openTopologyWriter({
			directory,
			maxBytes: 10 ** 9,
			keptSinceMs: (nowMs) => nowMs - TOPOLOGY_KEPT_MS,
			join: joinSums,
			now: () => NOW_MS,
			log: () => {},
			failpoint: () => {},
		}),
		reader: openTopologyReader(directory),
		committed: openCommittedTraces(directory, 8 << 20),
	};
	const close = async (): Promise<void> => {
		for (const part of Object.values(topology)) part.close();
		scanner.close();
		await reader.close();
		writer.close();
	};
	return {
		writer,
		reader,
		scanner,
		topology,
		capabilities: { durable: true, sql: true, backup: true },
		async reopen() {
			await close();
			return openAt(directory);
		},
		openBackup: async (copy) => openAt(copy),
		async dispose() {
			await close();
			rmSync(directory, { recursive: true, force: true });
		},
	};
}

runStoreConformance("sqlite", async () => openAt(mkdtempSync(join(tmpdir(), "meshscope-engine-"))), {
	...decoders,
	oracle: async () => {
		const store = openMemoryStore({});
		return {
			...store,
			topology: { ...openMemoryTopology({ keptSinceMs: () => 0, now: () => NOW_MS }), committed: store.committed },
			capabilities: { durable: false, sql: false, backup: false },
			dispose: async () => store.writer.close(),
		};
	},
});
