import assert from "node:assert/strict";
import { test } from "node:test";
import { traceHash } from "./format.ts";

const IDS = 100_000;

/** Four words of an id of a kind that tracers make. */
const KINDS: Readonly<Record<string, (i: number) => readonly [number, number, number, number]>> = {
	"random ids": (i) => [random(i, 1), random(i, 2), random(i, 3), random(i, 4)],
	"counters in the last word": (i) => [0, 0, 0, i],
	"counters in the first word": (i) => [i, 0, 0, 0],
	"counters in the second word": (i) => [0, i, 0, 0],
	"counters in the third word": (i) => [0, 0, i, 0],
	"64-bit ids in the lower half": (i) => [0, 0, random(i, 1), random(i, 2)],
	"64-bit ids in the upper half": (i) => [random(i, 1), random(i, 2), 0, 0],
	"a time in the first word (X-Ray)": (i) => [1_800_000_000 + (i >> 8), random(i, 1), random(i, 2), random(i, 3)],
	"a constant prefix": (i) => [0xdeadbeef, 0xcafebabe, 0x12345678, i * 16],
	"words that repeat": (i) => [i, i, i, i],
	"steps of a power of two": (i) => [0, 0, i << 16, 0],
	"the same word twice": (i) => [i, 0, 0, i],
};

/** A fixed sequence, so that a failure can be seen again. */
function random(i: number, lane: number): number {
	let x = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(lane, 0x85ebca6b);
	x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
	x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
	return (x ^ (x >>> 16)) >>> 0;
}

for (const [kind, idOf] of Object.entries(KINDS)) {
	test(`${kind} spread evenly over the trace hash, and hardly two share one`, () => {
		const buckets = new Float64Array(256);
		const low = new Float64Array(256);
		const seen = new Set<number>();
		const ids = new Set<string>();
		for (let i = 0; i < IDS; i++) {
			const id = idOf(i);
			if (ids.has(id.join())) continue;
			ids.add(id.join());
			const hash = traceHash(id[0], id[1], id[2], id[3]);
			assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 48);
			seen.add(hash);
			buckets[Math.floor(hash / 2 ** 40)]!++;
			low[hash % 256]!++;
		}
		const count = ids.size;
		// 2^-48 of 10^10 / 2 pairs share a hash by chance: none is expected.
		assert.ok(count - seen.size <= 2, `${count - seen.size} of ${count} share a hash`);
		for (const counts of [buckets, low]) {
			const expected = count / 256;
			const worst = counts.reduce((most, n) => Math.max(most, Math.abs(n - expected)), 0);
			assert.ok(worst < 8 * Math.sqrt(expected) + 1, `a bucket is ${worst} off ${expected}`);
		}
	});
}
