import assert from "node:assert/strict";
import { test } from "node:test";
import { isChunkFailure } from "./chunk-failure.ts";

test("what browsers say of a missing file of the page is told from a fault of the page", () => {
	for (const message of [
		"Failed to fetch dynamically imported module: http://127.0.0.1:4300/assets/audit-pages-BLZBNlku.js",
		"error loading dynamically imported module: http://127.0.0.1:4300/assets/audit-pages-BLZBNlku.js",
		"Importing a module script failed.",
		"Unable to preload CSS for /assets/mesh.css",
	])
		assert.ok(isChunkFailure(new TypeError(message)), message);
	assert.ok(!isChunkFailure(new TypeError("Cannot read properties of undefined (reading 'length')")));
	assert.ok(!isChunkFailure("dynamically imported module"));
});
