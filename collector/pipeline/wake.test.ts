import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { Wake } from "./wake.ts";

test("a wake runs once for many asks, sooner when asked so, and not at all when cancelled", async () => {
	let runs = 0;
	const wake = new Wake(() => runs++);
	wake.after(10_000, false);
	wake.soon();
	wake.soon();
	wake.after(0, false);
	await turn();
	await turn();
	assert.equal(runs, 1);
	wake.after(5, true);
	await delay(30);
	assert.equal(runs, 2);
	wake.soon();
	wake.after(0, true);
	wake.cancel();
	await delay(20);
	assert.equal(runs, 2);
});
