import assert from "node:assert/strict";
import { test } from "node:test";
import { colourSlot, colourSlots, SERVICE_COLOURS } from "./service-colour.ts";

test("ten services of one view have ten colours", () => {
	const names = Array.from({ length: SERVICE_COLOURS }, (_, i) => `service-${i}`);
	assert.equal(new Set(colourSlots(names)).size, SERVICE_COLOURS);
});

test("an eleventh service repeats a colour rather than having none", () => {
	const slots = colourSlots(Array.from({ length: 25 }, (_, i) => `service-${i}`));
	assert.ok(slots.every((slot) => slot >= 0 && slot < SERVICE_COLOURS));
});

test("a service alone has the same colour everywhere", () => {
	assert.deepEqual(colourSlots(["checkout"]), [colourSlot("checkout")]);
});
