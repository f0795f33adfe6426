/**
 * Draws the scene onto a canvas: hulls, edges, arrow heads, nodes, names, badges. Health is told by colour and, where requests fail, by
 * dashes; encryption by the sign in the middle of the edge; the kind of a node by its shape.
 */
import type { EdgeLabel } from "../../data/graph-settings.ts";
import { labelText } from "../../data/graph-words.ts";
import type { Health } from "../../data/graph-words.ts";
import { NODE_RADIUS } from "../../layout/graph/edge-path.ts";
import type { Scene, SceneEdge, SceneNode } from "./scene.ts";
import { drawLock, traceShape } from "./shapes.ts";
import type { Viewport } from "./viewport.ts";

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

export interface Drawing {
	readonly scene: Scene;
	readonly view: Viewport;
	readonly palette: Palette;
	readonly label: EdgeLabel;
	/** Nodes and edges in full colour; the rest is faint. Undefined for all. */
	readonly lit: ReadonlySet<string> | undefined;
	/** What the find box names. */
	readonly found: ReadonlySet<string> | undefined;
	/** The open node or edge, and the one the keys stand on. */
	readonly selected: string;
	readonly focused: string | undefined;
	readonly size: { readonly width: number; readonly height: number; readonly pixelRatio: number };
}

const FAINT = 0.26;
/** Below these scales names and badges could not be read. */
const LABEL_SCALE = 0.55;
const TITLE_SCALE = 0.42;
const BADGE_SCALE = 0.32;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

export function draw(context: CanvasRenderingContext2D, drawing: Drawing): void {
	const { view, size, palette } = drawing;
	context.setTransform(size.pixelRatio, 0, 0, size.pixelRatio, 0, 0);
	context.globalAlpha = 1;
	context.fillStyle = palette.ground;
	context.fillRect(0, 0, size.width, size.height);
	context.translate(view.x, view.y);
	context.scale(view.scale, view.scale);
	drawHulls(context, drawing);
	const isLit = (id: string): boolean => drawing.lit === undefined || drawing.lit.has(id);
	for (const pass of [false, true]) {
		context.globalAlpha = pass ? 1 : FAINT;
		drawEdges(
			context,
			drawing.scene.edges.filter(({ edge }) => isLit(edge.id) === pass),
			drawing,
		);
	}
	const seen = visiblePart(drawing);
	for (const each of drawing.scene.nodes) {
		if (!seen(each.at.x, each.at.y)) continue;
		context.globalAlpha = isLit(each.node.id) ? 1 : FAINT * 1.6;
		drawNode(context, each, drawing);
	}
	if (view.scale >= BADGE_SCALE) {
		for (const each of drawing.scene.edges) {
			if (!seen(each.path.middle.x, each.path.middle.y)) continue;
			context.globalAlpha = isLit(each.edge.id) ? 1 : FAINT;
			drawBadge(context, each, drawing);
		}
	}
	context.globalAlpha = 1;
}

function visiblePart({ view, size }: Drawing): (x: number, y: number) => boolean {
	const margin = 80;
	const left = -view.x / view.scale - margin;
	const top = -view.y / view.scale - margin;
	const right = left + size.width / view.scale + 2 * margin;
	const bottom = top + size.height / view.scale + 2 * margin;
	return (x, y) => x > left && x < right && y > top && y < bottom;
}

function drawHulls(context: CanvasRenderingContext2D, { scene, palette, view }: Drawing): void {
	context.lineWidth = 1 / view.scale;
	for (const { name, bounds } of scene.hulls) {
		context.beginPath();
		context.roundRect(bounds.left, bounds.top, bounds.right - bounds.left, bounds.bottom - bounds.top, 12);
		context.fillStyle = palette.hull;
		context.fill();
		context.strokeStyle = palette.line;
		context.stroke();
		// Far away the title grows against the sheet, so that namespaces can still be told.
		const fontSize = Math.min(12 / Math.min(1, view.scale), 110);
		context.font = `600 ${fontSize}px ${FONT}`;
		context.fillStyle = palette.muted;
		context.textAlign = "left";
		context.textBaseline = "top";
		context.fillText(name.slice(0, 60), bounds.left + 10, bounds.top + 8, Math.max(20, bounds.right - bounds.left - 20));
	}
}

