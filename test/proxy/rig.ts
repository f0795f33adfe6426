/** Proxies in one process with real peers around them, and what they told of every hop. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import type {
	ClusterConfig,
	Endpoint,
	HttpRoute,
	InboundConfig,
	ProxyConfig,
	VirtualHost,
	Workload,
} from "../../model/mesh/proxy-config.ts";
import { createClock } from "../../proxy-shim/clock.ts";
import { startProxy } from "../../proxy-shim/proxy.ts";
import type { Proxy, ProxyParts, ProxySettings } from "../../proxy-shim/proxy.ts";
import type { HopSink, HttpHop, ProxyEvent, TcpHop } from "../../proxy-shim/telemetry/hop.ts";
import { createRootSampler } from "../../proxy-shim/telemetry/trace-context.ts";
import { createIdSource } from "../../proxy-shim/telemetry/trace-ids.ts";
import { passthroughConfig, plainEndpoint } from "../../proxy-shim/upstream/cluster-set.ts";

export const ANY: { readonly host: string; readonly port: number } = { host: "127.0.0.1", port: 0 };

export interface RecordingSink extends HopSink {
	readonly httpHops: HttpHop[];
	readonly tcpHops: TcpHop[];
	readonly events: ProxyEvent[];
	/** Resolves when so many HTTP hops of the direction are there. */
	hops(direction: "inbound" | "outbound", count: number): Promise<readonly HttpHop[]>;
	tcpCount(count: number): Promise<readonly TcpHop[]>;
}

export function recordingSink(): RecordingSink {
	const httpHops: HttpHop[] = [];
	const tcpHops: TcpHop[] = [];
	const events: ProxyEvent[] = [];
	return {
		httpHops,
		tcpHops,
		events,
		http: (hop) => void httpHops.push(hop),
		tcp: (hop) => void tcpHops.push(hop),
		tcpOpened() {},
		event: (event) => void events.push(event),
		hops: (direction, count) =>
			until(() => {
				const found = httpHops.filter((hop) => hop.direction === direction);
				return found.length >= count ? found : undefined;
			}, `${count} ${direction} hops`),
		tcpCount: (count) => until(() => (tcpHops.length >= count ? tcpHops : undefined), `${count} TCP hops`),
	};
}

