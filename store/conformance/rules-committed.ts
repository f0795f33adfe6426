/** Traces as they were at a commit. */
import assert from "node:assert/strict";
import type { CommitRef } from "../topology.ts";
import type { Rule } from "./kit.ts";
import { from, NOW_MS, span, traceId, type Workbench, wireSpans } from "./workbench.ts";

const HALF_AN_HOUR_MS = 1_800_000;

function committedSpans(bench: Workbench, traces: readonly number[], upTo: CommitRef | undefined): string[] {
	const spans: string[] = [];
	bench.topology.committed.traces(traces.map(traceId), upTo, (message) => void spans.push(...wireSpans(message)));
	return spans;
}

function spansAt(bench: Workbench, trace: number, upTo: CommitRef | undefined): number {
	return committedSpans(bench, [trace], upTo).length;
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
			assert.deepEqual(committedSpans(bench, [1], refs.at(-1)).toSorted(), await bench.spans(traceId(1)));
		},
	},
	{
		title: "many traces at a commit come with every span of each, once, whether they are few or most of what is there",
		async run(bench) {
			const TRACES = 500;
			const all = Array.from({ length: TRACES }, (_, i) => i + 1);
			const refs: CommitRef[] = [];
			for (let group = 1; group <= 12; group++) {
				// A batch that is sent again in other company: its spans are there twice.
				const spans = all.flatMap((trace) => [span(trace, group), span(trace, Math.max(1, group - 1))]);
				refs.push(bench.hold({ traces: [from("a", spans)], arrivedMs: NOW_MS + group * HALF_AN_HOUR_MS }));
			}
			bench.writer.release(refs[7]!);
			bench.maintain(NOW_MS + 13 * HALF_AN_HOUR_MS);
			for (const step of [1, 7, 100]) {
				const some = all.filter((trace) => trace % step === 0);
				const wanted = [...some, TRACES + 1];
				assert.deepEqual(
					committedSpans(bench, wanted, refs.at(-1)).toSorted(),
					(await Promise.all(some.map((trace) => bench.spans(traceId(trace))))).flatMap((spans) => spans!).toSorted(),
				);
				assert.equal(committedSpans(bench, wanted, refs[9]).length, some.length * 10);
			}
			assert.deepEqual(committedSpans(bench, [], refs.at(-1)), []);
		},
	},
	{
		title: "hashes of the newest traces are at most as many as were asked for, of groups up to the commit, and are the hashes of their ids",
		async run(bench) {
			const { committed } = bench.topology;
			assert.equal(committed.recentTraceHashes(10, undefined).length, 0);
			assert.equal(committed.oldestMs(), undefined);
			const refs: CommitRef[] = [];
			for (let i = 1; i <= 30; i++)
				refs.push(bench.hold({ traces: [from("a", [span(i, 1), span(i, 2)])], arrivedMs: NOW_MS + i * HALF_AN_HOUR_MS }));
			assert.equal(committed.recentTraceHashes(100, refs[11]).length, 12);
			bench.writer.release(refs[28]!);
			bench.maintain(NOW_MS + 31 * HALF_AN_HOUR_MS);
			const hashOf = (trace: number): number => {
				const id = traceId(trace);
				const [w0, w1, w2, w3] = [0, 8, 16, 24].map((start) => Number.parseInt(id.slice(start, start + 8), 16));
				return committed.hash(w0!, w1!, w2!, w3!);
			};
			const everyHash = Array.from({ length: 30 }, (_, i) => hashOf(i + 1)).sort((a, b) => a - b);
			assert.equal(new Set(everyHash).size, 30);
			assert.deepEqual(
				[...committed.recentTraceHashes(100, refs.at(-1))].sort((a, b) => a - b),
				everyHash,
			);
			assert.deepEqual([...committed.recentTraceHashes(1, refs.at(-1))], [hashOf(30)]);
			assert.equal(committed.recentTraceHashes(7, refs.at(-1)).length, 7);
			assert.ok(committed.oldestMs()! <= NOW_MS + HALF_AN_HOUR_MS);
		},
	},
];
