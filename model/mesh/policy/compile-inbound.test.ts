import assert from "node:assert/strict";
import { test } from "node:test";
import type { InboundConfig } from "../proxy-config.ts";
import { document, proxyFor } from "../../../test/mesh/canned-mesh.ts";

function peer(name: string, spec: string, namespace = "default"): string {
	return document("PeerAuthentication", name, spec, namespace);
}

function mtls(...texts: string[]): InboundConfig["mtls"] {
	return proxyFor(texts.join("")).config.inbound.mtls;
}

const OURS = "selector: {matchLabels: {app: productpage}}";

test("mTLS is permissive until somebody says otherwise", () => {
	assert.deepEqual(mtls(), { mode: "permissive", byPort: new Map(), policy: "" });
});

test("the workload's word counts before its namespace's, and that before the mesh's", () => {
	const mesh = peer("mesh", "{mtls: {mode: STRICT}}", "istio-system");
	const namespace = peer("namespace", "{mtls: {mode: PERMISSIVE}}");
	const workload = peer("workload", `{${OURS}, mtls: {mode: DISABLE}}`);
	assert.deepEqual([mtls(mesh).mode, mtls(mesh).policy], ["strict", "istio-system/mesh"]);
	assert.deepEqual([mtls(mesh, namespace).mode, mtls(mesh, namespace).policy], ["permissive", "default/namespace"]);
	assert.deepEqual(
		[mtls(mesh, namespace, workload).mode, mtls(workload, namespace, mesh).policy],
		["disable", "default/workload"],
	);
});

test("policies of other namespaces and other workloads do not count", () => {
	assert.equal(mtls(peer("a", "{mtls: {mode: STRICT}}", "shop")).mode, "permissive");
	assert.equal(mtls(peer("a", "{selector: {matchLabels: {app: details}}, mtls: {mode: STRICT}}")).mode, "permissive");
	assert.equal(
		mtls(peer("a", "{selector: {matchLabels: {app: productpage, version: v2}}, mtls: {mode: STRICT}}")).mode,
		"permissive",
	);
});

test("a selector in the root namespace selects nothing, as in Istio", () => {
	const text = peer("a", `{${OURS}, mtls: {mode: STRICT}}`, "istio-system");
	assert.equal(mtls(text).mode, "permissive");
	assert.equal(proxyFor(text, { namespace: "istio-system" }).config.inbound.mtls.mode, "permissive");
	assert.deepEqual(proxyFor(text).warnings, [
		"PeerAuthentication istio-system/a: spec.selector: in the root namespace istio-system a selector selects nothing: put the policy into the workload's namespace",
	]);
});

test("UNSET and no mode ask the next wider policy", () => {
	const mesh = peer("mesh", "{mtls: {mode: STRICT}}", "istio-system");
	for (const unset of ["{mtls: {mode: UNSET}}", "{mtls: {}}", "{}"]) {
		assert.deepEqual(mtls(mesh, peer("namespace", unset)), {
			mode: "strict",
			byPort: new Map(),
			policy: "istio-system/mesh",
		});
	}
	assert.equal(mtls(peer("namespace", "{}")).mode, "permissive");
});

test("a port has a mode of its own, or with UNSET the workload's", () => {
	const ports = peer("workload", `{${OURS}, portLevelMtls: {8080: {mode: DISABLE}, 8081: {mode: UNSET}}}`);
	const expected = new Map([
		[8080, "disable"],
		[8081, "strict"],
	]);
	assert.deepEqual(mtls(ports, peer("mesh", "{mtls: {mode: STRICT}}", "istio-system")), {
		mode: "strict",
		byPort: expected,
		policy: "istio-system/mesh",
	});
	assert.equal(mtls(ports).policy, "default/workload");
});

test("of two policies of one level the first in the file counts, and that is told", () => {
	const { config, warnings } = proxyFor(peer("a", "{mtls: {mode: STRICT}}") + peer("b", "{mtls: {mode: DISABLE}}"));
	assert.equal(config.inbound.mtls.mode, "strict");
	assert.deepEqual(warnings, [
		"PeerAuthentication default/b: PeerAuthentication default/a is for the same workloads and stands before it: the first one counts",
	]);
});

// ---- authorisation

function authorize(name: string, spec: string, namespace = "default"): string {
	return document("AuthorizationPolicy", name, spec, namespace);
}

function authorization(text: string, namespace = "default"): InboundConfig["authorization"] {
	return proxyFor(text, { namespace }).config.inbound.authorization;
}

