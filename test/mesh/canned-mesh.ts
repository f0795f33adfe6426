/** For tests: a small mesh in the manner of Istio's bookinfo, and a proxy of it for the policy of a text. */
import assert from "node:assert/strict";
import type { ClusterConfig, HttpRoute, ProxyConfig, VirtualHost, Workload } from "../../model/mesh/proxy-config.ts";
import { compile } from "../../model/mesh/policy/compile.ts";
import { readMeshFile } from "../../model/mesh/policy/mesh-file.ts";
import type { RegisteredService } from "../../model/mesh/policy/mesh-hosts.ts";

export const WORKLOAD: Workload = {
	trustDomain: "cluster.local",
	namespace: "default",
	service: "productpage",
	workload: "productpage-v1",
	version: "v1",
	serviceAccount: "bookinfo-productpage",
	instanceId: "productpage-1",
	labels: { app: "productpage", version: "v1" },
};

export const SERVICES: readonly RegisteredService[] = [
	...["productpage", "details", "reviews", "ratings"].map((service): RegisteredService => ({
		namespace: "default",
		service,
		ports: [{ servicePort: 9080, protocol: "http" }],
	})),
	{
		namespace: "shop",
		service: "orders",
		ports: [
			{ servicePort: 80, protocol: "http" },
			{ servicePort: 81, protocol: "grpc" },
			{ servicePort: 90, protocol: "tcp" },
		],
	},
	{ namespace: "shop", service: "mongo", ports: [{ servicePort: 27017, protocol: "tcp" }] },
];

export interface CannedProxy {
	readonly config: ProxyConfig;
	/** As `path: message`. */
	readonly warnings: readonly string[];
	/** The virtual host that takes the host. */
	virtualHost(host: string): VirtualHost;
	routes(host: string): readonly HttpRoute[];
	cluster(name: string): ClusterConfig;
}

/** The text has no faults. */
export function proxyFor(
	text: string,
	own: Partial<Workload> = {},
	services: readonly RegisteredService[] = SERVICES,
): CannedProxy {
	const file = readMeshFile(text, "mesh.yaml");
	assert.deepEqual(file.faults, []);
	const { config, faults, warnings } = compile(file.documents, { ...WORKLOAD, ...own }, services, { version: "7" });
	assert.deepEqual(faults, []);
	const virtualHost = (host: string): VirtualHost => {
		const found = config.virtualHosts.find(({ hosts }) => hosts.includes(host));
		assert.ok(found, `no virtual host has ${host}`);
		return found;
	};
	return {
		config,
		warnings: warnings.map(({ path, message }) => `${path}: ${message}`),
		virtualHost,
		routes: (host) => virtualHost(host).http,
		cluster: (name) => {
			const found = config.clusters.get(name);
			assert.ok(found, `no cluster ${name}: there are ${[...config.clusters.keys()].join(", ")}`);
			return found;
		},
	};
}

/** A document of a kind; `spec` is YAML in flow style or indented by two. */
export function document(kind: string, name: string, spec: string, namespace = "default"): string {
	const group = kind === "PeerAuthentication" || kind === "AuthorizationPolicy" ? "security" : "networking";
	return `---\napiVersion: ${group}.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
}
