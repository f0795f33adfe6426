/**
 * One connection of HTTP/1.1 to an upstream over the bare socket, one request at a time: the fast tier's counterpart of
 * upstream/http1-connection.ts. It sends requests without a body or with a Content-Length, and takes any answer that can be framed in
 * one way only.
 */
import type { Readable } from "node:stream";
import { sortResponseHeaders, sortTrailers } from "../http/hop-headers.ts";
import { headerValue } from "../http/message.ts";
import type { ResponseSink, UpstreamFailure, UpstreamRequest } from "../upstream/call.ts";
import type { UpstreamConnection } from "../upstream/connector.ts";
import type { Http1Connection } from "../upstream/http1-connection.ts";
import { createChunkedReader } from "./chunked.ts";
import type { ChunkedReader } from "./chunked.ts";
import { readResponseHead } from "./response-head.ts";
import type { ResponseHead } from "./response-head.ts";

/** A server that tells how long it keeps a connection is asked for the last time this much earlier. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
const NOTHING = Buffer.alloc(0);

/** Whether a request can go over such a connection; the others go over upstream/http1-connection.ts. */
export function isPlainRequest(request: UpstreamRequest): boolean {
	return request.body === undefined || headerValue(request.headers, "content-length") !== undefined;
}

interface Exchange {
	readonly sink: ResponseSink;
	readonly toHead: boolean;
	readonly onReused: boolean;
	readonly onFree: () => void;
	/** Undefined where there is no body, or all of it was written. */
	body: Readable | undefined;
	head: ResponseHead | undefined;
	/** Of a body with a length. */
	remaining: number;
	chunks: ChunkedReader | undefined;
	/** A byte of the answer came. */
	answered: boolean;
}