const NOTHING: InboundConfig["authorization"] = { deny: [], allow: [], audit: [], hasAllowPolicy: false };
const ANY_SOURCE = { principals: [], notPrincipals: [], namespaces: [], notNamespaces: [], ipBlocks: [], notIpBlocks: [] };
const ANY_OPERATION = { hosts: [], notHosts: [], ports: [], notPorts: [], methods: [], notMethods: [], paths: [], notPaths: [] };

test("without a policy everything is allowed, and an empty ALLOW policy allows nothing", () => {
	assert.deepEqual(authorization(""), NOTHING);
	assert.deepEqual(authorization(authorize("allow-nothing", "{}")), { ...NOTHING, hasAllowPolicy: true });
	assert.deepEqual(authorization(authorize("allow-all", "{rules: [{}]}")), {
		...NOTHING,
		hasAllowPolicy: true,
		allow: [{ policy: "default/allow-all", from: [], to: [], when: [] }],
	});
});

test("reads are allowed to one principal", () => {
	const text = authorize(
		"viewer",
		`
  ${OURS}
  action: ALLOW
  rules:
    - from: [{source: {principals: [cluster.local/ns/default/sa/web], notNamespaces: [dev]}}]
      to: [{operation: {methods: [GET], paths: ["/info*"], hosts: [Reviews.Example.com]}}]
      when: [{key: "request.headers[X-Token]", values: [admin]}, {key: source.ip, notValues: [10.0.0.1]}]`,
	);
	assert.deepEqual(authorization(text), {
		...NOTHING,
		hasAllowPolicy: true,
		allow: [
			{
				policy: "default/viewer",
				from: [{ ...ANY_SOURCE, principals: ["cluster.local/ns/default/sa/web"], notNamespaces: ["dev"] }],
				to: [{ ...ANY_OPERATION, methods: ["GET"], paths: ["/info*"], hosts: ["reviews.example.com"] }],
				when: [
					{ key: "request.headers[x-token]", values: ["admin"], notValues: [] },
					{ key: "source.ip", values: [], notValues: ["10.0.0.1"] },
				],
			},
		],
	});
	assert.deepEqual(authorization(text.replace("productpage", "details")), NOTHING);
});

test("actions are kept apart, in the order of the file", () => {
	const { deny, allow, audit, hasAllowPolicy } = authorization(
		authorize("d1", "{action: DENY, rules: [{to: [{operation: {ports: ['80'], notPaths: [/a]}}]}]}") +
			authorize("a1", "{action: AUDIT, rules: [{}]}") +
			authorize("d2", "{action: DENY, rules: [{}, {}]}"),
	);
	assert.deepEqual(
		[deny, allow, audit].map((rules) => rules.map(({ policy }) => policy)),
		[["default/d1", "default/d2", "default/d2"], [], ["default/a1"]],
	);
	assert.deepEqual(deny[0]!.to, [{ ...ANY_OPERATION, ports: ["80"], notPaths: ["/a"] }]);
	assert.equal(hasAllowPolicy, false);
});

test("policies of the root namespace are for every namespace, others for their own", () => {
	const all =
		authorize("mesh", "{rules: [{}]}", "istio-system") +
		authorize("shop", "{rules: [{}]}", "shop") +
		authorize("picked", `{${OURS}, rules: [{}]}`, "istio-system");
	const names = (namespace: string): readonly string[] => authorization(all, namespace).allow.map(({ policy }) => policy);
	assert.deepEqual(names("default"), ["istio-system/mesh", "istio-system/picked"]);
	assert.deepEqual(names("shop"), ["istio-system/mesh", "shop/shop", "istio-system/picked"]);
});

test("a remote address is a condition of its source alone", () => {
	const { deny } = authorization(
		authorize(
			"remote",
			`
  action: DENY
  rules:
    - from:
        - source: {remoteIpBlocks: [10.0.0.0/8], notRemoteIpBlocks: [10.1.0.0/16], namespaces: [a]}
        - source: {namespaces: [b]}
      when: [{key: connection.sni, values: [x]}]`,
		),
	);
	const sni = { key: "connection.sni", values: ["x"], notValues: [] };
	assert.deepEqual(
		deny.map(({ from, when }) => [from.map(({ namespaces }) => namespaces), when]),
		[
			[[["a"]], [sni, { key: "remote.ip", values: ["10.0.0.0/8"], notValues: ["10.1.0.0/16"] }]],
			[[["b"]], [sni]],
		],
	);
});
