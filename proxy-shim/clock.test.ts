import assert from "node:assert/strict";
import { test } from "node:test";
import { createClock, unixNano } from "./clock.ts";

test("the epoch has the order of the monotonic clock within a millisecond", () => {
	let now = 10.25;
	const clock = createClock(
		() => now,
		() => 1_700_000_000_000 + Math.floor(now),
	);
	const first = clock.epochMs();
	now = 10.75;
	assert.ok(clock.epochMs() > first);
	assert.ok(unixNano(clock.epochMs()) > unixNano(first));
});

test("a system clock that is set is followed", () => {
	let system = 1_000;
	const clock = createClock(
		() => 5,
		() => system,
	);
	assert.equal(clock.epochMs(), 1_000);
	system = 9_000;
	assert.equal(clock.epochMs(), 9_000);
});

test("nanoseconds are whole and keep what doubles hold", () => {
	assert.equal(unixNano(1_700_000_000_000), 1_700_000_000_000_000_000n);
	const nanos = unixNano(1_700_000_000_000.5);
	assert.equal(nanos, 1_700_000_000_000_500_000n);
});
