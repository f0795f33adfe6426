import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteMatch, StringMatch } from "../../model/mesh/proxy-config.ts";
import { type RequestParts, destinationOf, hostWith, matchOf, requestOf, routeOf } from "../../test/mechanisms/routes.ts";
import { createRouter } from "./router.ts";

function exact(value: string): StringMatch {
	return { kind: "exact", value };
}

function prefix(value: string): StringMatch {
	return { kind: "prefix", value };
}

function regex(value: string, flags = ""): StringMatch {
	return { kind: "regex", value, pattern: new RegExp(value, flags) };
}

function isMatch(match: Partial<RouteMatch>, request: RequestParts): boolean {
	return createRouter([hostWith(["*"], routeOf("r", matchOf(match)))]).match(requestOf(request)) !== undefined;
}

test("an exact host goes before a suffix, the longest suffix before a shorter one, and the star last", () => {
	const router = createRouter([
		hostWith(["*"], routeOf("any")),
		hostWith(["*.example"], routeOf("short suffix")),
		hostWith(["*.shop.example"], routeOf("long suffix")),
		hostWith(["api.shop.example", "api"], routeOf("exact")),
	]);
	for (const [host, expected] of [
		["api.shop.example", "exact"],
		["api", "exact"],
		["web.shop.example", "long suffix"],
		["a.b.shop.example", "long suffix"],
		["shop.example", "short suffix"],
		["other.example", "short suffix"],
		["example", "any"],
		["xexample", "any"],
		["", "any"],
		// What stands for the star is not empty.
		[".example", "any"],
	] as const) {
		assert.equal(router.match(requestOf({ host }))?.route.name, expected, host);
		assert.equal(router.virtualHost(host)?.http[0]!.name, expected);
	}
});

test("a host that nobody names has no route", () => {
	const router = createRouter([hostWith(["shop"], routeOf("shop"))]);
	assert.equal(router.match(requestOf({ host: "other" })), undefined);
	assert.equal(router.virtualHost("other"), undefined);
	assert.equal(createRouter([]).match(requestOf()), undefined);
});

test("of two virtual hosts with one host the first counts, and names of objects are none", () => {
	const router = createRouter([hostWith(["shop", "*.x"], routeOf("first")), hostWith(["shop", "*.x"], routeOf("second"))]);
	assert.equal(router.match(requestOf({ host: "shop" }))?.route.name, "first");
	assert.equal(router.match(requestOf({ host: "a.x" }))?.route.name, "first");
	for (const host of ["constructor", "__proto__", "toString"]) assert.equal(router.match(requestOf({ host })), undefined);
});

test("the first route that matches is taken, by any of its matches, which the result names", () => {
	const v2 = matchOf({ headers: [{ name: "x-user", match: exact("jason") }] });
	const beta = matchOf({ path: prefix("/beta") });
	const router = createRouter([hostWith(["shop"], routeOf("v2", v2, beta), routeOf("v1"))]);
	const byHeader = router.match(requestOf({ headers: { "x-user": "jason" } }));
	assert.deepEqual([byHeader?.route.name, byHeader?.match], ["v2", v2]);
	const byPath = router.match(requestOf({ path: "/beta/x" }));
	assert.deepEqual([byPath?.route.name, byPath?.match], ["v2", beta]);
	const other = router.match(requestOf());
	assert.deepEqual([other?.route.name, other?.match, other?.virtualHost.name], ["v1", undefined, "shop"]);
});

test("a virtual host without a route that matches refuses the rest", () => {
	const router = createRouter([hostWith(["shop"], routeOf("a", matchOf({ path: exact("/a") })))]);
	assert.equal(router.match(requestOf({ path: "/b" })), undefined);
	assert.equal(router.virtualHost("shop")?.name, "shop");
});

test("paths match as they came: exact, by prefix, or whole by expression", () => {
	for (const [path, requested, expected] of [
		[exact("/a"), "/a", true],
		[exact("/a"), "/a/", false],
		[exact("/a"), "/A", false],
		// As Envoy's prefix: not by segments.
		[prefix("/a"), "/ab", true],
		[prefix("/a/"), "/a", false],
		[prefix("/"), "/anything", true],
		// Raw: nothing is decoded or collapsed.
		[prefix("/admin"), "/%61dmin", false],
		[prefix("/admin"), "/x/../admin", false],
		[regex("/v[0-9]+"), "/v12", true],
		[regex("/v[0-9]+"), "/v12/x", false],
		[regex("/v[0-9]+"), "/x/v12", false],
		[regex("/a|/b"), "/ac", false],
		[regex("/a|/b"), "/b", true],
		[regex("^/a$"), "/a", true],
	] as const) {
		assert.equal(isMatch({ path }, { path: requested }), expected, `${path.kind} ${path.value}: ${requested}`);
	}
});

