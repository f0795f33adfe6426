/** A request over HTTP/1.1 as {@link Downstream}, over node's strict parser. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { RequestBody } from "./body.ts";
import { NO_EVENTS } from "./downstream.ts";
import type { CallerConnection, Downstream } from "./downstream.ts";
import { sortRequestHeaders, sortTrailers } from "./hop-headers.ts";
import { headerObject, headerValue } from "./message.ts";
import type { HeaderList, RequestHead } from "./message.ts";
import { breakOff } from "../tcp/break-off.ts";

/** The head, or what is wrong with it: the sentence for a 400. */
export function readHttp1Head(message: IncomingMessage, isTls: boolean): RequestHead | string {
	const sorted = sortRequestHeaders(message.rawHeaders);
	const method = message.method ?? "GET";
	let path = message.url ?? "/";
	let authority = sorted.host ?? "";
	if (message.httpVersionMajor !== 1 || message.httpVersionMinor > 1) return "only HTTP/1.0 and HTTP/1.1 are spoken here";
	// Who knows chunked and calls itself 1.0 may stand behind one who does not (RFC 9112 section 6.1).
	if (message.httpVersionMinor === 0 && message.headers["transfer-encoding"] !== undefined)
		return "HTTP/1.0 has no Transfer-Encoding";
	if (sorted.hostCount > 1) return "more than one Host field";
	if (sorted.hostCount === 0 && message.httpVersion === "1.1") return "a request needs a Host field";
	if (!path.startsWith("/") && !(path === "*" && method === "OPTIONS")) {
		// Absolute form, as clients send it to proxies: its authority takes the place of Host (RFC 9112 section 3.2.2).
		const absolute = /^https?:\/\/([^/?#]*)([^#]*)$/i.exec(path);
		if (absolute === null) return "the request target is neither a path nor an absolute URL";
		authority = absolute[1]!;
		path = absolute[2]!.startsWith("/") ? absolute[2]! : `/${absolute[2]!}`;
	}
	if (!isAuthority(authority)) return "the Host field is not a host";
	if (/[^!-~\u0080-\u00ff]/.test(path)) return "the request target has characters that must be encoded";
	return {
		method,
		scheme: isTls ? "https" : "http",
		authority,
		path,
		headers: sorted.headers,
		protocolVersion: message.httpVersion === "1.0" ? "1.0" : "1.1",
		isGrpc: sorted.isGrpc,
		upgrade: sorted.upgrade !== "" && sorted.connectionOptions.includes("upgrade") ? sorted.upgrade : "",
		expectsContinue: sorted.expect.toLowerCase() === "100-continue",
	};
}

/** Host and port without user information or anything a second reader could take for a path. Empty is allowed by HTTP/1.1. */
export function isAuthority(text: string): boolean {
	return /^(?:\[[0-9a-fA-F:.]+\]|[^\s/?#@[\]\\:,]*)(?::\d{0,5})?$/.test(text);
}

/** A reason is for people; one that is empty or no latin-1 is replaced by the usual one. */
function isReason(text: string): boolean {
	return text !== "" && !/[^\t\x20-\x7e\x80-\xff]/.test(text);
}

export class Http1Downstream implements Downstream {
	readonly head: RequestHead;
	readonly connection: CallerConnection;
	readonly body: RequestBody | undefined;
	responded = false;
	bytesSent = 0;
	events = NO_EVENTS;
	readonly #response: ServerResponse;
	readonly #message: IncomingMessage;
	/** Given with an upgrade: what came behind the head. */
	readonly #upgradeHead: Buffer | undefined;
	/** The connection is to end with this response. */
	readonly #closes: () => boolean;
	#over = false;

	constructor(
		message: IncomingMessage,
		response: ServerResponse,
		head: RequestHead,
		connection: CallerConnection,
		upgradeHead: Buffer | undefined,
		closes: () => boolean,
	) {
		this.#closes = closes;
		this.head = head;
		this.connection = connection;
		this.#message = message;
		this.#response = response;
		this.#upgradeHead = upgradeHead;
		const length = headerValue(message.rawHeaders.length === 0 ? [] : head.headers, "content-length");
		const chunked = message.headers["transfer-encoding"] !== undefined;
		if (upgradeHead === undefined && (chunked || (length !== undefined && Number(length) > 0))) {
			this.body = new RequestBody(
				message,
				() => sortTrailers(message.rawTrailers),
				() => {
					if (head.expectsContinue && !this.responded) response.writeContinue();
				},
			);
		}
		response.on("drain", () => this.events.onDrain());
		// Node's server has let go of a connection that asked for an upgrade: it ends with its response.
		if (upgradeHead !== undefined) {
			message.socket.on("drain", () => this.events.onDrain());
			response.on("finish", () => message.socket.end());
		}
		response.on("error", () => {});
		message.on("error", () => {});
		response.on("finish", () => this.#finish(true));
		// After `finish` it says nothing new; before it the caller is gone.
		response.on("close", () => this.#finish(response.writableFinished));
	}

	informational(status: number, headers: HeaderList): void {
		if (this.responded || this.head.protocolVersion === "1.0" || this.#upgradeHead !== undefined) return;
		if (status === 102) this.#response.writeProcessing();
		if (status !== 103) return;
		const hints = headerObject(headers);
		// Node insists on a link here; hints without one say nothing.
		if (hints["link"] === undefined) return;
		try {
			this.#response.writeEarlyHints(hints);
		} catch {
			// And on what a link looks like: what is no hint is left out.
		}
	}

	respond(status: number, reason: string, headers: HeaderList, endNow: boolean): void {
		if (this.responded) return;
		const response = this.#response;
		if (this.#closes()) response.shouldKeepAlive = false;
		if (this.head.expectsContinue && this.body !== undefined && !this.body.started) response.shouldKeepAlive = false;
		response.writeHead(status, isReason(reason) ? reason : undefined, [...headers]);
		this.responded = true;
		if (endNow) {
			response.end();
			return;
		}
		// The caller sees that there is an answer before the first byte of its body is there; where that comes at once, both go together.
		process.nextTick(() => {
			if (!response.writableEnded && this.bytesSent === 0) response.flushHeaders();
		});
	}

	write(chunk: Buffer): boolean {
		this.bytesSent += chunk.length;
		return this.#response.write(chunk);
	}

	end(trailers: HeaderList): void {
		if (trailers.length > 0 && this.#response.chunkedEncoding) {
			const pairs: [string, string][] = [];
			for (let i = 0; i < trailers.length; i += 2) pairs.push([trailers[i]!, trailers[i + 1]!]);
			try {
				this.#response.addTrailers(pairs);
			} catch {
				this.reset();
				return;
			}
		}
		this.#response.end();
	}

	reset(): void {
		// Without its last chunk, or short of its length, no caller takes the response for a whole one. One that ends by closing is told by
		// a reset.
		breakOff(this.#message.socket);
	}

	switchProtocols(headers: HeaderList): Duplex {
		const socket = this.#message.socket;
		this.responded = true;
		this.#over = true;
		let text = "HTTP/1.1 101 Switching Protocols\r\n";
		for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
		this.#response.detachSocket(socket);
		socket.write(`${text}\r\n`, "latin1");
		if (this.#upgradeHead !== undefined && this.#upgradeHead.length > 0) socket.unshift(this.#upgradeHead);
		return socket;
	}

	#finish(whole: boolean): void {
		if (this.#over) return;
		this.#over = true;
		if (whole) {
			this.body?.discard();
			this.events.onFinished();
		} else this.events.onGone();
	}
}
