/**
 * The spans of a trace gathered by how they were called: spans of one service and operation below the same callers are one call of the
 * tree. A trace of 100,000 spans has some hundred calls; the flame graph and the comparison of two traces stand on them.
 */
import type { Waterfall } from "../waterfall.ts";

export interface Call {
	/** Its place in the tree's list; callers come before what they call. */
	readonly index: number;
	/** Index of the caller; -1 for what nobody called. */
	readonly parent: number;
	readonly depth: number;
	readonly service: string;
	readonly operation: string;
	/** Indices, in order of their first span. */
	readonly children: number[];
	/** The first of its spans, a row of the waterfall. */
	readonly firstRow: number;
	count: number;
	errors: number;
	/** Sum of the spans' durations, and of their parts in which nothing below them ran; ns. */
	totalNs: number;
	selfNs: number;
}

export interface CallTree {
	readonly calls: readonly Call[];
	/** Indices. */
	readonly roots: readonly number[];
	/** Index of the call that each row belongs to. */
	readonly callOf: Uint32Array;
}

/** Linear in the spans. */
export function callTree(waterfall: Waterfall): CallTree {
	const self = selfTimes(waterfall);
	const calls: Call[] = [];
	const roots: number[] = [];
	const callOf = new Uint32Array(waterfall.count);
	const known = new Map<string, number>();
	for (let row = 0; row < waterfall.count; row++) {
		const parentRow = waterfall.parent[row]!;
		const parent = parentRow < 0 ? -1 : callOf[parentRow]!;
		const operation = waterfall.spans[row]!.name ?? "";
		const key = `${parent} ${waterfall.service[row]!} ${operation}`;
		let index = known.get(key);
		if (index === undefined) {
			index = calls.length;
			known.set(key, index);
			calls.push({
				index,
				parent,
				depth: parent < 0 ? 0 : calls[parent]!.depth + 1,
				service: waterfall.services[waterfall.service[row]!]!,
				operation,
				children: [],
				firstRow: row,
				count: 0,
				errors: 0,
				totalNs: 0,
				selfNs: 0,
			});
			(parent < 0 ? roots : calls[parent]!.children).push(index);
		}
		const call = calls[index]!;
		callOf[row] = index;
		call.count++;
		call.errors += waterfall.failed[row]!;
		call.totalNs += waterfall.lengthNs[row]!;
		call.selfNs += self[row]!;
	}
	return { calls, roots, callOf };
}

/**
 * Of each row, the part of its duration in which none of its children ran; ns. Children that ran at once count once, and what of a
 * child lies outside of its parent (a later answer, another clock) counts for nothing.
 */
export function selfTimes({ count, parent, offsetNs, lengthNs }: Waterfall): Float64Array {
	const self = Float64Array.from(lengthNs);
	/** Up to where the children seen so far cover each row. */
	const covered = Float64Array.from(offsetNs);
	// Siblings come in order of their start.
	for (let row = 0; row < count; row++) {
		const above = parent[row]!;
		if (above < 0) continue;
		const from = Math.max(offsetNs[row]!, covered[above]!);
		const to = Math.min(offsetNs[row]! + lengthNs[row]!, offsetNs[above]! + lengthNs[above]!);
		if (to <= from) continue;
		self[above] = Math.max(0, self[above]! - (to - from));
		covered[above] = to;
	}
	return self;
}
