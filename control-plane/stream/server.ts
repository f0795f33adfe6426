/**
 * The control plane's port: TLS 1.3 and HTTP/2 with one long stream a proxy, and the trust bundle for everybody. It owns sockets and
 * their limits; what is said on a stream is the session's.
 */
import { createSecureServer, constants } from "node:http2";
import type { Http2SecureServer, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createSecureContext } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import { ERRORS, MeshscopeError } from "../../model/errors.ts";
import {
	BUNDLE_PATH,
	MAX_JOIN_FRAME_BYTES,
	MAX_PROXY_FRAME_BYTES,
	rootServerName,
	STREAM_PATH,
} from "../../model/mesh/control-protocol.ts";
import { encodeFrame, FrameError, frameReader } from "../../model/mesh/frames.ts";
import type { Authority } from "../ca/authority.ts";
import { bundleJwks } from "../ca/bundle.ts";
import { createOutbox } from "./outbox.ts";
import type { OutboxSources } from "./outbox.ts";
import { peerOf } from "./peer.ts";
import { rate } from "./rate.ts";
import type { Rate } from "./rate.ts";
import { createSession } from "./session.ts";
import type { ProxySession, SessionDeps, SessionPeer } from "./session.ts";

export interface StreamServerOptions {
	readonly listen: { readonly host: string; readonly port: number };
	readonly authority: Authority;
	readonly sources: OutboxSources;
	readonly deps: SessionDeps;
	readonly timeouts?: Partial<StreamTimeouts>;
}

export interface StreamTimeouts {
	/** A connection without a proxy that has said hello, and one without any stream. */
	readonly helloMs: number;
	readonly pingEveryMs: number;
	/** A ping without answer; a stream that takes nothing. */
	readonly deadMs: number;
}

export interface StreamServer {
	/** `host:port` as bound. */
	readonly address: string;
	/** Of all streams that have said hello with a certificate. */
	sessions(): Iterable<ProxySession>;
	/** The authority's certificates or roots are others now. */
	certificatesChanged(): void;
	/** Ends what is due; called about once a second. */
	tick(): void;
	close(): Promise<void>;
}

const DEFAULT_TIMEOUTS: StreamTimeouts = { helloMs: 10_000, pingEveryMs: 15_000, deadMs: 60_000 };
const CLOSE_GRACE_MS = 200;
const MAX_CONNECTIONS = 10_000;
/** Connections that have not shown who they are. */
const MAX_STRANGERS = 256;

interface Connection {
	readonly http: ServerHttp2Session;
	readonly opened: Rate;
	session: ProxySession | undefined;
	stream: ServerHttp2Stream | undefined;
	/** It has shown no certificate that counts. */
	readonly isStranger: boolean;
	/** Since when it has neither a stream nor a hello. */
	idleSinceMs: number;
	pingedAtMs: number;
	isPingOpen: boolean;
}

