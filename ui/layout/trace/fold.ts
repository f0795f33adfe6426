/**
 * A waterfall in which the spans of a call are one row. The folded one is a waterfall itself, so that drawing, collapsing and moving
 * work on either; `members` and `rowOf` lead from its rows to those of the whole, each of which is a member exactly once.
 *
 * What stands below any member stands below the row. Its earliest row decides where it stands, so that no row is its own ancestor
 * however calls lie inside each other.
 */
import { preOrderOf } from "../pre-order.ts";
import { rowColumns, type Waterfall } from "../waterfall.ts";
import type { TracedCall } from "./calls.ts";

export interface FoldedWaterfall extends Waterfall {
	readonly whole: Waterfall;
	/** Of row r, the rows of the whole are `members[memberStart[r]]` up to `members[memberStart[r + 1]]`, ascending. */
	readonly memberStart: Uint32Array;
	readonly members: Uint32Array;
	/** Row that shows a row of the whole. */
	readonly rowOf: Uint32Array;
	/** Index of the call that begins at the row, folded or not; -1 for none. */
	readonly callAt: Int32Array;
}

/** @param isFolded by index of the call; those of one span stay as they are */
export function foldCalls(whole: Waterfall, calls: readonly TracedCall[], isFolded: (call: number) => boolean): FoldedWaterfall {
	const head = new Uint32Array(whole.count);
	for (let row = 0; row < whole.count; row++) head[row] = row;
	const callOfHead = new Int32Array(whole.count).fill(-1);
	const foldedCall = new Int32Array(whole.count).fill(-1);
	for (const [i, { rows }] of calls.entries()) {
		callOfHead[rows[0]!] = i;
		if (rows.length < 2 || !isFolded(i)) continue;
		foldedCall[rows[0]!] = i;
		for (const row of rows) head[row] = rows[0]!;
	}
	const extent = extents(whole, head);
	const order = orderOf(whole, head, foldedCall, extent.fromNs);
	const count = order.length;
	const rowOf = new Uint32Array(whole.count);
	for (let row = 0; row < count; row++) rowOf[order[row]!] = row;
	for (let row = 0; row < whole.count; row++) rowOf[row] = rowOf[head[row]!]!;
	const out = { ...rowColumns(count), callAt: new Int32Array(count) };
	for (let row = 0; row < count; row++) {
		const at = order[row]!;
		const above = whole.parent[at]!;
		const call = calls[foldedCall[at]!];
		out.offsetNs[row] = extent.fromNs[at]!;
		out.lengthNs[row] = extent.toNs[at]! - extent.fromNs[at]!;
		out.parent[row] = above < 0 ? -1 : rowOf[above]!;
		out.depth[row] = above < 0 ? 0 : out.depth[rowOf[above]!]! + 1;
		out.service[row] = whole.service[call?.calleeRow ?? at]!;
		out.source[row] = whole.source[at]!;
		out.callAt[row] = callOfHead[at]!;
	}
	const { memberStart, members } = membersOf(rowOf, count);
	for (let row = 0; row < whole.count; row++) {
		const call = calls[foldedCall[head[row]!]!];
		const to = rowOf[row]!;
		out.marks[to]! |= whole.marks[row]!;
		// An earlier try that failed was made good, or else the last one failed too.
		if (whole.failed[row] === 1 && call?.earlier.has(row) !== true) out.failed[to] = 1;
	}
	for (let row = count - 1; row >= 0; row--) {
		out.subtreeEnd[row] = Math.max(out.subtreeEnd[row]!, row + 1);
		const above = out.parent[row]!;
		if (above >= 0) out.subtreeEnd[above] = Math.max(out.subtreeEnd[above]!, out.subtreeEnd[row]!);
	}
	const spans = Array.from(order, (at) => whole.spans[calls[foldedCall[at]!]?.calleeRow ?? at]!);
	const rowOfSpan: Waterfall["rowOfSpan"] = (id, kind) => rowOf[whole.rowOfSpan(id, kind)] ?? -1;
	return { ...whole, ...out, count, spans, whole, memberStart, members, rowOf, rowOfSpan };
}

/** From the earliest start to the latest end of what each head stands for. */
function extents({ count, offsetNs, lengthNs }: Waterfall, head: Uint32Array): { fromNs: Float64Array; toNs: Float64Array } {
	const fromNs = new Float64Array(count).fill(Infinity);
	const toNs = new Float64Array(count).fill(-Infinity);
	for (let row = 0; row < count; row++) {
		const at = head[row]!;
		fromNs[at] = Math.min(fromNs[at]!, offsetNs[row]!);
		toNs[at] = Math.max(toNs[at]!, offsetNs[row]! + lengthNs[row]!);
	}
	return { fromNs, toNs };
}

/** Heads in pre-order. */
function orderOf(whole: Waterfall, head: Uint32Array, foldedCall: Int32Array, fromNs: Float64Array): Uint32Array {
	const { count, parent } = whole;
	const firstChild = new Int32Array(count).fill(-1);
	const nextSibling = new Int32Array(count).fill(-1);
	let firstRoot = -1;
	let heads = 0;
	for (let row = count - 1; row >= 0; row--) {
		if (head[row] !== row) continue;
		heads++;
		const above = parent[row]! < 0 ? -1 : head[parent[row]!]!;
		nextSibling[row] = above < 0 ? firstRoot : firstChild[above]!;
		if (above < 0) firstRoot = row;
		else firstChild[above] = row;
	}
	// Children of one span come by start; those of several spans are put among each other.
	for (let row = 0; row < count; row++) if (foldedCall[row]! >= 0) sortChildren(row);
	return preOrderOf(firstRoot, firstChild, nextSibling, heads);

	function sortChildren(row: number): void {
		const children: number[] = [];
		for (let at = firstChild[row]!; at >= 0; at = nextSibling[at]!) children.push(at);
		if (children.length < 2) return;
		children.sort((a, b) => fromNs[a]! - fromNs[b]! || a - b);
		firstChild[row] = children[0]!;
		for (const [i, at] of children.entries()) nextSibling[at] = children[i + 1] ?? -1;
	}
}

function membersOf(rowOf: Uint32Array, count: number): { memberStart: Uint32Array; members: Uint32Array } {
	const memberStart = new Uint32Array(count + 1);
	for (const row of rowOf) memberStart[row + 1]!++;
	for (let row = 0; row < count; row++) memberStart[row + 1]! += memberStart[row]!;
	const next = memberStart.slice(0, count);
	const members = new Uint32Array(rowOf.length);
	for (let row = 0; row < rowOf.length; row++) members[next[rowOf[row]!]!++] = row;
	return { memberStart, members };
}

/** The row of the whole at which a row begins. */
export function headOf({ members, memberStart }: FoldedWaterfall, row: number): number {
	return members[memberStart[row]!]!;
}

export function membersAt({ members, memberStart }: FoldedWaterfall, row: number): Uint32Array {
	return members.subarray(memberStart[row], memberStart[row + 1]);
}
