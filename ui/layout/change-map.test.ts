import assert from "node:assert/strict";
import { test } from "node:test";
import { changeMap } from "./change-map.ts";

test("every end has a row of its own in its column", () => {
	const map = changeMap([
		{ source: "a", target: "x" },
		{ source: "a", target: "y" },
		{ source: "b", target: "x" },
		{ source: "x", target: "b" },
	]);
	assert.deepEqual([...map.sources.values()].toSorted(), [0, 1, 2]);
	assert.deepEqual([...map.targets.values()].toSorted(), [0, 1, 2]);
	assert.equal(map.rows, 3);
});

test("edges that need not cross do not", () => {
	const map = changeMap([
		{ source: "a", target: "z" },
		{ source: "b", target: "y" },
		{ source: "c", target: "x" },
		{ source: "a", target: "y" },
	]);
	const order = (name: string): number => map.sources.get(name)!;
	const target = (name: string): number => map.targets.get(name)!;
	assert.equal(Math.sign(order("a") - order("c")), Math.sign(target("z") - target("x")));
	assert.equal(changeMap([]).rows, 0);
});
