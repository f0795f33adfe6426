import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FailureRateBreaker } from "../../model/mesh/proxy-config.ts";
import { type Breaker, type BreakerState, createBreaker } from "./breaker.ts";

/** Resilience4j's defaults. */
const DEFAULTS: FailureRateBreaker = {
	slidingWindowSize: 100,
	minimumNumberOfCalls: 100,
	failureRateThreshold: 50,
	slowCallDurationThresholdMs: 60_000,
	slowCallRateThreshold: 100,
	waitDurationInOpenStateMs: 60_000,
	permittedNumberOfCallsInHalfOpenState: 10,
	maxWaitDurationInHalfOpenStateMs: 0,
};

function breakerOf(settings: Partial<FailureRateBreaker> = {}) {
	const transitions: string[] = [];
	const breaker = createBreaker({ ...DEFAULTS, ...settings }, (from, to, nowMs) =>
		transitions.push(`${from} > ${to} @ ${nowMs}`),
	);
	return { breaker, transitions };
}

/** One call after another: `.` succeeds, `x` fails, `s` is slow, `X` is both; `-` is refused. Each takes 1 ms, slow ones 10 s. */
function play(breaker: Breaker, calls: string, nowMs: number): string {
	let seen = "";
	for (const call of calls) {
		if (!breaker.tryAcquire(nowMs)) {
			seen += "-";
			continue;
		}
		breaker.onResult(
			call === "s" || call === "X" ? 10_000 : 1,
			call === "x" || call === "X",
			nowMs + (call === "s" || call === "X" ? 10_000 : 1),
		);
		seen += call;
	}
	return seen;
}

/** As Resilience4j documents its thresholds: equal or greater opens, and never before the minimum of calls. */
test("it opens when a rate meets its threshold, and not before the minimum of calls", () => {
	const few = { slidingWindowSize: 10, minimumNumberOfCalls: 5, slowCallDurationThresholdMs: 5_000 };
	for (const [settings, calls, expected] of [
		[few, "xxxx", "closed"],
		[few, "xxxxx", "open"],
		[few, "....x", "closed"],
		[few, "..xx.x", "open"],
		// Ten calls of which four failed; then a failure takes the place of a success.
		[few, "......xxxx", "closed"],
		[few, "......xxxxx", "open"],
		// The window forgets: failures that it no longer holds do not count.
		[few, "xx...........xx..", "closed"],
		[{ ...few, failureRateThreshold: 100 }, "xxxx.xxxxx", "closed"],
		[{ ...few, failureRateThreshold: 100 }, ".xxxxxxxxxx", "open"],
		[{ ...few, slowCallRateThreshold: 100 }, "sssss", "open"],
		[{ ...few, slowCallRateThreshold: 100 }, "ssss.", "closed"],
		[{ ...few, slowCallRateThreshold: 40 }, "...ss", "open"],
		[{ ...few, slowCallRateThreshold: 40 }, "....s", "closed"],
		[{ ...few, failureRateThreshold: 60, slowCallRateThreshold: 60 }, "XX...", "closed"],
		[{ ...few, failureRateThreshold: 40, slowCallRateThreshold: 60 }, "XX...", "open"],
		// A minimum above the window is the window.
		[{ slidingWindowSize: 3, minimumNumberOfCalls: 100 }, "xxx", "open"],
		[{ slidingWindowSize: 1, minimumNumberOfCalls: 1 }, "x", "open"],
	] as const) {
		const { breaker } = breakerOf(settings);
		play(breaker, calls, 0);
		assert.equal(breaker.state(1), expected, `${calls} with ${JSON.stringify(settings)}`);
	}
});

test("with the defaults 99 failures do not open it, the hundredth call does, and 49 of 100 do not", () => {
	const { breaker } = breakerOf();
	play(breaker, "x".repeat(99), 0);
	assert.equal(breaker.state(1), "closed");
	play(breaker, ".", 0);
	assert.equal(breaker.state(1), "open");
	const other = breakerOf().breaker;
	play(other, ".".repeat(51) + "x".repeat(49), 0);
	assert.equal(other.state(1), "closed");
});

