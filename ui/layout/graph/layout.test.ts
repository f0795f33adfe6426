import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hashOf } from "./bodies.ts";
import { hullOf, layoutGraph } from "./layout.ts";
import type { LayoutAnswer, LayoutEdge, LayoutNode } from "./layout.ts";

function node(id: string, group = ""): LayoutNode {
	return { id, group, width: 90, height: 62 };
}

function edge(source: string, target: string): LayoutEdge {
	return { source, target };
}

/** `count` nodes in `groups` namespaces; three edges a node, most of them within the namespace. */
function mesh(count: number, groups: number): { nodes: LayoutNode[]; edges: LayoutEdge[] } {
	const nodes = Array.from({ length: count }, (_, i) => node(`n${i % groups}/s${i}`, `n${i % groups}`));
	const edges = nodes.flatMap((_, i) =>
		[1, 2, 3].map((k) => {
			const step = Math.floor(hashOf(`${i} ${k}`) * count);
			return edge(nodes[i]!.id, nodes[(k < 3 ? i + groups * (1 + (step % 9)) : step) % count]!.id);
		}),
	);
	return { nodes, edges };
}

/** The worst overlap of two boxes, along the axis on which they overlap less. */
function worstOverlap(boxes: readonly { left: number; top: number; right: number; bottom: number }[]): number {
	let worst = 0;
	for (const [i, a] of boxes.entries()) {
		for (const b of boxes.slice(i + 1)) {
			const x = Math.min(a.right, b.right) - Math.max(a.left, b.left);
			const y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
			worst = Math.max(worst, Math.min(x, y));
		}
	}
	return worst;
}

function bodiesOf(nodes: readonly LayoutNode[], { positions }: LayoutAnswer) {
	return nodes.map((each) => ({ ...positions.get(each.id)!, halfWidth: each.width / 2, halfHeight: each.height / 2 }));
}

function boxesOf(nodes: readonly LayoutNode[], answer: LayoutAnswer) {
	return bodiesOf(nodes, answer).map(({ x, y, halfWidth, halfHeight }) => ({
		left: x - halfWidth,
		right: x + halfWidth,
		top: y - halfHeight,
		bottom: y + halfHeight,
	}));
}

test("the same graph comes out the same, in whatever order it is told", () => {
	const { nodes, edges } = mesh(40, 4);
	const first = layoutGraph({ nodes, edges, previous: new Map() });
	const second = layoutGraph({ nodes: nodes.toReversed(), edges, previous: new Map() });
	for (const { id } of nodes) assert.deepEqual(first.positions.get(id), second.positions.get(id));
});

test("nodes do not overlap, nor do the hulls of namespaces, and no node lies in a foreign hull", () => {
	fc.assert(
		fc.property(
			fc.array(fc.tuple(fc.nat(25), fc.nat(25)), { maxLength: 60 }),
			fc.array(fc.constantFrom("", "a", "b", "c"), { minLength: 1, maxLength: 26 }),
			(pairs, groups) => {
				const nodes = groups.map((group, i) => node(`${group}/${i}`, group));
				const edges = pairs.map(([a, b]) => edge(nodes[a % nodes.length]!.id, nodes[b % nodes.length]!.id));
				const answer = layoutGraph({ nodes, edges, previous: new Map() });
				assert.ok(worstOverlap(boxesOf(nodes, answer)) < 1);
				const alone = nodes.filter(({ group }) => group === "");
				const hulls = ["a", "b", "c"]
					.map((name) => nodes.filter(({ group }) => group === name))
					.filter((members) => members.length > 0)
					.map((members) => hullOf(bodiesOf(members, answer)));
				assert.ok(worstOverlap([...hulls, ...boxesOf(alone, answer)]) < 1);
			},
		),
		{ numRuns: 60 },
	);
});

test("a caller stands left of whom it calls, where nothing speaks against it", () => {
	const ids = ["edge", "front", "cart", "store"];
	const nodes = ids.map((id) => node(id, "shop"));
	const { positions } = layoutGraph({
		nodes,
		edges: ids.slice(1).map((id, i) => edge(ids[i]!, id)),
		previous: new Map(),
	});
	const across = ids.map((id) => positions.get(id)!.x);
	assert.deepEqual(
		across,
		across.toSorted((a, b) => a - b),
	);
});

test("a refresh without a new node moves nothing and costs nothing", () => {
	const { nodes, edges } = mesh(30, 3);
	const { positions } = layoutGraph({ nodes, edges, previous: new Map() });
	const again = layoutGraph({ nodes: nodes.slice(3), edges: edges.slice(9), previous: positions });
	assert.equal(again.pairs, 0);
	for (const { id } of nodes.slice(3)) assert.deepEqual(again.positions.get(id), positions.get(id));
});

test("a node that joins moves nobody of its namespace against each other", () => {
	const { nodes, edges } = mesh(30, 3);
	const { positions } = layoutGraph({ nodes, edges, previous: new Map() });
	const all = [...nodes, node("n1/new", "n1")];
	const grown = layoutGraph({ nodes: all, edges: [...edges, edge("n1/s1", "n1/new")], previous: positions });
	const shift = (id: string): [number, number] => [
		Math.round(grown.positions.get(id)!.x - positions.get(id)!.x),
		Math.round(grown.positions.get(id)!.y - positions.get(id)!.y),
	];
	for (const { id, group } of nodes) assert.deepEqual(shift(id), shift(nodes.find((each) => each.group === group)!.id));
	assert.ok(worstOverlap(boxesOf(all, grown)) < 1);
});

test("1,000 nodes and 3,000 edges take a small part of the work of looking at all pairs", () => {
	const { nodes, edges } = mesh(1_000, 20);
	const answer = layoutGraph({ nodes, edges, previous: new Map() });
	assert.equal(answer.positions.size, 1_000);
	assert.ok([...answer.positions.values()].every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)));
	assert.ok(worstOverlap(boxesOf(nodes, answer)) < 1);
	const allPairs = (1_000 * 999) / 2;
	assert.ok(answer.pairs < allPairs * 20, `${answer.pairs} pairs`);
});

test("one namespace of 1,000 nodes is placed as well", () => {
	const { nodes, edges } = mesh(1_000, 1);
	const answer = layoutGraph({ nodes, edges, previous: new Map() });
	assert.ok(worstOverlap(boxesOf(nodes, answer)) < 1);
	assert.ok(answer.pairs < ((1_000 * 999) / 2) * 40, `${answer.pairs} pairs`);
});
