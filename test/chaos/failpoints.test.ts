import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { startServer } from "../interop/server.ts";
import { makeTemplate } from "./batches.ts";
import { FIGURES, READY_BAR_MS, printFigures } from "./figures.ts";
import { assertClean, emptyLedger, sample, verify } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import { mixedStreams, startLoad } from "./load.ts";
import type { Stream } from "./load.ts";
import { temporaryFolder } from "./temporary.ts";

/** Places in the engine where a process may end; MESHSCOPE_FAILPOINT=name:n kills it the n-th time it gets there. */
const FAILPOINTS = ["before-commit", "after-commit", "mid-merge", "before-merge-commit"] as const;

/** Of earlier rounds, looked up again in each. */
const EARLIER_BATCHES = 50;
/** Merging waits for the topology, which flushes every 2 s: what is sent until then is all looked up afterwards. */
const MERGE_PAUSE_MS = 50;
/** Merging begins once enough fresh blocks lie there; until then there is nothing to stop in. */
const REACH_TIMEOUT_MS = 30_000;

for (const failpoint of FAILPOINTS) {
	test(`nothing acknowledged is lost or doubled when the process ends ${failpoint}`, async (context: TestContext) => {
		await using folder = await temporaryFolder(`failpoint-${failpoint}`);
		const streams = mixedStreams();
		const pauseMs = failpoint.includes("merge") ? MERGE_PAUSE_MS : 5;
		const earlier = emptyLedger();
		const total = { checked: 0, lost: 0, double: 0, torn: 0, "ready ms max": 0 };
		for (let round = 1; round <= FIGURES.failpointRounds; round++) {
			// Commits come often: stop in a different one each time. Merges are rare: the first or second will do.
			const nth = failpoint.endsWith("-commit") && !failpoint.includes("merge") ? round * 3 : 1 + (round % 2);
			const ledger = emptyLedger();
			const doomed = await startServer({ dataDirectory: folder.path, env: { MESHSCOPE_FAILPOINT: `${failpoint}:${nth}` } });
			try {
				const load = startLoad(doomed.addresses, ledger, streams, pauseMs);
				const how = await Promise.race([doomed.exited, delay(REACH_TIMEOUT_MS, "not reached", { ref: false })]);
				await doomed.kill();
				await load.stop();
				assert.equal(how, "signal SIGKILL", `${failpoint}:${nth}: ${how}\n${doomed.said()}`);
			} finally {
				await doomed.kill();
			}
			const server = await startServer({ dataDirectory: folder.path });
			try {
				total["ready ms max"] = Math.max(total["ready ms max"], server.readyMs);
				assert.ok(server.readyMs <= 2 * READY_BAR_MS, `ready in ${server.readyMs.toFixed(0)} ms`);
				// All of this round, some of each before it; in the end all of them.
				const known = round < FIGURES.failpointRounds ? sample(earlier, EARLIER_BATCHES) : earlier;
				const judged: Ledger = { ...ledger, acked: [...known.acked, ...ledger.acked] };
				earlier.acked.push(...ledger.acked);
				const verdict = await verify(server.addresses.http, judged);
				assertClean(verdict);
				total.checked += verdict.checked;
				total.lost += verdict.lost;
				total.double += verdict.double;
				total.torn += verdict.torn;
			} finally {
				await server.stop();
			}
		}
		printFigures(context, `failpoint ${failpoint}`, { rounds: FIGURES.failpointRounds, ...total });
	});
}

test("nothing younger than the removed window is lost when the process ends mid-unlink", async (context: TestContext) => {
	// Some 300 kB a batch whatever the compression, so that the bound is reached after some seconds and windows of 1 s.
	const filling = makeTemplate({
		signal: "traces",
		traces: 20,
		recordsPerTrace: 5,
		serviceName: "unlink",
		fillerCharacters: 4_000,
	});
	const streams: Stream[] = [
		{ template: filling, over: "http" },
		{ template: filling, over: "grpc" },
	];
	const flags = ["--window", "1s", "--max-disk", "24MiB"];
	const total = { checked: 0, lost: 0, double: 0, torn: 0 };
	for (let round = 1; round <= FIGURES.failpointRounds; round++) {
		// A directory of its own: over its bound from before, a server would unlink while it starts.
		await using folder = await temporaryFolder("failpoint-mid-unlink");
		const ledger = emptyLedger();
		const doomed = await startServer({ dataDirectory: folder.path, flags, env: { MESHSCOPE_FAILPOINT: "mid-unlink:1" } });
		try {
			const load = startLoad(doomed.addresses, ledger, streams, 50);
			const how = await Promise.race([doomed.exited, delay(REACH_TIMEOUT_MS, "not reached", { ref: false })]);
			await doomed.kill();
			await load.stop();
			assert.equal(how, "signal SIGKILL", `mid-unlink: ${how}\n${doomed.said()}`);
		} finally {
			await doomed.kill();
		}
		// The bound is lifted, so that what the crash left is what is judged.
		const server = await startServer({ dataDirectory: folder.path });
		try {
			// A batch lies in one window: a removed one is gone whole, as one without an answer may be.
			const young = ledger.acked.slice(-10);
			const older = ledger.acked.slice(-50, -10);
			const verdict = await verify(server.addresses.http, {
				acked: young,
				refused: ledger.refused,
				unknown: [...older, ...ledger.unknown],
			});
			assertClean(verdict);
			total.checked += verdict.checked;
			total.lost += verdict.lost;
			total.double += verdict.double;
			total.torn += verdict.torn;
		} finally {
			await server.stop();
		}
	}
	printFigures(context, "failpoint mid-unlink", { rounds: FIGURES.failpointRounds, ...total });
});
