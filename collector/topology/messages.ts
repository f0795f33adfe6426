/** What the writer thread and the topology thread say to each other. Rows are transferred, never copied. */
import type { CommitRef } from "../../store/topology.ts";
import type { StageDrops, StageGroup } from "./stage-options.ts";

export interface TopologyWorkerData {
	readonly directory: string;
	readonly maxAgeMs: number;
	readonly maxBytes: number;
	/** Of MESHSCOPE_FAILPOINT. */
	readonly failpoint: string | undefined;
}

export type ToTopology =
	| { readonly kind: "group"; readonly group: StageGroup; readonly rows: number }
	/** Every group that was committed before the stage's start has been sent again. */
	| { readonly kind: "caught-up" }
	/** Write what is known, release the files, answer `closed`. */
	| { readonly kind: "close" };

/** What the stage says of itself after each flush. */
export interface StageStats {
	/** When the last flush was written, epoch ms; undefined before the first. */
	readonly flushedMs: number | undefined;
	readonly rows: number;
	readonly series: number;
	readonly bytesOnDisk: number;
	readonly drops: StageDrops;
	/** Flushes that found no room. */
	readonly failedFlushes: number;
}

/** What the feed knows of it. */
export interface TopologyStats {
	/** Undefined until the thread has flushed once since it was started. */
	readonly stage: StageStats | undefined;
	/** Arrival of the oldest group that is not in the roll-ups yet, to the second; undefined when all are. */
	readonly pendingSinceMs: number | undefined;
	/** Times that the thread was lost. */
	readonly restarts: number;
}

export type FromTopology =
	| { readonly kind: "ready"; readonly cursor: CommitRef | undefined }
	| { readonly kind: "taken"; readonly rows: number }
	| { readonly kind: "flushed"; readonly cursor: CommitRef | undefined; readonly stats: StageStats }
	| { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string }
	| { readonly kind: "closed" };
