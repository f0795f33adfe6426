import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildUiIfStale } from "./build.ts";

test("the UI is built once for the same sources", { timeout: 60_000 }, async () => {
	const dist = await buildUiIfStale();
	assert.ok(existsSync(join(dist, "index.html")));
	const said: string[] = [];
	assert.equal(await buildUiIfStale({ log: (message) => said.push(message) }), dist);
	assert.deepEqual(said, []);
});
