import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { buildWaterfall } from "../waterfall.ts";
import type { Waterfall } from "../waterfall.ts";
import { callTree, selfTimes } from "./call-tree.ts";
import { compareCalls } from "./compare.ts";
import { flameFrames, frameAt } from "./flame.ts";
import { timeSpent } from "./time-spent.ts";

interface TestSpan {
	readonly id: number;
	readonly parent?: number;
	readonly service?: string;
	readonly name?: string;
	readonly startMs: number;
	readonly ms: number;
}

const ORIGIN_NS = 1_700_000_000_000_000_000n;

function waterfallOf(spans: readonly TestSpan[]): Waterfall {
	const hex = (id: number): string => (id + 1).toString(16).padStart(16, "0");
	return buildWaterfall({
		resourceSpans: spans.map(({ id, parent, service = "a", name = "call", startMs, ms }) => {
			const startNs = ORIGIN_NS + BigInt(startMs) * 1_000_000n;
			return {
				resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
				scopeSpans: [
					{
						spans: [
							{
								spanId: hex(id),
								...(parent === undefined ? {} : { parentSpanId: hex(parent) }),
								name,
								startTimeUnixNano: String(startNs),
								endTimeUnixNano: String(startNs + BigInt(ms) * 1_000_000n),
							},
						],
					},
				],
			};
		}),
	});
}

const spansArbitrary = fc
	.array(
		fc.record({
			above: fc.nat(),
			service: fc.constantFrom("a", "b", "c"),
			name: fc.constantFrom("x", "y"),
			startMs: fc.integer({ min: 0, max: 50 }),
			ms: fc.integer({ min: 0, max: 40 }),
		}),
		{ minLength: 1, maxLength: 60 },
	)
	.map((all) => all.map(({ above, ...span }, id): TestSpan => ({ id, ...(id === 0 ? {} : { parent: above % id }), ...span })));

test("own time is what no child covers: children at once count once, and what hangs over counts for nothing", () => {
	const waterfall = waterfallOf([
		{ id: 0, startMs: 0, ms: 100 },
		{ id: 1, parent: 0, startMs: 10, ms: 30 },
		{ id: 2, parent: 0, startMs: 20, ms: 40 },
		{ id: 3, parent: 0, startMs: 90, ms: 500 },
	]);
	assert.deepEqual(
		[...selfTimes(waterfall)].map((ns) => ns / 1e6),
		[40, 30, 40, 500],
	);
});

test("every span belongs to one call, and own times are between nothing and the duration", () => {
	fc.assert(
		fc.property(spansArbitrary, (spans) => {
			const waterfall = waterfallOf(spans);
			const tree = callTree(waterfall);
			assert.equal(
				tree.calls.reduce((sum, { count }) => sum + count, 0),
				spans.length,
			);
			for (const { parent, index, depth, selfNs, totalNs, children } of tree.calls) {
				assert.ok(parent < index && selfNs >= 0 && selfNs <= totalNs);
				for (const child of children)
					assert.deepEqual([tree.calls[child]!.parent, tree.calls[child]!.depth], [index, depth + 1]);
			}
			const own = timeSpent(waterfall).reduce((sum, { selfNs }) => sum + selfNs, 0);
			assert.equal(
				own,
				[...selfTimes(waterfall)].reduce((sum, ns) => sum + ns, 0),
			);
		}),
	);
});

test("an operation that calls itself, at once or through another, is not counted twice in its total", () => {
	const times = timeSpent(
		waterfallOf([
			{ id: 0, startMs: 0, ms: 100 },
			{ id: 1, parent: 0, startMs: 10, ms: 50 },
			{ id: 2, parent: 1, name: "other", startMs: 20, ms: 30 },
			{ id: 3, parent: 2, startMs: 25, ms: 20 },
			{ id: 4, startMs: 200, ms: 7 },
		]),
	);
	assert.deepEqual(
		times.map(({ operation, spans, totalNs, selfNs }) => [operation, spans, totalNs / 1e6, selfNs / 1e6]),
		[
			["call", 4, 107, 97],
			["other", 1, 30, 10],
		],
	);
});

test("frames stay inside of their callers, siblings beside one another", () => {
	fc.assert(
		fc.property(spansArbitrary, (spans) => {
			const tree = callTree(waterfallOf(spans));
			const frames = flameFrames(tree, -1, 0);
			assert.equal(frames.length, tree.calls.length);
			const byCall = new Map(frames.map((frame) => [frame.call.index, frame]));
			for (const { call, left, width } of frames) {
				const above = byCall.get(call.parent);
				const [from, to] = above === undefined ? [0, 1] : [above.left, above.left + above.width];
				assert.ok(left >= from - 1e-9 && left + width <= to + 1e-9);
			}
		}),
	);
});

test("a frame is found where it stands, and one that is too narrow is left out with all below it", () => {
	const tree = callTree(
		waterfallOf([
			{ id: 0, startMs: 0, ms: 1_000 },
			{ id: 1, parent: 0, name: "wide", startMs: 0, ms: 700 },
			{ id: 2, parent: 0, name: "narrow", startMs: 700, ms: 1 },
			{ id: 3, parent: 2, name: "deep", startMs: 700, ms: 1 },
		]),
	);
	const frames = flameFrames(tree, -1, 0.01);
	assert.deepEqual(
		frames.map(({ call }) => call.operation),
		["call", "wide"],
	);
	assert.equal(frameAt(frames, 0.5, 1)?.call.operation, "wide");
	assert.equal(frameAt(frames, 0.9, 1), undefined);
});

test("of two traces every call is told once: new, gone, slower, faster; the greatest effect first", () => {
	const before = callTree(
		waterfallOf([
			{ id: 0, startMs: 0, ms: 100, name: "root" },
			{ id: 1, parent: 0, name: "slow", startMs: 0, ms: 10 },
			{ id: 2, parent: 0, name: "gone", startMs: 20, ms: 6 },
			{ id: 3, parent: 0, name: "same", startMs: 30, ms: 20 },
			{ id: 4, parent: 0, name: "quick", startMs: 60, ms: 30 },
		]),
	);
	const after = callTree(
		waterfallOf([
			{ id: 0, startMs: 0, ms: 150, name: "root" },
			{ id: 1, parent: 0, name: "slow", startMs: 0, ms: 80 },
			{ id: 3, parent: 0, name: "same", startMs: 80, ms: 20 },
			{ id: 4, parent: 0, name: "quick", startMs: 100, ms: 10 },
			{ id: 5, parent: 0, name: "added", startMs: 110, ms: 5 },
		]),
	);
	assert.deepEqual(
		compareCalls(after, before, 150e6).map(({ operation, kind }) => `${operation} ${kind}`),
		["slow slower", "quick faster", "gone gone", "added new", "root same", "same same"],
	);
});

test("a trace does not differ from itself, and two traces exchanged differ the other way", () => {
	const inverse = { new: "gone", gone: "new", slower: "faster", faster: "slower", same: "same" } as const;
	fc.assert(
		fc.property(spansArbitrary, spansArbitrary, (one, other) => {
			const [a, b] = [callTree(waterfallOf(one)), callTree(waterfallOf(other))];
			assert.ok(compareCalls(a, a, 1e9).every(({ kind }) => kind === "same"));
			const there = compareCalls(a, b, 1e8).map(({ service, operation, depth, kind }) =>
				[service, operation, depth, kind].join(),
			);
			const back = compareCalls(b, a, 1e8).map(({ service, operation, depth, kind }) =>
				[service, operation, depth, inverse[kind]].join(),
			);
			assert.deepEqual(there.sort(), back.sort());
		}),
	);
});
