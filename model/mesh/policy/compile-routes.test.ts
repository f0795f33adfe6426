import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpRoute } from "../proxy-config.ts";
import { document, proxyFor, SERVICES } from "../../../test/mesh/canned-mesh.ts";

const REVIEWS = "reviews.default.svc.cluster.local|9080";
const VERSIONS = document(
	"DestinationRule",
	"reviews",
	`
  host: reviews
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
    - {name: v3, labels: {version: v3}}`,
);

function virtualService(http: string, host = "reviews", name = "reviews", namespace = "default"): string {
	return document("VirtualService", name, `\n  hosts: [${host}]\n  http:\n${http}`, namespace);
}

/** Cluster and weight of each destination. */
function destinations(route: HttpRoute | undefined): unknown {
	return route?.action.kind === "forward"
		? route.action.destinations.map(({ cluster, weight }) => [cluster, weight])
		: route?.action;
}

test("one user sees the canary, everybody else the version before it", () => {
	const { routes } = proxyFor(
		VERSIONS +
			virtualService(`
    - name: canary
      match: [{headers: {End-User: {exact: jason}}}]
      route: [{destination: {host: reviews, subset: v2}}]
    - route: [{destination: {host: reviews, subset: v1}}]`),
	);
	const [canary, rest, ...more] = routes("reviews");
	assert.deepEqual(more, []);
	assert.equal(canary!.name, "canary");
	assert.deepEqual(canary!.matches[0]!.headers, [{ name: "end-user", match: { kind: "exact", value: "jason" } }]);
	assert.deepEqual(destinations(canary), [[`${REVIEWS}|v2`, 100]]);
	assert.deepEqual([rest!.name, rest!.matches, destinations(rest)], ["default", [], [[`${REVIEWS}|v1`, 100]]]);
});

test("half of the traffic moves to a new version", () => {
	const { routes } = proxyFor(
		VERSIONS +
			virtualService(`
    - route:
        - {destination: {host: reviews, subset: v1}, weight: 50, headers: {response: {add: {X-Version: one}, remove: [Server]}}}
        - {destination: {host: reviews.default, subset: v3}, weight: 50}`),
	);
	const [route] = routes("reviews.default.svc.cluster.local");
	assert.deepEqual(destinations(route), [
		[`${REVIEWS}|v1`, 50],
		[`${REVIEWS}|v3`, 50],
	]);
	assert.ok(route!.action.kind === "forward");
	assert.deepEqual(route!.action.destinations[0]!.responseHeaders, {
		set: [],
		add: [["x-version", "one"]],
		remove: ["server"],
	});
});

test("every part of a match is carried over, names in lower case", () => {
	const { routes } = proxyFor(
		virtualService(`
    - match:
        - name: all
          uri: {prefix: /A}
          ignoreUriCase: true
          method: {exact: GET}
          scheme: {exact: http}
          authority: {regex: "reviews(:\\\\d+)?"}
          headers: {X-Debug: {}, cookie: {prefix: a}}
          withoutHeaders: {X-No: {exact: "1"}}
          queryParams: {Q: {exact: "1"}, r: {}}
          port: 9080
        - uri: {exact: /b}
      route: [{destination: {host: reviews}}]`),
	);
	const [first, second] = routes("reviews")[0]!.matches;
	assert.deepEqual(first, {
		name: "all",
		path: { kind: "prefix", value: "/A" },
		ignorePathCase: true,
		method: { kind: "exact", value: "GET" },
		scheme: { kind: "exact", value: "http" },
		authority: { kind: "regex", value: "reviews(:\\d+)?", pattern: /^(?:reviews(:[0-9]+)?)$/ },
		headers: [
			{ name: "x-debug", match: undefined },
			{ name: "cookie", match: { kind: "prefix", value: "a" } },
		],
		withoutHeaders: [{ name: "x-no", match: { kind: "exact", value: "1" } }],
		query: [
			{ name: "Q", match: { kind: "exact", value: "1" } },
			{ name: "r", match: undefined },
		],
		port: 9080,
	});
	assert.deepEqual([second!.path, second!.ignorePathCase, second!.port], [{ kind: "exact", value: "/b" }, false, undefined]);
});

