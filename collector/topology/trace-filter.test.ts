import assert from "node:assert/strict";
import { test } from "node:test";
import { TraceFilter } from "./trace-filter.ts";

/** Odd multiples spread over all 32 bits. */
function hashOf(i: number): number {
	return Math.imul(i + 1, 0x85ebca6b) >>> 0;
}

test("an empty filter has nothing, also not the hash 0", () => {
	const filter = new TraceFilter();
	assert.ok(!filter.has(0));
	assert.ok(!filter.has(1));
	filter.add(0);
	assert.ok(filter.has(0));
});

test("a member is always found, and others are seldom taken for one", () => {
	const filter = new TraceFilter();
	const count = 500_000;
	for (let i = 0; i < count; i++) filter.add(hashOf(i));
	for (let i = 0; i < count; i++) assert.ok(filter.has(hashOf(i)));
	let wrong = 0;
	for (let i = count; i < 2 * count; i++) if (filter.has(hashOf(i))) wrong++;
	assert.ok(wrong < count / 1_000, `${wrong} of ${count}`);
});

test("when it is full the older half is forgotten, and the newest million stay", () => {
	const filter = new TraceFilter();
	const generation = 1 << 20;
	for (let i = 0; i < 2 * generation + 10; i++) filter.add(hashOf(i));
	assert.ok(!filter.has(hashOf(0)));
	for (let i = generation + 10; i < 2 * generation + 10; i += 97) assert.ok(filter.has(hashOf(i)));
});

test("a hash that comes again and again takes one place", () => {
	const filter = new TraceFilter();
	filter.add(hashOf(1));
	for (let i = 0; i < 3_000_000; i++) filter.add(hashOf(2));
	assert.ok(filter.has(hashOf(1)));
});
