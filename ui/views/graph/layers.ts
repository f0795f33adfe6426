/**
 * Which picture of a large sheet is asked for, and where those that are there belong. While somebody pans and zooms, the picture of
 * what is near is moved and stretched, and a coarse one of the whole stands behind it; a new one is asked for when its edge comes
 * near, and when the zoom rests. Pure.
 */
import type { Viewport } from "./viewport.ts";

export interface Size {
	readonly width: number;
	readonly height: number;
}

/** A picture: the view it was drawn for, over how many CSS pixels, and of which state of things. */
export interface Layer {
	readonly view: Viewport;
	readonly size: Size;
	readonly version: number;
}

export interface Rectangle extends Size {
	readonly x: number;
	readonly y: number;
}

/** Around the window, as a share of it: panning moves within that. */
const MARGIN = 0.3;
/** A new one is asked for when less of it is left. */
const GUARD = 0.08;

/** The picture that a view needs: what is seen, and a margin of it. */
export function layerFor(view: Viewport, { width, height }: Size, version: number): Layer {
	const [x, y] = [Math.round(width * MARGIN), Math.round(height * MARGIN)];
	return {
		view: { scale: view.scale, x: view.x + x, y: view.y + y },
		size: { width: width + 2 * x, height: height + 2 * y },
		version,
	};
}

/** Where the picture lies on the canvas when `view` is shown. */
export function placeOfLayer({ view: own, size }: Layer, view: Viewport): Rectangle {
	const share = view.scale / own.scale;
	return {
		x: view.x - own.x * share,
		y: view.y - own.y * share,
		width: size.width * share,
		height: size.height * share,
	};
}

export function covers(layer: Layer, view: Viewport, { width, height }: Size, margin = 0): boolean {
	const { x, y, width: across, height: down } = placeOfLayer(layer, view);
	const [right, bottom] = [margin * width, margin * height];
	return x <= -right && y <= -bottom && x + across >= width + right && y + down >= height + bottom;
}

/** Whether the picture is as good as a new one: of this state, at this scale, and not about to end. */
export function isFresh(layer: Layer | undefined, view: Viewport, size: Size, version: number): boolean {
	return (
		layer !== undefined && layer.version === version && layer.view.scale === view.scale && covers(layer, view, size, GUARD)
	);
}
