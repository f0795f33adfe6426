/**
 * Graph queries over roll-ups of 1,000 edges: an hour of them and seven days. Every answer is computed anew, as after a flush, and its
 * counts are compared with what was written.
 *
 * `node bench/graph.ts` measures over roll-ups in memory; {@link measureGraph} does the same over any store.
 */
import { performance } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { canonicalDims } from "../model/topology/dims.ts";
import { serviceEndpoint } from "../model/topology/endpoint.ts";
import { histogramIndex } from "../model/topology/histogram.ts";
import { encodeRollup } from "../model/topology/rollup.ts";
import { bucketStart, emptySums, type ResolutionMs, type SeriesDims, type SeriesSums } from "../model/topology/series.ts";
import { CannedTopology } from "../store/topology-queries/canned-topology.ts";
import { topologyQueries } from "../store/topology-queries.ts";
import type { TopologyFlush, TopologyReader } from "../store/topology.ts";
import { type Figure, textOf } from "./report.ts";
import { spreadOf } from "./statistics.ts";

export interface GraphBenchStore {
	write(flush: Pick<TopologyFlush, "series" | "rollups">): void;
	readonly reader: TopologyReader;
}

const EDGES = 1_000;
const SERVICES = 300;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Requests of an edge in a minute: the mean over a skew in which the busiest has a hundred times the quietest. */
const REQUESTS_A_MINUTE = 100;
const REPETITIONS = 15;
/** Buckets of one width repeat these, so that writing a week does not take an hour. */
const VARIANTS = 4;

export function measureGraph(report: (figure: Figure) => void, store: GraphBenchStore, nowMs: number): void {
	const random = generator(11);
	store.write({ series: seriesRows(), rollups: [] });
	const counts = new Map<string, number>();
	for (const [widthMs, fromMs] of [
		[10_000, nowMs - 3 * HOUR_MS],
		[MINUTE_MS, nowMs - 2 * DAY_MS],
		[HOUR_MS, nowMs - 8 * DAY_MS],
		[DAY_MS, nowMs - 8 * DAY_MS],
	] as const) {
		const variants = Array.from({ length: VARIANTS }, () => bucketOf(random, widthMs));
		// Minutes and tens of seconds are read in the last hour only.
		const readFromMs = Math.max(fromMs, widthMs < HOUR_MS ? nowMs - HOUR_MS - widthMs : fromMs);
		for (let start = bucketStart(readFromMs, widthMs), i = 0; start <= nowMs; start += widthMs, i++) {
			const { data, requests } = variants[i % VARIANTS]!;
			store.write({ series: [], rollups: [{ resolutionMs: widthMs, bucketMs: start, data }] });
			counts.set(`${widthMs} ${start}`, requests);
		}
		if (widthMs === 10_000 || widthMs === MINUTE_MS)
			for (const start of [fromMs]) store.write({ series: [], rollups: [nothingAt(widthMs, bucketStart(start, widthMs))] });
	}
	for (const [name, rangeMs, bar] of [
		["graph of 1,000 edges, an hour", HOUR_MS, 50],
		["graph of 1,000 edges, seven days", 7 * DAY_MS, 150],
	] as const) {
		const queries = topologyQueries(store.reader, () => nowMs);
		const times: number[] = [];
		let invalid: string | undefined;
		for (let i = 0; i < REPETITIONS; i++) {
			// A flush: nothing of the last answer holds.
			store.write({ series: [], rollups: [nothingAt(10_000, bucketStart(nowMs, 10_000))] });
			const started = performance.now();
			const { graph } = queries.graph({ fromMs: nowMs - rangeMs, toMs: nowMs, groupBy: "service" });
			times.push(performance.now() - started);
			const requests = graph.edges.reduce((sum, edge) => sum + edge.requests, 0);
			const expected = expectedIn(store.reader, counts, nowMs - rangeMs, nowMs, queries);
			if (graph.edges.length !== EDGES || requests !== expected)
				invalid = `${graph.edges.length} edges with ${requests} requests instead of ${EDGES} with ${expected}`;
		}
		report({
			section: "graph",
			name,
			unit: "ms",
			value: spreadOf(times.slice(2)),
			repetitions: REPETITIONS - 2,
			bar: { atMost: bar },
			...(invalid === undefined ? {} : { invalid }),
		});
	}
}

