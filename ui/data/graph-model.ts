/**
 * The answer of the API made ready to be drawn: who stands where in the list, which edges run side by side, and what the find and the
 * hide box leave. Pure.
 */
import type { GraphAnswer, GraphEdgeAnswer } from "../../api/contract/topology.ts";
import type { EdgeLane } from "../layout/graph/edge-path.ts";
import { meets } from "./graph-expression.ts";
import type { GraphPredicate } from "./graph-expression.ts";
import type { GraphNodeAnswer } from "./graph-words.ts";

export interface GraphModel {
	readonly nodes: readonly GraphNodeAnswer[];
	readonly edges: readonly GraphEdgeAnswer[];
	readonly nodeById: ReadonlyMap<string, GraphNodeAnswer>;
	readonly edgeById: ReadonlyMap<string, GraphEdgeAnswer>;
	/** IDs of nodes and edges that the find box names; undefined when it is empty. */
	readonly found: ReadonlySet<string> | undefined;
	/** How many the hide box took away. */
	readonly hiddenCount: number;
}

export function graphModel(
	{ nodes, edges, window }: GraphAnswer,
	find: GraphPredicate | undefined,
	hide: GraphPredicate | undefined,
): GraphModel {
	const all = new Map(nodes.map((node) => [node.id, node]));
	const seconds = Math.max(1, (Date.parse(window.to) - Date.parse(window.from)) / 1_000);
	const meetsNode = (matches: GraphPredicate, node: GraphNodeAnswer): boolean =>
		meets(matches, { type: "node", node, seconds });
	const meetsEdge = (matches: GraphPredicate, edge: GraphEdgeAnswer): boolean =>
		meets(matches, { type: "edge", edge, source: all.get(edge.source), target: all.get(edge.target) });
	const shownNodes = hide === undefined ? nodes : nodes.filter((node) => !meetsNode(hide, node));
	const nodeById = new Map(shownNodes.map((node) => [node.id, node]));
	const shownEdges = edges.filter(
		(edge) => nodeById.has(edge.source) && nodeById.has(edge.target) && (hide === undefined || !meetsEdge(hide, edge)),
	);
	const found =
		find === undefined
			? undefined
			: new Set([
					...shownNodes.filter((node) => meetsNode(find, node)).map(({ id }) => id),
					...shownEdges.filter((edge) => meetsEdge(find, edge)).map(({ id }) => id),
				]);
	return {
		nodes: shownNodes,
		edges: shownEdges,
		nodeById,
		edgeById: new Map(shownEdges.map((edge) => [edge.id, edge])),
		found,
		hiddenCount: nodes.length - shownNodes.length + edges.length - shownEdges.length,
	};
}

/** The node or edge, and what it touches: an edge its ends, a node its edges and their other ends. */
export function neighbourhood(model: GraphModel, id: string): ReadonlySet<string> {
	const edge = model.edgeById.get(id);
	if (edge !== undefined) return new Set([id, edge.source, edge.target]);
	const touching = model.edges.filter(({ source, target }) => source === id || target === id);
	return new Set([id, ...touching.flatMap((each) => [each.id, each.source, each.target])]);
}

/** Which of the edges between the same two nodes each edge is. */
export function lanesOf(edges: readonly GraphEdgeAnswer[]): ReadonlyMap<string, EdgeLane> {
	const pairs = new Map<string, GraphEdgeAnswer[]>();
	for (const edge of edges) {
		const key = JSON.stringify([edge.source, edge.target].toSorted());
		const pair = pairs.get(key);
		if (pair === undefined) pairs.set(key, [edge]);
		else pair.push(edge);
	}
	const lanes = new Map<string, EdgeLane>();
	for (const pair of pairs.values()) {
		const ordered = pair.toSorted((a, b) => (a.id < b.id ? -1 : 1));
		for (const [lane, edge] of ordered.entries()) {
			lanes.set(edge.id, { lane, lanes: ordered.length, isReversed: edge.source !== ordered[0]!.source });
		}
	}
	return lanes;
}
