/**
 * The clusters of the present configuration, each with its endpoints. A new configuration keeps the clusters that are as before, and
 * gives the hosts of changed ones to their successors, so that load and history go on; what is under way ends in the cluster it began
 * in.
 */
import { isDeepStrictEqual } from "node:util";
import type { ServiceEndpoints } from "../../model/mesh/control-protocol.ts";
import type { ClusterConfig, Endpoint, ProxyConfig } from "../../model/mesh/proxy-config.ts";
import type { ClientTls } from "../tls/client.ts";
import { createCluster } from "./cluster.ts";
import type { Cluster, ClusterParts } from "./cluster.ts";
import { followDns, systemResolve } from "./dns.ts";
import type { Resolve } from "./dns.ts";

export interface ClusterSetParts extends Omit<ClusterParts, "clientTls"> {
	readonly clientTlsFor: (config: ClusterConfig) => ClientTls;
	readonly resolve?: Resolve;
}

export interface ClusterSet {
	get(name: string): Cluster | undefined;
	/** A cluster for a host that no policy names, which is called as it is. */
	passthrough(host: string, port: number, protocol: ClusterConfig["protocol"]): Cluster;
	all(): readonly Cluster[];
	setConfig(config: Pick<ProxyConfig, "clusters">): void;
	/** `complete`: services that are not named have no endpoints. */
	setRegistry(services: readonly ServiceEndpoints[], complete: boolean): void;
	/** After a change of certificate. */
	renewConnections(): void;
	close(): void;
}

interface Entry {
	readonly cluster: Cluster;
	readonly endDiscovery: () => void;
}

/** Hosts that nobody named are remembered up to this many; the longest unused goes. */
const MAX_PASSTHROUGH = 256;

export function createClusterSet(parts: ClusterSetParts): ClusterSet {
	const entries = new Map<string, Entry>();
	const passthroughs = new Map<string, Entry>();
	/** By `namespace/service`, then by port of the service. */
	const registry = new Map<string, ReadonlyMap<number, readonly Endpoint[]>>();

	function registered(config: ClusterConfig): readonly Endpoint[] {
		const endpoints = registry.get(`${config.namespace}/${config.service}`)?.get(config.port) ?? [];
		const labels = Object.entries(config.labels);
		return labels.length === 0
			? endpoints
			: endpoints.filter((endpoint) => labels.every(([name, value]) => endpoint.labels[name] === value));
	}

	function open(config: ClusterConfig, before: Cluster | undefined): Entry {
		const cluster = createCluster(config, { ...parts, clientTls: parts.clientTlsFor(config) }, before?.hosts);
		let endDiscovery = (): void => {};
		if (config.discovery.kind === "static") cluster.setEndpoints(config.discovery.endpoints);
		else if (config.discovery.kind === "registry") cluster.setEndpoints(registered(config));
		else {
			endDiscovery = followDns(config.discovery.endpoints, parts.resolve ?? systemResolve, (found) =>
				cluster.setEndpoints(found),
			);
		}
		return { cluster, endDiscovery };
	}

	function shut(entry: Entry): void {
		entry.endDiscovery();
		entry.cluster.close();
	}

	return {
		get: (name) => entries.get(name)?.cluster,
		passthrough(host, port, protocol) {
			const key = `${protocol} ${host}:${port}`;
			const found = passthroughs.get(key);
			passthroughs.delete(key);
			const entry = found ?? open(passthroughConfig(host, port, protocol), undefined);
			passthroughs.set(key, entry);
			if (passthroughs.size > MAX_PASSTHROUGH) {
				const [oldestKey, oldest] = passthroughs.entries().next().value!;
				passthroughs.delete(oldestKey);
				shut(oldest);
			}
			return entry.cluster;
		},
		all: () => [...entries.values(), ...passthroughs.values()].map((entry) => entry.cluster),
		setConfig({ clusters }) {
			for (const [name, entry] of entries) {
				const next = clusters.get(name);
				if (next !== undefined && isDeepStrictEqual(next, entry.cluster.config)) continue;
				if (next === undefined) entries.delete(name);
				else entries.set(name, open(next, entry.cluster));
				shut(entry);
			}
			for (const [name, config] of clusters) if (!entries.has(name)) entries.set(name, open(config, undefined));
		},
		setRegistry(services, complete) {
			if (complete) registry.clear();
			for (const { namespace, service, ports } of services) {
				registry.set(`${namespace}/${service}`, new Map(ports.map((port) => [port.servicePort, port.endpoints])));
			}
			for (const { cluster } of entries.values()) {
				if (cluster.config.discovery.kind === "registry") cluster.setEndpoints(registered(cluster.config));
			}
		},
		renewConnections() {
			for (const { cluster } of entries.values()) cluster.renewConnections();
		},
		close() {
			for (const entry of [...entries.values(), ...passthroughs.values()]) shut(entry);
			entries.clear();
			passthroughs.clear();
		},
	};
}

/** Envoy's defaults for its thresholds. */
const DEFAULT_LIMIT = 1_024;

export function passthroughConfig(host: string, port: number, protocol: ClusterConfig["protocol"]): ClusterConfig {
	return {
		name: "PassthroughCluster",
		host,
		port,
		subset: "",
		service: host,
		namespace: "",
		external: true,
		protocol,
		labels: {},
		discovery: { kind: "static", endpoints: [plainEndpoint(host, port)] },
		tls: { mode: "disable" },
		loadBalancer: { kind: "round_robin" },
		limits: {
			maxConnections: DEFAULT_LIMIT,
			maxPendingRequests: DEFAULT_LIMIT,
			maxRequests: DEFAULT_LIMIT,
			maxRetries: 3,
			maxRequestsPerConnection: 0,
			connectTimeoutMs: 10_000,
			idleTimeoutMs: 3_600_000,
		},
		outlier: undefined,
		breaker: undefined,
		retryBudget: { percent: 20, minConcurrent: 3 },
	};
}

/** An endpoint without identity, called as it is. */
export function plainEndpoint(address: string, port: number): Endpoint {
	return {
		id: `${address}:${port}`,
		address,
		port,
		labels: {},
		weight: 1,
		principal: undefined,
		healthy: true,
		hboneAddress: undefined,
	};
}
