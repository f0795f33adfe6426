/** Where the calls of a trace stand in a flame graph: callers above what they call, as wide as the time that they took. */
import type { Call, CallTree } from "./call-tree.ts";

export interface Frame {
	readonly call: Call;
	/** Of the drawing's width, 0 to 1. */
	readonly left: number;
	readonly width: number;
	/** Rows from the top. */
	readonly depth: number;
}

/**
 * Frames of `root` and all below it, or of the whole tree with -1; those narrower than `least` (of the width) are left out with what is
 * below them. What ran at once takes more time together than its caller: then all of it shares the caller's width.
 */
export function flameFrames(tree: CallTree, root: number, least: number): readonly Frame[] {
	const frames: Frame[] = [];
	const pending: {
		readonly ids: readonly number[];
		readonly left: number;
		readonly width: number;
		readonly timeNs: number;
		readonly depth: number;
	}[] = [];
	const begin = root < 0 ? tree.roots : [root];
	pending.push({ ids: begin, left: 0, width: 1, timeNs: 0, depth: 0 });
	for (let level = pending.pop(); level !== undefined; level = pending.pop()) {
		const { ids, width, timeNs, depth } = level;
		const sum = ids.reduce((total, id) => total + tree.calls[id]!.totalNs, 0);
		// Calls that took no time at all still have a place.
		const whole = Math.max(sum, timeNs);
		let { left } = level;
		for (const id of ids) {
			const call = tree.calls[id]!;
			const own = whole > 0 ? (width * call.totalNs) / whole : width / ids.length;
			if (own >= least) {
				frames.push({ call, left, width: own, depth });
				if (call.children.length > 0)
					pending.push({ ids: call.children, left, width: own, timeNs: call.totalNs, depth: depth + 1 });
			}
			left += own;
		}
	}
	return frames;
}

/** The frame at a place, of the width and rows from the top. */
export function frameAt(frames: readonly Frame[], x: number, depth: number): Frame | undefined {
	return frames.find((frame) => frame.depth === depth && x >= frame.left && x < frame.left + frame.width);
}
