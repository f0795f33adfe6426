/** A port that the app calls: for every destination by its Host, or for one that the port names. */
import type { Socket } from "node:net";
import type { FixedDestination, OutboundHandler, OutboundParts } from "./http/outbound.ts";
import { tellMalformed } from "./http/malformed.ts";
import { createHttpServer } from "./http/server.ts";
import type { HttpServerHandlers, Tier } from "./http/server.ts";
import { mtlsModeTowards, NO_PEER } from "./http/record.ts";
import { connectionOf } from "./inbound-listener.ts";
import type { ProxyListener } from "./inbound-listener.ts";
import { pickDestination } from "./routing/destination.ts";
import { carryTcp } from "./tcp/exchange.ts";
import { listen } from "./tcp/listener.ts";
import type { ListenAddress } from "./tcp/listener.ts";
import { plaintextTls } from "./tls/hop-tls.ts";
import { sniffFirstByte } from "./tls/sniff.ts";
import { clusterLabel } from "./upstream/cluster.ts";
import type { Cluster } from "./upstream/cluster.ts";

export interface OutboundListenerParts extends OutboundParts {
	readonly onExchange: OutboundHandler;
	readonly tier: Tier;
}

const SNIFF_TIMEOUT_MS = 10_000;
/** A destination that no policy describes may speak first. */
const SERVER_FIRST_MS = 200;

export async function startOutboundListener(
	address: ListenAddress,
	fixed: FixedDestination | undefined,
	parts: OutboundListenerParts,
): Promise<ProxyListener> {
	const sockets = new Set<Socket>();
	const app = plaintextTls("loopback");
	let tcpActive = 0;
	const handlers: HttpServerHandlers = {
		onExchange: (down) => parts.onExchange(down, fixed),
		onMalformed(connection, status) {
			const { version } = parts.policy().config;
			tellMalformed("outbound", connection, status, { version, mtlsMode: "permissive" }, parts);
		},
	};
	const http = createHttpServer(handlers, parts.tier);

	/** By the configuration of this moment: `tcp` where the destination has TCP routes or a port of that kind. */
	function protocolOf(to: FixedDestination): "http" | "tcp" | "unknown" {
		const { router } = parts.policy();
		if (router.matchTcp(to.host, to.port) !== undefined) return "tcp";
		const cluster = parts.clusters.get(`${hostOf(to)}|${to.port}|`);
		if (cluster !== undefined) return cluster.config.protocol === "tcp" ? "tcp" : "http";
		return router.virtualHost(to.host) === undefined ? "unknown" : "http";
	}

	/** Clusters go by the full name; a short one is found by the virtual host that lists it. */
	function hostOf(to: FixedDestination): string {
		const hosts = parts.policy().router.virtualHost(to.host)?.hosts ?? [];
		return hosts.find((host) => parts.clusters.get(`${host}|${to.port}|`) !== undefined) ?? to.host;
	}

	function takeTcp(socket: Socket, to: FixedDestination): void {
		const policy = parts.policy();
		const route = policy.router.matchTcp(to.host, to.port);
		const chosen = route === undefined ? undefined : pickDestination(route.destinations, parts.random);
		const cluster: Cluster | undefined =
			parts.clusters.get(chosen?.cluster ?? `${hostOf(to)}|${to.port}|`) ??
			(route === undefined && policy.config.unknownHosts === "passthrough" && parts.mayPassThrough(to.host, to.port)
				? parts.clusters.passthrough(to.host, to.port, "tcp")
				: undefined);
		tcpActive++;
		const exchange = {
			direction: "outbound" as const,
			connection: connectionOf(socket, app),
			configVersion: policy.config.version,
			mtlsMode: cluster === undefined ? ("permissive" as const) : mtlsModeTowards(cluster.config.tls),
			peer: NO_PEER,
			cluster,
			clusterLabel: cluster === undefined ? "" : clusterLabel(cluster),
			refusedFor: cluster === undefined ? ("NR" as const) : undefined,
			authzPolicy: "",
			authzDecision: "" as const,
		};
		carryTcp(socket, exchange, parts, () => tcpActive--);
	}

	const listener = await listen(address, (socket) => {
		sockets.add(socket);
		socket.once("close", () => sockets.delete(socket));
		const protocol = fixed === undefined ? "http" : protocolOf(fixed);
		if (protocol === "tcp" && fixed !== undefined) {
			takeTcp(socket, fixed);
			return;
		}
		const onBytes = (ready: Socket): void => {
			if (fixed !== undefined) takeTcp(ready, fixed);
			else ready.destroy();
		};
		sniffFirstByte(socket, {
			timeoutMs: protocol === "unknown" ? SERVER_FIRST_MS : SNIFF_TIMEOUT_MS,
			onTls: onBytes,
			onPlain(ready, spoken) {
				if (spoken === "other" && protocol === "unknown") onBytes(ready);
				else http.accept(ready, connectionOf(ready, app), spoken === "http2" ? "http2" : "http1");
			},
			...(protocol === "unknown" ? { onSilent: onBytes } : {}),
		});
	});
	return {
		address: listener.address,
		get active() {
			return http.active + tcpActive;
		},
		drain() {
			void listener.stop();
			http.drain();
		},
		close() {
			void listener.stop();
			http.close();
			for (const socket of sockets) socket.destroy();
		},
	};
}
