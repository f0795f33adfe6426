import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ConnectFailure, UpstreamConnection } from "./connector.ts";
import { createConnectionQueue } from "./http-pool.ts";
import type { Waiting } from "./http-pool.ts";

const FAILED: ConnectFailure = { reason: "connect_failure", message: "refused", tlsReason: "" };

/** Connections made when the test says so, and limits that are counted. */
function rig(maxConnections: number, maxPending: number) {
	const pendingConnects: ((failure: ConnectFailure | undefined, made: UpstreamConnection | undefined) => void)[] = [];
	const counts = { connections: 0, pending: 0, live: 0 };
	const outcomes: string[] = [];
	const queue = createConnectionQueue<object>(
		{
			connect(done) {
				pendingConnects.push(done);
				return () => {};
			},
			limits: {
				tryPending: () => counts.pending < maxPending && ++counts.pending > 0,
				endPending: () => counts.pending--,
				tryConnection: () => counts.connections < maxConnections && ++counts.connections > 0,
				endConnection: () => counts.connections--,
			},
			idleTimeoutMs: 0,
			maxRequestsPerConnection: 0,
		},
		() => counts.live,
		(_connection, counted) => {
			counts.live++;
			const next = queue.next();
			if (next !== undefined) next.start({});
			else if (counted) {
				// Nobody wants it any more.
				counts.live--;
				counts.connections--;
			}
		},
	);
	const call = (name: string): Waiting<object> => ({
		start: () => void outcomes.push(`${name} started`),
		fail: () => void outcomes.push(`${name} failed`),
	});
	return { queue, counts, outcomes, call, pendingConnects };
}

const MADE = {} as UpstreamConnection;

test("one connection is made for each call that waits, and the oldest gets the first", () => {
	const { queue, outcomes, call, pendingConnects } = rig(10, 10);
	queue.wait(call("a"));
	queue.wait(call("b"));
	assert.equal(pendingConnects.length, 2);
	pendingConnects[1]!(undefined, MADE);
	pendingConnects[0]!(undefined, MADE);
	assert.deepEqual(outcomes, ["a started", "b started"]);
});

test("a connection that fails fails the oldest alone while another is under way", () => {
	const { queue, outcomes, call, pendingConnects, counts } = rig(10, 10);
	queue.wait(call("a"));
	queue.wait(call("b"));
	pendingConnects[0]!(FAILED, undefined);
	assert.deepEqual(outcomes, ["a failed"]);
	pendingConnects[1]!(FAILED, undefined);
	assert.deepEqual(outcomes, ["a failed", "b failed"]);
	assert.deepEqual(counts, { connections: 0, pending: 0, live: 0 });
});

test("beyond the limit of connections calls wait; one connection is allowed whatever the limit says", () => {
	const { queue, call, pendingConnects } = rig(0, 10);
	queue.wait(call("a"));
	queue.wait(call("b"));
	assert.equal(pendingConnects.length, 1);
});

test("places are given back whatever happens, and no call is lost or told twice", () => {
	const step = fc.record({ what: fc.constantFrom("wait", "made", "failed", "giveUp"), which: fc.nat(9) });
	fc.assert(
		fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, maxConnections) => {
			const { queue, counts, outcomes, call, pendingConnects } = rig(maxConnections, 8);
			const waiting = new Map<string, () => void>();
			const accepted: string[] = [];
			let givenUp = 0;
			for (const [i, { what, which }] of steps.entries()) {
				if (what === "wait") {
					const name = `c${i}`;
					const giveUp = queue.wait(call(name));
					if (giveUp === undefined) continue;
					accepted.push(name);
					waiting.set(name, giveUp);
				} else if (what === "giveUp") {
					const name = [...waiting.keys()].filter((one) => !outcomes.some((told) => told.startsWith(`${one} `)))[which];
					if (name === undefined) continue;
					waiting.get(name)!();
					waiting.delete(name);
					givenUp++;
				} else {
					const [done] = pendingConnects.splice(which % Math.max(1, pendingConnects.length), 1);
					done?.(what === "failed" ? FAILED : undefined, what === "made" ? MADE : undefined);
				}
			}
			// Whatever is still being made fails at last.
			while (pendingConnects.length > 0) pendingConnects.shift()!(FAILED, undefined);
			const stillWaiting = accepted.length - outcomes.length - givenUp;
			assert.equal(counts.pending, stillWaiting);
			assert.equal(new Set(outcomes.map((told) => told.split(" ")[0])).size, outcomes.length);
			// With a connection there, others wait for it to be free; without any nobody waits.
			if (counts.live === 0) assert.equal(stillWaiting, 0);
		}),
		{ numRuns: 300 },
	);
});
