/**
 * Keeps the blocks of the live windows in order, one step at a time: which window is next, whether a merge runs here or in its thread,
 * and the sealing of a window once nothing is left to merge.
 */
import { DamagedBlockError } from "../block/bytes.ts";
import { mergeBlocks } from "../block/merge.ts";
import type { LiveWindows } from "./live-windows.ts";
import type { MergePlan } from "./merge-plan.ts";
import type { MergeAnswer, MergeRunner } from "./merge-thread.ts";
import type { WindowWriter } from "./window-writer.ts";

/** A lookup reads the directory of each unmerged block: some hundred cost a few milliseconds. */
const MAX_UNMERGED_BLOCKS = 400;
/** Merges of fewer rows cost less than handing them over. */
const INLINE_MERGE_ROWS = 1_024;

export interface MergingOptions {
	/** Where large merges run; in the calling thread when absent. */
	readonly merger?: MergeRunner;
	/** Called when a merge came back and there is a step to take. */
	readonly onWork?: () => void;
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
		const sealing = this.windows.sealing[0];
		const window = sealing ?? this.windows.open;
		if (window === undefined) return false;
		const plan = window.nextMerge(sealing !== undefined);
		if (plan !== undefined) return this.merge(window, plan);
		if (sealing === undefined || this.mergingWindow === sealing) return false;
		this.windows.guarded(sealing, () => this.seal(sealing));
		return true;
	}

	private merge(window: WindowWriter, plan: MergePlan): boolean {
		const { merger } = this.options;
		const rows = plan.blocks.reduce((total, block) => total + block.rows, 0);
		if (merger === undefined || rows < INLINE_MERGE_ROWS) {
			this.mergeHere(window, plan);
			return true;
		}
		if (this.mergingWindow !== undefined) {
			if (window.unmergedBlocks < MAX_UNMERGED_BLOCKS) return false;
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
			const job = window.beginMerge(plan);
			window.applyMerge(plan, mergeBlocks(job.signal, job.inputs, job));
		});
	}

	private finish({ window, plan, answer }: FinishedMerge): void {
		this.merged = undefined;
		this.mergingWindow = undefined;
		// The window may have been removed meanwhile.
		if (!this.windows.has(window)) return;
		this.windows.guarded(window, () => {
			if ("block" in answer) {
				window.applyMerge(plan, answer.block);
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
