import assert from "node:assert/strict";
import { test } from "node:test";
import { barOf, between, focusOn, pan, readZoom, ticks, wholeTrace, zoom, zoomText } from "./timeline.ts";

test("zooming keeps the anchor where it is and stays inside the trace", () => {
	const view = zoom(wholeTrace(1_000), 0.5, 0.25, 1_000);
	assert.deepEqual(view, { fromNs: 125, toNs: 625 });
	assert.deepEqual(zoom(view, 100, 0.5, 1_000), { fromNs: 0, toNs: 1_000 });
});

test("panning stops at the ends", () => {
	assert.deepEqual(pan({ fromNs: 100, toNs: 300 }, -2, 1_000), { fromNs: 0, toNs: 200 });
	assert.deepEqual(pan({ fromNs: 100, toNs: 300 }, 20, 1_000), { fromNs: 800, toNs: 1_000 });
});

test("a part is from one point to the other, whichever comes first, inside of the trace and never without width", () => {
	assert.deepEqual(between(700, 200, 1_000), { fromNs: 200, toNs: 700 });
	assert.deepEqual(between(-50, 5_000, 1_000), { fromNs: 0, toNs: 1_000 });
	assert.deepEqual(between(1_000, 1_000, 1_000), { fromNs: 990, toNs: 1_000 });
	assert.deepEqual(between(0, 0, 0), { fromNs: 0, toNs: 1 });
});

test("a span in focus fills most of the width", () => {
	assert.deepEqual(focusOn(400, 100, 1_000), { fromNs: 390, toNs: 510 });
	assert.deepEqual(focusOn(0, 1_000, 1_000), { fromNs: 0, toNs: 1_000 });
});

test("a bar is clipped to the viewport, and absent outside it", () => {
	const view = { fromNs: 100, toNs: 200 };
	assert.deepEqual(barOf(view, 150, 25), { left: 50, width: 25 });
	assert.deepEqual(barOf(view, 50, 1_000), { left: 0, width: 100 });
	assert.equal(barOf(view, 0, 50), undefined);
	assert.equal(barOf(view, 300, 50), undefined);
});

test("a trace without length still has bars", () => {
	assert.deepEqual(barOf(wholeTrace(0), 0, 0), { left: 0, width: 0 });
});

test("marks are round and few", () => {
	assert.deepEqual(ticks({ fromNs: 0, toNs: 1_000 }, 5), [0, 200, 400, 600, 800]);
	assert.deepEqual(ticks({ fromNs: 130, toNs: 430 }, 4), [200, 300, 400]);
	assert.ok(ticks({ fromNs: 0, toNs: 9.2e18 }, 6).length <= 6);
});

test("a zoom is read back from its text, and what is no zoom of the trace is the whole of it", () => {
	assert.equal(zoomText({ fromNs: 100.4, toNs: 300 }, 1_000), "100-300");
	assert.equal(zoomText(wholeTrace(1_000), 1_000), undefined);
	assert.deepEqual(readZoom("100-300", 1_000), { fromNs: 100, toNs: 300 });
	for (const text of ["", "300-100", "100-2000", "-5-10", "a-b", "1e2-300"])
		assert.deepEqual(readZoom(text, 1_000), wholeTrace(1_000), text);
});