/** Polls until there is a value; what is waited for takes milliseconds, and a test that hangs says on what. */
export async function until<T>(get: () => T | undefined, what: string, limitMs = 5_000): Promise<T> {
	const endMs = performance.now() + limitMs;
	for (;;) {
		const value = get();
		if (value !== undefined) return value;
		if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

export function workload(service: string, version = "v1"): Workload {
	return {
		trustDomain: "cluster.local",
		namespace: "shop",
		service,
		workload: `${service}-${version}`,
		version,
		serviceAccount: service,
		instanceId: `${service}-1`,
		labels: { app: service, version },
	};
}

export function inboundConfig(overrides: Partial<InboundConfig> = {}): InboundConfig {
	return {
		mtls: { mode: "disable", byPort: new Map(), policy: "" },
		authorization: { deny: [], allow: [], audit: [], hasAllowPolicy: false },
		...overrides,
	};
}

export function config(overrides: Partial<ProxyConfig> & { readonly routes?: readonly Routed[] } = {}): ProxyConfig {
	const { routes = [], ...rest } = overrides;
	const clusters = new Map(routes.flatMap((routed) => routed.clusters.map((entry) => [entry.name, entry] as const)));
	return {
		version: "1",
		inbound: inboundConfig(),
		virtualHosts: routes.map((routed) => routed.virtualHost),
		clusters,
		unknownHosts: "refuse",
		...rest,
	};
}

export interface Routed {
	readonly virtualHost: VirtualHost;
	readonly clusters: readonly ClusterConfig[];
}

const NO_CHANGES = { set: [], add: [], remove: [] };

export function route(cluster: string, overrides: Partial<HttpRoute> = {}): HttpRoute {
	return {
		name: "default",
		matches: [],
		action: {
			kind: "forward",
			destinations: [{ cluster, weight: 100, requestHeaders: NO_CHANGES, responseHeaders: NO_CHANGES }],
		},
		rewrite: undefined,
		requestHeaders: NO_CHANGES,
		responseHeaders: NO_CHANGES,
		timeoutMs: 0,
		retries: { attempts: 0, on: new Set(), onStatus: new Set(), perTryTimeoutMs: 0, backoffBaseMs: 1, backoffMaxMs: 2 },
		fault: undefined,
		mirrors: [],
		fallback: undefined,
		...overrides,
	};
}

export function cluster(service: string, endpoints: readonly Endpoint[], overrides: Partial<ClusterConfig> = {}): ClusterConfig {
	const base = passthroughConfig(`${service}.shop.svc.cluster.local`, 80, "http1");
	return {
		...base,
		name: `${base.host}|80|`,
		service,
		namespace: "shop",
		external: false,
		tls: { mode: "auto" },
		discovery: { kind: "static", endpoints },
		...overrides,
	};
}

/** A service with one route that takes everything. */
export function routed(
	service: string,
	endpoints: readonly Endpoint[],
	overrides: { readonly route?: Partial<HttpRoute>; readonly cluster?: Partial<ClusterConfig> } = {},
): Routed {
	const target = cluster(service, endpoints, overrides.cluster);
	return {
		virtualHost: {
			name: `shop/${service}`,
			hosts: [service, `${service}.shop`, target.host],
			http: [route(target.name, overrides.route)],
			tcp: [],
		},
		clusters: [target],
	};
}

export function endpointAt(
	address: { readonly host: string; readonly port: number },
	overrides: Partial<Endpoint> = {},
): Endpoint {
	return { ...plainEndpoint(address.host, address.port), ...overrides };
}

export interface Cleanup {
	after(end: () => unknown): void;
}

export async function startApp(t: Cleanup, listener: RequestListener): Promise<{ host: string; port: number; server: Server }> {
	const server = createServer(listener);
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return { host: "127.0.0.1", port: (server.address() as AddressInfo).port, server };
}

export async function proxyFor(
	t: Cleanup,
	settings: Partial<ProxySettings> & Pick<ProxySettings, "workload">,
	initial: ProxyConfig,
	sink: HopSink,
	parts: Partial<ProxyParts> = {},
): Promise<Proxy> {
	const proxy = await startProxy({ inbound: [], outbound: undefined, upstreams: [], ...settings }, initial, {
		sink,
		identity: undefined,
		tracing: { ids: createIdSource(), sampler: createRootSampler(1) },
		clock: createClock(),
		random: Math.random,
		...parts,
	});
	t.after(() => proxy.drain(0));
	return proxy;
}

/** A caller's shim and a callee's with the app behind it: client → outbound → inbound → app. */
export async function pair(
	t: Cleanup,
	app: { readonly host: string; readonly port: number },
	options: {
		readonly protocol?: "http" | "http2" | "grpc" | "tcp";
		readonly route?: Partial<HttpRoute>;
		readonly cluster?: Partial<ClusterConfig>;
		readonly inbound?: InboundConfig;
		readonly endpoint?: Partial<Endpoint>;
		readonly callerParts?: Partial<ProxyParts>;
		readonly calleeParts?: Partial<ProxyParts>;
	} = {},
): Promise<{
	sink: RecordingSink;
	caller: Proxy;
	callee: Proxy;
	outbound: { host: string; port: number };
	inbound: { host: string; port: number };
}> {
	const sink = recordingSink();
	const callee = await proxyFor(
		t,
		{ workload: workload("orders"), inbound: [{ listen: ANY, app, servicePort: 80, protocol: options.protocol ?? "http" }] },
		config({ inbound: options.inbound ?? inboundConfig() }),
		sink,
		options.calleeParts,
	);
	const inbound = callee.addresses.inbound[0]!;
	const target = routed("orders", [endpointAt(inbound, options.endpoint)], {
		...(options.route === undefined ? {} : { route: options.route }),
		...(options.cluster === undefined ? {} : { cluster: options.cluster }),
	});
	const caller = await proxyFor(
		t,
		{ workload: workload("web"), outbound: ANY },
		config({ routes: [target] }),
		sink,
		options.callerParts,
	);
	return { sink, caller, callee, outbound: caller.addresses.outbound!, inbound };
}
