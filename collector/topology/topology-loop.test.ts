import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { type CommitRef, TopologyLostError, type TopologyWriter } from "../../store/topology.ts";
import type { FromTopology, StageStats } from "./messages.ts";
import type { StageGroup } from "./stage-options.ts";
import type { TopologyStage } from "./stage.ts";
import { TopologyLoop } from "./topology-loop.ts";

/** A stage that notes what it is asked; flushes as told. */
class FakeStage {
	readonly drops = { implausibleTime: 1, traceTooLarge: 0, statedEarly: 0, notRejoined: 0, overflowed: 0 };
	readonly flushes: { readonly nowMs: number; readonly isCaughtUp: boolean }[] = [];
	rows = 5;
	series = 6;
	flushed: CommitRef | undefined;
	accepted: CommitRef | undefined;
	hasRoom = true;
	error: Error | undefined;

	accept(group: StageGroup): void {
		this.accepted = group.ref;
	}

	readWaiting(): boolean {
		return false;
	}

	flush(nowMs: number, isCaughtUp: boolean): boolean {
		if (this.error !== undefined) throw this.error;
		this.flushes.push({ nowMs, isCaughtUp });
		if (this.hasRoom) this.flushed = this.accepted;
		return this.hasRoom;
	}
}

interface Bench {
	readonly stage: FakeStage;
	readonly loop: TopologyLoop;
	readonly sent: FromTopology[];
	readonly ended: string[];
	readonly upkeep: { left: number; steps: number; closes: number };
	group(commit: number, rows: number): void;
	stats(): StageStats | undefined;
}

function bench(t: TestContext): Bench {
	t.mock.timers.enable({ apis: ["setInterval", "Date"] });
	const stage = new FakeStage();
	const sent: FromTopology[] = [];
	const ended: string[] = [];
	const upkeep = { left: 0, steps: 0, closes: 0 };
	const store: Partial<TopologyWriter> = {
		maintain() {
			upkeep.steps++;
			return upkeep.left-- > 0;
		},
		bytesOnDisk: () => 7,
	};
	const loop = new TopologyLoop({
		stage: stage as unknown as TopologyStage,
		store: store as TopologyWriter,
		now: Date.now,
		send: (message) => sent.push(message),
		end: (reason) => ended.push(reason),
		close: () => void upkeep.closes++,
	});
	return {
		stage,
		loop,
		sent,
		ended,
		upkeep,
		group(commit, rows) {
			const group = {
				ref: { window: "w", commit },
				arrivedMs: 0,
				spans: undefined,
				logs: undefined,
				metrics: new Uint8Array(),
			};
			loop.receive({ kind: "group", group, rows });
		},
		stats() {
			const last = sent.findLast((message) => message.kind === "flushed");
			return last?.kind === "flushed" ? last.stats : undefined;
		},
	};
}

test("it says at once what the stage has, so that the rest can be sent", (t) => {
	assert.deepEqual(bench(t).sent, [{ kind: "ready", cursor: undefined }]);
});

test("a flush comes every two seconds, with the cursor and what the stage says of itself", (t) => {
	const b = bench(t);
	b.group(1, 10);
	t.mock.timers.tick(1_999);
	assert.equal(b.stage.flushes.length, 0);
	t.mock.timers.tick(1);
	assert.equal(b.stage.flushes.length, 1);
	assert.deepEqual(b.sent.at(-1), {
		kind: "flushed",
		cursor: { window: "w", commit: 1 },
		stats: { flushedMs: 2_000, rows: 5, series: 6, bytesOnDisk: 7, drops: b.stage.drops, failedFlushes: 0 },
	});
});

test("a flush does not wait for its time when many rows have come", (t) => {
	const b = bench(t);
	b.group(1, 79_999);
	assert.equal(b.stage.flushes.length, 0);
	b.group(2, 1);
	assert.equal(b.stage.flushes.length, 1);
	b.group(3, 79_999);
	assert.equal(b.stage.flushes.length, 1, "counted anew after it");
});

test("each group's rows are taken, so that the writer knows what is still under way", (t) => {
	const b = bench(t);
	b.group(1, 10);
	b.group(2, 20);
	const taken = b.sent.flatMap((message) => (message.kind === "taken" ? [message.rows] : []));
	assert.deepEqual(taken, [10, 20]);
});

test("time passes without groups only when all was read again and nothing has just come", (t) => {
	const b = bench(t);
	t.mock.timers.tick(2_000);
	b.loop.receive({ kind: "caught-up" });
	b.group(1, 1);
	t.mock.timers.tick(4_000);
	assert.deepEqual(
		b.stage.flushes.map(({ isCaughtUp }) => isCaughtUp),
		[false, false, true],
	);
});

test("a flush that finds no room is counted, says no new cursor, and is tried again", (t) => {
	const b = bench(t);
	b.group(1, 1);
	b.stage.hasRoom = false;
	t.mock.timers.tick(4_000);
	assert.equal(b.stats()?.failedFlushes, 2);
	assert.equal(b.stats()?.flushedMs, undefined);
	b.stage.hasRoom = true;
	t.mock.timers.tick(2_000);
	assert.deepEqual([b.stats()?.failedFlushes, b.stats()?.flushedMs], [2, 6_000]);
});

test("upkeep is done in few steps after a flush, and no more than there are", (t) => {
	const b = bench(t);
	b.upkeep.left = 3;
	t.mock.timers.tick(2_000);
	assert.equal(b.upkeep.steps, 4);
	b.upkeep.left = 1_000;
	t.mock.timers.tick(2_000);
	assert.equal(b.upkeep.steps, 12);
});

test("roll-ups that were lost end the thread, which begins anew; any other error is not swallowed", (t) => {
	const b = bench(t);
	b.stage.error = new TopologyLostError("the file was damaged");
	t.mock.timers.tick(2_000);
	assert.deepEqual(b.ended, ["the file was damaged"]);
	t.mock.timers.tick(10_000);
	assert.equal(b.ended.length, 1, "it flushes no more");
	b.stage.error = new Error("a bug");
	assert.throws(() => b.loop.receive({ kind: "close" }), /a bug/);
});

test("closing flushes, releases the files, and then says so", (t) => {
	const b = bench(t);
	b.group(1, 1);
	b.loop.receive({ kind: "close" });
	assert.equal(b.stage.flushes.length, 1);
	assert.equal(b.upkeep.closes, 1);
	assert.deepEqual(
		b.sent.slice(-2).map(({ kind }) => kind),
		["flushed", "closed"],
	);
	t.mock.timers.tick(10_000);
	assert.equal(b.stage.flushes.length, 1);
});
