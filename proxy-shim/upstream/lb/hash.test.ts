import assert from "node:assert/strict";
import { test } from "node:test";
import { fnv1a, hashOf } from "./hash.ts";

test("FNV-1a is the published one", () => {
	// Test vectors of draft-eastlake-fnv, appendix C.
	for (const [text, hash] of [
		["", 0x811c9dc5],
		["a", 0xe40c292c],
		["foobar", 0xbf9cf968],
	] as const) {
		assert.equal(fnv1a(text, 0x811c9dc5) >>> 0, hash);
	}
});

test("a hash is an unsigned number of 32 bits", () => {
	for (let i = 0; i < 1_000; i++) {
		const hash = hashOf(`user-${i}`);
		assert.ok(Number.isInteger(hash) && hash >= 0 && hash <= 0xffff_ffff);
	}
});

test("similar texts are spread over all sixteenths of the ring", () => {
	const counts = Array.from({ length: 16 }, () => 0);
	for (let i = 0; i < 16_000; i++) counts[hashOf(`10.0.${i >> 8}.${i & 255}`) >>> 28]!++;
	for (const count of counts) assert.ok(count > 850 && count < 1_150, String(counts));
});
