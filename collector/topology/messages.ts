/** What the writer thread and the topology thread say to each other. Rows are transferred, never copied. */
import type { CommitRef } from "../../store/topology.ts";
import type { StageDrops, StageGroup } from "./stage.ts";

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

export interface TopologyStats {
	/** Groups up to this one are in the roll-ups. */
	readonly flushed: CommitRef | undefined;
	/** When they were written, epoch ms; 0 before the first flush. */
	readonly flushedMs: number;
	/** Arrival of the newest group that is not in the roll-ups yet; undefined when all are. */
	readonly pendingSinceMs: number | undefined;
	readonly rows: number;
	readonly series: number;
	readonly bytesOnDisk: number;
	readonly drops: StageDrops;
}

export type FromTopology =
	| { readonly kind: "ready"; readonly cursor: CommitRef | undefined }
	| { readonly kind: "taken"; readonly rows: number }
	| { readonly kind: "flushed"; readonly cursor: CommitRef | undefined; readonly stats: TopologyStats }
	| { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string }
	| { readonly kind: "closed" };
