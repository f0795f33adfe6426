import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cannedSeries, type CannedSeries, edgeOf, graphOf, WINDOW_START_MS } from "./canned-series.ts";
import { EXTERNAL } from "./endpoint.ts";
import type { Evidence, Outcome, Reporter } from "./series.ts";

const ms = 1_000_000;

test("the sum over edges equals the count of hops, at every level of grouping", () => {
	const hop = fc.record({
		from: fc.constantFrom("x/a@a1", "x/a@a2", "x/b", "y/c"),
		to: fc.constantFrom("x/a@a1", "x/b", "x/b@b1", "y/c", "y/d"),
		evidence: fc.constantFrom<Evidence>("pair", "client-only", "server-only", "client-client", "server-server", "waypoint"),
		outcome: fc.constantFrom<Outcome>("ok", "client_error", "server_error", "no_response"),
		count: fc.integer({ min: 1, max: 50 }),
	});
	fc.assert(
		fc.property(fc.array(hop), (hops) => {
			const series = cannedSeries(...hops);
			const total = hops.reduce((sum, { count }) => sum + count, 0);
			for (const groupBy of ["service", "namespace", "workload"] as const) {
				const { edges, nodes } = graphOf(series, { groupBy });
				assert.equal(
					edges.reduce((sum, { requests }) => sum + requests, 0),
					total,
					groupBy,
				);
				assert.equal(
					nodes.reduce((sum, { requests }) => sum + requests, 0),
					total,
				);
				const ids = new Set(edges.map(({ id }) => id));
				assert.equal(ids.size, edges.length);
				for (const id of ids) assert.match(id, /^[0-9a-f]{16}$/);
			}
		}),
	);
});

test("the graph is the same for every order of the series", () => {
	const any = fc.record({
		from: fc.constantFrom("a", "x/a", "b"),
		to: fc.constantFrom("c", "y/c@c1"),
		evidence: fc.constantFrom<Evidence>("pair", "metric", "log", "client-only"),
		reporter: fc.constantFrom<Reporter>("source", "destination", "waypoint"),
		count: fc.integer({ min: 1, max: 50 }),
		mtls: fc.constantFrom("mutual_tls", "plaintext", "unknown" as const),
	});
	fc.assert(
		fc.property(fc.array(any, { maxLength: 12 }), fc.infiniteStream(fc.nat()), (all, shuffle) => {
			const series = cannedSeries(...all);
			const order = new Map(series.map((one) => [one, shuffle.next().value as number]));
			const shuffled = series.toSorted((a, b) => order.get(a)! - order.get(b)!);
			for (const groupBy of ["service", "workload"] as const) {
				const plain = (from: typeof series): unknown => {
					const { nodes, edges } = graphOf(from, { groupBy });
					return { nodes, edges: edges.map((edge) => ({ ...edge, series: edge.series.toSorted((a, b) => a - b) })) };
				};
				assert.deepEqual(plain(shuffled), plain(series));
			}
		}),
	);
});

test("reporters are never added up: the destination counts, else the waypoint, else the source", () => {
	const metric = (reporter: Reporter, count: number): CannedSeries => ({ evidence: "metric", reporter, count });
	assert.equal(edgeOf(metric("source", 101), metric("destination", 100)).requests, 100);
	assert.equal(edgeOf(metric("source", 101), metric("destination", 100)).reporter, "destination");
	assert.equal(edgeOf(metric("source", 101), metric("waypoint", 99)).requests, 99);
	assert.equal(edgeOf(metric("source", 101)).reporter, "source");
});

test("metrics come before full logs, and both before spans", () => {
	const spans: CannedSeries = { evidence: "pair", count: 10, sampled: true };
	const logs: CannedSeries = { evidence: "log", reporter: "destination", count: 1_000 };
	const metrics: CannedSeries = { evidence: "metric", reporter: "destination", count: 1_001 };
	const edge = edgeOf(spans, logs, metrics);
	assert.deepEqual([edge.requests, edge.sampled, edge.basis.counts], [1_001, false, "metrics"]);
	assert.deepEqual(edge.evidence, { metric: 1_001, log: 1_000, pair: 10 });
	assert.equal(edgeOf(spans, logs).requests, 1_000);
	const sampled = edgeOf(spans);
	assert.deepEqual([sampled.requests, sampled.sampled, sampled.basis.counts], [10, true, "spans"]);
});

