/**
 * Tunnels to workloads behind other nodes: CONNECT over HTTP/2 over mTLS, with the certificate of the workload that calls. One client an
 * identity; its connections are pooled by node and by the identity that must answer, so no connection ever carries two callers' streams.
 *
 * A connection is used for new streams until either certificate of it expires, this end's is replaced, or the peer says GOAWAY; the
 * streams on it go on.
 */
import { connect as connectHttp2, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { HopSink, HopTls } from "../telemetry/hop.ts";
import { createClientTls } from "../tls/client.ts";
import { TlsFailure } from "../tls/failure.ts";
import { peerTls, rememberHopTls } from "../tls/hop-tls.ts";
import type { Identity, IdentitySource } from "../tls/identity-source.ts";
import { formatTarget, hboneServerName, parseTarget } from "./address.ts";
import { TunnelFailure, tunnelRefused } from "./failure.ts";
import { TunnelStream } from "./tunnel-stream.ts";

export interface HboneClientOptions {
	/** Of the workload that calls. */
	readonly source: IdentitySource;
	/** Epoch ms. */
	readonly nowMs: () => number;
	readonly events: Pick<HopSink, "event">;
	/** At one time on one connection, 100 unless given; the peer may allow less. */
	readonly maxStreams?: number;
	/** To one node for one identity, 8 unless given; beyond that callers wait until their time is up. */
	readonly maxConnections?: number;
	/** A connection without streams is kept so long, 5 min unless given. */
	readonly idleTimeoutMs?: number;
}

export interface TunnelRequest {
	/** `address:port` of the node. */
	readonly hboneAddress: string;
	/** The workload's own. */
	readonly address: string;
	readonly port: number;
	/** Who must answer; undefined accepts every workload of the trust domain. */
	readonly principal: string | undefined;
}

type Callback = (error: Error | undefined, stream: Socket | undefined) => void;

export interface HboneClient {
	/** Calls back once; `peerTls` of the stream tells the tunnel's identities. The returned function gives up. */
	connect(request: TunnelRequest, timeoutMs: number, callback: Callback): () => void;
	/** Connections to nodes, and streams on them. */
	stats(): { readonly connections: number; readonly streams: number; readonly waiting: number };
	/** Streams that are open are cut off. */
	close(): void;
}

interface Connection {
	readonly session: ClientHttp2Session;
	readonly socket: Socket;
	readonly tls: HopTls;
	readonly identity: Identity | undefined;
	streams: number;
	/** 0 until the peer's settings are there: in TLS 1.3 only they tell that it let this end in. */
	maxStreams: number;
	/** No new streams. */
	retired: boolean;
	idle: NodeJS.Timeout | undefined;
}

interface Waiter {
	readonly target: string;
	readonly deliver: Callback;
	attempts: number;
	done: boolean;
	/** What was asked for it and not answered yet. */
	stream: ClientHttp2Stream | undefined;
}

interface Pool {
	readonly request: TunnelRequest;
	readonly connections: Set<Connection>;
	readonly waiters: Waiter[];
	opening: number;
}

const MAX_STREAMS = 100;
const MAX_CONNECTIONS = 8;
const MAX_WAITERS = 1_024;
const IDLE_MS = 300_000;
const RETRY_DELAYS_MS = [5, 20, 80];
const PING_MS = 30_000;
/** Of one stream; a connection's worst case is this times its streams. */
export const STREAM_WINDOW_BYTES = 256 << 10;
export const SESSION_MEMORY_MB = 64;

export function createHboneClient(options: HboneClientOptions): HboneClient {
	const pools = new Map<string, Pool>();
	let closed = false;
	const maxStreams = options.maxStreams ?? MAX_STREAMS;
	const maxConnections = options.maxConnections ?? MAX_CONNECTIONS;

	function poolOf(request: TunnelRequest): Pool {
		const key = keyOf(request);
		let pool = pools.get(key);
		if (pool === undefined) {
			pool = { request, connections: new Set(), waiters: [], opening: 0 };
			pools.set(key, pool);
		}
		return pool;
	}

	function forgetIfEmpty(pool: Pool): void {
		if (pool.connections.size > 0 || pool.waiters.length > 0 || pool.opening > 0) return;
		pools.delete(keyOf(pool.request));
	}

	function hasRoom(connection: Connection): boolean {
		if (connection.retired || connection.session.closed || connection.session.destroyed) return false;
		const { clientNotAfterMs, serverNotAfterMs } = connection.tls;
		const isCurrent = connection.identity === options.source.current();
		if (!isCurrent || Math.min(clientNotAfterMs, serverNotAfterMs) <= options.nowMs()) {
			retire(connection);
			return false;
		}
		return connection.streams < connection.maxStreams;
	}

	function retire(connection: Connection): void {
		connection.retired = true;
		// Ends with its last stream.
		if (!connection.session.destroyed) connection.session.close();
	}

	/** Gives waiting callers what there is, and opens connections for the rest. */
	function pump(pool: Pool): void {
		while (pool.waiters.length > 0) {
			const free = [...pool.connections].find(hasRoom);
			if (free === undefined) break;
			const waiter = pool.waiters.shift()!;
			if (!waiter.done) startStream(pool, free, waiter);
		}
		const room =
			maxConnections -
			[...pool.connections].filter(({ retired, maxStreams: known }) => !retired && known > 0).length -
			pool.opening;
		const wanted = Math.ceil(pool.waiters.length / maxStreams) - pool.opening;
		for (let i = 0; i < Math.min(room, wanted); i++) open(pool);
		forgetIfEmpty(pool);
	}

	function open(pool: Pool): void {
		const { hboneAddress, principal } = pool.request;
		const node = parseTarget(hboneAddress);
		if (node === undefined) {
			failAll(pool, new TunnelFailure("not_found", `${hboneAddress} is no address:port`));
			return;
		}
		const identity = options.source.current();
		const sni = principal === undefined ? undefined : hboneServerName(principal);
		const tls = createClientTls(options.source, {
			cluster: {
				tls: { mode: "istio_mutual", subjectAltNames: principal === undefined ? [] : [principal], sni: sni ?? "hbone" },
				host: node.host,
				port: node.port,
				subset: "",
				external: false,
			},
			nowMs: options.nowMs,
			events: options.events,
		});
		const endpoint = {
			id: hboneAddress,
			address: node.host,
			port: node.port,
			labels: {},
			weight: 1,
			principal,
			healthy: true,
			hboneAddress: undefined,
		};
		pool.opening++;
		// Waiting callers have limits of their own; this one is for a connection that nobody waits for any more.
		tls.connect(endpoint, { alpn: ["h2"], timeoutMs: 10_000 }, (error, socket) => {
			if (socket !== undefined) return adopt(pool, socket, identity);
			pool.opening--;
			failAll(pool, error ?? new TunnelFailure("closed", "no connection"));
		});
	}

	function adopt(pool: Pool, socket: Socket, identity: Identity | undefined): void {
		const session = connectHttp2(`https://${pool.request.hboneAddress}`, {
			createConnection: () => socket,
			maxSessionMemory: SESSION_MEMORY_MB,
			settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
		});
		const connection: Connection = {
			session,
			socket,
			tls: peerTls(socket, "client"),
			identity,
			streams: 0,
			maxStreams: 0,
			retired: false,
			idle: undefined,
		};
		pool.connections.add(connection);
		session.on("remoteSettings", (settings) => {
			if (connection.maxStreams === 0) pool.opening--;
			connection.maxStreams = Math.max(1, Math.min(maxStreams, settings.maxConcurrentStreams ?? maxStreams));
			pump(pool);
		});
		session.on("goaway", () => {
			connection.retired = true;
		});
		session.on("error", () => {});
		const ping = setInterval(() => {
			// A peer that vanished without a word answers no ping; without streams, idling ends the connection.
			if (connection.streams === 0 || session.destroyed) return;
			const lost = setTimeout(() => session.destroy(), PING_MS);
			if (!session.ping(() => clearTimeout(lost))) clearTimeout(lost);
			session.once("close", () => clearTimeout(lost));
		}, PING_MS);
		ping.unref();
		session.on("close", () => {
			clearInterval(ping);
			clearTimeout(connection.idle);
			pool.connections.delete(connection);
			if (connection.maxStreams > 0) return pump(pool);
			pool.opening--;
			failAll(
				pool,
				new TunnelFailure("closed", `${pool.request.hboneAddress} closed the connection before it took any stream`),
			);
		});
		setIdle(connection);
	}

	function setIdle(connection: Connection): void {
		clearTimeout(connection.idle);
		connection.idle = setTimeout(() => retire(connection), options.idleTimeoutMs ?? IDLE_MS);
		connection.idle.unref();
	}

	function startStream(pool: Pool, connection: Connection, waiter: Waiter): void {
		let stream: ClientHttp2Stream;
		try {
			stream = connection.session.request({ ":method": "CONNECT", ":authority": waiter.target }, { endStream: false });
		} catch {
			// The session ended between the question and the answer.
			connection.retired = true;
			again(pool, waiter);
			pump(pool);
			return;
		}
		connection.streams++;
		waiter.stream = stream;
		clearTimeout(connection.idle);
		let answered = false;
		stream.on("error", () => {});
		stream.on("response", (headers) => {
			answered = true;
			waiter.stream = undefined;
			const status = Number(headers[":status"]);
			if (waiter.done || status !== 200) {
				stream.close(constants.NGHTTP2_CANCEL);
				settle(waiter, tunnelRefused(status, waiter.target), undefined);
				return;
			}
			const { socket, tls } = connection;
			const target = parseTarget(waiter.target)!;
			const tunnel = new TunnelStream(stream, {
				remoteAddress: target.host,
				remotePort: target.port,
				localAddress: socket.localAddress ?? "",
				localPort: socket.localPort ?? 0,
			});
			rememberHopTls(tunnel, tls);
			settle(waiter, undefined, tunnel);
		});
		stream.on("close", () => {
			connection.streams--;
			if (connection.streams === 0) setIdle(connection);
			if (!answered) again(pool, waiter);
			pump(pool);
		});
	}

	/**
	 * A CONNECT without an answer has carried nothing, so it may be sent again: the connection was lost or is draining, or the peer counts
	 * a stream that ended here as open still (node:http2 answers ENHANCE_YOUR_CALM then).
	 */
	function again(pool: Pool, waiter: Waiter): void {
		if (waiter.done) return;
		const delayMs = closed ? undefined : RETRY_DELAYS_MS[waiter.attempts++];
		if (delayMs === undefined) {
			settle(
				waiter,
				new TunnelFailure("closed", `the node closed the tunnel to ${waiter.target} before it answered`),
				undefined,
			);
			return;
		}
		setTimeout(() => {
			if (waiter.done) return;
			const current = poolOf(pool.request);
			current.waiters.unshift(waiter);
			pump(current);
		}, delayMs);
	}

	function failAll(pool: Pool, error: Error): void {
		for (const waiter of pool.waiters.splice(0)) settle(waiter, error, undefined);
		forgetIfEmpty(pool);
	}

	return {
		connect(request, timeoutMs, callback) {
			const pool = poolOf(request);
			const target = formatTarget({ host: request.address, port: request.port });
			const timer = setTimeout(() => {
				settle(waiter, new TunnelFailure("timeout", `no tunnel to ${target} within ${timeoutMs} ms`), undefined);
				forget();
			}, timeoutMs);
			const waiter: Waiter = {
				target,
				deliver(error, stream) {
					clearTimeout(timer);
					callback(error, stream);
				},
				attempts: 0,
				done: false,
				stream: undefined,
			};
			const forget = (): void => {
				waiter.stream?.close(constants.NGHTTP2_CANCEL);
				const at = pool.waiters.indexOf(waiter);
				if (at >= 0) pool.waiters.splice(at, 1);
				forgetIfEmpty(pool);
			};
			if (closed || pool.waiters.length >= MAX_WAITERS) {
				queueMicrotask(() => settle(waiter, new TunnelFailure("overloaded", `too many wait for ${target}`), undefined));
			} else {
				pool.waiters.push(waiter);
				pump(pool);
			}
			return () => {
				settle(waiter, new TlsFailure("connection_closed", "given up by the caller"), undefined);
				forget();
			};
		},
		stats() {
			const all = [...pools.values()];
			const connections = all.flatMap((pool) => [...pool.connections]);
			return {
				connections: connections.length,
				streams: connections.reduce((sum, { streams }) => sum + streams, 0),
				waiting: all.reduce((sum, { waiters }) => sum + waiters.length, 0),
			};
		},
		close() {
			closed = true;
			for (const pool of pools.values()) {
				failAll(pool, new TunnelFailure("closed", "the proxy is shutting down"));
				for (const { session } of pool.connections) session.destroy();
			}
		},
	};
}

function keyOf(request: TunnelRequest): string {
	return `${request.hboneAddress}|${request.principal ?? ""}`;
}

function settle(waiter: Waiter, error: Error | undefined, stream: Socket | undefined): void {
	if (waiter.done) {
		stream?.destroy();
		return;
	}
	waiter.done = true;
	waiter.deliver(error, stream);
}
