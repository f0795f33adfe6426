/** Connections of HTTP/2 to one endpoint, each shared by as many requests as the peer allows. */
import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { sortResponseHeaders, sortTrailers } from "../http/hop-headers.ts";
import { headerObject } from "../http/message.ts";
import type { ResponseSink, UpstreamCall, UpstreamFailure, UpstreamRequest } from "./call.ts";
import type { UpstreamConnection } from "./connector.ts";
import { createConnectionQueue, PENDING_OVERFLOW } from "./http-pool.ts";
import type { HttpPool, PoolSettings } from "./http-pool.ts";

/** What a peer that tells no limit is given (RFC 9113 section 6.5.2 recommends no less). */
const ASSUMED_STREAMS = 100;
const STREAM_WINDOW_BYTES = 1 << 20;
const SESSION_WINDOW_BYTES = 16 << 20;

/** NGHTTP2_FLAG_END_STREAM. */
const END_STREAM = 0x1;

const SESSION_OPTIONS = {
	settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
	// A proxy passes on what it was given, fields that should stand alone too.
	strictSingleValueFields: false,
};

interface PooledSession {
	readonly session: ClientHttp2Session;
	readonly facts: UpstreamConnection;
	streams: number;
	requests: number;
	/** Takes no more. */
	draining: boolean;
	gone: boolean;
}

export function createHttp2Pool(settings: PoolSettings): HttpPool {
	const live = new Set<PooledSession>();
	let closed = false;

	const queue = createConnectionQueue<PooledSession>(
		settings,
		() => live.size,
		(facts, counted) => {
			const session = connect("http://upstream", {
				...SESSION_OPTIONS,
				createConnection: () => facts.socket,
			});
			const pooled: PooledSession = { session, facts, streams: 0, requests: 0, draining: false, gone: false };
			live.add(pooled);
			session.on("error", () => {});
			session.on("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
			session.on("goaway", () => (pooled.draining = true));
			session.on("close", () => {
				if (pooled.gone) return;
				pooled.gone = true;
				live.delete(pooled);
				if (counted) settings.limits.endConnection();
				queue.onGone();
			});
			if (settings.idleTimeoutMs > 0) session.setTimeout(settings.idleTimeoutMs, () => retire(pooled));
			serveWaiting(pooled);
		},
	);

	function capacity(pooled: PooledSession): number {
		if (pooled.draining || pooled.gone || pooled.session.closed || pooled.session.destroyed) return 0;
		// Before the peer's settings are there, the limit is not known; node holds streams back that would be too many.
		const limit = pooled.session.remoteSettings.maxConcurrentStreams ?? ASSUMED_STREAMS;
		return Math.min(limit, 1 << 20) - pooled.streams;
	}

	function retire(pooled: PooledSession): void {
		pooled.draining = true;
		if (!pooled.session.closed) pooled.session.close();
	}

	function serveWaiting(pooled: PooledSession): void {
		while (capacity(pooled) > 0) {
			const next = queue.next();
			if (next === undefined) return;
			next.start(pooled);
		}
	}

	function send(pooled: PooledSession, request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
		const onReused = pooled.requests > 0;
		pooled.requests++;
		sink.onConnection(pooled.facts);
		let stream: ClientHttp2Stream;
		try {
			stream = pooled.session.request(headOf(request), {
				endStream: request.body === undefined,
				waitForTrailers: request.body !== undefined,
			});
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error);
			queueMicrotask(() => sink.onFailure({ reason: "reset", message, unprocessed: true, onReused: true, tlsReason: "" }));
			return { resume() {}, cancel() {} };
		}
		pooled.streams++;
		if (settings.maxRequestsPerConnection > 0 && pooled.requests >= settings.maxRequestsPerConnection) retire(pooled);
		const exchange = followStream(stream, request, sink, onReused);
		stream.once("close", () => {
			pooled.streams--;
			if (closed && pooled.streams === 0) retire(pooled);
			else serveWaiting(pooled);
		});
		return exchange;
	}

	return {
		call(request, sink) {
			for (const pooled of live) if (capacity(pooled) > 0) return send(pooled, request, sink);
			let running: UpstreamCall | undefined;
			const giveUp = queue.wait({
				start: (pooled) => (running = send(pooled, request, sink)),
				fail: (failure) => sink.onFailure(failure),
			});
			if (giveUp === undefined) {
				queueMicrotask(() => sink.onFailure(PENDING_OVERFLOW));
				return { resume() {}, cancel() {} };
			}
			return {
				resume: () => running?.resume(),
				cancel: () => (running === undefined ? giveUp() : running.cancel()),
			};
		},
		close() {
			closed = true;
			for (const pooled of live) if (pooled.streams === 0) retire(pooled);
		},
		get connections() {
			return live.size;
		},
	};
}

