import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../bench/mesh.ts";
import { askUntil } from "../interop/api.ts";
import { startServer } from "../interop/server.ts";
import { FIGURES, printFigures } from "./figures.ts";
import { PairTraffic } from "./pair-traffic.ts";
import { temporaryFolder } from "./temporary.ts";

/** Flushes come every 2 s: crashes must fall before, into and behind some. */
const MAX_RUN_MS = 5_000;
const MIN_ACKED = 3;
const REACH_TIMEOUT_MS = 30_000;
/** A half that stays alone is stated after 30 s. */
const COMPLETE_MS = 60_000;

async function assertFinally(traffic: PairTraffic, dataDirectory: string): Promise<void> {
	const server = await startServer({ dataDirectory });
	try {
		const { http } = server.addresses;
		await traffic.drain(server.addresses);
		assert.ok(await askUntil(() => traffic.isComplete(http), Boolean, COMPLETE_MS), "every call is in the graph");
		await traffic.assertGraph(http);
	} finally {
		await server.stop();
	}
	// What was only in memory would be gone now, and what is read again must not be counted again.
	const again = await startServer({ dataDirectory });
	try {
		await delay(3_000);
		await traffic.assertGraph(again.addresses.http);
	} finally {
		await again.stop();
	}
}

test(`the graph counts what was acknowledged, once, over ${FIGURES.topologyCycles} kill -9 under load`, async (context: TestContext) => {
	await using folder = await temporaryFolder("topology-crash");
	const seed = Math.floor(Math.random() * 2 ** 31);
	context.diagnostic(`seed ${seed}`);
	const random = seededRandom(seed);
	const traffic = new PairTraffic(random, { lonely: "now" });
	for (let cycle = 0; cycle < FIGURES.topologyCycles; cycle++) {
		const server = await startServer({ dataDirectory: folder.path });
		try {
			const load = traffic.start(server.addresses);
			await delay(random() * MAX_RUN_MS);
			await askUntil(
				async () => load.acked(),
				(acked) => acked >= MIN_ACKED,
				REACH_TIMEOUT_MS,
			);
			await server.kill();
			await load.stop();
			assert.ok(load.acked() >= MIN_ACKED, `cycle ${cycle} acknowledged next to nothing`);
		} finally {
			await server.kill();
		}
	}
	await assertFinally(traffic, folder.path);
	printFigures(context, "edges over kill -9", { cycles: FIGURES.topologyCycles, calls: traffic.callsMade });
});

for (const failpoint of ["before-topology-commit", "after-topology-commit"]) {
	test(`the graph counts what was acknowledged, once, when the process ends ${failpoint}`, async (context: TestContext) => {
		await using folder = await temporaryFolder(failpoint);
		const traffic = new PairTraffic(seededRandom(failpoint.length));
		for (let round = 0; round < FIGURES.failpointRounds; round++) {
			const env = { MESHSCOPE_FAILPOINT: `${failpoint}:${1 + (round % 3)}` };
			const doomed = await startServer({ dataDirectory: folder.path, env });
			try {
				const load = traffic.start(doomed.addresses);
				const how = await Promise.race([doomed.exited, delay(REACH_TIMEOUT_MS, "not reached", { ref: false })]);
				await doomed.kill();
				await load.stop();
				assert.equal(how, "signal SIGKILL", `${JSON.stringify(env)}: ${how}\n${doomed.said()}`);
			} finally {
				await doomed.kill();
			}
		}
		await assertFinally(traffic, folder.path);
		printFigures(context, failpoint, { rounds: FIGURES.failpointRounds, calls: traffic.callsMade });
	});
}

test("each batch sent three times counts as one", async (context: TestContext) => {
	await using folder = await temporaryFolder("topology-thrice");
	const traffic = new PairTraffic(seededRandom(3), { copies: 3 });
	const server = await startServer({ dataDirectory: folder.path });
	try {
		const load = traffic.start(server.addresses);
		await delay(4_000);
		await load.stop();
	} finally {
		await server.stop();
	}
	await assertFinally(traffic, folder.path);
	printFigures(context, "batches sent three times", { calls: traffic.callsMade });
});
