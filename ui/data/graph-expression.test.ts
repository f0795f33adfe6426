import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import { cannedSeries, graphOf } from "../../model/topology/canned-series.ts";
import { meets, parseExpression } from "./graph-expression.ts";
import { EXPRESSION_EXAMPLES, EXPRESSION_FIELDS } from "./graph-fields.ts";
import type { GraphItem } from "./graph-fields.ts";

const [told] = graphOf(cannedSeries({ from: "shop/cart", to: "shop/orders", mtls: "mutual_tls", count: 10 })).edges;
const base = { ...told!, firstSeen: undefined, lastSeen: undefined } as unknown as GraphEdgeAnswer;
const latencyMs = { p50: 20, p90: 150, p95: 250, p99: 900, max: 1_000, mean: 40, count: 10 };

function node(id: string, kind: GraphAnswer["nodes"][number]["kind"] = "service", errors = 0): GraphItem {
	const [namespace = "", service = ""] = id.split("/");
	const sums = { requests: 100, connections: 0, errors, sentRequests: 0, sentConnections: 0, sentErrors: 0 };
	return { type: "node", node: { id, cluster: "", namespace, service, kind, ...sums }, seconds: 10 };
}

function edge(percent: number | undefined, errorRatio = 0): GraphItem {
	const source = node("shop/cart");
	const target = node("shop/orders");
	assert.ok(source.type === "node" && target.type === "node");
	const { percent: _, ...mtls } = base.mtls;
	return {
		type: "edge",
		edge: {
			...base,
			errorRatio,
			requestRate: 12,
			latencyMs,
			mtls: { ...mtls, ...(percent === undefined ? {} : { percent }) },
		},
		source: source.node,
		target: target.node,
	};
}

function holds(text: string, item: GraphItem): boolean {
	const parsed = parseExpression(text);
	assert.ok(parsed !== undefined && "matches" in parsed, JSON.stringify(parsed));
	return meets(parsed.matches, item);
}

test("comparisons read their units", () => {
	for (const text of [
		"p95 > 200ms",
		"p95 >= 0.25s",
		"edge p99 < 1s",
		"p50 = 20ms",
		"errors > 1%",
		"errors > 1",
		"rate > 5",
		"mtls < 100",
	])
		assert.ok(holds(text, edge(99.99, 0.05)), text);
	for (const text of ["p95 > 250ms", "errors > 5%", "rate < 12", "mtls = 100", "node errors > 1%"])
		assert.ok(!holds(text, edge(99.99, 0.05)), text);
});

test("and binds closer than or, not closer still, and brackets closest", () => {
	assert.ok(holds("rate > 5 or rate > 100 and rate > 100", edge(100)));
	assert.ok(!holds("(rate > 5 or rate > 100) and rate > 100", edge(100)));
	assert.ok(holds("not rate > 100 and rate > 5", edge(100)));
	assert.ok(!holds("not (rate > 100 or rate > 5)", edge(100)));
	assert.ok(holds("edge p95 > 200ms AND mtls < 100", edge(50)));
});

test("names, namespaces and kinds are compared as text, in any case", () => {
	assert.ok(holds("name ~ CART", node("shop/cart")));
	assert.ok(holds("namespace = shop", node("shop/cart")));
	assert.ok(!holds("namespace = sho", node("shop/cart")));
	assert.ok(holds("node kind = external", node("x/y", "external")));
	assert.ok(holds("namespace != shop", node("bank/pay")));
	assert.ok(holds('name ~ "a (b)"', node("shop/a (b)")));
	assert.ok(holds("source ~ cart and target ~ orders", edge(100)));
	assert.ok(holds("name ~ orders", edge(100)), "an edge goes by both of its ends");
});

test("of what is not known neither a comparison holds nor its opposite", () => {
	assert.ok(!holds("mtls = 100", edge(undefined)));
	assert.ok(!holds("not mtls = 100", edge(undefined)));
	assert.ok(!holds("not mtls = 100", node("shop/cart")), "a node has no share of mTLS");
	assert.ok(holds("mtls = 100 or rate > 5", edge(undefined)));
	assert.ok(!holds("p95 > 1ms", node("shop/cart")));
});

test("an error names what is wrong and the character at which it shows", () => {
	const cases: readonly (readonly [string, number, RegExp])[] = [
		["p96 > 1ms", 0, /"p96" is no field/],
		["p95 ~ 1ms", 4, /p95 takes >/],
		["p95 > fast", 6, /duration such as 200ms/],
		["rate > 5 and", 12, /Expected a field/],
		["rate > 5 rate > 6", 9, /Expected and, or/],
		["(rate > 5", 0, /not closed/],
		["name ~", 6, /Expected a text/],
		['name = "cart', 7, /no closing/],
		["name > cart", 5, /name takes =/],
		["rate > 5 )", 9, /Expected and, or/],
		["rate ! 5", 5, /means nothing/],
		["errors > 1ms", 9, /share such as 1%/],
		["__proto__ = 1", 0, /is no field/],
		[`${"(".repeat(200)}rate > 1`, 100, /deeply/],
	];
	for (const [text, at, problem] of cases) {
		const parsed = parseExpression(text);
		assert.ok(parsed !== undefined && "problem" in parsed, text);
		assert.match(parsed.problem, problem);
		assert.equal(parsed.at, at, text);
	}
});

test("no text breaks the reader, and an error lies within the text", () => {
	const words = fc.constantFrom(
		"edge",
		"node",
		"p95",
		"name",
		">",
		"~",
		"(",
		")",
		"and",
		"or",
		"not",
		"5",
		'"',
		"1ms",
		" ",
		"!",
	);
	fc.assert(
		fc.property(
			fc.oneof(
				fc.string(),
				fc.array(words).map((parts) => parts.join(" ")),
			),
			(text) => {
				const parsed = parseExpression(text);
				if (parsed === undefined) assert.equal(text.trim(), "");
				else if ("problem" in parsed) assert.ok(parsed.at >= 0 && parsed.at <= text.length);
			},
		),
	);
});

test("mtls is compared with a share or with a status; codes and flags with those that were seen", () => {
	assert.ok(holds("mtls = mutual_tls", edge(100)));
	assert.ok(!holds("mtls = plaintext", edge(100)) && holds("mtls != plaintext", edge(100)));
	assert.ok(!holds("mtls = mutual_tls", node("shop/cart")));
	const odd = parseExpression("mtls > plaintext");
	assert.ok(odd !== undefined && "problem" in odd && odd.at === 7);
	const failing = edge(100);
	assert.ok(failing.type === "edge");
	const item: GraphItem = { ...failing, edge: { ...failing.edge, codes: { "200": 9, "503": 1 }, flags: { UF: 1 } } };
	assert.ok(holds("code = 503 and flag = uf", item) && !holds("flag = UH", item));
	assert.ok(holds("not flag = UF", { ...item, edge: { ...item.edge, flags: {} } }), "no flag is an answer");
});

test("every field that the help names can be written as its example shows", () => {
	for (const text of [
		...EXPRESSION_FIELDS.map(({ example }) => example),
		...EXPRESSION_EXAMPLES.map(({ text: whole }) => whole),
	]) {
		const parsed = parseExpression(text);
		assert.ok(parsed !== undefined && "matches" in parsed, text);
	}
});
