/**
 * Keeps the blocks of the live windows in order, one step at a time: which window is next, whether a merge runs here or in its thread,
 * and the sealing of a window once nothing is left to merge.
 */
import { DamagedBlockError } from "../block/bytes.ts";
import type { LiveWindows } from "./live-windows.ts";
import { runMerge } from "./merge-job.ts";
import { type MergePlan, unpackedBytesOf } from "./merge-plan.ts";
import type { MergeAnswer, MergeRunner } from "./merge-thread.ts";
import type { WindowWriter } from "./window-writer.ts";

/** A lookup reads the directory of each unmerged block: some hundred cost a few milliseconds. */
const MAX_UNMERGED_BLOCKS = 400;
/** Merges of fewer rows and bytes cost less than handing them over. */
const INLINE_MERGE_ROWS = 1_024;
const INLINE_MERGE_BYTES = 1 << 20;
/** Some 50 s of commits under load. Beyond it the oldest groups are given up, down to half as many. */
const MAX_HELD_BLOCKS = 2_000;
/** Windows that ended and cannot be sealed; each is an open file. */
const MAX_HELD_WINDOWS = 16;

export interface MergingOptions {
	/** Where large merges run; in the calling thread when absent. */
	readonly merger?: MergeRunner;
	/** Called when a merge came back and there is a step to take. */
	readonly onWork?: () => void;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
	/** Told of a window that was compacted and is about to be closed for good. */
	readonly onSeal: (window: WindowWriter) => void;
}

interface FinishedMerge {
	readonly window: WindowWriter;
	readonly plan: MergePlan;
	readonly answer: MergeAnswer;
}

export class Merging {
	private readonly windows: LiveWindows;
	/** Groups that were given up before the topology stage had them. */
	skippedGroups = 0;
	private readonly options: MergingOptions;
	private mergingWindow: WindowWriter | undefined;
	private merged: FinishedMerge | undefined;

	constructor(windows: LiveWindows, options: MergingOptions) {
		this.windows = windows;
		this.options = options;
	}

	/** True while there is another step to take now, rather than when a merge comes back. */
	step(): boolean {
		if (this.merged !== undefined) {
			this.finish(this.merged);
			return true;
		}
		this.boundHold();
		for (const window of this.windows.all()) {
			// While groups are held, what is released is merged as in an open window: the last blocks are to be final ones.
			const ended = window !== this.windows.open && !window.holdsGroups;
			const plan = window.nextMerge(ended);
			if (plan !== undefined) return this.merge(window, plan);
			if (!ended) continue;
			if (this.mergingWindow === window) return false;
			this.windows.guarded(window, () => this.seal(window));
			return true;
		}
		return false;
	}

	/** Groups that the topology stage does not release must not keep blocks from being merged, and windows from being sealed, for ever. */
	private boundHold(): void {
		const { sealing } = this.windows;
		const waiting = sealing.filter((window) => window.holdsGroups);
		let excess = this.windows.all().reduce((total, window) => total + window.heldBlocks, 0);
		if (excess <= MAX_HELD_BLOCKS && waiting.length <= MAX_HELD_WINDOWS) return;
		excess -= MAX_HELD_BLOCKS / 2;
		let groups = 0;
		for (const window of this.windows.all()) {
			const held = window.heldBlocks;
			const isFurtherBack = waiting.indexOf(window) < waiting.length - MAX_HELD_WINDOWS && waiting.includes(window);
			if (!isFurtherBack && excess <= 0) break;
			groups += window.giveUpHold(isFurtherBack ? 0 : Math.max(0, held - excess));
			excess -= held;
		}
		this.skippedGroups += groups;
		this.options.log(
			"warn",
			`the topology stage is behind: ${groups} groups wait for it no longer, and would be missing in edges after a crash`,
		);
	}

	private merge(window: WindowWriter, plan: MergePlan): boolean {
		const { merger } = this.options;
		const rows = plan.blocks.reduce((total, block) => total + block.rows, 0);
		const isSmall = rows < INLINE_MERGE_ROWS && unpackedBytesOf(plan.blocks) < INLINE_MERGE_BYTES;
		if (merger === undefined || isSmall) {
			this.mergeHere(window, plan);
			return true;
		}
		if (this.mergingWindow !== undefined) {
			if (window.unmergedBlocks - window.heldBlocks < MAX_UNMERGED_BLOCKS) return false;
			// Ingest outruns the merge thread: merging here too slows ingest down to what can be kept in order.
			this.mergeHere(window, plan);
			return true;
		}
		this.windows.guarded(window, () => {
			const job = window.beginMerge(plan);
			this.mergingWindow = window;
			merger.start(job, (answer) => {
				this.merged = { window, plan, answer };
				this.options.onWork?.();
			});
		});
		return true;
	}

	private mergeHere(window: WindowWriter, plan: MergePlan): void {
		this.windows.guarded(window, () => {
			window.applyMerge(plan, runMerge(window.beginMerge(plan)));
		});
	}

	private finish({ window, plan, answer }: FinishedMerge): void {
		this.merged = undefined;
		this.mergingWindow = undefined;
		// The window may have been removed meanwhile.
		if (!this.windows.has(window)) return;
		this.windows.guarded(window, () => {
			if (answer.kind !== "failed") {
				window.applyMerge(plan, answer);
				return;
			}
			window.abandonMerge(plan);
			if (answer.damaged) throw new DamagedBlockError(answer.error);
			throw new Error(`a merge failed: ${answer.error}`);
		});
	}

	private seal(window: WindowWriter): void {
		window.compact();
		this.options.onSeal(window);
		this.windows.sealed(window);
	}
}