test("a fault delays or aborts its share; without a percentage it does nothing", () => {
	const { routes } = proxyFor(
		virtualService(
			`
    - match: [{headers: {end-user: {exact: jason}}}]
      fault:
        delay: {fixedDelay: 7s, percentage: {value: 100}}
        abort: {httpStatus: 500, percentage: {value: 0.5}}
      route: [{destination: {host: ratings}}]
    - fault: {abort: {grpcStatus: UNAVAILABLE, percentage: {value: 10}}, delay: {fixedDelay: 1s}}
      route: [{destination: {host: ratings}}]
    - route: [{destination: {host: ratings}}]`,
			"ratings",
		),
	);
	assert.deepEqual(
		routes("ratings").map(({ fault }) => fault),
		[
			{ delay: { percent: 100, ms: 7000 }, abort: { percent: 0.5, httpStatus: 500, grpcStatus: undefined } },
			{ delay: { percent: 0, ms: 1000 }, abort: { percent: 10, httpStatus: 200, grpcStatus: 14 } },
			undefined,
		],
	);
});

test("a mirror gets everything unless a share is named", () => {
	const { routes } = proxyFor(
		VERSIONS +
			virtualService(`
    - route: [{destination: {host: reviews, subset: v1}}]
      mirror: {host: reviews, subset: v2}
    - route: [{destination: {host: reviews, subset: v1}}]
      mirror: {host: reviews, subset: v2}
      mirrorPercentage: {value: 25.5}
    - route: [{destination: {host: reviews, subset: v1}}]
      mirrors: [{destination: {host: ratings}}, {destination: {host: reviews}, percentage: {value: 0}}]`),
	);
	assert.deepEqual(
		routes("reviews").map(({ mirrors }) => mirrors),
		[
			[{ cluster: `${REVIEWS}|v2`, percent: 100 }],
			[{ cluster: `${REVIEWS}|v2`, percent: 25.5 }],
			[
				{ cluster: "ratings.default.svc.cluster.local|9080|", percent: 100 },
				{ cluster: `${REVIEWS}|`, percent: 0 },
			],
		],
	);
});

test("timeouts are off and two retries are on unless a route says otherwise", () => {
	const { routes } = proxyFor(
		virtualService(`
    - route: [{destination: {host: reviews}}]
    - route: [{destination: {host: reviews}}]
      timeout: 500ms
      retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503,reset", backoff: 100ms}
    - route: [{destination: {host: reviews}}]
      timeout: 0s
      retries: {attempts: 0}
    - route: [{destination: {host: reviews}}]
      retries: {attempts: 5}`),
	);
	const usual = new Set(["connect-failure", "refused-stream", "unavailable", "cancelled"]);
	assert.deepEqual(
		routes("reviews").map(({ timeoutMs, retries }) => ({ timeoutMs, ...retries })),
		[
			{
				timeoutMs: 0,
				attempts: 2,
				on: usual,
				onStatus: new Set(),
				perTryTimeoutMs: 0,
				backoffBaseMs: 25,
				backoffMaxMs: 250,
			},
			{
				timeoutMs: 500,
				attempts: 3,
				on: new Set(["5xx", "reset"]),
				onStatus: new Set([503]),
				perTryTimeoutMs: 2000,
				backoffBaseMs: 100,
				backoffMaxMs: 1000,
			},
			{
				timeoutMs: 0,
				attempts: 0,
				on: usual,
				onStatus: new Set(),
				perTryTimeoutMs: 0,
				backoffBaseMs: 25,
				backoffMaxMs: 250,
			},
			{
				timeoutMs: 0,
				attempts: 5,
				on: usual,
				onStatus: new Set(),
				perTryTimeoutMs: 0,
				backoffBaseMs: 25,
				backoffMaxMs: 250,
			},
		],
	);
});

