/**
 * Opening SQLite files the one way this project does: every durability setting explicit on every connection, since the compiled
 * defaults can differ and WAL files keep theirs only until they are reopened.
 */
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";
import { type Migration, MIGRATIONS } from "./schema/migrations.ts";

export type Connection = Database.Database;

/** Raised with every change of schema/*.sql; schema/migrations.ts leads older files up to it. */
export const SCHEMA_VERSION = 5;

/** What files are brought up to; tests bring them further. */
export interface SchemaTarget {
	readonly version: number;
	readonly migrations: readonly Migration[];
}

export const CURRENT_SCHEMA: SchemaTarget = { version: SCHEMA_VERSION, migrations: MIGRATIONS };

const PAGE_BYTES = 8192;
/** How long a writing connection waits for another one. */
export const BUSY_TIMEOUT_MS = 5_000;

export type SchemaName = "window" | "catalog" | "topology";

/**
 * Opens for writing; creates the file and its schema when it is absent or empty, and brings an older file up to date.
 * @throws SchemaVersionError when the file is of a newer schema
 */
export function openForWriting(path: string, schema: SchemaName, target = CURRENT_SCHEMA): Connection {
	const database = new Database(path);
	try {
		database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
		// Only takes effect while the file is empty.
		database.pragma(`page_size = ${PAGE_BYTES}`);
		// Rows of the topology are removed one by one, those of windows with their file.
		if (schema === "topology") database.pragma("auto_vacuum = INCREMENTAL");
		database.pragma("journal_mode = WAL");
		database.pragma("synchronous = FULL");
		database.pragma("wal_autocheckpoint = 0");
		database.pragma("cache_size = -8192");
		database.pragma("temp_store = MEMORY");
		database.pragma("trusted_schema = OFF");
		const version = readVersion(database, path, target);
		if (version === 0) createSchema(database, schema, target);
		else if (version < target.version) migrate(database, schema, version, target);
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}

/** @throws SchemaVersionError when the file is of a newer schema, or of an older one that no writer has brought up to date */
export function openForReading(path: string, target = CURRENT_SCHEMA): Connection {
	const database = new Database(path, { readonly: true, fileMustExist: true });
	try {
		database.pragma("busy_timeout = 2000");
		database.pragma("cache_size = -4096");
		database.pragma("mmap_size = 0");
		database.pragma("query_only = ON");
		database.pragma("trusted_schema = OFF");
		const version = readVersion(database, path, target);
		if (version !== 0 && version < target.version)
			throw new SchemaVersionError(
				`${path} was written by an older meshscope (schema ${version}, this one reads ${target.version}); start \`meshscope serve\` on the directory once to bring it up to date`,
			);
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}

function createSchema(database: Connection, schema: SchemaName, target: SchemaTarget): void {
	const sql = readFileSync(new URL(`schema/${schema}.sql`, import.meta.url), "utf8");
	database.transaction(() => {
		database.exec(sql);
		database.pragma(`user_version = ${target.version}`);
	})();
}

function migrate(database: Connection, schema: SchemaName, from: number, target: SchemaTarget): void {
	database
		.transaction(() => {
			for (let version = from; version < target.version; version++) {
				for (const { schema: of, from: step, run } of target.migrations) {
					if (of !== schema || step !== version) continue;
					if (typeof run === "string") database.exec(run);
					else run(database);
				}
			}
			database.pragma(`user_version = ${target.version}`);
		})
		.immediate();
}

/** 0 for a file that has no schema yet. */
function readVersion(database: Connection, path: string, target: SchemaTarget): number {
	const version = database.pragma("user_version", { simple: true }) as number;
	if (version > target.version)
		throw new SchemaVersionError(
			`${path} was written by a newer meshscope (schema ${version}, this one reads up to ${target.version}); upgrade meshscope or use another --data directory`,
		);
	return version;
}

/** The version of a file as it is; undefined when it is absent or cannot be read. */
export function versionOf(path: string): number | undefined {
	try {
		const database = new Database(path, { readonly: true, fileMustExist: true });
		try {
			return database.pragma("user_version", { simple: true }) as number;
		} finally {
			database.close();
		}
	} catch (error) {
		if (error instanceof Database.SqliteError) return undefined;
		throw error;
	}
}

export class SchemaVersionError extends Error {
	override readonly name = "SchemaVersionError";
}

/** A fault of the file itself, as opposed to a fault of the moment: the window must be set aside. */
export function isDamage(error: unknown): boolean {
	const code = sqliteCode(error);
	return (
		code === "SQLITE_CORRUPT" ||
		code === "SQLITE_NOTADB" ||
		code.startsWith("SQLITE_CORRUPT_") ||
		(error instanceof Error && error.name === "DamagedBlockError")
	);
}

/**
 * A file that a reader names and passes over: damaged, or of a schema that this version does not read. The second is no fault of
 * the file, so nothing may set it aside.
 */
export function isUnreadable(error: unknown): boolean {
	return isDamage(error) || error instanceof SchemaVersionError;
}

/** No room on the disk. SQLite reports it as FULL or, on some file systems, as a failed write or sync. */
export function isDiskFull(error: unknown): boolean {
	const code = sqliteCode(error);
	if (code === "SQLITE_FULL" || code.startsWith("SQLITE_IOERR_WRITE") || code.startsWith("SQLITE_IOERR_FSYNC")) return true;
	return (
		code === "SQLITE_IOERR_SHMSIZE" ||
		code === "SQLITE_IOERR_TRUNCATE" ||
		(error instanceof Error &&
			"code" in error &&
			(error.code === "ENOSPC" || error.code === "EDQUOT" || error.code === "EFBIG"))
	);
}

function sqliteCode(error: unknown): string {
	return error instanceof Database.SqliteError ? error.code : "";
}
