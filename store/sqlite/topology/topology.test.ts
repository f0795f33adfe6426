import assert from "node:assert/strict";
import { closeSync, existsSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import Database from "better-sqlite3";
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../../model/columns.ts";
import { MeshscopeError } from "../../../model/errors.ts";
import { EMPTY_METRIC_BATCH } from "../../../model/metric.ts";
import { bucketStart, type ResolutionMs } from "../../../model/topology/series.ts";
import { NOW_MS, openTestStore, temporaryDirectory } from "../../../test/store/sqlite-directory.ts";
import { addUp, encodeSums, joinSums } from "../../conformance/rollup-sums.ts";
import type { WriteGroup } from "../../store.ts";
import { TopologyLostError, type TopologyFlush, type TopologyWriter } from "../../topology.ts";
import { backupDirectory } from "../backup.ts";
import { verifyDirectory } from "../verify.ts";
import { topologyBudget, topologyPath } from "./file.ts";
import { openTopologyReader } from "./reader.ts";
import { openTopologyWriter, type TopologyWriterOptions } from "./writer.ts";

const HOUR_MS = 3_600_000;
const PAGE_BYTES = 8_192;

interface Bench {
	readonly writer: TopologyWriter;
	readonly directory: string;
	readonly log: string[];
}

function open(t: TestContext, options: Partial<TopologyWriterOptions> = {}): Bench {
	const directory = options.directory ?? temporaryDirectory(t);
	const log: string[] = [];
	const writer = openTopologyWriter({
		directory,
		maxBytes: 1 << 30,
		keptSinceMs: () => 0,
		join: joinSums,
		now: () => NOW_MS,
		log: (level, message) => log.push(`${level}: ${message}`),
		failpoint: () => {},
		...options,
	});
	t.after(() => writer.close());
	return { writer, directory, log };
}

function flushOf(parts: Partial<TopologyFlush>): TopologyFlush {
	return {
		cursor: undefined,
		state: new Uint8Array(0),
		series: [],
		rollups: [],
		exemplars: [],
		certificates: [],
		addresses: [],
		counters: [],
		...parts,
	};
}

function delta(resolutionMs: ResolutionMs, timeMs: number, data = encodeSums({ 1: 1 })): TopologyFlush {
	return flushOf({ rollups: [{ resolutionMs, bucketMs: bucketStart(timeMs, resolutionMs), data }] });
}

function emptyGroup(): Omit<WriteGroup, "topologyMetrics" | "arrivedMs"> {
	const records = { spans: new RecordColumns(SPAN_SHAPE), logs: new RecordColumns(LOG_SHAPE) };
	return { ...records, metrics: EMPTY_METRIC_BATCH, fingerprints: new Uint8Array(0) };
}

function maintain(writer: TopologyWriter, nowMs: number): number {
	for (let steps = 0; ; steps++) if (!writer.maintain(nowMs)) return steps;
}

/** Rows of a bucket and what they add up to. */
function bucket(t: TestContext, directory: string, resolutionMs: ResolutionMs, timeMs: number): [number, unknown] {
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	const bucketMs = bucketStart(timeMs, resolutionMs);
	const [found] = [...reader.rollups(resolutionMs, bucketMs, bucketMs + 1)];
	return found === undefined ? [0, undefined] : [found.data.length, addUp(found.data)[1]];
}

test("a bucket that is past is one row, and one that is open no more than some tens", (t) => {
	const { writer, directory } = open(t);
	for (let i = 0; i < 600; i++) {
		writer.flush(delta(86_400_000, NOW_MS));
		writer.flush(delta(10_000, NOW_MS));
		if (i % 20 === 0) maintain(writer, NOW_MS);
	}
	maintain(writer, NOW_MS);
	for (const resolution of [86_400_000, 10_000] as const) {
		const [rows, sum] = bucket(t, directory, resolution, NOW_MS);
		assert.ok(rows <= 45, `${rows} rows`);
		assert.equal(sum, 600);
	}
	maintain(writer, NOW_MS + HOUR_MS);
	assert.deepEqual(bucket(t, directory, 10_000, NOW_MS), [1, 600]);
	assert.ok(bucket(t, directory, 86_400_000, NOW_MS)[0] > 1, "the day is not over");
	maintain(writer, NOW_MS + 48 * HOUR_MS);
	assert.deepEqual(bucket(t, directory, 86_400_000, NOW_MS), [1, 600]);
	assert.equal(maintain(writer, NOW_MS + 48 * HOUR_MS), 0);
});

test("a late delta is joined once its bucket has been quiet, and not with each that comes", (t) => {
	let clockMs = NOW_MS;
	const { writer, directory } = open(t, { now: () => clockMs });
	writer.flush(delta(60_000, NOW_MS));
	clockMs = NOW_MS + HOUR_MS;
	maintain(writer, clockMs);
	for (let i = 0; i < 3; i++) {
		writer.flush(delta(60_000, NOW_MS));
		assert.equal(maintain(writer, clockMs), 0);
	}
	assert.deepEqual(bucket(t, directory, 60_000, NOW_MS), [4, 4]);
	maintain(writer, clockMs + 120_000);
	assert.deepEqual(bucket(t, directory, 60_000, NOW_MS), [1, 4]);
});

/** Deltas that a reader gets for an hour of minutes, and what they add up to. */
function hourOf(t: TestContext, directory: string): [number, unknown] {
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	const deltas = [...reader.deltas(60_000, NOW_MS, NOW_MS + HOUR_MS)];
	return [deltas.length, addUp(deltas)[1]];
}

test("ten minutes that are past are read as one, until something is added to one of them", (t) => {
	let clockMs = NOW_MS;
	const { writer, directory } = open(t, { now: () => clockMs });
	for (let minute = 0; minute < 25; minute++) {
		clockMs = NOW_MS + minute * 60_000;
		writer.flush(delta(60_000, clockMs));
		maintain(writer, clockMs);
	}
	assert.deepEqual(hourOf(t, directory), [2 + 5, 25]);
	writer.flush(delta(60_000, NOW_MS));
	maintain(writer, clockMs);
	assert.deepEqual(hourOf(t, directory), [11 + 1 + 5, 26]);
	maintain(writer, clockMs + HOUR_MS);
	assert.deepEqual(hourOf(t, directory), [3, 26]);
	assert.equal(maintain(writer, clockMs + HOUR_MS), 0);
	writer.close();
	const { writer: again } = open(t, { directory, now: () => clockMs });
	assert.equal(maintain(again, clockMs + HOUR_MS), 0, "what was made is made");
});

test("ten minutes go with the first of them that is removed", (t) => {
	const { writer, directory } = open(t);
	for (let minute = 0; minute < 20; minute++) writer.flush(delta(60_000, NOW_MS + minute * 60_000));
	maintain(writer, NOW_MS + HOUR_MS);
	assert.deepEqual(hourOf(t, directory), [2, 20]);
	maintain(writer, NOW_MS + 90 * 24 * HOUR_MS + 60_000);
	assert.deepEqual(hourOf(t, directory), [9 + 1, 19]);
});

test("a file of the schema before stretches gets them for its last day", (t) => {
	const { writer, directory } = open(t);
	for (let minute = 0; minute < 30; minute++) writer.flush(delta(60_000, NOW_MS + minute * 60_000));
	writer.close();
	const database = new Database(topologyPath(directory));
	database.exec("DROP TABLE stretches");
	database.pragma("user_version = 2");
	database.close();
	const { writer: again } = open(t, { directory });
	assert.deepEqual(hourOf(t, directory), [30, 30]);
	maintain(again, NOW_MS + HOUR_MS);
	assert.deepEqual(hourOf(t, directory), [3, 30]);
});

test("deltas that cannot be joined stay, and are tried once", (t) => {
	const { writer, directory, log } = open(t, {
		join: () => {
			throw new Error("no such encoding");
		},
	});
	for (let i = 0; i < 3; i++) writer.flush(delta(10_000, NOW_MS));
	maintain(writer, NOW_MS + HOUR_MS);
	maintain(writer, NOW_MS + HOUR_MS);
	assert.deepEqual(bucket(t, directory, 10_000, NOW_MS), [3, 3]);
	assert.equal(log.filter((line) => line.includes("no such encoding")).length, 1);
});

test("over its bytes the oldest of the finest buckets go first, and the file is given back", (t) => {
	const maxBytes = topologyBudget(20 << 20);
	const { writer, directory } = open(t, { maxBytes });
	const data = encodeSums(Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [i, i])));
	for (let i = 0; i < 1_200; i++) writer.flush(delta(10_000, NOW_MS + i * 10_000, data));
	for (let i = 0; i < 10; i++) writer.flush(delta(3_600_000, NOW_MS + i * HOUR_MS, data));
	assert.ok(writer.bytesOnDisk() > maxBytes * 2);
	maintain(writer, NOW_MS + 24 * HOUR_MS);
	assert.ok(writer.bytesOnDisk() < maxBytes * 2, `${writer.bytesOnDisk()} bytes`);
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	assert.equal([...reader.rollups(3_600_000, 0, NOW_MS * 2)].length, 10);
	const fine = [...reader.rollups(10_000, 0, NOW_MS * 2)];
	assert.ok(fine.length > 0 && fine.length < 400, `${fine.length} buckets`);
	assert.equal(fine.at(-1)!.bucketMs, NOW_MS + 1_199 * 10_000);
});