test("a sample whose share is known is scaled up, and not called sampled", () => {
	const edge = edgeOf({ count: 1_000, observed: 10 });
	assert.deepEqual([edge.requests, edge.sampled, edge.evidence["pair"]], [1_000, false, 10]);
});

test("metrics that missed what spans certainly saw do not make requests disappear", () => {
	const edge = edgeOf({ evidence: "metric", reporter: "destination", count: 50 }, { count: 1_000 });
	assert.deepEqual([edge.requests, edge.basis.counts], [1_000, "spans"]);
	assert.equal(edgeOf({ evidence: "metric", reporter: "destination", count: 950 }, { count: 1_000 }).requests, 950);
});

test("one reporting sidecar of two does not halve the requests", () => {
	const edge = edgeOf(
		{ evidence: "metric", reporter: "destination", count: 500 },
		{ evidence: "metric", reporter: "source", count: 1_000 },
	);
	assert.deepEqual([edge.requests, edge.reporter], [1_000, "source"]);
});

test("errors that never arrived are the source's to count", () => {
	const edge = edgeOf(
		{ evidence: "metric", reporter: "destination", count: 900, codes: { "200": 900 } },
		{ evidence: "metric", reporter: "source", count: 900, codes: { "200": 900 } },
		{
			evidence: "metric",
			reporter: "source",
			count: 100,
			outcome: "server_error",
			codes: { "503": 100 },
			flags: { "UF,URX": 60, UO: 30 },
		},
	);
	assert.equal(edge.requests, 990);
	assert.equal(edge.errors, 90);
	assert.deepEqual(edge.flags, { "UF,URX": 60, UO: 30 });
	assert.equal(edge.disagreement, undefined);
});

test("whatever flag says that no upstream was reached, or that none was looked for, such requests are the source's to count", () => {
	const unreached = ["UF", "UO", "UH", "NR", "NC", "NFCF", "DF", "OM", "DO"];
	unreached.push("CONNECT", "NETWORK_POLICY", "IDENTITY_ERROR", "H2_HANDSHAKE_FAILURE");
	const answered = ["FI", "DI,FI", "RL", "UAEX", "IH"];
	for (const flag of [...unreached, ...answered]) {
		const ending = answered.includes(flag)
			? ({ outcome: "server_error", codes: { "503": 5 } } as const)
			: ({ outcome: "no_response" } as const);
		const edge = edgeOf(
			{ evidence: "metric", reporter: "destination", count: 90, codes: { "200": 90 } },
			{ evidence: "metric", reporter: "source", count: 90, codes: { "200": 90 } },
			{ evidence: "metric", reporter: "source", count: 5, flags: { [flag]: 5 }, ...ending },
		);
		assert.deepEqual([edge.requests, edge.errors, edge.flags], [95, 5, { [flag]: 5 }], flag);
	}
	for (const flag of ["UT", "URX", "UC", "DENY"]) {
		const edge = edgeOf(
			{ evidence: "metric", reporter: "destination", count: 95 },
			{ evidence: "metric", reporter: "source", count: 90 },
			{ evidence: "metric", reporter: "source", count: 5, outcome: "server_error", flags: { [flag]: 5 } },
		);
		assert.equal(edge.requests, 95, flag);
	}
});

test("a request with two flags is one request, also beside others that had no answer", () => {
	const edge = edgeOf(
		{ evidence: "metric", reporter: "destination", count: 90, codes: { "200": 90 } },
		{ evidence: "metric", reporter: "source", count: 90, codes: { "200": 90 } },
		// Ten whose connection failed and whose retry found no room, and five that the caller did not wait for.
		{
			evidence: "metric",
			reporter: "source",
			count: 15,
			outcome: "no_response",
			codes: { "503": 10 },
			flags: { UF: 10, UO: 10, DC: 5 },
		},
	);
	assert.deepEqual([edge.requests, edge.errors], [100, 10]);
});

