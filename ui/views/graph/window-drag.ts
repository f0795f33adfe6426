/** Hands on the scrubber: the window is dragged by its middle, stretched by its ends, and brought to where the chart is pressed. */
import { useEffect, useRef } from "react";
import type { RefObject } from "react";
import { movedTo, stretched } from "../../data/graph-history.ts";
import type { TimeWindow } from "../../data/graph-history.ts";

interface DragActions {
	readonly grip: () => { readonly window: TimeWindow; readonly stepMs: number; readonly limits: TimeWindow };
	readonly onMove: (window: TimeWindow) => void;
	/** Undefined when nothing was moved. */
	readonly onEnd: (window: TimeWindow | undefined) => void;
}

export function useWindowDrag(track: RefObject<HTMLElement | null>, actions: DragActions): void {
	const latest = useRef(actions);
	useEffect(() => {
		latest.current = actions;
	});
	useEffect(() => {
		const element = track.current!;
		const attached = new AbortController();
		const { signal } = attached;
		let move: ((clientX: number) => TimeWindow) | undefined;
		let last: TimeWindow | undefined;
		const onDown = (event: PointerEvent): void => {
			if (event.button !== 0) return;
			const { window, stepMs, limits } = latest.current.grip();
			const box = element.getBoundingClientRect();
			const timeAt = (clientX: number): number =>
				limits.fromMs + ((clientX - box.left) / Math.max(1, box.width)) * (limits.toMs - limits.fromMs);
			const target = event.target as HTMLElement;
			const end = target.dataset["end"] as "from" | "to" | undefined;
			const isOnWindow = target.closest(".scrubber-window") !== null;
			const offset = isOnWindow ? timeAt(event.clientX) - window.fromMs : (window.toMs - window.fromMs) / 2;
			move =
				end === undefined
					? (clientX) => movedTo(window, timeAt(clientX) - offset, stepMs, limits)
					: (clientX) => stretched(window, end, timeAt(clientX), stepMs, limits);
			last = undefined;
			element.setPointerCapture(event.pointerId);
			element.querySelector<HTMLElement>(".scrubber-window")?.focus();
			event.preventDefault();
			if (!isOnWindow) onMove(event);
		};
		const onMove = ({ clientX }: PointerEvent): void => {
			if (move === undefined) return;
			last = move(clientX);
			latest.current.onMove(last);
		};
		const onEnd = (): void => {
			if (move === undefined) return;
			move = undefined;
			latest.current.onEnd(last);
		};
		element.addEventListener("pointerdown", onDown, { signal });
		element.addEventListener("pointermove", onMove, { signal });
		element.addEventListener("pointerup", onEnd, { signal });
		element.addEventListener("pointercancel", onEnd, { signal });
		return () => attached.abort();
	}, [track]);
}