test("of more than 100,000 addresses those that were seen last stay", (t) => {
	const { writer, directory } = open(t);
	const endpoint = { kind: "service", cluster: "", namespace: "", service: "a", workload: "" } as const;
	const addresses = Array.from({ length: 100_010 }, (_, i) => ({ address: `a${i}`, endpoint, seenMs: NOW_MS + i }));
	writer.flush(flushOf({ addresses }));
	maintain(writer, NOW_MS);
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	const kept = reader.addresses();
	assert.deepEqual([kept.size, kept.has("a9"), kept.has("a10")], [100_000, false, true]);
});

test("a reader that is there before the file finds what is flushed later", (t) => {
	const directory = temporaryDirectory(t);
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	assert.deepEqual([reader.version(), reader.progress(), [...reader.rollups(10_000, 0, NOW_MS * 2)]], [0, undefined, []]);
	const { writer } = open(t, { directory });
	assert.equal(reader.progress(), undefined);
	writer.flush({ ...delta(10_000, NOW_MS), cursor: { window: "w", commit: 1 } });
	assert.deepEqual(reader.progress(), { cursor: { window: "w", commit: 1 }, flushedMs: NOW_MS });
	assert.equal([...reader.rollups(10_000, 0, NOW_MS * 2)].length, 1);
});

