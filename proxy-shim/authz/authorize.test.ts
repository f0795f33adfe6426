import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type {
	AuthorizationConfig,
	AuthorizationOperation,
	AuthorizationRule,
	AuthorizationSource,
} from "../../model/mesh/proxy-config.ts";
import { authorize, createAuthorizer } from "./authorize.ts";
import type { AuthorizationRequest } from "./request.ts";

type Rule = Partial<Omit<AuthorizationRule, "from" | "to" | "when">> & {
	readonly from?: readonly Partial<AuthorizationSource>[];
	readonly to?: readonly Partial<AuthorizationOperation>[];
	readonly when?: readonly Partial<AuthorizationRule["when"][number]>[];
};

const ANY_SOURCE: AuthorizationSource = {
	principals: [],
	notPrincipals: [],
	namespaces: [],
	notNamespaces: [],
	ipBlocks: [],
	notIpBlocks: [],
};

const ANY_OPERATION: AuthorizationOperation = {
	hosts: [],
	notHosts: [],
	ports: [],
	notPorts: [],
	methods: [],
	notMethods: [],
	paths: [],
	notPaths: [],
};

function ruleOf({ policy = "shop/p", from = [], to = [], when = [] }: Rule): AuthorizationRule {
	return {
		policy,
		from: from.map((source) => ({ ...ANY_SOURCE, ...source })),
		to: to.map((operation) => ({ ...ANY_OPERATION, ...operation })),
		when: when.map((condition) => ({ key: "", values: [], notValues: [], ...condition })),
	};
}

function configOf(rules: {
	deny?: readonly Rule[];
	allow?: readonly Rule[];
	audit?: readonly Rule[];
	hasAllowPolicy?: boolean;
}): AuthorizationConfig {
	return {
		deny: (rules.deny ?? []).map(ruleOf),
		allow: (rules.allow ?? []).map(ruleOf),
		audit: (rules.audit ?? []).map(ruleOf),
		hasAllowPolicy: rules.hasAllowPolicy ?? rules.allow !== undefined,
	};
}

const WEB = "spiffe://cluster.local/ns/shop/sa/web";

function requestOf(
	parts: Partial<AuthorizationRequest> & { readonly headers?: Readonly<Record<string, string>> } = {},
): AuthorizationRequest {
	const { headers = {}, ...rest } = parts;
	return {
		principal: WEB,
		namespace: "shop",
		sourceIp: "10.0.0.7",
		host: "orders",
		port: 8080,
		method: "GET",
		path: "/orders",
		header: (name) => headers[name],
		sni: "",
		destinationIp: "10.0.0.9",
		...rest,
	};
}

const TCP: Partial<AuthorizationRequest> = { method: "", path: "", host: "" };

/** Whether a rule matches, asked of an ALLOW rule: only then is the request allowed. */
function allows(rule: Rule, request: Parameters<typeof requestOf>[0] = {}): boolean {
	return authorize(configOf({ allow: [rule] }), requestOf(request)).decision === "allow";
}

function denies(rule: Rule, request: Parameters<typeof requestOf>[0] = {}): boolean {
	return authorize(configOf({ deny: [rule] }), requestOf(request)).decision === "deny";
}

/** Istio: Authorization Policy, "the evaluation is determined by the following rules". */
test("DENY is asked first, then ALLOW; without an ALLOW policy the rest is allowed", () => {
	const mine: Rule = { policy: "shop/mine", from: [{ namespaces: ["shop"] }] };
	const theirs: Rule = { policy: "shop/theirs", from: [{ namespaces: ["other"] }] };
	for (const [config, decision, policy] of [
		[configOf({}), "", ""],
		[configOf({ deny: [mine] }), "deny", "shop/mine"],
		[configOf({ deny: [theirs] }), "allow", ""],
		[configOf({ allow: [mine] }), "allow", "shop/mine"],
		[configOf({ allow: [theirs] }), "deny", ""],
		[configOf({ allow: [theirs, mine] }), "allow", "shop/mine"],
		[configOf({ allow: [mine], deny: [mine] }), "deny", "shop/mine"],
		[configOf({ allow: [mine], deny: [theirs] }), "allow", "shop/mine"],
		[configOf({ allow: [theirs], deny: [theirs] }), "deny", ""],
		// `spec: {}`: allow nothing. A rule without anything in it: allow all, deny all.
		[configOf({ hasAllowPolicy: true }), "deny", ""],
		[configOf({ allow: [{ policy: "shop/all" }] }), "allow", "shop/all"],
		[configOf({ deny: [{ policy: "shop/all" }] }), "deny", "shop/all"],
	] as const) {
		assert.deepEqual(authorize(config, requestOf()), { decision, policy, audited: [] }, JSON.stringify(config));
	}
});

