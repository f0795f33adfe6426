import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cannedSeries, type CannedSeries } from "../model/topology/canned-series.ts";
import { histogramIndex } from "../model/topology/histogram.ts";
import { emptySums, type MtlsStatus, type ResolutionMs, RESOLUTIONS_MS, type SeriesSums } from "../model/topology/series.ts";
import { CannedTopology } from "./topology-queries/canned-topology.ts";
import { timeNs } from "../model/time.ts";
import { beginningOf, MESH_STEPS, planSteps, planWindow } from "./topology-queries/plan.ts";
import { topologyQueries } from "./topology-queries.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 10, 12, 34, 56);

function oneRequest(timeMs: number, durationNs = 1_000_000): SeriesSums {
	const sums = emptySums();
	Object.assign(sums, { observed: 1, count: 1, attempts: 1, firstMs: timeMs, lastMs: timeMs, sourceLatencyNs: durationNs });
	sums.sourceLatency.set(histogramIndex(durationNs), 1);
	return sums;
}

function topologyOf(
	series: readonly CannedSeries[],
	timesMs: readonly number[],
	widths?: readonly ResolutionMs[],
): CannedTopology {
	const topology = new CannedTopology();
	const all = cannedSeries(...series);
	for (const { id, dims } of all) topology.describe(id, dims);
	for (const timeMs of timesMs) topology.flush(timeMs, new Map(all.map(({ id }) => [id, oneRequest(timeMs)])), widths);
	return topology;
}

test("a window is covered without gaps or overlaps, from few buckets", () => {
	const range = fc.tuple(fc.integer({ min: 0, max: 2e12 }), fc.integer({ min: 1, max: 92 * DAY }));
	fc.assert(
		fc.property(range, ([fromMs, lengthMs]) => {
			const plan = planWindow(fromMs, fromMs + lengthMs, () => 0);
			assert.ok(plan.fromMs <= fromMs && fromMs - plan.fromMs < plan.resolutionMs);
			assert.ok(plan.toMs >= fromMs + lengthMs && plan.toMs - fromMs - lengthMs < plan.resolutionMs);
			let at = plan.fromMs;
			let buckets = 0;
			for (const piece of plan.pieces) {
				assert.equal(piece.fromMs, at);
				assert.equal(piece.fromMs % piece.resolutionMs, 0);
				assert.equal(piece.toMs % piece.resolutionMs, 0);
				buckets += (piece.toMs - piece.fromMs) / piece.resolutionMs;
				at = piece.toMs;
			}
			assert.equal(at, plan.toMs);
			assert.ok(buckets <= 240, `${buckets} buckets`);
		}),
	);
});

test("fine buckets that are gone are replaced by the next that are kept", () => {
	const oldest = (width: ResolutionMs): number => (width === 10_000 ? NOW - HOUR : 0);
	assert.equal(planWindow(NOW - 30 * MINUTE, NOW, oldest).resolutionMs, 10_000);
	assert.equal(planWindow(NOW - 2 * HOUR, NOW - HOUR, oldest).resolutionMs, MINUTE);
	// A store that is younger than the window has nothing coarser that reaches further back.
	assert.equal(planWindow(NOW - HOUR, NOW, (width) => Math.floor((NOW - MINUTE) / width) * width).resolutionMs, 10_000);
	assert.equal(planWindow(NOW - HOUR, NOW, () => undefined).resolutionMs, 10_000);
});

test("steps are whole buckets, and too many of them are refused", () => {
	assert.deepEqual(planSteps(NOW - HOUR, NOW, undefined, () => 0)?.stepMs, MINUTE);
	assert.deepEqual(planSteps(NOW - 7 * DAY, NOW, undefined, () => 0)?.stepMs, 6 * HOUR);
	assert.equal(
		planSteps(NOW - 7 * DAY, NOW, 30_000, () => 0),
		undefined,
	);
	const coarse = planSteps(NOW - HOUR, NOW, 30_000, (width) => (width === 10_000 ? undefined : 0));
	assert.deepEqual([coarse?.stepMs, coarse?.resolutionMs], [MINUTE, MINUTE]);
});

