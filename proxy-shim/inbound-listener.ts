/**
 * A port of the service: connections come in as mTLS or plaintext as the policy for the port has it at that moment, and go on as
 * exchanges of HTTP or as bytes.
 */
import type { Socket } from "node:net";
import type { MtlsMode } from "../model/mesh/proxy-config.ts";
import { authorize } from "./authz/authorize.ts";
import type { CallerConnection } from "./http/downstream.ts";
import { callerIdentity, callerOf } from "./http/inbound.ts";
import type { InboundHandler, InboundParts, InboundPort } from "./http/inbound.ts";
import { tellMalformed } from "./http/malformed.ts";
import { mtlsModeOf } from "./http/record.ts";
import { createHttpServer } from "./http/server.ts";
import type { HttpServerHandlers, Tier } from "./http/server.ts";
import { carryTcp } from "./tcp/exchange.ts";
import { listen } from "./tcp/listener.ts";
import type { ListenAddress } from "./tcp/listener.ts";
import { usualAddress } from "./tcp/loopback-caller.ts";
import type { HopTls } from "./telemetry/hop.ts";
import { plaintextTls } from "./tls/hop-tls.ts";
import type { IdentitySource } from "./tls/identity-source.ts";
import { createServerTls } from "./tls/server.ts";
import type { ServerTls } from "./tls/server.ts";
import { sniffFirstByte } from "./tls/sniff.ts";

export interface ProxyListener {
	readonly address: ListenAddress;
	/** Exchanges and connections under way. */
	readonly active: number;
	/** Nothing new is taken; callers are told to go elsewhere. */
	drain(): void;
	/** What is still there is cut off. */
	close(): void;
}

export interface InboundListener extends ProxyListener {
	/** A connection that came through a tunnel: who calls is known, and what comes is plain. */
	acceptTunnel(socket: Socket, tls: HopTls): void;
}

export interface InboundListenerParts extends InboundParts {
	readonly identity: IdentitySource | undefined;
	readonly onExchange: InboundHandler;
	readonly tier: Tier;
	readonly epochMs: () => number;
}

/** A client that says nothing in this time is no TLS client. */
const SNIFF_TIMEOUT_MS = 10_000;
/** For protocols in which the server speaks first, a pause that nobody notices. */
const SERVER_FIRST_MS = 200;
/** A connection that was taken before the end was asked for may still be at its handshake: it gets to say what it wants. */
const SETTLE_MS = 500;

