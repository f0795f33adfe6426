/** Which part of the sheet is seen: a scale and the place of the sheet's origin on the canvas, in CSS pixels. Pure. */
import type { Bounds, Point } from "../../layout/graph/bodies.ts";

export interface Viewport {
	readonly scale: number;
	readonly x: number;
	readonly y: number;
}

const MIN_SCALE = 0.04;
const MAX_SCALE = 3;
/** A graph of two nodes is not blown up to fill the window. */
const MAX_FIT_SCALE = 1.25;
const FIT_MARGIN = 28;

export function fitTo(bounds: Bounds, width: number, height: number): Viewport {
	const across = Math.max(1, bounds.right - bounds.left);
	const down = Math.max(1, bounds.bottom - bounds.top);
	const scale = clamped(Math.min(MAX_FIT_SCALE, (width - 2 * FIT_MARGIN) / across, (height - 2 * FIT_MARGIN) / down));
	return {
		scale,
		x: width / 2 - (scale * (bounds.left + bounds.right)) / 2,
		y: height / 2 - (scale * (bounds.top + bounds.bottom)) / 2,
	};
}

/** Zooms so that what lies under `at` stays there. */
export function zoomAt(view: Viewport, at: Point, factor: number): Viewport {
	const scale = clamped(view.scale * factor);
	const share = scale / view.scale;
	return { scale, x: at.x - (at.x - view.x) * share, y: at.y - (at.y - view.y) * share };
}

/** What one finger moves, and two zoom too: what lay under them stays under them. */
export function pinched(view: Viewport, from: readonly Point[], to: readonly Point[]): Viewport {
	const [before, after] = [middleOf(from), middleOf(to)];
	const moved = { ...view, x: view.x + after.x - before.x, y: view.y + after.y - before.y };
	const [wasApart, isApart] = [apart(from), apart(to)];
	return wasApart < 1 || isApart < 1 ? moved : zoomAt(moved, after, isApart / wasApart);
}

function middleOf(fingers: readonly Point[]): Point {
	const sum = (read: (at: Point) => number): number => fingers.reduce((total, at) => total + read(at), 0) / fingers.length;
	return { x: sum(({ x }) => x), y: sum(({ y }) => y) };
}

function apart([one, other]: readonly Point[]): number {
	return one === undefined || other === undefined ? 0 : Math.hypot(one.x - other.x, one.y - other.y);
}

export function toSheet(view: Viewport, at: Point): Point {
	return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}

export function toCanvas(view: Viewport, at: Point): Point {
	return { x: at.x * view.scale + view.x, y: at.y * view.scale + view.y };
}

function clamped(scale: number): number {
	return Math.min(MAX_SCALE, Math.max(MIN_SCALE, scale));
}
