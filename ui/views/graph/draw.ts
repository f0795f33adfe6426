/**
 * Draws the sheet: hulls, edges, arrow heads, nodes, names, badges. Health is told by colour and, where requests fail, by dashes;
 * encryption by the sign in the middle of the edge; the kind of a node by its shape. Runs in the page and in a worker, onto a canvas and
 * into a file.
 */
import type { GraphNodeAnswer, Health } from "../../data/graph-words.ts";
import type { MtlsStatus } from "../../data/mtls-words.ts";
import type { Bounds, Point } from "../../layout/graph/bodies.ts";
import { NODE_RADIUS } from "../../layout/graph/edge-path.ts";
import type { EdgePath } from "../../layout/graph/edge-path.ts";
import { drawLock, traceShape } from "./shapes.ts";
import type { Viewport } from "./viewport.ts";

/** What a canvas, of the page or of a worker, and a writer of SVG have in common. */
export type Pen = Pick<
	CanvasRenderingContext2D,
	| "arc"
	| "beginPath"
	| "bezierCurveTo"
	| "closePath"
	| "ellipse"
	| "fill"
	| "fillRect"
	| "fillStyle"
	| "fillText"
	| "font"
	| "globalAlpha"
	| "lineJoin"
	| "lineTo"
	| "lineWidth"
	| "moveTo"
	| "rect"
	| "roundRect"
	| "setLineDash"
	| "stroke"
	| "strokeStyle"
	| "strokeText"
	| "textAlign"
	| "textBaseline"
>;

/** What is drawn, and nothing else: it is sent to a worker. */
export interface Sheet {
	readonly nodes: readonly DrawnNode[];
	readonly edges: readonly DrawnEdge[];
	readonly hulls: readonly { readonly name: string; readonly bounds: Bounds }[];
	readonly bounds: Bounds;
}

export interface DrawnNode {
	readonly id: string;
	readonly at: Point;
	readonly title: string;
	readonly kind: GraphNodeAnswer["kind"];
	readonly isFailing: boolean;
}

export interface DrawnEdge {
	readonly id: string;
	readonly path: EdgePath;
	readonly width: number;
	readonly health: Health;
	readonly status: MtlsStatus;
	/** Empty for none. */
	readonly label: string;
}

export interface Palette {
	readonly ground: string;
	readonly surface: string;
	readonly hull: string;
	readonly line: string;
	readonly text: string;
	readonly muted: string;
	readonly accent: string;
	readonly warn: string;
	readonly good: string;
	readonly health: Readonly<Record<Health, string>>;
}

export function readPalette(element: Element): Palette {
	const style = getComputedStyle(element);
	const read = (name: string): string => style.getPropertyValue(`--${name}`).trim();
	return {
		ground: read("ground"),
		surface: read("surface"),
		hull: read("surface-2"),
		line: read("line-strong"),
		text: read("text"),
		muted: read("text-3"),
		accent: read("accent"),
		warn: read("warn"),
		good: read("good"),
		health: { ok: read("edge-ok"), warn: read("edge-warn"), fail: read("edge-fail"), idle: read("edge-idle") },
	};
}

export interface Drawing extends Marks {
	readonly sheet: Sheet;
	readonly view: Viewport;
	readonly palette: Palette;
	/** Of the canvas, CSS pixels. */
	readonly size: { readonly width: number; readonly height: number };
}

/** What stands out. */
export interface Marks {
	/** Nodes and edges in full colour; the rest is faint. Undefined for all. */
	readonly lit: ReadonlySet<string> | undefined;
	/** What the find box names. */
	readonly found: ReadonlySet<string> | undefined;
	/** The open node or edge, and the one the keys stand on. */
	readonly selected: string;
	readonly focused: string | undefined;
}

const FAINT = 0.26;
/** Below these scales names and badges could not be read. */
const LABEL_SCALE = 0.55;
const TITLE_SCALE = 0.42;
const BADGE_SCALE = 0.32;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

