import assert from "node:assert/strict";
import { test } from "node:test";
import type { TraceDifference } from "../../api/contract/traces.ts";
import { attributeFilter } from "../../api/query.ts";
import { differencesQuery, featureName, featurePlace, featureValue, narrowChange, shareText } from "./differences.ts";
import { readFilter } from "./trace-filter.ts";

const edge = { id: "6faeb2e1ed26185d", source: "shop/web", target: "shop/cart@cart-v2" };
const counts = { selected: 3, others: 0, excess: 0.2 };
const attribute: TraceDifference = {
	kind: "attribute",
	key: "service.version",
	value: "v3",
	type: "string",
	service: "cart",
	...counts,
};

test("a brush is compared with the rest of what the chart counts, and without one errors are", () => {
	const filter = readFilter(new URLSearchParams("status=error&from=now-1h"));
	const brush = { fromMs: 1, toMs: 2, minNs: 3, maxNs: 4 };
	assert.equal(differencesQuery(filter, "root", undefined, false), undefined);
	assert.equal(differencesQuery(filter, "all", undefined, true), "status=error&from=now-1h&selectStatus=error");
	assert.equal(
		differencesQuery(filter, "root", brush, true),
		"status=error&from=now-1h&root=true&selectFrom=1&selectTo=2&selectMinDuration=3ns&selectMaxDuration=4ns",
	);
});

test("features are said in words, with where they stand", () => {
	const mtls: TraceDifference = { kind: "mtls", key: "mtls", value: "plaintext", edge, ...counts };
	assert.deepEqual([featureName(mtls), featureValue(mtls), featurePlace(mtls)], ["encryption", "plaintext", "web → cart"]);
	assert.deepEqual(
		[featureName(attribute), featureValue(attribute), featurePlace(attribute)],
		["service.version", "v3", "cart"],
	);
	assert.equal(featurePlace({ ...attribute, service: undefined }), "anywhere");
	const call: TraceDifference = { ...mtls, kind: "call", key: "call", value: "shop/web → shop/cart" };
	assert.deepEqual([featureValue(call), featurePlace(call)], ["web → cart", ""]);
});

test("a click asks for the spans that say it, and for nothing that need not hold on them", () => {
	const change = narrowChange(attribute);
	assert.deepEqual(
		[change?.service, change?.attr, change?.status, change?.brush],
		["cart", ["service.version=v3"], undefined, undefined],
	);
	const mtls: TraceDifference = { kind: "mtls", key: "mtls", value: "mixed", edge, ...counts };
	assert.deepEqual([narrowChange(mtls)?.mtls, narrowChange(mtls)?.edge], ["mixed", edge.id]);
	assert.equal(narrowChange({ kind: "flag", key: "flag", value: "UF", ...counts }), undefined);
	assert.equal(narrowChange({ ...attribute, key: "a=b" }), undefined);
});

test("the API reads a narrowed attribute as what it was", () => {
	for (const [value, type] of [
		["v3", "string"],
		["int:5", "string"],
		['"quoted"', "string"],
		["503", "int"],
		["0.5", "double"],
		["true", "bool"],
		["=x=", "string"],
	] as const) {
		const [text] = narrowChange({ ...attribute, value, type })!.attr as readonly string[];
		const read = attributeFilter(text!);
		assert.equal(read.value, value);
		assert.ok(read.type === type || (read.type === "text" && type === "string"), `${value}: ${read.type}`);
	}
});

test("shares are never rounded to all or nothing", () => {
	assert.deepEqual(
		[shareText(0, 9), shareText(1, 1_000), shareText(999, 1_000), shareText(9, 9), shareText(1, 3), shareText(0, 0)],
		["0 %", "< 1 %", "> 99 %", "100 %", "33 %", "–"],
	);
});
