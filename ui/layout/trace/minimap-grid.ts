/** A trace in little as pixels: where many spans share a line, drawing each of them takes many times as long. Free of the DOM. */
import type { Waterfall } from "../waterfall.ts";
import { wholeTrace } from "../timeline.ts";

/** Of a pixel where a span failed, and of one where none ran. */
export const FAILED = 10;
export const NOTHING = 11;

/**
 * Colour slots, {@link FAILED} or {@link NOTHING}, line by line. Of spans that share a pixel the last is seen, and a failed one before
 * all others.
 * @param slots colour slot of each service @param columns and lines: pixels
 */
export function minimapGrid(waterfall: Waterfall, slots: readonly number[], columns: number, lines: number): Uint8Array {
	const { count, offsetNs, lengthNs, service, failed, durationNs } = waterfall;
	const grid = new Uint8Array(columns * lines).fill(NOTHING);
	const perNs = columns / wholeTrace(durationNs).toNs;
	for (const isFailed of [0, 1]) {
		for (let row = 0; row < count; row++) {
			if (failed[row] !== isFailed) continue;
			const start = Math.floor((row * lines) / count) * columns;
			const from = Math.min(columns - 1, Math.floor(offsetNs[row]! * perNs));
			const to = Math.min(columns, Math.max(from + 1, Math.round((offsetNs[row]! + lengthNs[row]!) * perNs)));
			const slot = isFailed === 1 ? FAILED : slots[service[row]!]!;
			// A call into the runtime costs more than a short stretch.
			if (to - from > 16) grid.fill(slot, start + from, start + to);
			else for (let at = start + from; at < start + to; at++) grid[at] = slot;
		}
	}
	return grid;
}
