/** Where an arrow key leads: from a node along the edge that points that way most, from an edge to the node at that end. Pure. */
import type { Point } from "../../layout/graph/bodies.ts";
import type { Scene } from "./scene.ts";

const DIRECTIONS: Readonly<Record<string, Point>> = {
	ArrowLeft: { x: -1, y: 0 },
	ArrowRight: { x: 1, y: 0 },
	ArrowUp: { x: 0, y: -1 },
	ArrowDown: { x: 0, y: 1 },
};

/** The next node or edge; the same where nothing lies that way; undefined when the key is no arrow. */
export function stepFrom(scene: Scene, focused: string | undefined, key: string): string | undefined {
	const direction = DIRECTIONS[key];
	if (direction === undefined) return undefined;
	const edge = scene.edges.find((each) => each.edge.id === focused);
	if (edge !== undefined) {
		const { from, to } = edge.path;
		const along = (to.x - from.x) * direction.x + (to.y - from.y) * direction.y;
		// Across a level edge, up and down change to the edge beside it.
		if (Math.abs(along) < 0.2 * Math.hypot(to.x - from.x, to.y - from.y)) {
			return nearest(candidatesOf(scene), edge.path.middle, direction)?.id ?? focused;
		}
		return along > 0 ? edge.edge.target : edge.edge.source;
	}
	const node = scene.nodes.find((each) => each.node.id === focused);
	if (node === undefined) return leftmost(scene);
	const touching = scene.edges
		.filter((each) => each.edge.source === focused || each.edge.target === focused)
		.map(({ edge: { id }, path }) => ({ id, at: path.middle }));
	const others = scene.nodes.filter((each) => each !== node).map((each) => ({ id: each.node.id, at: each.at }));
	return (nearest(touching, node.at, direction) ?? nearest(others, node.at, direction))?.id ?? focused;
}

interface Candidate {
	readonly id: string;
	readonly at: Point;
}

function candidatesOf(scene: Scene): readonly Candidate[] {
	return [
		...scene.edges.map(({ edge: { id }, path }) => ({ id, at: path.middle })),
		...scene.nodes.map(({ node: { id }, at }) => ({ id, at })),
	];
}

function leftmost({ nodes }: Scene): string | undefined {
	return nodes.toSorted((a, b) => a.at.x - b.at.x || a.at.y - b.at.y)[0]?.node.id;
}

/** The nearest within 60 degrees of the direction, off it counting twice. */
function nearest(candidates: readonly Candidate[], from: Point, direction: Point): Candidate | undefined {
	let best: Candidate | undefined;
	let least = Infinity;
	for (const candidate of candidates) {
		const dx = candidate.at.x - from.x;
		const dy = candidate.at.y - from.y;
		const along = dx * direction.x + dy * direction.y;
		const across = Math.abs(dx * direction.y) + Math.abs(dy * direction.x);
		if (along <= 1 || across > along * 1.73) continue;
		if (along + 2 * across < least) {
			least = along + 2 * across;
			best = candidate;
		}
	}
	return best;
}
