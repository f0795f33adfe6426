import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getJson, getSpanIds, getStatus, searchTraces } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { assertClean, emptyLedger, verify } from "./ledger.ts";
import { mixedStreams, startLoad } from "./load.ts";
import { temporaryFolder } from "./temporary.ts";

const READERS = 4;
/** Some three seconds of this load: retention removes all the time, and still leaves what was acknowledged last. */
const MAX_DISK_BYTES = 24 << 20;
/** One window may be open beyond the bound, and a removed file's blocks are counted until the next look. */
const DISK_SLACK_BYTES = 48 << 20;

test("ingest, queries, merging and retention go on together: no query fails, no trace is seen in part or twice", async (context: TestContext) => {
	await using folder = await temporaryFolder("stress");
	const server = await startServer({
		dataDirectory: folder.path,
		flags: ["--window", "2s", "--max-disk", `${MAX_DISK_BYTES}B`],
	});
	try {
		const { http } = server.addresses;
		const ledger = emptyLedger();
		const filling = makeTemplate({
			signal: "traces",
			traces: 20,
			recordsPerTrace: 5,
			serviceName: "chaos-filling",
			fillerCharacters: 4_000,
		});
		const load = startLoad(server.addresses, ledger, [...mixedStreams(), { template: filling, over: "http" }], 20);
		const untilMs = performance.now() + FIGURES.stressSeconds * 1_000;
		const figures = { lookups: 0, searches: 0, gone: 0, "query ms max": 0 };
		const timed = async <T>(ask: Promise<T>): Promise<T> => {
			const startedMs = performance.now();
			const answer = await ask;
			figures["query ms max"] = Math.max(figures["query ms max"], performance.now() - startedMs);
			return answer;
		};
		const readers = Array.from({ length: READERS }, async (_, reader) => {
			while (performance.now() < untilMs) {
				const { acked } = ledger;
				const batch = acked[Math.floor(Math.random() * acked.length)];
				if (batch?.signal === "traces") {
					const spans = await timed(getSpanIds(http, batch.traceIds[0]!));
					// Retention may have removed it, whole.
					if (spans.length === 0) figures.gone++;
					else {
						assert.equal(spans.length, batch.recordsPerTrace);
						assert.equal(new Set(spans).size, batch.recordsPerTrace);
					}
					figures.lookups++;
				}
				const service = ["chaos-small", "chaos-large", "chaos-filling"][reader % 3]!;
				const found = await timed(searchTraces(http, { service, limit: "50" }));
				const ids = found.map(({ traceId }) => traceId);
				assert.equal(new Set(ids).size, ids.length, "a search names a trace once");
				await timed(getJson(http, "/api/v1/services"));
				await timed(getJson(http, "/api/v1/logs?service=chaos-logs&limit=50"));
				await timed(getStatus(http));
				figures.searches++;
				await delay(20);
			}
		});
		await Promise.all(readers);
		await load.stop();
		assert.equal(load.outcomes.unknown, 0, server.said());
		const newest = ledger.acked.slice(-20);
		const verdict = await verify(http, { acked: newest, refused: ledger.refused, unknown: [] });
		assertClean(verdict);
		const { store } = await getStatus(http);
		assert.ok(
			store.bytesOnDisk <= MAX_DISK_BYTES + DISK_SLACK_BYTES,
			`${store.bytesOnDisk} bytes on disk with a bound of ${MAX_DISK_BYTES}`,
		);
		const sent = ledger.acked.reduce((sum, batch) => sum + (batch.signal === "traces" ? batch.spanIds.length : 0), 0);
		assert.ok(store.spans < sent, "retention removed nothing: the test did not run what it is about");
		printFigures(context, "ingest, queries and retention together", {
			seconds: FIGURES.stressSeconds,
			"spans acknowledged": sent,
			"spans kept": store.spans,
			...load.outcomes,
			...figures,
		});
	} finally {
		await server.stop();
	}
});
