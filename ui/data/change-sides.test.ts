import assert from "node:assert/strict";
import { test } from "node:test";
import type { GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { cannedSeries, graphOf } from "../../model/topology/canned-series.ts";
import { halvesSince, sideFigures, totalsTexts, windowTotals } from "./change-sides.ts";
import type { EdgeChange } from "./graph-changes.ts";

test("a window's totals are of requests: connections have no rate and are not added to them", () => {
	const { nodes, edges } = graphOf(
		cannedSeries(
			{ from: "a/x", to: "a/y", count: 99, mtls: "mutual_tls" },
			{ from: "a/x", to: "a/y", count: 1, mtls: "plaintext", outcome: "server_error" },
			{ from: "a/x", to: "a/z", protocol: "tcp", count: 900, mtls: "plaintext" },
		),
	);
	const totals = windowTotals({ nodes, edges: edges as unknown as GraphEdgeAnswer[] });
	assert.deepEqual([totals.nodes, totals.edges, totals.errorRatio, totals.mtlsPercent], [3, 2, 0.01, 99]);
	assert.deepEqual(totalsTexts(totals)[0], ["Graph", "3 nodes, 2 edges"]);
});

test("an empty window has no share of what nobody sent", () => {
	assert.deepEqual(windowTotals({ nodes: [], edges: [] }), {
		...{ nodes: 0, edges: 0, requestRate: 0, errorRatio: 0, mtlsPercent: undefined },
	});
});

test("the figures that make the change are marked on both sides, and an edge that was not there has none", () => {
	const numbers = {
		count: 100,
		ratePerSecond: 2,
		errors: 5,
		errorRatio: 0.05,
		p95Ms: 12,
		mtlsStatus: "mutual_tls",
		mtlsPercent: 100,
	};
	const change = {
		...{ kind: "changed", id: "e", source: "a", target: "b", protocol: "http", unit: "requests", certain: true, score: 1 },
		...{ effects: [{ what: "errors", effect: 1 }], after: numbers },
	} as EdgeChange;
	assert.equal(sideFigures(change, change.before), undefined);
	const figures = sideFigures(change, change.after)!;
	assert.deepEqual(
		figures.map(({ text, isChanged }) => [text, isChanged]),
		[
			["2 req/s", false],
			["5 % failed", true],
			["12 ms", false],
			["mutual TLS", false],
		],
	);
});

test("what there is of a short history is halved, unless it is too short", () => {
	assert.deepEqual(halvesSince(0, 9 * 60_000), { from: "now-4m", baselineFrom: "now-8m", baselineTo: "now-4m" });
	assert.equal(halvesSince(0, 119_000), undefined);
});
