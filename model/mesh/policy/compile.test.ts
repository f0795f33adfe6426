import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { ProxyConfig } from "../proxy-config.ts";
import { proxyFor, SERVICES, WORKLOAD } from "../../../test/mesh/canned-mesh.ts";
import { compile } from "./compile.ts";
import { readMeshFile } from "./mesh-file.ts";

test("the minimal example is accepted and compiled", () => {
	const { config, warnings, virtualHost, cluster } = proxyFor(
		readFileSync(join(import.meta.dirname, "../../../examples/mesh-minimal.yaml"), "utf8"),
	);
	assert.deepEqual(warnings, []);
	assert.equal(config.version, "7");
	assert.deepEqual(config.inbound.mtls, { mode: "strict", byPort: new Map(), policy: "istio-system/default" });
	const { name, http } = virtualHost("reviews");
	assert.equal(name, "default/reviews");
	assert.deepEqual(
		http.map(
			({ action }) => action.kind === "forward" && action.destinations.map(({ cluster, weight }) => [cluster, weight]),
		),
		[
			[
				["reviews.default.svc.cluster.local|9080|v1", 90],
				["reviews.default.svc.cluster.local|9080|v2", 10],
			],
		],
	);
	assert.deepEqual(cluster("reviews.default.svc.cluster.local|9080|v2").labels, { version: "v2" });
});

test("hosts that nobody names pass through unless the caller of compile refuses them", () => {
	assert.equal(compile([], WORKLOAD, []).config.unknownHosts, "passthrough");
	assert.equal(compile([], WORKLOAD, [], { unknownHosts: "refuse" }).config.unknownHosts, "refuse");
	assert.equal(compile([], WORKLOAD, []).config.version, "");
});

test("a document with a fault is left out, and the others are compiled", () => {
	const rule = (name: string, policy: string): string =>
		`---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${name}}\nspec: {host: ${name}, trafficPolicy: ${policy}}\n`;
	const random = "{loadBalancer: {simple: RANDOM}}";
	const { documents } = readMeshFile(
		rule("reviews", random) + rule("ratings", "{loadBalancer: {simple: RANDOM, x: 1}}"),
		"mesh.yaml",
	);
	const { config, faults } = compile(documents, WORKLOAD, SERVICES);
	assert.deepEqual(
		faults.map(({ path }) => path),
		["DestinationRule default/ratings: spec.trafficPolicy.loadBalancer.x"],
	);
	const kindOf = (service: string): string =>
		config.clusters.get(`${service}.default.svc.cluster.local|9080|`)!.loadBalancer.kind;
	assert.deepEqual([kindOf("reviews"), kindOf("ratings")], ["random", "least_request"]);
});

// ---- laws

const host = fc.constantFrom(
	"reviews",
	"ratings",
	"reviews.default",
	"orders.shop.svc.cluster.local",
	"*.default.svc.cluster.local",
	"www.example.com",
	"*.example.com",
	"later",
);
const exact = fc.constantFrom("reviews", "ratings", "orders.shop", "orders.shop.svc.cluster.local", "www.example.com", "later");
const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined });
const destination = fc.record({
	host: exact,
	subset: maybe(fc.constantFrom("v1", "v2")),
	port: maybe(fc.record({ number: fc.constantFrom(80, 81, 9080) })),
});
const shares = fc.oneof(
	destination.map((one) => [{ destination: one }]),
	fc.tuple(destination, destination, fc.integer({ min: 0, max: 100 })).map(([a, b, weight]) => [
		{ destination: a, weight },
		{ destination: b, weight: 100 - weight },
	]),
);
const match = fc.record({
	uri: maybe(fc.constantFrom({ exact: "/a" }, { prefix: "/b" }, { regex: "/c[0-9]+" })),
	port: maybe(fc.constantFrom(80, 81, 9080)),
	sourceLabels: maybe(fc.constantFrom({ app: "productpage" }, { app: "details" })),
});
const http = fc.record({
	match: maybe(fc.array(match, { maxLength: 3 })),
	route: shares,
	mirror: maybe(destination),
	timeout: maybe(fc.constantFrom("0s", "1s")),
	meshscope: maybe(destination.map((one) => ({ fallback: { destination: one } }))),
});
const tcp = fc.record({
	match: maybe(fc.array(fc.record({ port: maybe(fc.constantFrom(80, 90)) }), { maxLength: 2 })),
	route: shares,
});
const virtualService = fc.record({
	hosts: host.map((one) => [one]),
	http: maybe(fc.array(http, { minLength: 1, maxLength: 3 })),
	tcp: fc.array(tcp, { minLength: 1, maxLength: 2 }),
	exportTo: maybe(fc.constantFrom(["."], ["*"], ["shop"])),
});
const policy = fc.record({
	loadBalancer: maybe(fc.constantFrom({ simple: "RANDOM" }, { consistentHash: { useSourceIp: true } })),
	outlierDetection: maybe(fc.record({ interval: maybe(fc.constant("1s")) })),
	portLevelSettings: maybe(fc.constant([{ port: { number: 81 }, tls: { mode: "DISABLE" } }])),
});
const destinationRule = fc.record({
	host,
	trafficPolicy: maybe(policy),
	subsets: fc.constant([
		{ name: "v1", labels: { version: "v1" } },
		{ name: "v2", labels: { version: "v2" } },
	]),
});
const serviceEntry = fc.record({
	hosts: host.map((one) => [one]),
	ports: fc.constantFrom(
		[{ number: 80, name: "http", protocol: "HTTP" }],
		[
			{ number: 90, name: "tcp" },
			{ number: 80, name: "http", protocol: "GRPC" },
		],
	),
	resolution: fc.constant("STATIC"),
	location: fc.constantFrom("MESH_INTERNAL", "MESH_EXTERNAL"),
	endpoints: fc.constant([{ address: "10.0.0.1", labels: { version: "v1" }, serviceAccount: "a" }]),
});
const anyDocument = fc
	.tuple(
		fc.oneof(
			virtualService.map((spec) => ["VirtualService", spec] as const),
			destinationRule.map((spec) => ["DestinationRule", spec] as const),
			serviceEntry.map((spec) => ["ServiceEntry", spec] as const),
		),
		fc.constantFrom("default", "shop", "istio-system"),
		fc.nat(1000),
	)
	.map(([[kind, spec], namespace, number]) => ({
		apiVersion: "networking.istio.io/v1",
		kind,
		metadata: { name: `n${number}`, namespace },
		spec,
	}));

