import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getJson, getStatus } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch } from "./batches.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { assertClean, verify } from "./ledger.ts";
import { watchProcess } from "./process-figures.ts";
import { grpcSender, httpSender } from "./sending.ts";
import { temporaryFolder } from "./temporary.ts";

/** 48 senders with 4 MB each in flight are more than queue and group commit together may hold. */
const SENDERS = 48;
const TRACES_A_BATCH = 550;
/** The queue's 128 MiB, twice over for what is being received and written, on top of an idle server. */
const MAX_RSS_BYTES = 700 << 20;
const NORMAL_AFTER_MS = 10_000;
const NORMAL_ACK_MS = 250;
const SAMPLED_BATCHES = 4;

test("under three times what it can take the server only acknowledges or asks to retry, within bounded memory", async (context: TestContext) => {
	await using folder = await temporaryFolder("overload");
	const server = await startServer({ dataDirectory: folder.path });
	const watch = watchProcess(server.pid, 100);
	try {
		const template = makeTemplate({ signal: "traces", traces: TRACES_A_BATCH, recordsPerTrace: 10, serviceName: "overload" });
		const counts = { acked: 0, refused: 0, spans: 0, "status ms max": 0 };
		const sample: Batch[] = [];
		const faults: string[] = [];
		const startedMs = performance.now();
		const untilMs = startedMs + FIGURES.overloadSeconds * 1_000;
		const senders = Array.from({ length: SENDERS }, async (_, i) => {
			const sender = i % 2 === 0 ? httpSender(server.addresses.otlpHttp) : grpcSender(server.addresses.otlpGrpc);
			let batch = template.make(Date.now());
			while (performance.now() < untilMs) {
				const outcome = await sender.send(batch);
				if (outcome.kind === "acked") {
					counts.acked++;
					counts.spans += template.records;
					if (Math.random() < 0.05) sample.push({ ...batch, bytes: new Uint8Array(0) });
					batch = template.make(Date.now());
				} else if (outcome.kind === "refused" && outcome.retryable && (outcome.retryAfterSeconds ?? 0) > 0) {
					counts.refused++;
					// Sooner than asked: the overload must last.
					await delay(100);
				} else {
					faults.push(JSON.stringify(outcome));
					await delay(100);
				}
			}
			sender.close();
		});
		const asking = (async () => {
			while (performance.now() < untilMs) {
				const askedMs = performance.now();
				await getJson(server.addresses.http, "/readyz").catch(() => undefined);
				await getStatus(server.addresses.http);
				counts["status ms max"] = Math.max(counts["status ms max"], performance.now() - askedMs);
				await delay(250);
			}
		})();
		await Promise.all([...senders, asking]);
		const seconds = (performance.now() - startedMs) / 1_000;
		assert.deepEqual(faults.slice(0, 5), [], "every answer is an acknowledgement or asks to retry");

		const overMs = performance.now();
		const small = makeTemplate({ signal: "traces", traces: 2, recordsPerTrace: 5, serviceName: "after" });
		const after = httpSender(server.addresses.otlpHttp);
		let normalMs = Number.POSITIVE_INFINITY;
		while (performance.now() - overMs < NORMAL_AFTER_MS) {
			const outcome = await after.send(small.make(Date.now()));
			if (outcome.kind === "acked" && outcome.ackMs <= NORMAL_ACK_MS) {
				normalMs = performance.now() - overMs;
				break;
			}
			await delay(50);
		}
		after.close();
		assert.ok(normalMs <= NORMAL_AFTER_MS, "acknowledgements were not back to normal in time");
		assert.ok(counts.refused > 0, "the server was never overloaded");

		const every = Math.max(1, Math.floor(sample.length / SAMPLED_BATCHES));
		const verdict = await verify(server.addresses.http, {
			acked: sample.filter((_, i) => i % every === 0),
			refused: [],
			unknown: [],
		});
		assertClean(verdict);
		const peakBytes = Math.max(...watch.stop().map(({ rssBytes }) => rssBytes));
		printFigures(context, "overload", {
			seconds,
			...counts,
			"spans/s": counts.spans / seconds,
			"peak RSS MB": peakBytes / 1e6,
			"normal after ms": normalMs,
			checked: verdict.checked,
			lost: verdict.lost,
			double: verdict.double,
		});
		assert.ok(peakBytes <= MAX_RSS_BYTES, `peak RSS ${(peakBytes / 1e6).toFixed(0)} MB`);
	} finally {
		watch.stop();
		await server.stop();
	}
});