test("an expression with memory gives every request the same answer", () => {
	const router = createRouter([hostWith(["*"], routeOf("r", matchOf({ path: regex("/v.*", "g") })))]);
	for (let i = 0; i < 4; i++) assert.ok(router.match(requestOf({ path: "/v1" })), `request ${i}`);
});

test("the case of a path is ignored where asked, for exact and prefix", () => {
	assert.ok(isMatch({ path: exact("/Shop"), ignorePathCase: true }, { path: "/sHOP" }));
	assert.ok(isMatch({ path: prefix("/shop"), ignorePathCase: true }, { path: "/SHOP/a" }));
	assert.ok(!isMatch({ path: regex("/shop"), ignorePathCase: true }, { path: "/SHOP" }));
});

test("what a match names must all hold", () => {
	const match: Partial<RouteMatch> = {
		path: prefix("/orders"),
		method: exact("POST"),
		port: 8080,
		headers: [
			{ name: "x-canary", match: undefined },
			{ name: "x-user", match: prefix("test-") },
		],
		withoutHeaders: [
			{ name: "x-internal", match: undefined },
			{ name: "x-tier", match: exact("gold") },
		],
		query: [{ name: "v", match: exact("2") }],
	};
	const good = {
		path: "/orders/7",
		method: "POST",
		port: 8080,
		query: "a=1&v=2",
		headers: { "x-canary": "", "x-user": "test-1", "x-tier": "silver" },
	};
	assert.ok(isMatch(match, good));
	for (const change of [
		{ path: "/order" },
		{ method: "GET" },
		{ port: 80 },
		{ query: "v=3" },
		{ query: "" },
		{ headers: { "x-user": "test-1" } },
		{ headers: { ...good.headers, "x-user": "jason" } },
		{ headers: { ...good.headers, "x-internal": "" } },
		{ headers: { ...good.headers, "x-tier": "gold" } },
	]) {
		assert.ok(!isMatch(match, { ...good, ...change }), JSON.stringify(change));
	}
});

test("a header value matches whole and by case", () => {
	for (const [match, value, expected] of [
		[exact("a"), "a", true],
		[exact("a"), "A", false],
		[regex(".*chrome.*"), "x chrome y", true],
		[regex("chrome"), "x chrome y", false],
		[exact(""), "", true],
	] as const) {
		assert.equal(isMatch({ headers: [{ name: "h", match }] }, { headers: { h: value } }), expected, match.value);
	}
	assert.ok(!isMatch({ headers: [{ name: "h", match: exact("") }] }, {}), "an absent header has no value");
});

test("the first query parameter of a name counts, undecoded", () => {
	for (const [query, expected] of [
		["v=1", true],
		["a=0&v=1&b", true],
		["v=2&v=1", false],
		["xv=1", false],
		["v1=1", false],
		["vx1", false],
		["v1&v=1", true],
		["v", false],
		["v=%31", false],
		["v=1=1", false],
		["&&v=1", true],
		["V=1", false],
		["", false],
	] as const) {
		assert.equal(isMatch({ query: [{ name: "v", match: exact("1") }] }, { query }), expected, query);
	}
	assert.ok(isMatch({ query: [{ name: "v", match: undefined }] }, { query: "v" }));
	assert.ok(isMatch({ query: [{ name: "v", match: exact("") }] }, { query: "v" }));
});

test("the authority is matched as it came, with its port, else by the host", () => {
	assert.ok(isMatch({ authority: exact("Shop:8080") }, { headers: { host: "Shop:8080" } }));
	assert.ok(isMatch({ authority: prefix("sho") }, {}));
	assert.ok(!isMatch({ authority: exact("shop") }, { headers: { host: "shop:8080" } }));
});

test("a TCP route is taken by host and port", () => {
	const router = createRouter([
		{
			name: "db",
			hosts: ["db"],
			http: [],
			tcp: [
				{ port: 5432, destinations: [destinationOf("postgres")] },
				{ port: undefined, destinations: [destinationOf("rest")] },
			],
		},
	]);
	assert.equal(router.matchTcp("db", 5432)?.destinations[0]!.cluster, "postgres");
	assert.equal(router.matchTcp("db", 1)?.destinations[0]!.cluster, "rest");
	assert.equal(router.matchTcp("other", 5432), undefined);
});