test("a call as long as the threshold is not slow, a longer one is", () => {
	const { breaker } = breakerOf({ slidingWindowSize: 1, minimumNumberOfCalls: 1, slowCallDurationThresholdMs: 500 });
	breaker.tryAcquire(0);
	breaker.onResult(500, false, 500);
	assert.equal(breaker.state(500), "closed");
	breaker.tryAcquire(500);
	breaker.onResult(500.1, false, 1_000.1);
	assert.equal(breaker.state(1_000.1), "open");
});

/** Resilience4j's state machine. */
const SMALL = {
	slidingWindowSize: 4,
	minimumNumberOfCalls: 4,
	permittedNumberOfCallsInHalfOpenState: 3,
	waitDurationInOpenStateMs: 1_000,
};

test("open refuses every call until the wait is over; then N calls are permitted, and no more", () => {
	const { breaker, transitions } = breakerOf(SMALL);
	assert.equal(play(breaker, "xxxx....", 0), "xxxx----");
	assert.equal(breaker.tryAcquire(1_000), false);
	assert.equal(breaker.state(1_000), "open");
	assert.equal(breaker.state(1_001), "half_open", "the next call will be permitted");
	assert.deepEqual(transitions, ["closed > open @ 1"], "to ask is no transition");
	assert.deepEqual(
		Array.from({ length: 5 }, () => breaker.tryAcquire(1_001)),
		[true, true, true, false, false],
	);
	assert.deepEqual(transitions, ["closed > open @ 1", "open > half_open @ 1001"]);
	assert.equal(breaker.metrics().notPermittedCalls, 7);
});

test("half-open closes below the thresholds and opens at them, once all permitted calls have ended", () => {
	for (const [calls, expected] of [
		["..", "half_open"],
		["xx", "half_open"],
		["...", "closed"],
		["x..", "closed"],
		["xx.", "open"],
		["xxx", "open"],
	] as const) {
		const { breaker } = breakerOf(SMALL);
		play(breaker, "xxxx", 0);
		play(breaker, calls, 2_000);
		assert.equal(breaker.state(2_001), expected, calls);
	}
});

test("the wait begins anew with each opening, and closing begins with an empty window", () => {
	const { breaker, transitions } = breakerOf(SMALL);
	play(breaker, "xxxx", 0);
	play(breaker, "xxx", 2_000);
	assert.equal(breaker.tryAcquire(2_500), false);
	assert.equal(play(breaker, "....", 3_100), "....");
	assert.equal(breaker.state(3_200), "closed");
	assert.equal(play(breaker, "xxx", 3_200), "xxx", "three failures and one call after the probes are too few");
	assert.equal(breaker.state(3_300), "open", "the fourth was there already");
	assert.deepEqual(transitions, [
		"closed > open @ 1",
		"open > half_open @ 2000",
		"half_open > open @ 2001",
		"open > half_open @ 3100",
		"half_open > closed @ 3101",
		"closed > open @ 3201",
	]);
});

test("a cancelled call gives its permission back", () => {
	const { breaker } = breakerOf(SMALL);
	play(breaker, "xxxx", 0);
	for (let i = 0; i < 3; i++) assert.ok(breaker.tryAcquire(2_000));
	assert.equal(breaker.tryAcquire(2_000), false);
	breaker.onCancelled();
	assert.ok(breaker.tryAcquire(2_001));
	assert.equal(breaker.tryAcquire(2_001), false);
	assert.equal(breaker.metrics().bufferedCalls, 0);
});

test("a call from before the half-open state decides nothing about it", () => {
	const { breaker } = breakerOf(SMALL);
	for (let i = 0; i < 7; i++) breaker.tryAcquire(0);
	for (let i = 0; i < 4; i++) breaker.onResult(10, true, 10);
	assert.ok(breaker.tryAcquire(2_000));
	// Three late failures of the closed state.
	breaker.onResult(2_100, true, 2_100);
	breaker.onResult(2_100, true, 2_100);
	breaker.onCancelled();
	assert.equal(breaker.state(2_100), "half_open");
	assert.deepEqual([breaker.tryAcquire(2_100), breaker.tryAcquire(2_100), breaker.tryAcquire(2_100)], [true, true, false]);
	breaker.onResult(200, false, 2_200);
	breaker.onResult(100, false, 2_200);
	breaker.onResult(100, false, 2_200);
	assert.equal(breaker.state(2_200), "closed");
});

