/**
 * Authorisation against a real Envoy: random rules become RBAC filters as Istio's control plane writes them
 * (pilot/pkg/security/authz/model), and the same random requests are asked of both. The client shows no certificate, so that
 * principals and namespaces never match and their not-lists always do.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { AuthorizationConfig, AuthorizationRule } from "../../model/mesh/proxy-config.ts";
import { createAuthorizer } from "../../proxy-shim/authz/authorize.ts";
import { addressOf, ask, listenerOf } from "./envoy/decisions.ts";
import { type EnvoyProcess, freePorts, runEnvoy } from "./envoy/run.ts";
import { skipUnless } from "./fetch/cache.ts";
import { fetchEnvoy } from "./fetch/python.ts";

/** Each a virtual host of its own, told apart by the host's first label. */
const CONFIGS = 60;
const RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3";

function listOf(...values: readonly string[]): fc.Arbitrary<readonly string[]> {
	return fc.oneof(
		{ weight: 2, arbitrary: fc.constant([]) },
		{ weight: 1, arbitrary: fc.subarray([...values], { minLength: 1, maxLength: Math.min(2, values.length) }) },
	);
}

const anyPaths = listOf("/a", "/a*", "*/b", "*", "/a/{*}", "/{*}/b/{**}");
const anyMethods = listOf("GET", "POST", "P*");
const anyBlocks = listOf("127.0.0.0/8", "10.0.0.0/8", "127.0.0.1", "::/0");
const anyPrincipals = listOf("*", "cluster.local/ns/a/*");
const anyRule: fc.Arbitrary<AuthorizationRule> = fc.record({
	policy: fc.constant("ns/p"),
	from: fc.array(
		fc.record({
			principals: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: anyPrincipals }),
			notPrincipals: anyPrincipals,
			namespaces: fc.constant([]),
			notNamespaces: listOf("a", "*"),
			ipBlocks: anyBlocks,
			notIpBlocks: listOf("10.0.0.0/8", "127.0.0.2"),
		}),
		{ maxLength: 2 },
	),
	to: fc.array(
		fc.record({
			hosts: listOf("*.Example", "x.*", "other"),
			notHosts: listOf("other", "*.test"),
			ports: fc.constant([]),
			notPorts: listOf("1"),
			methods: anyMethods,
			notMethods: listOf("DELETE", "POST"),
			paths: anyPaths,
			notPaths: listOf("/c", "*/x"),
		}),
		{ maxLength: 2 },
	),
	when: fc.array(
		fc.record({
			key: fc.constant("request.headers[x-user]"),
			values: listOf("jason", "ja*", "*"),
			notValues: listOf("tom", "*m"),
		}),
		{ maxLength: 1 },
	),
});

const configs: readonly AuthorizationConfig[] = fc
	.sample(fc.record({ deny: fc.array(anyRule, { maxLength: 1 }), allow: fc.array(anyRule, { maxLength: 3 }) }), {
		numRuns: CONFIGS,
		seed: 11,
	})
	.map(({ deny, allow }) => ({ deny, allow, audit: [], hasAllowPolicy: allow.length > 0 }));

const skip = await skipUnless(fetchEnvoy);
let folder: string;
let envoy: EnvoyProcess;
let port: number;

before(async () => {
	if (skip !== false) return;
	folder = await mkdtemp(path.join(tmpdir(), "meshscope-envoy-rbac-"));
	[port] = (await freePorts(1)) as [number];
	const virtualHosts = configs.map((config, index) => ({
		name: `c${index}`,
		domains: ["example", "test"].map((suffix) => `c${index}.x.${suffix}`).concat(`x.c${index}.example`),
		routes: [
			{
				match: { prefix: "/" },
				direct_response: { status: 200 },
				typed_per_filter_config: {
					deny: perRoute("DENY", config.deny),
					...(config.hasAllowPolicy ? { allow: perRoute("ALLOW", config.allow) } : {}),
				},
			},
		],
	}));
	const filters = ["deny", "allow"].map((name) => ({ name, typed_config: { "@type": `${RBAC}.RBAC` } }));
	const listener = listenerOf("rbac", port, { normalize_path: true }, virtualHosts, filters);
	const bootstrap = { admin: { address: addressOf(0) }, static_resources: { listeners: [listener] } };
	envoy = await runEnvoy(await fetchEnvoy(), folder, "bootstrap.json", JSON.stringify(bootstrap));
});

after(async () => {
	if (skip !== false) return;
	await envoy?.stop();
	await rm(folder, { recursive: true, force: true });
});

