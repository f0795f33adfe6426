import assert from "node:assert/strict";
import { test } from "node:test";
import { expiryOf } from "./expiry.ts";

const HOUR_MS = 3_600_000;

test("a certificate is near its end when less than a sixth of its life is left", () => {
	const endMs = 24 * HOUR_MS;
	assert.equal(expiryOf(endMs, 0, 19 * HOUR_MS), "far");
	assert.equal(expiryOf(endMs, 0, 21 * HOUR_MS), "near");
	assert.equal(expiryOf(endMs, 0, endMs), "expired");
});

test("without its beginning, the last hour is near", () => {
	const endMs = 24 * HOUR_MS;
	assert.equal(expiryOf(endMs, undefined, 22 * HOUR_MS), "far");
	assert.equal(expiryOf(endMs, undefined, 23 * HOUR_MS + 1), "near");
	assert.equal(expiryOf(endMs, undefined, endMs + 1), "expired");
});

test("a root of ten years is near its end in its last thirty days", () => {
	const dayMs = 24 * HOUR_MS;
	assert.equal(expiryOf(3_650 * dayMs, 0, 3_600 * dayMs), "far");
	assert.equal(expiryOf(3_650 * dayMs, 0, 3_621 * dayMs), "near");
});
