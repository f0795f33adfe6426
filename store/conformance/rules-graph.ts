/** What is read of the topology: graphs, one edge, mTLS, the traffic of a service. Each flushed observation counts once, in its range. */
import assert from "node:assert/strict";
import { MeshscopeError } from "../../model/errors.ts";
import { canonicalDims } from "../../model/topology/dims.ts";
import { serviceEndpoint } from "../../model/topology/endpoint.ts";
import { encodeRollup } from "../../model/topology/rollup.ts";
import { bucketStart, emptySums, type MtlsStatus, type Outcome, RESOLUTIONS_MS } from "../../model/topology/series.ts";
import type { TopologyFlush } from "../topology.ts";
import type { Rule } from "./kit.ts";
import { NOW_MS, traceId, type Workbench } from "./workbench.ts";

const MINUTE_MS = 60_000;
/** Around everything that these rules flush, in whole buckets. */
const RANGE = { fromMs: NOW_MS - 30 * MINUTE_MS, toMs: NOW_MS + MINUTE_MS };

interface Called {
	readonly series: number;
	readonly target: string;
	readonly timeMs: number;
	readonly count?: number;
	readonly mtls?: MtlsStatus;
	readonly outcome?: Outcome;
	readonly failedHandshakes?: number;
}

function dimsOf({ target, mtls = "mutual_tls", outcome = "ok" }: Called): string {
	const isMutual = mtls === "mutual_tls";
	return canonicalDims({
		source: serviceEndpoint("web", "shop", "web-v1"),
		target: serviceEndpoint(target, "shop", `${target}-v1`),
		protocol: "http",
		unit: "requests",
		evidence: "pair",
		reporter: "both",
		sampled: false,
		mtls: {
			status: mtls,
			source: mtls,
			destination: mtls,
			sourcePrincipal: isMutual ? "spiffe://td/ns/shop/sa/web" : "",
			destinationPrincipal: isMutual ? `spiffe://td/ns/shop/sa/${target}` : "",
			tlsVersion: isMutual ? "1.3" : "",
			cipher: "",
			verifiedBy: "server",
		},
		outcome,
		destinationOutcome: undefined,
	});
}

/** One flush of the stage, with an exemplar of each series. */
function flush(bench: Workbench, ...all: readonly Called[]): void {
	const rollups = all.flatMap(({ series, timeMs, count = 1, failedHandshakes = 0 }) => {
		const sums = { ...emptySums(), observed: count, count, attempts: count, failedHandshakes };
		const data = encodeRollup(new Map([[series, { ...sums, firstMs: timeMs, lastMs: timeMs }]]));
		return RESOLUTIONS_MS.map((resolutionMs) => ({ resolutionMs, bucketMs: bucketStart(timeMs, resolutionMs), data }));
	});
	const written: TopologyFlush = {
		cursor: undefined,
		state: new Uint8Array(0),
		series: all.map((called) => ({ id: called.series, dims: dimsOf(called) })),
		rollups,
		exemplars: all.map(({ series, timeMs }) => ({
			series,
			timeMs,
			traceId: traceId(series),
			durationNs: 1e6,
			isError: false,
		})),
		certificates: [],
		addresses: [],
		counters: [],
	};
	bench.topology.writer.flush(written);
}

async function requestsByTarget(bench: Workbench, range = RANGE): Promise<Record<string, number>> {
	const { graph } = await bench.reader.graph({ ...range, groupBy: "service" });
	return Object.fromEntries(graph.edges.map(({ target, requests }) => [target, requests]));
}

