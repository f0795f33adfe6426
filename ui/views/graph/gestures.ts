/** Hands on the sheet: a press that moves pans, one that does not is a click, two fingers and the wheel zoom. */
import { useEffect, useRef } from "react";
import type { RefObject } from "react";
import type { Point } from "../../layout/graph/bodies.ts";
import { pinched, zoomAt } from "./viewport.ts";
import type { Viewport } from "./viewport.ts";
import type { ViewStore } from "./view-store.ts";

export interface SheetActions {
	readonly onHover: (at: Point) => void;
	readonly onClick: (at: Point) => void;
	readonly onDoubleClick: (at: Point) => void;
	readonly onLeave: () => void;
	readonly onKey: (event: KeyboardEvent) => void;
	/** Whether hands move the sheet: what would hold up a frame can wait. */
	readonly onMoving: (isMoving: boolean) => void;
}

/** A hand that shakes still clicks. */
const CLICK_REACH_PX = 4;
const WHEEL_RATE = 0.0015;
/** Trackpads tell a pinch as a wheel with the control key, in smaller steps. */
const PINCH_RATE = 0.01;
const LINE_PX = 16;
/** A wheel has no end: so long after its last turn it rests. */
const REST_MS = 300;

/** The sheet is an application of its own, which the page's markup has no name for: it listens by itself. */
export function useGestures(frame: RefObject<HTMLElement | null>, views: ViewStore, actions: SheetActions): void {
	// Listeners stay; what they do follows the last render.
	const latest = useRef(actions);
	useEffect(() => {
		latest.current = actions;
	});
	useEffect(() => {
		const element = frame.current!;
		const attached = new AbortController();
		const { signal } = attached;
		listenToPointers(element, views, () => latest.current, signal);
		listenToWheel(element, views, () => latest.current, signal);
		element.addEventListener("keydown", (event) => latest.current.onKey(event), { signal });
		return () => attached.abort();
	}, [frame, views]);
}

function placeIn(element: HTMLElement, { clientX, clientY }: MouseEvent): Point {
	const box = element.getBoundingClientRect();
	return { x: clientX - box.left, y: clientY - box.top };
}

interface Grip {
	readonly view: Viewport;
	/** Where the fingers were when they took hold; one or two. */
	readonly from: readonly Point[];
}

function listenToPointers(element: HTMLElement, views: ViewStore, actions: () => SheetActions, signal: AbortSignal): void {
	const fingers = new Map<number, Point>();
	let grip: Grip | undefined;
	let hasMoved = false;
	const takeHold = (): void => {
		const view = views.get();
		grip = view === undefined || fingers.size === 0 ? undefined : { view, from: [...fingers.values()].slice(0, 2) };
	};
	const letGo = (event: PointerEvent): void => {
		if (!fingers.delete(event.pointerId)) return;
		takeHold();
		if (fingers.size > 0) return;
		if (hasMoved) actions().onMoving(false);
		else if (event.type === "pointerup") actions().onClick(placeIn(element, event));
		hasMoved = false;
	};
	element.addEventListener(
		"pointerdown",
		(event) => {
			if (event.button !== 0) return;
			element.setPointerCapture(event.pointerId);
			fingers.set(event.pointerId, placeIn(element, event));
			takeHold();
		},
		{ signal },
	);
	element.addEventListener(
		"pointermove",
		(event) => {
			const at = placeIn(element, event);
			if (!fingers.has(event.pointerId)) {
				if (fingers.size === 0) actions().onHover(at);
				return;
			}
			fingers.set(event.pointerId, at);
			if (grip === undefined) return;
			const to = [...fingers.values()].slice(0, 2);
			const [first] = grip.from;
			if (!hasMoved) {
				if (to.length === 1 && Math.hypot(at.x - first!.x, at.y - first!.y) <= CLICK_REACH_PX) return;
				hasMoved = true;
				actions().onMoving(true);
			}
			views.set(pinched(grip.view, grip.from, to));
		},
		{ signal },
	);
	element.addEventListener("pointerup", letGo, { signal });
	element.addEventListener("pointercancel", letGo, { signal });
	element.addEventListener("pointerleave", () => actions().onLeave(), { signal });
	element.addEventListener("dblclick", (event) => actions().onDoubleClick(placeIn(element, event)), { signal });
}

/** Not React's own: a wheel that zooms must keep the page from scrolling, which passive listeners cannot. */
function listenToWheel(element: HTMLElement, views: ViewStore, actions: () => SheetActions, signal: AbortSignal): void {
	let resting: number | undefined;
	const onWheel = (event: WheelEvent): void => {
		event.preventDefault();
		if (resting === undefined) actions().onMoving(true);
		window.clearTimeout(resting);
		resting = window.setTimeout(() => {
			resting = undefined;
			actions().onMoving(false);
		}, REST_MS);
		const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
		const rate = event.ctrlKey ? PINCH_RATE : WHEEL_RATE;
		views.change((view) => zoomAt(view, placeIn(element, event), Math.exp(-event.deltaY * lines * rate)));
	};
	element.addEventListener("wheel", onWheel, { passive: false, signal });
	signal.addEventListener("abort", () => window.clearTimeout(resting));
}
