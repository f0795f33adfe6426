/**
 * The shim's decisions against those of a real Envoy, on the same random requests: which route is taken, what a path is normalised
 * and rewritten to, what a path template matches. Envoy is configured from the very objects that the shim compiles.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { HttpRoute, RouteMatch, StringMatch, VirtualHost } from "../../model/mesh/proxy-config.ts";
import { normalizePath } from "../../proxy-shim/authz/normalize-path.ts";
import { compilePaths } from "../../proxy-shim/authz/values.ts";
import { rewritePath } from "../../proxy-shim/routing/destination.ts";
import { createRouter } from "../../proxy-shim/routing/router.ts";
import { hostWith, matchOf, requestOf, routeOf } from "../mechanisms/routes.ts";
import { addressOf, ask, listenerOf } from "./envoy/decisions.ts";
import { type EnvoyProcess, freePorts, runEnvoy } from "./envoy/run.ts";
import { skipUnless } from "./fetch/cache.ts";
import { fetchEnvoy } from "./fetch/python.ts";

function exact(value: string): StringMatch {
	return { kind: "exact", value };
}

function prefix(value: string): StringMatch {
	return { kind: "prefix", value };
}

function regex(value: string): StringMatch {
	return { kind: "regex", value, pattern: new RegExp(value) };
}

const VIRTUAL_HOSTS: readonly VirtualHost[] = [
	hostWith(["shop.example"], routeOf("exact host")),
	hostWith(
		["a.example"],
		routeOf("user", matchOf({ headers: [{ name: "x-user", match: exact("jason") }], path: prefix("/a") })),
		routeOf("canary", matchOf({ headers: [{ name: "x-canary", match: undefined }] })),
		routeOf("user by expression", matchOf({ headers: [{ name: "x-user", match: regex("t(om|im)") }] })),
		routeOf("not internal", matchOf({ path: prefix("/b"), withoutHeaders: [{ name: "x-canary", match: undefined }] })),
		routeOf("not tom", matchOf({ path: exact("/c"), withoutHeaders: [{ name: "x-user", match: prefix("tom") }] })),
		routeOf(
			"query",
			matchOf({ query: [{ name: "v", match: exact("1") }] }),
			matchOf({ query: [{ name: "w", match: undefined }] }),
		),
		routeOf("query by expression", matchOf({ query: [{ name: "v", match: regex("[23]+") }] })),
		routeOf("no case", matchOf({ path: prefix("/A"), ignorePathCase: true, method: exact("POST") })),
		routeOf("method", matchOf({ method: regex("PUT|DELETE") })),
		routeOf("alternatives", matchOf({ path: regex("/a|/b/.*") })),
		routeOf("exact path", matchOf({ path: exact("/a/b") })),
	),
	hostWith(["*.example"], routeOf("suffix", matchOf({ path: prefix("/") }))),
	hostWith(["*.b.example"], routeOf("longer suffix")),
	hostWith(["*"], routeOf("any", matchOf({ path: prefix("/a/") }))),
];

const REWRITES: readonly HttpRoute[] = [
	["/exact", exact("/exact"), "/new"],
	["/api/", prefix("/api/"), "/v1/"],
	["/old", prefix("/old"), "/new"],
].map(([name, match, to]) => ({
	...routeOf(name as string, matchOf({ path: match as StringMatch })),
	rewrite: { path: to as string, pathRegex: undefined, authority: undefined },
}));
const REGEX_REWRITE: HttpRoute = {
	...routeOf("regex"),
	rewrite: { path: undefined, pathRegex: { pattern: /\/item-(\d)/, replacement: "/items/$1" }, authority: undefined },
};
/** RE2 writes groups with a backslash. */
const REGEX_REWRITE_AS_RE2 = { pattern: { regex: "/item-(\\d)" }, substitution: "/items/\\1" };

const TEMPLATES = ["/t1/{*}", "/t2/{*}/x", "/t3/{**}", "/t4/{*}/x/{**}"];

const skip = await skipUnless(fetchEnvoy);
let folder: string;
let envoy: EnvoyProcess;
let echo: Server;
let routesPort: number;
let normalizingPort: number;

