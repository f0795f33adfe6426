/** Requests one after the other from several callers, for as long as a test needs them, and what became of them. */
import { until } from "./rig.ts";

export interface Load {
	readonly done: number;
	/** What failed, in words; empty where the bar is none. */
	readonly failures: readonly string[];
	/** Resolves when so many more requests have been answered, however slow the machine is. */
	more(count: number): Promise<void>;
	/** Resolves when what is under way is over. */
	stop(): Promise<void>;
}

/** `ask` gives a status, and `isGood` which statuses are no failure. */
export function startLoad(
	callers: number,
	ask: (index: number) => Promise<number>,
	isGood: (status: number) => boolean = (status) => status === 200,
): Load {
	let running = true;
	let done = 0;
	const failures: string[] = [];
	const fail = (what: string): void => void (failures.length < 20 && failures.push(`request ${done}: ${what}`));
	const caller = async (): Promise<void> => {
		while (running) {
			await ask(done).then(
				(status) => isGood(status) || fail(`status ${status}`),
				(error: unknown) => fail(String(error)),
			);
			done++;
			// Callers that only follow each other's answers leave no turn to timers.
			if (done % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
		}
	};
	const all = Promise.all(Array.from({ length: callers }, caller));
	return {
		get done() {
			return done;
		},
		failures,
		async more(count) {
			const target = done + count;
			await until(() => (done >= target ? true : undefined), `${count} more requests`, 60_000);
		},
		async stop() {
			running = false;
			await all;
		},
	};
}
