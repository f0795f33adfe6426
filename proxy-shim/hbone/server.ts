/**
 * The receiving end of HBONE: CONNECT over HTTP/2 over mTLS. It knows who calls and where to, and asks `route` what to do; whatever is not a
 * local workload's port is refused, so it relays for nobody.
 *
 * The identity of the caller is that of its certificate. `forwarded`, `baggage` and the like are words of the caller and never read.
 */
import { createServer as createHttp2Server, constants } from "node:http2";
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { announceEnd, LINGER_MS } from "../http/announce-end.ts";
import type { HopSink, HopTls } from "../telemetry/hop.ts";
import { rememberHopTls } from "../tls/hop-tls.ts";
import type { IdentitySource } from "../tls/identity-source.ts";
import { createServerTls } from "../tls/server.ts";
import { parseTarget } from "./address.ts";
import type { TunnelTarget } from "./address.ts";
import { SESSION_MEMORY_MB, STREAM_WINDOW_BYTES } from "./client.ts";
import { TunnelStream } from "./tunnel-stream.ts";

export interface IncomingTunnel {
	readonly target: TunnelTarget;
	/** Verified: who calls, and as whom this end answered. */
	readonly tls: HopTls;
	readonly remoteAddress: string;
	readonly remotePort: number;
}

export type TunnelDecision =
	| { readonly kind: "accept"; readonly onStream: (stream: TunnelStream, tunnel: IncomingTunnel) => void }
	/** 403: not for this caller. 404: nobody here listens there. 503: no room, or no longer. */
	| { readonly kind: "refuse"; readonly status: 403 | 404 | 503 };

export interface HboneServerOptions {
	/** Who answers a client that names nobody (ztunnel, Envoy). */
	readonly source: IdentitySource;
	/** Who answers for a name as `hboneServerName` makes them. */
	readonly byServerName: (serverName: string) => IdentitySource | undefined;
	readonly route: (tunnel: IncomingTunnel) => TunnelDecision;
	/** Epoch ms. */
	readonly nowMs: () => number;
	readonly events: Pick<HopSink, "event">;
	/** On one connection, 100 unless given. */
	readonly maxStreams?: number;
	/** In all, 10,000 unless given. */
	readonly maxTunnels?: number;
	/** 10 s unless given. */
	readonly handshakeTimeoutMs?: number;
}

export interface HboneServer {
	accept(socket: Socket): void;
	readonly tunnels: number;
	/** Draining, and a tunnel may still be on its way on a connection that is there. */
	readonly settling: boolean;
	/** Callers are told by GOAWAY; tunnels go on. */
	drain(): void;
	/** What is still there is cut off. */
	close(): void;
}

const MAX_STREAMS = 100;
const MAX_TUNNELS = 10_000;
const MAX_HEADER_LIST_BYTES = 16 << 10;
/** A connection on which nothing moves. */
const IDLE_MS = 3_600_000;

export function createHboneServer(options: HboneServerOptions): HboneServer {
	const sockets = new Set<Socket>();
	const sessions = new Map<Http2Session, { readonly tls: HopTls; readonly socket: Socket }>();
	let accepting: { readonly tls: HopTls; readonly socket: Socket } | undefined;
	let tunnels = 0;
	let draining = false;
	let settling: NodeJS.Timeout | undefined;

	const http2 = createHttp2Server({
		maxSessionMemory: SESSION_MEMORY_MB,
		settings: {
			initialWindowSize: STREAM_WINDOW_BYTES,
			maxConcurrentStreams: options.maxStreams ?? MAX_STREAMS,
			maxHeaderListSize: MAX_HEADER_LIST_BYTES,
			enablePush: false,
		},
	});
	http2.on("session", (session) => {
		if (accepting === undefined) return session.destroy();
		sessions.set(session, accepting);
		session.on("error", () => {});
		session.on("close", () => sessions.delete(session));
		session.setTimeout(IDLE_MS, () => session.close());
		if (draining) session.close();
	});
	http2.on("sessionError", () => {});
	http2.on("stream", onStream);

	const tls = createServerTls(options.source, {
		alpn: ["h2"],
		requireClientCertificate: true,
		byServerName: options.byServerName,
		nowMs: options.nowMs,
		events: options.events,
		...(options.handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs: options.handshakeTimeoutMs }),
		onSecure(socket, facts) {
			// The session is made while the event is handled, which is how the two are brought together.
			accepting = { tls: facts, socket };
			http2.emit("connection", socket);
			accepting = undefined;
		},
	});

	function onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
		stream.on("error", () => {});
		const connection = stream.session === undefined ? undefined : sessions.get(stream.session);
		if (connection === undefined) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
		if (headers[":method"] !== "CONNECT") return refuse(stream, 405);
		// With `:protocol` it would be WebSocket over HTTP/2 or the like (RFC 8441), which leads nowhere here.
		if (headers[":protocol"] !== undefined) return refuse(stream, 501);
		const target = parseTarget(headers[":authority"] ?? "");
		if (target === undefined) return refuse(stream, 400);
		if (tunnels >= (options.maxTunnels ?? MAX_TUNNELS)) return refuse(stream, 503);
		const { socket } = connection;
		const tunnel = {
			target,
			tls: connection.tls,
			remoteAddress: (socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
			remotePort: socket.remotePort ?? 0,
		};
		const decision = options.route(tunnel);
		if (decision.kind === "refuse") return refuse(stream, decision.status);
		tunnels++;
		stream.once("close", () => tunnels--);
		stream.respond({ ":status": 200 });
		const bytes = new TunnelStream(stream, {
			remoteAddress: tunnel.remoteAddress,
			remotePort: tunnel.remotePort,
			localAddress: target.host,
			localPort: target.port,
		});
		rememberHopTls(bytes, tunnel.tls);
		decision.onStream(bytes, tunnel);
	}

	return {
		accept(socket) {
			sockets.add(socket);
			socket.once("close", () => sockets.delete(socket));
			tls.accept(socket);
		},
		get tunnels() {
			return tunnels;
		},
		get settling() {
			return settling !== undefined && sessions.size > 0;
		},
		drain() {
			draining = true;
			for (const session of sessions.keys()) announceEnd(session);
			settling ??= setTimeout(() => (settling = undefined), LINGER_MS);
		},
		close() {
			draining = true;
			clearTimeout(settling);
			tls.close();
			for (const session of sessions.keys()) session.destroy();
			for (const socket of sockets) socket.destroy();
		},
	};
}

function refuse(stream: ServerHttp2Stream, status: number): void {
	if (stream.destroyed) return;
	stream.respond({ ":status": status }, { endStream: true });
	// What the caller sends before it hears of it is not kept.
	stream.resume();
}
