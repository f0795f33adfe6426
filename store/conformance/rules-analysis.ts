/** Answers that count spans instead of telling traces: durations as a grid, and what differs between selected spans and the others. */
import assert from "node:assert/strict";
import type { OtlpKeyValue, OtlpTracesData } from "../../model/otlp/types.ts";
import type { DurationNs } from "../../model/time.ts";
import type { SpanQuery } from "../store.ts";
import type { Rule } from "./kit.ts";
import { hopsOf } from "./rules-hops.ts";
import { ALL_TIME, at, from, NOW_MS, span, spanId, string, T0, type Workbench } from "./workbench.ts";

const CLIENT = 3;
const MS_NS = 1_000_000n;
const RANGE: SpanQuery = { attributes: [], fromNs: at(T0 - 1_000n * MS_NS), toNs: at(T0 + 60_000n * MS_NS) };

/** web calls cart; in slow traces the callee is slow. */
function call(trace: number, isSlow: boolean, callee: readonly OtlpKeyValue[], mtls = "mutual_tls"): OtlpTracesData[] {
	const [own, inner] = isSlow ? [900, 800] : [20, 10];
	const tls = [string("meshscope.mtls.status", mtls)];
	const startMs = trace * 10;
	return [
		from("web", [
			span(trace, 9, { startMs, durationMs: own }),
			span(trace, 1, { startMs: startMs + 1, parentSpanId: spanId(9), kind: CLIENT, durationMs: inner, attributes: tls }),
		]),
		from(
			"cart",
			[span(trace, 2, { startMs: startMs + 2, parentSpanId: spanId(1), durationMs: inner, attributes: tls })],
			callee,
		),
	];
}

async function pointsOf(bench: Workbench, query: Partial<SpanQuery>): Promise<readonly number[]> {
	const { points } = await bench.reader.spanDurations({ ...RANGE, columns: 60, ...query });
	return (points ?? []).map(({ durationNs }) => durationNs / 1e6).sort((a, b) => a - b);
}

export const ANALYSIS_RULES: readonly Rule[] = [
	{
		title: "durations are those of the spans that meet the query, roots alone where asked, of an edge those of its hops",
		async run(bench) {
			for (const i of [1, 2]) for (const part of call(i, i === 2, [])) bench.append({ traces: [part] });
			for (let round = 0; round < 2; round++) {
				assert.deepEqual(await pointsOf(bench, {}), [10, 10, 20, 800, 800, 900]);
				assert.deepEqual(await pointsOf(bench, { isRoot: true }), [20, 900]);
				assert.deepEqual(await pointsOf(bench, { isRoot: true, status: "error" }), []);
				assert.deepEqual(await pointsOf(bench, { service: "cart" }), [10, 800]);
				assert.deepEqual(await pointsOf(bench, { toNs: at(T0 + 15n * MS_NS) }), [10, 10, 20]);
				assert.deepEqual(await pointsOf(bench, { mtls: "mutual_tls" }), [10, 10, 800, 800]);
				const edge = (await hopsOf(bench, 1)).hops.find(({ source }) => source === "web")!.edgeId;
				assert.deepEqual(await pointsOf(bench, { edge }), [10, 800], "each hop once");
				assert.deepEqual(await pointsOf(bench, { edge, minDurationNs: 11_000_000n as DurationNs }), [800]);
				bench.maintain();
			}
		},
	},
	{
		title: "the bounds of a cell find the traces that it counts",
		async run(bench) {
			for (let i = 1; i <= 40; i++) bench.append({ traces: call(i * 20, i % 5 === 0, []) });
			bench.maintain();
			const grid = await bench.reader.spanDurations({ ...RANGE, isRoot: true, columns: 20 });
			assert.equal(grid.spans, 40);
			for (const [column, row, count] of grid.cells) {
				const fromNs = BigInt(grid.fromMs + column * grid.columnMs) * MS_NS;
				const { minNs, maxNs } = grid.rows[row]!;
				const found = await bench.found({
					isRoot: true,
					fromNs: at(fromNs),
					toNs: at(fromNs + BigInt(grid.columnMs) * MS_NS),
					minDurationNs: BigInt(minNs) as DurationNs,
					maxDurationNs: BigInt(maxNs) as DurationNs,
				});
				assert.equal(found.length, count);
			}
		},
	},
	{
		title: "what slow traces have and others have not comes out first, wherever in the trace it stands",
		async run(bench) {
			const version = (text: string): readonly OtlpKeyValue[] => [string("service.version", text)];
			for (let i = 1; i <= 120; i++) {
				const isSlow = i % 3 === 0;
				const host = string("host", `h${i % 7}`);
				bench.append({
					traces: call(i, isSlow, [...version(isSlow ? "v3" : "v2"), host, string("id", `unique ${i}`)]),
					arrivedMs: NOW_MS + i,
				});
				if (i === 60) bench.maintain();
			}
			const selection = { minDurationNs: 500_000_000n };
			const found = await bench.reader.traceDifferences({ ...RANGE, isRoot: true, selection, limit: 5 });
			assert.deepEqual(found.selected, { spans: 40, traces: 40, compared: 40 });
			assert.deepEqual(found.others, { spans: 80, traces: 80, compared: 80 });
			assert.deepEqual(
				found.differences.map(({ key, value, service, selected, others }) => [key, value, service, selected, others]),
				[["service.version", "v3", "cart", 40, 0]],
			);
			assert.ok(found.differences[0]!.excess > 0.5 && found.differences[0]!.excess < 1);
			const none = await bench.reader.traceDifferences({ ...RANGE, selection: { status: "error" }, limit: 5 });
			assert.deepEqual([none.selected.spans, none.differences], [0, []]);
		},
	},
	{
		title: "a plaintext hop, and the time of the selected spans, are compared like attributes",
		async run(bench) {
			for (let i = 1; i <= 90; i++) bench.append({ traces: call(i, false, [], i > 60 ? "plaintext" : "mutual_tls") });
			const fromNs = T0 + 605n * MS_NS;
			const query = { attributes: [], ...ALL_TIME, isRoot: true, selection: { fromNs }, limit: 1 };
			const { selected, differences } = await bench.reader.traceDifferences(query);
			assert.equal(selected.compared, 30);
			const [first] = differences;
			assert.deepEqual([first?.value, first?.selected, first?.others], ["plaintext", 30, 0]);
		},
	},
];
