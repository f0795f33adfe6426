import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { getStatus } from "../interop/api.ts";
import { runCommand } from "../interop/fetch/cache.ts";
import { MAIN, startServer } from "../interop/server.ts";
import { FIGURES, READY_BAR_MS, printFigures } from "./figures.ts";
import { assertClean, emptyLedger, sample, verify } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { mixedStreams, startLoad } from "./load.ts";
import type { Load } from "./load.ts";
import { temporaryFolder } from "./temporary.ts";

/** Acknowledgements after which the server is killed, and then a little later still: never at the same moment twice. */
const MAX_ACKS_BEFORE_KILL = 40;
const MAX_PAUSE_BEFORE_KILL_MS = 60;
/** A machine with other work may take its time; a cycle that acknowledged nothing has tested nothing. */
const MAX_CYCLE_MS = 10_000;

async function untilKill(load: Load): Promise<void> {
	const acks = 1 + Math.floor(Math.random() * MAX_ACKS_BEFORE_KILL);
	const deadlineMs = performance.now() + MAX_CYCLE_MS;
	while (load.outcomes.acked < acks && performance.now() < deadlineMs) await delay(2);
	await delay(Math.random() * MAX_PAUSE_BEFORE_KILL_MS);
}

test(`no acknowledged record is lost or doubled over ${FIGURES.crashCycles} kill -9 under load`, async (context: TestContext) => {
	await using folder = await temporaryFolder("crash");
	const streams = mixedStreams();
	const everything: Ledger = emptyLedger();
	const readyMs: number[] = [];
	const total = { checked: 0, lost: 0, double: 0, torn: 0 };
	let previous = emptyLedger();
	let unknownSpansStored = 0;
	let unknownLogsStored = 0;
	for (let cycle = 0; cycle <= FIGURES.crashCycles; cycle++) {
		const server = await startServer({ dataDirectory: folder.path });
		try {
			if (cycle > 0) readyMs.push(server.readyMs);
			for (const signal of ["traces", "logs"] as const) {
				const verdict = await verify(server.addresses.http, onlySignal(previous, signal));
				assertClean(verdict);
				total.checked += verdict.checked;
				total.lost += verdict.lost;
				total.double += verdict.double;
				total.torn += verdict.torn;
				if (signal === "traces") unknownSpansStored += verdict.unknownStored;
				else unknownLogsStored += verdict.unknownStored;
			}
			if (cycle === FIGURES.crashCycles) {
				await assertTotals(server.addresses.http, everything, unknownSpansStored, unknownLogsStored);
				// Old cycles again: later crashes and merges must not have touched them.
				assertClean(await verify(server.addresses.http, sample(everything, 200)));
				await server.stop();
				break;
			}
			previous = emptyLedger();
			const load = startLoad(server.addresses, previous, streams, 5);
			await untilKill(load);
			await server.kill();
			await load.stop();
			assert.ok(load.outcomes.acked > 0, `cycle ${cycle} acknowledged nothing`);
			assert.equal(load.outcomes.refused, 0, "this load is far below what the server can take");
			for (const kind of ["acked", "refused", "unknown"] as const) everything[kind].push(...previous[kind]);
		} finally {
			await server.kill();
		}
	}
	// Exit code 0 is what it says: every block of every window read and checked against its checksum and its index.
	await runCommand(process.execPath, [MAIN, "verify", "--data", folder.path]);
	readyMs.sort((a, b) => a - b);
	const p90 = readyMs[Math.floor(readyMs.length * 0.9)] ?? 0;
	printFigures(context, "kill -9 under load", {
		cycles: FIGURES.crashCycles,
		"batches acknowledged": everything.acked.length,
		"batches unanswered": everything.unknown.length,
		...total,
		"ready ms p90": p90,
		"ready ms max": readyMs.at(-1) ?? 0,
	});
	assert.ok(p90 <= READY_BAR_MS, `ready after a crash: p90 ${p90.toFixed(0)} ms`);
});

function onlySignal(ledger: Ledger, signal: "traces" | "logs"): Ledger {
	const only = (batches: Ledger["acked"]) => batches.filter((batch) => batch.signal === signal);
	return { acked: only(ledger.acked), refused: only(ledger.refused), unknown: only(ledger.unknown) };
}

async function assertTotals(http: string, ledger: Ledger, unknownSpans: number, unknownLogs: number): Promise<void> {
	const { store } = await getStatus(http);
	const records = (signal: "traces" | "logs") =>
		ledger.acked.filter((batch) => batch.signal === signal).reduce((sum, batch) => sum + batch.spanIds.length, 0);
	assert.equal(store.spans, records("traces") + unknownSpans, "spans that the store counts");
	assert.equal(store.logs, records("logs") + unknownLogs, "log records that the store counts");
	assert.deepEqual(
		store.windows.filter((window) => window.state === "damaged"),
		[],
	);
}
