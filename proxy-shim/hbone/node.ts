/**
 * One port for all workloads of a node: a tunnel leads to the inbound listener of a local workload, or nowhere. Whoever asks for a
 * workload must have made sure of that workload's identity in the handshake, so that no other one can take its calls.
 */
import type { Socket } from "node:net";
import { listen } from "../tcp/listener.ts";
import type { ListenAddress } from "../tcp/listener.ts";
import type { HopSink, HopTls } from "../telemetry/hop.ts";
import type { IdentitySource } from "../tls/identity-source.ts";
import { createMemoryIdentity } from "../tls/memory-identity.ts";
import { formatTarget, hboneServerName } from "./address.ts";
import { createHboneServer } from "./server.ts";
import type { IncomingTunnel, TunnelDecision } from "./server.ts";

export interface LocalWorkload {
	readonly principal: string;
	readonly identity: IdentitySource;
	/** What CONNECT may name, each with what takes it: `address:port` as the registry tells it. */
	readonly ports: readonly {
		readonly host: string;
		readonly port: number;
		readonly accept: (socket: Socket, tls: HopTls) => void;
	}[];
}

export interface NodeParts {
	readonly events: Pick<HopSink, "event">;
	/** Epoch ms. */
	readonly nowMs: () => number;
	readonly maxTunnels?: number;
}

export interface NodeListener {
	readonly address: ListenAddress;
	/** Tunnels that are open; while it drains also one for those that may be on their way. */
	readonly active: number;
	/** Its ports take the place of the same ones, if there are any. */
	add(workload: LocalWorkload): void;
	/** Nothing new is taken; callers are told to go elsewhere. */
	drain(): void;
	/** What is still there is cut off. */
	close(): void;
}

/** @throws the system's error where the address cannot be bound */
export async function startNodeListener(address: ListenAddress, parts: NodeParts): Promise<NodeListener> {
	const byServerName = new Map<string, LocalWorkload>();
	const byTarget = new Map<
		string,
		{ readonly workload: LocalWorkload; readonly accept: LocalWorkload["ports"][number]["accept"] }
	>();
	/** Answers who asks for nobody by name, as ztunnel and Envoy do: the first workload, which is right where there is but one. */
	const first = createMemoryIdentity();

	const server = createHboneServer({
		source: first,
		byServerName: (name) => byServerName.get(name)?.identity,
		route,
		nowMs: parts.nowMs,
		events: parts.events,
		...(parts.maxTunnels === undefined ? {} : { maxTunnels: parts.maxTunnels }),
	});

	function route({ target, tls }: IncomingTunnel): TunnelDecision {
		const found = byTarget.get(formatTarget(target));
		if (found === undefined) return { kind: "refuse", status: 404 };
		if (found.workload.principal !== tls.serverPrincipal) return { kind: "refuse", status: 403 };
		return { kind: "accept", onStream: (stream, tunnel) => found.accept(stream, tunnel.tls) };
	}

	const listener = await listen(address, (socket) => server.accept(socket));
	return {
		address: listener.address,
		get active() {
			return server.tunnels + (server.settling ? 1 : 0);
		},
		add(workload) {
			const serverName = hboneServerName(workload.principal);
			if (serverName === undefined) throw new RangeError(`${workload.principal} is no SPIFFE ID of a workload`);
			if (byServerName.size === 0) {
				const current = workload.identity.current();
				if (current !== undefined) first.set(current);
				workload.identity.onChange((next) => first.set(next));
			}
			byServerName.set(serverName, workload);
			for (const { host, port, accept } of workload.ports) byTarget.set(formatTarget({ host, port }), { workload, accept });
		},
		drain() {
			void listener.stop();
			server.drain();
		},
		close() {
			void listener.stop();
			server.close();
		},
	};
}
