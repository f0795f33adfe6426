/**
 * A gRPC server on node:http2 for a table of services.
 *
 * It exists beside @grpc/grpc-js because that cannot decode zstd, buffers a message before its size is checked, and spends more
 * processor time a message. The server owns sessions and calls; a call owns its reader until the stream is closed.
 */
import { constants, createSecureServer, createServer } from "node:http2";
import type {
	Http2Server,
	IncomingHttpHeaders,
	SecureServerOptions,
	ServerHttp2Session,
	ServerHttp2Stream,
	ServerOptions,
} from "node:http2";
import { MeshscopeError } from "../../model/errors.ts";
import { GrpcExchange, STREAM_WINDOW_BYTES } from "./grpc-exchange.ts";
import type { GrpcMethod, GrpcService } from "./grpc-service.ts";
import { tlsOptions } from "./http-receiver.ts";
import type { RunningReceiver } from "./http-receiver.ts";
import { SELF_HEADER, printable } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { listen } from "./listen.ts";
import { SessionReads } from "./session-reads.ts";
import type { ListenAddress, ReceiverLimits, ReceiverTls } from "./settings.ts";

/** As the window of a stream, for all streams of a connection together. */
const SESSION_WINDOW_BYTES = 16 * 1024 * 1024;
/** Fewer, larger DATA frames from clients that follow it (16 KiB is the default); node hands on at most 64 KiB at a time anyway. */
const MAX_FRAME_BYTES = 64 * 1024;
const MAX_HEADER_LIST_BYTES = 16 * 1024;

export async function startGrpcServer(
	ingress: Ingress,
	services: readonly GrpcService[],
	address: ListenAddress,
	tls: ReceiverTls | undefined,
): Promise<RunningReceiver> {
	const { limits, log } = ingress;
	const methods = methodTable(services);
	const options: ServerOptions & { keepAlive: boolean; keepAliveInitialDelay: number; noDelay: boolean } = {
		settings: {
			maxConcurrentStreams: limits.maxConcurrentStreams,
			initialWindowSize: STREAM_WINDOW_BYTES,
			maxFrameSize: MAX_FRAME_BYTES,
			maxHeaderListSize: MAX_HEADER_LIST_BYTES,
			enablePush: false,
		},
		maxHeaderListPairs: 100,
		maxSettings: 32,
		maxOutstandingPings: 10,
		// A peer that goes on after so many invalid frames or refused streams is not a client; node's own limits are 1,000 and 100.
		maxSessionInvalidFrames: 100,
		maxSessionRejectedStreams: 100,
		// Rapid reset: a burst of 500 cancelled calls, then 50 a second, before the connection is ended.
		streamResetBurst: 500,
		streamResetRate: 50,
		unknownProtocolTimeout: limits.headersTimeoutMs,
		keepAlive: true,
		keepAliveInitialDelay: 30_000,
		noDelay: true,
	};
	const secure: SecureServerOptions | undefined = tls && {
		...options,
		...tlsOptions(tls),
		handshakeTimeout: limits.headersTimeoutMs,
		ALPNProtocols: ["h2"],
	};
	const server: Http2Server =
		secure === undefined ? createServer(options) : (createSecureServer(secure) as unknown as Http2Server);
	server.maxConnections = limits.maxConnections;

	const sessions = new Set<ServerHttp2Session>();
	server.on("session", (session) => {
		sessions.add(session);
		session.on("close", () => sessions.delete(session));
		const reads = guardSession(session, ingress);
		session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
			reads.add(stream);
			openCall(ingress, methods, services, reads, stream, headers);
		});
	});
	server.on("sessionError", (error: Error) => {
		log("debug", "HTTP/2 connection ended", { receiver: "otlpGrpc", reason: printable(error.message) });
	});
	server.on("tlsClientError", (error: Error) => {
		log("debug", "TLS handshake failed", { receiver: "otlpGrpc", reason: printable(error.message) });
	});

	const bound = await listen(server, address, "otlpGrpc");
	return { address: bound, close: (graceMs) => closeGrpc(server, sessions, services, graceMs) };
}