/** One path for all edges of a colour and width: a stroke a style, not a stroke an edge. */
function drawEdges(context: CanvasRenderingContext2D, edges: readonly SceneEdge[], drawing: Drawing): void {
	const { palette, view } = drawing;
	const styles = Map.groupBy(edges, ({ health, width }) => `${health} ${Math.round(width)}`);
	for (const [, alike] of styles) {
		const { health, width } = alike[0]!;
		context.beginPath();
		for (const { path } of alike) {
			context.moveTo(path.from.x, path.from.y);
			context.bezierCurveTo(path.control1.x, path.control1.y, path.control2.x, path.control2.y, path.to.x, path.to.y);
		}
		context.strokeStyle = palette.health[health];
		context.lineWidth = Math.max(Math.round(width), 1 / view.scale);
		context.setLineDash(health === "fail" ? [9, 4] : health === "idle" ? [2, 4] : []);
		context.stroke();
		context.setLineDash([]);
		context.beginPath();
		for (const { path } of alike) traceArrow(context, path.to.x, path.to.y, path.angle, 7 + width * 0.9);
		context.fillStyle = palette.health[health];
		context.fill();
	}
	for (const { edge, path } of edges) {
		const isChosen = edge.id === drawing.selected || edge.id === drawing.focused;
		if (!isChosen && drawing.found?.has(edge.id) !== true) continue;
		context.beginPath();
		context.moveTo(path.from.x, path.from.y);
		context.bezierCurveTo(path.control1.x, path.control1.y, path.control2.x, path.control2.y, path.to.x, path.to.y);
		context.strokeStyle = palette.accent;
		context.globalAlpha *= 0.32;
		context.lineWidth = 12;
		context.stroke();
		context.globalAlpha /= 0.32;
	}
}

function traceArrow(context: CanvasRenderingContext2D, x: number, y: number, angle: number, length: number): void {
	const spread = 0.42;
	context.moveTo(x + Math.cos(angle) * 3, y + Math.sin(angle) * 3);
	context.lineTo(x - Math.cos(angle - spread) * length, y - Math.sin(angle - spread) * length);
	context.lineTo(x - Math.cos(angle + spread) * length, y - Math.sin(angle + spread) * length);
	context.closePath();
}

function drawNode(context: CanvasRenderingContext2D, { node, at, title }: SceneNode, drawing: Drawing): void {
	const { palette, view } = drawing;
	const isChosen = node.id === drawing.selected || node.id === drawing.focused;
	if (isChosen || drawing.found?.has(node.id) === true) {
		context.beginPath();
		context.arc(at.x, at.y, NODE_RADIUS + 7, 0, 2 * Math.PI);
		context.fillStyle = palette.accent;
		const alpha = context.globalAlpha;
		context.globalAlpha = alpha * 0.32;
		context.fill();
		context.globalAlpha = alpha;
	}
	context.fillStyle = palette.surface;
	context.strokeStyle = node.errors > 0 ? palette.health.fail : palette.text;
	context.lineWidth = node.errors > 0 ? 2.5 : 1.75;
	traceShape(context, node.kind, at.x, at.y, NODE_RADIUS);
	if (view.scale < TITLE_SCALE) return;
	context.font = `500 12px ${FONT}`;
	context.textAlign = "center";
	context.textBaseline = "top";
	haloText(context, title, at.x, at.y + NODE_RADIUS + 5, palette.ground, palette.text);
}

function haloText(context: CanvasRenderingContext2D, text: string, x: number, y: number, halo: string, ink: string): void {
	context.strokeStyle = halo;
	context.lineWidth = 3.5;
	context.lineJoin = "round";
	context.strokeText(text, x, y);
	context.fillStyle = ink;
	context.fillText(text, x, y);
}

function drawBadge(context: CanvasRenderingContext2D, { edge, path }: SceneEdge, drawing: Drawing): void {
	const { palette, view } = drawing;
	const { x, y } = path.middle;
	const ink = { mutual_tls: palette.good, tls: palette.warn, plaintext: palette.health.fail, none: palette.health.fail };
	const colour =
		(ink as Readonly<Record<string, string>>)[edge.mtls.status] ??
		(edge.mtls.status === "mixed" ? palette.warn : palette.muted);
	context.beginPath();
	context.arc(x, y, 9, 0, 2 * Math.PI);
	context.fillStyle = palette.surface;
	context.fill();
	context.lineWidth = 1.25;
	context.strokeStyle = colour;
	context.stroke();
	drawLock(context, edge.mtls.status, x, y, colour, palette.surface, FONT);
	if (view.scale < LABEL_SCALE || drawing.label === "none") return;
	context.font = `11px ${FONT}`;
	context.textAlign = "center";
	context.textBaseline = "top";
	haloText(context, labelText(edge, drawing.label), x, y + 11, palette.ground, palette.text);
}
