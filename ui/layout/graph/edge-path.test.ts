import assert from "node:assert/strict";
import { test } from "node:test";
import { distanceTo, edgePath, edgePathAround, NODE_RADIUS, spreadBadges } from "./edge-path.ts";

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

test("where two edges cross, their badges do not cover each other", () => {
	const across = edgePath(origin, right, alone);
	const down = edgePath({ x: 150, y: -150 }, { x: 150, y: 150 }, alone);
	assert.ok(Math.hypot(across.middle.x - down.middle.x, across.middle.y - down.middle.y) < 1);
	const [first, second] = spreadBadges([across, down], []);
	assert.ok(Math.hypot(first!.middle.x - second!.middle.x, first!.middle.y - second!.middle.y) > 20);
});

test("a badge and its figure leave a long name free", () => {
	// The curve passes below the node, whose name of 60 pixels lies on the curve's middle.
	const path = edgePath(origin, right, alone);
	const node = { at: { x: 150, y: -30 }, nameWidth: 60 };
	const [moved] = spreadBadges([path], [node]);
	assert.ok(Math.abs(moved!.middle.x - 150) > 50, String(moved!.middle.x));
	const [still] = spreadBadges([path], [{ ...node, at: { x: 150, y: -60 } }]);
	assert.equal(still!.middle.x, path.middle.x);
});

test("an edge that has room elsewhere leaves the middle to a short one", () => {
	const long = edgePath({ x: -300, y: 0 }, { x: 300, y: 0 }, alone);
	const short = edgePath({ x: 0, y: -60 }, { x: 0, y: 60 }, alone);
	const [first, second] = spreadBadges([long, short], []);
	assert.ok(Math.abs(first!.middle.x) > 40, String(first!.middle.x));
	assert.equal(second!.middle.y, short.middle.y);
});

test("several loops of one node go different ways, and leave the room of its name", () => {
	const node = { x: 100, y: 100 };
	const middles = [0, 1, 2, 3].map((lane) => edgePath(node, node, { lane, lanes: 4, isReversed: false }).middle);
	for (const [i, one] of middles.entries()) {
		assert.ok(one.y < node.y, String(one.y));
		for (const other of middles.slice(i + 1)) assert.ok(Math.hypot(one.x - other.x, one.y - other.y) > 18);
	}
});
