/**
 * The seldom requests that a shared connection cannot carry: those with trailers to come, `OPTIONS *`, and upgrades. Each gets a
 * connection of its own through node's client.
 */
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { sortResponseHeaders, sortTrailers } from "../http/hop-headers.ts";
import { headerValue } from "../http/message.ts";
import { request as httpRequest } from "../http/node-http.ts";
import type { ResponseSink, UpstreamCall, UpstreamFailure, UpstreamRequest } from "./call.ts";
import type { PoolSettings } from "./http-pool.ts";

/** Undici has no way to send trailers, and knows no target but a path. */
export function needsDedicatedConnection(request: UpstreamRequest): boolean {
	return request.path === "*" || (request.body !== undefined && headerValue(request.headers, "trailer") !== undefined);
}

/** What an upgrade has beside a response. */
export interface UpgradeSink extends ResponseSink {
	onUpgrade(headers: readonly string[], socket: Duplex, head: Buffer): void;
}

export function dedicatedCall(
	request: UpstreamRequest,
	sink: ResponseSink | UpgradeSink,
	settings: Pick<PoolSettings, "connect" | "limits">,
): UpstreamCall {
	const { limits } = settings;
	let over = false;
	let outgoing: ClientRequest | undefined;
	let incoming: IncomingMessage | undefined;
	const fail = (reason: UpstreamFailure["reason"], message: string, unprocessed: boolean, tlsReason = ""): void => {
		if (over) return;
		over = true;
		outgoing?.destroy();
		sink.onFailure({ reason, message, unprocessed, onReused: false, tlsReason });
	};
	if (!limits.tryConnection()) {
		queueMicrotask(() => fail("pending_overflow", "too many connections", true));
		return { resume() {}, cancel: () => void (over = true) };
	}
	const giveUp = settings.connect((failure, connection) => {
		if (connection === undefined) {
			limits.endConnection();
			fail(failure?.reason ?? "connect_failure", failure?.message ?? "no connection", true, failure?.tlsReason);
			return;
		}
		connection.socket.once("close", () => limits.endConnection());
		if (over) {
			connection.socket.destroy();
			return;
		}
		sink.onConnection(connection);
		const framing = framingOf(request);
		outgoing = httpRequest({
			createConnection: () => connection.socket,
			method: request.method,
			path: request.path,
			headers: [...framing, ...request.headers, "host", request.authority],
			setHost: false,
			setDefaultHeaders: false,
		});
		outgoing.on("error", (error) => fail("reset", error.message, false));
		outgoing.on("information", (info) => {
			if (!over && info.statusCode !== 101) sink.onInformational(info.statusCode, sortResponseHeaders(info.rawHeaders));
		});
		outgoing.on("upgrade", (message, socket, head) => {
			if (over || !("onUpgrade" in sink)) {
				socket.destroy();
				fail("protocol", "an upgrade that nobody asked for", false);
				return;
			}
			over = true;
			sink.onUpgrade(message.rawHeaders, socket, head);
		});
		outgoing.on("response", (message) => {
			incoming = message;
			message.on("error", () => fail("reset", "the response broke off", false));
			message.on("data", (chunk: Buffer) => {
				if (!over && !sink.onData(chunk)) message.pause();
			});
			message.on("end", () => {
				if (over) return;
				over = true;
				sink.onEnd(sortTrailers(message.rawTrailers));
				connection.socket.destroy();
			});
			message.on("close", () => fail("reset", "the response broke off", false));
			const headers = sortResponseHeaders(message.rawHeaders);
			if (!over) sink.onHead(message.statusCode ?? 0, message.statusMessage ?? "", headers, false);
		});
		writeBody(request, outgoing);
	});
	return {
		resume: () => void incoming?.resume(),
		cancel() {
			if (over) return;
			over = true;
			giveUp();
			outgoing?.destroy();
		},
	};
}

function framingOf(request: UpstreamRequest): string[] {
	const upgrade = headerValue(request.headers, "upgrade");
	// The caller's own fields, where it is an upgrade: they were taken off as belonging to its connection.
	if (upgrade !== undefined) return ["connection", "upgrade"];
	const length = headerValue(request.headers, "content-length");
	const chunked = request.body !== undefined && length === undefined;
	return chunked ? ["connection", "close", "transfer-encoding", "chunked"] : ["connection", "close"];
}

function writeBody(request: UpstreamRequest, outgoing: ClientRequest): void {
	const { body } = request;
	if (body === undefined) {
		outgoing.end();
		return;
	}
	const reader = body.open();
	outgoing.on("close", () => reader.destroy());
	reader.on("close", () => {
		if (!reader.readableEnded) outgoing.destroy();
	});
	reader.on("end", () => {
		const pairs: [string, string][] = [];
		for (let i = 0; i < body.trailers.length; i += 2) pairs.push([body.trailers[i]!, body.trailers[i + 1]!]);
		if (pairs.length > 0) outgoing.addTrailers(pairs);
		outgoing.end();
	});
	reader.pipe(outgoing, { end: false });
}
