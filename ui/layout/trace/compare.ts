/**
 * What differs between two traces: their calls matched by service and operation below the same callers. Time is compared without what
 * ran below, so that a slow call is told where it is slow and not at every caller of it.
 */
import type { Call, CallTree } from "./call-tree.ts";

export type CallChangeKind = "new" | "gone" | "slower" | "faster" | "same";

export interface CallChange {
	readonly kind: CallChangeKind;
	readonly service: string;
	readonly operation: string;
	readonly depth: number;
	/** Service and operation of the caller; undefined for what nobody called. */
	readonly caller: { readonly service: string; readonly operation: string } | undefined;
	/** In this trace, and in the other; undefined where it has none. */
	readonly here: Call | undefined;
	readonly there: Call | undefined;
	/** Own time here less own time there; ns. */
	readonly selfDifferenceNs: number;
	/** Own time here over own time there; undefined where there is none there, or one of the two lacks the call. */
	readonly ratio: number | undefined;
}

/** Of the longer trace: a smaller difference is no change. */
const LEAST_SHARE = 0.01;
const LEAST_RATIO = 1.1;

/** Every call of both traces once; the greatest difference first. @param durationNs of the longer trace */
export function compareCalls(here: CallTree, there: CallTree, durationNs: number): readonly CallChange[] {
	const changes: CallChange[] = [];
	const pending: [readonly number[], readonly number[]][] = [[here.roots, there.roots]];
	for (let level = pending.pop(); level !== undefined; level = pending.pop()) {
		const [ours, theirs] = level;
		const byKey = new Map(theirs.map((id) => [keyOf(there.calls[id]!), there.calls[id]!]));
		for (const id of ours) {
			const call = here.calls[id]!;
			const other = byKey.get(keyOf(call));
			byKey.delete(keyOf(call));
			changes.push(changeOf(call, other, here, there, durationNs));
			pending.push([call.children, other?.children ?? []]);
		}
		for (const other of byKey.values()) {
			changes.push(changeOf(undefined, other, here, there, durationNs));
			pending.push([[], other.children]);
		}
	}
	return changes.sort(
		(a, b) => Number(a.kind === "same") - Number(b.kind === "same") || effectOf(b) - effectOf(a) || a.depth - b.depth,
	);
}

function keyOf({ service, operation }: Call): string {
	return JSON.stringify([service, operation]);
}

/** A call that came or went is as much as all of its own time. */
function effectOf({ selfDifferenceNs }: CallChange): number {
	return Math.abs(selfDifferenceNs);
}

function changeOf(
	here: Call | undefined,
	there: Call | undefined,
	ours: CallTree,
	theirs: CallTree,
	durationNs: number,
): CallChange {
	const call = (here ?? there)!;
	const calls = here === undefined ? theirs.calls : ours.calls;
	const above = call.parent < 0 ? undefined : calls[call.parent]!;
	const selfDifferenceNs = (here?.selfNs ?? 0) - (there?.selfNs ?? 0);
	return {
		kind: kindOf(here, there, durationNs),
		service: call.service,
		operation: call.operation,
		depth: call.depth,
		caller: above && { service: above.service, operation: above.operation },
		here,
		there,
		selfDifferenceNs,
		ratio: here !== undefined && there !== undefined && there.selfNs > 0 ? here.selfNs / there.selfNs : undefined,
	};
}

function kindOf(here: Call | undefined, there: Call | undefined, durationNs: number): CallChangeKind {
	if (there === undefined) return "new";
	if (here === undefined) return "gone";
	const less = Math.min(here.selfNs, there.selfNs);
	const more = Math.max(here.selfNs, there.selfNs);
	if (more - less < LEAST_SHARE * durationNs || more < LEAST_RATIO * less) return "same";
	return here.selfNs > there.selfNs ? "slower" : "faster";
}
