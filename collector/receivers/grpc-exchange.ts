/**
 * One gRPC call on one HTTP/2 stream: reads messages in order, hands them to the method, writes answer and status.
 *
 * A call ends exactly once. Whatever ends it, the reader's buffer and every message not yet taken give their reservation back.
 */
import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import { ERRORS, MeshscopeError } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";
import { COMPRESSIONS, decompress, parseCompression } from "./decompress.ts";
import type { Compression } from "./decompress.ts";
import { GrpcMessageReader } from "./grpc-message-reader.ts";
import type { FramedMessage } from "./grpc-message-reader.ts";
import type { GrpcCall, GrpcMethod, MessageTaker } from "./grpc-service.ts";
import { overloaded, printable, refusalOf } from "./ingress.ts";
import type { Ingress } from "./ingress.ts";
import { Reservation, freeMemory } from "./payload-buffer.ts";
import type { SessionReads } from "./session-reads.ts";
import type { Refusal } from "./settings.ts";
import { encodeStatus } from "./wire.ts";

/**
 * Flow control must not slow a 1 MiB message down: a client may send this much of one call before it hears from us. While bytes are
 * taken out as they arrive and counted against the sink's budget, a window promises bandwidth, not memory; a stream that is held up
 * keeps them in node's own buffer, and so room is reserved for as long as it is.
 */
export const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
/** A whole window, and as much again: node keeps slices of 64 KiB reads, of which other streams of the connection have had their part. */
const HELD_UP_BYTES = 2 * STREAM_WINDOW_BYTES;
/** What a call costs that lasts: its objects here and in node, and the read that its last piece arrived in. */
const OPEN_STREAM_BYTES = 64 * 1024;
/** Messages that wait for the one before them, until the stream is held up. */
const MAX_AHEAD_BYTES = 256 * 1024;
/** An empty message costs its objects all the same. */
const MIN_MESSAGE_BYTES = 512;
const RESPONSE_HEADERS = {
	":status": 200,
	"content-type": "application/grpc",
	"grpc-accept-encoding": COMPRESSIONS.join(","),
} as const;
/** Intermediaries and clients give a whole header block 8 KiB or so. */
const MAX_MESSAGE_CHARS = 1_000;

export class GrpcExchange implements GrpcCall {
	readonly self: boolean;
	readonly #ingress: Ingress;
	readonly #stream: ServerHttp2Stream;
	readonly #reads: SessionReads;
	readonly #signal: Signal | undefined;
	readonly #encoding: string | undefined;
	#compression: Compression = "identity";
	#taker: MessageTaker | undefined;
	#reader: GrpcMessageReader | undefined;
	readonly #queue: FramedMessage[] = [];
	#queuedBytes = 0;
	/** Arrived, but not cut into messages yet: 64 KiB hold 12,000 empty ones, whose objects would be more than the queue may hold. */
	#rest: Uint8Array | undefined;
	#longLived = false;
	/** For what node buffers while the stream is held up. */
	readonly #held: Reservation;
	#messageTimer: NodeJS.Timeout | undefined;
	#last: Refusal | undefined;
	#working = false;
	#received = false;
	#ended = false;
	#status: Record<string, string> = {};
	#responded = false;

	constructor(
		ingress: Ingress,
		stream: ServerHttp2Stream,
		reads: SessionReads,
		request: { readonly signal: Signal | undefined; readonly encoding: string | undefined; readonly self: boolean },
	) {
		this.#ingress = ingress;
		this.#stream = stream;
		this.#reads = reads;
		this.#signal = request.signal;
		this.#encoding = request.encoding;
		this.#held = new Reservation(ingress.sink);
		this.self = request.self;
	}

