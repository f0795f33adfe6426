/** A plain HTTP/1.1 request as {@link Downstream}, over the bare socket: head and body of an answer leave in one write where they can. */
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { RequestBody } from "../http/body.ts";
import type { BodySource } from "../http/body.ts";
import { NO_EVENTS } from "../http/downstream.ts";
import type { CallerConnection, Downstream } from "../http/downstream.ts";
import { headerValue, isBodiless } from "../http/message.ts";
import type { HeaderList, RequestHead } from "../http/message.ts";
import { STATUS_CODES } from "../http/node-http.ts";

const LAST_CHUNK = "0\r\n\r\n";
/** Below this an answer is copied behind its head, which costs less than a second write. */
const COPIED_BYTES = 16 << 10;

export interface FastDownstreamParts {
	readonly socket: Socket;
	readonly head: RequestHead;
	readonly connection: CallerConnection;
	readonly body: BodySource | undefined;
	/** The connection ends with this answer. */
	readonly closes: () => boolean;
	/** The answer was given to the socket; the connection may go on with the next request. */
	readonly onDone: () => void;
}

export class FastDownstream implements Downstream {
	readonly head: RequestHead;
	readonly connection: CallerConnection;
	readonly body: RequestBody | undefined;
	responded = false;
	bytesSent = 0;
	events = NO_EVENTS;
	readonly #parts: FastDownstreamParts;
	/** The head, until the first byte of the body or the end comes to leave with it. */
	#headText = "";
	#chunked = false;
	#bodiless = false;
	#over = false;

	constructor(parts: FastDownstreamParts) {
		this.#parts = parts;
		this.head = parts.head;
		this.connection = parts.connection;
		if (parts.body !== undefined) {
			this.body = new RequestBody(
				parts.body,
				() => [],
				() => {},
			);
		}
	}

	informational(status: number, headers: HeaderList): void {
		if (this.responded || this.#over) return;
		this.#parts.socket.write(headTextOf(status, "", headers, ""), "latin1");
	}

	respond(status: number, reason: string, headers: HeaderList, endNow: boolean): void {
		if (this.responded || this.#over) return;
		this.responded = true;
		this.#bodiless = isBodiless(this.head.method, status);
		const hasLength = headerValue(headers, "content-length") !== undefined;
		let framing = "";
		if (!hasLength && !this.#bodiless) {
			if (endNow) framing = "content-length: 0\r\n";
			else {
				framing = "transfer-encoding: chunked\r\n";
				this.#chunked = true;
			}
		}
		framing += this.#parts.closes() ? "connection: close\r\n" : "connection: keep-alive\r\n";
		this.#headText = headTextOf(status, reason, headers, framing);
		if (endNow) this.end([]);
		// The caller sees that there is an answer though no byte of its body may come for long; a body that is there already
		// comes before this runs.
		else setImmediate(flush, this);
	}

	write(chunk: Buffer): boolean {
		if (this.#over || this.#bodiless || chunk.length === 0) return true;
		this.bytesSent += chunk.length;
		const { socket } = this.#parts;
		const before = this.#chunked ? `${this.#headText}${chunk.length.toString(16)}\r\n` : this.#headText;
		this.#headText = "";
		const after = this.#chunked ? "\r\n" : "";
		if (before === "" && after === "") return socket.write(chunk);
		if (chunk.length <= COPIED_BYTES) return socket.write(joined(before, chunk, after));
		socket.cork();
		if (before !== "") socket.write(before, "latin1");
		let flows = socket.write(chunk);
		if (after !== "") flows = socket.write(after, "latin1");
		socket.uncork();
		return flows;
	}

	end(trailers: HeaderList): void {
		if (this.#over) return;
		let text = this.#headText;
		this.#headText = "";
		if (this.#chunked) text += trailers.length === 0 ? LAST_CHUNK : `0\r\n${fieldLines(trailers)}\r\n`;
		if (text !== "") this.#parts.socket.write(text, "latin1");
		this.#finish();
	}

	reset(): void {
		this.#over = true;
		// Without its last chunk, or short of its length, no caller takes the response for a whole one.
		this.#parts.socket.destroy();
	}

	switchProtocols(): Duplex {
		throw new Error("a plain request asks for no upgrade");
	}

	/** The socket closed. */
	gone(): void {
		if (this.#over) return;
		this.#over = true;
		this.events.onGone();
	}

	flush(): void {
		if (this.#headText === "" || this.#over) return;
		this.#parts.socket.write(this.#headText, "latin1");
		this.#headText = "";
	}

	#finish(): void {
		this.#over = true;
		this.body?.discard();
		this.events.onFinished();
		this.#parts.onDone();
	}
}

function flush(downstream: FastDownstream): void {
	downstream.flush();
}

function headTextOf(status: number, reason: string, headers: HeaderList, framing: string): string {
	// HTTP/2 has no reasons, and there are callers who show nothing else of a status.
	const words = reason === "" ? (STATUS_CODES[status] ?? "") : reason;
	return `HTTP/1.1 ${status} ${words}\r\n${fieldLines(headers)}${framing}\r\n`;
}

function fieldLines(headers: HeaderList): string {
	let text = "";
	for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
	return text;
}

function joined(before: string, chunk: Buffer, after: string): Buffer {
	const bytes = Buffer.allocUnsafe(before.length + chunk.length + after.length);
	bytes.write(before, 0, "latin1");
	chunk.copy(bytes, before.length);
	if (after !== "") bytes.write(after, before.length + chunk.length, "latin1");
	return bytes;
}
