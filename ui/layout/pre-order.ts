/** A tree of linked children, in the order in which its rows are drawn. */

/** Nodes below `firstRoot` and beside it, each before its children; -1 ends a list. @param count of all nodes that are linked */
export function preOrderOf(firstRoot: number, firstChild: Int32Array, nextSibling: Int32Array, count: number): Uint32Array {
	const order = new Uint32Array(count);
	const pending: number[] = [];
	let used = 0;
	// A stack of its own: a chain of 100,000 spans would overflow a recursive walk.
	for (let at = firstRoot; at >= 0 || pending.length > 0;) {
		if (at < 0) {
			at = pending.pop()!;
			continue;
		}
		order[used++] = at;
		if (nextSibling[at]! >= 0) pending.push(nextSibling[at]!);
		at = firstChild[at]!;
	}
	return order;
}
