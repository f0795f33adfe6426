/** Clock, chance and timers of the control client, so that a test can be all three. */
export interface Timers {
	/** Epoch ms. */
	readonly nowMs: () => number;
	/** From 0 to 1. */
	readonly random: () => number;
	/** Returns what cancels it. */
	readonly setTimer: (callback: () => void, ms: number) => () => void;
}

/** Node's timers end at 2^31 ms; whoever waits longer is woken once in between. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export function systemTimers(): Timers {
	return {
		nowMs: Date.now,
		random: Math.random,
		setTimer(callback, ms) {
			const timer = setTimeout(callback, Math.min(Math.max(0, ms), MAX_TIMER_MS));
			return () => clearTimeout(timer);
		},
	};
}