function headOf(request: UpstreamRequest): string[] {
	return [
		...[":method", request.method, ":scheme", request.scheme, ":authority", request.authority, ":path", request.path],
		...request.headers,
	];
}

function followStream(stream: ClientHttp2Stream, request: UpstreamRequest, sink: ResponseSink, onReused: boolean): UpstreamCall {
	let over = false;
	let answered = false;
	let ended = false;
	let trailers: readonly string[] = [];
	let reason = "";
	/** Over a connection that is a stream itself (a tunnel), node:http2 gives the first bytes before the head they came with. */
	const early: Buffer[] = [];
	const { body } = request;
	const reader = body?.open();
	stream.on("error", (error) => (reason = error.message));
	stream.on("headers", (headers, _flags, raw: readonly string[] = []) => {
		if (!over && headers[":status"] !== 100) sink.onInformational(Number(headers[":status"]), sortResponseHeaders(raw));
	});
	stream.on("response", (headers, flags, raw: readonly string[] = []) => {
		answered = true;
		if (!over) sink.onHead(Number(headers[":status"]), "", sortResponseHeaders(raw), (flags & END_STREAM) !== 0);
		for (const chunk of early.splice(0)) takeData(chunk);
	});
	stream.on("trailers", (_headers, _flags, raw: readonly string[] = []) => (trailers = raw));
	const takeData = (chunk: Buffer): void => {
		if (!over && !sink.onData(chunk)) stream.pause();
	};
	stream.on("data", (chunk: Buffer) => {
		if (answered) takeData(chunk);
		else early.push(chunk);
	});
	stream.on("end", () => (ended = true));
	stream.on("close", () => {
		reader?.destroy();
		if (over) return;
		over = true;
		// A response is whole with END_STREAM; that the server then stops reading the request takes nothing away from it.
		if (ended && answered && stream.rstCode === constants.NGHTTP2_NO_ERROR) sink.onEnd(sortTrailers(trailers));
		else sink.onFailure(failureOf(stream, reason, onReused && !answered));
	});
	if (reader !== undefined && body !== undefined) {
		stream.on("wantTrailers", () => {
			if (stream.destroyed || stream.closed) return;
			try {
				stream.sendTrailers(headerObject(body.trailers));
			} catch {
				stream.close(constants.NGHTTP2_INTERNAL_ERROR);
			}
		});
		reader.on("close", () => {
			if (!reader.readableEnded && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
		});
		reader.pipe(stream);
	}
	return {
		resume() {
			if (!over) stream.resume();
		},
		cancel() {
			if (over) return;
			over = true;
			stream.close(constants.NGHTTP2_CANCEL);
		},
	};
}

function failureOf(stream: ClientHttp2Stream, message: string, onReused: boolean): UpstreamFailure {
	const code = stream.rstCode;
	const refused = code === constants.NGHTTP2_REFUSED_STREAM;
	const broken = code === constants.NGHTTP2_PROTOCOL_ERROR || code === constants.NGHTTP2_FRAME_SIZE_ERROR;
	return {
		reason: refused ? "refused_stream" : broken ? "protocol" : "reset",
		message: message === "" ? `the stream ended with code ${code ?? 0}` : message,
		unprocessed: refused,
		onReused,
		tlsReason: "",
	};
}
