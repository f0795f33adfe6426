/**
 * HTTP/1.1 and HTTP/2 over connections that were accepted elsewhere: parsed strictly, and handed on one exchange at a time. What cannot
 * be read in one way only is refused with 400 and the connection ended.
 */
import type { IncomingMessage, ServerResponse as Http1Response } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { serveCaller } from "../fast/caller.ts";
import type { CallerHandle } from "../fast/caller.ts";
import { announceEnd, LINGER_MS } from "./announce-end.ts";
import type { CallerConnection, Downstream } from "./downstream.ts";
import { Http1Downstream, readHttp1Head } from "./downstream-http1.ts";
import { Http2Downstream, readHttp2Head } from "./downstream-http2.ts";
import { createServer as createHttp1Server, ServerResponse } from "./node-http.ts";

/** `fast` takes plain HTTP/1.1 over bare sockets (fast/) and leaves the rest to `correct`, node's parsers. Both forward the same bytes. */
export type Tier = "fast" | "correct";

export interface HttpServerHandlers {
	readonly onExchange: (down: Downstream) => void;
	/** A connection sent what is no request; it was answered with `status` and ended. */
	readonly onMalformed: (connection: CallerConnection | undefined, status: number) => void;
}

export interface HttpServer {
	/** A connection of which nothing was read, or what was read is unshifted again. */
	accept(socket: Socket, connection: CallerConnection, protocol: "http1" | "http2"): void;
	/** Exchanges under way; while it drains, also one for idle connections on which a request may be on its way. */
	readonly active: number;
	/** Connections end with their next response, idle ones a little later; HTTP/2 callers are told by GOAWAY. */
	drain(): void;
	/** What is still there is cut off. */
	close(): void;
}

const MAX_HEAD_BYTES = 64 * 1024;
/** A head that does not arrive in this time is given up; bodies may take as long as they need. */
const HEAD_TIMEOUT_MS = 60_000;
/** Envoy's idle time of a connection. */
const KEEP_ALIVE_MS = 3_600_000;
const STREAM_WINDOW_BYTES = 1 << 20;
const SESSION_WINDOW_BYTES = 16 << 20;
const MAX_STREAMS = 1_024;

