import assert from "node:assert/strict";
import { test } from "node:test";
import type { GraphAnswer } from "../../api/contract/topology.ts";
import { parseExpression } from "./graph-expression.ts";
import { meshEntries, traceEntries } from "./palette-entries.ts";
import { findEntries } from "./palette-search.ts";

const node = (namespace: string, service: string): GraphAnswer["nodes"][number] => ({
	...{ id: `${namespace}/${service}`, namespace, service, kind: "service", cluster: "" },
	...{ requests: 0, connections: 0, errors: 0, sentRequests: 0, sentConnections: 0, sentErrors: 0 },
});
const edge = { id: "e000000000000001", source: "shop/cart", target: "pay/fraud", protocol: "grpc" };
const graph = {
	nodes: [node("shop", "cart"), node("pay", "fraud"), node('we"ird', "x")],
	edges: [edge],
} as unknown as GraphAnswer;
const range = { from: "now-6h", to: undefined };
const entries = meshEntries(graph, ["cart", "batch", ""], range, ({ id }) => `/node/${id}`);

function hrefs(kind: string): readonly string[] {
	return entries.filter((entry) => entry.kind === kind).map(({ target }) => ("href" in target ? target.href : ""));
}

test("services, edges, namespaces and traces lead where they are shown, in the range of the page", () => {
	assert.deepEqual(hrefs("service"), ["/node/shop/cart", "/node/pay/fraud", '/node/we"ird/x']);
	assert.deepEqual(hrefs("edge"), ["/?edge=e000000000000001&from=now-6h"]);
	assert.deepEqual(
		hrefs("traces"),
		["cart", "fraud", "x", "batch"].map((name) => `/traces?from=now-6h&service=${name}`),
	);
});

test("a namespace is an expression that the find box can read", () => {
	const expressions = hrefs("namespace").map((href) => new URL(href, "http://x").searchParams.get("find")!);
	assert.deepEqual(expressions, ['namespace = "shop"', 'namespace = "pay"']);
	for (const expression of expressions) assert.ok("matches" in parseExpression(expression)!, expression);
});

test("keys are unique, and an edge is found by the names of its ends", () => {
	assert.equal(new Set(entries.map(({ key }) => key)).size, entries.length);
	assert.equal(findEntries(entries, "cart fraud", 5).shown[0]?.key, "edge e000000000000001");
});

test("a pasted ID is an entry, another text none", () => {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736";
	assert.deepEqual(traceEntries(`00-${id}-00f067aa0ba902b7-01`)[0]?.target, { href: `/trace/${id}` });
	assert.deepEqual(traceEntries("cart"), []);
});
