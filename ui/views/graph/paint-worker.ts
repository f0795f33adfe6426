/** Draws a large sheet in a thread of its own: what takes longer than a frame must not hold up whoever pans. */
import { paint } from "./draw.ts";
import type { Drawing, Sheet } from "./draw.ts";

export type PaintJob =
	| { readonly kind: "sheet"; readonly sheet: Sheet }
	| { readonly kind: "paint"; readonly id: number; readonly drawing: Omit<Drawing, "sheet">; readonly pixelRatio: number };

export interface PaintDone {
	readonly id: number;
	readonly bitmap: ImageBitmap;
}

let sheet: Sheet | undefined;

self.addEventListener("message", ({ data }: MessageEvent<PaintJob>) => {
	if (data.kind === "sheet") {
		sheet = data.sheet;
		return;
	}
	const { id, drawing, pixelRatio } = data;
	const { width, height } = drawing.size;
	const canvas = new OffscreenCanvas(Math.round(width * pixelRatio), Math.round(height * pixelRatio));
	const context = canvas.getContext("2d", { alpha: false });
	if (sheet === undefined || context === null) return;
	paint(context, { ...drawing, sheet }, pixelRatio);
	const done: PaintDone = { id, bitmap: canvas.transferToImageBitmap() };
	self.postMessage(done, { transfer: [done.bitmap] });
});
