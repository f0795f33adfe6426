import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { type Connection, openForWriting } from "./database.ts";
import { MAX_SLICES, PartTable, PartTableWriter, SLICE_BYTES } from "./part-table.ts";

const PART = 16 * 7 + 3;

function emptyWindow(t: TestContext): Connection {
	const database = openForWriting(join(temporaryDirectory(t), "window.db"), "window");
	t.after(() => database.close());
	return database;
}

function partOf(length: number): Uint8Array {
	return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

test("a part comes back whole and in ranges, whatever its length", (t) => {
	const database = emptyWindow(t);
	const writer = new PartTableWriter(database);
	const table = new PartTable(database);
	const lengths = [0, 1, 100, SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 2 * SLICE_BYTES, 5 * SLICE_BYTES + 77];
	for (const [i, length] of lengths.entries()) {
		const data = partOf(length);
		writer.insert(PART + i, data);
		assert.deepEqual(Buffer.from(table.load(PART + i)!), Buffer.from(data), `${length} bytes`);
		const edges = [0, 1, SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 3 * SLICE_BYTES, length].filter((at) => at <= length);
		for (const start of edges)
			for (const end of edges.filter((at) => at > start))
				assert.deepEqual(
					Buffer.from(table.loadRange(PART + i, start, end)!),
					Buffer.from(data.subarray(start, end)),
					`${start} to ${end} of ${length}`,
				);
	}
});

test("a part of the schema without slices lies in one row, and is read like any", (t) => {
	const database = emptyWindow(t);
	const data = partOf(4 * SLICE_BYTES);
	database.prepare("INSERT INTO parts VALUES (?, ?)").run(PART, data);
	const table = new PartTable(database);
	assert.deepEqual(Buffer.from(table.load(PART)!), Buffer.from(data));
	for (const [start, end] of [
		[0, 10],
		[10, 2 * SLICE_BYTES],
		[3 * SLICE_BYTES, 4 * SLICE_BYTES],
	] as const)
		assert.deepEqual(Buffer.from(table.loadRange(PART, start, end)!), Buffer.from(data.subarray(start, end)));
});

test("no part, no bytes; what is behind a part's end is not made up", (t) => {
	const database = emptyWindow(t);
	new PartTableWriter(database).insert(PART, partOf(SLICE_BYTES + 10));
	const table = new PartTable(database);
	assert.equal(table.load(PART + 1), undefined);
	assert.equal(table.loadRange(PART + 1, 0, 10), undefined);
	assert.equal(table.loadRange(PART, SLICE_BYTES, SLICE_BYTES + 50)!.length, 10);
	assert.equal(table.loadRange(PART, 3 * SLICE_BYTES, 3 * SLICE_BYTES + 5)!.length, 0);
});

test("slices go with their parts, and no others do", (t) => {
	const database = emptyWindow(t);
	const writer = new PartTableWriter(database);
	for (const part of [15, 16, 31, 32]) writer.insert(part, partOf(3 * SLICE_BYTES));
	writer.delete(16, 32);
	const ids = (table: string): number[] => database.prepare<[], number>(`SELECT id FROM ${table} ORDER BY id`).pluck().all();
	assert.deepEqual(ids("parts"), [15, 32]);
	assert.deepEqual(ids("slices"), [15 * MAX_SLICES + 1, 15 * MAX_SLICES + 2, 32 * MAX_SLICES + 1, 32 * MAX_SLICES + 2]);
});

test("a slice fills its pages", (t) => {
	const database = emptyWindow(t);
	new PartTableWriter(database).insert(PART, partOf(1_000 * SLICE_BYTES));
	database.pragma("wal_checkpoint(TRUNCATE)");
	const bytes =
		(database.pragma("page_count", { simple: true }) as number) * (database.pragma("page_size", { simple: true }) as number);
	assert.ok(bytes < 1.03 * 1_000 * SLICE_BYTES, `${bytes} bytes for ${1_000 * SLICE_BYTES}`);
});
