import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backoffMs, renewAtMs } from "./renewal.ts";

test("a certificate is renewed at half of its life, give or take one percent", () => {
	const hour = 3_600_000;
	assert.equal(renewAtMs(0, 24 * hour, 0.5), 12 * hour);
	fc.assert(
		fc.property(
			fc.integer({ min: 0, max: 2e12 }),
			fc.integer({ min: 1_000, max: 90 * 86_400_000 }),
			fc.double({ min: 0, max: 1, noNaN: true }),
			(received, life, random) => {
				const share = (renewAtMs(received, received + life, random) - received) / life;
				assert.ok(share >= 0.49 - 1e-6 && share <= 0.51 + 1e-6, `${share}`);
			},
		),
	);
});

test("attempts wait longer and longer up to a bound, never nothing, and never all alike", () => {
	const bounds = { baseMs: 500, maxMs: 30_000 };
	assert.deepEqual(
		[0, 1, 2, 6, 100].map((attempt) => backoffMs(attempt, 1, bounds)),
		[500, 1_000, 2_000, 30_000, 30_000],
	);
	assert.equal(backoffMs(0, 0, bounds), 50);
	assert.equal(backoffMs(100, 0, bounds), 3_000);
});
