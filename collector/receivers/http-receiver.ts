/**
 * One HTTP/1.1 listener on node:http(s): guards, body, answer. What differs between OTLP and Zipkin is a dialect.
 *
 * Directly on node:http because the path of a payload must be socket → one memcpy → sink; a framework's body parser would copy
 * again and pool buffers that cannot be transferred.
 */
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Socket } from "node:net";
import { ERRORS, MeshscopeError } from "../../model/errors.ts";
import type { IngestOutcome, PayloadEncoding } from "../ingest.ts";
import type { Signal } from "../../store/store.ts";
import { COMPRESSIONS, decompress, parseCompression } from "./decompress.ts";
import { SELF_HEADER, deliver, printable, refusalOf } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { listen } from "./listen.ts";
import { PayloadBuffer, Reservation, freeChunk } from "./payload-buffer.ts";
import type { ListenAddress, ReceiverTls, Refusal } from "./settings.ts";

export interface HttpReply {
	readonly status: number;
	/** Absent for an empty body without a type. */
	readonly contentType?: string;
	readonly body: Uint8Array | string;
}

/** What a request's content type decides. */
export interface HttpFormat {
	readonly encoding: PayloadEncoding;
	readonly contentType: string;
}

export interface HttpDialect {
	readonly transport: "otlpHttp" | "zipkin";
	/** The content types read, for the message that refuses another. */
	readonly accepts: string;
	/** The signal that a path takes; undefined when nothing lives there. */
	readonly signalAt: (path: string) => Signal | undefined;
	/** Media type in lower case without parameters, "" when the request has none. */
	readonly formatOf: (mediaType: string) => HttpFormat | undefined;
	readonly success: (format: HttpFormat, signal: Signal, outcome: Extract<IngestOutcome, { kind: "accepted" }>) => HttpReply;
	/** `format` is absent when the refusal came before the content type was known or because of it. */
	readonly failure: (format: HttpFormat | undefined, refusal: Refusal) => HttpReply;
}

export interface RunningReceiver {
	readonly address: string;
	close(graceMs: number): Promise<void>;
}

/** After a refusal, what the client still sends is read and thrown away up to here, so that it sees the answer instead of a reset. */
const LINGER_BYTES = 8 * 1024 * 1024;
const LINGER_MS = 2_000;
const LATE_RETRY_MS = 1_000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADERS = 100;

export async function startHttpReceiver(
	ingress: Ingress,
	dialect: HttpDialect,
	address: ListenAddress,
	tls: ReceiverTls | undefined,
): Promise<RunningReceiver> {
	const { limits, log } = ingress;
	const options: ServerOptions = {
		// node refuses to start when the part is allowed more time than the whole.
		headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
		requestTimeout: limits.requestTimeoutMs,
		keepAliveTimeout: limits.keepAliveTimeoutMs,
		// Node's default of 30 s would let a slow sender live that much longer than the timeouts above.
		connectionsCheckingInterval: Math.max(100, Math.min(1_000, limits.headersTimeoutMs / 2)),
		maxHeaderSize: MAX_HEADER_BYTES,
		keepAlive: true,
		keepAliveInitialDelay: 30_000,
		noDelay: true,
	};
	const server: Server =
		tls === undefined
			? createHttpServer(options)
			: createHttpsServer({ ...options, ...tlsOptions(tls), handshakeTimeout: limits.headersTimeoutMs });
	server.maxHeadersCount = MAX_HEADERS;
	server.maxConnections = limits.maxConnections;

	const handle = (req: IncomingMessage, res: ServerResponse, awaitsContinue: boolean): void => {
		void new HttpExchange(ingress, dialect, req, res).run(awaitsContinue);
	};
	server.on("request", (req, res) => handle(req, res, false));
	server.on("checkContinue", (req, res) => handle(req, res, true));
	server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => answerUnreadable(dialect, error, socket));
	server.on("tlsClientError", (error: Error) => {
		log("debug", "TLS handshake failed", { receiver: dialect.transport, reason: printable(error.message) });
	});

	const bound = await listen(server, address, dialect.transport);
	return { address: bound, close: (graceMs) => closeHttp(server, graceMs) };
}

export function tlsOptions(tls: ReceiverTls): {
	cert: string;
	key: string;
	ca?: string;
	requestCert?: boolean;
	rejectUnauthorized?: boolean;
	minVersion: "TLSv1.2";
} {
	const base = { cert: tls.certPem, key: tls.keyPem, minVersion: "TLSv1.2" } as const;
	return tls.clientCaPem === undefined ? base : { ...base, ca: tls.clientCaPem, requestCert: true, rejectUnauthorized: true };
}