test("a retry that found no room leaves the answer of the try before: the destination counted it, once is enough", () => {
	const source = (more: CannedSeries): CannedSeries => ({ evidence: "metric", reporter: "source", ...more });
	const destination = (more: CannedSeries): CannedSeries => ({ evidence: "metric", reporter: "destination", ...more });
	const well = { count: 90, codes: { "200": 90 } };
	const failed = (count: number): CannedSeries => ({ count, outcome: "server_error", codes: { "503": count } });
	// Envoy flags both: a request that found no room, and one whose retry found none.
	const overflow: CannedSeries = { ...failed(10), outcome: "no_response", flags: { UO: 10 } };
	const told = (...series: CannedSeries[]): unknown => {
		const { requests, errors, flags, disagreement, codes } = edgeOf(...series);
		return { requests, errors, flags, disagreement, codes };
	};
	const counted = (...series: CannedSeries[]): unknown => {
		const { requests, errors } = edgeOf(...series);
		return { requests, errors };
	};
	const same = { flags: { UO: 10 }, disagreement: undefined, codes: { "200": 90, "503": 10 } };
	const never = told(destination(well), source(well), source(overflow));
	assert.deepEqual(never, { requests: 100, errors: 10, ...same }, "no request of them arrived");
	const all = told(destination(well), destination(failed(10)), source(well), source(overflow));
	assert.deepEqual(all, { requests: 100, errors: 10, ...same }, "all of them arrived, and their retries did not");
	const some = told(destination(well), destination(failed(4)), source(well), source(overflow));
	assert.deepEqual(some, { requests: 100, errors: 10, ...same }, "some of them did");
	const others = counted(destination(well), destination(failed(3)), source(well), source(failed(3)), source(overflow));
	assert.deepEqual(others, { requests: 103, errors: 13 }, "failures that the source tells otherwise are not theirs");
	const refused: CannedSeries = { ...failed(10), outcome: "no_response", flags: { UF: 10 } };
	const lost = counted(destination(well), destination(failed(10)), source(well), source(refused));
	assert.deepEqual(lost, { requests: 110, errors: 20 }, "a refused connection is a try of its own");
	const fallback: CannedSeries = { count: 10, codes: { "200": 10 }, flags: { UO: 10 } };
	const answered = counted(destination({ count: 95, codes: { "200": 95 } }), source(well), source(fallback));
	assert.deepEqual(answered, { requests: 105, errors: 0 }, "what a fallback answered never arrived");
});

test("504 at the source, 200 at the destination: both are kept and the edge says so", () => {
	const hop = edgeOf({ count: 995 }, { count: 5, outcome: "server_error", destinationOutcome: "ok", codes: { "504": 5 } });
	assert.equal(hop.errors, 5);
	assert.deepEqual(hop.disagreement, { count: 5, source: { server_error: 5 }, destination: { ok: 5 } });
	const metric = edgeOf(
		{ evidence: "metric", reporter: "destination", count: 1_000, codes: { "200": 1_000 } },
		{ evidence: "metric", reporter: "source", count: 995, codes: { "200": 995 } },
		{ evidence: "metric", reporter: "source", count: 5, outcome: "server_error", codes: { "504": 5 }, flags: { UT: 5 } },
	);
	assert.deepEqual([metric.requests, metric.errors], [1_000, 0]);
	assert.deepEqual(metric.disagreement, { count: 5, source: { server_error: 5 }, destination: { ok: 5 } });
});

