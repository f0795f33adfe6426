/**
 * Where the badges of edges stand: each on its curve, with the figure below it, covering as little as can be of other badges, of nodes
 * and of their names.
 */
import type { Bounds, Point } from "./bodies.ts";
import { type EdgePath, NODE_RADIUS, pointAt } from "./edge-path.ts";

/** Places along a curve that are tried in turn: from its middle towards both ends. */
const PLACES: readonly number[] = [0.5, ...[1, 2, 3, 4, 5, 6, 7].flatMap((step) => [0.5 - step * 0.04, 0.5 + step * 0.04])];
/** From a badge's middle: up to its rim, down to the foot of its figure, and half the figure's width. */
const BADGE = { up: 9, down: 23, side: 21 };
/** From a node's middle: where its name begins and ends below it. */
const NAME = { from: NODE_RADIUS + 5, to: NODE_RADIUS + 19 };
const GAP = 5;

/** A node as badges must leave it free. */
export interface NamedPlace {
	readonly at: Point;
	/** Of the name below it. */
	readonly nameWidth: number;
}

/** The paths with `middle` moved along them to where their badges stand. */
export function spreadBadges(paths: readonly EdgePath[], nodes: readonly NamedPlace[]): readonly EdgePath[] {
	const taken = nodes.flatMap(boxesOfNode);
	const middles = new Map<EdgePath, Point>();
	// A short edge has little choice, so it chooses first.
	for (const path of paths.toSorted((a, b) => reach(a) - reach(b))) {
		const middle = freestPlace(path, taken);
		taken.push(badgeBox(middle, 0));
		middles.set(path, middle);
	}
	return paths.map((path) => ({ ...path, middle: middles.get(path)! }));
}

/** Of places that cover equally much the one nearest to the middle. */
function freestPlace(path: EdgePath, taken: readonly Bounds[]): Point {
	let best = path.middle;
	let least = Infinity;
	for (const t of PLACES) {
		const at = pointAt(path, t);
		const box = badgeBox(at, GAP);
		let covered = 0;
		for (const other of taken) covered += overlap(box, other);
		if (covered < least) {
			least = covered;
			best = at;
		}
		if (covered === 0) break;
	}
	return best;
}

function reach({ from, to }: EdgePath): number {
	return Math.hypot(to.x - from.x, to.y - from.y);
}

function badgeBox({ x, y }: Point, gap: number): Bounds {
	return {
		left: x - BADGE.side - gap,
		right: x + BADGE.side + gap,
		top: y - BADGE.up - gap,
		bottom: y + BADGE.down + gap,
	};
}

function boxesOfNode({ at: { x, y }, nameWidth }: NamedPlace): readonly Bounds[] {
	return [
		{ left: x - NODE_RADIUS, right: x + NODE_RADIUS, top: y - NODE_RADIUS, bottom: y + NODE_RADIUS },
		{ left: x - nameWidth / 2, right: x + nameWidth / 2, top: y + NAME.from, bottom: y + NAME.to },
	];
}

/** Square pixels. */
function overlap(a: Bounds, b: Bounds): number {
	const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
	const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
	return across > 0 && down > 0 ? across * down : 0;
}
