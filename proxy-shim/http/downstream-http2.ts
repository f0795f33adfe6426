/** A request over HTTP/2 as {@link Downstream}. */
import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { RequestBody } from "./body.ts";
import { NO_EVENTS } from "./downstream.ts";
import type { CallerConnection, Downstream } from "./downstream.ts";
import { isAuthority } from "./downstream-http1.ts";
import { sortRequestHeaders, sortTrailers } from "./hop-headers.ts";
import { headerObject } from "./message.ts";
import type { HeaderList, RequestHead } from "./message.ts";

/** The head, or what is wrong with it: the sentence for a 400. */
export function readHttp2Head(raw: readonly string[]): RequestHead | string {
	let method = "";
	let scheme = "";
	let path = "";
	let authority: string | undefined;
	for (let i = 0; i < raw.length && raw[i]!.startsWith(":"); i += 2) {
		const value = raw[i + 1]!;
		if (raw[i] === ":method") method = value;
		else if (raw[i] === ":scheme") scheme = value;
		else if (raw[i] === ":path") path = value;
		else if (raw[i] === ":authority") authority = value;
	}
	const sorted = sortRequestHeaders(raw);
	if (authority !== undefined && sorted.host !== undefined && authority !== sorted.host) return ":authority and Host differ";
	if (sorted.hostCount > 1) return "more than one Host field";
	const host = authority ?? sorted.host ?? "";
	if (!isAuthority(host)) return ":authority is not a host";
	// What HTTP/2 carries as one field could become two, or another request, in HTTP/1.1.
	if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) return ":method is not a token";
	if (method !== "CONNECT" && !path.startsWith("/") && !(path === "*" && method === "OPTIONS")) return ":path is not a path";
	if (/[^!-~\u0080-\u00ff]/.test(path)) return ":path has characters that must be encoded";
	return {
		method,
		scheme: scheme === "https" ? "https" : "http",
		authority: host,
		path,
		headers: sorted.headers,
		protocolVersion: "2",
		isGrpc: sorted.isGrpc,
		upgrade: "",
		expectsContinue: sorted.expect.toLowerCase() === "100-continue",
	};
}

export class Http2Downstream implements Downstream {
	readonly head: RequestHead;
	readonly connection: CallerConnection;
	readonly body: RequestBody | undefined;
	responded = false;
	bytesSent = 0;
	events = NO_EVENTS;
	readonly #stream: ServerHttp2Stream;
	#trailers: HeaderList = [];
	#requestTrailers: readonly string[] = [];
	#over = false;

	constructor(stream: ServerHttp2Stream, head: RequestHead, connection: CallerConnection, endsWithHead: boolean) {
		this.#stream = stream;
		this.head = head;
		this.connection = connection;
		if (!endsWithHead) {
			stream.on("trailers", (_headers: unknown, _flags: unknown, raw: readonly string[]) => (this.#requestTrailers = raw));
			this.body = new RequestBody(
				stream,
				() => sortTrailers(this.#requestTrailers),
				() => {
					if (head.expectsContinue && !this.responded && !stream.destroyed)
						stream.additionalHeaders({ ":status": 100 });
				},
			);
		} else stream.resume();
		stream.on("drain", () => this.events.onDrain());
		stream.on("error", () => {});
		stream.on("wantTrailers", () => {
			// Without any this is an empty frame that ends the stream.
			if (!this.#open) return;
			try {
				stream.sendTrailers(headerObject(this.#trailers));
			} catch {
				this.reset("error");
			}
		});
		stream.on("close", () => {
			if (this.#over) return;
			this.#over = true;
			// A caller that cancels after the last byte was handed over cannot be told from one that read it; both are over.
			if (stream.rstCode === constants.NGHTTP2_NO_ERROR && stream.writableFinished) this.events.onFinished();
			else this.events.onGone();
		});
	}

	informational(status: number, headers: HeaderList): void {
		if (this.responded || !this.#open || status === 101) return;
		try {
			this.#stream.additionalHeaders({ ":status": status, ...headerObject(headers) });
		} catch {
			// What HTTP/2 cannot carry is left out: it was only a hint.
		}
	}

	respond(status: number, _reason: string, headers: HeaderList, endNow: boolean): void {
		if (this.responded || !this.#open) return;
		this.#stream.respond([":status", String(status), ...headers], { endStream: endNow, waitForTrailers: !endNow });
		this.responded = true;
		if (endNow) this.body?.discard();
	}

	write(chunk: Buffer): boolean {
		this.bytesSent += chunk.length;
		return this.#open ? this.#stream.write(chunk) : false;
	}

	end(trailers: HeaderList): void {
		this.#trailers = trailers;
		if (this.#open) this.#stream.end();
	}

	reset(how: "error" | "refused"): void {
		if (this.#stream.destroyed) return;
		// `close` would end the stream's data before it is reset, and what came of the answer would pass for the whole.
		if (how === "refused") this.#stream.close(constants.NGHTTP2_REFUSED_STREAM);
		else this.#stream.destroy(new Error("the answer broke off"));
	}

	switchProtocols(): Duplex {
		throw new Error("HTTP/2 has no Upgrade");
	}

	get #open(): boolean {
		return !this.#stream.destroyed && !this.#stream.closed;
	}
}
