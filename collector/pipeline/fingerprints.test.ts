import assert from "node:assert/strict";
import { test } from "node:test";
import { FINGERPRINT_BYTES, FingerprintSet } from "./fingerprints.ts";

function fingerprint(number: number): Uint8Array {
	const bytes = new Uint8Array(FINGERPRINT_BYTES);
	new DataView(bytes.buffer).setUint32(number % 2 === 0 ? 0 : 12, number);
	return bytes;
}

test("the newest generation of fingerprints is always known, and what is older than two is forgotten", () => {
	const set = new FingerprintSet(100);
	for (let i = 1; i <= 1_000; i++) {
		set.add(fingerprint(i));
		for (const back of [0, 1, 50, 99]) if (i > back) assert.ok(set.has(fingerprint(i - back)), `${i - back} of ${i}`);
	}
	let known = 0;
	for (let i = 1; i <= 1_000; i++) if (set.has(fingerprint(i))) known++;
	assert.ok(known >= 100 && known <= 200);
	assert.equal(set.has(fingerprint(1_001)), false);
});