test("the graph of any window counts what was flushed in it, each observation once", () => {
	const time = fc.integer({ min: NOW - 10 * DAY, max: NOW });
	fc.assert(
		fc.property(fc.array(time, { maxLength: 30 }), time, fc.integer({ min: 1, max: 10 * DAY }), (times, fromMs, lengthMs) => {
			const topology = topologyOf([{}], times);
			const { window, graph } = topologyQueries(topology, () => NOW).graph({
				fromMs,
				toMs: fromMs + lengthMs,
				groupBy: "service",
			});
			const expected = times.filter((timeMs) => timeMs >= window.fromMs && timeMs < window.toMs).length;
			assert.equal(graph.edges[0]?.requests ?? 0, expected);
		}),
		{ numRuns: 50 },
	);
});

test("the same window is added up once until something is flushed", () => {
	const topology = topologyOf([{}], [NOW - MINUTE]);
	const queries = topologyQueries(topology, () => NOW);
	const ask = () => queries.graph({ fromMs: NOW - HOUR, toMs: NOW, groupBy: "service" }).graph.edges[0]!.requests;
	assert.equal(ask(), 1);
	const { reads } = topology;
	queries.mtls({ fromMs: NOW - HOUR, toMs: NOW, groupBy: "namespace" });
	assert.equal(topology.reads, reads);
	topology.flush(NOW - 1, new Map([[1, oneRequest(NOW - 1)]]));
	assert.equal(ask(), 2);
});

test("a rate is by the second of what was observed: the present ends the window", () => {
	const topology = topologyOf([{}], [NOW - 30_000, NOW - 1]);
	const query = { fromMs: NOW - 56_000, toMs: NOW, groupBy: "service" } as const;
	const { seconds, graph } = topologyQueries(topology, () => NOW).graph(query);
	assert.equal(seconds, 56);
	assert.equal(graph.edges[0]!.requestRate, 2 / 56);
});

test("a rate is by the second of what was observed: the first data begin the window, a minute of it at the latest", () => {
	const rates = [5 * MINUTE, 10_000].map((agoMs) => {
		const topology = topologyOf([{}], [NOW - agoMs, NOW - 1]);
		return topologyQueries(topology, () => NOW).graph({ fromMs: NOW - HOUR, toMs: NOW, groupBy: "service" }).graph.edges[0]!;
	});
	const began = Math.floor((NOW - 5 * MINUTE) / 10_000) * 10_000;
	assert.deepEqual(
		rates.map(({ requestRate }) => requestRate),
		[2 / ((NOW - began) / 1_000), 2 / 60],
	);
});

test("an edge is told by its id at every grouping, step by step, with traces and evidence", () => {
	const topology = topologyOf(
		[
			{ from: "x/a@a1", to: "y/b@b1" },
			{ from: "a", to: "b", evidence: "log", reporter: "source", sampled: true },
			{ from: "x/a@a1", to: "y/c" },
		],
		[NOW - 50 * MINUTE, NOW - 20 * MINUTE],
	);
	topology.traces.push({
		series: 1,
		timeMs: NOW - 20 * MINUTE,
		traceId: "ab".repeat(16),
		durationNs: 1_000_000,
		isError: false,
	});
	const queries = topologyQueries(topology, () => NOW);
	for (const groupBy of ["service", "workload"] as const) {
		const range = { fromMs: NOW - HOUR, toMs: NOW };
		const expected = queries.graph({ ...range, groupBy }).graph.edges.find(({ target }) => target.startsWith("y/b"))!;
		const found = queries.edge({ ...range, id: expected.id })!;
		assert.deepEqual(found.edge, expected);
		assert.equal(found.groupBy, groupBy);
		assert.deepEqual(
			found.points.map(({ timeMs, requests }) => [timeMs, requests]),
			[NOW - 50 * MINUTE, NOW - 20 * MINUTE].map((timeMs) => [Math.floor(timeMs / MINUTE) * MINUTE, 1]),
		);
		assert.deepEqual(
			found.latency.map(({ count, exemplars }) => [count, exemplars.map(({ traceId }) => traceId)]),
			[[2, ["ab".repeat(16)]]],
		);
		assert.ok(found.latency[0]!.fromMs < 1 && found.latency[0]!.toMs >= 1);
	}
	const { id } = queries.graph({ fromMs: NOW - HOUR, toMs: NOW, groupBy: "service" }).graph.edges[0]!;
	const { evidence } = queries.edge({ id, fromMs: NOW - HOUR, toMs: NOW })!;
	assert.deepEqual(
		evidence.map(({ series, evidence: rule, source }) => [series, rule, source.told, source.taken]),
		[
			[1, "pair", "x/a@a1", "x/a@a1"],
			[2, "log", "a", "x/a"],
		],
	);
	assert.equal(queries.edge({ id: "0".repeat(16), fromMs: NOW - HOUR, toMs: NOW }), undefined);
	assert.equal(queries.edge({ id, fromMs: NOW - 10 * DAY, toMs: NOW - 9 * DAY })?.edge, undefined);
});

