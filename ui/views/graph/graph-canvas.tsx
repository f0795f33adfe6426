/** The drawing of the graph: pan, zoom, fit, a tip for what lies under the pointer or the keys, and a sentence for screen readers. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { ReactNode, RefObject } from "react";
import { Icon } from "../../base/icons.tsx";
import { neighbourhood } from "../../data/graph-model.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import type { EdgeLabel } from "../../data/graph-settings.ts";
import { edgeSentence, nodeSentence } from "../../data/graph-words.ts";
import type { Point } from "../../layout/graph/bodies.ts";
import { draw } from "./draw.ts";
import { stepFrom } from "./graph-keys.ts";
import { hitTest, placeOf, sceneOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import type { Positions } from "./use-layout.ts";
import { usePalette } from "./use-palette.ts";
import { fitTo, toCanvas, toSheet, zoomAt } from "./viewport.ts";
import type { Viewport } from "./viewport.ts";

interface GraphCanvasProps {
	readonly model: GraphModel;
	readonly positions: Positions;
	readonly label: EdgeLabel;
	/** The open node or edge; empty for none. */
	readonly selected: string;
	readonly onOpen: (id: string) => void;
	readonly onClose: () => void;
	/** Changes when other nodes are shown than before: the view is fitted anew. */
	readonly fitKey: string;
}

interface Size {
	readonly width: number;
	readonly height: number;
}

const REACH_PX = 8;
const ZOOM_STEP = 1.25;

export function GraphCanvas({ model, positions, label, selected, onOpen, onClose, fitKey }: GraphCanvasProps): ReactNode {
	const frame = useRef<HTMLDivElement>(null);
	const canvas = useRef<HTMLCanvasElement>(null);
	const [size, setSize] = useState<Size>({ width: 0, height: 0 });
	const [view, setView] = useState<Viewport>();
	const [hovered, setHovered] = useState<string>();
	const [focused, setFocused] = useState<string>();
	const scene = useMemo(() => sceneOf(model, positions), [model, positions]);
	const isPlaced = scene.nodes.length > 0;

	useLayoutEffect(() => {
		const observer = new ResizeObserver(([entry]) => {
			if (entry !== undefined) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
		});
		observer.observe(frame.current!);
		return () => observer.disconnect();
	}, []);

	const hasSize = size.width > 0 && size.height > 0;
	const fit = useCallback(() => {
		if (isPlaced && hasSize) setView(fitTo(scene.bounds, size.width, size.height));
	}, [scene, size, isPlaced, hasSize]);
	// Fitted once for each set of nodes: a refresh must not move what somebody looks at.
	const fittedFor = useRef("");
	useEffect(() => {
		if (!isPlaced || !hasSize || fittedFor.current === fitKey) return;
		fittedFor.current = fitKey;
		fit();
	}, [fit, fitKey, isPlaced, hasSize]);

	// The panel takes room: what it tells of must not lie behind it. Once, not with each refresh.
	const shownFor = useRef("");
	useEffect(() => {
		const key = `${selected} ${size.width} ${size.height}`;
		if (selected === "" || !isPlaced || shownFor.current === key) return;
		shownFor.current = key;
		const place = placeOf(scene, selected);
		setView((before) => before && broughtIntoView(before, place, size));
	}, [scene, selected, size, isPlaced]);

	usePainted(canvas, { scene, view, size, label, selected, focused, hovered, model });
	useWheel(frame, setView);

	const pointed = hovered ?? focused;
	const drag = useDrag(frame, setView, view, {
		onHover: (at) => setHovered(view === undefined ? undefined : hitTest(scene, toSheet(view, at), REACH_PX / view.scale)),
		onClick: (at) => {
			const id = view === undefined ? undefined : hitTest(scene, toSheet(view, at), REACH_PX / view.scale);
			setFocused(id);
			if (id === undefined) onClose();
			else onOpen(id);
		},
		onLeave: () => setHovered(undefined),
	});

	const onKeyDown = (event: KeyboardEvent): void => {
		if (event.ctrlKey || event.metaKey || event.altKey || view === undefined) return;
		const middle = { x: size.width / 2, y: size.height / 2 };
		const next = stepFrom(scene, focused ?? (selected === "" ? undefined : selected), event.key);
		if (next !== undefined) {
			setHovered(undefined);
			setFocused(next);
			setView(broughtIntoView(view, placeOf(scene, next), size));
		} else if (event.key === "Enter" && focused !== undefined) onOpen(focused);
		else if (event.key === "Escape") {
			setFocused(undefined);
			onClose();
		} else if (event.key === "+" || event.key === "=") setView(zoomAt(view, middle, ZOOM_STEP));
		else if (event.key === "-") setView(zoomAt(view, middle, 1 / ZOOM_STEP));
		else if (event.key === "0") fit();
		else return;
		event.preventDefault();
	};

	useListeners(frame, { ...drag, keydown: onKeyDown });

	const zoom = (factor: number): void => {
		setView((before) => before && zoomAt(before, { x: size.width / 2, y: size.height / 2 }, factor));
	};
	return (
		<div className="graph-frame">
			<div
				ref={frame}
				className={hovered === undefined ? "graph-sheet" : "graph-sheet graph-pointing"}
				role="application"
				aria-roledescription="graph"
				aria-label={`Service graph, ${model.nodes.length} nodes, ${model.edges.length} edges`}
				aria-describedby="graph-keys-help"
				tabIndex={0}
			>
				<canvas ref={canvas} aria-hidden="true" />
				{pointed !== undefined && view !== undefined && (
					<Tip model={model} scene={scene} view={view} id={pointed} size={size} />
				)}
			</div>
			<p id="graph-keys-help" className="hidden-label">
				Arrow keys move from node to edge to node, Enter opens, Escape closes. The table shows the same edges as text.
			</p>
			<p className="hidden-label" role="status">
				{focused === undefined ? "" : sentenceOf(model, focused)}
			</p>
			<div className="graph-zoom" role="group" aria-label="Zoom">
				<button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick={() => zoom(ZOOM_STEP)}>
					+
				</button>
				<button type="button" aria-label="Zoom out" title="Zoom out (-)" onClick={() => zoom(1 / ZOOM_STEP)}>
					−
				</button>
				<button type="button" aria-label="Fit the graph" title="Fit (0)" onClick={fit}>
					<Icon name="fit" />
				</button>
			</div>
			{!isPlaced && <p className="graph-wait muted">Placing the nodes…</p>}
		</div>
	);
}