test("AUDIT marks and never decides", () => {
	const all: Rule = { policy: "shop/audit" };
	const none: Rule = { policy: "shop/none", to: [{ ports: ["1"] }] };
	for (const [rules, decision, policy] of [
		[{ audit: [all, none, all] }, "audit", "shop/audit"],
		[{ audit: [all], allow: [{ policy: "shop/a" }] }, "allow", "shop/a"],
		[{ audit: [all], deny: [{ policy: "shop/d" }] }, "deny", "shop/d"],
		[{ audit: [all], allow: [none] }, "deny", ""],
	] as const) {
		assert.deepEqual(authorize(configOf(rules), requestOf()), { decision, policy, audited: ["shop/audit"] });
	}
	assert.deepEqual(authorize(configOf({ audit: [none] }), requestOf()), { decision: "", policy: "", audited: [] });
});

test("sources, operations and conditions are ANDed, their items ORed", () => {
	const rule: Rule = {
		from: [{ namespaces: ["test"] }, { principals: ["cluster.local/ns/shop/sa/web"] }],
		to: [
			{ methods: ["GET"], paths: ["/info*"] },
			{ methods: ["POST"], paths: ["/data"] },
		],
		when: [
			{ key: "request.headers[x-tier]", values: ["gold", "silver"] },
			{ key: "destination.port", values: ["8080"] },
		],
	};
	const good = { path: "/info/1", headers: { "x-tier": "silver" } };
	assert.ok(allows(rule, good));
	assert.ok(allows(rule, { ...good, method: "POST", path: "/data" }));
	assert.ok(allows(rule, { ...good, principal: "spiffe://cluster.local/ns/test/sa/x", namespace: "test" }));
	for (const change of [
		{ method: "POST" },
		{ path: "/data" },
		{ principal: "spiffe://cluster.local/ns/shop/sa/other" },
		{ headers: { "x-tier": "bronze" } },
		{ headers: {} },
		{ port: 9090 },
	]) {
		assert.ok(!allows(rule, { ...good, ...change }), JSON.stringify(change));
	}
});

test("values are exact, a prefix, a suffix, or present", () => {
	const SA = "cluster.local/ns/shop/sa/web";
	for (const [values, expected] of [
		[[SA], true],
		[[`spiffe://${SA}`], true],
		[["cluster.local/ns/shop/sa/we"], false],
		[["cluster.local/ns/shop/*"], true],
		[["cluster.local/ns/other/*"], false],
		[["*/sa/web"], true],
		[["*/sa/we"], false],
		[["*"], true],
		[["nobody", "*/sa/web"], true],
		[["CLUSTER.LOCAL/ns/shop/sa/web"], false],
	] as const) {
		assert.equal(allows({ from: [{ principals: values }] }), expected, values.join());
		assert.equal(allows({ from: [{ notPrincipals: values }] }), !expected, `not ${values.join()}`);
		assert.equal(allows({ when: [{ key: "source.principal", values }] }), expected, values.join());
		assert.equal(allows({ from: [{ principals: values }] }, { principal: SA }), expected, "without the scheme");
	}
});

test("a peer that is not verified has no principal and no namespace, so that only not-lists match it", () => {
	const plain = { principal: "", namespace: "shop" };
	for (const values of [["*"], ["cluster.local/*"], ["*/web"], [""]]) {
		assert.ok(!allows({ from: [{ principals: values }] }, plain), values.join());
		assert.ok(allows({ from: [{ notPrincipals: values }] }, plain));
	}
	for (const values of [["*"], ["shop"], ["sh*"]]) {
		assert.ok(!allows({ from: [{ namespaces: values }] }, plain));
		assert.ok(allows({ from: [{ notNamespaces: values }] }, plain));
		assert.ok(!allows({ when: [{ key: "source.namespace", values }] }, plain));
	}
	// Istio's way to refuse plaintext.
	assert.ok(denies({ from: [{ notPrincipals: ["*"] }] }, plain));
	assert.ok(!denies({ from: [{ notPrincipals: ["*"] }] }));
});

