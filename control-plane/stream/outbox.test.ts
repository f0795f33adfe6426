import assert from "node:assert/strict";
import { test } from "node:test";
import { createOutbox } from "./outbox.ts";
import { rate } from "./rate.ts";

function world() {
	const written: string[] = [];
	const state = { version: 1, room: true, nowMs: 0 };
	const text = (value: string): Uint8Array => Buffer.from(value);
	const outbox = createOutbox(
		{
			policyFrame: () => (state.version === 0 ? undefined : text(`policy ${state.version}`)),
			bundleFrame: () => text("bundle"),
			endpointsFrame: (services) => text(`endpoints ${services?.join() ?? "all"}`),
		},
		(frame) => {
			written.push(Buffer.from(frame).toString().trim());
			return state.room;
		},
		() => state.nowMs,
	);
	return { outbox, written, state };
}

test("a reader that keeps up gets every change as it comes", () => {
	const { outbox, written, state } = world();
	outbox.policyChanged();
	state.version = 2;
	outbox.policyChanged();
	outbox.endpointsChanged(["a/b"]);
	assert.deepEqual(written, ["policy 1", "policy 2", "endpoints a/b"]);
});

test("a slow reader gets the newest state once, roots first and endpoints last", () => {
	const { outbox, written, state } = world();
	state.room = false;
	state.nowMs = 5;
	outbox.policyChanged();
	assert.equal(outbox.blockedSinceMs(), 5);
	for (let version = 2; version <= 1_000; version++) {
		state.version = version;
		outbox.policyChanged();
		outbox.endpointsChanged([`shop/s${version % 3}`]);
		outbox.bundleChanged();
	}
	assert.deepEqual(written, ["policy 1"]);
	state.room = true;
	outbox.drained();
	assert.equal(outbox.blockedSinceMs(), undefined);
	assert.deepEqual(written.slice(1), ["bundle", "policy 1000", "endpoints shop/s2,shop/s0,shop/s1"]);
});

test("a complete list takes the place of single services; without a policy there is nothing to tell of it", () => {
	const { outbox, written, state } = world();
	state.version = 0;
	state.room = false;
	outbox.bundleChanged();
	outbox.endpointsChanged(["a/b"]);
	outbox.endpointsChanged(undefined);
	outbox.policyChanged();
	state.room = true;
	outbox.drained();
	assert.deepEqual(written, ["bundle", "endpoints all"]);
});

test("answers wait in order, and only so many", () => {
	const { outbox, state } = world();
	state.room = false;
	outbox.bundleChanged();
	const refused = { kind: "refused", instanceId: "a", code: "overloaded", message: "" } as const;
	for (let i = 0; i < 64; i++) assert.equal(outbox.answer(refused), true);
	assert.equal(outbox.answer(refused), false);
});

test("a rate lets a burst through, then so many a second, also when the clock goes back", () => {
	const { take } = rate(3, 2);
	assert.deepEqual([0, 0, 0, 0].map(take), [true, true, true, false]);
	assert.deepEqual([400, 500, 500].map(take), [false, true, false]);
	assert.equal(take(0), false);
	assert.deepEqual([10_000, 10_000, 10_000, 10_000].map(take), [true, true, true, false]);
});