/** Onto a canvas of `pixelRatio` pixels a CSS pixel, all of it. */
export function paint(
	context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D,
	drawing: Drawing,
	pixelRatio: number,
): void {
	const { view, size, palette } = drawing;
	context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
	context.globalAlpha = 1;
	context.fillStyle = palette.ground;
	context.fillRect(0, 0, size.width, size.height);
	context.translate(view.x, view.y);
	context.scale(view.scale, view.scale);
	draw(context, drawing);
}

/** In the places of the sheet: whoever calls has set the pen up so that they come to lie where `view` says. */
export function draw(pen: Pen, drawing: Drawing): void {
	const { view, sheet } = drawing;
	const part = visiblePart(drawing);
	const isSeen = ({ x, y }: Point): boolean => x > part.left && x < part.right && y > part.top && y < part.bottom;
	drawHulls(pen, drawing);
	const isLit = (id: string): boolean => drawing.lit === undefined || drawing.lit.has(id);
	const crossing = sheet.edges.filter(({ path }) => crosses(path, part));
	for (const pass of drawing.lit === undefined ? [true] : [false, true]) {
		pen.globalAlpha = pass ? 1 : FAINT;
		drawEdges(
			pen,
			crossing.filter(({ id }) => isLit(id) === pass),
			drawing,
		);
	}
	for (const node of sheet.nodes) {
		if (!isSeen(node.at)) continue;
		pen.globalAlpha = isLit(node.id) ? 1 : FAINT * 1.6;
		drawNode(pen, node, drawing);
	}
	if (view.scale >= BADGE_SCALE) {
		for (const edge of crossing) {
			if (!isSeen(edge.path.middle)) continue;
			pen.globalAlpha = isLit(edge.id) ? 1 : FAINT;
			drawBadge(pen, edge, drawing);
		}
	}
	pen.globalAlpha = 1;
}

/** Room for names and arrow heads of what stands just outside. */
const MARGIN = 80;

function visiblePart({ view, size }: Drawing): Bounds {
	const left = -view.x / view.scale;
	const top = -view.y / view.scale;
	return {
		left: left - MARGIN,
		top: top - MARGIN,
		right: left + size.width / view.scale + MARGIN,
		bottom: top + size.height / view.scale + MARGIN,
	};
}

/** A curve lies within its four points. */
function crosses({ from, control1, control2, to }: EdgePath, part: Bounds): boolean {
	return (
		Math.max(from.x, control1.x, control2.x, to.x) > part.left &&
		Math.min(from.x, control1.x, control2.x, to.x) < part.right &&
		Math.max(from.y, control1.y, control2.y, to.y) > part.top &&
		Math.min(from.y, control1.y, control2.y, to.y) < part.bottom
	);
}

function drawHulls(pen: Pen, { sheet, palette, view }: Drawing): void {
	pen.lineWidth = 1 / view.scale;
	for (const { name, bounds } of sheet.hulls) {
		pen.beginPath();
		pen.roundRect(bounds.left, bounds.top, bounds.right - bounds.left, bounds.bottom - bounds.top, 12);
		pen.fillStyle = palette.hull;
		pen.fill();
		pen.strokeStyle = palette.line;
		pen.stroke();
		// Far away the title grows against the sheet, so that namespaces can still be told.
		const fontSize = Math.min(12 / Math.min(1, view.scale), 110);
		pen.font = `600 ${fontSize}px ${FONT}`;
		pen.fillStyle = palette.muted;
		pen.textAlign = "left";
		pen.textBaseline = "top";
		pen.fillText(name.slice(0, 60), bounds.left + 10, bounds.top + 8, Math.max(20, bounds.right - bounds.left - 20));
	}
}

