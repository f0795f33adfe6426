import assert from "node:assert/strict";
import { test } from "node:test";
import { covers, isFresh, layerFor, placeOfLayer } from "./layers.ts";
import { toCanvas, zoomAt } from "./viewport.ts";

const size = { width: 1_000, height: 600 };
const view = { scale: 0.5, x: 40, y: -20 };
const layer = layerFor(view, size, 1);

test("a picture drawn for a view lies where its places lie in any other view", () => {
	const moved = zoomAt({ ...view, x: 300, y: 90 }, { x: 200, y: 100 }, 1.7);
	const place = placeOfLayer(layer, moved);
	for (const point of [
		{ x: 0, y: 0 },
		{ x: 930, y: -77 },
	]) {
		const inLayer = toCanvas(layer.view, point);
		const share = place.width / layer.size.width;
		const expected = toCanvas(moved, point);
		assert.ok(Math.abs(place.x + inLayer.x * share - expected.x) < 1e-9);
		assert.ok(Math.abs(place.y + inLayer.y * share - expected.y) < 1e-9);
	}
});

test("a picture serves a pan within its margin, pixel for pixel, and is renewed before it ends", () => {
	assert.deepEqual(placeOfLayer(layer, { ...view, x: view.x + 12, y: view.y - 7 }), {
		...{ x: -300 + 12, y: -180 - 7, width: 1_600, height: 960 },
	});
	for (const dx of [0, 200, -200]) assert.ok(isFresh(layer, { ...view, x: view.x + dx }, size, 1), String(dx));
	const nearItsEnd = { ...view, x: view.x + 250 };
	assert.ok(covers(layer, nearItsEnd, size));
	assert.ok(!isFresh(layer, nearItsEnd, size, 1));
	assert.ok(!covers(layer, { ...view, x: view.x + 301 }, size));
});

test("another scale and another state of things ask for another picture", () => {
	assert.ok(!isFresh(undefined, view, size, 1));
	assert.ok(!isFresh(layer, view, size, 2));
	assert.ok(!isFresh(layer, zoomAt(view, { x: 500, y: 300 }, 1.01), size, 1));
});