test("the whole mesh's steps add up to its graph, units apart, and say when anything began", () => {
	const topology = topologyOf(
		[
			{ from: "x/a", to: "y/b", mtls: "mutual_tls" },
			// The same requests, from another witness: counted once.
			{ from: "x/a", to: "y/b", evidence: "log", reporter: "source", sampled: true },
			{ from: "y/b", to: "y/c", outcome: "server_error", mtls: "plaintext" },
			{ from: "y/b", to: "y/db", protocol: "tcp", mtls: "unknown" },
		],
		[NOW - 3 * DAY, NOW - 50 * MINUTE, NOW - 20 * MINUTE, NOW - 20 * MINUTE],
	);
	const queries = topologyQueries(topology, () => NOW);
	const hour = { fromMs: NOW - HOUR, toMs: NOW };
	const { window, stepMs, beginsMs, points } = queries.graphHistory(hour);
	assert.deepEqual([stepMs, window.resolutionMs, window.flushedMs], [MINUTE, MINUTE, NOW - 20 * MINUTE]);
	assert.ok(window.fromMs <= hour.fromMs && window.toMs >= hour.toMs);
	assert.equal(beginsMs, Math.floor((NOW - 3 * DAY) / 10_000) * 10_000);
	assert.deepEqual(
		points.map(({ timeMs, requestMtls, connectionMtls, ...counts }) => [
			...[timeMs, requestMtls.mutual_tls, requestMtls.plaintext, connectionMtls.unknown, counts],
		]),
		[1, 2].map((count, i) => [
			Math.floor((NOW - [50, 20][i]! * MINUTE) / MINUTE) * MINUTE,
			...[count, count, count],
			{ requests: 2 * count, errors: count, connections: count, connectionErrors: 0 },
		]),
	);
	const { edges } = queries.graph({ ...hour, groupBy: "service" }).graph;
	const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
	assert.equal(sum(points.map(({ requests }) => requests)), sum(edges.map(({ requests }) => requests)));
	assert.deepEqual(queries.graphHistory({ fromMs: NOW - 9 * DAY, toMs: NOW - 8 * DAY }).points, []);
	assert.throws(() => queries.graphHistory({ fromMs: NOW - 7 * DAY, toMs: NOW, stepMs: 10_000 }), { code: "query_too_broad" });
	assert.equal(topologyQueries(new CannedTopology(), () => NOW).graphHistory(hour).beginsMs, undefined);
});

test("an hour of the mesh is told by minutes, a day by tens of them, a week by hours, a month by days", () => {
	const lengths = [HOUR, DAY, 26 * HOUR, 7 * DAY, 30 * DAY, 90 * DAY].map(
		(rangeMs) => planSteps(NOW - rangeMs, NOW, undefined, () => 0, MESH_STEPS)?.stepMs,
	);
	assert.deepEqual(lengths, [MINUTE, 10 * MINUTE, HOUR, HOUR, 6 * HOUR, DAY]);
});

