/**
 * Cuts a gRPC request stream into messages: a flag byte, a length, the message (grpc/grpc doc/PROTOCOL-HTTP2.md).
 *
 * Owns the buffer of the message being received. A length is checked against the limit before a byte of it is buffered.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { IngestSink } from "../ingest.ts";
import { tooLarge } from "./ingress.ts";
import { PayloadBuffer, Reservation } from "./payload-buffer.ts";
import type { ReceiverLimits } from "./settings.ts";

const PREFIX_BYTES = 5;

export interface FramedMessage {
	readonly compressed: boolean;
	/** Sole view of its ArrayBuffer. */
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly reservation: Reservation;
}

export class GrpcMessageReader {
	readonly #limits: ReceiverLimits;
	readonly #sink: IngestSink;
	readonly #onMessage: (message: FramedMessage) => boolean;
	readonly #prefix = new Uint8Array(PREFIX_BYTES);
	#prefixUsed = 0;
	#messageLength = 0;
	#buffer: PayloadBuffer | undefined;
	/** Messages that arrived whole. */
	completed = 0;

	/** @param onMessage false where no more is wanted for now */
	constructor(limits: ReceiverLimits, sink: IngestSink, onMessage: (message: FramedMessage) => boolean) {
		this.#limits = limits;
		this.#sink = sink;
		this.#onMessage = onMessage;
	}

	/**
	 * @returns how much of the chunk was read: all of it, or up to the message after which no more is wanted
	 * @throws MeshscopeError payload_too_large, overloaded, malformed_payload
	 */
	push(chunk: Uint8Array): number {
		let at = 0;
		while (at < chunk.length || this.#messageIsDue()) {
			if (this.#buffer === undefined) {
				const taken = Math.min(PREFIX_BYTES - this.#prefixUsed, chunk.length - at);
				this.#prefix.set(chunk.subarray(at, at + taken), this.#prefixUsed);
				this.#prefixUsed += taken;
				at += taken;
				if (this.#prefixUsed === PREFIX_BYTES) this.#begin();
				continue;
			}
			const taken = Math.min(this.#messageLength - this.#buffer.length, chunk.length - at);
			if (taken > 0) this.#buffer.append(at === 0 && taken === chunk.length ? chunk : chunk.subarray(at, at + taken));
			at += taken;
			if (this.#messageIsDue() && !this.#finish(this.#buffer)) return at;
		}
		return at;
	}

	/** True between two messages: an end of stream elsewhere cuts one off. */
	get atBoundary(): boolean {
		return this.#prefixUsed === 0 && this.#buffer === undefined;
	}

	/** Gives up the message being received; may be called any number of times. */
	discard(): void {
		this.#buffer?.discard();
		this.#buffer = undefined;
	}

	#messageIsDue(): boolean {
		return this.#buffer !== undefined && this.#buffer.length === this.#messageLength;
	}

	#begin(): void {
		if (this.#prefix[0]! > 1) {
			throw new MeshscopeError(
				"malformed_payload",
				`The gRPC message's compressed flag is ${this.#prefix[0]}, not 0 or 1.`,
			);
		}
		this.#messageLength = new DataView(this.#prefix.buffer).getUint32(1);
		if (this.#messageLength > this.#limits.maxPayloadBytes)
			throw tooLarge(this.#limits, `The message of ${this.#messageLength} bytes`);
		this.#buffer = new PayloadBuffer(this.#limits, new Reservation(this.#sink), this.#messageLength);
	}

	#finish(buffer: PayloadBuffer): boolean {
		this.#buffer = undefined;
		this.#prefixUsed = 0;
		this.completed++;
		return this.#onMessage({ compressed: this.#prefix[0] === 1, bytes: buffer.take(), reservation: buffer.reservation });
	}
}
