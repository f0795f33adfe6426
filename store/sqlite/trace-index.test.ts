import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { NO_TRACE_HASH } from "../block/format.ts";
import { type Connection, openForWriting } from "./database.ts";
import { TraceIndexReader, TraceIndexWriter } from "./trace-index.ts";

function index(t: TestContext): Connection {
	const database = openForWriting(join(temporaryDirectory(t), "w.db"), "window");
	t.after(() => database.close());
	return database;
}

function ascending(hashes: Iterable<number>): Float64Array {
	return Float64Array.from(hashes).sort();
}

test("a lookup finds exactly the blocks that hold a hash, as a map over all inserts would", (t) => {
	const database = index(t);
	// Few values, so that hashes meet in many blocks; the ends of the range among them.
	const hash = fc.oneof(
		fc.nat({ max: 40 }),
		fc.constantFrom(2 ** 48 - 1, 2 ** 47, 65_535, 65_536),
		fc.nat({ max: 2 ** 31 - 1 }),
	);
	const inserts = fc.array(fc.tuple(fc.constantFrom("traces" as const, "logs" as const), fc.array(hash, { maxLength: 30 })), {
		maxLength: 80,
	});
	fc.assert(
		fc.property(inserts, (blocks) => {
			database.exec("DELETE FROM trace_runs; DELETE FROM trace_pages");
			const writers = { traces: new TraceIndexWriter(database, "traces"), logs: new TraceIndexWriter(database, "logs") };
			const expected = { traces: new Map<number, Set<number>>(), logs: new Map<number, Set<number>>() };
			for (const [i, [signal, hashes]] of blocks.entries()) {
				writers[signal].add([{ block: i + 1, hashes: ascending(hashes) }]);
				for (const each of hashes) expected[signal].set(each, (expected[signal].get(each) ?? new Set()).add(i + 1));
			}
			const reader = new TraceIndexReader(database);
			for (const signal of ["traces", "logs"] as const)
				for (const each of new Set(blocks.flatMap(([, hashes]) => hashes)).add(123_456_789))
					assert.deepEqual(reader.lookup(signal, each), [...(expected[signal].get(each) ?? [])]);
		}),
		{ numRuns: 60 },
	);
});

test("runs are merged eight to one, so that few are left however many blocks there were", (t) => {
	const database = index(t);
	const writer = new TraceIndexWriter(database, "traces");
	for (let block = 1; block <= 520; block++) writer.add([{ block, hashes: ascending([block, block + 1, 1_000_000]) }]);
	const tiers = database
		.prepare("SELECT tier, count(*) AS runs, sum(entries) AS entries FROM trace_runs GROUP BY tier ORDER BY tier")
		.all();
	assert.deepEqual(tiers, [
		{ tier: 1, runs: 1, entries: 24 },
		{ tier: 3, runs: 1, entries: 1_536 },
	]);
	const reader = new TraceIndexReader(database);
	assert.deepEqual(reader.lookup("traces", 300), [299, 300]);
	assert.equal(reader.lookup("traces", 1_000_000).length, 520);
	assert.equal(
		database.prepare("SELECT count(DISTINCT run) FROM trace_pages").pluck().get(),
		2,
		"pages of merged runs are gone",
	);
});

test("a run of many pages is looked up by one page: every first, last and middle hash is found", (t) => {
	const database = index(t);
	const hashes = Array.from({ length: 20_000 }, (_, i) => i * 7_000_000_001);
	// 3,000 blocks' worth of one hash lie on one page, however long that gets.
	new TraceIndexWriter(database, "traces").add([{ block: 9, hashes: ascending(hashes) }]);
	const reader = new TraceIndexReader(database);
	for (let i = 0; i < hashes.length; i += 13) assert.deepEqual(reader.lookup("traces", hashes[i]!), [9]);
	for (const place of [0, 2_047, 2_048, 2_049, 19_999]) assert.deepEqual(reader.lookup("traces", hashes[place]!), [9]);
	for (const absent of [1, 6_999_999_999, 19_999 * 7_000_000_001 + 1]) assert.deepEqual(reader.lookup("traces", absent), []);
});

test("records outside of any trace are not in the index, and a block of nothing else adds no run", (t) => {
	const database = index(t);
	new TraceIndexWriter(database, "logs").add([{ block: 1, hashes: ascending([NO_TRACE_HASH]) }]);
	assert.equal(database.prepare("SELECT count(*) FROM trace_runs").pluck().get(), 0);
	new TraceIndexWriter(database, "logs").add([{ block: 2, hashes: ascending([NO_TRACE_HASH, 5]) }]);
	const reader = new TraceIndexReader(database);
	assert.deepEqual([reader.lookup("logs", NO_TRACE_HASH), reader.lookup("logs", 5), reader.lookup("traces", 5)], [[], [2], []]);
});