test("rewrites replace the path, the authority, or what a pattern finds", () => {
	const { routes } = proxyFor(
		virtualService(`
    - route: [{destination: {host: reviews}}]
      rewrite: {uri: /v2, authority: reviews.example.com}
    - route: [{destination: {host: reviews}}]
      rewrite: {uriRegexRewrite: {match: "^/service/([^/]+)(/.*)$", rewrite: '\\2/x\\10$1\\\\\\0'}}`),
	);
	const [plain, regex] = routes("reviews").map(({ rewrite }) => rewrite);
	assert.deepEqual(plain, { path: "/v2", pathRegex: undefined, authority: "reviews.example.com" });
	const ten = proxyFor(
		virtualService(
			"    - route: [{destination: {host: reviews}}]\n      rewrite: {uriRegexRewrite: {match: '(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)', rewrite: '\\10'}}",
		),
	).routes("reviews")[0]!.rewrite!.pathRegex!;
	assert.equal("abcdefghij".replace(ten.pattern, ten.replacement), "a0");
	// RE2 reads one digit: \\10 is the first group and a 0.
	assert.equal(
		"/service/foo/v1".replace(regex!.pathRegex!.pattern, regex!.pathRegex!.replacement),
		"/v1/xfoo0$1\\/service/foo/v1",
	);
});

test("redirects and answers send nothing upstream", () => {
	const { routes } = proxyFor(
		virtualService(`
    - match: [{uri: {exact: /old}}]
      redirect: {uri: /new, authority: www.example.com, port: 8443, scheme: https, redirectCode: 308}
    - match: [{uri: {exact: /older}}]
      redirect: {uri: /new}
    - match: [{uri: {exact: /teapot}}]
      directResponse: {status: 418, body: {string: short and stout}}
    - directResponse: {status: 503}`),
	);
	assert.deepEqual(routes("reviews").map(destinations), [
		{ kind: "redirect", status: 308, authority: "www.example.com:8443", scheme: "https", path: "/new" },
		{ kind: "redirect", status: 301, authority: undefined, scheme: undefined, path: "/new" },
		{ kind: "answer", status: 418, body: "short and stout" },
		{ kind: "answer", status: 503, body: "" },
	]);
});

test("a route's fallback is an answer or another destination", () => {
	const { routes } = proxyFor(
		VERSIONS +
			virtualService(`
    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {status: 200, body: '{"reviews":[]}', contentType: application/json}}
    - route: [{destination: {host: reviews}}]
      meshscope: {fallback: {status: 503}}
    - route: [{destination: {host: reviews, subset: v2}}]
      meshscope: {fallback: {destination: {host: reviews, subset: v1}}}
    - route: [{destination: {host: reviews}}]`),
	);
	assert.deepEqual(
		routes("reviews").map(({ fallback }) => fallback),
		[
			{ kind: "answer", status: 200, body: '{"reviews":[]}', contentType: "application/json" },
			{ kind: "answer", status: 503, body: "", contentType: "text/plain; charset=utf-8" },
			{ kind: "destination", cluster: `${REVIEWS}|v1` },
			undefined,
		],
	);
});

test("what matches another source is no route here, and no route for everything either", () => {
	const text = virtualService(`
    - match: [{sourceLabels: {app: details}}, {sourceNamespace: shop}]
      directResponse: {status: 403}
    - match: [{sourceLabels: {app: productpage}, uri: {prefix: /a}}, {sourceLabels: {app: details}, uri: {prefix: /b}}]
      directResponse: {status: 200}`);
	const [route, ...more] = proxyFor(text).routes("reviews");
	assert.deepEqual(more, []);
	assert.deepEqual(
		[destinations(route), route!.matches.map(({ path }) => path)],
		[{ kind: "answer", status: 200, body: "" }, [{ kind: "prefix", value: "/a" }]],
	);
	assert.equal(proxyFor(text, { namespace: "shop" }).routes("reviews.default")[0]!.matches.length, 1);
});

test("a host whose routes are all for other sources has its default route", () => {
	const { routes, virtualHost } = proxyFor(
		virtualService("    - match: [{sourceLabels: {app: details}}]\n      directResponse: {status: 403}"),
	);
	assert.deepEqual(routes("reviews").map(destinations), [[[`${REVIEWS}|`, 100]]]);
	assert.equal(virtualHost("reviews").http[0]!.name, "default");
});

test("a percent sign is written twice", () => {
	const { routes } = proxyFor(
		virtualService('    - directResponse: {status: 200}\n      headers: {response: {set: {X-Share: "50%%"}}}'),
	);
	assert.deepEqual(routes("reviews")[0]!.responseHeaders, { set: [["x-share", "50%"]], add: [], remove: [] });
});

