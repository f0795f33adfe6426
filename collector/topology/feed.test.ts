import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { RecordColumns } from "../../model/columns.ts";
import { protobufjsEncode } from "../../store/conformance/otlp-arbitraries.ts";
import type { WriteGroup } from "../../store/store.ts";
import { type CommitRef, isAfter, type ReplayGroup } from "../../store/topology.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { FIRST_REPLAY_PROFILE } from "./facts-table.ts";
import { TopologyFeed } from "./feed.ts";
import { LogExtractor } from "./log-extractor.ts";
import type { FromTopology, StageStats, ToTopology } from "./messages.ts";
import type { RecordExtractor } from "./record-extractor.ts";
import type { RecordRows } from "./record-rows.ts";

const NOTHING = new Uint8Array(0);
const STATS: StageStats = {
	flushedMs: 1,
	rows: 2,
	series: 3,
	bytesOnDisk: 4,
	drops: { implausibleTime: 0, traceTooLarge: 0, statedEarly: 0, notRejoined: 0, overflowed: 0 },
	failedFlushes: 0,
};

/** A thread as the feed sees it: what was posted to it, and a voice. */
interface FakeThread {
	readonly posted: ToTopology[];
	readonly transferred: ArrayBuffer[];
	isTerminated: boolean;
	say(message: FromTopology): void;
	die(): void;
}

interface Bench {
	readonly feed: TopologyFeed;
	readonly threads: FakeThread[];
	readonly released: CommitRef[];
	readonly log: string[];
	/** Calls of onWork. */
	readonly work: { calls: number };
	/** Stores a group and tells the feed. */
	commit(spans?: number): CommitRef;
	/** What the newest thread was sent: commits, or the word. */
	sent(): (number | string)[];
	/** Steps until there is nothing more to read again. */
	readAll(): void;
}

function bench(): Bench {
	const groups: { readonly ref: CommitRef; readonly spans: number }[] = [];
	const threads: FakeThread[] = [];
	const released: CommitRef[] = [];
	const log: string[] = [];
	const work = { calls: 0 };
	const feed = new TopologyFeed({
		store: {
			release: (ref) => void released.push(ref),
			replay: (after) => replayOf(groups, after),
		},
		limits: DEFAULT_LIMITS,
		spans: fakeExtractor,
		logs: (firstProfile) => new LogExtractor(firstProfile),
		start(receive, lost) {
			const thread: FakeThread = {
				posted: [],
				transferred: [],
				isTerminated: false,
				say: receive,
				die: () => lost("it fell"),
			};
			threads.push(thread);
			return {
				post(message, transfer) {
					thread.posted.push(message);
					thread.transferred.push(...transfer);
				},
				terminate() {
					thread.isTerminated = true;
				},
			};
		},
		onWork: () => void work.calls++,
		log: (_level, message) => log.push(message),
	});
	return {
		feed,
		threads,
		released,
		log,
		work,
		commit(spans = 1) {
			const ref = { window: "w", commit: groups.length + 1 };
			groups.push({ ref, spans });
			const group = {
				spans: { count: spans },
				logs: { count: 0 },
				topologyMetrics: NOTHING,
				arrivedMs: ref.commit * 10_000,
			};
			feed.accept(group as unknown as WriteGroup, { ref, invalidUtf8Strings: 0 });
			return ref;
		},
		sent: () => threads.at(-1)!.posted.map((message) => (message.kind === "group" ? message.group.ref.commit : message.kind)),
		readAll() {
			for (let steps = 0; feed.step(); steps++) assert.ok(steps < 1_000, "it ends");
		},
	};
}

/** Rows without content; the profile says which extractor they come from. */
function fakeExtractor(firstProfile: number): RecordExtractor {
	const extract = ({ count }: RecordColumns): RecordRows => ({
		count,
		words: new Uint32Array([firstProfile]),
		numbers: new Float64Array(1),
		profiles: [],
	});
	return { extract } as RecordExtractor;
}

function* replayOf(
	groups: readonly { readonly ref: CommitRef; readonly spans: number }[],
	after: CommitRef | undefined,
): Iterable<ReplayGroup> {
	for (const { ref, spans } of [...groups])
		if (isAfter(ref, after))
			yield { ref, arrivedMs: ref.commit * 10_000, traces: tracesOf(spans), logs: NOTHING, metrics: NOTHING };
}

function tracesOf(count: number): Uint8Array<ArrayBuffer> {
	const spans = Array.from({ length: count }, (_, i) => ({
		traceId: new Uint8Array(16).fill(1),
		spanId: new Uint8Array(8).fill(i + 1),
		name: "n",
	}));
	return Uint8Array.from(protobufjsEncode("TracesData", { resourceSpans: [{ scopeSpans: [{ spans }] }] }));
}

function profileSent(bench: Bench, commit: number): number | undefined {
	for (const message of bench.threads.at(-1)!.posted)
		if (message.kind === "group" && message.group.ref.commit === commit) return message.group.spans?.words[0];
	return undefined;
}

test("the first group starts the thread, and goes to it once it is ready", () => {
	const b = bench();
	assert.equal(b.threads.length, 0);
	b.commit();
	assert.equal(b.threads.length, 1);
	assert.deepEqual(b.sent(), []);
	assert.equal(b.feed.step(), false, "nothing to read before the thread says what it has");
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	assert.equal(b.work.calls, 1);
	b.readAll();
	assert.deepEqual(b.sent(), [1, "caught-up"]);
	b.commit();
	assert.deepEqual(b.sent(), [1, "caught-up", 2]);
	assert.equal(b.threads.length, 1);
});

