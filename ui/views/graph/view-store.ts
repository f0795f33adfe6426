/** The part of the sheet that is seen, apart from React: a pan changes it sixty times a second, and only the canvas and the tip follow. */
import type { Viewport } from "./viewport.ts";

export interface ViewStore {
	/** Undefined until the graph was fitted once. */
	readonly get: () => Viewport | undefined;
	readonly set: (view: Viewport) => void;
	/** Of what there is; nothing before. */
	readonly change: (change: (view: Viewport) => Viewport) => void;
	readonly subscribe: (listener: () => void) => () => void;
}

export function createViewStore(): ViewStore {
	let view: Viewport | undefined;
	const listeners = new Set<() => void>();
	const set = (next: Viewport): void => {
		if (next === view) return;
		view = next;
		for (const listener of listeners) listener();
	};
	return {
		get: () => view,
		set,
		change: (change) => {
			if (view !== undefined) set(change(view));
		},
		subscribe: (listener) => {
			listeners.add(listener);
			return () => listeners.delete(listener);
		},
	};
}
