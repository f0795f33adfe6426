import assert from "node:assert/strict";
import { test } from "node:test";
import { MomentSet } from "./seen-spans.ts";

test("what is here is known again through every growth, and only that", () => {
	const set = new MomentSet();
	const add = (i: number): boolean => set.add(Math.imul(i, 0x9e3779b1) >>> 0, i, i, Infinity);
	for (let i = 0; i < 20_000; i++) assert.equal(add(i), true);
	for (let i = 0; i < 20_000; i++) assert.equal(add(i), false);
	assert.equal(set.canHold(19_999), true);
	assert.equal(set.canHold(20_000), false);
});

test("without room what is too late goes first, and what is still needed stays", () => {
	const set = new MomentSet(2_048);
	for (let i = 0; i < 500; i++) set.add(i, i, 10, 100);
	for (let i = 500; i < 100_000; i++) assert.equal(set.add(i, i, 200, 100), true);
	for (let i = 0; i < 500; i++) assert.equal(set.add(i, i, 10, 100), false);
});

test("where all is needed and there is no room, all is forgotten: memory is bounded", () => {
	const set = new MomentSet(2_048);
	for (let i = 0; i < 100_000; i++) assert.equal(set.add(i, i, 10, 100), true);
	assert.equal(set.add(99_999, 99_999, 10, 100), false);
	assert.equal(set.add(0, 0, 10, 100), true);
});

test("moments that no number can tell apart are one", () => {
	const set = new MomentSet();
	assert.equal(set.add(1, 1, 2 ** 34, 2 ** 34), true);
	assert.equal(set.canHold(2 ** 34), true);
	assert.equal(set.add(1, 1, 2 ** 34, -1), false);
});
