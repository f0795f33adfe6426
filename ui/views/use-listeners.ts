/** Listeners of a drawing: it is no control of HTML's, so React's linted handlers do not fit it. */
import { useEffect } from "react";
import type { RefObject } from "react";

type Listeners = { readonly [Type in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Type]) => void };

export function useListeners(frame: RefObject<HTMLElement | null>, listeners: Listeners): void {
	useEffect(() => {
		const element = frame.current;
		const entries = Object.entries(listeners) as [string, EventListener][];
		for (const [type, listener] of entries) element?.addEventListener(type, listener);
		return () => {
			for (const [type, listener] of entries) element?.removeEventListener(type, listener);
		};
	});
}