test("a range is read as one flush left it, and other questions may be asked meanwhile", (t) => {
	const { writer, directory } = open(t);
	for (let i = 0; i < 500; i++) writer.flush(delta(10_000, NOW_MS + i * 10_000));
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	let buckets = 0;
	for (const { data } of reader.rollups(10_000, NOW_MS, NOW_MS * 2)) {
		assert.equal(addUp(data)[1], 1);
		if (buckets++ === 0) for (let i = 0; i < 500; i++) writer.flush(delta(10_000, NOW_MS + i * 10_000));
		assert.equal(reader.series().size, 0);
	}
	assert.equal(buckets, 500);
	for (const { data } of reader.rollups(10_000, NOW_MS, NOW_MS * 2)) assert.equal(addUp(data)[1], 2);
});

test("a file of garbage is set aside at start with a clear message, and a new one begun that readers find", (t) => {
	const { writer, directory } = open(t);
	const reader = openTopologyReader(directory);
	t.after(() => reader.close());
	writer.flush({ ...delta(10_000, NOW_MS), series: [{ id: 1, dims: "{}" }], cursor: { window: "w", commit: 1 } });
	assert.equal(reader.series().size, 1);
	const version = reader.version();
	writer.close();
	reader.close();
	writeFileSync(topologyPath(directory), Buffer.alloc(50_000, 0x55));
	const { writer: again, log } = open(t, { directory });
	assert.match(log.join("\n"), /error: topology\.db is damaged .* was set aside as .*topology\.db\.damaged-/);
	assert.ok(readdirSync(directory).some((name) => name.startsWith("topology.db.damaged-")));
	assert.deepEqual([again.load().cursor, again.load().series], [undefined, []]);
	again.flush(delta(10_000, NOW_MS));
	assert.deepEqual([reader.series().size, [...reader.rollups(10_000, 0, NOW_MS * 2)].length], [0, 1]);
	assert.ok(reader.version() >= version, "a version is not given twice");
});

test("damage that a flush meets loses the file, says so, and the next flush goes to a new one", (t) => {
	const { writer, directory, log } = open(t);
	const data = encodeSums(Object.fromEntries(Array.from({ length: 120 }, (_, i) => [i, i])));
	for (let i = 0; i < 300; i++) writer.flush(delta(10_000, NOW_MS + i * 10_000, data));
	writer.close();
	const file = openSync(topologyPath(directory), "r+");
	const pages = statSync(topologyPath(directory)).size / PAGE_BYTES;
	for (let page = pages - 4; page < pages; page++)
		writeSync(file, Buffer.alloc(PAGE_BYTES, 0x55), 0, PAGE_BYTES, page * PAGE_BYTES);
	closeSync(file);
	const { writer: again, log: later } = open(t, { directory });
	assert.deepEqual(later, [], "found only by what reads it");
	assert.throws(() => {
		for (let i = 0; i < 300; i++) again.flush(delta(10_000, NOW_MS + i * 10_000));
	}, TopologyLostError);
	assert.match([...log, ...later].join("\n"), /topology\.db is damaged/);
	assert.equal(again.load().cursor, undefined);
	again.flush({ ...delta(10_000, NOW_MS), cursor: { window: "w", commit: 2 } });
	assert.equal(again.load().cursor!.commit, 2);
});

