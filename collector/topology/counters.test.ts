import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { advanceCounter, decodeCounter, encodeCounter } from "./counters.ts";
import type { CounterPoint, CounterState, CounterStep, CounterValue, SeriesKnowledge } from "./counters.ts";

const SECOND = 1_000_000;
/** Our knowledge begins at second 100. */
const SEEN: SeriesKnowledge = { horizonUs: 100 * SECOND, isNew: false };

function point(
	seconds: number,
	value: number | CounterValue,
	startSeconds = 0,
	temporality: CounterPoint["temporality"] = "cumulative",
): CounterPoint {
	return {
		timeUs: seconds * SECOND,
		startUs: startSeconds * SECOND,
		temporality,
		value: typeof value === "number" ? { kind: "number", value } : value,
	};
}

/** The steps of a series from its first point on; every state goes through its bytes. */
function run(points: readonly (CounterPoint | readonly [CounterPoint, SeriesKnowledge])[]): CounterStep[] {
	let state: CounterState | undefined;
	const steps: CounterStep[] = [];
	for (const given of points) {
		const [one, knowledge] = "value" in given ? [given, SEEN] : given;
		const step = advanceCounter(state, one, knowledge);
		assert.ok(step !== undefined);
		const restored = decodeCounter(encodeCounter(step.state));
		assert.deepEqual(restored, step.state);
		state = restored;
		steps.push(step);
	}
	return steps;
}

function told(steps: readonly CounterStep[]): (readonly [string, number | undefined])[] {
	return steps.map(({ kind, delta }) => [kind, delta?.kind === "number" ? delta.value : undefined]);
}

test("a series that nobody saw begin gives a base line", () => {
	assert.deepEqual(told(run([point(200, 50), point(205, 53)])), [
		["baseline", undefined],
		["advanced", 3],
	]);
	assert.deepEqual(told(run([point(200, 50, 90), point(205, 53, 90)])), [
		["baseline", undefined],
		["advanced", 3],
	]);
});

test("a series that began after our knowledge counts from its first point", () => {
	assert.deepEqual(told(run([point(200, 50, 101), point(205, 53, 101)])), [
		["first", 50],
		["advanced", 3],
	]);
});

test("a series that its sender did not have before counts from its first point", () => {
	assert.deepEqual(told(run([[point(200, 2), { ...SEEN, isNew: true }], point(205, 3)])), [
		["first", 2],
		["advanced", 1],
	]);
	assert.deepEqual(told(run([point(200, 2), [point(300, 9), { ...SEEN, isNew: true }]])).at(-1), ["reset", 9]);
});

test("a value that falls has started over", () => {
	assert.deepEqual(told(run([point(200, 50), point(205, 4), point(210, 6)])), [
		["baseline", undefined],
		["reset", 4],
		["advanced", 2],
	]);
});

test("a newer start has started over, even where the value is higher", () => {
	assert.deepEqual(told(run([point(200, 5, 150), point(205, 7, 202)])), [
		["first", 5],
		["reset", 7],
	]);
	assert.deepEqual(told(run([point(200, 5), point(205, 7, 202)])).at(-1), ["reset", 7], "the start is told from now on");
	assert.deepEqual(
		told(run([point(200, 5, 150), point(205, 7)])).at(-1),
		["advanced", 2],
		"a start that is not told is no restart",
	);
});

test("a start that wavers with the sender's uptime is no restart", () => {
	const steps = run([point(200, 5, 150), point(205, 7, 151), point(210, 8, 149.5), point(215, 9, 150.7)]);
	assert.deepEqual(told(steps).slice(1), [
		["advanced", 2],
		["advanced", 1],
		["advanced", 1],
	]);
});

test("what an earlier process says late is ignored", () => {
	assert.deepEqual(told(run([point(200, 5, 150), point(210, 2, 205), point(212, 6, 150), point(215, 3, 205)])).slice(1), [
		["reset", 2],
		["ignored", undefined],
		["advanced", 1],
	]);
});

test("duplicates and what comes out of order are ignored", () => {
	assert.deepEqual(told(run([point(200, 5), point(210, 8), point(210, 8), point(205, 6), point(215, 9)])).slice(1), [
		["advanced", 3],
		["ignored", undefined],
		["ignored", undefined],
		["advanced", 1],
	]);
});

test("deltas count as they come, each time once", () => {
	const delta = (seconds: number, value: number): CounterPoint => point(seconds, value, seconds - 5, "delta");
	assert.deepEqual(told(run([delta(200, 5), delta(205, 3), delta(205, 3), delta(200, 5), delta(300, 2)])), [
		["advanced", 5],
		["advanced", 3],
		["ignored", undefined],
		["ignored", undefined],
		["advanced", 2],
	]);
});

test("values that are no count are refused", () => {
	const explicit = { kind: "explicit", count: 1, sum: Number.NaN, bounds: [1], counts: [1, 0] } as const;
	for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, explicit, { ...explicit, sum: 1, counts: [1, -1] }])
		assert.equal(advanceCounter(undefined, point(200, value), SEEN), undefined);
	assert.equal(advanceCounter(undefined, point(0, 1), SEEN), undefined, "a point without a time");
});

