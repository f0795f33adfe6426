/** One TCP connection carried to a cluster, and the hop that it becomes. */
import type { Socket } from "node:net";
import type { MtlsMode, Workload } from "../../model/mesh/proxy-config.ts";
import { unixNano } from "../clock.ts";
import type { Clock } from "../clock.ts";
import type { CallerConnection } from "../http/downstream.ts";
import { peerOf } from "../http/outbound.ts";
import type { ResponseFlag } from "../http/record.ts";
import type { Direction, HopSink, HopTls, Peer, TcpHop } from "../telemetry/hop.ts";
import type { IdSource } from "../telemetry/trace-ids.ts";
import type { RootSampler } from "../telemetry/trace-context.ts";
import { unknownTls } from "../tls/hop-tls.ts";
import { isRefusal } from "../upstream/cluster.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { ConnectFailure } from "../upstream/connector.ts";
import type { Host } from "../upstream/host.ts";
import { splice } from "./splice.ts";

export interface TcpParts {
	readonly local: Workload;
	readonly clock: Clock;
	readonly sink: HopSink;
	readonly tracing: { readonly ids: IdSource; readonly sampler: RootSampler };
}

export interface TcpExchange {
	readonly direction: Direction;
	readonly connection: CallerConnection;
	readonly configVersion: string;
	readonly mtlsMode: MtlsMode;
	readonly peer: Peer;
	/** Undefined: the caller is refused, with this flag. */
	readonly cluster: Cluster | undefined;
	readonly clusterLabel: string;
	readonly refusedFor: ResponseFlag | undefined;
	readonly authzPolicy: string;
	readonly authzDecision: TcpHop["authzDecision"];
}

/** Hosts that are tried before the caller is given up: nothing was sent to them yet. */
const MAX_CONNECT_ATTEMPTS = 3;

/** `onEnd` is called once, when the connection is over. */
export function carryTcp(socket: Socket, exchange: TcpExchange, parts: TcpParts, onEnd: () => void): void {
	const { clock, sink } = parts;
	const { cluster, direction } = exchange;
	const startMs = clock.nowMs();
	const startTimeUnixNano = unixNano(clock.epochMs());
	const tried = new Set<Host>();
	let tls: HopTls = direction === "inbound" ? exchange.connection.tls : unknownTls("");
	let peer = exchange.peer;
	let failedHandshakes = 0;
	let giveUp: (() => void) | undefined;
	let told = false;
	sink.tcpOpened(direction);
	socket.pause();

	function tell(flags: string, counts: { toUpstream: number; toDownstream: number; closedBy: TcpHop["closedBy"] }): void {
		if (told) return;
		told = true;
		const traceId = parts.tracing.ids.traceId();
		sink.tcp({
			kind: "tcp",
			direction,
			local: parts.local,
			peer,
			startTimeUnixNano,
			durationNs: Math.max(0, Math.round((clock.nowMs() - startMs) * 1e6)),
			tls,
			failedHandshakes,
			mtlsMode: exchange.mtlsMode,
			responseFlags: flags,
			authzPolicy: exchange.authzPolicy,
			authzDecision: exchange.authzDecision,
			configVersion: exchange.configVersion,
			upstreamCluster: exchange.clusterLabel,
			lbPolicy: cluster?.config.loadBalancer.kind ?? "",
			subset: cluster?.config.subset ?? "",
			trace: {
				traceId,
				spanId: parts.tracing.ids.spanId(),
				parentSpanId: "",
				sampled: parts.tracing.sampler.isSampled(traceId),
				traceState: parts.tracing.sampler.traceState,
			},
			bytesSent: counts.toUpstream,
			bytesReceived: counts.toDownstream,
			closedBy: counts.closedBy,
		});
		onEnd();
	}

	function refuse(flag: string): void {
		socket.destroy();
		tell(flag, { toUpstream: 0, toDownstream: 0, closedBy: "proxy" });
	}

	function attempt(to: Cluster, before: ConnectFailure | undefined): void {
		const started = to.begin({ hash: 0, tried });
		if (isRefusal(started)) {
			refuse(before === undefined ? started.flag : `UF,${started.flag}`);
			return;
		}
		if (tried.has(started.host) && before !== undefined) {
			started.end(undefined);
			refuse("UF");
			return;
		}
		tried.add(started.host);
		if (direction === "outbound") peer = peerOf(started.host, to);
		if (!to.poolLimits.tryConnection()) {
			started.end(undefined);
			refuse("UO");
			return;
		}
		giveUp = to.connect(
			started.host,
			"tcp",
		)((failure, connection) => {
			giveUp = undefined;
			if (connection === undefined) {
				to.poolLimits.endConnection();
				started.end({ kind: "local", reason: failure?.reason ?? "connect_failure" });
				if (direction === "outbound" && failure !== undefined) {
					tls = unknownTls(failure.tlsReason);
					if (failure.tlsReason !== "") failedHandshakes++;
				}
				if (socket.destroyed) tell("DC", { toUpstream: 0, toDownstream: 0, closedBy: "downstream" });
				else if (tried.size < MAX_CONNECT_ATTEMPTS) attempt(to, failure);
				else refuse("UF");
				return;
			}
			if (direction === "outbound") {
				tls = connection.tls;
				peer = { ...peer, address: connection.address, port: connection.port };
			}
			socket.off("close", onEarlyClose);
			splice(socket, connection.socket, to.config.limits.idleTimeoutMs, (counts) => {
				to.poolLimits.endConnection();
				const byUpstream = counts.broken && counts.closedBy === "upstream";
				started.end(
					byUpstream ? { kind: "local", reason: "reset" } : { kind: "response", status: 200, grpcStatus: undefined },
				);
				tell(!counts.broken ? "" : byUpstream ? "UC" : "DC", counts);
			});
		});
	}

	/** Before there was anybody to talk to. */
	function onEarlyClose(): void {
		if (giveUp === undefined) return;
		giveUp();
		giveUp = undefined;
		tell("DC", { toUpstream: 0, toDownstream: 0, closedBy: "downstream" });
	}

	if (cluster === undefined || exchange.refusedFor !== undefined) {
		refuse(exchange.refusedFor ?? "NC");
		return;
	}
	socket.on("close", onEarlyClose);
	attempt(cluster, undefined);
}
