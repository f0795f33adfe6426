import assert from "node:assert/strict";
import { test } from "node:test";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { cannedSeries, graphOf } from "../../model/topology/canned-series.ts";
import { parseExpression } from "./graph-expression.ts";
import { graphModel, lanesOf, neighbourhood } from "./graph-model.ts";
import { edgesCsv, orderedEdges, readOrder } from "./graph-table.ts";

const told = graphOf(
	cannedSeries(
		{ from: "shop/a", to: "shop/b", mtls: "mutual_tls", count: 10, sourceNs: [1e6, 2e6] },
		{ from: "shop/b", to: "shop/a", mtls: "plaintext", count: 3, sourceNs: [9e6] },
		{ from: "shop/b", to: "shop/c", protocol: "tcp", mtls: "plaintext", count: 500 },
	),
);
// The model's edges hold all that is read here under the names of the contract.
const edges = told.edges as unknown as readonly GraphEdgeAnswer[];
const window = { from: "2026-01-01T11:59:00.000Z", to: "2026-01-01T12:00:00.000Z", resolutionMs: 10_000 };
const graph: GraphAnswer = { window, nodes: told.nodes, edges };

function pairs(of: readonly GraphEdgeAnswer[]): string[] {
	return of.map(({ source, target }) => `${source} ${target}`);
}

test("rows are ordered by rate unless told otherwise; connections are never counted as requests", () => {
	assert.deepEqual(pairs(orderedEdges(edges, readOrder(null))), ["shop/a shop/b", "shop/b shop/a", "shop/b shop/c"]);
	assert.deepEqual(pairs(orderedEdges(edges, readOrder("nonsense"))), pairs(orderedEdges(edges, readOrder("-rate"))));
});

test("an edge without a figure stands last, whichever way the rows are ordered", () => {
	for (const order of ["p95", "-p95"]) assert.equal(pairs(orderedEdges(edges, readOrder(order))).at(-1), "shop/b shop/c");
	assert.equal(pairs(orderedEdges(edges, readOrder("-p95")))[0], "shop/b shop/a");
});

test("a name cannot break out of its cell, nor be computed by a spreadsheet", () => {
	const [, row] = edgesCsv([{ ...edges[0]!, source: '=cmd("x"),\n', target: "a,b" }]).split("\r\n");
	assert.ok(row!.includes(`,"'=cmd(""x""),\n","a,b",`), row);
});

test("a hidden node takes its edges along, and the found ones are named", () => {
	const hide = parseExpression("node name = shop/c");
	const find = parseExpression("mtls < 100");
	assert.ok(hide !== undefined && "matches" in hide && find !== undefined && "matches" in find);
	const model = graphModel(graph, find.matches, hide.matches);
	assert.deepEqual(pairs(model.edges), ["shop/a shop/b", "shop/b shop/a"]);
	assert.equal(model.hiddenCount, 2);
	const plain = model.edges.find(({ source }) => source === "shop/b")!;
	assert.deepEqual([...model.found!], [plain.id]);
	assert.deepEqual([...neighbourhood(model, plain.id)], [plain.id, "shop/b", "shop/a"]);
});

test("the edges of two nodes that call each other have lanes of their own", () => {
	const lanes = lanesOf(edges);
	const between = edges.filter(({ target }) => target !== "shop/c").map(({ id }) => lanes.get(id)!);
	assert.deepEqual(between.map(({ lane }) => lane).sort(), [0, 1]);
	assert.deepEqual(between.map(({ isReversed }) => isReversed).sort(), [false, true]);
});
