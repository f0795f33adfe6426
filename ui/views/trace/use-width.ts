/** Width of an element in pixels, as it changes; 0 before it is known. What is drawn on a canvas needs it. */
import { useCallback, useState } from "react";

export function useWidth(): { readonly box: (element: HTMLElement | null) => (() => void) | undefined; readonly width: number } {
	const [width, setWidth] = useState(0);
	const box = useCallback((element: HTMLElement | null) => {
		if (element === null) return undefined;
		const observer = new ResizeObserver(() => setWidth(element.clientWidth));
		observer.observe(element);
		setWidth(element.clientWidth);
		return () => observer.disconnect();
	}, []);
	return { box, width };
}
