/** Time as telemetry asks for it, so that tests can make it pass. */

export interface Clock {
	/** Never goes back. */
	monotonicMs(): number;
	/** Epoch. */
	epochMs(): number;
	/** Calls once after this long, unless the answer was called before. Keeps no process alive. */
	after(ms: number, run: () => void): () => void;
}

export const SYSTEM_CLOCK: Clock = {
	monotonicMs: () => performance.now(),
	epochMs: () => Date.now(),
	after(ms, run) {
		const timer = setTimeout(run, ms);
		timer.unref();
		return () => clearTimeout(timer);
	},
};
