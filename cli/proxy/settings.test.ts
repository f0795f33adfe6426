import assert from "node:assert/strict";
import { test } from "node:test";
import { SettingsError } from "../settings.ts";
import { loadProxySettings } from "./settings.ts";
import type { ProxyRunSettings } from "./settings.ts";

const TOKEN = `msj1.${"a".repeat(16)}.${"b".repeat(64)}.${"c".repeat(64)}`;

function load(flags: Record<string, unknown>, env: Record<string, string> = {}): ProxyRunSettings {
	return loadProxySettings({ flags, leftover: [], env });
}

function faultsOf(flags: Record<string, unknown>, leftover: readonly string[] = []): readonly string[] {
	try {
		loadProxySettings({ flags, leftover, env: {} });
	} catch (error) {
		if (error instanceof SettingsError) return error.faults.map(({ at }) => at);
		throw error;
	}
	return [];
}

const LEAST = { service: "shop/orders", inbound: ["127.0.0.1:15006=127.0.0.1:8080"], mesh: "mesh.yaml" };

test("what is not said follows from the service's name", () => {
	const { workload, inbound, policy, sampling, drainMs, otlp, admin } = load(LEAST);
	assert.deepEqual(
		{ ...workload, instanceId: "" },
		{
			trustDomain: "cluster.local",
			namespace: "shop",
			service: "orders",
			workload: "orders-v1",
			version: "v1",
			serviceAccount: "orders",
			instanceId: "",
			labels: { app: "orders", version: "v1" },
		},
	);
	assert.match(workload.instanceId, /^orders-v1-.*-15006$/);
	assert.deepEqual(inbound, [
		{
			listen: { host: "127.0.0.1", port: 15006 },
			app: { host: "127.0.0.1", port: 8080 },
			servicePort: 8080,
			protocol: "http",
		},
	]);
	assert.deepEqual(policy, { kind: "files", path: "mesh.yaml" });
	assert.deepEqual(
		{ sampling, drainMs, otlp, admin },
		{ sampling: 1, drainMs: 9_000, otlp: { url: "http://127.0.0.1:4317", token: undefined }, admin: undefined },
	);
	assert.equal(load({ ...LEAST, otlp: "off" }).otlp, undefined);
});

test("an inbound names the service's port and its protocol, an address without host is every or the local one", () => {
	const { inbound } = load({ ...LEAST, inbound: [":15006=8080@80/grpc", "[::1]:15007=127.0.0.1:5432@5432/tcp"] });
	assert.deepEqual(inbound, [
		{ listen: { host: "::", port: 15006 }, app: { host: "127.0.0.1", port: 8080 }, servicePort: 80, protocol: "grpc" },
		{ listen: { host: "::1", port: 15007 }, app: { host: "127.0.0.1", port: 5432 }, servicePort: 5432, protocol: "tcp" },
	]);
});

test("with a control plane there is a place for state, and the token may come from the environment", () => {
	const flags = { service: "shop/web", outbound: "127.0.0.1:15001", control: "https://mesh:4340/", state: "/var/lib/x" };
	const { policy, outbound } = load(flags, { MESHSCOPE_JOIN_TOKEN: TOKEN });
	assert.deepEqual(outbound, { host: "127.0.0.1", port: 15001 });
	assert.deepEqual(policy, {
		kind: "control",
		address: { host: "mesh", port: 4340 },
		token: TOKEN,
		tokenFile: undefined,
		stateDirectory: "/var/lib/x",
	});
	assert.deepEqual(faultsOf({ ...flags, state: undefined }), ["--state"]);
	assert.deepEqual(faultsOf({ ...flags, token: "x" }), ["--token"]);
	assert.deepEqual(faultsOf({ ...flags, mesh: "mesh.yaml" }), ["--control"]);
	assert.deepEqual(faultsOf({ ...flags, "mtls-cert": "c", "mtls-key": "k", "mtls-ca": "a" }), ["--mtls-cert"]);
});

test("each flag has its fault, and all are told together", () => {
	const wrong: readonly (readonly [string, unknown])[] = [
		["service", "Shop/Orders"],
		["version", "a b"],
		["service-account", "A"],
		["trust-domain", "UPPER"],
		["label", ["nothing"]],
		["inbound", ["127.0.0.1:1=127.0.0.1:2@70000"]],
		["inbound", ["127.0.0.1:1=127.0.0.1:2@80/udp"]],
		["inbound", ["127.0.0.1:1=127.0.0.1:0"]],
		["upstream", ["127.0.0.1:1=orders"]],
		["outbound", "nowhere"],
		["admin", "x:y"],
		["otlp", "http://"],
		["sampling", "2"],
		["health", "status"],
		["drain-seconds", "-1"],
		["log-level", "loud"],
	];
	for (const [name, value] of wrong) {
		const faults = faultsOf({ ...LEAST, [name]: value });
		assert.ok(faults.length > 0 && faults.every((at) => at === `--${name}`), `${name}: ${faults.join(" ")}`);
	}
	const all = faultsOf(Object.fromEntries(wrong), ["--inbond=x"]);
	for (const [name] of wrong) assert.ok(all.includes(`--${name}`), name);
	assert.ok(all.includes("--inbond"));
	assert.ok(all.includes("--mesh"));
});

test("two listeners on one address, and nothing to listen on, are faults", () => {
	assert.deepEqual(faultsOf({ ...LEAST, outbound: "127.0.0.1:15006" }), ["--inbound"]);
	assert.deepEqual(faultsOf({ service: "shop/orders", mesh: "mesh.yaml" }), ["--inbound"]);
});
