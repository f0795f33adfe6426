import assert from "node:assert/strict";
import { test } from "node:test";
import { distanceTo, edgePath, edgePathAround, NODE_RADIUS } from "./edge-path.ts";

const alone = { lane: 0, lanes: 1, isReversed: false };
const origin = { x: 0, y: 0 };
const right = { x: 300, y: 0 };

test("an edge runs from rim to rim and arrives pointing at its target", () => {
	const path = edgePath(origin, right, alone);
	assert.ok(Math.abs(path.from.x - NODE_RADIUS) < 0.01);
	assert.ok(path.to.x < 300 - NODE_RADIUS);
	assert.ok(Math.abs(path.angle) < 0.01);
});

test("the edges of two nodes that call each other lie apart", () => {
	const there = edgePath(origin, right, { lane: 0, lanes: 2, isReversed: false });
	const back = edgePath(right, origin, { lane: 1, lanes: 2, isReversed: true });
	assert.ok(Math.abs(there.middle.y - back.middle.y) > 18, `${there.middle.y} ${back.middle.y}`);
});

test("an edge bends around a node that stands in its way", () => {
	const inTheWay = { x: 150, y: 3 };
	const limit = NODE_RADIUS + 6;
	assert.ok(distanceTo(edgePath(origin, right, alone), inTheWay, limit) < limit);
	assert.ok(distanceTo(edgePathAround(origin, right, alone, [origin, inTheWay, right]), inTheWay, limit) >= limit);
});

test("a call to oneself is a loop above the node", () => {
	const path = edgePath(origin, origin, alone);
	assert.ok(path.middle.y < -NODE_RADIUS);
});

test("several loops of one node go different ways, and leave the room of its name", () => {
	const node = { x: 100, y: 100 };
	const middles = [0, 1, 2, 3].map((lane) => edgePath(node, node, { lane, lanes: 4, isReversed: false }).middle);
	for (const [i, one] of middles.entries()) {
		assert.ok(one.y < node.y, String(one.y));
		for (const other of middles.slice(i + 1)) assert.ok(Math.hypot(one.x - other.x, one.y - other.y) > 18);
	}
});