export function createHttpServer(handlers: HttpServerHandlers, tier: Tier): HttpServer {
	const connections = new WeakMap<Duplex, CallerConnection>();
	const sockets = new Set<Duplex>();
	const callers = new Set<CallerHandle>();
	const sessions = new Set<ServerHttp2Session>();
	const sessionConnections = new WeakMap<object, CallerConnection>();
	let accepting: CallerConnection | undefined;
	let active = 0;
	let draining = false;
	let closed = false;
	let lingering: NodeJS.Timeout | undefined;

	const http1 = createHttp1Server({
		insecureHTTPParser: false,
		requireHostHeader: false,
		maxHeaderSize: MAX_HEAD_BYTES,
		headersTimeout: HEAD_TIMEOUT_MS,
		requestTimeout: 0,
		keepAliveTimeout: KEEP_ALIVE_MS,
		noDelay: true,
		// h2c by Upgrade is obsolete (RFC 9113 section 3.1): the request is answered as it is.
		shouldUpgradeCallback: (message) => !/(?:^|[\s,])h2c\s*(?:,|$)/i.test(message.headers.upgrade ?? ""),
	});
	http1.maxHeadersCount = 0;
	// It never listens itself, and so has to be told to keep the time of heads.
	http1.emit("listening");

	const takeHttp1 = (message: IncomingMessage, response: Http1Response, upgradeHead: Buffer | undefined): void => {
		const connection = connections.get(message.socket);
		if (connection === undefined) {
			message.socket.destroy();
			return;
		}
		const head = readHttp1Head(message, connection.tls.status !== "plaintext");
		if (typeof head === "string") {
			refuse(message.socket, 400, head);
			handlers.onMalformed(connection, 400);
			return;
		}
		active++;
		response.once("close", onExchangeOver);
		handlers.onExchange(new Http1Downstream(message, response, head, connection, upgradeHead, () => draining));
	};
	http1.on("request", (message, response) => takeHttp1(message, response, undefined));
	// The caller is told to go on when somebody reads its body, not before the request is allowed.
	http1.on("checkContinue", (message, response) => takeHttp1(message, response, undefined));
	http1.on("upgrade", (message: IncomingMessage, socket: Duplex, head: Buffer) => {
		const response = new ServerResponse(message);
		response.shouldKeepAlive = false;
		response.assignSocket(message.socket);
		socket.on("error", () => {});
		takeHttp1(message, response, head);
	});
	http1.on("connect", (message: IncomingMessage, socket: Duplex) => {
		handlers.onMalformed(connections.get(message.socket), 405);
		refuse(socket, 405, "CONNECT is not served here: ask for a path");
	});
	http1.on("clientError", (error: NodeJS.ErrnoException, socket) => {
		if (error.code === "ECONNRESET" || !socket.writable) {
			socket.destroy();
			return;
		}
		const status = error.code === "HPE_HEADER_OVERFLOW" ? 431 : error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
		handlers.onMalformed(connections.get(socket), status);
		refuse(socket, status, status === 400 ? "the request cannot be read in one way only" : "");
	});

	const http2 = createHttp2Server({
		// A proxy passes on what it was given, a second Content-Type too.
		strictSingleValueFields: false,
		settings: {
			initialWindowSize: STREAM_WINDOW_BYTES,
			maxConcurrentStreams: MAX_STREAMS,
			maxHeaderListSize: MAX_HEAD_BYTES,
		},
	});
	http2.on("session", (session) => {
		sessions.add(session);
		if (accepting !== undefined) sessionConnections.set(session, accepting);
		session.setLocalWindowSize(SESSION_WINDOW_BYTES);
		session.on("error", () => {});
		session.on("close", () => sessions.delete(session));
		session.setTimeout(KEEP_ALIVE_MS, () => session.close());
		if (draining) announceEnd(session);
	});
	http2.on("sessionError", () => {});
	http2.on("stream", (stream: ServerHttp2Stream, _headers: unknown, flags: number, raw: readonly string[]) => {
		stream.on("error", () => {});
		const connection = connectionOf(stream);
		if (connection === undefined) {
			stream.close();
			return;
		}
		const head = readHttp2Head(raw);
		if (typeof head === "string" || head.method === "CONNECT") {
			const status = typeof head === "string" ? 400 : 405;
			handlers.onMalformed(connection, status);
			stream.respond({ ":status": status, "content-type": "text/plain" });
			stream.end(typeof head === "string" ? head : "CONNECT is not served here: ask for a path");
			return;
		}
		active++;
		stream.once("close", onExchangeOver);
		handlers.onExchange(new Http2Downstream(stream, head, connection, (flags & END_STREAM) !== 0));
	});

	function onExchangeOver(): void {
		active--;
		if (draining && !closed) linger();
	}

	function linger(): void {
		clearTimeout(lingering);
		lingering = setTimeout(() => {
			lingering = undefined;
			http1.closeIdleConnections();
			for (const caller of callers) caller.drain();
		}, LINGER_MS);
	}

	function connectionOf(stream: ServerHttp2Stream): CallerConnection | undefined {
		const { session } = stream;
		return session === undefined ? undefined : sessionConnections.get(session);
	}

	function acceptParsed(socket: Socket): void {
		http1.emit("connection", socket);
		// Whoever looked at its first bytes left it paused.
		socket.resume();
	}

	function acceptFast(socket: Socket, connection: CallerConnection): void {
		const caller = serveCaller(socket, {
			connection,
			isTls: connection.tls.status !== "plaintext",
			onRequest(down) {
				active++;
				handlers.onExchange(down);
			},
			onRequestOver: onExchangeOver,
			handOver(own, first) {
				callers.delete(caller);
				if (first.length > 0) own.unshift(first);
				acceptParsed(own);
			},
			draining: () => draining,
			headTimeoutMs: HEAD_TIMEOUT_MS,
			idleTimeoutMs: KEEP_ALIVE_MS,
		});
		callers.add(caller);
		socket.once("close", () => callers.delete(caller));
		socket.resume();
	}

	return {
		accept(socket, connection, protocol) {
			socket.on("error", () => {});
			connections.set(socket, connection);
			sockets.add(socket);
			socket.once("close", () => sockets.delete(socket));
			if (protocol === "http1") {
				if (tier === "fast") acceptFast(socket, connection);
				else acceptParsed(socket);
				return;
			}
			// An HTTP/2 caller that ends its side has nothing more to say, GOAWAY or not: as node's own server takes it.
			socket.allowHalfOpen = false;
			// The session is made while the event is handled, which is how the two are brought together.
			accepting = connection;
			http2.emit("connection", socket);
			accepting = undefined;
		},
		get active() {
			return active + (lingering !== undefined && sockets.size > 0 ? 1 : 0);
		},
		drain() {
			if (draining) return;
			draining = true;
			for (const session of sessions) announceEnd(session);
			linger();
		},
		close() {
			draining = true;
			closed = true;
			clearTimeout(lingering);
			lingering = undefined;
			http1.close();
			for (const session of sessions) session.destroy();
			for (const socket of sockets) socket.destroy();
		},
	};
}

/** NGHTTP2_FLAG_END_STREAM. */
const END_STREAM = 0x1;

const REASONS: Readonly<Record<number, string>> = {
	400: "Bad Request",
	405: "Method Not Allowed",
	408: "Request Timeout",
	431: "Request Header Fields Too Large",
};

/** Answers on the bare connection and ends it. */
function refuse(socket: Duplex, status: number, message: string): void {
	socket.on("error", () => {});
	if (!socket.writable) {
		socket.destroy();
		return;
	}
	const allow = status === 405 ? "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "";
	socket.end(
		`HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${allow}content-type: text/plain\r\ncontent-length: ${message.length}\r\nconnection: close\r\n\r\n${message}`,
		"latin1",
	);
}