test("a VirtualService is seen where it is exported to", () => {
	const of = (exportTo: string, namespace: string): string =>
		proxyFor(
			document("VirtualService", "v", `{hosts: [reviews], exportTo: ${exportTo}, http: [{directResponse: {status: 200}}]}`),
			{ namespace },
		).virtualHost("reviews.default").name;
	const unnamed = "reviews.default.svc.cluster.local";
	assert.equal(of('["."]', "default"), "default/v");
	assert.equal(of('["."]', "shop"), unnamed);
	assert.equal(of("[shop]", "shop"), "default/v");
	assert.equal(of("[shop]", "default"), unnamed);
	assert.equal(of('["*"]', "shop"), "default/v");
	assert.equal(of("[]", "shop"), "default/v");
});

test("services are called by every form of their name, and by the short one in their namespace only", () => {
	const { virtualHost } = proxyFor("");
	assert.deepEqual(virtualHost("ratings").hosts, [
		"ratings",
		"ratings.default",
		"ratings.default.svc",
		"ratings.default.svc.cluster.local",
	]);
	assert.deepEqual(virtualHost("orders.shop").hosts, ["orders.shop", "orders.shop.svc", "orders.shop.svc.cluster.local"]);
});

test("a name belongs to one virtual host: whole names before short ones", () => {
	const entry = document(
		"ServiceEntry",
		"e",
		"{hosts: [ratings], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
	);
	const { config, virtualHost } = proxyFor(entry);
	assert.equal(virtualHost("ratings").name, "ratings");
	assert.equal(virtualHost("ratings.default").name, "ratings.default.svc.cluster.local");
	const all = config.virtualHosts.flatMap(({ hosts }) => hosts);
	assert.equal(new Set(all).size, all.length);
});

test("exact hosts come before suffixes, and longer suffixes before shorter ones", () => {
	const answer = "    - directResponse: {status: 200}";
	const { config } = proxyFor(
		virtualService(answer, '"*.com"', "a") +
			virtualService(answer, '"*.example.com"', "b") +
			virtualService(answer, "www.example.com", "c"),
	);
	const names = config.virtualHosts.map(({ hosts }) => hosts[0]!);
	assert.deepEqual(names.slice(-2), ["*.example.com", "*.com"]);
	assert.ok(names.indexOf("www.example.com") >= 0);
});

test("a suffix routes the services that nobody names, the longest suffix first", () => {
	const answer = (status: number): string => `    - directResponse: {status: ${status}}`;
	const { virtualHost } = proxyFor(
		virtualService(answer(200), '"*.svc.cluster.local"', "all") +
			virtualService(answer(201), '"*.default.svc.cluster.local"', "ours") +
			virtualService(answer(202), "reviews", "reviews"),
	);
	assert.deepEqual(
		["reviews", "ratings", "orders.shop"].map((host) => virtualHost(host).name),
		["default/reviews", "default/ours", "default/all"],
	);
});

test("a host of its own counts before a suffix that is as long", () => {
	const { virtualHost, warnings } = proxyFor(
		virtualService("    - directResponse: {status: 200}", '"*.example.com"', "wide") +
			virtualService("    - directResponse: {status: 201}", "a.example.com", "own"),
	);
	assert.deepEqual(virtualHost("a.example.com").http.map(destinations), [{ kind: "answer", status: 201, body: "" }]);
	assert.deepEqual(warnings, []);
});

test("VirtualServices of one host are joined in the order of the file, and that is told", () => {
	const { routes, warnings } = proxyFor(
		virtualService("    - match: [{uri: {exact: /a}}]\n      directResponse: {status: 200}", "reviews", "first") +
			virtualService("    - directResponse: {status: 201}", "reviews.default", "second"),
	);
	assert.deepEqual(routes("reviews").map(destinations), [
		{ kind: "answer", status: 200, body: "" },
		{ kind: "answer", status: 201, body: "" },
	]);
	assert.deepEqual(warnings, [
		"VirtualService default/second: reviews.default.svc.cluster.local has VirtualService default/first already: its routes come first; Istio would let only one of them count",
	]);
});

test("routes that match nothing leave the rest without a route", () => {
	const { routes } = proxyFor(
		virtualService("    - match: [{uri: {exact: /a}}]\n      route: [{destination: {host: reviews}}]"),
	);
	assert.deepEqual(
		routes("reviews").map(({ matches }) => matches.length),
		[1],
	);
});

