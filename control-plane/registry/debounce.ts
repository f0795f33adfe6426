/**
 * Gathers changes for a moment and hands them on together: a rollout of twenty instances is told in a few messages, not in hundreds.
 * The first change starts the wait, so that a stream of changes is told as often as the wait allows.
 */
export interface Debounce {
	add(keys: Iterable<string>): void;
	close(): void;
}

export interface DebounceOptions {
	/** Asked when a wait begins. */
	readonly waitMs: () => number;
	readonly onDue: (keys: readonly string[]) => void;
	readonly setTimer: (callback: () => void, ms: number) => () => void;
}

export function debounce({ waitMs, onDue, setTimer }: DebounceOptions): Debounce {
	const waiting = new Set<string>();
	let cancel: (() => void) | undefined;
	return {
		add(keys) {
			for (const key of keys) waiting.add(key);
			if (waiting.size === 0 || cancel !== undefined) return;
			cancel = setTimer(() => {
				cancel = undefined;
				const due = [...waiting];
				waiting.clear();
				onDue(due);
			}, waitMs());
		},
		close() {
			cancel?.();
			cancel = undefined;
			waiting.clear();
		},
	};
}