export const GRAPH_RULES: readonly Rule[] = [
	{
		title: "a store without topology has an empty graph, no edge, no mTLS and no traffic",
		async run({ reader }) {
			const { graph, window } = await reader.graph({ ...RANGE, groupBy: "service" });
			assert.deepEqual([graph.nodes, graph.edges, window.flushedMs], [[], [], undefined]);
			assert.equal(await reader.edge({ ...RANGE, id: "0123456789abcdef" }), undefined);
			const { report } = await reader.mtls({ ...RANGE, groupBy: "service" });
			assert.deepEqual([report.plaintext, report.mixed, report.identities, report.certificates], [[], [], [], []]);
			assert.equal(await reader.serviceTraffic({ ...RANGE, service: "web" }), undefined);
		},
	},
	{
		title: "a graph counts every observation of its range once, over flushes, and none beside it",
		async run(bench) {
			flush(bench, { series: 1, target: "cart", timeMs: NOW_MS - 10 * MINUTE_MS, count: 3 });
			flush(
				bench,
				{ series: 1, target: "cart", timeMs: NOW_MS - 10 * MINUTE_MS, count: 4 },
				{ series: 2, target: "cart", timeMs: NOW_MS - 2 * MINUTE_MS, count: 5, outcome: "server_error" },
				{ series: 3, target: "stock", timeMs: NOW_MS - 2 * MINUTE_MS, count: 2 },
				{ series: 3, target: "stock", timeMs: NOW_MS - 3 * 3_600_000, count: 100 },
			);
			assert.deepEqual(await requestsByTarget(bench), { "shop/cart": 12, "shop/stock": 2 });
			const late = { fromMs: NOW_MS - 5 * MINUTE_MS, toMs: NOW_MS };
			assert.deepEqual(await requestsByTarget(bench, late), { "shop/cart": 5, "shop/stock": 2 });
			const { graph, window } = await bench.reader.graph({ ...RANGE, groupBy: "namespace" });
			assert.deepEqual(
				graph.edges.map(({ source, target, requests, errors }) => [source, target, requests, errors]),
				[["shop", "shop", 14, 5]],
			);
			assert.ok(window.flushedMs !== undefined && window.fromMs <= RANGE.fromMs && window.toMs >= RANGE.toMs);
		},
	},
	{
		title: "an edge of a graph is found by its id, with its steps, its evidence and its exemplars",
		async run(bench) {
			flush(
				bench,
				{ series: 1, target: "cart", timeMs: NOW_MS - 10 * MINUTE_MS, count: 3 },
				{
					series: 2,
					target: "cart",
					timeMs: NOW_MS - 2 * MINUTE_MS,
					count: 5,
					outcome: "server_error",
					failedHandshakes: 2,
				},
			);
			const { graph } = await bench.reader.graph({ ...RANGE, groupBy: "service" });
			const [told] = graph.edges;
			assert.ok(told !== undefined);
			const found = await bench.reader.edge({ ...RANGE, id: told.id, stepMs: MINUTE_MS });
			assert.ok(found?.edge !== undefined);
			assert.deepEqual([found.edge.id, found.edge.requests, found.edge.errors], [told.id, 8, 5]);
			assert.equal(found.edge.mtls.failedHandshakes, 2);
			assert.deepEqual(
				found.points.map(({ timeMs, requests, errors }) => [timeMs, requests, errors]),
				[
					[bucketStart(NOW_MS - 10 * MINUTE_MS, MINUTE_MS), 3, 0],
					[bucketStart(NOW_MS - 2 * MINUTE_MS, MINUTE_MS), 5, 5],
				],
			);
			assert.deepEqual(
				found.evidence.map(({ series, observed }) => [series, observed]),
				[
					[2, 5],
					[1, 3],
				],
			);
			const before = { fromMs: NOW_MS - 29 * MINUTE_MS, toMs: NOW_MS - 20 * MINUTE_MS };
			const quiet = await bench.reader.edge({ ...before, id: told.id });
			assert.deepEqual([quiet?.edge, quiet?.points, quiet?.evidence], [undefined, [], []]);
		},
	},
	{
		title: "an edge in more steps than can be added up is refused as too broad",
		async run(bench) {
			flush(bench, { series: 1, target: "cart", timeMs: NOW_MS - MINUTE_MS });
			const { graph } = await bench.reader.graph({ ...RANGE, groupBy: "service" });
			const years = { fromMs: NOW_MS - 365 * 86_400_000, toMs: NOW_MS, stepMs: 10_000 };
			const asked = bench.reader.edge({ ...years, id: graph.edges[0]!.id });
			await assert.rejects(asked, (error) => error instanceof MeshscopeError && error.code === "query_too_broad");
		},
	},
	{
		title: "mTLS tells coverage by requests, what is plaintext with a sample of it, and who was authenticated",
		async run(bench) {
			flush(
				bench,
				{ series: 1, target: "cart", timeMs: NOW_MS - 3 * MINUTE_MS, count: 6 },
				{ series: 2, target: "cart", timeMs: NOW_MS - 2 * MINUTE_MS, count: 2, mtls: "plaintext" },
				{ series: 3, target: "stock", timeMs: NOW_MS - 2 * MINUTE_MS, count: 4, mtls: "plaintext" },
			);
			const { report } = await bench.reader.mtls({ ...RANGE, groupBy: "service" });
			assert.deepEqual([report.requests.counts.mutual_tls, report.requests.counts.plaintext], [6, 6]);
			assert.deepEqual(
				report.plaintext.map(({ target, samples }) => [target, samples.map((sample) => sample.traceId)]),
				[["shop/stock", [traceId(3)]]],
			);
			assert.deepEqual(
				report.mixed.map(({ target, samples }) => [target, samples.map((sample) => sample.traceId)]),
				[["shop/cart", [traceId(2)]]],
			);
			const principals = report.identities.map(({ principal }) => principal).toSorted();
			assert.deepEqual(principals, ["spiffe://td/ns/shop/sa/cart", "spiffe://td/ns/shop/sa/web"]);
		},
	},
	{
		title: "the traffic of a service is found by its name, and of a name that nobody has there is none",
		async run(bench) {
			flush(bench, { series: 1, target: "cart", timeMs: NOW_MS - 3 * MINUTE_MS, count: 6 });
			assert.notEqual(await bench.reader.serviceTraffic({ ...RANGE, service: "cart" }), undefined);
			assert.equal(await bench.reader.serviceTraffic({ ...RANGE, service: "nobody" }), undefined);
		},
	},
];
