import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimTraces } from "../../collector/decode/skim.ts";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { MeshscopeError } from "../../model/errors.ts";
import type { TraceId } from "../../model/ids.ts";
import { EMPTY_METRIC_BATCH } from "../../model/metric.ts";
import { timeNs } from "../../model/time.ts";
import { HOUR_MS, temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import type { StoreReader } from "../store.ts";
import { openReaderPool } from "./reader-pool.ts";
import { openSqliteReader } from "./reader.ts";
import { openSqliteWriter } from "./writer.ts";

const TRACE = "f".repeat(32) as TraceId;
const EVERYTHING = { attributes: [], limit: 10, fromNs: timeNs(0n), toNs: timeNs((1n << 63n) - 1n) } as const;
const SPANS = 1_000;

/** A data directory with one trace of a thousand spans. */
function directoryWithTrace(t: TestContext): string {
	const directory = temporaryDirectory(t);
	const writer = openSqliteWriter({
		directory,
		windowMs: HOUR_MS,
		maxAgeMs: 24 * HOUR_MS,
		maxBytes: 1 << 30,
		now: Date.now,
		log: () => {},
		failpoint: () => {},
	});
	const spans = new RecordColumns(SPAN_SHAPE);
	const json = {
		resourceSpans: [
			{
				scopeSpans: [
					{
						spans: Array.from({ length: SPANS }, (_, i) => ({
							traceId: TRACE,
							spanId: String(i + 1).padStart(16, "0"),
						})),
					},
				],
			},
		],
	};
	skimTraces(protobufjsEncode("TracesData", json), spans, DEFAULT_LIMITS);
	const fingerprints = new Uint8Array(16);
	const arrivedMs = Date.now();
	const topologyMetrics = new Uint8Array();
	const logs = new RecordColumns(LOG_SHAPE);
	writer.append({ spans, logs, metrics: EMPTY_METRIC_BATCH, fingerprints, topologyMetrics, arrivedMs });
	writer.close();
	return directory;
}

function isGivenUp(error: unknown): boolean {
	return error instanceof MeshscopeError && error.code === "query_timeout";
}

test("a query that nobody waits for is given up, waiting or under way, and the next is answered", async (t) => {
	const directory = directoryWithTrace(t);
	const pool = openReaderPool({
		directory,
		threads: 1,
		cacheBytes: 1 << 20,
		searchBudgetMs: 60_000,
		idleMs: 1_000,
		log: (_level, message) => assert.fail(message),
	});
	t.after(() => pool.close());
	const underWay = new AbortController();
	const waiting = new AbortController();
	const given = [
		assert.rejects(pool.trace(TRACE, "json", underWay.signal), isGivenUp),
		assert.rejects(pool.searchTraces(EVERYTHING, waiting.signal), isGivenUp),
	];
	const patient = pool.trace(TRACE, "protobuf");
	underWay.abort();
	waiting.abort();
	await Promise.all(given);
	await assert.rejects(pool.searchTraces(EVERYTHING, underWay.signal), isGivenUp, "nobody waited to begin with");
	assert.equal((await patient).trace?.summary.spanCount, SPANS);
	assert.equal((await pool.searchTraces(EVERYTHING)).traces.length, 1);
});

test("a reader ends within a trace once nobody waits", async (t) => {
	const settings = { directory: directoryWithTrace(t), cacheBytes: 1 << 20, searchBudgetMs: 60_000, now: Date.now };
	let asked = 0;
	const reader = openSqliteReader({ ...settings, isCancelled: () => ++asked > 1 });
	t.after(() => reader.close());
	await assert.rejects(reader.trace(TRACE, "json"), isGivenUp);
	await assert.rejects(reader.metricSeries({ attributes: [], limit: 1 }), isGivenUp);
});

test("a search's time ends within a trace: the trace is left out and the answer says truncated", async (t) => {
	const settings = { directory: directoryWithTrace(t), cacheBytes: 1 << 20 };
	for (const [asksBeforeTheEnd, found] of [
		[2, 0],
		[1_000, 1],
	] as const) {
		let asked = 0;
		const now = (): number => (++asked > asksBeforeTheEnd ? 1_000 : 0);
		const reader = openSqliteReader({ ...settings, searchBudgetMs: 500, now });
		t.after(() => reader.close());
		const { traces, searched } = await reader.searchTraces(EVERYTHING);
		assert.deepEqual([traces.length, searched.truncated], [found, found === 0]);
	}
});

test("a refusal keeps its details, and a fault is told as what it is: its words are for the log alone", async (t) => {
	const lines: string[] = [];
	const open = (directory: string): StoreReader => {
		const pool = openReaderPool({
			...{ directory, threads: 1, cacheBytes: 1 << 20, searchBudgetMs: 1_000, idleMs: 10_000 },
			log: (_level, message) => lines.push(message),
		});
		t.after(() => pool.close());
		return pool;
	};
	await assert.rejects(
		open(directoryWithTrace(t)).graphHistory({ fromMs: 0, toMs: 1_800_000_000_000, stepMs: 10_000 }),
		(error) => error instanceof MeshscopeError && error.code === "query_too_broad" && error.details?.["parameter"] === "step",
	);
	await assert.rejects(
		open(temporaryDirectory(t)).services(),
		(error) => error instanceof Error && !(error instanceof MeshscopeError),
	);
	assert.match(lines.join(), /services: /);
});
