import assert from "node:assert/strict";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import Database from "better-sqlite3";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { skimLogs, skimTraces } from "../../collector/decode/skim.ts";
import { HOUR_MS, NOW_MS, temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { from, type GroupParts, logsFrom, span, traceId, Workbench } from "../conformance/workbench.ts";
import { openMemoryStore } from "../memory/engine.ts";
import { openMemoryTopology } from "../memory/topology.ts";
import type { CommitRef } from "../topology.ts";
import { openSqliteReader } from "./reader.ts";
import { windowPath } from "./window-set.ts";
import { openSqliteWriter, type SqliteWriterOptions } from "./writer.ts";

interface Bench {
	readonly bench: Workbench;
	readonly directory: string;
	readonly log: string[];
}

function open(t: TestContext, options: Partial<SqliteWriterOptions> = {}): Bench {
	const directory = options.directory ?? temporaryDirectory(t);
	const log: string[] = [];
	const writer = openSqliteWriter({
		directory,
		windowMs: HOUR_MS,
		maxAgeMs: 1_000 * HOUR_MS,
		maxBytes: 1 << 30,
		now: () => NOW_MS,
		log: (level, message) => log.push(`${level}: ${message}`),
		failpoint: () => {},
		...options,
	});
	const reader = openSqliteReader({ directory, cacheBytes: 1 << 20, searchBudgetMs: 60_000, now: Date.now });
	t.after(async () => {
		await reader.close();
		writer.close();
	});
	const capabilities = { durable: true, sql: true, backup: true };
	const topology = {
		...openMemoryTopology({ keptSinceMs: () => 0, now: () => NOW_MS }),
		committed: openMemoryStore().committed,
	};
	const bench = new Workbench(
		{ writer, reader, topology, capabilities, dispose: async () => {} },
		{
			skimTraces: (bytes, columns) => void skimTraces(bytes, columns, DEFAULT_LIMITS),
			skimLogs: (bytes, columns) => void skimLogs(bytes, columns, DEFAULT_LIMITS),
			decodeMetrics: () => ({ series: [], points: [] }),
		},
	);
	return { bench, directory, log };
}

function group(number: number, arrivedMs = NOW_MS): GroupParts {
	return { traces: [from("a", [span(number, 1), span(number, 2)])], logs: [logsFrom("a", [{ body: {} }])], arrivedMs };
}

function states(bench: Workbench): string[] {
	return bench.writer.stats().windows.map(({ state }) => state);
}

function replayedCommits(bench: Workbench, after?: CommitRef): number[] {
	return [...bench.writer.replay(after)].map(({ ref }) => ref.commit);
}

test("blocks of held groups are not merged, those of released ones are, and a window is sealed once all of its are", (t) => {
	const { bench } = open(t);
	const refs = Array.from({ length: 40 }, (_, i) => bench.hold(group(i)));
	bench.hold(group(99, NOW_MS + HOUR_MS));
	bench.maintain();
	assert.equal(bench.writer.stats().freshBlocks, 82);
	bench.writer.release(refs[31]!);
	bench.maintain();
	assert.equal(bench.writer.stats().freshBlocks, 82 - 64 + 2);
	assert.deepEqual(states(bench), ["open", "open"]);
	bench.writer.release(refs[39]!);
	bench.maintain();
	assert.deepEqual(states(bench), ["sealed", "open"]);
	assert.equal(bench.writer.stats().freshBlocks, 2);
});

test("a ref of a later window releases every group of the windows before it", (t) => {
	const { bench } = open(t);
	for (let i = 0; i < 5; i++) bench.hold(group(i));
	const ref = bench.hold(group(9, NOW_MS + HOUR_MS));
	bench.writer.release(ref);
	bench.maintain();
	assert.deepEqual(states(bench), ["sealed", "open"]);
	assert.deepEqual(replayedCommits(bench), [ref.commit]);
});

test("what is held survives a crash, and what was merged before it was released does not come back", (t) => {
	const { bench, directory } = open(t);
	const refs = Array.from({ length: 40 }, (_, i) => bench.hold(group(i)));
	bench.writer.release(refs[19]!);
	bench.maintain();
	const copy = temporaryDirectory(t);
	cpSync(directory, copy, { recursive: true, filter: (path) => !path.endsWith("lock.db") });
	const { bench: after } = open(t, { directory: copy });
	after.maintain();
	assert.deepEqual(
		replayedCommits(after),
		refs.slice(20).map(({ commit }) => commit),
	);
});

test("with too many held blocks the oldest groups are given up: warned of, counted, and merged", async (t) => {
	const { bench, log } = open(t);
	for (let i = 0; i < 1_100; i++) bench.hold(group(i));
	bench.maintain();
	const { topologySkipped, freshBlocks } = bench.writer.stats();
	assert.equal(topologySkipped, 600);
	assert.ok(freshBlocks < 1_100, `${freshBlocks} blocks`);
	assert.match(log.join("\n"), /warn: the topology stage is behind: 600 groups wait for it no longer/);
	assert.deepEqual(
		replayedCommits(bench),
		Array.from({ length: 500 }, (_, i) => i + 601),
	);
	assert.equal((await bench.spans(traceId(3)))!.length, 2);
});

test("windows that wait for their release are given up beyond sixteen, and sealed", (t) => {
	const { bench } = open(t);
	for (let i = 0; i < 20; i++) bench.hold(group(i, NOW_MS + i * HOUR_MS));
	bench.maintain();
	assert.deepEqual(states(bench), [...Array<string>(3).fill("sealed"), ...Array<string>(17).fill("open")]);
	assert.equal(bench.writer.stats().topologySkipped, 3);
	assert.equal(replayedCommits(bench).length, 17);
});

test("retention removes a window that waits for its release", (t) => {
	const { bench } = open(t, { maxAgeMs: HOUR_MS });
	for (let i = 0; i < 3; i++) bench.hold(group(i, NOW_MS + i * HOUR_MS));
	bench.maintain(NOW_MS + 2 * HOUR_MS);
	assert.equal(states(bench).length, 3);
	bench.maintain(NOW_MS + 3 * HOUR_MS + 1);
	assert.equal(states(bench).length, 1);
	assert.equal(replayedCommits(bench).length, 1);
});

test("a group's number is never one that was released: commits that were lost with the power are not taken for known", (t) => {
	const { bench } = open(t);
	const { window, commit } = bench.hold(group(1));
	bench.writer.release({ window, commit: commit + 10 });
	const ref = bench.hold(group(2));
	assert.equal(ref.commit, commit + 11);
	assert.deepEqual(replayedCommits(bench, { window, commit: commit + 10 }), [ref.commit]);
});

test("a damaged window is left out of a replay with a line in the log", (t) => {
	const { bench, directory, log } = open(t);
	const first = bench.hold(group(1));
	bench.writer.release(first);
	const second = bench.hold(group(2, NOW_MS + HOUR_MS));
	bench.maintain();
	assert.deepEqual(states(bench), ["sealed", "open"]);
	writeFileSync(windowPath(directory, first.window), Buffer.alloc(40_000, 0x55));
	assert.deepEqual(replayedCommits(bench), [second.commit]);
	assert.match(log.join("\n"), new RegExp(`warn: window ${first.window} cannot be read`));
});

test("windows of the first schema are read, merged and not replayed", async (t) => {
	const { bench, directory } = open(t);
	for (let i = 0; i < 20; i++) bench.append(group(i));
	const { window } = bench.hold(group(20));
	bench.writer.close();
	for (const path of [windowPath(directory, window), join(directory, "catalog.db")]) {
		const database = new Database(path);
		if (path.includes(window))
			database.exec(
				`ALTER TABLE blocks DROP COLUMN commit_id;
				ALTER TABLE commits DROP COLUMN topology_metrics;
				DROP TABLE slices`,
			);
		database.pragma("user_version = 1");
		database.close();
	}
	const { bench: after } = open(t, { directory });
	assert.deepEqual(replayedCommits(after), []);
	const ref = after.hold(group(21));
	assert.deepEqual(replayedCommits(after), [ref.commit]);
	after.maintain();
	assert.equal((await after.spans(traceId(20)))!.length, 2);
	assert.ok(after.writer.stats().freshBlocks <= 16);
});
