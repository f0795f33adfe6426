/**
 * What the main thread and the writer thread say to each other. Payloads are transferred, never copied.
 */
import type { DropReason, ErrorCode } from "../../model/errors.ts";
import type { Signal, StoreStats } from "../../store/store.ts";
import type { TopologyStats } from "../topology/messages.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import type { PayloadEncoding } from "../ingest.ts";

export interface WriterSettings {
	readonly directory: string;
	readonly windowMs: number;
	readonly maxAgeMs: number;
	readonly maxBytes: number;
	readonly limits: DecodeLimits;
	/** Of MESHSCOPE_FAILPOINT. */
	readonly failpoint: string | undefined;
}

export interface BatchMessage {
	readonly kind: "batch";
	readonly id: number;
	readonly signal: Signal;
	readonly encoding: PayloadEncoding;
	readonly bytes: Uint8Array<ArrayBuffer>;
}

export type ToWriter =
	| BatchMessage
	| { readonly kind: "stats"; readonly id: number }
	| { readonly kind: "backup"; readonly id: number; readonly directory: string }
	/** Commit what is queued, release the files, answer `closed`. */
	| { readonly kind: "close" };

export interface BatchResult {
	readonly id: number;
	readonly records: number;
	readonly rejected: number;
	readonly dropped: Partial<Record<DropReason, number>>;
	readonly errorMessage: string;
	readonly duplicate: boolean;
	readonly invalidUtf8Strings: number;
	readonly refused?: { readonly code: ErrorCode; readonly message: string; readonly retryAfterMs?: number };
}

export type FromWriter =
	| { readonly kind: "ready" }
	| { readonly kind: "failed"; readonly message: string; readonly locked: boolean }
	| { readonly kind: "results"; readonly results: readonly BatchResult[] }
	/** Memory of answered payloads, to be used again; transferred. */
	| { readonly kind: "spares"; readonly buffers: readonly ArrayBuffer[] }
	| {
			readonly kind: "stats";
			readonly id: number;
			readonly stats: StoreStats;
			readonly commits: number;
			readonly topology: TopologyStats;
	  }
	| { readonly kind: "backup"; readonly id: number; readonly files: number; readonly bytes: number; readonly error?: string }
	| { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string }
	| { readonly kind: "closed" };
