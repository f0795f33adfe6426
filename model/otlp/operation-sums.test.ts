import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationSums } from "./operation-sums.ts";

test("spans of one name and kind are one operation, most spans first, with failures and percentiles", () => {
	const sums = new OperationSums();
	for (let i = 1; i <= 100; i++) sums.add("GET /", 2, i > 98 ? 2 : 0, i * 1e6, i);
	sums.add("GET /", 3, 1, 5e6, 7);
	sums.add("a", 3, 0, -1, 9);
	const [first, ...rest] = sums.figures(10);
	assert.deepEqual([first!.spans, first!.errors, first!.lastSeenMs], [100, 2, 100]);
	assert.ok(Math.abs(first!.latencyMs.p99 - 99) < 1.1);
	assert.deepEqual(
		rest.map(({ name, kind }) => [name, kind]),
		[
			["GET /", 3],
			["a", 3],
		],
	);
	assert.equal(rest[1]!.latencyMs.max, 0, "a clock that was set back counts as no time");
	assert.equal(sums.figures(1).length, 1);
});