test("what is kept began where the finest width tells that still has it", () => {
	const begun = NOW - 100 * DAY;
	const keptFor = (limits: Readonly<Record<number, number>>) =>
		beginningOf((width) => Math.max(Math.floor(begun / width) * width, NOW - (limits[width] ?? Infinity)));
	assert.equal(keptFor({}), Math.floor(begun / 10_000) * 10_000);
	assert.equal(keptFor({ 10_000: DAY, [MINUTE]: 2 * DAY }), Math.floor(begun / HOUR) * HOUR);
	assert.equal(keptFor({ 10_000: DAY, [MINUTE]: 2 * DAY, [HOUR]: 30 * DAY }), Math.floor(begun / DAY) * DAY);
});

test("plaintext comes with sample traces", () => {
	const topology = topologyOf([{ mtls: "plaintext" }, { mtls: "mutual_tls", to: "c" }], [NOW - MINUTE]);
	for (const series of [1, 2])
		topology.traces.push({ series, timeMs: NOW - MINUTE, traceId: `${series}`.repeat(32), durationNs: 5, isError: true });
	const { report } = topologyQueries(topology, () => NOW).mtls({ fromMs: NOW - HOUR, toMs: NOW, groupBy: "service" });
	assert.deepEqual(
		report.plaintext.map(({ target, samples }) => [target, samples.map(({ traceId }) => traceId)]),
		[["b", ["1".repeat(32)]]],
	);
	assert.equal(report.requests.percent, 50);
});

test("a service's traffic is told both ways, by name and by node", () => {
	const topology = topologyOf(
		[
			{ from: "x/a", to: "x/b" },
			{ from: "x/b", to: "x/c" },
			{ from: "x/b", to: "x/d" },
		],
		[NOW - MINUTE],
	);
	const queries = topologyQueries(topology, () => NOW);
	for (const service of ["b", "x/b"]) {
		const { traffic } = queries.serviceTraffic({ service, fromMs: NOW - HOUR, toMs: NOW })!;
		assert.deepEqual([traffic.nodes, traffic.inbound.requests, traffic.outbound.requests], [["x/b"], 1, 2]);
		assert.ok(Math.abs(traffic.outbound.latencyMs!.p95 - 1) < 0.011);
	}
	assert.equal(queries.serviceTraffic({ service: "nobody", fromMs: NOW - HOUR, toMs: NOW }), undefined);
});

test("a service is told step by step, and the steps add up to the whole range", () => {
	const series: CannedSeries[] = [
		{ from: "x/a", to: "x/b" },
		{ from: "x/b", to: "x/c" },
		{ from: "y/a", to: "y/b", mtls: "plaintext" },
	];
	const times = [NOW - 50 * MINUTE, NOW - 20 * MINUTE, NOW - 20 * MINUTE, NOW - 5_000];
	const queries = topologyQueries(topologyOf(series, times), () => NOW);
	const range = { fromMs: NOW - HOUR, toMs: NOW };
	for (const service of ["b", "x/b"]) {
		const { traffic } = queries.serviceTraffic({ service, ...range })!;
		const { points, stepMs } = queries.serviceHistory({ service, ...range, stepMs: 10 * MINUTE })!;
		assert.equal(stepMs, 10 * MINUTE);
		assert.equal(points.length, 3);
		for (const way of ["inbound", "outbound"] as const)
			assert.equal(
				points.reduce((sum, point) => sum + point[way].requests, 0),
				traffic[way].requests,
			);
		assert.ok(Math.abs(points[1]!.inbound.latencyMs!.p99 - 1) < 0.011);
		// The last step began at 12:30 and was observed for 4 min 51 s only.
		const { requests, requestRate } = points[2]!.inbound;
		assert.equal(requestRate, requests / 291);
	}
	assert.equal(queries.serviceHistory({ service: "nobody", ...range }), undefined);
	assert.deepEqual(queries.serviceHistory({ service: "b", fromMs: NOW - 45 * MINUTE, toMs: NOW - 30 * MINUTE })!.points, []);
});