test("latency comes from spans before logs before metrics, whoever counts", () => {
	const metric: CannedSeries = { evidence: "metric", reporter: "destination", count: 100, destinationNs: [100 * ms] };
	const log: CannedSeries = { evidence: "log", reporter: "source", sourceNs: [50 * ms] };
	const span: CannedSeries = { sourceNs: [20 * ms], destinationNs: [18 * ms] };
	const near = (actual: number | undefined, expected: number): void =>
		assert.ok(Math.abs(actual! - expected) <= 0.011 * expected, `${actual} instead of ${expected}`);
	near(edgeOf(metric, log, span).latencyMs?.p95, 20);
	near(edgeOf(metric, log).latencyMs?.p95, 50);
	near(edgeOf(metric).latencyMs?.p95, 100);
	assert.equal(edgeOf(metric).latencySide, "destination");
	near(edgeOf(metric, log, span).gapMs, 2);
	assert.equal(edgeOf({ count: 5 }).latencyMs, undefined);
});

test("percentiles of a namespace are those of all its requests, not of its edges' percentiles", () => {
	const latency = fc.array(fc.integer({ min: 10_000, max: 2_000_000_000 }), { minLength: 1, maxLength: 40 });
	fc.assert(
		fc.property(fc.array(latency, { minLength: 1, maxLength: 6 }), (parts) => {
			const series = cannedSeries(...parts.map((sourceNs, i) => ({ from: `x/s${i % 3}@w${i}`, to: "y/t", sourceNs })));
			const { edges } = graphOf(series, { groupBy: "namespace" });
			assert.equal(edges.length, 1);
			const all = parts.flat().sort((a, b) => a - b);
			for (const [name, quantile] of [
				["p50", 0.5],
				["p90", 0.9],
				["p95", 0.95],
				["p99", 0.99],
				["max", 1],
			] as const) {
				const exactMs = all[Math.ceil(quantile * all.length - 1e-9) - 1]! / ms;
				const toldMs = edges[0]!.latencyMs![name];
				assert.ok(Math.abs(toldMs - exactMs) <= 0.011 * exactMs, `${name}: ${toldMs} instead of ${exactMs}`);
			}
			assert.equal(edges[0]!.latencyMs!.count, all.length);
		}),
	);
});

test("workloads share out the requests of their services, whatever names no workload", () => {
	const series = cannedSeries(
		{ from: "x/a@a1", to: "x/b@b1", evidence: "metric", reporter: "destination", count: 60 },
		{ from: "x/a@a2", to: "x/b@b1", evidence: "metric", reporter: "destination", count: 40 },
		{ from: "x/a", to: "x/b", evidence: "pair", count: 1, sampled: true, sourceNs: [ms], bytes: [5, 5] },
	);
	const { edges } = graphOf(series, { groupBy: "workload" });
	assert.deepEqual(
		edges.map(({ source, target, requests }) => [source, target, requests]),
		[
			["x/a@a1", "x/b@b1", 60],
			["x/a@a2", "x/b@b1", 40],
		],
	);
});

test("an address is whoever it was known to belong to, or the unknown, but never a node", () => {
	const address = (service: string) => ({ kind: "unknown", cluster: "", namespace: "", service, workload: "" }) as const;
	const series = cannedSeries(
		{ to: "x/b", count: 5 },
		{ to: address("10.0.0.7"), evidence: "client-only", reporter: "source", count: 3 },
		{ to: address("10.0.0.8"), evidence: "client-only", reporter: "source", count: 2 },
		{ to: address("fd00::8"), evidence: "client-only", reporter: "source", count: 1 },
		{ from: EXTERNAL, to: "a", evidence: "server-only", reporter: "destination", count: 10 },
	);
	const { edges, nodes } = graphOf(series, { addresses: { "10.0.0.7": "x/b" } });
	assert.deepEqual(
		edges.map(({ source, target, requests }) => [source, target, requests]),
		[
			["a", "unknown:unknown", 3],
			["a", "x/b", 8],
			["external:external", "a", 10],
		],
	);
	assert.deepEqual(
		nodes.map(({ id, kind }) => [id, kind]),
		[
			["a", "service"],
			["external:external", "external"],
			["unknown:unknown", "unknown"],
			["x/b", "service"],
		],
	);
});