/** Idle connections close at once, busy ones with their answer, and what is left after `graceMs` is cut. */
function closeHttp(server: Server, graceMs: number): Promise<void> {
	return new Promise((resolve) => {
		const cut = setTimeout(() => server.closeAllConnections(), graceMs);
		// Connections whose answer is being written become idle a moment later; node does not look again by itself.
		const sweep = setInterval(() => server.closeIdleConnections(), 20);
		server.close(() => {
			clearTimeout(cut);
			clearInterval(sweep);
			resolve();
		});
		server.closeIdleConnections();
	});
}

/** One request and its answer. */
class HttpExchange {
	readonly #ingress: Ingress;
	readonly #dialect: HttpDialect;
	readonly #req: IncomingMessage;
	readonly #res: ServerResponse;
	#signal: Signal | undefined;
	#format: HttpFormat | undefined;

	constructor(ingress: Ingress, dialect: HttpDialect, req: IncomingMessage, res: ServerResponse) {
		this.#ingress = ingress;
		this.#dialect = dialect;
		this.#req = req;
		this.#res = res;
		// A peer that goes away ends its own exchange; without these handlers it would end the process.
		req.on("error", ignore);
		res.on("error", ignore);
	}

	async run(awaitsContinue: boolean): Promise<void> {
		const reservation = new Reservation(this.#ingress.sink);
		let buffer: PayloadBuffer | undefined;
		try {
			const { signal, format, compression } = this.#accept();
			const declared = this.#declaredLength();
			buffer = new PayloadBuffer(this.#ingress.limits, reservation, declared);
			if (awaitsContinue) this.#res.writeContinue();
			const arrived = await this.#receive(buffer);
			if (!arrived) return;
			const bytes = await decompress(compression, buffer.take(), this.#ingress.limits, reservation);
			const self = hasValue(this.#req.headers[SELF_HEADER]);
			const outcome = await deliver(this.#ingress, { signal, encoding: format.encoding, bytes, self }, reservation);
			if (outcome.kind === "accepted") this.#send(this.#dialect.success(format, signal, outcome), {}, true);
			else this.#refuse(outcome);
		} catch (error) {
			const refusal = refusalOf(error, this.#ingress);
			if (this.#signal !== undefined) this.#ingress.sink.countRefused(this.#signal, refusal.code);
			this.#ingress.noteRefusal(this.#dialect.transport, this.#signal, refusal);
			this.#refuse(refusal);
		} finally {
			buffer?.discard();
			reservation.release();
		}
	}

	/** Everything that can be decided from the header block. @throws MeshscopeError */
	#accept(): { signal: Signal; format: HttpFormat; compression: NonNullable<ReturnType<typeof parseCompression>> } {
		const { headers, method, url = "/" } = this.#req;
		// Known first, because every refusal answers in the request's own encoding.
		const contentType = headers["content-type"] ?? "";
		this.#format = this.#dialect.formatOf(contentType.split(";", 1)[0]!.trim().toLowerCase());
		const path = url.split("?", 1)[0]!;
		const signal = this.#dialect.signalAt(path);
		if (signal === undefined) throw new MeshscopeError("not_found", `Nothing is received at ${printable(path)}.`);
		this.#signal = signal;
		if (method !== "POST")
			throw new MeshscopeError("method_not_allowed", `${path} takes POST, not ${printable(method ?? "", 20)}.`);
		if (!this.#ingress.authorized(headers.authorization)) {
			throw new MeshscopeError("unauthenticated", "Send `Authorization: Bearer <token>` with an ingest token.");
		}
		if (this.#ingress.draining()) {
			throw new MeshscopeError("shutting_down", "The server is shutting down.", {
				retryAfterMs: this.#ingress.limits.overloadRetryAfterMs,
			});
		}
		if (this.#format === undefined) {
			throw new MeshscopeError(
				"unsupported_media_type",
				`Content type "${printable(contentType)}" is not read here; send ${this.#dialect.accepts}.`,
			);
		}
		const compression = parseCompression(headers["content-encoding"]);
		if (compression === undefined) {
			throw new MeshscopeError(
				"unsupported_media_type",
				`Content encoding "${printable(headers["content-encoding"] ?? "")}" is not read here; send ${COMPRESSIONS.join(", ")}.`,
			);
		}
		return { signal, format: this.#format, compression };
	}

	#declaredLength(): number | undefined {
		const header = this.#req.headers["content-length"];
		if (header !== undefined) return Number(header);
		// Without either header HTTP/1.1 says that there is no body.
		return this.#req.headers["transfer-encoding"] === undefined ? 0 : undefined;
	}

	/** False when the peer went away before the body was complete; rejects when the body is refused. */
	#receive(buffer: PayloadBuffer): Promise<boolean> {
		const req = this.#req;
		return new Promise((resolve, reject) => {
			const onData = (chunk: Buffer): void => {
				try {
					buffer.append(chunk);
					freeChunk(chunk);
				} catch (error) {
					req.off("data", onData);
					reject(error);
				}
			};
			req.on("data", onData);
			req.on("end", () => resolve(true));
			req.on("close", () => resolve(req.complete));
		});
	}

	#refuse(refusal: Refusal): void {
		const headers: Record<string, string> = {};
		if (ERRORS[refusal.code].retryable) {
			const waitMs = refusal.retryAfterMs ?? this.#ingress.limits.overloadRetryAfterMs;
			headers["retry-after"] = String(Math.max(1, Math.ceil(waitMs / 1_000)));
		}
		if (refusal.code === "method_not_allowed") headers["allow"] = "POST";
		if (refusal.code === "unauthenticated") headers["www-authenticate"] = "Bearer";
		if (refusal.code === "unsupported_media_type") headers["accept-encoding"] = "gzip, zstd, deflate";
		// A short body is read to its end by node itself, which keeps the connection usable for the retry. A client that waits for
		// "100 Continue" may or may not send its body after a refusal, so there the connection must end.
		const declared = this.#declaredLength();
		const drains = declared !== undefined && declared <= LINGER_BYTES && this.#req.headers.expect === undefined;
		this.#send(this.#dialect.failure(this.#format, refusal), headers, this.#req.complete || drains);
	}

	/** @param bodyRead false when the client may still be sending, and more than we care to read */
	#send(reply: HttpReply, headers: Record<string, string>, bodyRead: boolean): void {
		const res = this.#res;
		if (res.destroyed || res.headersSent) return;
		const body = typeof reply.body === "string" ? Buffer.from(reply.body) : reply.body;
		if (reply.contentType !== undefined) headers["content-type"] = reply.contentType;
		headers["content-length"] = String(body.length);
		if (!bodyRead || this.#ingress.draining()) headers["connection"] = "close";
		if (bodyRead) {
			res.writeHead(reply.status, headers).end(body);
			return;
		}
		res.writeHead(reply.status, headers).write(body.length > 0 ? body : Buffer.alloc(0));
		this.#linger();
	}

	/**
	 * The answer is complete for the client by its content-length; the connection ends once the rest of the body was read, or
	 * enough of it. Closing at once would make the kernel answer unread bytes with a reset, which can overtake the answer.
	 */
	#linger(): void {
		const req = this.#req;
		const res = this.#res;
		let discarded = 0;
		let finished = false;
		const timer = setTimeout(() => finish(true), LINGER_MS);
		const finish = (cut: boolean): void => {
			if (finished) return;
			finished = true;
			clearTimeout(timer);
			res.end();
			if (cut) req.socket.destroySoon();
		};
		req.on("data", (chunk: Buffer) => {
			discarded += chunk.length;
			if (discarded > LINGER_BYTES) finish(true);
		});
		req.on("end", () => finish(false));
		req.on("close", () => finish(false));
		req.resume();
	}
}

/** A request that is not HTTP, too slow, or has too large a header: answered as far as possible, then closed. */
function answerUnreadable(dialect: HttpDialect, error: NodeJS.ErrnoException, socket: Socket): void {
	if (!socket.writable || error.code === "ECONNRESET") {
		socket.destroy();
		return;
	}
	// Exporters drop what 408 refuses, and a slow network passes.
	const isLate = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
	const status = isLate
		? "503 Service Unavailable"
		: error.code === "HPE_HEADER_OVERFLOW"
			? "431 Request Header Fields Too Large"
			: "400 Bad Request";
	const reply = dialect.failure(
		undefined,
		isLate
			? {
					code: "request_timeout",
					message: "The request did not arrive in time; send it again.",
					retryAfterMs: LATE_RETRY_MS,
				}
			: { code: "invalid_argument", message: `${status.slice(4)}: the request could not be read.` },
	);
	const body = typeof reply.body === "string" ? reply.body : Buffer.from(reply.body).toString("latin1");
	const type = reply.contentType === undefined ? "" : `content-type: ${reply.contentType}\r\n`;
	const retry = isLate ? `retry-after: ${LATE_RETRY_MS / 1_000}\r\n` : "";
	socket.end(
		`HTTP/1.1 ${status}\r\n${type}${retry}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
	);
	// end() waits for the peer to close its half, which a slow sender never does.
	setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function hasValue(header: string | readonly string[] | undefined): boolean {
	return header !== undefined && header.length > 0;
}

function ignore(): void {}
