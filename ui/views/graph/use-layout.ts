/** Places of the nodes, computed in a worker. Whatever was placed once keeps its place for as long as the page is open. */
import { useEffect, useRef, useState } from "react";
import type { GraphAnswer } from "../../../api/contract/topology.ts";
import type { CollapsedGraph } from "../../data/graph-collapse.ts";
import { hullName } from "../../data/graph-collapse.ts";
import { nodeTitle } from "../../data/graph-words.ts";
import type { GraphNodeAnswer } from "../../data/graph-words.ts";
import type { Point } from "../../layout/graph/bodies.ts";
import type { LayoutNode } from "../../layout/graph/layout.ts";
import type { LayoutDone, LayoutJob } from "../../layout/graph/layout-worker.ts";

export type Positions = ReadonlyMap<string, Point>;

/** Characters of a name that are drawn below a node. */
export const MAX_TITLE = 22;
/** Kept for nodes that went away, so that they come back where they were; beyond it the sheet begins anew. */
const MAX_KEPT = 20_000;

export function layoutNode(node: GraphNodeAnswer): LayoutNode {
	return { id: node.id, group: hullName(node), width: Math.max(64, nameWidth(node) + 12), height: 66 };
}

/** Of the name below a node, at most, in pixels of the layout. */
export function nameWidth(node: GraphNodeAnswer): number {
	return 7 * Math.min(MAX_TITLE, nodeTitle(node).length);
}

/** `scope` tells groupings apart: the same id may be another node there. */
export function useLayout(graph: GraphAnswer | undefined, scope: string): Positions {
	const [kept, setKept] = useState<ReadonlyMap<string, Positions>>(new Map());
	const worker = useRef<Worker>(undefined);
	const pending = useRef<{ readonly id: number; readonly scope: string; readonly nodes: string }>(undefined);
	const positions = kept.get(scope) ?? NOWHERE;

	useEffect(() => {
		const started = new Worker(new URL("../../layout/graph/layout-worker.ts", import.meta.url), { type: "module" });
		started.addEventListener("message", ({ data }: MessageEvent<LayoutDone>) => {
			const asked = pending.current;
			if (asked === undefined || data.id !== asked.id) return;
			pending.current = undefined;
			setKept((before) => new Map(before).set(asked.scope, merged(before.get(asked.scope), data.answer.positions)));
		});
		worker.current = started;
		return () => {
			started.terminate();
			worker.current = undefined;
			pending.current = undefined;
		};
	}, []);

	useEffect(() => {
		if (graph === undefined || worker.current === undefined) return;
		if (graph.nodes.every(({ id }) => positions.has(id))) return;
		// Figures change with every refresh; only another set of nodes asks for other places.
		const nodes = JSON.stringify(graph.nodes.map(({ id }) => id).toSorted());
		if (pending.current?.nodes === nodes && pending.current.scope === scope) return;
		const id = (pending.current?.id ?? 0) + 1;
		pending.current = { id, scope, nodes };
		const job: LayoutJob = {
			id,
			request: {
				nodes: graph.nodes.map(layoutNode),
				edges: graph.edges.map((edge) => ({ source: edge.source, target: edge.target })),
				previous: positions,
			},
		};
		worker.current.postMessage(job);
	}, [graph, positions, scope]);

	return positions;
}

/** A folded namespace stands amid the places of its nodes, so that it comes and goes without moving anything. */
export function withFolded(positions: Positions, folded: CollapsedGraph["folded"]): Positions {
	if (folded.size === 0) return positions;
	const all = new Map(positions);
	for (const [id, { members }] of folded) {
		const places = members.flatMap((member) => positions.get(member) ?? []);
		if (places.length === 0) continue;
		const middle = (read: (at: Point) => number): number => {
			const values = places.map(read);
			return (Math.min(...values) + Math.max(...values)) / 2;
		};
		all.set(id, { x: middle(({ x }) => x), y: middle(({ y }) => y) });
	}
	return all;
}

function merged(old: Positions | undefined, placed: Positions): Positions {
	return old === undefined || old.size > MAX_KEPT ? placed : new Map([...old, ...placed]);
}

const NOWHERE: Positions = new Map();
