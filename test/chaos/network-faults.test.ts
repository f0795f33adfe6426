import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { getStatus } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch } from "./batches.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { assertClean, verify } from "./ledger.ts";
import { deliver } from "./load.ts";
import { grpcSender, httpSender } from "./sending.ts";
import { startTcpProxy } from "./tcp-proxy.ts";
import { temporaryFolder } from "./temporary.ts";

const WORKERS = 4;
/** A batch that meets this many faults in a row has found a fault of ours. */
const DELIVERY_TIMEOUT_MS = 30_000;

for (const over of ["http", "grpc"] as const) {
	test(`an exporter that retries over ${over} delivers everything once through latency and resets`, async (context: TestContext) => {
		await using folder = await temporaryFolder(`network-${over}`);
		const server = await startServer({ dataDirectory: folder.path });
		const target = over === "http" ? server.addresses.otlpHttp : server.addresses.otlpGrpc;
		const proxy = await startTcpProxy({
			target,
			latencyMs: () => Math.random() * 10,
			// An answer is about 100 bytes: most connections break after a few answers, often in the middle of one.
			resetAfterResponseBytes: () => Math.random() * 500,
		});
		try {
			const template = makeTemplate({ signal: "traces", traces: 2, recordsPerTrace: 5, serviceName: "network" });
			const delivered: Batch[] = [];
			let attempts = 0;
			const wanted = FIGURES.networkResets / 2;
			await Promise.all(
				Array.from({ length: WORKERS }, async () => {
					const sender = over === "http" ? httpSender(proxy.address) : grpcSender(proxy.address);
					try {
						while (proxy.resets() < wanted) {
							const batch = template.make(Date.now());
							const delivery = await deliver(sender, batch, DELIVERY_TIMEOUT_MS, 20);
							attempts += delivery.attempts;
							assert.equal(delivery.outcome.kind, "acked", JSON.stringify(delivery));
							delivered.push(batch);
							// Also while a request is on its way, not only while its answer is.
							if (Math.random() < 0.1) proxy.resetAll();
						}
					} finally {
						sender.close();
					}
				}),
			);
			const verdict = await verify(server.addresses.http, { acked: delivered, refused: [], unknown: [] });
			assertClean(verdict);
			const { store, ingest } = await getStatus(server.addresses.http);
			assert.equal(store.spans, delivered.length * template.records);
			assert.ok(attempts > delivered.length, "some answers were lost and the batch was sent again");
			printFigures(context, `network faults over ${over}`, {
				resets: proxy.resets(),
				batches: delivered.length,
				attempts,
				duplicates: ingest.traces.duplicateBatches,
				lost: verdict.lost,
				double: verdict.double,
			});
		} finally {
			await proxy.close();
			await server.stop();
		}
	});
}
