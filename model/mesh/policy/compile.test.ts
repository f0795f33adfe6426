import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Workload } from "../proxy-config.ts";
import { compile } from "./compile.ts";
import { readMeshFile } from "./mesh-file.ts";
import type { RegisteredService } from "./mesh-hosts.ts";

const WORKLOAD: Workload = {
	trustDomain: "cluster.local",
	namespace: "default",
	service: "productpage",
	workload: "productpage-v1",
	version: "v1",
	serviceAccount: "bookinfo-productpage",
	instanceId: "productpage-1",
	labels: { app: "productpage", version: "v1" },
};

const SERVICES: readonly RegisteredService[] = ["productpage", "details", "reviews", "ratings"].map((service) => ({
	namespace: "default",
	service,
	ports: [{ servicePort: 9080, protocol: "http" }],
}));

test("the minimal example is accepted and compiled", () => {
	const text = readFileSync(join(import.meta.dirname, "../../../examples/mesh-minimal.yaml"), "utf8");
	const file = readMeshFile(text, "mesh-minimal.yaml");
	assert.deepEqual([file.faults, file.warnings], [[], []]);
	const { config, faults, warnings } = compile(file.documents, WORKLOAD, SERVICES, { version: "7" });
	assert.deepEqual([faults, warnings], [[], []]);
	assert.equal(config.version, "7");
	assert.deepEqual(config.inbound.mtls, { mode: "strict", byPort: new Map(), policy: "istio-system/default" });
	const reviews = config.virtualHosts.find((host) => host.name === "default/reviews")!;
	assert.deepEqual(reviews.hosts, ["reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local"]);
	assert.deepEqual(
		reviews.http.map(
			({ action }) => action.kind === "forward" && action.destinations.map(({ cluster, weight }) => [cluster, weight]),
		),
		[
			[
				["reviews.default.svc.cluster.local|9080|v1", 90],
				["reviews.default.svc.cluster.local|9080|v2", 10],
			],
		],
	);
	assert.deepEqual(config.clusters.get("reviews.default.svc.cluster.local|9080|v2")!.labels, { version: "v2" });
});

test("a registered service has a virtual host with a default route and a cluster without any policy", () => {
	const { config, faults } = compile([], WORKLOAD, SERVICES);
	assert.deepEqual(faults, []);
	const ratings = config.virtualHosts.find(({ hosts }) => hosts.includes("ratings"))!;
	assert.deepEqual(
		ratings.http.map((route) => [route.name, route.matches, route.timeoutMs, route.retries.attempts]),
		[["default", [], 0, 2]],
	);
	assert.deepEqual([...config.clusters.keys()].toSorted(), [
		"details.default.svc.cluster.local|9080|",
		"productpage.default.svc.cluster.local|9080|",
		"ratings.default.svc.cluster.local|9080|",
		"reviews.default.svc.cluster.local|9080|",
	]);
});
