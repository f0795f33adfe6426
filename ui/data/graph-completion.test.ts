import assert from "node:assert/strict";
import { test } from "node:test";
import { completionsAt, taken, type Vocabulary } from "./graph-completion.ts";
import { parseExpression } from "./graph-expression.ts";
import type { GraphNodeAnswer } from "./graph-words.ts";

function node(namespace: string, service: string): GraphNodeAnswer {
	const sums = { requests: 0, connections: 0, errors: 0, sentRequests: 0, sentConnections: 0, sentErrors: 0 };
	return { id: `${namespace}/${service}`, cluster: "east", namespace, service, kind: "service", ...sums };
}

const vocabulary: Vocabulary = {
	nodes: [node("shop", "cart"), node("shop", "check out"), node("pay", 'a"b'), node("pay", "fraud")],
	codes: ["503", "200"],
	flags: ["UF"],
};

/** `|` is the caret. */
function offered(marked: string): readonly string[] {
	const caret = marked.indexOf("|");
	return completionsAt(marked.replace("|", ""), caret, vocabulary).options.map(({ text }) => text);
}

function after(marked: string, option: string): string {
	const caret = marked.indexOf("|");
	const text = marked.replace("|", "");
	const completions = completionsAt(text, caret, vocabulary);
	const chosen = completions.options.find((each) => each.text === option);
	assert.ok(chosen !== undefined, `${option} is not offered at ${marked}`);
	const result = taken(text, completions, chosen);
	return `${result.text.slice(0, result.caret)}|${result.text.slice(result.caret)}`;
}

test("an empty box offers fields and what may begin a comparison", () => {
	for (const word of ["rate", "p95", "mtls", "edge", "node", "not", "("]) assert.ok(offered("|").includes(word), word);
	assert.ok(!offered("edge |").includes("kind"));
	assert.ok(!offered("node |").includes("p95"));
	assert.ok(offered("node |").includes("kind"));
});

test("a field is followed by its operators, an operator by its values, a value by what joins", () => {
	assert.deepEqual(offered("p95 |"), [">", "<", ">=", "<=", "=", "!="]);
	assert.deepEqual(offered("name |"), ["=", "!=", "~", "!~"]);
	assert.deepEqual(offered("namespace = |"), ["pay", "shop"]);
	assert.deepEqual(offered("kind = da|"), ["database"]);
	assert.ok(offered("status = |").includes("plaintext"));
	assert.ok(offered("mtls = pl|").includes("plaintext"));
	assert.deepEqual(offered("code = |"), ["200", "503"]);
	assert.deepEqual(offered("rate > 5 |"), ["and", "or"]);
	assert.deepEqual(offered("(rate > 5 |"), ["and", "or", ")"]);
	assert.deepEqual(offered("((rate > 5) |"), ["and", "or", ")"]);
	assert.deepEqual(offered("(rate > 5) |"), ["and", "or"]);
	assert.ok(offered("rate > 5 and |").includes("errors"));
});

test("names that need quotes get them, and those that cannot be written are left out", () => {
	assert.deepEqual(offered("name = |"), ["pay/fraud", "shop/cart", '"shop/check out"']);
	assert.deepEqual(offered('name = "check|'), ['"shop/check out"']);
	assert.equal(after('name = "check|', '"shop/check out"'), 'name = "shop/check out" |');
});

test("what is typed narrows: beginnings first, and what stands there already is not offered", () => {
	assert.deepEqual(offered("p9|"), ["p90", "p95", "p99"]);
	assert.equal(offered("s|")[0], "source");
	assert.ok(offered("s|").includes("errors"));
	assert.deepEqual(offered("p95|"), []);
	assert.deepEqual(offered("rate >|"), [">="]);
	assert.deepEqual(offered("P9|"), ["p90", "p95", "p99"]);
});

test("a completion replaces the word that the caret stands in, and nothing else", () => {
	assert.equal(after("p|", "p95"), "p95 |");
	assert.equal(after("edge p|9 > 1s", "p95"), "edge p95 |> 1s");
	assert.equal(after("|", "("), "(|");
	assert.equal(after("rate > 5 | not x", "and"), "rate > 5 and |not x");
});

test("nothing is offered behind what is wrong", () => {
	for (const text of ["p96 |", "rate ~ |", "rate > 5 5 |", '"x" |', "rate > 5) |"]) assert.deepEqual(offered(text), [], text);
});

test("whoever follows the offers always comes to an expression that can be read", () => {
	let state = 7;
	const random = (count: number): number => (state = (state * 48_271) % 2_147_483_647) % count;
	for (let round = 0; round < 200; round++) {
		let text = "";
		for (let step = 0; step < 24; step++) {
			const completions = completionsAt(text, text.length, vocabulary);
			assert.ok(completions.options.length > 0, text);
			text = taken(text, completions, completions.options[random(completions.options.length)]!).text;
		}
		// Whatever it is that is missing is missing at the end.
		const parsed = parseExpression(text);
		assert.ok(
			parsed !== undefined &&
				("matches" in parsed || parsed.at >= text.trimEnd().length || /not closed/.test(parsed.problem)),
			text,
		);
	}
});
