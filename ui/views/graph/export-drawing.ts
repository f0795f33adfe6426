/**
 * The graph as a file: the sheet as it is drawn on the page, all of it, with what it shows, the time it is of and the legend. SVG and
 * PNG come of the same drawing. Fetched when it is asked for.
 */
import { FAILING_RATIO } from "../../data/graph-words.ts";
import type { Health } from "../../data/graph-words.ts";
import { draw } from "./draw.ts";
import type { Drawing, Palette, Pen } from "./draw.ts";
import { KIND_SIGNS, LOCK_SIGNS } from "./legend.tsx";
import { drawLock, traceShape } from "./shapes.ts";
import { escaped, SvgPen } from "./svg-pen.ts";

export interface ExportedGraph extends Omit<Drawing, "view" | "size"> {
	/** `Service graph, 2026-01-01 12:00:00Z to 2026-01-01 12:15:00Z`. */
	readonly title: string;
	/** What else is to be known: grouping, what was found and hidden, what the figures on the edges are. */
	readonly facts: string;
}

const MARGIN = 24;
const HEAD = 54;
const LEGEND = 168;
const LEAST_WIDTH = 700;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

interface Sizes {
	readonly width: number;
	readonly height: number;
	/** Of the sheet. */
	readonly across: number;
	readonly down: number;
}

function sizesOf({ sheet: { bounds } }: ExportedGraph): Sizes {
	const across = Math.ceil(bounds.right - bounds.left) + 2 * MARGIN;
	const down = Math.ceil(bounds.bottom - bounds.top) + 2 * MARGIN;
	return { across, down, width: Math.max(LEAST_WIDTH, across), height: HEAD + down + LEGEND };
}

/** The sheet from its own corner on. */
function drawingOf(graph: ExportedGraph, { across, down }: Sizes): Drawing {
	const { left, top } = graph.sheet.bounds;
	return { ...graph, view: { scale: 1, x: MARGIN - left, y: MARGIN - top }, size: { width: across, height: down } };
}

export function svgOf(graph: ExportedGraph): string {
	const sizes = sizesOf(graph);
	const { width, height, across } = sizes;
	const drawing = drawingOf(graph, sizes);
	const pen = new SvgPen();
	pen.fillStyle = graph.palette.ground;
	pen.fillRect(0, 0, width, height);
	pen.group(0, 0, () => drawHead(pen, graph));
	pen.group((width - across) / 2 + drawing.view.x, HEAD + drawing.view.y, () => draw(pen, drawing));
	pen.group(0, height - LEGEND, () => drawLegend(pen, graph.palette, width));
	return [
		'<?xml version="1.0" encoding="UTF-8"?>',
		`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
		`<title>${escaped(graph.title)}</title>`,
		`<desc>${escaped(graph.facts)}</desc>`,
		pen.content(),
		"</svg>\n",
	].join("\n");
}

/** Twice as fine as the screen, as far as browsers make canvases of that size. */
const PNG_SCALE = 2;
const MAX_SIDE = 8_192;
const MAX_PIXELS = 24_000_000;

export async function pngOf(graph: ExportedGraph): Promise<Blob> {
	const sizes = sizesOf(graph);
	const { width, height, across } = sizes;
	const scale = Math.min(PNG_SCALE, MAX_SIDE / width, MAX_SIDE / height, Math.sqrt(MAX_PIXELS / (width * height)));
	const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
	const context = canvas.getContext("2d");
	if (context === null) throw new Error("the browser makes no canvas of that size");
	context.scale(scale, scale);
	context.fillStyle = graph.palette.ground;
	context.fillRect(0, 0, width, height);
	drawHead(context, graph);
	const drawing = drawingOf(graph, sizes);
	context.save();
	context.translate((width - across) / 2 + drawing.view.x, HEAD + drawing.view.y);
	draw(context, drawing);
	context.restore();
	context.translate(0, height - LEGEND);
	drawLegend(context, graph.palette, width);
	return await canvas.convertToBlob({ type: "image/png" });
}

function drawHead(pen: Pen, { palette, title, facts }: ExportedGraph): void {
	pen.textAlign = "left";
	pen.textBaseline = "top";
	pen.font = `600 15px ${FONT}`;
	pen.fillStyle = palette.text;
	pen.fillText(title, MARGIN, 14);
	pen.font = `400 12px ${FONT}`;
	pen.fillStyle = palette.muted;
	pen.fillText(facts, MARGIN, 34);
}

const LINES: readonly (readonly [Health, string])[] = [
	["ok", "no errors"],
	["warn", `errors below ${FAILING_RATIO * 100} %`],
	["fail", `${FAILING_RATIO * 100} % errors or more`],
	["idle", "no traffic"],
];
const COLUMN = 220;
const ROW = 22;

function drawLegend(pen: Pen, palette: Palette, width: number): void {
	pen.beginPath();
	pen.moveTo(MARGIN, 4);
	pen.lineTo(width - MARGIN, 4);
	pen.strokeStyle = palette.line;
	pen.lineWidth = 1;
	pen.stroke();
	const said = (text: string, column: number, row: number): void => {
		pen.font = `400 12px ${FONT}`;
		pen.textAlign = "left";
		pen.textBaseline = "middle";
		pen.fillStyle = palette.text;
		pen.fillText(text, MARGIN + column * COLUMN + 38, 24 + row * ROW);
	};
	const place = (column: number, row: number): readonly [number, number] => [MARGIN + column * COLUMN + 14, 24 + row * ROW];
	for (const [row, [health, text]] of LINES.entries()) {
		const [x, y] = place(0, row);
		pen.beginPath();
		pen.moveTo(x - 14, y);
		pen.lineTo(x + 14, y);
		pen.strokeStyle = palette.health[health];
		pen.lineWidth = 3;
		pen.setLineDash(health === "fail" ? [9, 4] : health === "idle" ? [2, 4] : []);
		pen.stroke();
		pen.setLineDash([]);
		said(text, 0, row);
	}
	for (const [row, [status, text]] of LOCK_SIGNS.entries()) {
		const [x, y] = place(1, row);
		drawLock(pen, status, x, y, palette.text, palette.surface, FONT);
		said(text, 1, row);
	}
	for (const [row, kind] of KIND_SIGNS.entries()) {
		const [x, y] = place(2, row);
		pen.fillStyle = palette.surface;
		pen.strokeStyle = palette.text;
		pen.lineWidth = 1.4;
		traceShape(pen, kind, x, y, 8);
		said(kind, 2, row);
	}
}