/** @throws Error of the socket (`EADDRINUSE`, `EACCES`) when the address cannot be bound. */
export async function startStreamServer(options: StreamServerOptions): Promise<StreamServer> {
	const { authority, deps, sources } = options;
	const { nowMs, log } = deps;
	const timeouts: StreamTimeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
	const connections = new Map<ServerHttp2Session, Connection>();
	const sockets = new Set<Socket>();
	let contexts = contextsOf(authority);
	const server = createSecureServer({
		...defaultCredentials(authority),
		minVersion: "TLSv1.3",
		requestCert: true,
		// Proxies join without a certificate; who shows one that does not count is nobody.
		rejectUnauthorized: false,
		handshakeTimeout: 10_000,
		SNICallback: (name, done) => done(null, contexts.get(name)),
		settings: { maxConcurrentStreams: 4, maxHeaderListSize: 16 * 1024, enablePush: false },
		maxSessionMemory: 64,
		maxSessionInvalidFrames: 10,
		maxHeaderListPairs: 64,
		maxSettings: 16,
		maxOutstandingPings: 4,
	});
	server.maxConnections = MAX_CONNECTIONS;
	server.on("connection", (socket: Socket) => {
		sockets.add(socket);
		socket.once("close", () => sockets.delete(socket));
	});
	server.on("session", accept);
	server.on("sessionError", () => undefined);
	server.on("tlsClientError", (error: Error) => log("debug", "handshake failed", { reason: error.message }));
	server.on("clientError", (_error: Error, socket) => socket.destroy());
	await bound(server, options.listen);
	server.on("error", (error: Error) => log("warn", "the control port failed", { reason: error.message }));

	return {
		address: addressOf(server),
		*sessions() {
			for (const { session, isStranger } of connections.values())
				if (session?.hasIntroducedItself() === true && !isStranger) yield session;
		},
		certificatesChanged() {
			contexts = contextsOf(authority);
			server.setSecureContext(defaultCredentials(authority));
		},
		tick() {
			for (const connection of connections.values()) look(connection);
		},
		async close() {
			const ended = new Promise<void>((resolve) => void server.close(() => resolve()));
			for (const { http, stream } of connections.values()) {
				stream?.end();
				http.close();
			}
			// Neither a proxy that does not end its half nor one that is still in its handshake is waited for.
			const cutOff = setTimeout(() => {
				for (const socket of sockets) socket.destroy();
			}, CLOSE_GRACE_MS);
			await ended;
			clearTimeout(cutOff);
		},
	};

	function accept(http: ServerHttp2Session): void {
		const now = nowMs();
		http.on("error", (error: Error) => log("debug", "connection failed", { reason: error.message }));
		const isStranger = peerNow(http).principal === undefined;
		// A flood of them keeps nobody out who has a certificate.
		if (isStranger && countStrangers() >= MAX_STRANGERS) {
			http.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
			return;
		}
		const connection: Connection = {
			...{ http, opened: rate(20, 2), session: undefined, stream: undefined, isStranger },
			...{ idleSinceMs: now, pingedAtMs: now, isPingOpen: false },
		};
		connections.set(http, connection);
		http.on("close", () => {
			connections.delete(http);
			connection.session?.ended();
		});
		http.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
			stream.on("error", (error: Error) => log("debug", "stream failed", { reason: error.message }));
			if (!connection.opened.take(nowMs())) http.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
			else route(connection, stream, headers);
		});
	}

	function peerNow(http: ServerHttp2Session): SessionPeer {
		const { trustDomain, rootsPem } = authority.bundle();
		return peerOf(http.socket as TLSSocket, trustDomain, rootsPem, nowMs());
	}

	function countStrangers(): number {
		let strangers = 0;
		for (const { isStranger } of connections.values()) if (isStranger) strangers++;
		return strangers;
	}

	function route(connection: Connection, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
		const method = headers[":method"];
		const path = (headers[":path"] ?? "").split("?", 1)[0];
		if (path === STREAM_PATH && method === "POST") {
			if (connection.session === undefined) void converse(connection, stream);
			else refuse(stream, new MeshscopeError("protocol_violation", "a connection carries one proxy stream"));
		} else if (path === BUNDLE_PATH && method === "GET") {
			const text = JSON.stringify(bundleJwks(authority.bundle()));
			stream.respond({ ":status": 200, "content-type": "application/json", "cache-control": "no-cache" });
			stream.end(text);
		} else {
			refuse(
				stream,
				new MeshscopeError("not_found", `${STREAM_PATH} takes POST, ${BUNDLE_PATH} takes GET; nothing else is here`),
			);
		}
	}

	async function converse(connection: Connection, stream: ServerHttp2Stream): Promise<void> {
		// Asked again: a certificate may have ended since the connection was made.
		const peer = peerNow(connection.http);
		const outbox = createOutbox(sources, (frame) => !stream.writable || stream.write(frame), nowMs);
		const session = createSession(deps, peer, outbox);
		const reader = frameReader(peer.principal === undefined ? MAX_JOIN_FRAME_BYTES : MAX_PROXY_FRAME_BYTES);
		connection.session = session;
		connection.stream = stream;
		stream.on("drain", () => outbox.drained());
		stream.respond({ ":status": 200, "content-type": "application/x-ndjson" });
		try {
			// Reading waits for the message before, so a proxy that sends faster than it is served is slowed down.
			// A fault leaves the stream open, so that its reason can be told.
			for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>)
				for (const frame of reader.push(chunk)) await session.handle(frame);
			if (stream.writable) stream.end();
		} catch (error) {
			endWith(stream, peer.remoteAddress, error);
		} finally {
			session.ended();
			connection.session = undefined;
			connection.stream = undefined;
			connection.idleSinceMs = nowMs();
		}
	}

	function endWith(stream: ServerHttp2Stream, remoteAddress: string, error: unknown): void {
		if (stream.destroyed || !stream.writable) return;
		const told =
			error instanceof MeshscopeError
				? error
				: error instanceof FrameError
					? new MeshscopeError("protocol_violation", error.message)
					: new MeshscopeError("internal", "the control plane failed on this message");
		const reason = error instanceof Error ? error.message : String(error);
		log("warn", "proxy stream ended", { remoteAddress, code: told.code, reason });
		stream.end(encodeFrame({ kind: "refused", instanceId: "", code: told.code, message: told.message }));
		// What else it sends is not read; it has a moment to read the reason.
		setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 1_000).unref();
	}

	function look(connection: Connection): void {
		const { http, session, stream } = connection;
		const now = nowMs();
		const isUseful = session?.hasIntroducedItself() === true && !connection.isStranger;
		if (!isUseful && now - connection.idleSinceMs >= timeouts.helloMs) {
			http.destroy();
		} else if (session !== undefined && stream !== undefined && now >= session.validUntilMs()) {
			endWith(
				stream,
				"",
				new MeshscopeError("join_refused", "the certificate of this stream has expired and was not renewed"),
			);
		} else if (now - (session?.outbox.blockedSinceMs() ?? now) >= timeouts.deadMs) {
			log("warn", "a proxy reads nothing; its stream is cut", {});
			http.destroy();
		} else if (connection.isPingOpen && now - connection.pingedAtMs >= timeouts.deadMs) {
			http.destroy();
		} else if (!connection.isPingOpen && now - connection.pingedAtMs >= timeouts.pingEveryMs && !http.destroyed) {
			connection.pingedAtMs = now;
			connection.isPingOpen = http.ping(() => void (connection.isPingOpen = false));
		}
	}
}