test("a flush that finds no room is refused as retryable, keeps nothing, and the next one succeeds", (t) => {
	let full = true;
	const { writer, directory } = open(t, {
		failpoint: (name) => {
			if (full && name === "before-topology-commit")
				throw new Database.SqliteError("database or disk is full", "SQLITE_FULL");
		},
	});
	const flush = { ...delta(10_000, NOW_MS), cursor: { window: "w", commit: 1 }, series: [{ id: 1, dims: "{}" }] };
	for (let i = 0; i < 2; i++)
		assert.throws(
			() => writer.flush(flush),
			(error) => error instanceof MeshscopeError && error.code === "store_full" && error.retryable,
		);
	assert.deepEqual([writer.load().cursor, writer.load().series], [undefined, []]);
	full = false;
	writer.flush(flush);
	assert.deepEqual(writer.load().cursor, { window: "w", commit: 1 });
	assert.deepEqual(bucket(t, directory, 10_000, NOW_MS), [1, 1]);
});

test("verify reads every delta, and names what cannot be decoded", (t) => {
	const store = openTestStore(t);
	store.append({});
	const { writer, directory } = open(t, { directory: store.directory });
	for (let i = 0; i < 5; i++) writer.flush({ ...delta(10_000, NOW_MS + i * 10_000), series: [{ id: i + 1, dims: "{}" }] });
	const report = verifyDirectory(directory).windows.at(-1)!;
	assert.deepEqual([report.name, report.ok, report.blocks], ["topology.db", true, 5]);
	const odd = verifyDirectory(directory, (data) => assert.equal(data.length, 0, "odd"));
	assert.equal(odd.ok, false);
	assert.match(odd.windows.at(-1)!.problems[0]!, /^delta 1 of bucket \d+ of 10000 ms: odd/);
	writer.close();
	const file = openSync(topologyPath(directory), "r+");
	writeSync(file, Buffer.alloc(20_000, 0x55), 0, 20_000, PAGE_BYTES * 2);
	closeSync(file);
	const damaged = verifyDirectory(directory);
	assert.deepEqual([damaged.ok, damaged.windows.at(-1)!.ok, damaged.windows[0]!.ok], [false, false, true]);
});

test("topology counts among the bytes on the disk, and a version 1 directory without it is complete", (t) => {
	const store = openTestStore(t);
	store.append({});
	const { bytesOnDisk } = store.writer.stats();
	assert.equal(existsSync(join(store.directory, "topology.db")), false);
	const { writer } = open(t, { directory: store.directory });
	writer.flush(delta(10_000, NOW_MS));
	assert.equal(store.writer.stats().bytesOnDisk, bytesOnDisk + writer.bytesOnDisk());
});

test("a backup has the topology and the groups that are behind its cursor", async (t) => {
	const store = openTestStore(t);
	const { writer, directory } = open(t, { directory: store.directory });
	store.append({});
	const cursor = store.writer.append({ ...emptyGroup(), topologyMetrics: new Uint8Array([1]), arrivedMs: NOW_MS }).ref;
	writer.flush({ ...delta(10_000, NOW_MS), cursor });
	store.writer.release(cursor);
	const behind = store.writer.append({ ...emptyGroup(), topologyMetrics: new Uint8Array([2]), arrivedMs: NOW_MS }).ref;
	const target = join(temporaryDirectory(t), "copy");
	const copying = backupDirectory(directory, target);
	// While it is copied: what comes now is in neither file of the copy.
	const later = store.writer.append({ ...emptyGroup(), topologyMetrics: new Uint8Array([3]), arrivedMs: NOW_MS }).ref;
	writer.flush({ ...delta(10_000, NOW_MS), cursor: later });
	store.writer.release(later);
	store.append({});
	await copying;
	assert.equal(verifyDirectory(target).ok, true);
	const copy = open(t, { directory: target });
	assert.deepEqual(copy.writer.load().cursor, cursor);
	const restored = openTestStore(t, target);
	const groups = [...restored.writer.replay(cursor)];
	assert.deepEqual(
		groups.map(({ ref, metrics }) => [ref, ...metrics]),
		[[behind, 2]],
	);
});