test("rows are handed over, not copied, and a group without rows moves the cursor on", () => {
	const b = bench();
	b.commit(3);
	b.commit(0);
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	b.readAll();
	assert.equal(b.threads[0]!.transferred.length, 2);
	const rows = b.threads[0]!.posted.flatMap((message) => (message.kind === "group" ? [message.rows] : []));
	assert.deepEqual(rows, [4, 1]);
});

test("groups that are read again go before those that wait, each once, with profiles of their own", (t) => {
	const b = bench();
	t.mock.timers.enable({ apis: ["setTimeout"] });
	for (let i = 0; i < 3; i++) b.commit();
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	b.readAll();
	b.threads[0]!.say({ kind: "flushed", cursor: { window: "w", commit: 1 }, stats: STATS });
	b.threads[0]!.die();
	b.commit();
	t.mock.timers.tick(2_000);
	b.commit();
	assert.equal(b.threads.length, 2);
	b.threads[1]!.say({ kind: "ready", cursor: { window: "w", commit: 1 } });
	b.readAll();
	assert.deepEqual(b.sent(), [2, 3, 4, 5, "caught-up"]);
	for (const commit of [2, 3]) assert.equal(profileSent(b, commit), FIRST_REPLAY_PROFILE);
	for (const commit of [4, 5]) assert.equal(profileSent(b, commit), 1);
});

test("a group that is committed during the reading comes behind it", () => {
	const b = bench();
	b.commit();
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	b.commit();
	b.readAll();
	assert.deepEqual(b.sent(), [1, 2, "caught-up"]);
});

test("what is written down is released, at a start too", () => {
	const b = bench();
	b.commit();
	b.threads[0]!.say({ kind: "ready", cursor: { window: "v", commit: 9 } });
	b.readAll();
	b.threads[0]!.say({ kind: "flushed", cursor: { window: "w", commit: 1 }, stats: STATS });
	assert.deepEqual(b.released, [
		{ window: "v", commit: 9 },
		{ window: "w", commit: 1 },
	]);
	b.threads[0]!.say({ kind: "flushed", cursor: undefined, stats: STATS });
	assert.equal(b.released.length, 2);
});

test("commits wait while the thread has too much to do, and are told when it has room", () => {
	const b = bench();
	b.commit(0);
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	b.readAll();
	b.commit(400_000);
	assert.ok(b.feed.isBehind);
	const { calls } = b.work;
	b.threads[0]!.say({ kind: "taken", rows: 1 });
	assert.ok(b.feed.isBehind);
	assert.equal(b.work.calls, calls);
	b.threads[0]!.say({ kind: "taken", rows: 400_001 });
	assert.ok(!b.feed.isBehind);
	assert.equal(b.work.calls, calls + 1);
});

test("a lost thread is started again after a while, and nothing is counted as under way to it any more", (t) => {
	t.mock.timers.enable({ apis: ["setTimeout"] });
	const b = bench();
	b.commit(400_000);
	b.threads[0]!.die();
	assert.ok(!b.feed.isBehind);
	assert.match(b.log.join(), /it fell/);
	t.mock.timers.tick(1_999);
	assert.equal(b.threads.length, 1);
	t.mock.timers.tick(1);
	assert.equal(b.threads.length, 2);
	assert.equal(b.feed.stats().restarts, 1);
});

test("the stats say since when something waits, across the loss of the thread", (t) => {
	t.mock.timers.enable({ apis: ["setTimeout"] });
	const b = bench();
	assert.deepEqual(b.feed.stats(), { stage: undefined, pendingSinceMs: undefined, restarts: 0 });
	b.commit();
	b.commit();
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	b.readAll();
	assert.equal(b.feed.stats().pendingSinceMs, 10_000);
	b.threads[0]!.say({ kind: "flushed", cursor: { window: "w", commit: 1 }, stats: STATS });
	assert.deepEqual(b.feed.stats(), { stage: STATS, pendingSinceMs: 20_000, restarts: 0 });
	b.threads[0]!.die();
	assert.deepEqual(b.feed.stats(), { stage: undefined, pendingSinceMs: 20_000, restarts: 1 });
	t.mock.timers.tick(2_000);
	b.threads[1]!.say({ kind: "ready", cursor: { window: "w", commit: 1 } });
	b.readAll();
	b.threads[1]!.say({ kind: "flushed", cursor: { window: "w", commit: 2 }, stats: STATS });
	assert.equal(b.feed.stats().pendingSinceMs, undefined);
});

test("closing waits for what was accepted to be written, and not for a thread that is lost or never ran", async () => {
	await bench().feed.close();
	const b = bench();
	b.commit();
	let isClosed = false;
	const closed = b.feed.close().then(() => (isClosed = true));
	await Promise.resolve();
	assert.ok(!isClosed);
	assert.deepEqual(b.sent(), ["close"]);
	b.threads[0]!.say({ kind: "closed" });
	await closed;
	assert.ok(b.threads[0]!.isTerminated);

	const lost = bench();
	lost.commit();
	const ended = lost.feed.close();
	lost.threads[0]!.die();
	await ended;
	assert.equal(lost.feed.stats().restarts, 0);
});

test("a thread that is told to end while it starts is not asked to read, and its end is no loss", async () => {
	const b = bench();
	b.commit();
	const closed = b.feed.close();
	b.threads[0]!.say({ kind: "ready", cursor: undefined });
	b.readAll();
	assert.deepEqual(b.sent(), ["close"]);
	b.threads[0]!.die();
	await closed;
	assert.deepEqual(b.log, []);
	assert.equal(b.feed.stats().restarts, 0);
});

test("a feed that is closed between two threads starts no other", async (t: TestContext) => {
	t.mock.timers.enable({ apis: ["setTimeout"] });
	const b = bench();
	b.commit();
	b.threads[0]!.die();
	await b.feed.close();
	t.mock.timers.tick(10_000);
	assert.equal(b.threads.length, 1);
});