export async function startInboundListener(
	address: ListenAddress,
	port: InboundPort,
	parts: InboundListenerParts,
): Promise<InboundListener> {
	const isTcp = port.protocol === "tcp";
	const sockets = new Set<Socket>();
	let tcpActive = 0;
	let settling: NodeJS.Timeout | undefined;
	const handlers: HttpServerHandlers = {
		onExchange: (down) => parts.onExchange(down, port),
		onMalformed(connection, status) {
			const { version, inbound } = parts.config();
			tellMalformed("inbound", connection, status, { version, mtlsMode: mtlsModeOf(inbound.mtls, port.appPort) }, parts);
		},
	};
	const http = createHttpServer(handlers, parts.tier);
	const secure = { strict: serverTls(true), permissive: serverTls(false) };

	function serverTls(requireClientCertificate: boolean): ServerTls | undefined {
		if (parts.identity === undefined) return undefined;
		return createServerTls(parts.identity, {
			alpn: isTcp ? [] : ["h2", "http/1.1"],
			requireClientCertificate,
			nowMs: parts.epochMs,
			events: parts.sink,
			onSecure: (socket, tls) => take(socket, tls, socket.alpnProtocol === "h2" ? "http2" : "http1"),
		});
	}

	function take(socket: Socket, tls: HopTls, protocol: "http1" | "http2"): void {
		const connection = connectionOf(socket, tls);
		if (isTcp) takeTcp(socket, connection);
		else http.accept(socket, connection, protocol);
	}

	function takeTcp(socket: Socket, connection: CallerConnection): void {
		const config = parts.config();
		const caller = callerIdentity(connection.tls);
		const verdict = authorize(config.inbound.authorization, {
			principal: caller.principal,
			namespace: caller.namespace,
			sourceIp: usualAddress(connection.remoteAddress),
			host: "",
			port: port.appPort,
			method: "",
			path: "",
			header: () => undefined,
			sni: connection.tls.serverName,
			destinationIp: connection.localAddress,
		});
		tcpActive++;
		const exchange = {
			direction: "inbound" as const,
			connection,
			configVersion: config.version,
			mtlsMode: mtlsModeOf(config.inbound.mtls, port.appPort),
			peer: callerOf(connection),
			cluster: port.app,
			clusterLabel: `inbound|${port.servicePort}||`,
			refusedFor: verdict.decision === "deny" ? ("UAEX" as const) : undefined,
			authzPolicy: verdict.policy,
			authzDecision: verdict.decision,
		};
		carryTcp(socket, exchange, parts, () => tcpActive--);
	}

	function hold(socket: Socket): void {
		sockets.add(socket);
		socket.once("close", () => sockets.delete(socket));
	}

	function acceptTunnel(socket: Socket, tls: HopTls): void {
		hold(socket);
		if (isTcp) return take(socket, tls, "http1");
		sniffFirstByte(socket, {
			timeoutMs: SNIFF_TIMEOUT_MS,
			// TLS within the tunnel is the app's own business, and no HTTP that could be read here.
			onTls: (hello) => hello.destroy(),
			onPlain: (ready, protocol) => take(ready, tls, protocol === "http2" ? "http2" : "http1"),
		});
	}

	function accept(socket: Socket): void {
		hold(socket);
		const mode = mtlsModeOf(parts.config().inbound.mtls, port.appPort);
		if (mode === "strict") {
			if (secure.strict !== undefined) secure.strict.accept(socket);
			else refuseWithoutIdentity(socket);
			return;
		}
		if (mode === "disable" && isTcp) {
			take(socket, plaintextTls("disabled"), "http1");
			return;
		}
		sniff(socket, mode);
	}

	function sniff(socket: Socket, mode: MtlsMode): void {
		const plain = plaintextTls(mode === "disable" ? "disabled" : "permissive_plaintext");
		sniffFirstByte(socket, {
			timeoutMs: isTcp ? SERVER_FIRST_MS : SNIFF_TIMEOUT_MS,
			onTls(hello) {
				if (mode !== "disable" && secure.permissive !== undefined) secure.permissive.accept(hello);
				else if (isTcp) take(hello, plain, "http1");
				else refuseWithoutIdentity(hello);
			},
			onPlain: (ready, protocol) => take(ready, plain, protocol === "http2" ? "http2" : "http1"),
			...(isTcp ? { onSilent: (silent: Socket) => take(silent, plain, "http1") } : {}),
		});
	}

	function refuseWithoutIdentity(socket: Socket): void {
		const peerAddress = socket.remoteAddress ?? "";
		socket.destroy();
		parts.sink.event({ kind: "handshake_failed", direction: "inbound", peerAddress, reason: "no_own_certificate" });
	}

	const listener = await listen(address, accept);
	return {
		address: listener.address,
		acceptTunnel,
		get active() {
			return http.active + tcpActive + (settling !== undefined && sockets.size > 0 ? 1 : 0);
		},
		drain() {
			void listener.stop();
			http.drain();
			settling ??= setTimeout(() => (settling = undefined), SETTLE_MS);
		},
		close() {
			void listener.stop();
			clearTimeout(settling);
			http.close();
			secure.strict?.close();
			secure.permissive?.close();
			for (const socket of sockets) socket.destroy();
		},
	};
}

export function connectionOf(socket: Socket, tls: HopTls): CallerConnection {
	return {
		remoteAddress: (socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
		remotePort: socket.remotePort ?? 0,
		localAddress: (socket.localAddress ?? "").replace(/^::ffff:/, ""),
		tls,
	};
}