test("what a metric counted for ten seconds is no rush in the second in which it came", () => {
	const rateOf = (series: CannedSeries): number => {
		const topology = topologyOf([{ from: "x/a", to: "x/b", ...series }], [NOW - MINUTE]);
		// 12:34:52: two seconds into a step.
		for (let i = 0; i < 40; i++) topology.flush(NOW - 4_000, new Map([[1, oneRequest(NOW - 4_000)]]));
		const { points } = topologyQueries(topology, () => NOW).serviceHistory({
			service: "b",
			fromMs: NOW - 2 * MINUTE,
			toMs: NOW,
			stepMs: 10_000,
		})!;
		return points.at(-1)!.inbound.requestRate;
	};
	assert.equal(rateOf({ evidence: "metric", reporter: "source" }), 4);
	assert.equal(rateOf({}), 20);
});

test("answers survive being sent to another thread", () => {
	const topology = topologyOf([{ mtls: "plaintext" }], [NOW - MINUTE], RESOLUTIONS_MS);
	const queries = topologyQueries(topology, () => NOW);
	const range = { fromMs: NOW - HOUR, toMs: NOW, groupBy: "service" } as const;
	const { id } = queries.graph(range).graph.edges[0]!;
	for (const answer of [queries.graph(range), queries.mtls(range), queries.edge({ ...range, id })])
		assert.deepEqual(structuredClone(answer), answer);
});

const RANGE = { fromNs: timeNs(BigInt(NOW - 6 * HOUR) * 1_000_000n), toNs: timeNs(BigInt(NOW) * 1_000_000n) };

test("every edge of a range is told, and every statement about it, of all services or of one", () => {
	const topology = topologyOf(
		[
			{ from: "web", to: "cart", mtls: "mutual_tls" },
			{ from: "web", to: "cart", evidence: "log", reporter: "destination", mtls: "plaintext" },
			{ from: "cart", to: "db" },
			{ from: "a", to: "b" },
		],
		[NOW - 2 * HOUR],
	);
	const queries = topologyQueries(topology, () => NOW);
	const told = (edges: readonly { readonly source: string; readonly target: string }[]): string[] =>
		edges.map(({ source, target }) => `${source} ${target}`);
	assert.deepEqual(told(queries.edges(RANGE)), ["a b", "cart db", "web cart"]);
	assert.deepEqual(told(queries.edges({ ...RANGE, service: "cart" })), ["cart db", "web cart"]);
	assert.deepEqual(told(queries.edges({ ...RANGE, service: "car" })), []);
	assert.deepEqual(told(queries.edges({ fromNs: timeNs(0n), toNs: timeNs(1n << 63n) })), ["a b", "cart db", "web cart"]);
	assert.deepEqual(told(queries.edges({ fromNs: timeNs(0n), toNs: timeNs(1n) })), []);
	assert.deepEqual(told(queries.edges({ fromNs: timeNs(BigInt(NOW + DAY) * 1_000_000n), toNs: timeNs(1n << 63n) })), []);
	const statements = [...queries.edgeStatements({ ...RANGE, service: "web" })];
	assert.deepEqual(statements.map(({ edge, evidence, mtls }) => [edge.target, evidence, mtls.status]).toSorted(), [
		["cart", "log", "plaintext"],
		["cart", "pair", "mutual_tls"],
	]);
});

function placesOf(topology: CannedTopology, status: MtlsStatus, fromMs: number, toMs: number, services = ["web", "cart"]) {
	const queries = topologyQueries(topology, () => NOW);
	return queries.hopPlaces({ mtls: status, fromMs, toMs }, (name) => services.includes(name));
}

test("hops of a status can be in the minutes that count one, and where nothing was counted yet", () => {
	const seen = NOW - 3 * HOUR;
	const topology = topologyOf([{ from: "web", to: "cart", mtls: "plaintext" }], [NOW - 2 * DAY, seen]);
	topology.flush(NOW, new Map());
	const [first, last, ...others] = placesOf(topology, "plaintext", NOW - 6 * HOUR, NOW);
	assert.deepEqual(others, []);
	assert.ok(first !== undefined && last !== undefined);
	assert.ok(first.fromMs <= seen && seen < first.toMs && first.toMs - first.fromMs <= 3 * MINUTE);
	assert.deepEqual(first.services, new Set(["web", "cart"]));
	assert.deepEqual(last, { fromMs: NOW - MINUTE, toMs: NOW, services: undefined });
	assert.deepEqual(placesOf(topology, "tls", NOW - 6 * HOUR, NOW), [last]);
	assert.deepEqual(placesOf(topology, "plaintext", NOW - 6 * HOUR, NOW, ["cart"])[0]?.services, new Set(["cart"]));
	assert.equal(placesOf(topology, "plaintext", NOW - 6 * HOUR, NOW, [])[0]?.services, undefined);
});