test("a star may stand anywhere in a namespace", () => {
	for (const [value, namespace, expected] of [
		["team-*-prod", "team-a-prod", true],
		["team-*-prod", "team-a-test", false],
		["*-prod", "a-prod", true],
		["team-*", "team-a", true],
		["a.c", "abc", false],
		["a*.c", "axbc", false],
	] as const) {
		assert.equal(allows({ from: [{ namespaces: [value] }] }, { namespace }), expected, `${namespace} by ${value}`);
	}
});

test("addresses are matched by block, mapped ones as IPv4, and what is none never", () => {
	for (const [ipBlocks, sourceIp, expected] of [
		[["10.0.0.0/8"], "10.1.1.1", true],
		[["10.0.0.0/8"], "::ffff:10.1.1.1", true],
		[["1.2.3.4", "fd00::/8"], "fd12::1", true],
		[["1.2.3.4"], "1.2.3.5", false],
		[["0.0.0.0/0", "::/0"], "", false],
	] as const) {
		assert.equal(allows({ from: [{ ipBlocks }] }, { sourceIp }), expected);
		assert.equal(allows({ from: [{ notIpBlocks: ipBlocks }] }, { sourceIp }), !expected);
		assert.equal(allows({ when: [{ key: "source.ip", values: ipBlocks }] }, { sourceIp }), expected);
		assert.equal(allows({ when: [{ key: "destination.ip", values: ipBlocks }] }, { destinationIp: sourceIp }), expected);
	}
});

test("hosts match without regard to case, with or without the port", () => {
	for (const [hosts, host, expected] of [
		[["Shop.Example"], "shop.example", true],
		[["shop.example"], "SHOP.example", true],
		[["*.example"], "shop.EXAMPLE", true],
		[["shop.*"], "Shop.example", true],
		[["shop.example:8080"], "Shop.example", true],
		[["shop.example:*"], "shop.example", true],
		[["shop.example:9090"], "shop.example", false],
		[["other"], "shop.example", false],
	] as const) {
		assert.equal(allows({ to: [{ hosts }] }, { host }), expected, `${host} by ${hosts.join()}`);
		assert.equal(allows({ to: [{ notHosts: hosts }] }, { host }), !expected);
	}
});

test("ports and methods match exactly", () => {
	assert.ok(allows({ to: [{ ports: ["80", "8080"] }] }));
	assert.ok(!allows({ to: [{ ports: ["80"] }] }));
	assert.ok(!allows({ to: [{ notPorts: ["8080"] }] }));
	assert.ok(allows({ to: [{ methods: ["POST", "GET"] }] }));
	assert.ok(!allows({ to: [{ methods: ["get"] }] }));
	assert.ok(!allows({ to: [{ notMethods: ["GET"] }] }));
});

test("paths are exact, prefix, suffix, present, or templates", () => {
	for (const [paths, path, expected] of [
		[["/orders"], "/orders", true],
		[["/orders"], "/orders/", false],
		[["/orders"], "/orders?x=1", true],
		[["/orders*"], "/orders/1", true],
		[["*.json"], "/a/b.json", true],
		[["*"], "/", true],
		[["/a/{*}"], "/a/b", true],
		[["/a/{*}"], "/a/b/c", false],
		[["/a/{*}"], "/a/", false],
		[["/a/{*}/c"], "/a/b/c", true],
		[["/a/{**}"], "/a/b/c", true],
		[["/a/{**}"], "/a/", true],
		[["/a/{**}"], "/b/a/c", false],
		[["/{*}/x/{**}"], "/a/x/b/c", true],
		[["/a/{**}/c"], "/a/b/d/c", true],
		[["/{*}.v1/*"], "/x.v1/y", true],
		[["/{*}.v1/*"], "/xzv1/y", false],
		[["{**}"], "/any/path", true],
		[["{**}"], "", false],
	] as const) {
		assert.equal(allows({ to: [{ paths }] }, { path }), expected, `${path} by ${paths.join()}`);
		assert.equal(allows({ to: [{ notPaths: paths }] }, { path }), !expected, `${path} by not ${paths.join()}`);
	}
});

