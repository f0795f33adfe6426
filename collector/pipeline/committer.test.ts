import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { MeshscopeError } from "../../model/errors.ts";
import { protobufjsEncode } from "../../store/conformance/otlp-arbitraries.ts";
import type { AppendReport, Signal, StoreWriter } from "../../store/store.ts";
import type { CommitRef } from "../../store/topology.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import type { PayloadEncoding } from "../ingest.ts";
import { Committer } from "./committer.ts";
import { GROUP_BYTES } from "./group.ts";
import type { BatchResult } from "./messages.ts";

interface Stored {
	readonly spans: number;
	readonly logs: number;
	readonly points: number;
	readonly fingerprints: number;
}

/** A store that remembers what was appended, or throws what it is told to. */
class FakeStore {
	readonly stored: Stored[] = [];
	appends = 0;
	maintained = 0;
	invalid = 0;
	closed = false;
	lastCommit = 0;
	released = 0;
	fail: (append: number) => unknown = () => undefined;
	recent = new Uint8Array(0);
	maintainAnswer: () => boolean = () => false;

	append({ spans, logs, metrics, fingerprints }: Parameters<StoreWriter["append"]>[0]): AppendReport {
		const failure = this.fail(this.appends++);
		if (failure !== undefined) throw failure;
		this.stored.push({
			spans: spans.count,
			logs: logs.count,
			points: metrics.points.length,
			fingerprints: fingerprints.length / 16,
		});
		this.recent = Buffer.concat([this.recent, fingerprints]);
		this.lastCommit++;
		return { ref: { window: "w", commit: this.lastCommit }, invalidUtf8Strings: this.invalid };
	}

	release(upTo: CommitRef): void {
		this.released = upTo.commit;
	}

	recentFingerprints(): Uint8Array {
		return this.recent;
	}

	maintain(): boolean {
		this.maintained++;
		return this.maintainAnswer();
	}

	close(): void {
		this.closed = true;
	}
}

/** Counts what it is given; says that it is behind when told to. */
class FakeTopology {
	isBehind = false;
	isFailing = false;
	groups = 0;

	accept(): void {
		this.groups++;
		if (this.isFailing) throw new Error("no edges today");
	}

	step(): boolean {
		return false;
	}
}

interface Bench {
	readonly store: FakeStore;
	readonly topology: FakeTopology;
	readonly committer: Committer;
	readonly answers: Map<number, BatchResult>;
	readonly log: string[];
	push(id: number, bytes: Uint8Array, signal?: Signal, encoding?: PayloadEncoding): void;
}

function bench(t: TestContext, store = new FakeStore()): Bench {
	const answers = new Map<number, BatchResult>();
	const log: string[] = [];
	const topology = new FakeTopology();
	const committer = new Committer({
		topology,
		store: store as unknown as StoreWriter,
		limits: DEFAULT_LIMITS,
		now: () => 1_800_000_000_000,
		release: () => {},
		answer: (results) => {
			for (const result of results) {
				assert.ok(!answers.has(result.id), `batch ${result.id} is answered once`);
				answers.set(result.id, result);
			}
		},
		log: (_level, message) => log.push(message),
	});
	t.after(() => committer.close());
	return {
		store,
		topology,
		committer,
		answers,
		log,
		// Each batch owns its buffer, as the ones that come from the receivers do.
		push: (id, bytes, signal = "traces", encoding = "otlp-protobuf") =>
			committer.push({ kind: "batch", id, signal, encoding, bytes: Uint8Array.from(bytes) }),
	};
}

function traces(number: number, spans = 1): Uint8Array {
	return protobufjsEncode("TracesData", {
		resourceSpans: [
			{
				scopeSpans: [
					{
						spans: Array.from({ length: spans }, (_, i) => ({
							traceId: (number + 1).toString(16).padStart(32, "0"),
							spanId: (i + 1).toString(16).padStart(16, "0"),
							name: "op",
						})),
					},
				],
			},
		],
	});
}

const logs = protobufjsEncode("LogsData", {
	resourceLogs: [{ scopeLogs: [{ logRecords: [{ timeUnixNano: "5", body: { stringValue: "x" } }] }] }],
});
const metrics = protobufjsEncode("MetricsData", {
	resourceMetrics: [
		{ scopeMetrics: [{ metrics: [{ name: "m", gauge: { dataPoints: [{ timeUnixNano: "5", asInt: "1" }] } }] }] },
	],
});
const full = (): MeshscopeError => new MeshscopeError("store_full", "full", { retryAfterMs: 1_000 });