	run(method: GrpcMethod): void {
		const compression = parseCompression(this.#encoding);
		if (compression === undefined) {
			this.refuse(
				new MeshscopeError(
					"unsupported_media_type",
					`grpc-encoding "${printable(this.#encoding ?? "")}" is not read here; send one of ${COMPRESSIONS.join(", ")}.`,
				),
			);
			return;
		}
		this.#compression = compression;
		const reader = new GrpcMessageReader(this.#ingress.limits, this.#ingress.sink, (message) => this.#enqueue(message));
		this.#reader = reader;
		this.#longLived = method.longLived;
		if (method.longLived && !this.#held.growTo(OPEN_STREAM_BYTES)) {
			this.refuse(overloaded(this.#ingress.limits));
			return;
		}
		this.#taker = method.open(this);
		const stream = this.#stream;
		const deadline = method.longLived ? undefined : setTimeout(() => this.#tooSlow(), this.#ingress.limits.requestTimeoutMs);
		stream.on("data", (chunk: Buffer) => {
			if (this.#ended || this.#last !== undefined) {
				this.#reads.copied(chunk);
				return;
			}
			this.#read(chunk);
			this.#reads.copied(chunk);
			if (this.#longLived) this.#guardMessage();
			if (this.#queue.length > 0) void this.#work();
		});
		stream.on("end", () => {
			clearTimeout(deadline);
			// node ends the readable side on a reset too; a call that its client cancelled is not a request.
			if (stream.closed) return;
			this.#received = true;
			void this.#work();
		});
		stream.on("close", () => {
			clearTimeout(deadline);
			this.#close();
		});
	}

	send(message: Uint8Array): void {
		if (this.#ended || this.#stream.destroyed) return;
		this.#respond();
		const framed = Buffer.allocUnsafe(5 + message.length);
		framed[0] = 0;
		framed.writeUInt32BE(message.length, 1);
		framed.set(message, 5);
		this.#stream.write(framed);
	}

	finish(): void {
		this.#end({ "grpc-status": "0" });
	}

	fail(refusal: Refusal): void {
		const waits = ERRORS[refusal.code].retryable && refusal.retryAfterMs === undefined;
		const complete = waits ? { ...refusal, retryAfterMs: this.#ingress.limits.overloadRetryAfterMs } : refusal;
		const short =
			complete.message.length > MAX_MESSAGE_CHARS ? `${complete.message.slice(0, MAX_MESSAGE_CHARS)}…` : complete.message;
		this.#end({
			"grpc-status": String(ERRORS[refusal.code].grpc),
			"grpc-message": percentEncode(short),
			// gRPC sends -bin values as base64 without padding.
			"grpc-status-details-bin": Buffer.from(encodeStatus({ ...complete, message: short }))
				.toString("base64")
				.replace(/=+$/, ""),
		});
	}

	failWhenTaken(refusal: Refusal): void {
		this.#last = refusal;
		if (!this.#working) this.fail(refusal);
	}

	/** Ends the call with an error that the receiver itself decided: counted and noted. */
	refuse(error: unknown): void {
		if (this.#ended) return;
		const refusal = refusalOf(error, this.#ingress);
		if (this.#signal !== undefined) this.#ingress.sink.countRefused(this.#signal, refusal.code);
		this.#ingress.noteRefusal("otlpGrpc", this.#signal, refusal);
		this.fail(refusal);
	}

	#read(chunk: Uint8Array): void {
		const reader = this.#reader;
		if (reader === undefined) return;
		try {
			const end = reader.push(chunk);
			// A copy: the memory of the read is given back.
			if (end < chunk.length) this.#rest = chunk.slice(end);
			// A unary call has nothing behind its message; only a stream that outruns its method is held up.
			if (end < chunk.length || (this.#working && this.#queuedBytes > MAX_AHEAD_BYTES)) this.#holdUp();
		} catch (error) {
			const isLater = error instanceof MeshscopeError && error.code === "malformed_payload";
			if (!this.#longLived || !isLater || this.#queue.length === 0) {
				this.refuse(error);
				return;
			}
			// What arrived whole before the fault is taken first.
			this.#last = refusalOf(error, this.#ingress);
			this.#ingress.sink.countRefused(this.#signal ?? "logs", this.#last.code);
		}
	}

	#enqueue(message: FramedMessage): boolean {
		this.#queue.push(message);
		const size = Math.max(message.bytes.length, MIN_MESSAGE_BYTES);
		this.#queuedBytes += size;
		if (!message.reservation.growTo(size)) throw overloaded(this.#ingress.limits);
		return this.#queuedBytes <= MAX_AHEAD_BYTES;
	}

	#holdUp(): void {
		if (this.#stream.isPaused()) return;
		if (!this.#held.growTo(HELD_UP_BYTES)) throw overloaded(this.#ingress.limits);
		this.#stream.pause();
	}

	/** Ends a long-lived call of which one message does not arrive in time; how long it pauses between messages is its own affair. */
	#guardMessage(): void {
		const reader = this.#reader;
		if (reader === undefined || reader.atBoundary || this.#messageTimer !== undefined) return;
		const { completed } = reader;
		this.#messageTimer = setTimeout(() => {
			this.#messageTimer = undefined;
			if (this.#ended) return;
			if (!reader.atBoundary && reader.completed === completed && !this.#stream.isPaused()) this.#tooSlow();
			else this.#guardMessage();
		}, this.#ingress.limits.requestTimeoutMs);
	}

	/** Takes the queued messages one after the other; a stream that was held up is read on when all are taken. */
	async #work(): Promise<void> {
		if (this.#working || this.#ended) return;
		this.#working = true;
		try {
			for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#take(next);
			if (this.#last !== undefined) this.fail(this.#last);
			if (this.#received && !this.#ended) {
				if (this.#reader?.atBoundary === false) {
					throw new MeshscopeError("malformed_payload", "The stream ended in the middle of a gRPC message.");
				}
				const taker = this.#taker;
				this.#received = false;
				await taker?.end();
			}
		} catch (error) {
			this.refuse(error);
		} finally {
			this.#working = false;
			this.#held.shrinkTo(this.#ended ? 0 : this.#longLived ? OPEN_STREAM_BYTES : 0);
			if (this.#stream.isPaused()) this.#stream.resume();
		}
	}

	#next(): FramedMessage | undefined {
		if (this.#queue.length === 0 && this.#rest !== undefined && this.#last === undefined) {
			const rest = this.#rest;
			this.#rest = undefined;
			this.#read(rest);
		}
		const next = this.#ended ? undefined : this.#queue.shift();
		if (next !== undefined) this.#queuedBytes -= Math.max(next.bytes.length, MIN_MESSAGE_BYTES);
		return next;
	}

	async #take({ compressed, bytes, reservation }: FramedMessage): Promise<void> {
		try {
			if (compressed && this.#compression === "identity") {
				throw new MeshscopeError(
					"malformed_payload",
					"The message is marked as compressed, but grpc-encoding names no compression.",
				);
			}
			const payload = compressed ? await decompress(this.#compression, bytes, this.#ingress.limits, reservation) : bytes;
			if (this.#ended || this.#taker === undefined) reservation.release();
			else await this.#taker.message({ bytes: payload, reservation });
		} catch (error) {
			reservation.release();
			throw error;
		}
	}

	#tooSlow(): void {
		this.refuse(
			new MeshscopeError(
				"request_timeout",
				`The request did not arrive within ${this.#ingress.limits.requestTimeoutMs} ms.`,
			),
		);
	}

	#respond(): void {
		if (this.#responded) return;
		this.#responded = true;
		this.#stream.once("wantTrailers", () => this.#stream.sendTrailers(this.#status));
		this.#stream.respond(RESPONSE_HEADERS, { waitForTrailers: true });
	}

	#end(status: Record<string, string>): void {
		if (this.#ended) return;
		this.#ended = true;
		this.#giveBack();
		const stream = this.#stream;
		// What node buffered of a held-up stream goes now; paused, it would stay until the session ends.
		if (stream.isPaused()) stream.resume();
		if (stream.destroyed || stream.closed) return;
		this.#status = status;
		if (this.#responded) stream.end();
		else stream.respond({ ...RESPONSE_HEADERS, ...status }, { endStream: true });
		// The client may still be sending: it is told to stop, without an error (RFC 9113, 8.1).
		if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
	}

	#close(): void {
		this.#ended = true;
		this.#giveBack();
		this.#taker?.closed?.();
		this.#taker = undefined;
	}

	#giveBack(): void {
		clearTimeout(this.#messageTimer);
		this.#reader?.discard();
		this.#rest = undefined;
		this.#held.release();
		for (const { bytes, reservation } of this.#queue.splice(0)) {
			freeMemory(bytes);
			reservation.release();
		}
	}
}

/** grpc-message: printable ASCII as it is, everything else and `%` as percent-encoded UTF-8. */
export function percentEncode(text: string): string {
	let out = "";
	for (const byte of Buffer.from(text, "utf8")) {
		const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
		out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
	}
	return out;
}