function sentenceOf(model: GraphModel, id: string): string {
	const edge = model.edgeById.get(id);
	const node = model.nodeById.get(id);
	return edge !== undefined ? edgeSentence(edge) : node !== undefined ? nodeSentence(node) : "";
}

interface TipProps {
	readonly model: GraphModel;
	readonly scene: Scene;
	readonly view: Viewport;
	readonly id: string;
	readonly size: Size;
}

/** Stands below what it tells of, above where there is no room. */
function Tip({ model, scene, view, id, size }: TipProps): ReactNode {
	const place = placeOf(scene, id);
	const text = sentenceOf(model, id);
	if (place === undefined || text === "") return undefined;
	const at = toCanvas(view, place);
	const left = Math.min(Math.max(at.x, 150), Math.max(150, size.width - 150));
	const isLow = at.y > size.height - 110;
	return (
		<div
			className={isLow ? "graph-tip graph-tip-above" : "graph-tip"}
			data-x={Math.round(at.x)}
			data-y={Math.round(at.y)}
			style={{ left, top: at.y + (isLow ? -26 : 34 * Math.max(view.scale, 0.6)) }}
		>
			<bdi>{text}</bdi>
		</div>
	);
}

function broughtIntoView(view: Viewport, place: Point | undefined, size: Size): Viewport {
	if (place === undefined) return view;
	const at = toCanvas(view, place);
	const margin = 60;
	const dx = Math.max(0, margin - at.x) - Math.max(0, at.x - (size.width - margin));
	const dy = Math.max(0, margin - at.y) - Math.max(0, at.y - (size.height - margin));
	return dx === 0 && dy === 0 ? view : { ...view, x: view.x + dx, y: view.y + dy };
}

interface Painted {
	readonly scene: Scene;
	readonly view: Viewport | undefined;
	readonly size: Size;
	readonly label: EdgeLabel;
	readonly selected: string;
	readonly focused: string | undefined;
	readonly hovered: string | undefined;
	readonly model: GraphModel;
}

