/** One connection of HTTP/1.1: an undici `Client` over a socket that is there already, with one request at a time. */
import { createRequire } from "node:module";
import type { Client, Dispatcher } from "undici";
import { sortResponseHeaders, sortTrailers } from "../http/hop-headers.ts";
import type { ResponseSink, UpstreamFailure, UpstreamRequest } from "./call.ts";
import type { UpstreamConnection } from "./connector.ts";

const require = createRequire(import.meta.url);

/**
 * Loaded with the first request that is not plain, and of undici the client alone: all of it is 17 MB, and a proxy whose traffic is
 * plain never needs any.
 */
function createClient(...args: ConstructorParameters<typeof Client>): Client {
	const loaded: new (...given: typeof args) => Client = require("undici/lib/dispatcher/client.js");
	return new loaded(...args);
}

const MAX_HEAD_BYTES = 64 * 1024;
/** A server that tells how long it keeps a connection is asked for the last time this much earlier. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
const GONE = "the connection had ended";

export interface Http1Connection {
	readonly facts: UpstreamConnection;
	readonly requests: number;
	readonly usable: boolean;
	/** `onFree` is called once the connection can take the next, not at all when it has ended. */
	send(request: UpstreamRequest, sink: ResponseSink, onFree: () => void): { resume(): void; cancel(): void };
	/** Ends it after what is under way. */
	close(): void;
}

export function createHttp1Connection(facts: UpstreamConnection, idleTimeoutMs: number, onGone: () => void): Http1Connection {
	let given = false;
	let gone = false;
	let closing = false;
	let requests = 0;
	// Plain http: whether the socket is TLS is none of undici's business, which would verify names by the Host of each request.
	const client = createClient("http://upstream", {
		connect: (_options, callback) => {
			if (given) {
				callback(new Error(GONE), null);
				return;
			}
			given = true;
			// Undici does not hear of a connection that it is given while it still asks for it.
			queueMicrotask(() => callback(null, facts.socket));
		},
		pipelining: 1,
		allowH2: false,
		headersTimeout: 0,
		bodyTimeout: 0,
		keepAliveTimeout: Math.max(1, idleTimeoutMs),
		keepAliveMaxTimeout: Math.max(1, idleTimeoutMs),
		keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
		maxHeaderSize: MAX_HEAD_BYTES,
	});
	const leave = (): void => {
		if (gone) return;
		gone = true;
		onGone();
		client.destroy().catch(() => {});
	};
	client.on("disconnect", leave);
	client.on("connectionError", leave);
	// It may end between being made and its first request.
	facts.socket.once("close", leave);

	return {
		facts,
		get requests() {
			return requests;
		},
		get usable() {
			return !gone && !closing && !facts.socket.destroyed && facts.socket.writable;
		},
		send(request, sink, onFree) {
			const onReused = requests > 0;
			requests++;
			let controller: Dispatcher.DispatchController | undefined;
			let over = false;
			let answered = false;
			const fail = (failure: UpstreamFailure): void => {
				if (over) return;
				over = true;
				sink.onFailure(failure);
			};
			sink.onConnection(facts);
			if (over) return { resume() {}, cancel() {} };
			const options = {
				method: request.method as Dispatcher.HttpMethod,
				path: request.path,
				headers: ["host", request.authority, ...request.headers],
				body: request.body?.open() ?? null,
			};
			client.dispatch(options, {
				onRequestStart(started) {
					controller = started;
					if (over) started.abort(new Error("cancelled"));
				},
				onResponseStart(running, status, _parsed, statusMessage) {
					if (over) return;
					const raw = rawFields(running.rawHeaders);
					if (status < 200) {
						sink.onInformational(status, sortResponseHeaders(raw));
						return;
					}
					answered = true;
					sink.onHead(status, statusMessage ?? "", sortResponseHeaders(raw), false);
				},
				onResponseData(running, chunk) {
					if (!over && !sink.onData(chunk)) running.pause();
				},
				onResponseEnd(running) {
					if (over) return;
					over = true;
					const raw = rawFields(running.rawTrailers);
					// What the connection becomes is known when its parser is done with this message.
					process.nextTick(onFree);
					sink.onEnd(raw.length === 0 ? [] : sortTrailers(raw));
				},
				onResponseError(_controller, error) {
					fail(failureOf(error, onReused && !answered));
				},
			});
			return {
				resume() {
					if (!over) controller?.resume();
				},
				cancel() {
					if (over) return;
					over = true;
					controller?.abort(new Error("cancelled"));
					if (controller === undefined) client.destroy().catch(() => {});
				},
			};
		},
		close() {
			if (closing) return;
			closing = true;
			client.close().catch(() => {});
			if (!given) facts.socket.destroy();
		},
	};
}

function rawFields(raw: Dispatcher.DispatchController["rawHeaders"]): readonly (string | Buffer)[] {
	return Array.isArray(raw) ? raw : [];
}

function failureOf(error: Error & { readonly code?: string }, onReused: boolean): UpstreamFailure {
	const { code = "", message } = error;
	if (message === GONE) return { reason: "reset", message, unprocessed: true, onReused: true, tlsReason: "" };
	if (code === "UND_ERR_INVALID_ARG" || code === "UND_ERR_NOT_SUPPORTED") {
		return { reason: "protocol", message, unprocessed: true, onReused: false, tlsReason: "" };
	}
	if (code.startsWith("HPE_") || code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH" || code === "UND_ERR_HEADERS_OVERFLOW") {
		return { reason: "protocol", message, unprocessed: false, onReused: false, tlsReason: "" };
	}
	return { reason: "reset", message, unprocessed: false, onReused, tlsReason: "" };
}
