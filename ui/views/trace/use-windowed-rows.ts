/** Which of the waterfall's rows are on screen, and how one is brought there. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { RefObject } from "react";
import { ROW_HEIGHT } from "./span-row.tsx";

/** Rows drawn above and below the screen, so that a fast scroll does not show gaps. */
const OVERSCAN = 12;

interface WindowedRows {
	readonly scroller: RefObject<HTMLDivElement | null>;
	readonly first: number;
	readonly last: number;
	/** Of the scroller, pixels. */
	readonly width: number;
	readonly onScroll: () => void;
	/** Scrolls the least that shows the row at a position. */
	readonly reveal: (position: number) => void;
}

export function useWindowedRows(count: number): WindowedRows {
	const scroller = useRef<HTMLDivElement>(null);
	const [range, setRange] = useState({ first: 0, last: 60, width: 0 });
	const measure = useCallback(() => {
		const element = scroller.current;
		if (element === null) return;
		const first = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - OVERSCAN);
		const last = Math.ceil((element.scrollTop + element.clientHeight) / ROW_HEIGHT) + OVERSCAN;
		const width = element.clientWidth;
		setRange((old) => (old.first === first && old.last === last && old.width === width ? old : { first, last, width }));
	}, []);
	useEffect(() => {
		const observer = new ResizeObserver(measure);
		if (scroller.current !== null) observer.observe(scroller.current);
		return () => observer.disconnect();
	}, [measure]);
	// Fewer rows move the scroll position without a scroll event in some browsers.
	useEffect(measure, [measure, count]);
	const reveal = useCallback((position: number) => {
		// After the rows of this change are laid out.
		requestAnimationFrame(() => {
			const element = scroller.current;
			if (element === null) return;
			const top = position * ROW_HEIGHT;
			const room = element.clientHeight - HEAD_HEIGHT;
			if (top < element.scrollTop) element.scrollTop = top;
			else if (top + ROW_HEIGHT > element.scrollTop + room) element.scrollTop = top + ROW_HEIGHT - room;
		});
	}, []);
	return { scroller, ...range, onScroll: measure, reveal };
}

/** Height of the sticky axis, as in trace.css. */
const HEAD_HEIGHT = 28;