function clustersNamed({ virtualHosts }: ProxyConfig): readonly string[] {
	return virtualHosts.flatMap(({ http, tcp }) => [
		...tcp.flatMap(({ destinations }) => destinations.map(({ cluster }) => cluster)),
		...http.flatMap(({ action, mirrors, fallback }) => [
			...(action.kind === "forward" ? action.destinations.map(({ cluster }) => cluster) : []),
			...mirrors.map(({ cluster }) => cluster),
			...(fallback?.kind === "destination" ? [fallback.cluster] : []),
		]),
	]);
}

test("what is accepted compiles: each cluster is there, shares are 100, each host has one place", () => {
	let accepted = 0;
	let routes = 0;
	fc.assert(
		fc.property(fc.array(anyDocument, { maxLength: 6 }), fc.constantFrom("default", "shop"), (values, namespace) => {
			// JSON is YAML.
			const file = readMeshFile(values.map((value) => `---\n${JSON.stringify(value)}\n`).join(""), "mesh.yaml");
			const { config, faults } = compile(file.documents, { ...WORKLOAD, namespace }, SERVICES);
			assert.deepEqual(
				faults.map(({ message }) => message).toSorted(),
				file.faults.map(({ message }) => message).toSorted(),
			);
			if (faults.length > 0) return;
			accepted++;
			for (const name of clustersNamed(config)) {
				assert.equal(config.clusters.get(name)?.name, name);
				routes++;
			}
			const hosts = config.virtualHosts.flatMap((one) => one.hosts);
			assert.equal(new Set(hosts).size, hosts.length);
			const isSuffix = config.virtualHosts.map((one) => one.hosts[0]!.startsWith("*"));
			assert.deepEqual(
				isSuffix,
				isSuffix.toSorted((a, b) => Number(a) - Number(b)),
			);
			for (const { http } of config.virtualHosts) {
				for (const { action, matches } of http) {
					if (action.kind === "forward")
						assert.equal(
							action.destinations.reduce((sum, { weight }) => sum + weight, 0),
							100,
						);
					for (const { path } of matches)
						assert.ok(path === undefined || ["/a", "/b", "/c[0-9]+"].includes(path.value));
				}
			}
		}),
		{ numRuns: 150 },
	);
	assert.ok(accepted > 20 && routes > 400, `only ${accepted} files were accepted, with ${routes} destinations`);
});

test("the documents of a snapshot give the same proxy as the file", () => {
	fc.assert(
		fc.property(fc.array(anyDocument, { maxLength: 4 }), (values) => {
			const { documents } = readMeshFile(values.map((value) => `---\n${JSON.stringify(value)}\n`).join(""), "mesh.yaml");
			const sent = JSON.parse(JSON.stringify(documents));
			assert.deepEqual(compile(sent, WORKLOAD, SERVICES).config, compile(documents, WORKLOAD, SERVICES).config);
		}),
		{ numRuns: 50 },
	);
});
