/** Each balancer against the same cluster of simulated hosts, of which one is slow: seeded, and no clock but its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../bench/mesh.ts";
import type { LoadBalancer } from "../../../model/mesh/proxy-config.ts";
import { contextOf, hostsOf } from "../../../test/mechanisms/hosts.ts";
import type { Host } from "../host.ts";
import { createPicker } from "./picker.ts";

interface Outcome {
	/** Of all requests, those that the slow host got. */
	readonly slowShare: number;
	readonly meanMs: number;
}

/** Requests come at random, on average each 4 ms; hosts answer in 10 ms ± half, the last one in 150 ms ± half. */
function simulate(lb: LoadBalancer, seed: number): Outcome {
	const random = seededRandom(seed);
	const picker = createPicker(lb, random);
	const hosts = hostsOf(5);
	const slow = hosts.at(-1);
	const underWay: { readonly host: Host; readonly startedMs: number; readonly endsMs: number }[] = [];
	let nowMs = 1_000;
	let toSlow = 0;
	let totalMs = 0;
	const REQUESTS = 5_000;
	for (let request = 0; request < REQUESTS; request++) {
		nowMs += -4 * Math.log(1 - random());
		underWay.sort((a, b) => b.endsMs - a.endsMs);
		for (let last = underWay.at(-1); last !== undefined && last.endsMs <= nowMs; last = underWay.at(-1)) {
			underWay.pop();
			last.host.activeRequests--;
			picker.onDone(last.host, last.endsMs - last.startedMs, last.endsMs, false);
		}
		const host = picker.pick(hosts, contextOf({ nowMs, hash: Math.floor(random() * 2 ** 32) }))!;
		host.activeRequests++;
		picker.onStart(host);
		const tookMs = (host === slow ? 150 : 10) * (0.5 + random());
		underWay.push({ host, startedMs: nowMs, endsMs: nowMs + tookMs });
		if (host === slow) toSlow++;
		totalMs += tookMs;
	}
	return { slowShare: toSlow / REQUESTS, meanMs: totalMs / REQUESTS };
}

test("peak EWMA sends a slow host less than least request does, and that less than round robin", () => {
	for (const seed of [1, 2, 3, 4, 5]) {
		const ewma = simulate({ kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 }, seed);
		const leastRequest = simulate({ kind: "least_request" }, seed);
		const roundRobin = simulate({ kind: "round_robin" }, seed);
		assert.ok(ewma.slowShare < 0.5 * leastRequest.slowShare, `${ewma.slowShare} against ${leastRequest.slowShare}`);
		assert.ok(
			leastRequest.slowShare < 0.6 * roundRobin.slowShare,
			`${leastRequest.slowShare} against ${roundRobin.slowShare}`,
		);
		assert.ok(ewma.meanMs < leastRequest.meanMs && leastRequest.meanMs < roundRobin.meanMs);
		assert.ok(ewma.slowShare > 0, "a slow host is still tried");
	}
});

test("those that do not look at load send every host its share", () => {
	for (const lb of [{ kind: "round_robin" }, { kind: "random" }] as const) {
		const { slowShare } = simulate(lb, 7);
		assert.ok(Math.abs(slowShare - 0.2) < 0.02, `${lb.kind}: ${slowShare}`);
	}
});
