import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import Database from "better-sqlite3";
import { temporaryDirectory } from "../../test/store/sqlite-directory.ts";
import {
	CURRENT_SCHEMA,
	isDamage,
	isDiskFull,
	openForReading,
	openForWriting,
	SCHEMA_VERSION,
	type SchemaTarget,
	SchemaVersionError,
} from "./database.ts";
import { migrateWindows } from "./migrate.ts";
import type { Migration } from "./schema/migrations.ts";

/** Two versions ahead: a column in SQL, then its content by a function, for windows only. */
const STEPS: readonly Migration[] = [
	{ schema: "window", from: SCHEMA_VERSION, to: SCHEMA_VERSION + 1, run: "ALTER TABLE meta ADD COLUMN note TEXT" },
	{
		schema: "window",
		from: SCHEMA_VERSION + 1,
		to: SCHEMA_VERSION + 2,
		run: (database) => void database.prepare("UPDATE meta SET note = upper(value)").run(),
	},
	{ schema: "catalog", from: SCHEMA_VERSION + 1, to: SCHEMA_VERSION + 2, run: "CREATE TABLE extra (x INTEGER) STRICT" },
];
const AHEAD: SchemaTarget = { version: SCHEMA_VERSION + 2, migrations: STEPS };

function fileWithRow(t: TestContext): string {
	const path = join(temporaryDirectory(t), "w.db");
	const database = openForWriting(path, "window");
	database.prepare("INSERT INTO meta VALUES ('k', 'v')").run();
	database.close();
	return path;
}

function versionIn(path: string): unknown {
	const database = new Database(path, { readonly: true });
	const version = database.pragma("user_version", { simple: true });
	database.close();
	return version;
}

test("a connection for writing is durable whatever was compiled in", (t) => {
	const path = fileWithRow(t);
	const database = openForWriting(path, "window");
	t.after(() => database.close());
	for (const [pragma, value] of [
		["journal_mode", "wal"],
		["synchronous", 2],
		["wal_autocheckpoint", 0],
		["page_size", 8192],
		["user_version", SCHEMA_VERSION],
	] as const)
		assert.equal(database.pragma(pragma, { simple: true }), value, pragma);
});

test("a connection for reading writes nothing", (t) => {
	const database = openForReading(fileWithRow(t));
	t.after(() => database.close());
	assert.throws(() => database.exec("DELETE FROM meta"), /readonly/);
});

test("an older file is migrated on open for writing, step by step, and keeps its rows", (t) => {
	const path = fileWithRow(t);
	for (let i = 0; i < 2; i++) {
		const database = openForWriting(path, "window", AHEAD);
		assert.deepEqual(database.prepare("SELECT * FROM meta").all(), [{ key: "k", value: "v", note: "V" }]);
		database.close();
		assert.equal(versionIn(path), AHEAD.version);
	}
	const reader = openForReading(path, AHEAD);
	assert.deepEqual(reader.prepare("SELECT note FROM meta").pluck().all(), ["V"]);
	reader.close();
});

test("a migration that fails leaves the file as it was", (t) => {
	const path = fileWithRow(t);
	const failing: SchemaTarget = {
		version: SCHEMA_VERSION + 2,
		migrations: [
			STEPS[0]!,
			{
				schema: "window",
				from: SCHEMA_VERSION + 1,
				to: SCHEMA_VERSION + 2,
				run: () => {
					throw new Error("half-way");
				},
			},
		],
	};
	assert.throws(() => openForWriting(path, "window", failing), /half-way/);
	assert.equal(versionIn(path), SCHEMA_VERSION);
	const database = openForWriting(path, "window");
	assert.deepEqual(database.prepare("SELECT * FROM meta").all(), [{ key: "k", value: "v" }]);
	database.close();
});

test("a reader refuses an older file, and says what brings it up to date", (t) => {
	const path = fileWithRow(t);
	assert.throws(
		() => openForReading(path, AHEAD),
		(error) =>
			error instanceof SchemaVersionError && /older meshscope.*meshscope serve/.test(error.message) && !isDamage(error),
	);
	assert.equal(versionIn(path), SCHEMA_VERSION);
});

test("a file of a newer schema is refused for reading and writing, with both versions in the message", (t) => {
	const path = fileWithRow(t);
	openForWriting(path, "window", AHEAD).close();
	for (const open of [() => openForReading(path), () => openForWriting(path, "window")])
		assert.throws(
			open,
			(error) =>
				error instanceof SchemaVersionError &&
				error.message.includes(`schema ${AHEAD.version}, this one reads up to ${SCHEMA_VERSION}`) &&
				error.message.includes("upgrade meshscope"),
		);
	assert.equal(versionIn(path), AHEAD.version);
});

test("every version between the first and the current one has a step, each one version long", () => {
	const { version, migrations } = CURRENT_SCHEMA;
	assert.equal(version, SCHEMA_VERSION);
	for (const { from, to } of migrations) assert.equal(to, from + 1);
	for (let from = 1; from < version; from++)
		assert.ok(
			migrations.some((step) => step.from === from),
			`version ${from}`,
		);
	assert.deepEqual(
		migrations.map(({ from }) => from),
		migrations.map(({ from }) => from).toSorted((a, b) => a - b),
	);
});

test("a directory is migrated window by window before its catalog; a damaged window stops none; a second start does nothing", (t) => {
	const directory = temporaryDirectory(t);
	mkdirSync(join(directory, "windows"));
	openForWriting(join(directory, "catalog.db"), "catalog").close();
	const paths = ["a", "b", "c"].map((name) => join(directory, "windows", `${name}.db`));
	for (const path of paths) openForWriting(path, "window").close();
	writeFileSync(paths[1]!, Buffer.alloc(20_000, 0x55));
	const lines: string[] = [];
	migrateWindows(directory, (line) => lines.push(line), AHEAD);
	assert.deepEqual([versionIn(paths[0]!), versionIn(paths[2]!)], [AHEAD.version, AHEAD.version]);
	assert.match(
		lines.join("\n"),
		new RegExp(`3 windows from schema ${SCHEMA_VERSION} to ${AHEAD.version}.*\\n.*b\\.db is damaged`),
	);
	// A crash before the catalog is done: it all happens again, and nothing changes.
	migrateWindows(directory, () => {}, AHEAD);
	openForWriting(join(directory, "catalog.db"), "catalog", AHEAD).close();
	assert.equal(versionIn(join(directory, "catalog.db")), AHEAD.version);
	lines.length = 0;
	migrateWindows(directory, (line) => lines.push(line), AHEAD);
	assert.deepEqual(lines, []);
});

test("damage, a full disk and faults of the moment are told apart", () => {
	const sqlite = (code: string): Error => new Database.SqliteError("", code);
	for (const code of ["SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX"])
		assert.deepEqual([isDamage(sqlite(code)), isDiskFull(sqlite(code))], [true, false], code);
	for (const code of ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"])
		assert.deepEqual([isDamage(sqlite(code)), isDiskFull(sqlite(code))], [false, true], code);
	for (const error of [sqlite("SQLITE_BUSY"), sqlite("SQLITE_ERROR"), new Error("x"), undefined])
		assert.deepEqual([isDamage(error), isDiskFull(error)], [false, false]);
	assert.equal(isDiskFull(Object.assign(new Error("x"), { code: "ENOSPC" })), true);
});
