import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getJson, getStatus, searchTraces } from "../interop/api.ts";
import type { OperationInfo, TraceSummary } from "../../store/store.ts";
import { startServer } from "../interop/server.ts";
import type { RunningServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch } from "./batches.ts";
import { printFigures } from "./figures.ts";
import { assertClean, verify } from "./ledger.ts";
import { grpcSender, httpSender } from "./sending.ts";
import { temporaryFolder } from "./temporary.ts";

const BATCHES = 40;

function makeBatches(): Batch[] {
	const spans = makeTemplate({ signal: "traces", traces: 5, recordsPerTrace: 4, serviceName: "thrice" });
	const logs = makeTemplate({ signal: "logs", traces: 5, recordsPerTrace: 2, serviceName: "thrice" });
	return Array.from({ length: BATCHES }, (_, i) => (i % 4 === 3 ? logs : spans).make(Date.now()));
}

/** Each batch once over each of these ways, the ways mixed and several at a time. */
async function sendAll(server: RunningServer, batches: readonly Batch[], ways: readonly ("http" | "grpc")[]): Promise<void> {
	const senders = { http: httpSender(server.addresses.otlpHttp), grpc: grpcSender(server.addresses.otlpGrpc) };
	try {
		const outcomes = await Promise.all(batches.flatMap((batch) => ways.map((way) => senders[way].send(batch))));
		for (const outcome of outcomes) assert.equal(outcome.kind, "acked", JSON.stringify(outcome));
		for (const outcome of outcomes)
			assert.equal(outcome.kind === "acked" && outcome.partial, false, "a duplicate is full success too");
	} finally {
		senders.http.close();
		senders.grpc.close();
	}
}

interface Totals {
	readonly spans: number;
	readonly logs: number;
	readonly operations: readonly string[];
	/** With each trace's duration, so that every percentile over them is the same too. */
	readonly traces: readonly TraceSummary[];
}

/** What a person sees of the service: counts, operations, every trace's summary. */
async function totals(server: RunningServer, range: Readonly<Record<string, string>>): Promise<Totals> {
	const { http } = server.addresses;
	const { store } = await getStatus(http);
	const traces = await searchTraces(http, { service: "thrice", limit: "1000", ...range });
	const { operations } = (await getJson(http, "/api/v1/services/thrice/operations")) as {
		readonly operations: readonly OperationInfo[];
	};
	return {
		spans: store.spans,
		logs: store.logs,
		operations: operations.map(({ kind, name }) => `${kind} ${name}`),
		traces: [...traces].sort((a, b) => (a.traceId < b.traceId ? -1 : 1)),
	};
}

test("a batch sent three times, and again after kill -9, leaves the same counts and durations as a batch sent once", async (context: TestContext) => {
	await using once = await temporaryFolder("once");
	await using thrice = await temporaryFolder("thrice");
	const range = { from: String(Date.now() - 60_000), to: String(Date.now() + 60_000) };
	const batches = makeBatches();
	const ledger = { acked: batches, refused: [], unknown: [] };

	const control = await startServer({ dataDirectory: once.path });
	let expected: Totals;
	try {
		await sendAll(control, batches, ["http"]);
		expected = await totals(control, range);
	} finally {
		await control.stop();
	}
	assert.equal(
		expected.spans,
		batches.filter(({ signal }) => signal === "traces").reduce((sum, batch) => sum + batch.spanIds.length, 0),
	);

	const first = await startServer({ dataDirectory: thrice.path });
	let duplicates: number;
	try {
		await sendAll(first, batches, ["http", "grpc", "http"]);
		assert.deepEqual(await totals(first, range), expected);
		const { ingest } = await getStatus(first.addresses.http);
		duplicates = ingest.traces.duplicateBatches + ingest.logs.duplicateBatches;
		assert.equal(duplicates, 2 * BATCHES);
		assert.equal(ingest.traces.acceptedRecords, expected.spans, "duplicates are not counted as accepted records");
	} finally {
		await first.kill();
	}

	const second = await startServer({ dataDirectory: thrice.path });
	try {
		await sendAll(second, batches, ["grpc"]);
		assert.deepEqual(await totals(second, range), expected);
		const verdict = await verify(second.addresses.http, ledger);
		assertClean(verdict);
		printFigures(context, "each batch three times, and after kill -9", {
			batches: BATCHES,
			duplicates: duplicates + BATCHES,
			checked: verdict.checked,
			lost: verdict.lost,
			double: verdict.double,
		});
	} finally {
		await second.stop();
	}
});

test("a batch sent again after kill -9 is recognised although its window has ended since", async (context: TestContext) => {
	await using folder = await temporaryFolder("again-across-windows");
	const flags = ["--window", "1s"];
	const template = makeTemplate({ signal: "traces", traces: 5, recordsPerTrace: 4, serviceName: "thrice" });
	const batches: Batch[] = [];
	const first = await startServer({ dataDirectory: folder.path, flags });
	try {
		for (let i = 0; i < 20; i++) {
			const batch = template.make(Date.now());
			await sendAll(first, [batch], ["http"]);
			batches.push(batch);
			await delay(200);
		}
		const { store } = await getStatus(first.addresses.http);
		assert.ok(store.windows.length >= 3, `${store.windows.length} windows`);
	} finally {
		await first.kill();
	}
	const second = await startServer({ dataDirectory: folder.path, flags });
	try {
		await sendAll(second, batches, ["http"]);
		const { store } = await getStatus(second.addresses.http);
		assert.equal(store.spans, batches.length * template.records);
		const verdict = await verify(second.addresses.http, { acked: batches, refused: [], unknown: [] });
		assertClean(verdict);
		printFigures(context, "sent again after kill -9 across windows", {
			batches: batches.length,
			windows: store.windows.length,
			lost: verdict.lost,
			double: verdict.double,
		});
	} finally {
		await second.stop();
	}
});
