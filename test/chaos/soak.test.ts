import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getStatus } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch } from "./batches.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { assertClean, verify } from "./ledger.ts";
import { deliver } from "./load.ts";
import { rssSlopePerMinute, watchProcess } from "./process-figures.ts";
import { grpcSender, httpSender } from "./sending.ts";
import { temporaryFolder } from "./temporary.ts";

const SPANS_A_SECOND = 10_000;
const BATCHES_A_SECOND = 20;
const MAX_SLOPE_BYTES_A_MINUTE = 1 << 20;
const MAX_WAL_BYTES = 64 << 20;
const STATUS_EVERY_MS = 5_000;
const DELIVERY_MS = 30_000;
/** A merge or a checkpoint holds a few files open for a moment. */
const DESCRIPTOR_SLACK = 10;

test(
	"at 10,000 spans a second for hours memory, WAL and descriptors stay flat",
	{ skip: FIGURES.soakSeconds === 0 ? "long run only: MESHSCOPE_LONG=1" : false },
	async (context: TestContext) => {
		await using folder = await temporaryFolder("soak");
		const server = await startServer({ dataDirectory: folder.path, flags: ["--window", "10m"] });
		const senders = [httpSender(server.addresses.otlpHttp), grpcSender(server.addresses.otlpGrpc)];
		const watch = watchProcess(server.pid, 5_000);
		try {
			const spansABatch = SPANS_A_SECOND / BATCHES_A_SECOND;
			const template = makeTemplate({
				signal: "traces",
				traces: spansABatch / 10,
				recordsPerTrace: 10,
				serviceName: "soak",
			});
			const sample: Batch[] = [];
			const ackMs: number[] = [];
			let batches = 0;
			let again = 0;
			let maxWalBytes = 0;
			let statusMs = 0;
			const startedMs = performance.now();
			const inFlight = new Set<Promise<void>>();
			while (performance.now() - startedMs < FIGURES.soakSeconds * 1_000) {
				const due = Math.floor(((performance.now() - startedMs) / 1_000) * BATCHES_A_SECOND);
				for (; batches < due; batches++) {
					const batch = template.make(Date.now());
					// As exporters do: a connection that was just closed for being idle costs a second attempt.
					const sending = deliver(senders[batches % 2]!, batch, DELIVERY_MS, 50).then(({ attempts, outcome }) => {
						inFlight.delete(sending);
						again += attempts - 1;
						assert.equal(outcome.kind, "acked", JSON.stringify(outcome));
						if (outcome.kind === "acked") ackMs.push(outcome.ackMs);
						if (Math.random() < 0.001) sample.push({ ...batch, bytes: new Uint8Array(0) });
					});
					inFlight.add(sending);
				}
				await delay(25);
				if (performance.now() - statusMs > STATUS_EVERY_MS) {
					statusMs = performance.now();
					maxWalBytes = Math.max(maxWalBytes, (await getStatus(server.addresses.http)).store.walBytes);
				}
			}
			await Promise.all(inFlight);
			// Reading everything back opens every window in every reader, which is no part of what has to stay flat.
			const samples = watch.stop();
			const { store } = await getStatus(server.addresses.http);
			assert.equal(store.spans, batches * template.records);
			const verdict = await verify(server.addresses.http, { acked: sample, refused: [], unknown: [] });
			assertClean(verdict);
			const settled = samples.slice(Math.floor(samples.length / 6));
			const slope = rssSlopePerMinute(settled);
			const descriptors = settled.map((one) => one.descriptors);
			ackMs.sort((a, b) => a - b);
			printFigures(context, "soak", {
				seconds: FIGURES.soakSeconds,
				spans: store.spans,
				"sent again": again,
				"RSS slope MB/min": slope / 1e6,
				"RSS max MB": Math.max(...samples.map(({ rssBytes }) => rssBytes)) / 1e6,
				"WAL max MB": maxWalBytes / 1e6,
				"descriptors max": Math.max(...descriptors),
				"ack ms p99": ackMs[Math.floor(ackMs.length * 0.99)] ?? 0,
				checked: verdict.checked,
				lost: verdict.lost,
				double: verdict.double,
			});
			assert.ok(slope < MAX_SLOPE_BYTES_A_MINUTE, `RSS grows by ${(slope / 1e6).toFixed(2)} MB a minute`);
			assert.ok(maxWalBytes <= MAX_WAL_BYTES, `WAL of ${maxWalBytes} bytes`);
			assert.ok(
				Math.max(...descriptors) - Math.min(...descriptors) <= DESCRIPTOR_SLACK,
				`descriptors ${descriptors.join(" ")}`,
			);
		} finally {
			watch.stop();
			for (const sender of senders) sender.close();
			await server.stop();
		}
	},
);
