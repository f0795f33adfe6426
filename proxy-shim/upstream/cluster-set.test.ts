import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterConfig, Endpoint } from "../../model/mesh/proxy-config.ts";
import { createClientTls } from "../tls/client.ts";
import { createClusterSet, passthroughConfig, plainEndpoint } from "./cluster-set.ts";
import { isRefusal } from "./cluster.ts";
import type { Attempt, Cluster } from "./cluster.ts";
import { followDns } from "./dns.ts";

function clusterSet() {
	const events = { event: (): void => {} };
	const nowMs = (): number => 0;
	return createClusterSet({
		random: () => 0,
		nowMs,
		events,
		tier: "correct",
		clientTlsFor: (cluster) => createClientTls(undefined, { cluster, nowMs, events }),
	});
}

function orders(overrides: Partial<ClusterConfig> = {}): ClusterConfig {
	return {
		...passthroughConfig("orders", 80, "http1"),
		name: "orders|80|",
		namespace: "shop",
		service: "orders",
		discovery: { kind: "registry" },
		...overrides,
	};
}

function endpoint(id: string, version = "v1", overrides: Partial<Endpoint> = {}): Endpoint {
	return { ...plainEndpoint("127.0.0.1", 80), id, labels: { version }, ...overrides };
}

function registered(endpoints: readonly Endpoint[]) {
	return [{ namespace: "shop", service: "orders", ports: [{ servicePort: 80, protocol: "http" as const, endpoints }] }];
}

const idsOf = (cluster: Cluster | undefined): readonly string[] => cluster!.hosts.map((host) => host.endpoint.id);

function begin(cluster: Cluster): Attempt {
	const attempt = cluster.begin({ hash: 0, tried: new Set() });
	assert.ok(!isRefusal(attempt));
	return attempt;
}

test("a cluster of the registry has the endpoints of its service and port that bear its labels", () => {
	const set = clusterSet();
	const v2 = orders({ name: "orders|80|v2", subset: "v2", labels: { version: "v2" } });
	set.setConfig({ clusters: new Map([orders(), v2].map((config) => [config.name, config])) });
	set.setRegistry(registered([endpoint("a"), endpoint("b", "v2")]), true);
	assert.deepEqual(idsOf(set.get("orders|80|")), ["a", "b"]);
	assert.deepEqual(idsOf(set.get("orders|80|v2")), ["b"]);
	set.setRegistry([], true);
	assert.deepEqual(idsOf(set.get("orders|80|")), []);
	set.close();
});

test("a cluster that stays the same is the same; one that changes keeps its hosts and what is known of them", () => {
	const set = clusterSet();
	set.setConfig({ clusters: new Map([["orders|80|", orders()]]) });
	set.setRegistry(registered([endpoint("a")]), true);
	const before = set.get("orders|80|")!;
	const attempt = begin(before);
	set.setConfig({ clusters: new Map([["orders|80|", orders()]]) });
	assert.equal(set.get("orders|80|"), before);
	set.setConfig({ clusters: new Map([["orders|80|", orders({ loadBalancer: { kind: "least_request" } })]]) });
	const after = set.get("orders|80|")!;
	assert.notEqual(after, before);
	assert.equal(after.hosts[0], before.hosts[0]);
	assert.equal(after.hosts[0]!.activeRequests, 1);
	attempt.end({ kind: "response", status: 200, grpcStatus: undefined });
	assert.equal(after.hosts[0]!.activeRequests, 0);
	set.close();
});

test("a host that is ill is not asked, and one that is gone is forgotten", () => {
	const set = clusterSet();
	set.setConfig({ clusters: new Map([["orders|80|", orders()]]) });
	set.setRegistry(registered([endpoint("ill", "v1", { healthy: false }), endpoint("well")]), true);
	const cluster = set.get("orders|80|")!;
	for (let i = 0; i < 4; i++) assert.equal(begin(cluster).host.endpoint.id, "well");
	set.setRegistry(registered([endpoint("ill", "v1", { healthy: false })]), true);
	assert.deepEqual(cluster.begin({ hash: 0, tried: new Set() }), { flag: "UH", reason: "no_healthy_host" });
	set.close();
});

test("an attempt that says nothing of its host gives its places back and leaves no mark", () => {
	const set = clusterSet();
	const limits = { ...orders().limits, maxRequests: 1 };
	set.setConfig({ clusters: new Map([["orders|80|", orders({ limits })]]) });
	set.setRegistry(registered([endpoint("a")]), true);
	const cluster = set.get("orders|80|")!;
	const attempt = begin(cluster);
	assert.deepEqual(cluster.begin({ hash: 0, tried: new Set() }), { flag: "UO", reason: "max_requests" });
	attempt.end(undefined);
	attempt.end(undefined);
	assert.equal(cluster.limits.requests.active, 0);
	begin(cluster);
	set.close();
});

test("hosts that nobody named are remembered up to a bound", () => {
	const set = clusterSet();
	const first = set.passthrough("first", 80, "http1");
	assert.equal(set.passthrough("first", 80, "http1"), first);
	for (let i = 0; i < 300; i++) set.passthrough(`host-${i}`, 80, "http1");
	assert.equal(set.all().length, 256);
	assert.notEqual(set.passthrough("first", 80, "http1"), first);
	set.close();
});

test("names are resolved to every address; an answer that fails leaves the last one in force", () => {
	const told: string[][] = [];
	let answer: readonly string[] | undefined = ["10.0.0.2", "10.0.0.1"];
	const end = followDns(
		[{ host: "db", port: 5432, weight: 1 }],
		(_host, done) => done(answer === undefined ? new Error("SERVFAIL") : null, answer ?? []),
		(endpoints) => told.push(endpoints.map(({ id }) => id)),
		1,
	);
	assert.deepEqual(told, [["10.0.0.1:5432", "10.0.0.2:5432"]]);
	answer = undefined;
	return new Promise<void>((resolve) => setTimeout(resolve, 20)).then(() => {
		end();
		assert.equal(told.length, 1);
	});
});
