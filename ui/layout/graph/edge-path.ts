/**
 * The curve of an edge: from the rim of one node to the rim of the other, bent aside where several edges join the same two nodes, a
 * loop where a node calls itself. Places are those of the layout.
 */
import type { Point } from "./bodies.ts";

/** A cubic Bézier curve, the place of its badge (about its middle), and the direction in which it arrives. */
export interface EdgePath {
	readonly from: Point;
	readonly control1: Point;
	readonly control2: Point;
	readonly to: Point;
	readonly middle: Point;
	/** Radians, 0 to the right. */
	readonly angle: number;
}

export const NODE_RADIUS = 17;
/** Between the rim and the arrow's tip. */
const CLEARANCE = 4;
const BEND = 26;

export interface EdgeLane {
	/** One of `lanes` edges between the same two nodes, whichever way they go. */
	readonly lane: number;
	readonly lanes: number;
	/** Goes against the first of them. */
	readonly isReversed: boolean;
}

/** `bow` bends the whole curve aside, to the right of its way where it is positive. */
export function edgePath(source: Point, target: Point, { lane, lanes, isReversed }: EdgeLane, bow = 0): EdgePath {
	const dx = target.x - source.x;
	const dy = target.y - source.y;
	const distance = Math.hypot(dx, dy);
	if (distance < 1) return loopPath(source, lane);
	const side = (lane - (lanes - 1) / 2) * BEND * (isReversed ? -1 : 1) + bow;
	const bend = { x: (-dy / distance) * side, y: (dx / distance) * side };
	const control1 = { x: source.x + dx / 3 + bend.x * 1.3, y: source.y + dy / 3 + bend.y * 1.3 };
	const control2 = { x: source.x + (2 * dx) / 3 + bend.x * 1.3, y: source.y + (2 * dy) / 3 + bend.y * 1.3 };
	return withMiddle(
		towards(source, control1, NODE_RADIUS),
		control1,
		control2,
		towards(target, control2, NODE_RADIUS + CLEARANCE),
	);
}

/** Bends that are tried in turn, from none to wide. */
const BOWS: readonly number[] = [0, 34, -34, 68, -68, 102, -102];

/** The least bent curve that runs through none of `others`; through as few as can be where that is not to be had. */
export function edgePathAround(source: Point, target: Point, lane: EdgeLane, others: readonly Point[]): EdgePath {
	let best: EdgePath | undefined;
	let least = Infinity;
	for (const bow of BOWS) {
		const path = edgePath(source, target, lane, bow);
		const limit = NODE_RADIUS + 6;
		const hits = others.filter(
			(other) => other !== source && other !== target && distanceTo(path, other, limit) < limit,
		).length;
		if (hits < least) {
			least = hits;
			best = path;
		}
		if (hits === 0) break;
	}
	return best!;
}

/** Ways of the loops of one node, from straight up: the name stands below it. */
const LOOP_TURNS: readonly number[] = [0, -1.3, 1.3];

function loopPath(node: Point, lane: number): EdgePath {
	const rise = NODE_RADIUS * (3.4 + 1.6 * Math.floor(lane / LOOP_TURNS.length));
	const turn = LOOP_TURNS[lane % LOOP_TURNS.length]!;
	const turned = (x: number, y: number): Point => ({
		x: node.x + x * Math.cos(turn) - y * Math.sin(turn),
		y: node.y + x * Math.sin(turn) + y * Math.cos(turn),
	});
	const control1 = turned(-rise * 0.75, -rise);
	const control2 = turned(rise * 0.75, -rise);
	return withMiddle(towards(node, control1, NODE_RADIUS), control1, control2, towards(node, control2, NODE_RADIUS + CLEARANCE));
}

function towards(from: Point, to: Point, distance: number): Point {
	const length = Math.max(Math.hypot(to.x - from.x, to.y - from.y), 1e-9);
	const share = Math.min(distance / length, 0.9);
	return { x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share };
}

function withMiddle(from: Point, control1: Point, control2: Point, to: Point): EdgePath {
	const path = { from, control1, control2, to };
	const angle = Math.atan2(to.y - control2.y, to.x - control2.x);
	return { ...path, middle: pointAt(path, 0.5), angle };
}

type Curve = Pick<EdgePath, "from" | "control1" | "control2" | "to">;

/** The point of the curve at `t`, from 0 at its beginning to 1 at its tip. */
export function pointAt({ from, control1, control2, to }: Curve, t: number): Point {
	const [a, b, c, d] = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2, t ** 3];
	return {
		x: a * from.x + b * control1.x + c * control2.x + d * to.x,
		y: a * from.y + b * control1.y + c * control2.y + d * to.y,
	};
}

const STEPS = 16;

/** How far `point` lies from the curve; Infinity when it is certainly further than `limit`. */
export function distanceTo(path: EdgePath, point: Point, limit: number): number {
	const { from, control1, control2, to } = path;
	const isOutside = (axis: "x" | "y"): boolean =>
		point[axis] < Math.min(from[axis], control1[axis], control2[axis], to[axis]) - limit ||
		point[axis] > Math.max(from[axis], control1[axis], control2[axis], to[axis]) + limit;
	if (isOutside("x") || isOutside("y")) return Infinity;
	let least = Infinity;
	let start = from;
	for (let step = 1; step <= STEPS; step++) {
		const end = pointAt(path, step / STEPS);
		least = Math.min(least, distanceToLine(start, end, point));
		start = end;
	}
	return least;
}

function distanceToLine(a: Point, b: Point, point: Point): number {
	const dx = b.x - a.x;
	const dy = b.y - a.y;
	const t = Math.min(1, Math.max(0, ((point.x - a.x) * dx + (point.y - a.y) * dy) / (dx * dx + dy * dy || 1)));
	return Math.hypot(point.x - a.x - t * dx, point.y - a.y - t * dy);
}
