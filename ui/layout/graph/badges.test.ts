import assert from "node:assert/strict";
import { test } from "node:test";
import { spreadBadges } from "./badges.ts";
import { edgePath } from "./edge-path.ts";

const alone = { lane: 0, lanes: 1, isReversed: false };
const origin = { x: 0, y: 0 };
const right = { x: 300, y: 0 };

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

test("where no place is free a badge covers as little as can be", () => {
	// The middle name lies on the curve, those beside it only reach into the badge's room.
	const path = edgePath(origin, { x: 200, y: 0 }, alone);
	const nodes = [60, 100, 140].map((x, i) => ({ at: { x, y: i === 1 ? -22 : -48 }, nameWidth: 60 }));
	const [moved] = spreadBadges([path], nodes);
	assert.ok(Math.abs(moved!.middle.x - 100) > 30, String(moved!.middle.x));
});
