/** Groups that the topology stage has not got yet: kept as they were committed, and read again in order. */
import assert from "node:assert/strict";
import { type CommitRef, isAfter, type ReplayGroup } from "../topology.ts";
import type { Rule, StoreUnderTest } from "./kit.ts";
import { protobufjsEncode } from "./otlp-arbitraries.ts";
import { from, type GroupParts, logsFrom, NOW_MS, span, string, T0, traceId, traceRequests, wireSpans } from "./workbench.ts";

const HALF_AN_HOUR_MS = 1_800_000;

/** Two services and two scopes, so that a group has more than one resource to be put together from. */
function group(number: number, arrivedMs = NOW_MS): GroupParts {
	return {
		traces: [
			from("a", [span(number, 1, { attributes: [string("n", String(number))] }), span(number, 2)]),
			from("b", [span(number, 3, { parentSpanId: "0000000010000001" }), span(number + 1_000, 1)], [string("zone", "x")]),
		],
		logs: [logsFrom("a", [{ timeUnixNano: String(T0), body: { stringValue: `log ${number}` }, traceId: traceId(number) }])],
		topologyMetrics: new Uint8Array([number, 0, 255]),
		arrivedMs,
	};
}

/** As {@link replayed} has what was read again. */
function given(ref: CommitRef, parts: GroupParts): object {
	return {
		ref,
		arrivedMs: parts.arrivedMs,
		traces: wireSpans(...traceRequests(parts)),
		logs: wireSpans(...(parts.logs ?? []).map((json) => protobufjsEncode("LogsData", json))),
		metrics: [...parts.topologyMetrics!],
	};
}

function replayed(groups: Iterable<ReplayGroup>): object[] {
	return Array.from(groups, ({ ref, arrivedMs, traces, logs, metrics }) => ({
		ref,
		arrivedMs,
		traces: wireSpans(traces),
		logs: wireSpans(logs),
		metrics: [...metrics],
	}));
}

export const needsReopen = ({ reopen }: StoreUnderTest): string | undefined =>
	reopen === undefined ? "the engine's data ends with the process" : undefined;

export const REPLAY_RULES: readonly Rule[] = [
	{
		title: "a group's ref is after those of all groups before it, in any window",
		async run(bench) {
			let last: CommitRef | undefined;
			for (let i = 1; i <= 8; i++) {
				const ref = bench.hold(group(i, NOW_MS + i * HALF_AN_HOUR_MS));
				assert.ok(isAfter(ref, last));
				if (i % 3 === 0) bench.writer.release(ref);
				bench.maintain(NOW_MS + i * HALF_AN_HOUR_MS);
				last = ref;
			}
		},
	},
	{
		title: "a group that is not released is replayed as it was appended, to the byte, whatever was merged meanwhile",
		async run(bench) {
			const expected: object[] = [];
			let released: CommitRef | undefined;
			for (let i = 1; i <= 60; i++) {
				const parts = group(i, NOW_MS + i * 200_000);
				const ref = bench.hold(parts);
				if (i <= 35) released = ref;
				else expected.push(given(ref, parts));
			}
			bench.writer.release(released!);
			bench.maintain(NOW_MS + 61 * 200_000);
			assert.deepEqual(replayed(bench.writer.replay(released)), expected);
			assert.equal((await bench.spans(traceId(20)))!.length, 3);
			assert.equal((await bench.spans(traceId(50)))!.length, 3);
		},
	},
	{
		title: "a replay begins behind the ref it is given, and need not be read to its end",
		async run(bench) {
			const refs = [1, 2, 3, 4].map((i) => bench.hold(group(i, NOW_MS + i * HALF_AN_HOUR_MS)));
			const commits = (after: CommitRef | undefined) => [...bench.writer.replay(after)].map(({ ref }) => ref);
			assert.deepEqual(commits(undefined), refs);
			for (const [i, ref] of refs.entries()) assert.deepEqual(commits(ref), refs.slice(i + 1));
			for (const { ref } of bench.writer.replay(undefined)) {
				assert.deepEqual(ref, refs[0]);
				break;
			}
			bench.append(group(5, NOW_MS + 5 * HALF_AN_HOUR_MS));
		},
	},
	{
		title: "a group without spans or logs is replayed with its metrics, and one that threw is not",
		async run(bench) {
			const ref = bench.hold({ topologyMetrics: new Uint8Array([7]) });
			const broken = bench.group(group(1));
			const metrics = {
				series: [],
				get points(): never {
					throw new Error("a fault in the middle of a group");
				},
			};
			assert.throws(() => bench.writer.append({ ...broken, metrics }), /in the middle of a group/);
			const nothing = { ref, arrivedMs: NOW_MS, traces: [], logs: [], metrics: [7] };
			assert.deepEqual(replayed(bench.writer.replay(undefined)), [nothing]);
		},
	},
	{
		title: "groups may be appended and released while a replay is read",
		async run(bench) {
			for (let i = 1; i <= 20; i++) bench.hold(group(i));
			let read = 0;
			for (const { ref } of bench.writer.replay(undefined)) {
				read++;
				bench.writer.release(ref);
				bench.append(group(100 + read));
				bench.maintain();
			}
			assert.ok(read >= 1 && read <= 20, `${read} groups`);
			assert.equal((await bench.spans(traceId(20)))!.length, 3);
		},
	},
	{
		title: "what is not released is replayed after a reopen too, and released then",
		skip: needsReopen,
		async run(bench) {
			const parts = Array.from({ length: 12 }, (_, i) => group(i + 1, NOW_MS + i * HALF_AN_HOUR_MS));
			const refs = parts.map((each) => bench.hold(each));
			bench.writer.release(refs[4]!);
			bench.maintain(NOW_MS + 7 * HALF_AN_HOUR_MS);
			for (let round = 0; round < 2; round++) {
				await bench.reopen();
				bench.maintain(NOW_MS + 7 * HALF_AN_HOUR_MS);
				const expected = refs.slice(5).map((ref, i) => given(ref, parts[i + 5]!));
				assert.deepEqual(replayed(bench.writer.replay(refs[4])), expected);
			}
			bench.writer.release(refs[11]!);
			bench.maintain(NOW_MS + 7 * HALF_AN_HOUR_MS);
			await bench.reopen();
			assert.deepEqual([...bench.writer.replay(refs[11])], []);
			const ref = bench.hold(group(99, NOW_MS + 8 * HALF_AN_HOUR_MS));
			assert.ok(isAfter(ref, refs[11]));
			assert.deepEqual(
				[...bench.writer.replay(refs[11])].map((each) => each.ref),
				[ref],
			);
		},
	},
];