test("a service of several ports has a route for each, and its first HTTP port takes the rest", () => {
	const { virtualHost } = proxyFor("");
	const orders = "orders.shop.svc.cluster.local";
	const { http, tcp } = virtualHost("orders.shop");
	assert.deepEqual(
		http.map((route) => [route.matches.map(({ port }) => port), destinations(route)]),
		[
			[[81], [[`${orders}|81|`, 100]]],
			[[], [[`${orders}|80|`, 100]]],
		],
	);
	assert.deepEqual(
		tcp.map(({ port, destinations }) => [port, destinations.map(({ cluster }) => cluster)]),
		[[90, [`${orders}|90|`]]],
	);
});

test("a destination without a port means the port that was asked for", () => {
	const orders = "orders.shop.svc.cluster.local";
	const { routes } = proxyFor(
		virtualService(
			`
    - match: [{uri: {prefix: /a}}, {port: 81, uri: {prefix: /b}}]
      route: [{destination: {host: orders.shop}}]
    - route: [{destination: {host: orders.shop, port: {number: 81}}}]`,
			"orders.shop.svc.cluster.local",
		),
	);
	assert.deepEqual(
		routes("orders.shop").map((route) => [
			route.matches.map(({ port, path }) => [port, path?.value]),
			route.action.kind === "forward" ? route.action.destinations[0]!.cluster : "",
		]),
		[
			[[[80, "/a"]], `${orders}|80|`],
			[
				[
					[81, "/b"],
					[81, "/a"],
				],
				`${orders}|81|`,
			],
			[[[undefined, "/a"]], `${orders}|80|`],
			[[], `${orders}|81|`],
		],
	);
});

test("TCP goes by port, by weight and by source", () => {
	const mongo = "mongo.shop.svc.cluster.local|27017|";
	const { virtualHost } = proxyFor(
		document(
			"DestinationRule",
			"mongo",
			"{host: mongo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}",
			"shop",
		) +
			document(
				"VirtualService",
				"mongo",
				`
  hosts: [mongo]
  tcp:
    - match: [{port: 27017, sourceLabels: {app: details}}]
      route: [{destination: {host: mongo}}]
    - match: [{port: 27017}]
      route:
        - {destination: {host: mongo, subset: v1}, weight: 80}
        - {destination: {host: mongo, subset: v2}, weight: 20}`,
				"shop",
			),
	);
	assert.deepEqual(
		virtualHost("mongo.shop").tcp.map(({ port, destinations }) => [
			port,
			destinations.map(({ cluster, weight }) => [cluster, weight]),
		]),
		[
			[
				27017,
				[
					[`${mongo}v1`, 80],
					[`${mongo}v2`, 20],
				],
			],
			[27017, [[mongo, 100]]],
		],
	);
});

test("a destination that nobody knows is told, and gets a cluster that may fill later", () => {
	const { warnings, cluster } = proxyFor(virtualService("    - route: [{destination: {host: later, port: {number: 8080}}}]"));
	assert.deepEqual(warnings, [
		"VirtualService default/reviews: spec.http[0].route[0].destination.host: later.default.svc.cluster.local is neither a registered service nor the host of a ServiceEntry: until it is, requests fail",
	]);
	const { discovery, service, namespace, external } = cluster("later.default.svc.cluster.local|8080|");
	assert.deepEqual([discovery, service, namespace, external], [{ kind: "registry" }, "later", "default", false]);
});

test("two words with a dot are a service where there is one, else a name of the outside", () => {
	const text =
		virtualService("    - directResponse: {status: 200}", "orders.shop", "a") +
		virtualService("    - directResponse: {status: 200}", "example.com", "b");
	const { config } = proxyFor(text);
	assert.deepEqual(config.virtualHosts.find(({ name }) => name === "default/a")!.hosts, [
		"orders.shop",
		"orders.shop.svc",
		"orders.shop.svc.cluster.local",
	]);
	assert.deepEqual(config.virtualHosts.find(({ name }) => name === "default/b")!.hosts, ["example.com"]);
	assert.deepEqual(
		proxyFor(
			text,
			{},
			SERVICES.filter(({ service }) => service !== "orders"),
		).virtualHost("orders.shop").hosts,
		["orders.shop"],
	);
});
