import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import { type Connection, openForWriting } from "./database.ts";
import { MAX_OPERATIONS_PER_SERVICE, MAX_SERVICES, NameCatalogue, OVERFLOW_NAME } from "./names.ts";

function catalog(t: TestContext): Connection {
	const database = openForWriting(join(temporaryDirectory(t), "catalog.db"), "catalog");
	t.after(() => database.close());
	return database;
}

function services(database: Connection): unknown[] {
	return database.prepare("SELECT name, first_seen_ms, last_seen_ms FROM services ORDER BY name").raw().all();
}

function operations(database: Connection, service: string): unknown[] {
	return database
		.prepare("SELECT name, kind, last_seen_ms FROM operations WHERE service = ? ORDER BY name, kind")
		.raw()
		.all(service);
}

test("names are there at once, and last seen is written again at most once a minute", (t) => {
	const database = catalog(t);
	const names = new NameCatalogue(database);
	names.note([{ service: "a", name: "op", kind: 2 }], 1_000);
	names.note([{ service: "a", name: "op", kind: 2 }], 30_000);
	assert.deepEqual(services(database), [["a", 1_000, 1_000]]);
	names.note([{ service: "a", name: "op", kind: 3 }], 61_000);
	names.note([{ service: "a", name: "op", kind: 2 }], 62_000);
	assert.deepEqual(services(database), [["a", 1_000, 61_000]]);
	assert.deepEqual(operations(database, "a"), [
		["op", 2, 62_000],
		["op", 3, 61_000],
	]);
	names.noteServices(["logs only", "a"], 63_000);
	assert.deepEqual(services(database), [
		["a", 1_000, 61_000],
		["logs only", 63_000, 63_000],
	]);
});

test("a clock that goes back takes no name's last sight away", (t) => {
	const database = catalog(t);
	new NameCatalogue(database).note([{ service: "a", name: "op", kind: 2 }], 500_000);
	new NameCatalogue(database).note([{ service: "a", name: "op", kind: 2 }], 100_000);
	assert.deepEqual(services(database), [["a", 500_000, 500_000]]);
	assert.deepEqual(operations(database, "a"), [["op", 2, 500_000]]);
});

test("services beyond the cap, and their operations, end in one overflow entry, after a restart too", (t) => {
	const database = catalog(t);
	let names = new NameCatalogue(database);
	const total = MAX_SERVICES + 500;
	for (let from = 0; from < total; from += 500) {
		const batch = Array.from({ length: 500 }, (_, i) => ({
			service: `service ${from + i}`,
			name: `op ${from + i}`,
			kind: 2,
		}));
		names.note(batch, 1_000 + from);
	}
	for (const restarted of [false, true]) {
		if (restarted) names = new NameCatalogue(database);
		names.note([{ service: "one more", name: "x", kind: 1 }], 999_000);
		names.noteServices(["and one"], 999_000);
		const found = services(database) as [string, number, number][];
		assert.equal(found.length, MAX_SERVICES + 1);
		assert.ok(found.some(([name]) => name === OVERFLOW_NAME));
		assert.ok(!found.some(([name]) => name === "one more" || name === "and one"));
	}
	const overflow = operations(database, OVERFLOW_NAME);
	assert.ok(overflow.length > 1 && overflow.length <= MAX_OPERATIONS_PER_SERVICE + 1);
	names.note([{ service: "service 7", name: "known still grows", kind: 2 }], 999_000);
	assert.equal(operations(database, "service 7").length, 2);
});

test("operations beyond the cap of a service end in its overflow entry; other services are not affected", (t) => {
	const database = catalog(t);
	const names = new NameCatalogue(database);
	const many = Array.from({ length: MAX_OPERATIONS_PER_SERVICE + 300 }, (_, i) => ({
		service: "a",
		name: `op ${i}`,
		kind: i % 6,
	}));
	names.note(many, 1_000);
	names.note([{ service: "b", name: "op", kind: 2 }], 1_000);
	const found = operations(database, "a") as [string, number, number][];
	assert.equal(found.length, MAX_OPERATIONS_PER_SERVICE + 1);
	assert.deepEqual(
		found.filter(([name]) => name === OVERFLOW_NAME),
		[[OVERFLOW_NAME, 0, 1_000]],
	);
	assert.equal(operations(database, "b").length, 1);
	names.note([{ service: "a", name: "late", kind: 1 }], 120_000);
	assert.deepEqual(
		(operations(database, "a") as unknown[]).find((row) => (row as string[])[0] === OVERFLOW_NAME),
		[OVERFLOW_NAME, 0, 120_000],
	);
});

test("names of any characters are kept apart", (t) => {
	const database = catalog(t);
	const names = new NameCatalogue(database);
	const odd = ["", "'; DROP TABLE services; --", "__proto__", "a\u0000b", "日本語", "2/op", OVERFLOW_NAME];
	names.note(
		odd.map((name) => ({ service: name, name, kind: 2 })),
		1_000,
	);
	assert.deepEqual(new Set((services(database) as [string][]).map(([name]) => name)), new Set(odd));
	for (const name of odd) assert.deepEqual(operations(database, name), [[name, 2, 1_000]]);
});