test("the shim authorises what an Envoy configured by Istio's rules does", { skip }, async () => {
	const authorizers = configs.map((config) => createAuthorizer(config));
	const seen = { deny: 0, allow: 0 };
	await fc.assert(
		fc.asyncProperty(
			fc.record({
				index: fc.nat(CONFIGS - 1),
				host: fc.constantFrom("c.x.example", "C.X.EXAMPLE", "c.x.test", "x.c.example"),
				method: fc.constantFrom("GET", "POST", "PUT", "DELETE"),
				target: fc.constantFrom("/a", "/a/b", "/a/b/c/x", "/a?x=1", "/c", "/c/../a", "/%61", "/b/b", "/"),
				user: fc.constantFrom(undefined, "jason", "jack", "tom", "jam"),
			}),
			async ({ index, host: pattern, method, target, user }) => {
				const host = pattern.replace(/c\./i, (label) => label.replace(".", `${index}.`));
				const headers = user === undefined ? {} : { "x-user": user };
				const { status } = await ask(port, { host, method, target, headers });
				const { decision } = authorizers[index]!({
					principal: "",
					namespace: "",
					sourceIp: "127.0.0.1",
					host,
					port,
					method,
					path: target,
					header: (name) => (name === "x-user" ? user : undefined),
					sni: "",
					destinationIp: "127.0.0.1",
				});
				const isDenied = decision === "deny";
				assert.equal(
					isDenied ? 403 : 200,
					status,
					`${JSON.stringify(configs[index])}\n${method} ${host} ${target} ${user}`,
				);
				seen[isDenied ? "deny" : "allow"]++;
			},
		),
		{ numRuns: 1_500 },
	);
	assert.ok(seen.deny > 200 && seen.allow > 200, JSON.stringify(seen));
});

function perRoute(action: "ALLOW" | "DENY", rules: readonly AuthorizationRule[]): object {
	const policies = Object.fromEntries(rules.map((rule, index) => [`p${index}`, policyOf(rule)]));
	return { "@type": `${RBAC}.RBACPerRoute`, rbac: { rules: { action, policies } } };
}

function policyOf({ from, to, when }: AuthorizationRule): object {
	const conditions = when.flatMap(({ values, notValues }) => {
		const headerOf = (value: string): object => ({ header: stringHeader("x-user", value, false) });
		return both(values, notValues, headerOf, "ids", "not_id");
	});
	const principals = (from.length === 0 ? [undefined] : from).map((source) => {
		const ids = [...conditions];
		if (source !== undefined) {
			ids.push(
				...both(source.ipBlocks, source.notIpBlocks, (value) => ({ direct_remote_ip: cidrOf(value) }), "ids", "not_id"),
				...both(
					[],
					source.notNamespaces,
					(value) => authenticated(regexOf(`.*/ns/${value.replaceAll("*", ".*")}/.*`)),
					"ids",
					"not_id",
				),
				...both(
					source.principals,
					source.notPrincipals,
					(value) => authenticated(stringOf(value, "spiffe://")),
					"ids",
					"not_id",
				),
			);
		}
		return ids.length === 0 ? { any: true } : { and_ids: { ids } };
	});
	const permissions = (to.length === 0 ? [undefined] : to).map((operation) => {
		if (operation === undefined) return { any: true };
		const rules = [
			...both([], operation.notPorts, (value) => ({ destination_port: Number(value) }), "rules", "not_rule"),
			...both(operation.paths, operation.notPaths, pathOf, "rules", "not_rule"),
			...both(
				operation.methods,
				operation.notMethods,
				(value) => ({ header: stringHeader(":method", value, false) }),
				"rules",
				"not_rule",
			),
			...both(
				operation.hosts,
				operation.notHosts,
				(value) => ({ header: stringHeader(":authority", value, true) }),
				"rules",
				"not_rule",
			),
		];
		return rules.length === 0 ? { any: true } : { and_rules: { rules } };
	});
	return { permissions, principals };
}

/** Values are ORed; not-values are the opposite of their OR. */
function both(
	values: readonly string[],
	notValues: readonly string[],
	one: (value: string) => object,
	listName: "ids" | "rules",
	notName: "not_id" | "not_rule",
): readonly object[] {
	const or = (all: readonly string[]): object => ({ [`or_${listName}`]: { [listName]: all.map(one) } });
	return [...(values.length > 0 ? [or(values)] : []), ...(notValues.length > 0 ? [{ [notName]: or(notValues) }] : [])];
}

function stringOf(value: string, start = ""): object {
	if (value === "*") return regexOf(".+");
	if (value.startsWith("*")) return { suffix: value.slice(1) };
	if (value.endsWith("*")) return { prefix: start + value.slice(0, -1) };
	return { exact: start + value };
}

function regexOf(regex: string): object {
	return { safe_regex: { regex } };
}

function stringHeader(name: string, value: string, ignoreCase: boolean): object {
	if (value === "*") return { name, present_match: true };
	return { name, string_match: { ...stringOf(value), ignore_case: ignoreCase } };
}

function authenticated(principalName: object): object {
	return { authenticated: { principal_name: principalName } };
}

function cidrOf(value: string): object {
	const [address_prefix, length] = value.split("/");
	return { address_prefix, prefix_len: length === undefined ? 32 : Number(length) };
}

function pathOf(value: string): object {
	if (!value.includes("{")) return { url_path: { path: stringOf(value) } };
	return {
		uri_template: {
			name: "uri-template",
			typed_config: {
				"@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
				path_template: value.replaceAll("{*}", "*").replaceAll("{**}", "**"),
			},
		},
	};
}
