/** A call's time told apart: what the callee took, and what its proxies and the network between them added. */
import type { Waterfall } from "../waterfall.ts";
import type { TracedCall } from "./calls.ts";

export interface CallPart {
	readonly kind: "proxy" | "callee" | "failed-try";
	readonly fromNs: number;
	readonly toNs: number;
}

export interface CallParts {
	/** In drawing order: what lies inside of another part comes after it. */
	readonly parts: readonly CallPart[];
	/** In which a callee's span ran; overlaps count once. */
	readonly calleeNs: number;
	/** In which a proxy's span ran and no callee's did. */
	readonly proxyNs: number;
	/** How many of the tries but the last failed. */
	readonly failedTries: number;
}

export function callParts(waterfall: Waterfall, { proxies, callees, tries }: TracedCall): CallParts {
	const extentOf = (row: number): readonly [number, number] => [
		waterfall.offsetNs[row]!,
		waterfall.offsetNs[row]! + waterfall.lengthNs[row]!,
	];
	const callee = union(callees.map(extentOf));
	const all = union([...proxies, ...callees].map(extentOf));
	const failed = tries.slice(0, -1).filter((row) => waterfall.failed[row] === 1);
	const calleeNs = lengthOf(callee);
	const asParts = (kind: CallPart["kind"], extents: readonly (readonly [number, number])[]): CallPart[] =>
		extents.map(([fromNs, toNs]) => ({ kind, fromNs, toNs }));
	return {
		parts: [
			...asParts("proxy", union(proxies.map(extentOf))),
			...asParts("callee", callee),
			...asParts("failed-try", failed.map(extentOf)),
		],
		calleeNs,
		proxyNs: lengthOf(all) - calleeNs,
		failedTries: failed.length,
	};
}

function union(extents: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
	const merged: [number, number][] = [];
	for (const [from, to] of extents.toSorted((a, b) => a[0] - b[0])) {
		const last = merged.at(-1);
		if (last === undefined || from > last[1]) merged.push([from, to]);
		else last[1] = Math.max(last[1], to);
	}
	return merged;
}

function lengthOf(extents: readonly (readonly [number, number])[]): number {
	return extents.reduce((sum, [from, to]) => sum + to - from, 0);
}