/** One drawing a frame, however often the pointer moves. */
function usePainted(canvas: RefObject<HTMLCanvasElement | null>, painted: Painted): void {
	const { scene, view, size, label, selected, focused, hovered, model } = painted;
	const palette = usePalette();
	useEffect(() => {
		const element = canvas.current;
		const context = element?.getContext("2d") ?? undefined;
		if (element === null || context === undefined || view === undefined || size.width === 0) return undefined;
		const request = requestAnimationFrame(() => {
			const pixelRatio = Math.min(window.devicePixelRatio, 2);
			const [width, height] = [Math.round(size.width * pixelRatio), Math.round(size.height * pixelRatio)];
			if (element.width !== width) element.width = width;
			if (element.height !== height) element.height = height;
			const centre = hovered ?? (selected === "" ? undefined : selected);
			const lit = centre === undefined ? model.found : neighbourhood(model, centre);
			draw(context, {
				...{ scene, view, label, selected, focused, lit, found: model.found },
				palette,
				size: { ...size, pixelRatio },
			});
		});
		return () => cancelAnimationFrame(request);
	}, [canvas, scene, view, size, label, selected, focused, hovered, model, palette]);
}

type SetView = (change: (view: Viewport | undefined) => Viewport | undefined) => void;

/** Not React's own: a wheel that zooms must keep the page from scrolling, which passive listeners cannot. */
function useWheel(frame: RefObject<HTMLElement | null>, setView: SetView): void {
	useEffect(() => {
		const element = frame.current!;
		const onWheel = (event: WheelEvent): void => {
			event.preventDefault();
			const box = element.getBoundingClientRect();
			const at = { x: event.clientX - box.left, y: event.clientY - box.top };
			const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
			setView((view) => view && zoomAt(view, at, Math.exp(-event.deltaY * lines * 0.0015)));
		};
		element.addEventListener("wheel", onWheel, { passive: false });
		return () => element.removeEventListener("wheel", onWheel);
	}, [frame, setView]);
}

interface Listeners {
	readonly keydown: (event: KeyboardEvent) => void;
	readonly pointerdown: (event: PointerEvent) => void;
	readonly pointermove: (event: PointerEvent) => void;
	readonly pointerup: (event: PointerEvent) => void;
	readonly pointercancel: () => void;
	readonly pointerleave: () => void;
}

/** The sheet is an application of its own, which the page's markup has no name for: it listens by itself. */
function useListeners(frame: RefObject<HTMLElement | null>, listeners: Listeners): void {
	useEffect(() => {
		const element = frame.current!;
		const attached = new AbortController();
		for (const [type, listener] of Object.entries(listeners)) {
			element.addEventListener(type, listener as EventListener, { signal: attached.signal });
		}
		return () => attached.abort();
	});
}

interface DragActions {
	readonly onHover: (at: Point) => void;
	readonly onClick: (at: Point) => void;
	readonly onLeave: () => void;
}

/** A press that moves pans; one that does not is a click. */
function useDrag(
	frame: RefObject<HTMLElement | null>,
	setView: SetView,
	view: Viewport | undefined,
	actions: DragActions,
): Omit<Listeners, "keydown"> {
	const start = useRef<{ readonly x: number; readonly y: number; readonly view: Viewport; hasMoved: boolean }>(undefined);
	const placeIn = (event: PointerEvent): Point => {
		const box = frame.current!.getBoundingClientRect();
		return { x: event.clientX - box.left, y: event.clientY - box.top };
	};
	return {
		pointerdown: (event) => {
			if (event.button !== 0 || view === undefined) return;
			frame.current!.setPointerCapture(event.pointerId);
			start.current = { x: event.clientX, y: event.clientY, view, hasMoved: false };
		},
		pointermove: (event) => {
			const from = start.current;
			if (from === undefined) {
				actions.onHover(placeIn(event));
				return;
			}
			const dx = event.clientX - from.x;
			const dy = event.clientY - from.y;
			from.hasMoved ||= Math.hypot(dx, dy) > 4;
			if (from.hasMoved) setView(() => ({ ...from.view, x: from.view.x + dx, y: from.view.y + dy }));
		},
		pointerup: (event) => {
			const from = start.current;
			start.current = undefined;
			if (from !== undefined && !from.hasMoved) actions.onClick(placeIn(event));
		},
		pointercancel: () => {
			start.current = undefined;
		},
		pointerleave: actions.onLeave,
	};
}