test("batches of every signal that wait together are one group, each answered after the append", (t) => {
	const { push, committer, store, answers } = bench(t);
	push(1, traces(1, 3));
	push(2, logs, "logs");
	push(3, metrics, "metrics");
	assert.equal(answers.size, 0, "nothing is answered before it is stored");
	committer.drain();
	assert.deepEqual(store.stored, [{ spans: 3, logs: 1, points: 1, fingerprints: 3 }]);
	assert.deepEqual(
		[...answers.values()].map(({ records, rejected, duplicate }) => [records, rejected, duplicate]),
		[
			[3, 0, false],
			[1, 0, false],
			[1, 0, false],
		],
	);
});

test("a lone batch is committed within a few milliseconds, without a drain", async (t) => {
	const { push, answers } = bench(t);
	push(1, traces(1));
	for (let i = 0; i < 100 && answers.size === 0; i++) await delay(5);
	assert.equal(answers.get(1)?.records, 1);
});

test("commits wait while the topology stage is behind, and go on when it has room", async (t) => {
	const { push, committer, topology, answers } = bench(t);
	topology.isBehind = true;
	push(1, traces(1));
	await delay(30);
	assert.equal(answers.size, 0);
	topology.isBehind = false;
	committer.poke();
	for (let i = 0; i < 100 && answers.size === 0; i++) await delay(5);
	assert.equal(answers.get(1)?.records, 1);
	assert.equal(topology.groups, 1);
});

test("a group whose edges cannot be read is stored and acknowledged all the same", (t) => {
	const { push, committer, topology, answers, store, log } = bench(t);
	topology.isFailing = true;
	push(1, traces(1));
	committer.drain();
	assert.equal(answers.get(1)?.refused, undefined);
	assert.equal(store.stored.length, 1);
	assert.match(log.join(), /no edges today/);
});

test("a batch sent again is acknowledged and not stored again: in the same group, in a later one, after a restart", (t) => {
	const { push, committer, store, answers } = bench(t);
	push(1, traces(1));
	push(2, traces(1));
	push(3, metrics, "metrics");
	push(4, metrics, "metrics");
	committer.drain();
	push(5, traces(1));
	push(6, logs, "logs");
	committer.drain();
	push(7, logs, "logs");
	committer.drain();
	assert.deepEqual(
		store.stored.map(({ spans, logs: records, points }) => [spans, records, points]),
		[
			[1, 0, 1],
			[0, 1, 0],
		],
	);
	const duplicates = [...answers.values()].filter(({ duplicate }) => duplicate).map(({ id }) => id);
	assert.deepEqual(duplicates, [2, 4, 5, 7]);
	const again = bench(t, store);
	again.push(1, traces(1));
	again.committer.drain();
	assert.equal(again.answers.get(1)?.duplicate, true);
	assert.equal(store.stored.length, 2);
});

test("when a commit is refused, a batch that stands in the group twice is refused twice", (t) => {
	// The client that hears of the second copy only must not take it for stored.
	const { push, committer, store, answers } = bench(t);
	push(1, traces(1));
	committer.drain();
	store.fail = (append) => (append === 1 ? full() : undefined);
	push(2, traces(1));
	push(3, traces(3));
	push(4, traces(3));
	push(5, metrics, "metrics");
	push(6, metrics, "metrics");
	push(7, Buffer.from("garbage"));
	committer.drain();
	assert.deepEqual(
		[2, 3, 4, 5, 6, 7].map((id) => answers.get(id)?.refused?.code),
		[undefined, "store_full", "store_full", "store_full", "store_full", "malformed_payload"],
	);
	assert.equal(answers.get(2)?.duplicate, true, "what an earlier commit stored is acknowledged all the same");
	assert.equal(answers.get(3)?.refused?.retryAfterMs, 1_000);
	push(8, traces(3));
	committer.drain();
	assert.deepEqual(
		[answers.get(8)?.duplicate, answers.get(8)?.records],
		[false, 1],
		"a refused batch is new when it comes again",
	);
});

test("a fault of the store that is not retryable costs only the batch that causes it", (t) => {
	const { push, committer, store, answers, log } = bench(t);
	store.fail = (append) => (append === 0 || append === 2 ? new Error("bug") : undefined);
	for (let id = 1; id <= 3; id++) push(id, traces(id));
	push(4, traces(3));
	committer.drain();
	assert.deepEqual(
		[1, 2, 3, 4].map((id) => answers.get(id)?.refused?.code),
		[undefined, "internal", undefined, undefined],
	);
	assert.equal(answers.get(4)?.duplicate, true);
	assert.equal(store.stored.length, 2);
	assert.ok(log.some((line) => line.includes("bug")));
});

