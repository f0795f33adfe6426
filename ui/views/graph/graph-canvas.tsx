/** The drawing of the graph: pan, zoom, fit, a tip for what lies under the pointer or the keys, and a sentence for screen readers. */
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { ReactNode, RefObject } from "react";
import { Icon } from "../../base/icons.tsx";
import { neighbourhood } from "../../data/graph-model.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import type { EdgeLabel } from "../../data/graph-settings.ts";
import { edgeSentence, nodeSentence } from "../../data/graph-words.ts";
import type { Point } from "../../layout/graph/bodies.ts";
import type { Marks, Sheet } from "./draw.ts";
import { useGestures } from "./gestures.ts";
import { stepFrom } from "./graph-keys.ts";
import type { Size } from "./layers.ts";
import { Painter } from "./painter.ts";
import { hitTest, hullAt, placeOf, sceneOf, sheetOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import type { Positions } from "./use-layout.ts";
import { usePalette } from "./use-palette.ts";
import { createViewStore } from "./view-store.ts";
import type { ViewStore } from "./view-store.ts";
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
	/** Folds a namespace into one node, or unfolds it: by its name, or by the node that stands for it or in it. */
	readonly onFold: (which: { readonly hull: string } | { readonly node: string }) => void;
	/** Changes when other nodes are shown than before: the view is fitted anew. */
	readonly fitKey: string;
	/** While hands move the sheet, what would hold up a frame can wait. */
	readonly onMoving: (isMoving: boolean) => void;
}

const REACH_PX = 8;
const ZOOM_STEP = 1.25;
const PAN_STEP_PX = 80;

export function GraphCanvas(props: GraphCanvasProps): ReactNode {
	const { model, positions, label, selected, onOpen, onClose, onFold, fitKey, onMoving } = props;
	const frame = useRef<HTMLDivElement>(null);
	const canvas = useRef<HTMLCanvasElement>(null);
	const [views] = useState(createViewStore);
	const [size, setSize] = useState<Size>({ width: 0, height: 0 });
	const [hovered, setHovered] = useState<string>();
	const [focused, setFocused] = useState<string>();
	const scene = useMemo(() => sceneOf(model, positions), [model, positions]);
	const sheet = useMemo(() => sheetOf(scene, label), [scene, label]);
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
		if (isPlaced && hasSize) views.set(fitTo(scene.bounds, size.width, size.height));
	}, [views, scene, size, isPlaced, hasSize]);
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
		views.change((view) => broughtIntoView(view, place, size));
	}, [views, scene, selected, size, isPlaced]);

	const centre = hovered ?? (selected === "" ? undefined : selected);
	const lit = useMemo(() => (centre === undefined ? model.found : neighbourhood(model, centre)), [model, centre]);
	usePainted(canvas, { sheet, views, size, marks: { lit, found: model.found, selected, focused } });

	const clicked = useRef<string>(undefined);
	const pointed = hovered ?? focused;
	const under = (at: Point): string | undefined => {
		const view = views.get();
		return view && hitTest(scene, toSheet(view, at), REACH_PX / view.scale);
	};
	const onKey = (event: KeyboardEvent): void => {
		const view = views.get();
		if (event.ctrlKey || event.metaKey || event.altKey || view === undefined) return;
		const middle = { x: size.width / 2, y: size.height / 2 };
		const pan = event.shiftKey ? PANS[event.key] : undefined;
		const next =
			pan === undefined ? stepFrom(scene, focused ?? (selected === "" ? undefined : selected), event.key) : undefined;
		if (pan !== undefined) views.set({ ...view, x: view.x + pan.x * PAN_STEP_PX, y: view.y + pan.y * PAN_STEP_PX });
		else if (next !== undefined) {
			setHovered(undefined);
			setFocused(next);
			views.set(broughtIntoView(view, placeOf(scene, next), size));
		} else if (event.key === "Enter" && focused !== undefined) onOpen(focused);
		else if (event.key === "c") {
			// What the keys stood on may have been folded since.
			const node = [focused, selected].find((id) => id !== undefined && model.nodeById.has(id));
			if (node === undefined) return;
			onFold({ node });
		} else if (event.key === "Escape") {
			setFocused(undefined);
			onClose();
		} else if (event.key === "+" || event.key === "=") views.set(zoomAt(view, middle, ZOOM_STEP));
		else if (event.key === "-") views.set(zoomAt(view, middle, 1 / ZOOM_STEP));
		else if (event.key === "0") fit();
		else return;
		event.preventDefault();
	};
	useGestures(frame, views, {
		onHover: (at) => setHovered(under(at)),
		onClick: (at) => {
			const id = under(at);
			clicked.current = id;
			setFocused(id);
			if (id === undefined) onClose();
			else onOpen(id);
		},
		onDoubleClick: (at) => {
			// The first click opens a panel, which may have moved the sheet under the second.
			const node = clicked.current;
			const view = views.get();
			const hull = node === undefined && view !== undefined ? hullAt(scene, toSheet(view, at)) : undefined;
			if (hull !== undefined) onFold({ hull });
			else if (node !== undefined && model.nodeById.get(node)?.kind === "namespace") onFold({ node });
		},
		onLeave: () => setHovered(undefined),
		onKey,
		onMoving,
	});

	const zoom = (factor: number): void => {
		views.change((view) => zoomAt(view, { x: size.width / 2, y: size.height / 2 }, factor));
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
				{pointed !== undefined && <Tip model={model} scene={scene} views={views} id={pointed} size={size} />}
			</div>
			<p id="graph-keys-help" className="hidden-label">
				Arrow keys move from node to edge to node, Enter opens, Escape closes; with Shift they move the sheet. The table
				shows the same edges as text.
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
	readonly views: ViewStore;
	readonly id: string;
	readonly size: Size;
}

/** Stands below what it tells of, above where there is no room. */
function Tip({ model, scene, views, id, size }: TipProps): ReactNode {
	const view = useSyncExternalStore(views.subscribe, views.get);
	const place = placeOf(scene, id);
	const text = sentenceOf(model, id);
	if (view === undefined || place === undefined || text === "") return undefined;
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
	readonly sheet: Sheet;
	readonly views: ViewStore;
	readonly size: Size;
	readonly marks: Marks;
}

function usePainted(canvas: RefObject<HTMLCanvasElement | null>, { sheet, views, size, marks }: Painted): void {
	const palette = usePalette();
	const painter = useRef<Painter>(undefined);
	useEffect(() => {
		const context = canvas.current!.getContext("2d", { alpha: false });
		if (context === null) return undefined;
		const own = new Painter(canvas.current!, context);
		painter.current = own;
		return () => own.dispose();
	}, [canvas]);
	const { lit, found, selected, focused } = marks;
	useEffect(() => {
		const show = (): void => {
			const view = views.get();
			if (view === undefined || size.width === 0 || size.height === 0) return;
			painter.current?.show({ sheet, view, size, palette, lit, found, selected, focused });
		};
		show();
		return views.subscribe(show);
	}, [sheet, views, size, palette, lit, found, selected, focused]);
}

const PANS: Readonly<Record<string, Point>> = {
	ArrowLeft: { x: 1, y: 0 },
	ArrowRight: { x: -1, y: 0 },
	ArrowUp: { x: 0, y: 1 },
	ArrowDown: { x: 0, y: -1 },
};