before(async () => {
	if (skip !== false) return;
	folder = await mkdtemp(path.join(tmpdir(), "meshscope-envoy-decisions-"));
	echo = createServer((incoming, response) => response.end(incoming.url));
	await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
	[routesPort, normalizingPort] = (await freePorts(2)) as [number, number];
	const bootstrap = {
		admin: { address: addressOf(0) },
		static_resources: {
			listeners: [
				listenerOf("routes", routesPort, { normalize_path: false }, [
					...VIRTUAL_HOSTS.map((host) => ({
						name: host.hosts[0],
						domains: host.hosts,
						routes: host.http.flatMap((route) => envoyRoutes(route)),
					})),
					{
						name: "rewrites",
						domains: ["rewrites"],
						routes: [
							...REWRITES.map((route) => ({
								match: envoyMatch(route.matches[0]!),
								route: { cluster: "echo", prefix_rewrite: route.rewrite!.path },
							})),
							{ match: { prefix: "/" }, route: { cluster: "echo", regex_rewrite: REGEX_REWRITE_AS_RE2 } },
						],
					},
					{ name: "templates", domains: ["templates"], routes: TEMPLATES.map(templateRoute) },
				]),
				listenerOf("normalizing", normalizingPort, { normalize_path: true }, [
					{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "echo" } }] },
				]),
			],
			clusters: [
				{
					name: "echo",
					type: "STATIC",
					connect_timeout: "5s",
					load_assignment: {
						cluster_name: "echo",
						endpoints: [
							{ lb_endpoints: [{ endpoint: { address: addressOf((echo.address() as AddressInfo).port) } }] },
						],
					},
				},
			],
		},
	};
	envoy = await runEnvoy(await fetchEnvoy(), folder, "bootstrap.json", JSON.stringify(bootstrap));
});

after(async () => {
	if (skip !== false) return;
	await envoy?.stop();
	echo.closeAllConnections();
	await new Promise((resolve) => echo.close(resolve));
	await rm(folder, { recursive: true, force: true });
});

test("the shim takes the routes that Envoy takes", { skip }, async () => {
	const router = createRouter(VIRTUAL_HOSTS);
	const taken = new Set<string>();
	await fc.assert(
		fc.asyncProperty(
			fc.record({
				host: fc.constantFrom(
					"shop.example",
					"a.example",
					"a.example",
					"a.example",
					"x.example",
					"x.b.example",
					"example",
					"other",
				),
				path: fc.constantFrom("/", "/a", "/a/b", "/A/b", "/ab", "/b/", "/b/c", "/c", "/a/../b/x", "/%61"),
				query: fc.constantFrom("", "", "v=1", "v=2", "v=23", "v=2&v=1", "x=v=1", "w", "w=", "v=%31", "ww"),
				method: fc.constantFrom("GET", "GET", "POST", "PUT", "DELETE"),
				headers: fc.constantFrom<Readonly<Record<string, string>>>(
					{},
					{},
					{ "x-user": "jason" },
					{ "x-user": "tom" },
					{ "x-user": "tomas" },
					{ "x-user": "Tim" },
					{ "x-canary": "" },
				),
			}),
			async (parts) => {
				const { host, method, headers, query } = parts;
				const target = query === "" ? parts.path : `${parts.path}?${query}`;
				const { status, body } = await ask(routesPort, { host, method, headers, target });
				const route = router.match(requestOf(parts))?.route.name;
				assert.equal(route, status === 404 ? undefined : body, JSON.stringify(parts));
				taken.add(body);
			},
		),
		{ numRuns: 600 },
	);
	assert.ok(taken.size > 12, `the requests met only ${taken.size} of the routes`);
});

