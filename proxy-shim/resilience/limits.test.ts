import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createLimits, createRetryBudget, createTokenBucket } from "./limits.ts";

const SETTINGS = {
	maxConnections: 2,
	maxPendingRequests: 1,
	maxRequests: 3,
	maxRetries: 0,
	maxRequestsPerConnection: 0,
	connectTimeoutMs: 10_000,
	idleTimeoutMs: 3_600_000,
};

test("a limit says no at its maximum, counts that, and says yes again after a release", () => {
	const { connections } = createLimits(SETTINGS);
	assert.deepEqual(
		[connections.tryAcquire(), connections.tryAcquire(), connections.tryAcquire(), connections.tryAcquire()],
		[true, true, false, false],
	);
	assert.deepEqual([connections.active, connections.overflows], [2, 2]);
	connections.release();
	assert.equal(connections.tryAcquire(), true);
	assert.deepEqual([connections.active, connections.overflows], [2, 2]);
});

test("the four limits count each for itself, and a limit of 0 always says no", () => {
	const limits = createLimits(SETTINGS);
	assert.deepEqual([limits.connections.max, limits.pending.max, limits.requests.max, limits.retries.max], [2, 1, 3, 0]);
	assert.equal(limits.retries.tryAcquire(), false);
	assert.equal(limits.pending.tryAcquire(), true);
	assert.deepEqual([limits.pending.active, limits.requests.active, limits.connections.active], [1, 0, 0]);
});

test("one release too many does not raise a limit", () => {
	const { pending } = createLimits(SETTINGS);
	pending.release();
	assert.equal(pending.active, 0);
	assert.deepEqual([pending.tryAcquire(), pending.tryAcquire()], [true, false]);
});

test("the budget is a share of the active requests, and never less than its minimum", () => {
	for (const [activeRequests, expected] of [
		[0, 3],
		[15, 3],
		[19, 3],
		[20, 4],
		[24, 4],
		[25, 5],
		[1_000, 200],
	] as const) {
		const budget = createRetryBudget({ percent: 20, minConcurrent: 3 });
		let granted = 0;
		while (budget.tryAcquire(activeRequests)) granted++;
		assert.equal(granted, expected, `${activeRequests} active`);
		assert.equal(budget.overflows, 1);
	}
});

test("retries under way never exceed the budget at the moment they begin", () => {
	const steps = fc.array(fc.record({ active: fc.nat(200), release: fc.boolean() }), { maxLength: 200 });
	fc.assert(
		fc.property(fc.nat(100), fc.nat(5), steps, (percent, minConcurrent, all) => {
			const budget = createRetryBudget({ percent, minConcurrent });
			for (const { active, release } of all) {
				if (release) budget.release();
				else if (budget.tryAcquire(active)) {
					assert.ok(budget.active <= Math.max(minConcurrent, (percent / 100) * active + 1e-9));
				} else assert.ok(budget.active + 1 > Math.max(minConcurrent, Math.floor((percent * active) / 100)));
				assert.ok(budget.active >= 0);
			}
		}),
	);
});

test("a bucket is full at first, then gives what is filled in", () => {
	const bucket = createTokenBucket({ maxTokens: 3, tokensPerFill: 2, fillIntervalMs: 1_000 });
	assert.deepEqual(
		[0, 0, 0, 0].map((nowMs) => bucket.tryConsume(nowMs)),
		[true, true, true, false],
	);
	assert.equal(bucket.retryAfterMs(0), 500);
	assert.equal(bucket.tryConsume(499), false);
	assert.equal(bucket.tryConsume(500), true);
	assert.equal(bucket.tryConsume(500), false);
	// Never more than it holds.
	assert.deepEqual(
		[0, 1, 2, 3].map(() => bucket.tryConsume(3_600_000)),
		[true, true, true, false],
	);
});

test("a bucket gives no more in any time than it holds and what is filled in that time, whatever the clock does", () => {
	const settings = fc.record({
		maxTokens: fc.nat(20),
		tokensPerFill: fc.nat(20),
		fillIntervalMs: fc.integer({ min: 1, max: 1_000 }),
	});
	const waits = fc.array(fc.integer({ min: -50, max: 300 }), { maxLength: 200 });
	fc.assert(
		fc.property(settings, waits, (each, all) => {
			const bucket = createTokenBucket(each);
			let nowMs = 1_000;
			let latestMs = nowMs;
			let given = 0;
			for (const waitMs of all) {
				nowMs += waitMs;
				latestMs = Math.max(latestMs, nowMs);
				if (bucket.tryConsume(nowMs)) given++;
				const filled = ((latestMs - 1_000 + 50) * each.tokensPerFill) / each.fillIntervalMs;
				assert.ok(given <= each.maxTokens + filled + 1e-6);
			}
		}),
	);
});

test("a clock that goes back fills nothing twice", () => {
	const bucket = createTokenBucket({ maxTokens: 1, tokensPerFill: 1, fillIntervalMs: 100 });
	assert.equal(bucket.tryConsume(1_000), true);
	assert.equal(bucket.tryConsume(0), false);
	assert.equal(bucket.tryConsume(1_000), false);
	assert.equal(bucket.tryConsume(1_100), true);
});

test("a bucket that can never hold a token says so", () => {
	assert.equal(
		createTokenBucket({ maxTokens: 0, tokensPerFill: 5, fillIntervalMs: 10 }).retryAfterMs(0),
		Number.POSITIVE_INFINITY,
	);
	const empty = createTokenBucket({ maxTokens: 1, tokensPerFill: 0, fillIntervalMs: 10 });
	assert.equal(empty.tryConsume(0), true);
	assert.equal(empty.retryAfterMs(5), Number.POSITIVE_INFINITY);
});
