/** A token bucket: so many at once, so many a second after that. */
export interface Rate {
	/** False when there are too many. */
	take(nowMs: number): boolean;
}

export function rate(burst: number, perSecond: number): Rate {
	let tokens = burst;
	let atMs = 0;
	return {
		take(nowMs) {
			tokens = Math.min(burst, tokens + (Math.max(0, nowMs - atMs) * perSecond) / 1_000);
			atMs = nowMs;
			if (tokens < 1) return false;
			tokens--;
			return true;
		},
	};
}