/** `onGone` is called once, when the connection can carry nothing any more. */
export function createRawConnection(facts: UpstreamConnection, idleTimeoutMs: number, onGone: () => void): Http1Connection {
	const { socket } = facts;
	let current: Exchange | undefined;
	/** An incomplete head. */
	let rest: Buffer = NOTHING;
	let requests = 0;
	let closing = false;
	let gone = false;
	let failed: Error | undefined;
	let usableUntilMs = Number.POSITIVE_INFINITY;

	socket.setTimeout(Math.max(1, idleTimeoutMs));
	socket.on("timeout", () => {
		if (current === undefined) leave();
	});
	socket.on("data", onData);
	socket.on("error", (error) => (failed = error));
	socket.on("end", () => {
		if (current?.head?.framing.kind === "close") finish();
		else leave();
	});
	socket.on("close", leave);

	function leave(): void {
		if (!gone) {
			gone = true;
			onGone();
			socket.destroy();
		}
		const exchange = take();
		if (exchange === undefined) return;
		const message = failed?.message ?? "the upstream closed the connection";
		// A connection that closed before a byte of the answer, and had carried answers before, was most likely closed as idle.
		fail(exchange, {
			reason: "reset",
			message,
			unprocessed: false,
			onReused: exchange.onReused && !exchange.answered,
			tlsReason: "",
		});
	}

	/** The exchange under way, which is over from here on. */
	function take(): Exchange | undefined {
		const exchange = current;
		current = undefined;
		return exchange;
	}

	function fail(exchange: Exchange, failure: UpstreamFailure): void {
		exchange.body?.destroy();
		exchange.sink.onFailure(failure);
	}

	function refuse(reason: string): void {
		const exchange = take();
		leave();
		if (exchange === undefined) return;
		const message = `the upstream's answer cannot be read: ${reason}`;
		fail(exchange, { reason: "protocol", message, unprocessed: false, onReused: false, tlsReason: "" });
	}

	function onData(chunk: Buffer): void {
		const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
		rest = NOTHING;
		let at = 0;
		while (at < bytes.length) {
			const exchange = current;
			// Nobody asked: what an idle connection says cannot be the answer to the next request.
			if (exchange === undefined) return leave();
			exchange.answered = true;
			if (exchange.head === undefined) {
				const read = readResponseHead(bytes, at, exchange.toHead);
				if (read.kind === "incomplete") {
					rest = bytes.subarray(at);
					return;
				}
				if (read.kind === "bad") return refuse(read.reason);
				at = read.endOffset;
				if (read.status === 101) return refuse("an upgrade that nobody asked for");
				if (read.status < 200) exchange.sink.onInformational(read.status, sortResponseHeaders(read.fields));
				else begin(exchange, read);
				continue;
			}
			at += takeBody(exchange, exchange.head, bytes, at);
		}
	}

	function begin(exchange: Exchange, head: ResponseHead): void {
		exchange.head = head;
		if (head.keepAliveSeconds !== undefined)
			usableUntilMs = performance.now() + Math.max(0, head.keepAliveSeconds * 1_000 - KEEP_ALIVE_MARGIN_MS);
		exchange.sink.onHead(head.status, head.reason, sortResponseHeaders(head.fields), false);
		if (current !== exchange) return;
		if (head.framing.kind === "length") exchange.remaining = head.framing.bytes;
		if (head.framing.kind === "chunked") exchange.chunks = createChunkedReader((slice) => give(exchange, slice));
		if (head.framing.kind === "none" || (head.framing.kind === "length" && exchange.remaining === 0)) finish();
	}

	/** Returns how many bytes were of this exchange. */
	function takeBody(exchange: Exchange, head: ResponseHead, bytes: Buffer, at: number): number {
		if (exchange.chunks !== undefined) {
			const taken = exchange.chunks.advance(bytes, at);
			if (exchange.chunks.bad) refuse("its chunks are malformed");
			else if (exchange.chunks.done && current === exchange) finish();
			return exchange.chunks.bad ? bytes.length - at : taken;
		}
		const available = bytes.length - at;
		const taken = head.framing.kind === "length" ? Math.min(exchange.remaining, available) : available;
		exchange.remaining -= taken;
		give(exchange, at === 0 && taken === bytes.length ? bytes : bytes.subarray(at, at + taken));
		if (head.framing.kind === "length" && exchange.remaining === 0 && current === exchange) finish();
		return taken;
	}

	function give(exchange: Exchange, slice: Buffer): void {
		if (current === exchange && !exchange.sink.onData(slice)) socket.pause();
	}

	function finish(): void {
		const exchange = take();
		if (exchange?.head === undefined) return;
		// An answer before the request was complete: what is left of it would be taken for the next one.
		const reusable = exchange.head.reusable && exchange.body === undefined && !closing && !socket.destroyed;
		exchange.body?.destroy();
		if (socket.isPaused()) socket.resume();
		exchange.sink.onEnd(exchange.chunks === undefined ? [] : sortTrailers(exchange.chunks.trailers));
		if (reusable) exchange.onFree();
		else leave();
	}

	function sendBody(exchange: Exchange, body: Readable): void {
		exchange.body = body;
		body.on("data", (chunk: Buffer) => {
			if (current === exchange && !socket.write(chunk)) body.pause();
		});
		body.on("end", () => (exchange.body = undefined));
		body.on("close", () => {
			// It broke off before its length: the connection cannot be told apart from here.
			if (exchange.body !== undefined && current === exchange) leave();
		});
	}

	socket.on("drain", () => current?.body?.resume());

	return {
		facts,
		get requests() {
			return requests;
		},
		get usable() {
			return !gone && !closing && !socket.destroyed && socket.writable && performance.now() < usableUntilMs;
		},
		send(request, sink, onFree) {
			const exchange: Exchange = {
				sink,
				toHead: request.method === "HEAD",
				onReused: requests > 0,
				onFree,
				body: undefined,
				head: undefined,
				remaining: 0,
				chunks: undefined,
				answered: false,
			};
			requests++;
			current = exchange;
			sink.onConnection(facts);
			if (current === exchange) {
				socket.write(headText(request), "latin1");
				if (request.body !== undefined) sendBody(exchange, request.body.open());
			}
			return {
				resume: () => {
					if (current === exchange) socket.resume();
				},
				cancel() {
					if (current !== exchange) return;
					current = undefined;
					exchange.body?.destroy();
					leave();
				},
			};
		},
		close() {
			closing = true;
			if (current === undefined) leave();
		},
	};
}

function headText(request: UpstreamRequest): string {
	const { headers } = request;
	let text = `${request.method} ${request.path} HTTP/1.1\r\nhost: ${request.authority}\r\n`;
	for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
	return `${text}\r\n`;
}