/** One path for all edges of a colour and width: a stroke a style, not a stroke an edge. */
function drawEdges(pen: Pen, edges: readonly DrawnEdge[], drawing: Drawing): void {
	const { palette, view } = drawing;
	const styles = Map.groupBy(edges, ({ health, width }) => `${health} ${Math.round(width)}`);
	for (const [, alike] of styles) {
		const { health, width } = alike[0]!;
		pen.beginPath();
		for (const { path } of alike) {
			pen.moveTo(path.from.x, path.from.y);
			pen.bezierCurveTo(path.control1.x, path.control1.y, path.control2.x, path.control2.y, path.to.x, path.to.y);
		}
		pen.strokeStyle = palette.health[health];
		pen.lineWidth = Math.max(Math.round(width), 1 / view.scale);
		pen.setLineDash(health === "fail" ? [9, 4] : health === "idle" ? [2, 4] : []);
		pen.stroke();
		pen.setLineDash([]);
		pen.beginPath();
		for (const { path } of alike) traceArrow(pen, path.to.x, path.to.y, path.angle, 7 + width * 0.9);
		pen.fillStyle = palette.health[health];
		pen.fill();
	}
	for (const { id, path } of edges) {
		const isChosen = id === drawing.selected || id === drawing.focused;
		if (!isChosen && drawing.found?.has(id) !== true) continue;
		pen.beginPath();
		pen.moveTo(path.from.x, path.from.y);
		pen.bezierCurveTo(path.control1.x, path.control1.y, path.control2.x, path.control2.y, path.to.x, path.to.y);
		pen.strokeStyle = palette.accent;
		pen.globalAlpha *= 0.32;
		pen.lineWidth = 12;
		pen.stroke();
		pen.globalAlpha /= 0.32;
	}
}

function traceArrow(pen: Pen, x: number, y: number, angle: number, length: number): void {
	const spread = 0.42;
	pen.moveTo(x + Math.cos(angle) * 3, y + Math.sin(angle) * 3);
	pen.lineTo(x - Math.cos(angle - spread) * length, y - Math.sin(angle - spread) * length);
	pen.lineTo(x - Math.cos(angle + spread) * length, y - Math.sin(angle + spread) * length);
	pen.closePath();
}

function drawNode(pen: Pen, { id, kind, at, title, isFailing }: DrawnNode, drawing: Drawing): void {
	const { palette, view } = drawing;
	const isChosen = id === drawing.selected || id === drawing.focused;
	if (isChosen || drawing.found?.has(id) === true) {
		pen.beginPath();
		pen.arc(at.x, at.y, NODE_RADIUS + 7, 0, 2 * Math.PI);
		pen.fillStyle = palette.accent;
		const alpha = pen.globalAlpha;
		pen.globalAlpha = alpha * 0.32;
		pen.fill();
		pen.globalAlpha = alpha;
	}
	pen.fillStyle = palette.surface;
	pen.strokeStyle = isFailing ? palette.health.fail : palette.text;
	pen.lineWidth = isFailing ? 2.5 : 1.75;
	traceShape(pen, kind, at.x, at.y, NODE_RADIUS);
	if (view.scale < TITLE_SCALE) return;
	pen.font = `500 12px ${FONT}`;
	pen.textAlign = "center";
	pen.textBaseline = "top";
	haloText(pen, title, at.x, at.y + NODE_RADIUS + 5, palette.ground, palette.text);
}

function haloText(pen: Pen, text: string, x: number, y: number, halo: string, ink: string): void {
	pen.strokeStyle = halo;
	pen.lineWidth = 3.5;
	pen.lineJoin = "round";
	pen.strokeText(text, x, y);
	pen.fillStyle = ink;
	pen.fillText(text, x, y);
}

function drawBadge(pen: Pen, { path, status, label }: DrawnEdge, drawing: Drawing): void {
	const { palette, view } = drawing;
	const { x, y } = path.middle;
	const ink = { mutual_tls: palette.good, tls: palette.warn, plaintext: palette.health.fail, none: palette.health.fail };
	const colour = (ink as Readonly<Record<string, string>>)[status] ?? (status === "mixed" ? palette.warn : palette.muted);
	pen.beginPath();
	pen.arc(x, y, 9, 0, 2 * Math.PI);
	pen.fillStyle = palette.surface;
	pen.fill();
	pen.lineWidth = 1.25;
	pen.strokeStyle = colour;
	pen.stroke();
	drawLock(pen, status, x, y, colour, palette.surface, FONT);
	if (view.scale < LABEL_SCALE || label === "") return;
	pen.font = `11px ${FONT}`;
	pen.textAlign = "center";
	pen.textBaseline = "top";
	haloText(pen, label, x, y + 11, palette.ground, palette.text);
}
