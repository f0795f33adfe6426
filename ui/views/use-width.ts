/** Width of an element in pixels, as it changes. What is drawn on a canvas needs it. */
import { useEffect, useState } from "react";
import type { RefObject } from "react";

/** Before anything is measured; a page of usual width is about that. */
const ASSUMED_WIDTH = 900;

export function useWidth(element: RefObject<HTMLElement | null>): number {
	const [width, setWidth] = useState(ASSUMED_WIDTH);
	useEffect(() => {
		if (element.current === null) return undefined;
		const observer = new ResizeObserver(([entry]) => {
			if (entry !== undefined) setWidth(Math.round(entry.contentRect.width));
		});
		observer.observe(element.current);
		return () => observer.disconnect();
	}, [element]);
	return width;
}