function methodTable(services: readonly GrpcService[]): ReadonlyMap<string, GrpcMethod> {
	const table = new Map<string, GrpcMethod>();
	for (const service of services) {
		for (const [name, method] of Object.entries(service.methods)) table.set(`/${service.name}/${name}`, method);
	}
	return table;
}

function guardSession(session: ServerHttp2Session, ingress: Ingress): SessionReads {
	// Errors of one peer end its session, nothing else; they are logged through "sessionError".
	session.on("error", () => {});
	session.setLocalWindowSize(SESSION_WINDOW_BYTES);
	const preface = setTimeout(() => session.destroy(), ingress.limits.headersTimeoutMs);
	session.once("remoteSettings", () => clearTimeout(preface));
	session.once("close", () => clearTimeout(preface));
	// "timeout" means that nothing moved. A stream that is open meanwhile is one that waits for a commit, watches health or has no log
	// to send; whether its client is still there only an answer shows.
	const reads = new SessionReads();
	session.on("timeout", () => {
		if (reads.open === 0) session.close();
		else askIfAlive(session, ingress.limits);
	});
	session.setTimeout(ingress.limits.idleSessionTimeoutMs);
	return reads;
}

function askIfAlive(session: ServerHttp2Session, limits: ReceiverLimits): void {
	if (session.destroyed) return;
	const silent = setTimeout(() => session.destroy(), limits.headersTimeoutMs);
	session.once("close", () => clearTimeout(silent));
	session.ping((error) => {
		if (error !== null) return;
		clearTimeout(silent);
		if (!session.destroyed) session.setTimeout(limits.idleSessionTimeoutMs);
	});
}

function openCall(
	ingress: Ingress,
	methods: ReadonlyMap<string, GrpcMethod>,
	services: readonly GrpcService[],
	reads: SessionReads,
	stream: ServerHttp2Stream,
	headers: IncomingHttpHeaders,
): void {
	stream.on("error", () => {});
	const type = /^application\/grpc(\+proto)?\s*(;|$)/i;
	if (headers[":method"] !== "POST" || !type.test(headers["content-type"] ?? "")) {
		// Not gRPC: a plain HTTP answer, as the gRPC protocol asks for.
		const status = headers[":method"] === "POST" ? 415 : 405;
		stream.respond({ ":status": status, ...(status === 405 ? { allow: "POST" } : {}) }, { endStream: true });
		stream.close(constants.NGHTTP2_NO_ERROR);
		return;
	}
	const path = headers[":path"] ?? "";
	const method = methods.get(path);
	const call = new GrpcExchange(ingress, stream, reads, {
		signal: method?.signal,
		encoding: single(headers["grpc-encoding"]),
		self: (headers[SELF_HEADER]?.length ?? 0) > 0,
	});
	if (method === undefined) {
		const served = services.map(({ name, methods: own }) => `${name} (${Object.keys(own).join(", ")})`).join(", ");
		call.refuse(new MeshscopeError("unimplemented", `There is no method ${printable(path)}. Served here: ${served}.`));
	} else if (method.authenticated && !ingress.authorized(headers.authorization)) {
		call.refuse(new MeshscopeError("unauthenticated", "Send `authorization: Bearer <token>` metadata with an ingest token."));
	} else if (method.authenticated && ingress.draining()) {
		call.refuse(
			new MeshscopeError("shutting_down", "The server is shutting down.", {
				retryAfterMs: ingress.limits.overloadRetryAfterMs,
			}),
		);
	} else {
		call.run(method);
	}
}

function single(header: string | readonly string[] | undefined): string | undefined {
	return typeof header === "string" ? header : header?.[0];
}

/** Every session is told to go away and ends with its last call; what is left after `graceMs` is cut. */
function closeGrpc(
	server: Http2Server,
	sessions: ReadonlySet<ServerHttp2Session>,
	services: readonly GrpcService[],
	graceMs: number,
): Promise<void> {
	return new Promise((resolve) => {
		const cut = setTimeout(() => {
			for (const session of sessions) session.destroy();
		}, graceMs);
		server.close(() => {
			clearTimeout(cut);
			resolve();
		});
		for (const service of services) service.drain?.();
		for (const session of sessions) session.close();
	});
}
