import assert from "node:assert/strict";
import { test } from "node:test";
import { nextOrder, readOrder, sortRows } from "./sorting.ts";

test("numbers sort as numbers, texts with their numbers, and rows without a value last in both directions", () => {
	assert.deepEqual(
		sortRows([10, 9, undefined, 100], (x) => x, false),
		[9, 10, 100, undefined],
	);
	assert.deepEqual(
		sortRows([10, undefined, 100], (x) => x, true),
		[100, 10, undefined],
	);
	assert.deepEqual(
		sortRows(["cart-10", "cart-9", "Cart-1"], (x) => x, false),
		["Cart-1", "cart-9", "cart-10"],
	);
});

test("rows that are equal in the column stay in the order they came", () => {
	const rows = ["b1", "a1", "b2", "a2"];
	assert.deepEqual(
		sortRows(rows, (row) => row[0], true),
		["b1", "b2", "a1", "a2"],
	);
});

test("a column sorts in its own direction first, then in the other", () => {
	assert.equal(nextOrder(readOrder("name"), "count", true), "-count");
	assert.equal(nextOrder(readOrder("-count"), "count", true), "count");
	assert.equal(nextOrder(readOrder("-count"), "name", false), "name");
	assert.equal(nextOrder(readOrder("name"), "name", false), "-name");
});
