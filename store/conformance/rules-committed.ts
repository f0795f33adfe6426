/** Traces as they were at a commit. */
import assert from "node:assert/strict";
import type { TimeNs } from "../../model/time.ts";
import type { CommitRef } from "../topology.ts";
import type { Rule } from "./kit.ts";
import { at, decodedSpans, from, NOW_MS, span, T0, traceId, type Workbench, wireSpans } from "./workbench.ts";

const HALF_AN_HOUR_MS = 1_800_000;

function spansAt(bench: Workbench, trace: number, upTo: CommitRef | undefined): number {
	const found = bench.topology.committed.trace(traceId(trace), upTo);
	return found === undefined ? 0 : wireSpans(found).length;
}

function endingAfter(bench: Workbench, timeNs: TimeNs, upTo: CommitRef | undefined): [number, number][] {
	const traces = Array.from(bench.topology.committed.endingAfter(timeNs, upTo), (bytes): [number, number] => {
		const spans = decodedSpans(bytes);
		return [Number.parseInt(spans[0]!.traceId!.slice(-8), 16), spans.length];
	});
	return traces.sort(([a], [b]) => a - b);
}

export const COMMITTED_RULES: readonly Rule[] = [
	{
		title: "a trace at a commit has the spans of the groups up to it, each once, and nothing behind it",
		async run(bench) {
			const refs: CommitRef[] = [];
			for (let i = 1; i <= 40; i++) {
				const spans = [span(1, i), span(1, Math.max(1, i - 1)), span(2, i)];
				refs.push(bench.hold({ traces: [from("a", spans)], arrivedMs: NOW_MS + i * 200_000 }));
			}
			const check = (first: number): void => {
				assert.equal(spansAt(bench, 1, undefined), 0);
				for (let i = first; i < refs.length; i += 3) assert.equal(spansAt(bench, 1, refs[i]), i + 1);
				assert.equal(spansAt(bench, 3, refs.at(-1)), 0);
			};
			check(0);
			bench.writer.release(refs[24]!);
			bench.maintain(NOW_MS + 41 * 200_000);
			check(24);
			assert.deepEqual(wireSpans(bench.topology.committed.trace(traceId(1), refs.at(-1))!), await bench.spans(traceId(1)));
		},
	},
	{
		title: "traces with a span that ends after a time come whole, once, and as they were at the commit",
		async run(bench) {
			const refs: CommitRef[] = [];
			for (let i = 0; i < 30; i++) {
				const spans = [span(i, 1, { startMs: 0 }), span(i, 2, { startMs: i * 1_000 }), span(99, i, { startMs: 5 })];
				refs.push(bench.hold({ traces: [from("a", spans)], arrivedMs: NOW_MS + i * HALF_AN_HOUR_MS }));
			}
			// Held open: it began long before the others.
			const longEnd = String(T0 + 60_000_000_000n);
			const long = span(50, 1, { startMs: -90_000, endTimeUnixNano: longEnd });
			refs.push(bench.hold({ traces: [from("b", [long])], arrivedMs: NOW_MS + 30 * HALF_AN_HOUR_MS }));
			const isLate = at(T0 + 25_000_000_000n);
			const expected = [25, 26, 27, 28, 29].map((i) => [i, 2]);
			assert.deepEqual(endingAfter(bench, isLate, refs.at(-1)), [...expected, [50, 1]]);
			assert.deepEqual(endingAfter(bench, isLate, refs[26]), expected.slice(0, 2));
			assert.deepEqual(endingAfter(bench, isLate, undefined), []);
			bench.writer.release(refs[28]!);
			bench.maintain(NOW_MS + 31 * HALF_AN_HOUR_MS);
			assert.deepEqual(endingAfter(bench, isLate, refs.at(-1)), [...expected, [50, 1]]);
			assert.deepEqual(endingAfter(bench, isLate, refs[28]), expected.slice(0, 4).concat(expected.slice(4, 4)));
			assert.deepEqual(endingAfter(bench, at(T0 + 5_014_000_000n), refs[0]), []);
			assert.equal(endingAfter(bench, at(T0), refs.at(-1)).at(-1)![1], 30);
		},
	},
	{
		title: "hashes of the newest traces are at most as many as were asked for, and are the hashes of their ids",
		async run(bench) {
			const { committed } = bench.topology;
			assert.equal(committed.recentTraceHashes(10).length, 0);
			assert.equal(committed.oldestMs(), undefined);
			for (let i = 1; i <= 30; i++)
				bench.append({ traces: [from("a", [span(i, 1), span(i, 2)])], arrivedMs: NOW_MS + i * HALF_AN_HOUR_MS });
			bench.maintain(NOW_MS + 31 * HALF_AN_HOUR_MS);
			const hashOf = (trace: number): number => {
				const id = traceId(trace);
				const [w0, w1, w2, w3] = [0, 8, 16, 24].map((start) => Number.parseInt(id.slice(start, start + 8), 16));
				return committed.hash(w0!, w1!, w2!, w3!);
			};
			const everyHash = Array.from({ length: 30 }, (_, i) => hashOf(i + 1)).sort((a, b) => a - b);
			assert.equal(new Set(everyHash).size, 30);
			assert.deepEqual(
				[...committed.recentTraceHashes(100)].sort((a, b) => a - b),
				everyHash,
			);
			assert.deepEqual([...committed.recentTraceHashes(1)], [hashOf(30)]);
			assert.equal(committed.recentTraceHashes(7).length, 7);
			assert.ok(committed.oldestMs()! <= NOW_MS + HALF_AN_HOUR_MS);
		},
	},
];
