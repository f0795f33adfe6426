import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { cannedSeries, type CannedSeries, graphOf, type GraphContext } from "../../model/topology/canned-series.ts";
import { MTLS_STATUSES } from "../../model/topology/series.ts";
import { collapse, collapsedText, foldedId, readCollapsed } from "./graph-collapse.ts";

const WINDOW = { from: "2026-01-01T12:00:00Z", to: "2026-01-01T12:01:00Z", resolutionMs: 10_000 };

/** As the API answers it. */
function answerOf(series: readonly CannedSeries[], context: GraphContext = {}): GraphAnswer {
	const { nodes, edges } = graphOf(cannedSeries(...series), context);
	const text = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : new Date(ms).toISOString());
	const answer = {
		window: WINDOW,
		nodes,
		edges: edges.map((edge) => {
			const { series: _series, firstSeenMs, lastSeenMs, mtls, ...rest } = edge;
			const { certificateNotAfterMs, ...ownMtls } = mtls;
			return {
				...{ ...rest, mtls: { ...ownMtls, certificateNotAfter: text(certificateNotAfterMs) } },
				...{ firstSeen: text(firstSeenMs), lastSeen: text(lastSeenMs) },
			};
		}),
	};
	return JSON.parse(JSON.stringify(answer)) as GraphAnswer;
}

const SERIES: readonly CannedSeries[] = [
	{ from: "edge/gateway", to: "shop/cart", sourceNs: [1e6, 2e6], mtls: "mutual_tls", verifiedBy: "server" },
	{ from: "edge/gateway", to: "shop/orders", count: 3, mtls: "plaintext", outcome: "server_error", codes: { "503": 3 } },
	{ from: "shop/cart", to: "shop/orders", count: 5 },
	{ from: "shop/orders", to: "pay/cards", count: 7, sourceNs: [5e6] },
	{ from: "shop/orders", to: "pay/cards", count: 2, protocol: "tcp" },
];

function edgesOf(graph: GraphAnswer): readonly string[] {
	return graph.edges.map(({ source, target, protocol, requests, connections }) =>
		[source, target, protocol, requests + connections].join(" "),
	);
}

test("a folded namespace is one node, and the edges of its services are added up by other end and protocol", () => {
	const { graph, parts, folded } = collapse(answerOf(SERIES), new Set(["shop"]), undefined);
	assert.deepEqual(graph.nodes.map(({ id, kind }) => [id, kind]).sort(), [
		["edge/gateway", "service"],
		["pay/cards", "service"],
		["shop/*", "namespace"],
	]);
	assert.deepEqual(edgesOf(graph), [
		"edge/gateway shop/* http 5",
		"shop/* shop/* http 5",
		"shop/* pay/cards http 7",
		"shop/* pay/cards tcp 2",
	]);
	assert.deepEqual(folded.get("shop/*"), { name: "shop", members: ["shop/cart", "shop/orders"] });
	const [merged] = graph.edges as [GraphEdgeAnswer];
	assert.deepEqual(
		[merged.errors, merged.errorRatio, merged.codes, merged.mtls.status, merged.mtls.percent],
		[3, 0.6, { "503": 3 }, "mixed", 40],
	);
	assert.deepEqual(
		parts.get(merged.id)!.map(({ target }) => target),
		["shop/cart", "shop/orders"],
	);
});

test("percentiles of several edges are not made up; those of one edge stay, and those of the graph by namespace are taken", () => {
	const answer = answerOf(SERIES);
	const { graph } = collapse(answer, new Set(["shop"]), undefined);
	assert.equal(graph.edges[0]!.latencyMs, undefined);
	assert.ok(graph.edges[2]!.latencyMs !== undefined);
	const both = collapse(answer, new Set(["shop", "edge"]), answerOf(SERIES, { groupBy: "namespace" })).graph;
	const [whole] = both.edges as [GraphEdgeAnswer];
	assert.deepEqual([whole.source, whole.target], ["edge/*", "shop/*"]);
	assert.equal(whole.latencyMs?.count, 2);
	assert.match(whole.id, /^[0-9a-f]{16}$/, "an edge that the API knows");
});

test("what is not folded is untouched", () => {
	const answer = answerOf(SERIES);
	assert.equal(collapse(answer, new Set(), undefined).graph, answer);
	assert.equal(collapse(answer, new Set(["nowhere"]), undefined).graph, answer);
	const { graph } = collapse(answer, new Set(["edge"]), undefined);
	assert.equal(
		graph.edges.find(({ source, target }) => source === "shop/cart" && target === "shop/orders"),
		answer.edges.find(({ source, target }) => source === "shop/cart" && target === "shop/orders"),
	);
});

test("names in the address come back as they were", () => {
	for (const names of [["shop"], ["a,b", "%2C", "east/pay", "100%"]])
		assert.deepEqual([...readCollapsed(collapsedText(names)!)].sort(), [...names].sort());
	assert.equal(collapsedText([]), undefined);
	assert.deepEqual([...readCollapsed("")], []);
});

test("with every namespace folded the sums are those of the graph by namespace", () => {
	const name = fc.constantFrom("a/x", "a/y", "b/x", "b/y", "c/z");
	const series = fc.record({
		from: name,
		to: name,
		protocol: fc.constantFrom("http" as const, "tcp" as const, "grpc" as const),
		mtls: fc.constantFrom(...MTLS_STATUSES),
		verifiedBy: fc.constantFrom("server" as const, "client" as const, "metric" as const),
		outcome: fc.constantFrom("ok" as const, "server_error" as const, "client_error" as const),
		count: fc.integer({ min: 1, max: 50 }),
		codes: fc.constantFrom({}, { "200": 1 }, { "503": 2 }),
		principals: fc.constantFrom(["", ""] as const, ["spiffe://a", "spiffe://b"] as const),
		failedHandshakes: fc.integer({ min: 0, max: 2 }),
		bytes: fc.constantFrom([0, 0] as const, [10, 20] as const),
	});
	fc.assert(
		fc.property(fc.array(series, { minLength: 1, maxLength: 12 }), (all) => {
			const { graph } = collapse(answerOf(all), new Set(["a", "b", "c"]), undefined);
			const expected = answerOf(all, { groupBy: "namespace" });
			const key = ({ source, target, protocol, unit }: GraphEdgeAnswer): string =>
				`${source} ${target} ${protocol} ${unit}`;
			const figures = ({ edges }: GraphAnswer, id: (name: string) => string) =>
				edges
					.map((edge) => ({ ...edge, source: id(edge.source), target: id(edge.target) }))
					.sort((a, b) => (key(a) < key(b) ? -1 : 1))
					.map((edge) => [
						...[
							key(edge),
							edge.requests,
							edge.connections,
							edge.observed,
							edge.errors,
							edge.clientErrors,
							edge.errorRatio,
						],
						...[
							edge.requestRate.toFixed(9),
							edge.bytes,
							edge.outcomes,
							new Map(Object.entries(edge.codes)),
							edge.firstSeen,
							edge.lastSeen,
						],
						{ ...edge.mtls, percent: edge.mtls.percent?.toFixed(9) },
					]);
			assert.deepEqual(
				figures(graph, (id) => id),
				figures(expected, foldedId),
			);
			const sums = (nodes: GraphAnswer["nodes"]) =>
				nodes.map((node) => [node.requests, node.connections, node.errors, node.sentRequests, node.sentErrors]);
			assert.deepEqual(sums(graph.nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1))), sums(expected.nodes));
		}),
		{ numRuns: 200 },
	);
});
