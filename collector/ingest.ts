/**
 * What receivers hand to the pipeline, and what they get back. Receivers do I/O only: they never look inside a payload.
 */
import type { ErrorCode } from "../model/errors.ts";
import type { Signal } from "../store/store.ts";

export type PayloadEncoding = "otlp-protobuf" | "otlp-json" | "zipkin-json" | "zipkin-protobuf" | "envoy-als";

export interface IncomingBatch {
	readonly signal: Signal;
	readonly encoding: PayloadEncoding;
	/**
	 * The decompressed payload. The sink takes it over: the buffer MAY be transferred to another thread, so it must be the sole
	 * view of its ArrayBuffer and must not be touched after `submit`.
	 */
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** True for meshscope's own telemetry, which is stored but never traced again. */
	readonly self: boolean;
}

export type IngestOutcome =
	| {
			readonly kind: "accepted";
			/** Records left out while the rest was stored. 0 means full success. */
			readonly rejected: number;
			/** Says what was wrong with the rejected ones; empty on full success. */
			readonly errorMessage: string;
	  }
	| {
			readonly kind: "refused";
			readonly code: ErrorCode;
			readonly message: string;
			/** Set for retryable codes. */
			readonly retryAfterMs?: number;
	  };

export interface IngestSink {
	/**
	 * Resolves only when the batch is durable, or when nothing of it was kept. Never rejects. Where the writer itself has failed, the
	 * refusal is retryable and the batch may have been kept: sent again, it is recognised.
	 */
	submit(batch: IncomingBatch): Promise<IngestOutcome>;
	/**
	 * Holds room for a payload of this many bytes while a receiver reads it; false when it would be refused now, so that a receiver
	 * can answer before it reads a body. What was held is given back with `release`, once it is submitted or given up.
	 */
	reserve(bytes: number): boolean;
	release(bytes: number): void;
	/**
	 * Memory to read a payload into, that of a committed one where there is some: at least `bytes` long and the sole view of its
	 * ArrayBuffer; undefined for sizes that are not kept. Fresh megabytes a hundred times a second cost more in page faults and
	 * collections than reading them from the socket.
	 */
	spare?(bytes: number): Uint8Array<ArrayBuffer> | undefined;
	/** Counts a refusal that a receiver made by itself (size, media type, credentials). */
	countRefused(signal: Signal, code: ErrorCode): void;
}
