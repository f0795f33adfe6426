/** Whether something is more frequent in one sample than in another, and by how much at least. */

/** Four standard deviations: thousands of features are compared at once, and chance must not be among the first. */
const Z = 4;
/** What was seen less often says nothing, however pure it is. */
const MIN_SEEN = 3;

/** The true share that `seen` of `total` may stand for: Wilson's score interval. */
export function wilsonBounds(seen: number, total: number): readonly [low: number, high: number] {
	if (total === 0) return [0, 1];
	const share = seen / total;
	const middle = share + (Z * Z) / (2 * total);
	const reach = Z * Math.sqrt((share * (1 - share)) / total + (Z * Z) / (4 * total * total));
	const scale = 1 + (Z * Z) / total;
	return [Math.max(0, (middle - reach) / scale), Math.min(1, (middle + reach) / scale)];
}

/**
 * By how much the share in `a` of `ofA` at least exceeds that in `b` of `ofB`: the lower bound of Newcombe's interval for a difference
 * of shares. 0 where it may not exceed it at all, or too few were seen.
 */
export function certainExcess(a: number, ofA: number, b: number, ofB: number): number {
	if (a < MIN_SEEN || ofA === 0 || ofB === 0) return 0;
	const shareA = a / ofA;
	const shareB = b / ofB;
	const down = shareA - wilsonBounds(a, ofA)[0];
	const up = wilsonBounds(b, ofB)[1] - shareB;
	return Math.max(0, shareA - shareB - Math.sqrt(down * down + up * up));
}