test("another spelling of a path does not slip through", () => {
	const rule: Rule = { to: [{ paths: ["/admin", "/admin/*"] }] };
	for (const path of [
		"/admin",
		"/admin/",
		"/public/../admin",
		"/public/%2e%2e/admin",
		"/public/%2E./admin",
		"/public\\..\\admin",
		"/./admin",
		"/public/..;/admin",
		"/public/%2e%2e;x/admin",
		"/%61dmin",
		"/%61%64%6D%69%6E/x",
		"/admin?x=/public",
		"/admin#x",
		"\\admin",
		"/../../admin/x/..",
	]) {
		assert.ok(denies(rule, { path }), path);
		assert.ok(!allows({ to: [{ paths: ["/public*"] }] }, { path }), path);
	}
	assert.ok(!denies(rule, { path: "/public/admin" }));
});

test("a path with an encoded NUL is refused wherever a policy is asked", () => {
	assert.ok(!allows({}, { path: "/a%00b" }));
	assert.ok(denies({ to: [{ paths: ["/other"] }] }, { path: "/a%00b" }));
	assert.equal(authorize(configOf({}), requestOf({ path: "/a%00b" })).decision, "");
});

test("conditions on headers, SNI and JWTs", () => {
	const headers = { "x-user": "jason", "x-empty": "" };
	for (const [key, values, expected] of [
		["request.headers[X-User]", ["jason"], true],
		["request.headers[x-user]", ["ja*"], true],
		["request.headers[x-user]", ["*"], true],
		["request.headers[x-user]", ["Jason"], false],
		["request.headers[x-none]", ["*"], false],
		["connection.sni", ["*.example"], true],
		["connection.sni", ["other"], false],
		// JWTs are not verified here, so they say nothing.
		["request.auth.principal", ["*"], false],
		["request.auth.claims[iss]", ["*"], false],
	] as const) {
		const request = { headers, sni: "shop.example" };
		assert.equal(allows({ when: [{ key, values }] }, request), expected, `${key} ${values.join()}`);
		assert.equal(allows({ when: [{ key, notValues: values }] }, request), !expected, `${key} not ${values.join()}`);
	}
});

test("a value that is not understood allows nothing, and a DENY rule leaves it out", () => {
	for (const list of ["ipBlocks", "notIpBlocks"] as const) {
		assert.ok(!allows({ from: [{ [list]: ["10.0.0.0/8", "10.0.0.0/99"] }] }, { sourceIp: "10.1.1.1" }));
		assert.ok(denies({ from: [{ [list]: ["nonsense"] }] }));
	}
	assert.ok(denies({ from: [{ ipBlocks: ["nonsense", "10.0.0.0/8"] }] }, { sourceIp: "10.1.1.1" }));
	assert.ok(!denies({ from: [{ ipBlocks: ["nonsense", "10.0.0.0/8"] }] }, { sourceIp: "11.1.1.1" }));
	assert.ok(!allows({ to: [{ notPorts: ["http"] }] }));
	assert.ok(denies({ to: [{ notPorts: ["http"] }] }));
});

test("a condition that nobody knows allows nothing and denies all", () => {
	for (const list of ["values", "notValues"] as const) {
		const rule: Rule = { when: [{ key: "experimental.envoy.filters.a[b]", [list]: ["x"] }] };
		assert.ok(!allows(rule), list);
		assert.ok(denies(rule), list);
	}
});

/** Istio: Authorization for TCP traffic. */
test("for TCP an ALLOW rule with attributes of HTTP never matches, and DENY leaves them out", () => {
	for (const http of [
		{ to: [{ methods: ["GET"] }] },
		{ to: [{ notMethods: ["GET"] }] },
		{ to: [{ paths: ["/a"] }] },
		{ to: [{ notPaths: ["/a"] }] },
		{ to: [{ hosts: ["x"] }] },
		{ to: [{ notHosts: ["x"] }] },
		{ when: [{ key: "request.headers[a]", values: ["b"] }] },
		{ when: [{ key: "request.auth.principal", notValues: ["b"] }] },
		{ to: [{ methods: ["GET"] }, { ports: ["8080"] }] },
	] satisfies readonly Rule[]) {
		assert.ok(!allows(http, TCP), JSON.stringify(http));
		assert.ok(denies(http, TCP), JSON.stringify(http));
	}
	const both: Rule = { to: [{ ports: ["9000"], methods: ["GET"] }] };
	assert.ok(denies(both, { ...TCP, port: 9000 }));
	assert.ok(!denies(both, { ...TCP, port: 9001 }));
	const web: Rule = {
		from: [{ principals: ["*/sa/web"] }],
		to: [{ ports: ["8080"] }],
		when: [{ key: "connection.sni", notValues: ["x"] }],
	};
	assert.ok(allows(web, TCP));
	assert.ok(!allows(web, { ...TCP, principal: "" }));
});

