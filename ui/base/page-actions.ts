/** What the page at hand offers besides links, such as its exports: views say it while they are shown, the palette lists it. */
import { useEffect, useRef } from "react";

export interface PageAction {
	/** Unique on the page. */
	readonly key: string;
	/** A sentence that begins with what it does: `Export changed edges as CSV`. */
	readonly label: string;
	readonly run: () => void;
}

const offered = new Set<{ readonly current: readonly PageAction[] }>();

/** Offers actions as long as the caller is shown. They may differ with each drawing. */
export function usePageActions(actions: readonly PageAction[]): void {
	const latest = useRef(actions);
	useEffect(() => {
		latest.current = actions;
	});
	useEffect(() => {
		offered.add(latest);
		return () => void offered.delete(latest);
	}, []);
}

/** In the order in which views were shown. */
export function pageActions(): readonly PageAction[] {
	return [...offered].flatMap(({ current }) => current);
}
