import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { decodeMetrics } from "../../collector/decode/metrics.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { runStoreConformance, type ConformanceDecoders, type StoreUnderTest } from "../conformance/kit.ts";
import { createFailpoint } from "./failpoint.ts";
import { openMemoryStore } from "../memory/engine.ts";
import { openSqliteReader } from "./reader.ts";
import { openScanner } from "./scan.ts";
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
	const close = async (): Promise<void> => {
		scanner.close();
		await reader.close();
		writer.close();
	};
	return {
		writer,
		reader,
		scanner,
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
			capabilities: { durable: false, sql: false, backup: false },
			dispose: async () => store.writer.close(),
		};
	},
});
