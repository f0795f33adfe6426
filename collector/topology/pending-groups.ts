/** Since when what is committed waits to be in the roll-ups. */
import { type CommitRef, isAfter } from "../../store/topology.ts";

/** Groups that arrived within it are one entry, so that a stage that stands still for hours costs some thousands. */
const STEP_MS = 1_000;

export class PendingGroups {
	/** In order of commit. */
	private readonly steps: { readonly sinceMs: number; upTo: CommitRef }[] = [];

	/** Arrival of the oldest group that waits, to the second. */
	get sinceMs(): number | undefined {
		return this.steps[0]?.sinceMs;
	}

	/** Groups that are read again come after those committed meanwhile, and may be known already. */
	add(ref: CommitRef, arrivedMs: number): void {
		const { steps } = this;
		let at = steps.length;
		while (at > 0 && !isAfter(ref, steps[at - 1]!.upTo)) at--;
		const next = steps[at];
		if (next !== undefined && next.sinceMs <= arrivedMs) return;
		const before = steps[at - 1];
		if (before !== undefined && arrivedMs < before.sinceMs + STEP_MS) before.upTo = ref;
		else steps.splice(at, 0, { sinceMs: arrivedMs, upTo: ref });
	}

	flushed(cursor: CommitRef): void {
		const waiting = this.steps.findIndex(({ upTo }) => isAfter(upTo, cursor));
		this.steps.splice(0, waiting < 0 ? this.steps.length : waiting);
	}
}