test("the shim rewrites paths as Envoy does", { skip }, async () => {
	for (const target of [
		"/exact",
		"/exact?a=/exact",
		"/api/x?y",
		"/api/",
		"/api//x",
		"/old/x",
		"/older?q",
		"/item-1/item-2?x=/item-3",
		"/none",
	]) {
		const { body } = await ask(routesPort, { host: "rewrites", target });
		const bare = target.split("?")[0]!;
		const route = createRouter([hostWith(["rewrites"], ...REWRITES, REGEX_REWRITE)]).match(
			requestOf({ host: "rewrites", path: bare }),
		)!;
		assert.equal(rewritePath(route.route.rewrite, route.match, target), body, target);
	}
});

test("the shim normalises paths as Envoy does", { skip }, async () => {
	const piece = fc.constantFrom(
		"/",
		"/",
		"..",
		".",
		"a",
		"%2e",
		"%2E",
		"\\",
		"%2f",
		"%5C",
		"%41",
		"%7e",
		"%c3%a9",
		"~",
		"%25",
		"%20",
		"//",
		";",
		"=",
		"@",
		"%00",
	);
	await fc.assert(
		fc.asyncProperty(fc.array(piece, { maxLength: 10 }), fc.constantFrom("", "?", "?x=/../y"), async (pieces, query) => {
			const bare = `/${pieces.join("")}`;
			// Parameters of a dot segment end here at a backslash too, may follow an escaped one, and hide no NUL: Envoy is less strict.
			fc.pre(!/(?:\.|%2e);/i.test(bare) || !/%2e|%00|\\/i.test(bare));
			const { status, body } = await ask(normalizingPort, { host: "x", target: bare + query });
			assert.equal(normalizePath(bare + query), status === 400 ? undefined : body.split("?")[0], bare);
		}),
		{ numRuns: 600 },
	);
});

test("the shim matches path templates as Envoy does", { skip }, async () => {
	const piece = fc.constantFrom("/", "/", "a", "x", "b.c", "/x", "/x/", "~", "%41");
	await fc.assert(
		fc.asyncProperty(fc.constantFrom(...TEMPLATES.keys()), fc.array(piece, { maxLength: 6 }), async (index, pieces) => {
			const target = `/t${index + 1}${pieces.join("")}`;
			const { status } = await ask(routesPort, { host: "templates", target });
			assert.equal(compilePaths([TEMPLATES[index]!])(target), status === 200, `${target} by ${TEMPLATES[index]}`);
		}),
		{ numRuns: 600 },
	);
});

/** As Istio writes them: one Envoy route for each match. */
function envoyRoutes(route: HttpRoute): readonly object[] {
	const direct_response = { status: 200, body: { inline_string: route.name } };
	const matches = route.matches.length === 0 ? [matchOf({})] : route.matches;
	return matches.map((match) => ({ match: envoyMatch(match), direct_response }));
}

function envoyMatch(match: RouteMatch): object {
	const pathMatch =
		match.path === undefined
			? { prefix: "/" }
			: match.path.kind === "exact"
				? { path: match.path.value }
				: match.path.kind === "prefix"
					? { prefix: match.path.value }
					: { safe_regex: { regex: match.path.value } };
	const headers = [
		...(match.method === undefined ? [] : [{ name: ":method", string_match: envoyString(match.method) }]),
		...match.headers.map((header) => envoyHeader(header.name, header.match)),
		...match.withoutHeaders.map((header) => ({
			...envoyHeader(header.name, header.match),
			invert_match: true,
			treat_missing_header_as_empty: header.match !== undefined,
		})),
	];
	const query_parameters = match.query.map(({ name, match: value }) => envoyHeader(name, value));
	return { ...pathMatch, case_sensitive: !match.ignorePathCase, headers, query_parameters };
}

function envoyHeader(name: string, match: StringMatch | undefined): object {
	return match === undefined ? { name, present_match: true } : { name, string_match: envoyString(match) };
}

function envoyString(match: StringMatch): object {
	return match.kind === "regex" ? { safe_regex: { regex: match.value } } : { [match.kind]: match.value };
}

function templateRoute(template: string): object {
	return {
		match: {
			path_match_policy: {
				name: "template",
				typed_config: {
					"@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
					path_template: template.replaceAll("{*}", "*").replaceAll("{**}", "**"),
				},
			},
		},
		direct_response: { status: 200, body: { inline_string: template } },
	};
}
