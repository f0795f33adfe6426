/**
 * Time as the data path has it: monotonic for how long, epoch for when. The epoch is read off the monotonic clock, so that spans of one
 * millisecond keep their order, and is set right again when the system's clock has moved away from it.
 */

export interface Clock {
	/** Monotonic ms. */
	nowMs(): number;
	/** With the part below a millisecond. */
	epochMs(): number;
}

/** What adjusting a clock slowly does not reach between two looks, and reading it twice never. */
const MAX_DRIFT_MS = 2;

export function createClock(nowMs: () => number = () => performance.now(), systemMs: () => number = Date.now): Clock {
	let offsetMs = systemMs() - nowMs();
	return {
		nowMs,
		epochMs() {
			const now = nowMs();
			const system = systemMs();
			if (Math.abs(now + offsetMs - system) > MAX_DRIFT_MS) offsetMs = system - now;
			return now + offsetMs;
		},
	};
}

/** Whole nanoseconds of epoch ms, exact to the microsecond that doubles hold. */
export function unixNano(epochMs: number): bigint {
	const whole = Math.floor(epochMs);
	return BigInt(whole) * 1_000_000n + BigInt(Math.floor((epochMs - whole) * 1e6));
}