function refuse(stream: ServerHttp2Stream, error: MeshscopeError): void {
	stream.respond({ ":status": ERRORS[error.code].http, "content-type": "application/json" });
	stream.end(JSON.stringify({ error: { code: error.code, message: error.message } }));
	stream.resume();
}

function defaultCredentials(authority: Authority): { cert: string; key: string; ca: string[] } {
	const pin = authority.pinSha256();
	const own = authority.serverCertificates();
	const { certPem, rootPem, keyPem } = own.find(({ rootSha256 }) => rootSha256 === pin) ?? own[0]!;
	return { cert: certPem + rootPem, key: keyPem, ca: [...authority.bundle().rootsPem] };
}

/** By the server name under which a root is asked for. The root itself is shown too: a joining proxy has only its fingerprint. */
function contextsOf(authority: Authority): ReadonlyMap<string, SecureContext> {
	const ca = [...authority.bundle().rootsPem];
	return new Map(
		authority
			.serverCertificates()
			.map(({ rootSha256, certPem, rootPem, keyPem }) => [
				rootServerName(rootSha256),
				createSecureContext({ cert: certPem + rootPem, key: keyPem, ca, minVersion: "TLSv1.3" }),
			]),
	);
}

function bound(server: Http2SecureServer, { host, port }: StreamServerOptions["listen"]): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once("error", reject);
		server.listen(port, host, () => {
			server.off("error", reject);
			resolve();
		});
	});
}

function addressOf(server: Http2SecureServer): string {
	const { address, port, family } = server.address() as AddressInfo;
	return family === "IPv6" ? `[${address}]:${port}` : `${address}:${port}`;
}
