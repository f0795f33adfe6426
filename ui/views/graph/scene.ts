/** What stands on the sheet and where: shapes of the model in the places of the layout, and which of them lies under the pointer. */
import type { GraphEdgeAnswer } from "../../../api/contract/topology.ts";
import { hullName } from "../../data/graph-collapse.ts";
import { lanesOf } from "../../data/graph-model.ts";
import type { GraphModel } from "../../data/graph-model.ts";
import type { EdgeLabel } from "../../data/graph-settings.ts";
import { healthOf, labelText, nodeTitle } from "../../data/graph-words.ts";
import type { GraphNodeAnswer, Health } from "../../data/graph-words.ts";
import { boundsOf } from "../../layout/graph/bodies.ts";
import type { Bounds, Point } from "../../layout/graph/bodies.ts";
import { spreadBadges } from "../../layout/graph/badges.ts";
import { distanceTo, edgePath, edgePathAround, NODE_RADIUS } from "../../layout/graph/edge-path.ts";
import type { EdgePath } from "../../layout/graph/edge-path.ts";
import { hullOf } from "../../layout/graph/layout.ts";
import type { Sheet } from "./draw.ts";
import { layoutNode, MAX_TITLE, nameWidth } from "./use-layout.ts";
import type { Positions } from "./use-layout.ts";

export interface SceneNode {
	readonly node: GraphNodeAnswer;
	readonly at: Point;
	readonly title: string;
}

export interface SceneEdge {
	readonly edge: GraphEdgeAnswer;
	readonly path: EdgePath;
	readonly width: number;
	readonly health: Health;
}

export interface Scene {
	readonly nodes: readonly SceneNode[];
	readonly edges: readonly SceneEdge[];
	readonly hulls: readonly { readonly name: string; readonly bounds: Bounds }[];
	readonly bounds: Bounds;
}

/** Nodes times edges up to which edges are led around nodes: the work grows with both. */
const MAX_DETOUR_PAIRS = 100_000;

export function sceneOf(model: GraphModel, positions: Positions): Scene {
	const nodes = model.nodes.flatMap((node) => {
		const at = positions.get(node.id);
		if (at === undefined) return [];
		const title = nodeTitle(node);
		return [{ node, at, title: title.length > MAX_TITLE ? `${title.slice(0, MAX_TITLE - 1)}…` : title }];
	});
	const lanes = lanesOf(model.edges);
	const places = nodes.map(({ at }) => at);
	const isSmall = places.length * model.edges.length <= MAX_DETOUR_PAIRS;
	const bare = model.edges.flatMap((edge) => {
		const source = positions.get(edge.source);
		const target = positions.get(edge.target);
		const lane = lanes.get(edge.id);
		if (source === undefined || target === undefined || lane === undefined) return [];
		const path = isSmall ? edgePathAround(source, target, lane, places) : edgePath(source, target, lane);
		return [{ edge, path, width: widthOf(edge), health: healthOf(edge) }];
	});
	const paths = bare.map(({ path }) => path);
	const named = nodes.map(({ node, at }) => ({ at, nameWidth: nameWidth(node) }));
	const edges = isSmall ? spreadBadges(paths, named).map((path, i) => ({ ...bare[i]!, path })) : bare;
	const bodies = nodes.map(({ node, at }) => {
		const { width, height } = layoutNode(node);
		return { name: hullName(node), x: at.x, y: at.y, halfWidth: width / 2, halfHeight: height / 2 };
	});
	const members = Map.groupBy(bodies, ({ name }) => name);
	members.delete("");
	const hulls = [...members].map(([name, own]) => ({ name, bounds: hullOf(own) }));
	const all = boundsOf(bodies);
	const bounds = {
		left: Math.min(all.left, ...hulls.map((hull) => hull.bounds.left)),
		right: Math.max(all.right, ...hulls.map((hull) => hull.bounds.right)),
		top: Math.min(all.top, ...hulls.map((hull) => hull.bounds.top)),
		bottom: Math.max(all.bottom, ...hulls.map((hull) => hull.bounds.bottom)),
	};
	return { nodes, edges, hulls, bounds };
}

/** From 1.25 to 6 pixels, a step for each tenfold of traffic. */
function widthOf({ unit, requestRate, connections }: GraphEdgeAnswer): number {
	const traffic = unit === "requests" ? requestRate : connections / 60;
	return Math.min(6, Math.max(1.25, 1.75 + Math.log10(Math.max(traffic, 0.1)) * 1.1));
}

/** ID of the node or edge at a place of the sheet; `reach` is how far beside a line still counts. */
export function hitTest(scene: Scene, point: Point, reach: number): string | undefined {
	const node = scene.nodes.findLast(({ at }) => Math.hypot(at.x - point.x, at.y - point.y) <= NODE_RADIUS + Math.min(reach, 4));
	if (node !== undefined) return node.node.id;
	let nearest: string | undefined;
	let least = reach;
	for (const { edge, path } of scene.edges) {
		// Its badge is part of it.
		const badge = Math.hypot(path.middle.x - point.x, path.middle.y - point.y) <= 10 ? 0 : Infinity;
		const distance = Math.min(badge, distanceTo(path, point, reach));
		if (distance < least) {
			least = distance;
			nearest = edge.id;
		}
	}
	return nearest;
}

/** The namespace whose hull has the place; the smallest where one lies in another. */
export function hullAt({ hulls }: Scene, { x, y }: Point): string | undefined {
	const area = ({ left, right, top, bottom }: Bounds): number => (right - left) * (bottom - top);
	const [hull] = hulls
		.filter(({ bounds: { left, right, top, bottom } }) => x >= left && x <= right && y >= top && y <= bottom)
		.toSorted((a, b) => area(a.bounds) - area(b.bounds));
	return hull?.name;
}

/** Where the tip of a node or edge points to. */
export function placeOf(scene: Scene, id: string): Point | undefined {
	return scene.nodes.find(({ node }) => node.id === id)?.at ?? scene.edges.find(({ edge }) => edge.id === id)?.path.middle;
}

/** What of the scene is drawn, each edge with its label. */
export function sheetOf({ nodes, edges, hulls, bounds }: Scene, label: EdgeLabel): Sheet {
	return {
		nodes: nodes.map(({ node: { id, kind, errors }, at, title }) => ({ id, kind, at, title, isFailing: errors > 0 })),
		edges: edges.map(({ edge, path, width, health }) => ({
			...{ id: edge.id, path, width, health },
			status: edge.mtls.status,
			label: labelText(edge, label),
		})),
		hulls,
		bounds,
	};
}
