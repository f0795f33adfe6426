/** Those who want to hear of a change. One that throws is the log's business and keeps nobody else from hearing. */
import type { ControlLog } from "./sources.ts";

export interface Listeners<T> {
	add(listener: (value: T) => void): () => void;
	tell(value: T): void;
}

export function listeners<T>(log: ControlLog): Listeners<T> {
	const all = new Set<(value: T) => void>();
	return {
		add(listener) {
			all.add(listener);
			return () => void all.delete(listener);
		},
		tell(value) {
			for (const listener of all) {
				try {
					listener(value);
				} catch (error) {
					log("warn", "a change could not be taken over", {
						reason: error instanceof Error ? error.stack : String(error),
					});
				}
			}
		},
	};
}