test("hops of an edge can be in the minutes that count one of it", () => {
	const seen = NOW - 3 * HOUR;
	const topology = topologyOf([{ from: "web", to: "cart" }], [NOW - 2 * DAY, seen]);
	topology.flush(NOW, new Map());
	const queries = topologyQueries(topology, () => NOW);
	const [edge] = queries.graph({ fromMs: NOW - 6 * HOUR, toMs: NOW, groupBy: "service" }).graph.edges;
	const range = { fromMs: NOW - 6 * HOUR, toMs: NOW };
	const [first, last, ...others] = queries.hopPlaces({ edge: edge!.id, ...range }, () => true);
	assert.deepEqual(others, []);
	assert.ok(first !== undefined && first.fromMs <= seen && seen < first.toMs && first.toMs - first.fromMs <= 3 * MINUTE);
	assert.deepEqual(first.services, new Set(["web", "cart"]));
	assert.deepEqual(
		queries.hopPlaces({ edge: edge!.id, mtls: "tls", ...range }, () => true),
		[last],
	);
	assert.deepEqual(
		queries.hopPlaces({ edge: "0123456789abcdef", ...range }, () => true),
		[last],
	);
});

test("what metrics and access logs alone saw has no trace to look for", () => {
	const topology = topologyOf(
		[
			{ evidence: "metric", mtls: "plaintext" },
			{ evidence: "log", mtls: "plaintext" },
		],
		[NOW - 3 * HOUR],
	);
	topology.flush(NOW, new Map());
	assert.deepEqual(placesOf(topology, "plaintext", NOW - 6 * HOUR, NOW - HOUR), []);
});

test("nothing is ruled out where nothing was counted: without roll-ups, and before the first", () => {
	const range = [NOW - 60 * DAY, NOW] as const;
	assert.deepEqual(placesOf(new CannedTopology(), "tls", ...range), [
		{ fromMs: range[0], toMs: range[1], services: undefined },
	]);
	const topology = topologyOf([{ mtls: "plaintext" }], [NOW - 5 * DAY]);
	topology.flush(NOW, new Map());
	const places = placesOf(topology, "tls", ...range);
	assert.deepEqual(
		places.map(({ fromMs, toMs }) => [fromMs, toMs]),
		[
			[range[0], Math.floor((NOW - 5 * DAY) / DAY) * DAY],
			[NOW - MINUTE, NOW],
		],
	);
});

test("every hop that was counted lies in a place, whatever the range, from a bounded number of buckets", () => {
	const times = fc.array(fc.integer({ min: NOW - 90 * DAY, max: NOW - 1 }), { minLength: 1, maxLength: 20 });
	const widths = fc.constantFrom<readonly ResolutionMs[]>(
		RESOLUTIONS_MS,
		[60_000, 3_600_000, 86_400_000],
		[3_600_000, 86_400_000],
	);
	fc.assert(
		fc.property(times, widths, fc.integer({ min: 1, max: 92 * DAY }), (seen, kept, lengthMs) => {
			const topology = topologyOf([{ mtls: "tls" }], seen, kept);
			topology.flush(NOW, new Map());
			const places = placesOf(topology, "tls", NOW - lengthMs, NOW);
			for (const timeMs of seen.filter((one) => one >= NOW - lengthMs))
				assert.ok(places.some(({ fromMs, toMs }) => timeMs >= fromMs && timeMs < toMs));
			for (const [i, place] of places.entries())
				assert.ok(place.fromMs < place.toMs && place.fromMs > (places[i - 1]?.toMs ?? 0));
			assert.ok(topology.reads <= 700, String(topology.reads));
		}),
		{ numRuns: 60 },
	);
});