/** What was written into the buckets that the window is made of. */
function expectedIn(
	reader: TopologyReader,
	counts: ReadonlyMap<string, number>,
	fromMs: number,
	toMs: number,
	queries: ReturnType<typeof topologyQueries>,
): number {
	const { window } = queries.graph({ fromMs, toMs, groupBy: "service" });
	let sum = 0;
	let at = window.fromMs;
	const widths: readonly ResolutionMs[] = [DAY_MS, HOUR_MS, MINUTE_MS, 10_000];
	while (at < window.toMs) {
		const width = widths.find((one) => one >= window.resolutionMs && at % one === 0 && at + one <= window.toMs)!;
		sum += counts.get(`${width} ${at}`) ?? 0;
		at += width;
	}
	if (reader.progress() === undefined) throw new Error("nothing was written");
	return sum;
}

function nothingAt(resolutionMs: ResolutionMs, bucketMs: number): TopologyFlush["rollups"][number] {
	return { resolutionMs, bucketMs, data: new Uint8Array(0) };
}

/** Each edge has a series of what succeeded, half of them one of what failed. */
function seriesRows(): TopologyFlush["series"] {
	const rows: { id: number; dims: string }[] = [];
	for (let edge = 0; edge < EDGES; edge++) {
		rows.push({ id: 2 * edge + 1, dims: canonicalDims(dimsOf(edge, "ok")) });
		if (edge % 2 === 0) rows.push({ id: 2 * edge + 2, dims: canonicalDims(dimsOf(edge, "server_error")) });
	}
	return rows;
}

function dimsOf(edge: number, outcome: SeriesDims["outcome"]): SeriesDims {
	const name = (i: number): string => `service-${i % SERVICES}`;
	const source = name(edge);
	const target = name(edge + 1 + Math.floor(edge / SERVICES) * 7);
	return {
		source: serviceEndpoint(source, "shop", `${source}-v1`, "cluster-1"),
		target: serviceEndpoint(target, "shop", `${target}-v1`, "cluster-1"),
		protocol: "http",
		unit: "requests",
		evidence: "pair",
		reporter: "both",
		sampled: false,
		mtls: {
			status: "mutual_tls",
			source: "mutual_tls",
			destination: "mutual_tls",
			sourcePrincipal: `spiffe://cluster.local/ns/shop/sa/${source}`,
			destinationPrincipal: `spiffe://cluster.local/ns/shop/sa/${target}`,
			tlsVersion: "1.3",
			cipher: "",
			verifiedBy: "server",
		},
		outcome,
		destinationOutcome: undefined,
	};
}

/** What all edges carry in one bucket of time. */
function bucketOf(random: () => number, widthMs: number): { readonly data: Uint8Array; readonly requests: number } {
	const sums = new Map<number, SeriesSums>();
	let requests = 0;
	for (let edge = 0; edge < EDGES; edge++) {
		const share = 0.05 + (4.6 * ((edge * 7919) % EDGES) ** 4) / EDGES ** 4;
		const count = Math.max(1, Math.round((share * REQUESTS_A_MINUTE * widthMs) / MINUTE_MS));
		requests += count;
		sums.set(2 * edge + 1, sumsOf(random, edge, count));
		if (edge % 2 === 0 && count >= 50) {
			const failed = Math.ceil(count / 100);
			requests += failed;
			sums.set(2 * edge + 2, sumsOf(random, edge, failed));
		}
	}
	return { data: encodeRollup(sums), requests };
}

function sumsOf(random: () => number, edge: number, count: number): SeriesSums {
	const sums = emptySums();
	Object.assign(sums, { observed: count, count, attempts: count, bytesSent: 700 * count, bytesReceived: 4_000 * count });
	Object.assign(sums, { firstMs: 1_767_225_600_000, lastMs: 1_767_225_600_000 + 50_000 });
	sums.codes.set("200", count);
	// Of a busy bucket only so many requests are drawn: each stands for several.
	const drawn = Math.min(count, 1_000);
	for (let i = 0; i < drawn; i++) {
		const weight = Math.floor((count * (i + 1)) / drawn) - Math.floor((count * i) / drawn);
		const ns = (1 + (edge % 20)) * 1e6 * Math.exp(0.5 * gaussian(random));
		for (const [histogram, value] of [
			[sums.sourceLatency, ns],
			[sums.destinationLatency, 0.9 * ns],
		] as const) {
			const index = histogramIndex(value);
			histogram.set(index, (histogram.get(index) ?? 0) + weight);
		}
		sums.sourceLatencyNs += Math.round(ns) * weight;
		sums.destinationLatencyNs += Math.round(0.9 * ns) * weight;
	}
	return sums;
}

function gaussian(random: () => number): number {
	return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function generator(seed: number): () => number {
	let state = seed;
	return () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
	const topology = new CannedTopology();
	const nowMs = Date.UTC(2026, 0, 10, 12, 34, 56);
	measureGraph(
		(figure) => console.log(textOf(figure)),
		{ write: (flush) => topology.write(flush, nowMs), reader: topology },
		nowMs,
	);
}
