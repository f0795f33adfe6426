/**
 * Places the nodes of a service graph: first within each namespace, then the namespaces as boxes, and once more with each node drawn
 * to the side on which its neighbours lie. The boxes never overlap, so a hull is a rectangle around its own nodes alone.
 *
 * Whatever was placed before stays: a refresh that brings no new node moves nothing, a new node moves nobody but itself, unless its
 * namespace grows into another.
 */
import { GAP, boundsOf } from "./bodies.ts";
import type { Anchor, Body, Bounds, Point, Spring } from "./bodies.ts";
import { relax, separate } from "./forces.ts";
import { seed } from "./seed.ts";

export interface LayoutNode {
	readonly id: string;
	/** Namespace whose hull holds it; empty for what stands alone. */
	readonly group: string;
	/** Room for the shape and its label. */
	readonly width: number;
	readonly height: number;
}

export interface LayoutEdge {
	readonly source: string;
	readonly target: string;
}

export interface LayoutRequest {
	readonly nodes: readonly LayoutNode[];
	readonly edges: readonly LayoutEdge[];
	/** Where nodes stood before. */
	readonly previous: ReadonlyMap<string, Point>;
}

export interface LayoutAnswer {
	/** Centre of each node. */
	readonly positions: ReadonlyMap<string, Point>;
	/** Pairs of bodies that were looked at: the work done. */
	readonly pairs: number;
}

/** Between the nodes and the line of their hull, and for its title. */
const HULL_PADDING = 14;
const HULL_TITLE = 22;

interface Group {
	readonly name: string;
	/** Own bodies, in places of the whole sheet. */
	readonly bodies: Body[];
	readonly springs: Spring[];
	readonly isHull: boolean;
}

export function layoutGraph({ nodes, edges, previous }: LayoutRequest): LayoutAnswer {
	if (nodes.every(({ id }) => previous.has(id))) {
		return { positions: new Map(nodes.map(({ id }) => [id, previous.get(id)!])), pairs: 0 };
	}
	const groups = groupsOf(nodes, edges, previous);
	const groupAt = new Map(groups.flatMap((group, index) => group.bodies.map((body) => [body.id, index] as const)));
	const bodyById = new Map(groups.flatMap(({ bodies }) => bodies.map((body) => [body.id, body] as const)));
	const springs = springsBetween(edges, groupAt);
	const ticks = nodes.length > 300 ? 80 : 220;
	let pairs = 0;
	for (const { bodies, springs: own } of groups) {
		seed(bodies, own);
		pairs += relax(bodies, own, [], ticks) + separate(bodies, 6);
	}
	const isKnown = (group: Group): boolean => group.bodies.some((body) => body.fixed);
	const boxes = groups.map((group) => boxOf(group, isKnown(group)));
	seed(boxes, springs);
	pairs += relax(boxes, springs, [], ticks) + separate(boxes, GAP / 3);
	moveInto(groups, boxes);
	if (!groups.some(isKnown) && groups.length > 1) {
		for (const group of groups) {
			if (group.bodies.length < 2) continue;
			const anchors = anchorsOf(group, edges, bodyById);
			pairs += relax(group.bodies, group.springs, anchors, ticks >> 1) + separate(group.bodies, 6);
		}
		const after = groups.map((group) => boxOf(group, false));
		pairs += relax(after, springs, [], ticks >> 2) + separate(after, GAP / 3);
		moveInto(groups, after);
	}
	return { positions: new Map([...bodyById].map(([id, { x, y }]) => [id, { x, y }])), pairs };
}

function groupsOf(
	nodes: readonly LayoutNode[],
	edges: readonly LayoutEdge[],
	previous: ReadonlyMap<string, Point>,
): readonly Group[] {
	const groups = new Map<string, Group>();
	const places = new Map<string, { readonly group: Group; readonly index: number }>();
	// In the order of their ids, whatever order the answer has.
	for (const node of nodes.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
		const isHull = node.group !== "";
		const key = isHull ? `group ${node.group}` : `node ${node.id}`;
		let group = groups.get(key);
		if (group === undefined) {
			group = { name: key, bodies: [], springs: [], isHull };
			groups.set(key, group);
		}
		const known = previous.get(node.id);
		places.set(node.id, { group, index: group.bodies.length });
		group.bodies.push({
			id: node.id,
			x: known?.x ?? 0,
			y: known?.y ?? 0,
			halfWidth: node.width / 2,
			halfHeight: node.height / 2,
			fixed: known !== undefined,
		});
	}
	for (const { source, target } of edges) {
		const from = places.get(source);
		const to = places.get(target);
		if (from !== undefined && from.group === to?.group) from.group.springs.push({ from: from.index, to: to.index });
	}
	return [...groups.values()];
}

function springsBetween(edges: readonly LayoutEdge[], groupAt: ReadonlyMap<string, number>): readonly Spring[] {
	const springs = new Map<string, Spring>();
	for (const { source, target } of edges) {
		const from = groupAt.get(source);
		const to = groupAt.get(target);
		if (from !== undefined && to !== undefined && from !== to) springs.set(`${from} ${to}`, { from, to });
	}
	return [...springs.values()];
}

function boxOf({ name, bodies, isHull }: Group, fixed: boolean): Body {
	const { left, top, right, bottom } = isHull ? hullOf(bodies) : boundsOf(bodies);
	return {
		id: name,
		x: (left + right) / 2,
		y: (top + bottom) / 2,
		halfWidth: (right - left) / 2,
		halfHeight: (bottom - top) / 2,
		fixed,
	};
}

/** The rectangle that is drawn around the nodes of a namespace. */
export function hullOf(bodies: Parameters<typeof boundsOf>[0]): Bounds {
	const { left, top, right, bottom } = boundsOf(bodies);
	return {
		left: left - HULL_PADDING,
		top: top - HULL_PADDING - HULL_TITLE,
		right: right + HULL_PADDING,
		bottom: bottom + HULL_PADDING,
	};
}

function moveInto(groups: readonly Group[], boxes: readonly Body[]): void {
	for (const [index, group] of groups.entries()) {
		const box = boxOf(group, false);
		const dx = boxes[index]!.x - box.x;
		const dy = boxes[index]!.y - box.y;
		for (const body of group.bodies) {
			body.x += dx;
			body.y += dy;
		}
	}
}

/** Towards neighbours in other groups, but no further than the edge of the own one. */
function anchorsOf(group: Group, edges: readonly LayoutEdge[], bodyById: ReadonlyMap<string, Body>): Anchor[] {
	const indexOf = new Map(group.bodies.map((body, index) => [body.id, index]));
	const { left, top, right, bottom } = boundsOf(group.bodies);
	const anchors: Anchor[] = [];
	for (const { source, target } of edges) {
		for (const [own, other] of [
			[source, target],
			[target, source],
		] as const) {
			const body = indexOf.get(own);
			const outside = indexOf.has(other) ? undefined : bodyById.get(other);
			if (body === undefined || outside === undefined) continue;
			anchors.push({
				body,
				x: Math.min(right, Math.max(left, outside.x)),
				y: Math.min(bottom, Math.max(top, outside.y)),
			});
		}
	}
	return anchors;
}
