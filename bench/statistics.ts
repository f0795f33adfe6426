/** Order statistics of measurements; nothing is averaged that has a tail. */

/** Nearest rank of values sorted ascending; NaN when there are none. */
export function percentile(sorted: readonly number[], quantile: number): number {
	if (sorted.length === 0) return Number.NaN;
	return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(quantile * sorted.length) - 1))]!;
}

export interface Spread {
	readonly median: number;
	readonly min: number;
	readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
	const sorted = values.toSorted((a, b) => a - b);
	const middle = sorted.length >> 1;
	const median =
		sorted.length === 0
			? Number.NaN
			: sorted.length % 2 === 1
				? sorted[middle]!
				: (sorted[middle - 1]! + sorted[middle]!) / 2;
	return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN };
}

/** Least-squares slope of y over x, in units of y per unit of x. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
	const n = points.length;
	const meanX = points.reduce((sum, point) => sum + point.x, 0) / n;
	const meanY = points.reduce((sum, point) => sum + point.y, 0) / n;
	let above = 0;
	let below = 0;
	for (const { x, y } of points) {
		above += (x - meanX) * (y - meanY);
		below += (x - meanX) ** 2;
	}
	return below === 0 ? Number.NaN : above / below;
}
