import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getSpanIds, getStatus } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";
import type { RunningServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import type { Batch } from "./batches.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { assertClean, sample, verify } from "./ledger.ts";
import type { Ledger, Verdict } from "./ledger.ts";
import { deliver } from "./load.ts";
import { grpcSender, httpSender } from "./sending.ts";
import type { Outcome, Sender } from "./sending.ts";
import { mountSmallDisk } from "./small-disk.ts";
import { temporaryFolder } from "./temporary.ts";

const MIB = 1 << 20;
const RESUME_BAR_MS = 5_000;
/** How long senders go on against a full disk. */
const FULL_FOR_MS = 1_500;
/** The disk holds some 500 batches; those before them are gone with their windows. */
const MAX_OLD_BATCHES = 700;
/** Of those, looked up again in each round; all of them in the last. */
const OLD_BATCHES_A_ROUND = 50;
/** 100 records of 4,000 characters: some 300 kB on disk whatever the compression. */
const template = makeTemplate({
	signal: "traces",
	traces: 20,
	recordsPerTrace: 5,
	serviceName: "full-disk",
	fillerCharacters: 4_000,
});

interface Senders extends Disposable {
	readonly http: Sender;
	readonly grpc: Sender;
}

function openSenders(server: RunningServer): Senders {
	const http = httpSender(server.addresses.otlpHttp);
	const grpc = grpcSender(server.addresses.otlpGrpc);
	return {
		http,
		grpc,
		[Symbol.dispose]() {
			http.close();
			grpc.close();
		},
	};
}

function assertRetryable(outcome: Outcome): void {
	if (outcome.kind === "acked") return;
	assert.equal(outcome.kind, "refused", JSON.stringify(outcome));
	assert.ok(outcome.kind === "refused" && outcome.retryable, JSON.stringify(outcome));
	assert.ok((outcome.retryAfterSeconds ?? 0) > 0, `a refusal says when to come again: ${JSON.stringify(outcome)}`);
}

/** Reads acknowledged traces for as long as it runs; `stop` returns how many, and throws what went wrong. */
function startReading(server: RunningServer, acked: readonly Batch[], mayBeGone: boolean): { stop(): Promise<number> } {
	const stopping = new AbortController();
	let reads = 0;
	const reading = (async () => {
		while (!stopping.signal.aborted) {
			const batch = acked[Math.floor(Math.random() * acked.length)];
			if (batch !== undefined) {
				const spans = await getSpanIds(server.addresses.http, batch.traceIds[reads % batch.traceIds.length]!);
				const isWhole = spans.length === batch.recordsPerTrace;
				assert.ok(isWhole || (mayBeGone && spans.length === 0), `${spans.length} spans of ${batch.recordsPerTrace}`);
				reads++;
				await getStatus(server.addresses.http);
			}
			await delay(10);
		}
	})();
	// Its failure is thrown by `stop`; until then it must not count as unhandled.
	reading.catch(() => undefined);
	return {
		async stop() {
			stopping.abort();
			await reading;
			return reads;
		},
	};
}

/** A window may go between two lookups of a batch; what is really torn is so at the second look too. */
async function verifySettled(server: RunningServer, ledger: Ledger): Promise<Verdict> {
	const verdict = await verify(server.addresses.http, ledger);
	return verdict.torn === 0 ? verdict : verify(server.addresses.http, ledger);
}

/** Sends in turns over HTTP and gRPC until the first refusal. */
async function sendUntilRefused(senders: Senders, acked: Batch[], timeoutMs: number): Promise<Batch | undefined> {
	const deadlineMs = performance.now() + timeoutMs;
	for (let i = 0; performance.now() < deadlineMs; i++) {
		const batch = template.make(Date.now());
		const outcome = await (i % 2 === 0 ? senders.http : senders.grpc).send(batch);
		assertRetryable(outcome);
		if (outcome.kind !== "acked") return batch;
		acked.push(batch);
	}
	return undefined;
}

test("on a full disk senders are told to retry, reads go on, and ingest resumes once there is room", async (context: TestContext) => {
	await using folder = await temporaryFolder("full-disk");
	const disk = await mountSmallDisk(folder.path, 192 * MIB);
	if (disk === undefined) {
		context.skip("mounting a tmpfs takes root; the test with a file size limit covers the same refusals");
		return;
	}
	await using _unmount = disk;
	const server = await startServer({ dataDirectory: `${disk.path}/data` });
	try {
		using senders = openSenders(server);
		const old: Batch[] = [];
		const figures = { rounds: 0, refused: 0, reads: 0, "resumed ms max": 0, checked: 0, lost: 0, double: 0 };
		for (let round = 0; round < FIGURES.fullDiskRounds; round++) {
			// With little stored no window may go; later the oldest makes room, whole, as retention would have it.
			const isStrict = round === 0;
			await disk.fillExcept(6 * MIB);
			const acked: Batch[] = [];
			const refused: Batch[] = [];
			const first = await sendUntilRefused(senders, acked, 30_000);
			assert.ok(first !== undefined, `round ${round}: the disk never became full; ${await disk.freeBytes()} bytes free`);
			refused.push(first);
			const reading = startReading(server, [...old, ...acked], !isStrict);
			const untilMs = performance.now() + FULL_FOR_MS;
			while (performance.now() < untilMs) {
				for (const sender of [senders.http, senders.grpc]) {
					const batch = template.make(Date.now());
					const outcome = await sender.send(batch);
					assertRetryable(outcome);
					(outcome.kind === "acked" ? acked : refused).push(batch);
				}
				await delay(20);
			}
			figures.reads += await reading.stop();
			assertClean(await verifySettled(server, { acked: isStrict ? acked : [], refused, unknown: isStrict ? [] : acked }));
			figures.refused += refused.length;

			await disk.makeRoom();
			const roomMs = performance.now();
			const resumed: Batch[] = [];
			for (const batch of refused.slice(0, 10)) {
				const delivery = await deliver(
					resumed.length % 2 === 0 ? senders.http : senders.grpc,
					batch,
					RESUME_BAR_MS * 2,
					50,
				);
				assert.equal(delivery.outcome.kind, "acked", JSON.stringify(delivery.outcome));
				if (resumed.length === 0) {
					const resumedMs = performance.now() - roomMs;
					assert.ok(resumedMs <= RESUME_BAR_MS, `resumed after ${resumedMs.toFixed(0)} ms`);
					figures["resumed ms max"] = Math.max(figures["resumed ms max"], resumedMs);
				}
				resumed.push(batch);
			}
			const isLast = round === FIGURES.fullDiskRounds - 1;
			const known = { acked: old, refused: [], unknown: [] };
			const verdict = await verifySettled(server, {
				acked: isStrict ? [...acked, ...resumed] : resumed,
				refused: refused.slice(10),
				unknown: isStrict ? [] : [...(isLast ? old : sample(known, OLD_BATCHES_A_ROUND).acked), ...acked],
			});
			assertClean(verdict);
			figures.checked += verdict.checked;
			figures.lost += verdict.lost;
			figures.double += verdict.double;
			old.push(...[...acked, ...resumed].map((batch) => ({ ...batch, bytes: new Uint8Array(0) })));
			old.splice(0, Math.max(0, old.length - MAX_OLD_BATCHES));
			figures.rounds++;
		}
		assert.ok(figures.reads > 0);
		printFigures(context, "full disk", figures);
	} finally {
		await server.stop();
	}
});

test("on a disk that stays full the oldest window makes room by itself", async (context: TestContext) => {
	await using folder = await temporaryFolder("full-windows");
	const disk = await mountSmallDisk(folder.path, 192 * MIB);
	if (disk === undefined) {
		context.skip("mounting a tmpfs takes root");
		return;
	}
	await using _unmount = disk;
	const server = await startServer({ dataDirectory: `${disk.path}/data`, flags: ["--window", "2s"] });
	try {
		using senders = openSenders(server);
		await disk.fillExcept(40 * MIB);
		const acked: Batch[] = [];
		const reading = startReading(server, acked, true);
		const figures = { refused: 0, acked: 0, reads: 0, "longest refusal ms": 0 };
		// Some 15 MB/s: the disk is full several times over while windows of 2 s come and go.
		const untilMs = performance.now() + 12_000;
		while (performance.now() < untilMs) {
			const batch = template.make(Date.now());
			const startedMs = performance.now();
			const delivery = await deliver(senders.http, batch, RESUME_BAR_MS * 2, 50);
			assert.equal(delivery.outcome.kind, "acked", JSON.stringify(delivery));
			if (delivery.attempts > 1) {
				figures.refused += delivery.attempts - 1;
				figures["longest refusal ms"] = Math.max(figures["longest refusal ms"], performance.now() - startedMs);
			}
			acked.push({ ...batch, bytes: new Uint8Array(0) });
			figures.acked++;
			await delay(20);
		}
		figures.reads = await reading.stop();
		assert.ok(
			figures["longest refusal ms"] <= RESUME_BAR_MS + 2_000,
			`refused for ${figures["longest refusal ms"].toFixed(0)} ms`,
		);
		// The newest data is what must not have gone.
		assertClean(await verifySettled(server, { acked: acked.slice(-5), refused: [], unknown: acked.slice(0, -5) }));
		const { store } = await getStatus(server.addresses.http);
		assert.ok(store.spans < acked.length * template.records, "no window was removed: the disk was not full");
		printFigures(context, "full disk, windows removed", figures);
	} finally {
		await server.stop();
	}
});

test("a file that may not grow is a full disk: refusals are retryable, reads go on, the next window takes what comes", async (context: TestContext) => {
	await using folder = await temporaryFolder("file-limit");
	// bash counts the limit in KiB. The node process itself ignores SIGXFSZ, so that a write fails instead.
	const server = await startServer({
		dataDirectory: `${folder.path}/data`,
		flags: ["--window", "5s"],
		shellPrefix: `ulimit -f ${6 * 1024}`,
	});
	try {
		using senders = openSenders(server);
		const acked: Batch[] = [];
		const first = await sendUntilRefused(senders, acked, 30_000);
		assert.ok(first !== undefined, "the limit was never reached");
		const reading = startReading(server, [...acked], false);
		const refusedMs = performance.now();
		const delivery = await deliver(senders.grpc, first, RESUME_BAR_MS * 4, 50);
		const resumedMs = performance.now() - refusedMs;
		assert.equal(delivery.outcome.kind, "acked", JSON.stringify(delivery.outcome));
		// The window ends first, then the next one takes it.
		assert.ok(resumedMs <= RESUME_BAR_MS + 5_000, `resumed after ${resumedMs.toFixed(0)} ms`);
		const reads = await reading.stop();
		acked.push(first);
		const verdict = await verify(server.addresses.http, { acked, refused: [], unknown: [] });
		assertClean(verdict);
		printFigures(context, "file size limit", {
			acked: acked.length,
			reads,
			"resumed ms": resumedMs,
			lost: verdict.lost,
			double: verdict.double,
		});
	} finally {
		await server.stop();
	}
});