test("a malformed batch is refused, an empty one accepted, and their neighbours are stored", (t) => {
	const { push, committer, store, answers } = bench(t);
	push(1, Buffer.from("garbage"));
	push(2, new Uint8Array(0));
	push(3, traces(3));
	push(4, Buffer.from("{"), "traces", "otlp-json");
	push(5, Buffer.from("[{}]"), "traces", "zipkin-json");
	committer.drain();
	assert.equal(answers.get(1)?.refused?.code, "malformed_payload");
	assert.deepEqual([answers.get(2)?.refused, answers.get(2)?.records], [undefined, 0]);
	assert.equal(answers.get(4)?.refused?.code, "malformed_payload");
	assert.equal(answers.get(5)?.rejected, 1);
	assert.match(answers.get(5)!.errorMessage, /left out 1 of 1 records/);
	assert.deepEqual(store.stored, [{ spans: 1, logs: 0, points: 0, fingerprints: 1 }]);
});

test("a batch whose every record is left out is accepted, counted by reason, and not remembered", (t) => {
	const { push, committer, store, answers } = bench(t);
	const empty = Buffer.from("0a0412021200", "hex");
	push(1, empty);
	push(2, empty);
	committer.drain();
	for (const id of [1, 2]) {
		const { records, rejected, dropped, duplicate, errorMessage } = answers.get(id)!;
		assert.deepEqual([records, rejected, dropped, duplicate], [0, 1, { invalid_trace_id: 1 }, false]);
		assert.match(errorMessage, /1 invalid_trace_id/);
	}
	assert.equal(store.appends, 0, "there is nothing to commit");
});

test("groups are closed at their size: what is over waits for the next", (t) => {
	const { push, committer, store } = bench(t);
	const large = traces(1, 1_000);
	const count = Math.ceil(GROUP_BYTES / large.length) + 1;
	for (let id = 1; id <= count; id++) push(id, traces(id, 1_000));
	committer.drain();
	assert.equal(store.stored.length, 2);
	assert.equal(
		store.stored.reduce((total, { spans }) => total + spans, 0),
		count * 1_000,
	);
});

test("maintenance goes on while there is more, rests when there is none, and a fault in it ends nothing", async (t) => {
	const { store, push, committer, answers, log } = bench(t);
	let left = 20;
	store.maintainAnswer = () => {
		if (left === 10) {
			left--;
			throw new Error("bad day");
		}
		return --left > 0;
	};
	for (let i = 0; i < 400 && left > 0; i++) await delay(5);
	assert.equal(left, 0);
	assert.ok(log.some((line) => line.includes("bad day")));
	const { maintained } = store;
	await delay(50);
	assert.ok(store.maintained <= maintained + 1);
	push(1, traces(1));
	committer.drain();
	assert.equal(answers.get(1)?.records, 1);
});

test("close commits what waits, then closes the store", (t) => {
	const { push, committer, store, answers } = bench(t);
	push(1, traces(1));
	committer.close();
	assert.equal(answers.get(1)?.records, 1);
	assert.deepEqual([store.stored.length, store.closed], [1, true]);
});

test("invalid UTF-8 in the attributes of a metric is counted once, on the wire and in JSON", (t) => {
	const { committer, answers, push } = bench(t);
	const attributes = [{ key: "k", value: { stringValue: "MARK" } }];
	const metrics = [{ name: "m", gauge: { dataPoints: [{ timeUnixNano: "1", asInt: "1", attributes }] } }];
	const request = { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] };
	for (const [id, bytes] of [protobufjsEncode("MetricsData", request), Buffer.from(JSON.stringify(request))].entries()) {
		const spoiled = Buffer.from(bytes);
		spoiled.set([0xff, 0xfe], spoiled.indexOf("MARK"));
		push(id, spoiled, "metrics", id === 0 ? "otlp-protobuf" : "otlp-json");
	}
	committer.drain();
	assert.deepEqual(
		[0, 1].map((id) => answers.get(id)?.invalidUtf8Strings),
		[1, 1],
	);
});

test("invalid UTF-8 that the store found in a group is counted once, at a batch that was stored", (t) => {
	const { committer, answers, store, push } = bench(t);
	push(1, traces(1));
	committer.drain();
	store.invalid = 3;
	push(2, traces(1));
	push(3, traces(2));
	push(4, traces(3));
	committer.drain();
	assert.deepEqual(
		[1, 2, 3, 4].map((id) => answers.get(id)?.invalidUtf8Strings),
		[0, 0, 3, 0],
	);
});
