/**
 * The proxy of one workload, composed from its parts: listeners, policy, clusters, identity, telemetry. Who it is, where its policy
 * comes from and where its telemetry goes are decided by whoever starts it (cli/proxy.ts, the node proxy).
 */
import type { Socket } from "node:net";
import type { ServiceEndpoints } from "../model/mesh/control-protocol.ts";
import type { ProxyConfig, Workload } from "../model/mesh/proxy-config.ts";
import type { Clock } from "./clock.ts";
import type { HboneClient } from "./hbone/client.ts";
import { withTunnels } from "./hbone/tunnelled-tls.ts";
import { createInbound } from "./http/inbound.ts";
import type { InboundPort } from "./http/inbound.ts";
import { createOutbound } from "./http/outbound.ts";
import type { FixedDestination } from "./http/outbound.ts";
import { outboundPolicy } from "./http/plan.ts";
import type { Tracing } from "./http/trace.ts";
import type { Tier } from "./http/server.ts";
import { startInboundListener } from "./inbound-listener.ts";
import type { InboundListener, ProxyListener } from "./inbound-listener.ts";
import { startOutboundListener } from "./outbound-listener.ts";
import type { ListenAddress } from "./tcp/listener.ts";
import type { HopSink, HopTls } from "./telemetry/hop.ts";
import { createClientTls } from "./tls/client.ts";
import type { Identity, IdentitySource } from "./tls/identity-source.ts";
import { createClusterSet, passthroughConfig } from "./upstream/cluster-set.ts";
import { createCluster } from "./upstream/cluster.ts";
import type { Cluster } from "./upstream/cluster.ts";
import type { Resolve } from "./upstream/dns.ts";

export interface InboundSettings {
	readonly listen: ListenAddress;
	readonly app: ListenAddress;
	readonly servicePort: number;
	readonly protocol: InboundPort["protocol"];
}

export interface UpstreamSettings extends FixedDestination {
	readonly listen: ListenAddress;
}

export interface ProxySettings {
	readonly workload: Workload;
	readonly inbound: readonly InboundSettings[];
	/** One listener for all destinations, by Host. */
	readonly outbound: ListenAddress | undefined;
	readonly upstreams: readonly UpstreamSettings[];
}

export interface ProxyParts {
	readonly sink: HopSink;
	/** Undefined for a proxy without any identity. */
	readonly identity: IdentitySource | undefined;
	readonly tracing: Tracing;
	readonly clock: Clock;
	readonly random: () => number;
	readonly resolve?: Resolve;
	/** Default `fast`. */
	readonly tier?: Tier;
	/** To endpoints behind node proxies; without them such endpoints are called directly. */
	readonly tunnels?: HboneClient;
}

export interface Proxy {
	readonly addresses: {
		readonly inbound: readonly ListenAddress[];
		readonly outbound: ListenAddress | undefined;
		readonly upstreams: readonly ListenAddress[];
	};
	/** For requests from now on; those under way go on with what they began with. */
	setConfig(config: ProxyConfig): void;
	setRegistry(services: readonly ServiceEndpoints[], complete: boolean): void;
	config(): ProxyConfig;
	clusters(): readonly Cluster[];
	/** Exchanges and connections under way. */
	active(): number;
	/** Takes a tunnel's connection for one of the inbound listeners, by their order in `addresses`. */
	acceptTunnel(inbound: number, socket: Socket, tls: HopTls): void;
	/** Takes nothing new, waits for what is under way, at most so long; then everything is closed. False: something was cut off. */
	drain(limitMs: number): Promise<boolean>;
}

/** Beyond this no app on loopback is waited for. */
const APP_CONNECT_TIMEOUT_MS = 10_000;
const DRAIN_POLL_MS = 20;

