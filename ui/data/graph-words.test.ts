import assert from "node:assert/strict";
import { test } from "node:test";
import { histogramIndex, quantileNs } from "../../model/topology/histogram.ts";
import { asSlowAs } from "./graph-words.ts";

test("what is as slow as a percentile has the call that the percentile tells of", () => {
	// Also at the bounds of buckets, which are whole where they are powers of two.
	for (const ns of [0, 1, 2, 3, 1_024, 1_025, 999_999, 4_210_000_000, 4_248_452_794, 3 * 86_400e9]) {
		const p95Ns = quantileNs(new Map([[histogramIndex(ns), 3]]), 0.95)!;
		const leastNs = Math.round(Number.parseFloat(asSlowAs(p95Ns / 1e6)) * 1e6);
		assert.ok(leastNs <= ns, `${leastNs} of ${ns}`);
		assert.ok(leastNs > ns * 0.978 - 1, `${leastNs} of ${ns}`);
	}
});