const BOUNDS = [1, 5, 10];
const explicit = (counts: number[], bounds: readonly number[] = BOUNDS): CounterValue => {
	const count = counts.reduce((sum, one) => sum + one, 0);
	return { kind: "explicit", count, sum: count * 2.5, bounds, counts };
};

test("explicit histograms advance bucket by bucket", () => {
	const steps = run([point(200, explicit([1, 2, 3, 4])), point(205, explicit([1, 5, 3, 6]))]);
	assert.deepEqual(steps.at(-1)?.delta, { kind: "explicit", count: 5, sum: 12.5, bounds: BOUNDS, counts: [0, 3, 0, 2] });
});

test("a histogram has started over when one of its buckets falls, or its bounds are others", () => {
	const before = point(200, explicit([1, 2, 3, 4]));
	assert.equal(run([before, point(205, explicit([9, 1, 9, 9]))]).at(-1)?.kind, "reset");
	const others = run([before, point(205, explicit([2, 3, 4, 5], [1, 5, 11]))]).at(-1)!;
	assert.deepEqual([others.kind, others.delta], ["reset", explicit([2, 3, 4, 5], [1, 5, 11])]);
	assert.equal(run([before, point(205, explicit([9, 9, 9], [1, 5]))]).at(-1)?.kind, "reset");
	assert.equal(run([before, point(205, 100)]).at(-1)?.kind, "reset", "another kind of value");
});

const exponential = (scale: number, offset: number, counts: number[], zeroCount = 0): CounterValue => {
	const count = counts.reduce((sum, one) => sum + one, zeroCount);
	return { kind: "exponential", count, sum: count, scale, zeroCount, offset, counts };
};

test("exponential histograms advance while their range grows and their scale sinks", () => {
	const steps = run([
		point(200, exponential(3, 4, [1, 2, 0, 1], 1)),
		point(205, exponential(3, 2, [0, 5, 1, 4, 0, 1], 1)),
		// Merged to scale 2: index i becomes i >> 1.
		point(210, exponential(2, 1, [5, 5, 1, 7], 3)),
	]);
	assert.deepEqual(steps[1]?.delta, { ...exponential(3, 2, [0, 5, 0, 2, 0, 0]), sum: 7, count: 7 });
	const last = steps[2]?.delta;
	assert.ok(last?.kind === "exponential");
	assert.deepEqual([last.counts, last.zeroCount, last.count], [[0, 0, 0, 7], 2, 9]);
	assert.equal(run([point(200, exponential(3, 4, [1, 2])), point(205, exponential(4, 4, [3, 4]))]).at(-1)?.kind, "reset");
	assert.equal(run([point(200, exponential(3, 4, [1, 2])), point(205, exponential(3, 5, [3, 4]))]).at(-1)?.kind, "reset");
});

test("a state of a number takes some 20 bytes, and bytes that are none are told apart", () => {
	const nowSeconds = 1_790_000_000;
	const step = advanceCounter(undefined, point(nowSeconds, 123_456, nowSeconds - 100), SEEN)!;
	assert.ok(encodeCounter(step.state).length <= 21, `${encodeCounter(step.state).length} bytes`);
	for (const value of [0, 0.1, 2 ** 53 - 2, 2 ** 60]) {
		const state = advanceCounter(undefined, point(200, value), SEEN)!.state;
		assert.deepEqual(decodeCounter(encodeCounter(state)), state);
	}
	fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void decodeCounter(bytes)));
});

/** What happens to a sender between two exports: it counts, restarts, sends again, or stays silent. */
type Event =
	| { readonly kind: "count"; readonly by: number }
	| { readonly kind: "restart" }
	| { readonly kind: "export" }
	| { readonly kind: "again" };

const events = fc.array(
	fc.oneof(
		{ weight: 4, arbitrary: fc.record({ kind: fc.constant("count" as const), by: fc.nat(100) }) },
		{ weight: 4, arbitrary: fc.constant({ kind: "export" as const }) },
		{ weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
		{ weight: 1, arbitrary: fc.constant({ kind: "again" as const }) },
	),
	{ maxLength: 60 },
);

test("whatever restarts, repeats and splits there are, the deltas add up to what was exported", () => {
	fc.assert(
		fc.property(events, (happened: readonly Event[]) => {
			let seconds = 200;
			let startSeconds = 150;
			let value = 0;
			let truth = 0;
			/** What of `value` was exported. */
			let exported = 0;
			let sum = 0;
			let state: CounterState | undefined;
			let last: CounterPoint | undefined;
			const receive = (one: CounterPoint): void => {
				const step = advanceCounter(state, one, SEEN)!;
				state = decodeCounter(encodeCounter(step.state));
				if (step.delta?.kind === "number") sum += step.delta.value;
			};
			for (const event of happened) {
				seconds += 5;
				if (event.kind === "count") value += event.by;
				else if (event.kind === "restart") [value, exported, startSeconds] = [0, 0, seconds];
				else if (event.kind === "again" && last !== undefined) receive(last);
				else if (event.kind === "export") {
					truth += value - exported;
					exported = value;
					last = point(seconds, value, startSeconds);
					receive(last);
				}
			}
			assert.equal(sum, truth);
		}),
	);
});
