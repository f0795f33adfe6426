import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommitRef } from "../../store/topology.ts";
import { PendingGroups } from "./pending-groups.ts";

function ref(commit: number, window = "a"): CommitRef {
	return { window, commit };
}

test("nothing waits before the first group and after the last was flushed", () => {
	const pending = new PendingGroups();
	assert.equal(pending.sinceMs, undefined);
	pending.add(ref(1), 1_000);
	assert.equal(pending.sinceMs, 1_000);
	pending.flushed(ref(1));
	assert.equal(pending.sinceMs, undefined);
});

test("a flush of some leaves the oldest of the others", () => {
	const pending = new PendingGroups();
	for (let commit = 1; commit <= 5; commit++) pending.add(ref(commit), commit * 10_000);
	pending.add(ref(1, "b"), 60_000);
	pending.flushed(ref(3));
	assert.equal(pending.sinceMs, 40_000);
	pending.flushed(ref(5));
	assert.equal(pending.sinceMs, 60_000);
});

test("groups of one second wait as long as the first of them", () => {
	const pending = new PendingGroups();
	for (let commit = 1; commit <= 10; commit++) pending.add(ref(commit), 1_000 + commit);
	pending.flushed(ref(9));
	assert.equal(pending.sinceMs, 1_001);
	pending.flushed(ref(10));
	assert.equal(pending.sinceMs, undefined);
});

test("groups that are read again stand before those committed meanwhile", () => {
	const pending = new PendingGroups();
	pending.add(ref(9), 90_000);
	for (const commit of [1, 2, 3]) pending.add(ref(commit), commit * 10_000);
	assert.equal(pending.sinceMs, 10_000);
	pending.flushed(ref(2));
	assert.equal(pending.sinceMs, 30_000);
	pending.flushed(ref(3));
	assert.equal(pending.sinceMs, 90_000);
});

test("a group that is read again after the thread was lost waits no shorter for it", () => {
	const pending = new PendingGroups();
	for (const commit of [1, 2, 3]) pending.add(ref(commit), commit * 10_000);
	for (const commit of [1, 2, 3]) pending.add(ref(commit), commit * 10_000);
	assert.equal(pending.sinceMs, 10_000);
	pending.flushed(ref(1));
	assert.equal(pending.sinceMs, 20_000);
	pending.flushed(ref(3));
	assert.equal(pending.sinceMs, undefined);
});