test("a bare name is the service of that name, where there is only one", () => {
	const one = graphOf(cannedSeries({ from: "a", to: "b" }, { from: "x/a", to: "y/b" }));
	assert.deepEqual(
		one.edges.map(({ source, target, requests }) => [source, target, requests]),
		[["x/a", "y/b", 2]],
	);
	const two = graphOf(cannedSeries({ from: "a", to: "b" }, { from: "x/a", to: "y/b" }, { from: "x/a", to: "z/b" }));
	assert.deepEqual(
		two.edges.map(({ source, target }) => [source, target]),
		[
			["x/a", "b"],
			["x/a", "y/b"],
			["x/a", "z/b"],
		],
	);
});

test("requests and connections of one pair are two edges and never added up", () => {
	const { edges, nodes } = graphOf(
		cannedSeries({ count: 10 }, { protocol: "tcp", evidence: "metric", reporter: "source", count: 4 }),
	);
	assert.deepEqual(
		edges.map(({ protocol, requests, connections, requestRate }) => [protocol, requests, connections, requestRate > 0]),
		[
			["http", 10, 0, true],
			["tcp", 0, 4, false],
		],
	);
	assert.deepEqual([nodes[1]!.requests, nodes[1]!.connections], [10, 4]);
});

test("what corrections took back was never there", () => {
	const { nodes, edges } = graphOf(cannedSeries({ count: 0 }, { count: 1e-9, to: "c" }));
	assert.deepEqual([nodes, edges], [[], []]);
});

test("retries are told beside the requests and not counted as such", () => {
	const edge = edgeOf({ reporter: "source", evidence: "client-only", count: 10, attempts: 13 });
	assert.equal(edge.requests, 10);
	assert.deepEqual(edge.attempts, { requests: 10, tries: 13, retries: 3 });
});

test("time in the app and in the proxies are told apart", () => {
	const edge = edgeOf({ count: 4, app: [40 * ms, 8 * ms, 4] });
	assert.deepEqual(edge.hopTimeMs, { app: 10, proxy: 2, count: 4 });
});

test("bytes come from whoever counts, or from who has any", () => {
	const spans: CannedSeries = { count: 5, bytes: [10, 20] };
	const metric: CannedSeries = { evidence: "metric", reporter: "destination", count: 1_000 };
	assert.deepEqual(edgeOf(spans, metric).bytes, { sent: 10, received: 20 });
	assert.deepEqual(edgeOf(spans, { ...metric, bytes: [1_000, 2_000] }).bytes, { sent: 1_000, received: 2_000 });
});

test("an edge on which only handshakes failed is an edge", () => {
	const edge = edgeOf(
		{ evidence: "log", reporter: "source", count: 0, failedHandshakes: 7 },
		{ evidence: "client-only", reporter: "source", count: 0, failedHandshakes: 2 },
	);
	assert.deepEqual([edge.requests, edge.mtls.failedHandshakes, edge.firstSeenMs], [0, 7, undefined]);
});

test("an edge was seen from its first to its last observation of any evidence", () => {
	const edge = edgeOf(
		{ seen: [20, 30] },
		{ evidence: "metric", reporter: "source", seen: [10, 25] },
		{ count: 0, seen: [0, 59] },
	);
	assert.deepEqual([edge.firstSeenMs, edge.lastSeenMs], [WINDOW_START_MS + 10_000, WINDOW_START_MS + 30_000]);
});

test("an edge keeps its id from window to window", () => {
	assert.equal(edgeOf({ count: 1 }).id, edgeOf({ count: 900, evidence: "metric", mtls: "plaintext" }).id);
	assert.equal(edgeOf({ from: "x/a", to: "y/b" }).id, "7e4b5f9357f59226");
	assert.notEqual(edgeOf({ from: "ab", to: "c" }).id, edgeOf({ from: "a", to: "bc" }).id);
	assert.notEqual(edgeOf({ from: "a", to: "b" }).id, edgeOf({ from: "b", to: "a" }).id);
});
