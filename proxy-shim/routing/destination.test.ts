import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../bench/mesh.ts";
import type { Rewrite, StringMatch } from "../../model/mesh/proxy-config.ts";
import { destinationOf, matchOf } from "../../test/mechanisms/routes.ts";
import { decideFault, isHit, pickDestination, rewritePath } from "./destination.ts";

test("destinations are picked by weight, and one of weight 0 never", () => {
	const destinations = [destinationOf("a", 90), destinationOf("off", 0), destinationOf("b", 10)];
	const counts = new Map<string, number>();
	const random = seededRandom(1);
	for (let i = 0; i < 20_000; i++) {
		const { cluster } = pickDestination(destinations, random)!;
		counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
	}
	assert.ok(Math.abs(counts.get("b")! / 20_000 - 0.1) < 0.01);
	assert.deepEqual([...counts.keys()].toSorted(), ["a", "b"]);
});

test("whatever random gives, a destination with weight is picked", () => {
	const weights = fc.array(fc.oneof(fc.nat(100), fc.constant(1 / 3)), { minLength: 2, maxLength: 6 });
	fc.assert(
		fc.property(weights, fc.double({ min: 0, max: 1 - 2 ** -53, noNaN: true }), (each, value) => {
			const picked = pickDestination(
				each.map((weight, index) => destinationOf(`d${index}`, weight)),
				() => value,
			)!;
			if (each.some((weight) => weight > 0)) assert.ok(picked.weight > 0);
			else assert.equal(picked.cluster, "d0");
		}),
	);
	assert.equal(
		pickDestination([], () => 0),
		undefined,
	);
	assert.equal(pickDestination([destinationOf("only", 0)], () => 0)?.cluster, "only");
});

test("a rewrite replaces the matched prefix or the whole path, and never the query", () => {
	const exact: StringMatch = { kind: "exact", value: "/old" };
	const prefix: StringMatch = { kind: "prefix", value: "/api" };
	const slashed: StringMatch = { kind: "prefix", value: "/api/" };
	const root: StringMatch = { kind: "prefix", value: "/" };
	const regex: StringMatch = { kind: "regex", value: "/v\\d", pattern: /\/v\d/ };
	for (const [to, path, requested, expected] of [
		["/new", exact, "/old", "/new"],
		["/new", exact, "/old?a=/old", "/new?a=/old"],
		["/v1", prefix, "/api/x/api", "/v1/x/api"],
		["/v1", prefix, "/apis", "/v1s"],
		["/", prefix, "/api/x", "/x"],
		["/", prefix, "/api", "/"],
		["/v1/", slashed, "/api/x", "/v1/x"],
		["/v1", root, "/x", "/v1x"],
		["/v1/", root, "/x", "/v1/x"],
		["/new", regex, "/v2?b", "/new?b"],
		["/new", undefined, "/x", "/new/x"],
		["/", undefined, "/x?y", "/x?y"],
		["new", exact, "/old", "/new"],
		["", prefix, "/api", "/"],
		[undefined, prefix, "/api/x", "/api/x"],
	] as const) {
		const rewrite: Rewrite = { path: to, pathRegex: undefined, authority: undefined };
		assert.equal(rewritePath(rewrite, matchOf({ path }), requested), expected, `${requested} by ${to}`);
	}
	assert.equal(rewritePath(undefined, undefined, "/x"), "/x");
});

test("an expression rewrites every match in the path, and never the query", () => {
	const rewrite: Rewrite = {
		path: undefined,
		pathRegex: { pattern: /\/item-(\d+)/, replacement: "/items/$1" },
		authority: undefined,
	};
	assert.equal(rewritePath(rewrite, undefined, "/item-7/item-8?x=/item-9"), "/items/7/items/8?x=/item-9");
	assert.equal(rewritePath(rewrite, undefined, "/other"), "/other");
});

test("percentages have four decimals; 0 never hits and 100 always does", () => {
	const HIGHEST = 1 - 2 ** -53;
	for (const [percent, value, expected] of [
		[0, 0, false],
		[100, HIGHEST, true],
		[0.0001, 0.000_000_9, true],
		[0.0001, 0.000_001, false],
		[0.000_01, 0, false],
		[50, 0.499_999, true],
		[50, 0.5, false],
		[0.1, 0.000_999, true],
	] as const) {
		assert.equal(
			isHit(percent, () => value),
			expected,
			`${percent} % at ${value}`,
		);
	}
});

test("delay and abort are decided each for itself", () => {
	const fault = { delay: { percent: 50, ms: 200 }, abort: { percent: 50, httpStatus: 503, grpcStatus: 14 } };
	for (const [values, delayMs, httpStatus] of [
		[[0.1, 0.1], 200, 503],
		[[0.1, 0.9], 200, undefined],
		[[0.9, 0.1], 0, 503],
		[[0.9, 0.9], 0, undefined],
	] as const) {
		const left: number[] = [...values];
		const decision = decideFault(fault, () => left.shift()!);
		assert.equal(decision.delayMs, delayMs);
		assert.equal(decision.abort?.httpStatus, httpStatus);
	}
	assert.deepEqual(
		decideFault(undefined, () => 0),
		{ delayMs: 0, abort: undefined },
	);
});