/** @throws the system's error where an address cannot be bound; nothing stays bound then */
export async function startProxy(settings: ProxySettings, initial: ProxyConfig, parts: ProxyParts): Promise<Proxy> {
	const { clock, random, sink, tracing, identity } = parts;
	const local = settings.workload;
	const epochMs = (): number => clock.epochMs();
	const tier = parts.tier ?? "fast";
	const clusterParts = { random, nowMs: () => clock.nowMs(), events: sink, tier };
	const clusters = createClusterSet({
		...clusterParts,
		...(parts.resolve === undefined ? {} : { resolve: parts.resolve }),
		clientTlsFor(cluster) {
			const direct = createClientTls(identity, { cluster, nowMs: epochMs, events: sink });
			return parts.tunnels === undefined ? direct : withTunnels(direct, cluster, parts.tunnels);
		},
	});
	const apps: Cluster[] = [];
	let policy = outboundPolicy(initial);
	clusters.setConfig(initial);
	const tellCertificate = ({ principal, notAfterMs }: Identity): void =>
		sink.event({ kind: "certificate", principal, notAfterMs });
	const first = identity?.current();
	if (first !== undefined) tellCertificate(first);
	const endFollowing = identity?.onChange((next) => {
		clusters.renewConnections();
		tellCertificate(next);
	});

	function appCluster(address: ListenAddress): Cluster {
		const base = passthroughConfig(address.host, address.port, "http1");
		const lifted = 2 ** 32 - 1;
		const config = {
			...base,
			name: `inbound|${address.port}||`,
			external: false,
			limits: {
				...base.limits,
				maxConnections: lifted,
				maxPendingRequests: lifted,
				maxRequests: lifted,
				connectTimeoutMs: APP_CONNECT_TIMEOUT_MS,
			},
		};
		const cluster = createCluster(config, {
			...clusterParts,
			clientTls: createClientTls(undefined, { cluster: config, nowMs: epochMs, events: sink }),
		});
		if (config.discovery.kind === "static") cluster.setEndpoints(config.discovery.endpoints);
		apps.push(cluster);
		return cluster;
	}

	const inboundParts = {
		local,
		config: () => policy.config,
		localPrincipal: () => identity?.current()?.principal ?? "",
		tracing,
		clock,
		random,
		sink,
	};
	const onInbound = createInbound(inboundParts);
	const inbound: InboundListener[] = [];
	const outbound: ProxyListener[] = [];
	const outboundParts = {
		local,
		policy: () => policy,
		clusters,
		tracing,
		clock,
		random,
		sink,
		mayPassThrough: (host: string, port: number) =>
			!outbound.some((own) => own.address.port === port && isOwnHost(host, own.address.host)),
	};
	const onOutbound = createOutbound(outboundParts);

	try {
		for (const { listen, app, servicePort, protocol } of settings.inbound) {
			const port: InboundPort = { servicePort, appPort: app.port, protocol, app: appCluster(app) };
			inbound.push(
				await startInboundListener(listen, port, { ...inboundParts, identity, onExchange: onInbound, epochMs, tier }),
			);
		}
		const wanted = [
			...(settings.outbound === undefined ? [] : [{ listen: settings.outbound, fixed: undefined }]),
			...settings.upstreams.map(({ listen, host, port }) => ({ listen, fixed: { host: host.toLowerCase(), port } })),
		];
		for (const { listen, fixed } of wanted) {
			outbound.push(await startOutboundListener(listen, fixed, { ...outboundParts, onExchange: onOutbound, tier }));
		}
	} catch (error) {
		closeAll();
		throw error;
	}

	function active(): number {
		return [...inbound, ...outbound].reduce((sum, listener) => sum + listener.active, 0);
	}

	function closeAll(): void {
		endFollowing?.();
		for (const listener of [...inbound, ...outbound]) listener.close();
		clusters.close();
		for (const app of apps) app.close();
	}

	async function idle(listeners: readonly ProxyListener[], untilMs: number): Promise<boolean> {
		while (listeners.some((listener) => listener.active > 0)) {
			if (clock.nowMs() >= untilMs) return false;
			await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
		}
		return true;
	}

	const hasOutbound = settings.outbound !== undefined;
	return {
		addresses: {
			inbound: inbound.map((listener) => listener.address),
			outbound: hasOutbound ? outbound[0]?.address : undefined,
			upstreams: outbound.slice(hasOutbound ? 1 : 0).map((listener) => listener.address),
		},
		setConfig(config) {
			// Clusters first: a route must find what it names.
			clusters.setConfig(config);
			policy = outboundPolicy(config);
		},
		setRegistry: (services, complete) => clusters.setRegistry(services, complete),
		config: () => policy.config,
		clusters: () => clusters.all(),
		active,
		acceptTunnel(index, socket, tls) {
			const listener = inbound[index];
			if (listener === undefined) socket.destroy();
			else listener.acceptTunnel(socket, tls);
		},
		async drain(limitMs) {
			const untilMs = clock.nowMs() + limitMs;
			for (const listener of inbound) listener.drain();
			// What the app still has to answer may need others, so its way out stays open until then.
			const inboundIdle = await idle(inbound, untilMs);
			for (const listener of outbound) listener.drain();
			const outboundIdle = await idle(outbound, untilMs);
			closeAll();
			return inboundIdle && outboundIdle;
		},
	};
}

function isOwnHost(host: string, bound: string): boolean {
	return (
		host === bound || host === "localhost" || host === "::1" || host.startsWith("127.") || host === "0.0.0.0" || host === "::"
	);
}
