/** What the admin port and the gauges show of a running proxy. */
import { startAdmin } from "../../proxy-shim/admin/admin.ts";
import type { Admin, ShownCluster } from "../../proxy-shim/admin/admin.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import type { Gauge } from "../../proxy-shim/telemetry/proxy-metrics.ts";
import type { IdentitySource } from "../../proxy-shim/tls/identity-source.ts";
import type { Cluster } from "../../proxy-shim/upstream/cluster.ts";
import type { ListenAddress } from "../settings/values.ts";

export interface ShownProxy {
	/** Told apart by it where there are several; empty for the only one. */
	readonly service: string;
	readonly proxy: Proxy;
	readonly identity: IdentitySource | undefined;
}

export interface AdminParts {
	readonly proxies: readonly ShownProxy[];
	readonly ready: () => { readonly ready: boolean; readonly reason: string };
	/** Prometheus text. */
	readonly stats: () => string;
	readonly nowMs: () => number;
	readonly drain: () => void;
}

export function openAdmin(listen: ListenAddress, parts: AdminParts): Promise<Admin> {
	const { proxies } = parts;
	const configOf = ({ proxy }: ShownProxy): object => ({ addresses: proxy.addresses, config: proxy.config() });
	const [only, more] = proxies;
	return startAdmin({
		...listen,
		nowMs: parts.nowMs,
		ready: parts.ready,
		stats: parts.stats,
		configDump: () =>
			only !== undefined && more === undefined && only.service === ""
				? configOf(only)
				: { workloads: proxies.map((shown) => ({ service: shown.service, ...configOf(shown) })) },
		clusters: () =>
			proxies.flatMap(({ service, proxy }) =>
				proxy.clusters().map((cluster) => {
					const shown = shownCluster(cluster);
					return service === "" ? shown : { ...shown, name: `${service} ${shown.name}` };
				}),
			),
		identities: () => proxies.flatMap(({ identity }) => identity?.current() ?? []),
		drain: parts.drain,
	});
}

function shownCluster(cluster: Cluster): ShownCluster {
	const { config, limits } = cluster;
	const nowMs = performance.now();
	return {
		name: config.name,
		loadBalancer: config.loadBalancer.kind,
		hosts: cluster.hosts.map(({ endpoint, activeRequests, ewmaMs, ejectedUntilMs, outlier }) => ({
			id: endpoint.id,
			address: endpoint.address,
			port: endpoint.port,
			healthy: endpoint.healthy,
			ejectedForMs: Math.max(0, Math.round(ejectedUntilMs - nowMs)),
			ejections: outlier.ejections,
			activeRequests,
			ewmaMs,
			principal: endpoint.principal ?? "",
		})),
		activeRequests: limits.requests.active,
		pendingRequests: limits.pending.active,
		activeRetries: limits.retries.active,
		connections: limits.connections.active,
		limits: {
			connections: limits.connections.max,
			pending: limits.pending.max,
			requests: limits.requests.max,
			retries: limits.retries.max,
		},
		breaker: cluster.breakerState(),
	};
}

const BREAKER_VALUES: Readonly<Record<string, number>> = { closed: 0, half_open: 1, open: 2 };

/** Of the moment in which they are asked for. */
export function* proxyGauges(proxy: Proxy | undefined, service = ""): Iterable<Gauge> {
	if (proxy === undefined) return;
	const own = service === "" ? [] : [["workload", service] as const];
	yield { name: "meshscope_active_exchanges", help: "Requests and connections under way.", labels: own, value: proxy.active() };
	for (const cluster of proxy.clusters()) {
		const labels = [...own, ["cluster", cluster.config.name] as const];
		const { hosts, limits } = cluster;
		const ejected = hosts.filter((host) => host.ejectedUntilMs > 0).length;
		const healthy = hosts.filter((host) => host.endpoint.healthy).length - ejected;
		yield { name: "meshscope_cluster_hosts", help: "Endpoints that are known.", labels, value: hosts.length };
		yield {
			name: "meshscope_cluster_healthy_hosts",
			help: "Endpoints that may be called.",
			labels,
			value: Math.max(0, healthy),
		};
		yield { name: "meshscope_cluster_active_requests", help: "Attempts under way.", labels, value: limits.requests.active };
		yield {
			name: "meshscope_cluster_connections",
			help: "Connections to endpoints.",
			labels,
			value: limits.connections.active,
		};
		const state = cluster.breakerState();
		if (state !== "") {
			const help = "0 closed, 1 half-open, 2 open.";
			yield { name: "meshscope_cluster_breaker_state", help, labels, value: BREAKER_VALUES[state] ?? 0 };
		}
	}
}
