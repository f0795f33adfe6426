/**
 * Where the time of a trace went: the chain of spans that the end waited for, free of the DOM.
 *
 * Walked back from the latest end: what a span waited for last is the child that ended last before the moment looked at; what lies
 * between that child's end and the moment is the span's own. A child that still ran at that moment held nobody up there. Every
 * instant of the trace falls to one span, or to none where none ran, so the pieces add up to the trace's duration exactly.
 * Each span is visited once; its children are sorted only where the path goes through it.
 */
import type { Waterfall } from "../waterfall.ts";

/** Stands for a piece during which no span of the trace ran. */
export const NO_ROW = -1;

export interface CriticalPath {
	/** In order of time, without gaps: row of each piece, and where it begins, nanoseconds from the trace's start. */
	readonly rows: readonly number[];
	readonly fromNs: readonly number[];
	readonly toNs: readonly number[];
	/** Nanoseconds of each row on the path; 0 for most. */
	readonly ownNs: Float64Array;
}

export interface PathPiece {
	readonly fromNs: number;
	readonly toNs: number;
}

interface Visit {
	readonly row: number;
	/** The span as far as its parent waited for it. */
	readonly fromNs: number;
	/** Latest end first. */
	readonly children: readonly number[];
	next: number;
	/** The path went through a child already. */
	isEntered: boolean;
}

export function criticalPath(waterfall: Waterfall): CriticalPath {
	const { offsetNs, lengthNs, count, parent } = waterfall;
	const rows: number[] = [];
	const fromNs: number[] = [];
	const toNs: number[] = [];
	const ownNs = new Float64Array(count);
	const firstChild = new Int32Array(count).fill(-1);
	const nextSibling = new Int32Array(count).fill(-1);
	let firstRoot = -1;
	for (let row = count - 1; row >= 0; row--) {
		const above = parent[row]!;
		nextSibling[row] = above < 0 ? firstRoot : firstChild[above]!;
		if (above < 0) firstRoot = row;
		else firstChild[above] = row;
	}
	const endOf = (row: number): number => offsetNs[row]! + lengthNs[row]!;
	const visit = (row: number, from: number): Visit => {
		const children: number[] = [];
		for (let at = row < 0 ? firstRoot : firstChild[row]!; at >= 0; at = nextSibling[at]!) children.push(at);
		return { row, fromNs: from, children: children.sort((a, b) => endOf(b) - endOf(a) || a - b), next: 0, isEntered: false };
	};
	let moment = waterfall.durationNs;
	const addUntil = (row: number, from: number): void => {
		if (from >= moment) return;
		rows.push(row);
		fromNs.push(from);
		toNs.push(moment);
		if (row !== NO_ROW) ownNs[row]! += moment - from;
		moment = from;
	};
	// A stack of its own: a chain of 100,000 spans would overflow a recursive walk.
	const stack: Visit[] = [visit(NO_ROW, 0)];
	for (let at = stack.at(-1); at !== undefined; at = stack.at(-1)) {
		const child = at.children[at.next++];
		if (child === undefined) {
			addUntil(at.row, at.fromNs);
			stack.pop();
			continue;
		}
		const end = endOf(child);
		const from = Math.max(at.fromNs, offsetNs[child]!);
		const until = Math.min(end, moment);
		// One that outlasts its parent is waited for until the parent's end, one that still ran when a sibling began not at all.
		if (from >= until || (end > moment && at.isEntered)) continue;
		at.isEntered = true;
		addUntil(at.row, until);
		stack.push(visit(child, from));
	}
	return { rows: rows.toReversed(), fromNs: fromNs.toReversed(), toNs: toNs.toReversed(), ownNs };
}

/** Pieces of each row that is on the path, in order of time. */
export function piecesByRow({ rows, fromNs, toNs }: CriticalPath): ReadonlyMap<number, readonly PathPiece[]> {
	const byRow = new Map<number, PathPiece[]>();
	for (const [i, row] of rows.entries()) {
		const piece = { fromNs: fromNs[i]!, toNs: toNs[i]! };
		const known = byRow.get(row);
		if (known === undefined) byRow.set(row, [piece]);
		else known.push(piece);
	}
	return byRow;
}
