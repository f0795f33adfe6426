/** What is folded: all calls or none by the address, and those that were chosen otherwise by hand. */
import { useMemo, useState } from "react";
import { callsOf, hasProxies } from "../../layout/trace/calls.ts";
import type { CallHop, TracedCall } from "../../layout/trace/calls.ts";
import { foldCalls } from "../../layout/trace/fold.ts";
import type { FoldedWaterfall } from "../../layout/trace/fold.ts";
import type { Waterfall } from "../../layout/waterfall.ts";

export interface Fold {
	readonly calls: readonly TracedCall[];
	readonly folded: FoldedWaterfall;
	/** A call has several spans. */
	readonly canFold: boolean;
	readonly isOn: boolean;
	/** `?fold=` of the other choice; undefined where that is what a trace like this begins with. */
	readonly toggled: "on" | "off" | undefined;
	/** Of a row of the folded waterfall. */
	readonly isFoldedAt: (row: number) => boolean;
	/** Index of the call that a row of the whole belongs to; -1 for none. */
	readonly callOf: (row: number) => number;
	/** Does nothing for -1. */
	readonly toggle: (call: number) => void;
}

interface ByHand {
	readonly calls: readonly TracedCall[];
	readonly isOn: boolean;
	readonly others: ReadonlySet<number>;
}

const NONE: ReadonlySet<number> = new Set();

/** @param wanted `?fold=` of the address */
export function useFold(waterfall: Waterfall, hops: readonly CallHop[], wanted: string | null): Fold {
	const calls = useMemo(() => callsOf(waterfall, hops), [waterfall, hops]);
	const isDefault = useMemo(() => hasProxies(calls), [calls]);
	const canFold = useMemo(() => calls.some(({ rows }) => rows.length > 1), [calls]);
	const isOn = wanted === "on" || (wanted !== "off" && isDefault);
	const [byHand, setByHand] = useState<ByHand>({ calls, isOn, others: NONE });
	// Folding all, or another trace, makes what was chosen one by one void.
	const others = byHand.calls === calls && byHand.isOn === isOn ? byHand.others : NONE;
	const folded = useMemo(
		() => foldCalls(waterfall, calls, (call) => isOn !== others.has(call)),
		[waterfall, calls, isOn, others],
	);
	const callOf = useMemo(() => {
		const byRow = new Int32Array(waterfall.count).fill(-1);
		for (const [i, { rows }] of calls.entries()) for (const row of rows) byRow[row] = i;
		return (row: number) => byRow[row] ?? -1;
	}, [waterfall, calls]);
	return {
		calls,
		folded,
		canFold,
		isOn,
		toggled: isOn === isDefault ? (isOn ? "off" : "on") : undefined,
		isFoldedAt: (row) => folded.memberStart[row + 1]! - folded.memberStart[row]! > 1,
		callOf,
		toggle: (call) => {
			if (call < 0) return;
			const next = new Set(others);
			if (!next.delete(call)) next.add(call);
			setByHand({ calls, isOn, others: next });
		},
	};
}
