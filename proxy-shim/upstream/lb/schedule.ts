/**
 * Earliest deadline first: which of n entries is due next when each is due every 1/weight. Smooth: a heavy entry is spread between
 * the light ones, not served in a row. Entries begin at a random part of their period, so that proxies that start together do not
 * all call the same host first.
 */

export interface Schedule {
	/** The entry that is due. It stays due until it is put back. */
	peek(): number;
	/** Puts the due entry back, to be due 1/weight later. */
	putBack(weight: number): void;
}

/**
 * A binary heap over deadlines; both calls cost O(log n) at most. There is at least one weight, each above 0. Deadlines only grow:
 * after n picks they are off by about n · 2^-53 of a step, which no proxy lives to see.
 */
export function createSchedule(weights: readonly number[], random: () => number): Schedule {
	const deadlines = Float64Array.from(weights, (weight) => random() / weight);
	const heap = Uint32Array.from(weights, (_, index) => index);
	for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(at);

	function isBefore(a: number, b: number): boolean {
		const difference = deadlines[a]! - deadlines[b]!;
		return difference < 0 || (difference === 0 && a < b);
	}

	function sink(from: number): void {
		let at = from;
		const entry = heap[at]!;
		for (;;) {
			let child = 2 * at + 1;
			if (child >= heap.length) break;
			if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
			if (!isBefore(heap[child]!, entry)) break;
			heap[at] = heap[child]!;
			at = child;
		}
		heap[at] = entry;
	}

	return {
		peek: () => heap[0]!,
		putBack(weight) {
			const entry = heap[0]!;
			deadlines[entry]! += 1 / weight;
			sink(0);
		},
	};
}