test("an empty list of conditions' values asks nothing", () => {
	assert.ok(allows({ when: [{ key: "source.ip" }] }, { sourceIp: "" }));
});

const anyValue = fc.constantFrom("*", "a", "a*", "*a", "cluster.local/ns/a/sa/a", "/a", "/a/{*}", "8080", "10.0.0.0/8");
const anyList = fc.array(anyValue, { maxLength: 2 });
const anyRule: fc.Arbitrary<AuthorizationRule> = fc.record({
	policy: fc.constantFrom("p/1", "p/2"),
	from: fc.array(
		fc.record({
			principals: anyList,
			notPrincipals: anyList,
			namespaces: anyList,
			notNamespaces: anyList,
			ipBlocks: anyList,
			notIpBlocks: anyList,
		}),
		{ maxLength: 2 },
	),
	to: fc.array(
		fc.record({
			hosts: anyList,
			notHosts: anyList,
			ports: anyList,
			notPorts: anyList,
			methods: anyList,
			notMethods: anyList,
			paths: anyList,
			notPaths: anyList,
		}),
		{ maxLength: 2 },
	),
	when: fc.array(
		fc.record({
			key: fc.constantFrom("source.ip", "request.headers[a]", "connection.sni", "unknown"),
			values: anyList,
			notValues: anyList,
		}),
		{ maxLength: 2 },
	),
});
const anyRequest = fc
	.record({
		principal: fc.constantFrom("", "spiffe://cluster.local/ns/a/sa/a", "a"),
		namespace: fc.constantFrom("a", "b"),
		sourceIp: fc.constantFrom("10.0.0.1", "::1"),
		host: fc.constantFrom("a", "b"),
		port: fc.constantFrom(8080, 1),
		method: fc.constantFrom("", "GET", "a"),
		path: fc.constantFrom("/a", "/a/b", "/%61", "/b/../a", "/%00"),
	})
	.map((parts) => requestOf({ ...parts, headers: { a: "a" }, sni: "a" }));
const anyRules = fc.array(anyRule, { maxLength: 3 });

test("one more DENY rule never allows, one more ALLOW rule never denies, and AUDIT rules change no verdict", () => {
	fc.assert(
		fc.property(
			anyRules,
			anyRules,
			anyRules,
			anyRule,
			anyRequest,
			fc.boolean(),
			(deny, allow, audit, more, request, hasAllowPolicy) => {
				const config: AuthorizationConfig = { deny, allow, audit, hasAllowPolicy: hasAllowPolicy || allow.length > 0 };
				const before = createAuthorizer(config)(request);
				const isDenied = before.decision === "deny";
				if (isDenied) {
					for (const next of [
						[more, ...deny],
						[...deny, more],
					]) {
						assert.equal(createAuthorizer({ ...config, deny: next })(request).decision, "deny");
					}
				} else if (config.hasAllowPolicy) {
					assert.notEqual(createAuthorizer({ ...config, allow: [...allow, more] })(request).decision, "deny");
				}
				for (const next of [[], [more]]) {
					const other = createAuthorizer({ ...config, audit: next })(request);
					assert.equal(other.decision === "deny", isDenied);
				}
			},
		),
		{ numRuns: 2_000 },
	);
});

test("a configuration is compiled once and answers as a compiled one does", () => {
	fc.assert(
		fc.property(anyRules, anyRules, fc.array(anyRequest, { minLength: 1, maxLength: 5 }), (deny, allow, requests) => {
			const config: AuthorizationConfig = { deny, allow, audit: [], hasAllowPolicy: allow.length > 0 };
			const authorizer = createAuthorizer(config);
			for (const request of requests) assert.deepEqual(authorize(config, request), authorizer(request));
		}),
	);
});
