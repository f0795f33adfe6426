/**
 * Keeps the canvas showing what it should: a small sheet is drawn in the frame that wants it, a large one by a worker as pictures
 * (layers.ts) that are moved over the canvas meanwhile. Owns the worker and the pictures.
 */
import { paint } from "./draw.ts";
import type { Drawing } from "./draw.ts";
import { covers, isFresh, type Layer, layerFor, placeOfLayer } from "./layers.ts";
import type { PaintDone, PaintJob } from "./paint-worker.ts";
import { fitTo } from "./viewport.ts";

/** Nodes and edges that take a few milliseconds to draw without help of a graphics card. */
const SMALL_SHEET = 500;
/** A zoom that rests so long gets a sharp picture. */
const REST_MS = 90;
/** One that goes on gets one every so often. */
const STALE_MS = 350;
/** Of the picture of the whole, pixels. */
const OVERVIEW = { width: 1_600, height: 1_200 };

interface Picture extends Layer {
	readonly bitmap: ImageBitmap;
}

export class Painter {
	private readonly canvas: HTMLCanvasElement;
	private readonly context: CanvasRenderingContext2D;
	private drawing: Drawing | undefined;
	private request: number | undefined;
	private worker: Worker | undefined;
	private sentSheet: Drawing["sheet"] | undefined;
	/** Counts what would make another picture of the same view. */
	private version = 0;
	private detail: Picture | undefined;
	private overview: (Picture & { readonly sheet: Drawing["sheet"]; readonly palette: Drawing["palette"] }) | undefined;
	private pending: { readonly id: number; readonly done: (bitmap: ImageBitmap) => void } | undefined;
	private lastId = 0;
	private movedMs = 0;
	private askedMs = 0;
	private timer: number | undefined;

	constructor(canvas: HTMLCanvasElement, context: CanvasRenderingContext2D) {
		this.canvas = canvas;
		this.context = context;
	}

	/** One drawing a frame, however often it is called. */
	show(drawing: Drawing): void {
		const before = this.drawing;
		const alike =
			before !== undefined &&
			before.sheet === drawing.sheet &&
			before.palette === drawing.palette &&
			before.lit === drawing.lit &&
			before.found === drawing.found &&
			before.selected === drawing.selected &&
			before.focused === drawing.focused;
		if (!alike) this.version++;
		if (before?.view.scale !== drawing.view.scale) this.movedMs = performance.now();
		this.drawing = drawing;
		this.request ??= requestAnimationFrame(() => {
			this.request = undefined;
			this.frame();
		});
	}

	dispose(): void {
		if (this.request !== undefined) cancelAnimationFrame(this.request);
		window.clearTimeout(this.timer);
		this.worker?.terminate();
		this.worker = undefined;
		this.pending = undefined;
		this.detail?.bitmap.close();
		this.overview?.bitmap.close();
	}

	private frame(): void {
		const { drawing, canvas, context } = this;
		if (drawing === undefined) return;
		const { sheet, size, view, palette } = drawing;
		const ratio = pixelRatio();
		const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
		if (canvas.width !== width) canvas.width = width;
		if (canvas.height !== height) canvas.height = height;
		canvas.dataset["tone"] = isDark(palette.ground) ? "dark" : "light";
		if (sheet.nodes.length + sheet.edges.length <= SMALL_SHEET) {
			paint(context, drawing, ratio);
			canvas.dataset["painted"] = "all";
			return;
		}
		context.setTransform(ratio, 0, 0, ratio, 0, 0);
		context.fillStyle = palette.ground;
		context.fillRect(0, 0, size.width, size.height);
		const { detail, overview } = this;
		for (const layer of detail !== undefined && covers(detail, view, size) ? [detail] : [overview, detail]) {
			if (layer === undefined) continue;
			const at = placeOfLayer(layer, view);
			context.drawImage(layer.bitmap, at.x, at.y, at.width, at.height);
			canvas.dataset["painted"] = layer === overview ? "overview" : "all";
		}
		this.ask();
	}

	/** Asks the worker for the picture that is wanted most, one at a time. */
	private ask(): void {
		const { drawing } = this;
		if (drawing === undefined || this.pending !== undefined) return;
		const { view, size, sheet, palette } = drawing;
		const nowMs = performance.now();
		if (!isFresh(this.detail, view, size, this.version)) {
			const isZooming = this.detail !== undefined && this.detail.view.scale !== view.scale;
			const restedMs = nowMs - this.movedMs;
			if (isZooming && restedMs < REST_MS && nowMs - this.askedMs < STALE_MS) {
				window.clearTimeout(this.timer);
				this.timer = window.setTimeout(() => this.ask(), REST_MS - restedMs + 1);
				return;
			}
			const layer = layerFor(view, size, this.version);
			this.post({ ...drawing, view: layer.view, size: layer.size }, (bitmap) => {
				this.detail?.bitmap.close();
				this.detail = { ...layer, bitmap };
			});
			return;
		}
		if (this.overview?.sheet === sheet && this.overview.palette === palette) return;
		const { left, right, top, bottom } = sheet.bounds;
		const { width, height } = OVERVIEW;
		const scale = Math.min(width / Math.max(1, right - left), height / Math.max(1, bottom - top), 1);
		const whole = { width: Math.ceil((right - left) * scale) + 56, height: Math.ceil((bottom - top) * scale) + 56 };
		const layer: Layer = { view: fitTo(sheet.bounds, whole.width, whole.height), size: whole, version: 0 };
		const plain = { lit: undefined, found: undefined, selected: "", focused: undefined };
		this.post({ ...drawing, ...plain, view: layer.view, size: whole }, (bitmap) => {
			this.overview?.bitmap.close();
			this.overview = { ...layer, bitmap, sheet, palette };
		});
	}

	private post({ sheet, ...drawing }: Drawing, done: (bitmap: ImageBitmap) => void): void {
		this.worker ??= this.started();
		const send = (job: PaintJob): void => this.worker!.postMessage(job);
		if (this.sentSheet !== sheet) send({ kind: "sheet", sheet });
		this.sentSheet = sheet;
		this.askedMs = performance.now();
		this.pending = { id: ++this.lastId, done };
		send({ kind: "paint", id: this.lastId, drawing, pixelRatio: pixelRatio() });
	}

	private started(): Worker {
		const worker = new Worker(new URL("./paint-worker.ts", import.meta.url), { type: "module" });
		worker.addEventListener("message", ({ data }: MessageEvent<PaintDone>) => {
			const { pending, drawing } = this;
			if (pending?.id !== data.id || drawing === undefined) {
				data.bitmap.close();
				return;
			}
			this.pending = undefined;
			pending.done(data.bitmap);
			this.show(drawing);
		});
		return worker;
	}
}

/** More than two pixels in each direction cost more than the eye gains. */
function pixelRatio(): number {
	return Math.min(window.devicePixelRatio, 2);
}

/** Of a colour such as `#0f141b`. */
function isDark(colour: string): boolean {
	const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)) as [number, number, number];
	return r + g + b < 3 * 128;
}
