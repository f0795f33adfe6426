/**
 * Opening SQLite files the one way this project does: every durability setting explicit on every connection, since the compiled
 * defaults can differ and WAL files keep theirs only until they are reopened.
 */
import { readFileSync } from "node:fs";
import Database from "better-sqlite3";

export type Connection = Database.Database;

/** Raised with every change of schema/*.sql; schema/migrations.ts leads older files up to it. */
export const SCHEMA_VERSION = 1;

const PAGE_BYTES = 8192;

export type SchemaName = "window" | "catalog";

/** Opens for writing; creates the file and its schema when it is absent or empty. */
export function openForWriting(path: string, schema: SchemaName): Connection {
	const database = new Database(path);
	try {
		database.pragma("busy_timeout = 5000");
		// Only takes effect while the file is empty.
		database.pragma(`page_size = ${PAGE_BYTES}`);
		database.pragma("journal_mode = WAL");
		database.pragma("synchronous = FULL");
		database.pragma("wal_autocheckpoint = 0");
		database.pragma("cache_size = -8192");
		database.pragma("temp_store = MEMORY");
		database.pragma("trusted_schema = OFF");
		createSchema(database, schema, path);
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}

export function openForReading(path: string): Connection {
	const database = new Database(path, { readonly: true, fileMustExist: true });
	try {
		database.pragma("busy_timeout = 2000");
		database.pragma("cache_size = -4096");
		database.pragma("mmap_size = 0");
		database.pragma("query_only = ON");
		database.pragma("trusted_schema = OFF");
		checkVersion(database, path);
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}

function createSchema(database: Connection, schema: SchemaName, path: string): void {
	const version = checkVersion(database, path);
	if (version !== 0) return;
	const sql = readFileSync(new URL(`schema/${schema}.sql`, import.meta.url), "utf8");
	database.transaction(() => {
		database.exec(sql);
		database.pragma(`user_version = ${SCHEMA_VERSION}`);
	})();
}

function checkVersion(database: Connection, path: string): number {
	const version = database.pragma("user_version", { simple: true }) as number;
	if (version > SCHEMA_VERSION)
		throw new SchemaVersionError(
			`${path} was written by a newer meshscope (schema ${version}, this one reads up to ${SCHEMA_VERSION}); upgrade meshscope or use another --data directory`,
		);
	return version;
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
