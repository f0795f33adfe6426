import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_SPARE_BYTES, MIN_SPARE_BYTES, SpareBuffers } from "./spare-buffers.ts";

test("memory that was given back is taken again for a payload of about its size", () => {
	const spares = new SpareBuffers(8 << 20);
	const first = spares.take(1_000_000)!;
	const { buffer } = first;
	assert.ok(first.length >= 1_000_000 && first.length <= 1_125_000);
	spares.give([buffer]);
	assert.equal(spares.take(1_010_000)!.buffer, buffer);
	assert.notEqual(spares.take(1_010_000)!.buffer, buffer);
});

test("sizes that are not kept are not taken either", () => {
	const spares = new SpareBuffers(8 << 20);
	assert.equal(spares.take(MIN_SPARE_BYTES - 1), undefined);
	assert.equal(spares.take(MAX_SPARE_BYTES + 1), undefined);
});

test("beyond its bound, and in odd sizes, memory goes back to the system at once", () => {
	const spares = new SpareBuffers(2 << 20);
	const buffers = [1 << 20, 1 << 20, 1 << 20, 999_999].map((bytes) => new ArrayBuffer(bytes));
	spares.give(buffers);
	assert.deepEqual(
		buffers.map((buffer) => buffer.detached),
		[false, false, true, true],
	);
	spares.clear();
	assert.ok(buffers.every((buffer) => buffer.detached));
});
