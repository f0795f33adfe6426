import assert from "node:assert/strict";
import { test } from "node:test";
import { fitTo, pinched, toCanvas, toSheet } from "./viewport.ts";

const view = { scale: 0.5, x: 40, y: -20 };

test("one finger moves the sheet by what it moves itself", () => {
	assert.deepEqual(pinched(view, [{ x: 10, y: 10 }], [{ x: 35, y: 4 }]), { scale: 0.5, x: 65, y: -26 });
});

test("two fingers keep under them what they took hold of", () => {
	const from = [
		{ x: 100, y: 100 },
		{ x: 200, y: 100 },
	];
	const to = [
		{ x: 80, y: 160 },
		{ x: 280, y: 160 },
	];
	const after = pinched(view, from, to);
	assert.equal(after.scale, 1);
	for (const [i, at] of from.entries()) {
		const now = toCanvas(after, toSheet(view, at));
		assert.ok(Math.hypot(now.x - to[i]!.x, now.y - to[i]!.y) < 1e-9);
	}
});

test("fingers on one spot move but do not zoom", () => {
	const spot = { x: 50, y: 50 };
	assert.equal(pinched(view, [spot, spot], [spot, { x: 90, y: 90 }]).scale, 0.5);
});

test("a fitted graph lies within the window", () => {
	const bounds = { left: -300, right: 900, top: 20, bottom: 5_000 };
	const fitted = fitTo(bounds, 1_000, 700);
	const [first, last] = [toCanvas(fitted, { x: -300, y: 20 }), toCanvas(fitted, { x: 900, y: 5_000 })];
	assert.ok(first.x >= 0 && first.y >= 0 && last.x <= 1_000 && last.y <= 700);
});