test("a start that a duration puts a rounding error before the half-open state is still a probe's", () => {
	const { breaker } = breakerOf({
		...SMALL,
		permittedNumberOfCallsInHalfOpenState: 1,
		slowCallDurationThresholdMs: 1e9,
	});
	play(breaker, "xxxx", 0.1);
	const startedMs = 1_234.567_891_2;
	assert.ok(breaker.tryAcquire(startedMs));
	const endedMs = 98_765.432_1;
	breaker.onResult(endedMs - startedMs + 1e-9, false, endedMs);
	assert.equal(breaker.state(endedMs), "closed");
});

test("half-open opens again when its longest wait is over without all results", () => {
	const { breaker, transitions } = breakerOf({ ...SMALL, maxWaitDurationInHalfOpenStateMs: 500 });
	play(breaker, "xxxx", 0);
	assert.ok(breaker.tryAcquire(2_000));
	assert.equal(breaker.state(2_499), "half_open");
	assert.equal(breaker.state(2_500), "open");
	assert.equal(breaker.tryAcquire(2_600), false);
	assert.equal(transitions.at(-1), "half_open > open @ 2500");
	// The lost probe ends late, in the next half-open state, and is none of it.
	assert.ok(breaker.tryAcquire(3_600));
	breaker.onResult(1_600, true, 3_600);
	assert.equal(play(breaker, "....", 3_601), "..--");
});

test("metrics tell rates from the minimum of calls on", () => {
	const { breaker } = breakerOf({ ...SMALL, slowCallDurationThresholdMs: 5_000 });
	play(breaker, "x.s", 0);
	assert.deepEqual(breaker.metrics(), {
		failureRate: -1,
		slowCallRate: -1,
		bufferedCalls: 3,
		failedCalls: 1,
		slowCalls: 1,
		notPermittedCalls: 0,
	});
	play(breaker, ".", 0);
	assert.equal(breaker.metrics().failureRate, 25);
	assert.equal(breaker.metrics().slowCallRate, 25);
});

test("in half-open never more than N calls are permitted beside those cancelled, whatever ends when", () => {
	const commands = fc.array(
		fc.record({
			do: fc.constantFrom("acquire", "acquire", "acquire", "succeed", "fail", "fail", "cancel", "wait"),
			which: fc.nat(1_000),
		}),
		{ maxLength: 300 },
	);
	fc.assert(
		fc.property(fc.integer({ min: 1, max: 5 }), commands, (permitted, all) => {
			const seen: { state: BreakerState } = { state: "closed" };
			/** Of the half-open state under way: calls permitted less those cancelled. */
			let probes = 0;
			let era = 0;
			let nowMs = 0;
			const calls: { readonly startedMs: number; readonly era: number }[] = [];
			const breaker = createBreaker(
				{
					...DEFAULTS,
					slidingWindowSize: 5,
					minimumNumberOfCalls: 2,
					waitDurationInOpenStateMs: 50,
					permittedNumberOfCallsInHalfOpenState: permitted,
				},
				(from, to) => {
					assert.equal(from, seen.state);
					seen.state = to;
					era++;
					probes = 0;
				},
			);
			for (const { do: command, which } of all) {
				nowMs += 2;
				if (command === "wait") nowMs += 60;
				else if (command === "acquire") {
					if (!breaker.tryAcquire(nowMs)) {
						assert.notEqual(seen.state, "closed");
						continue;
					}
					calls.push({ startedMs: nowMs, era });
					assert.notEqual(seen.state, "open");
					if (seen.state === "half_open") assert.ok(++probes <= permitted);
				} else {
					const [call] = calls.splice(which % Math.max(1, calls.length), 1);
					if (call === undefined) continue;
					if (command === "cancel") {
						breaker.onCancelled();
						if (call.era === era && seen.state === "half_open") probes--;
					} else breaker.onResult(nowMs - call.startedMs, command === "fail", nowMs);
				}
			}
			// It never hangs: once everything has ended, good calls close it, one after another.
			for (const call of calls) breaker.onResult(nowMs - call.startedMs, false, nowMs);
			for (let i = 0; i <= 2 * permitted && breaker.state(nowMs) !== "closed"; i++) {
				nowMs += 100;
				assert.ok(breaker.tryAcquire(nowMs), "hangs");
				breaker.onResult(0, false, nowMs);
			}
			assert.equal(breaker.state(nowMs), "closed");
		}),
		{ numRuns: 300 },
	);
});
