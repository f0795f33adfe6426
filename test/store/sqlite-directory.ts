/** A data directory for tests, written by the engine's own writer from OTLP JSON. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { decodeMetrics } from "../../collector/decode/metrics.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { EMPTY_METRIC_BATCH } from "../../model/metric.ts";
import type { OtlpTracesData } from "../../model/otlp/types.ts";
import { type OtlpLogsData, protobufjsEncode } from "../../store/conformance/otlp-arbitraries.ts";
import type { StoreWriter } from "../../store/store.ts";
import { openSqliteWriter } from "../../store/sqlite/writer.ts";

export const HOUR_MS = 3_600_000;
export const NOW_MS = 1_800_000_000_000;
export const NOW_NS = BigInt(NOW_MS) * 1_000_000n;

export interface TestGroup {
	readonly traces?: OtlpTracesData;
	readonly logs?: OtlpLogsData;
	readonly metrics?: object;
	readonly arrivedMs?: number;
}

export interface TestStore {
	readonly directory: string;
	readonly writer: StoreWriter;
	append(group: TestGroup): void;
	/** Merges until there is nothing left to merge. */
	maintain(): void;
}

export function temporaryDirectory(t: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "meshscope-sqlite-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

/** Closed after the test, unless it was before. */
export function openTestStore(t: TestContext, directory = temporaryDirectory(t)): TestStore {
	const writer = openSqliteWriter({
		directory,
		windowMs: HOUR_MS,
		maxAgeMs: 1_000 * HOUR_MS,
		maxBytes: 1 << 30,
		now: () => NOW_MS,
		log: () => {},
		failpoint: () => {},
	});
	t.after(() => writer.close());
	return {
		directory,
		writer,
		append(group) {
			const spans = new RecordColumns(SPAN_SHAPE);
			const logs = new RecordColumns(LOG_SHAPE);
			if (group.traces !== undefined) skimTraces(protobufjsEncode("TracesData", group.traces), spans, DEFAULT_LIMITS);
			if (group.logs !== undefined) skimLogs(protobufjsEncode("LogsData", group.logs), logs, DEFAULT_LIMITS);
			const metrics =
				group.metrics === undefined
					? EMPTY_METRIC_BATCH
					: decodeMetrics(protobufjsEncode("MetricsData", group.metrics), DEFAULT_LIMITS).batch;
			const arrivedMs = group.arrivedMs ?? NOW_MS;
			const none = { fingerprints: new Uint8Array(16), topologyMetrics: new Uint8Array(0) };
			writer.release(writer.append({ spans, logs, metrics, ...none, arrivedMs }).ref);
		},
		maintain() {
			while (writer.maintain(NOW_MS));
		},
	};
}
