/**
 * One read-only SQL session over the store: an in-memory database that holds nothing but the virtual tables, and refuses every
 * statement that is not a query.
 */
import Database from "better-sqlite3";
import { MeshscopeError } from "../../model/errors.ts";
import { defineSqlTables } from "../../store/sql-tables.ts";
import type { StoreScanner } from "../../store/store.ts";

export type SqlValue = string | number | bigint | Uint8Array | null;

export interface SqlResult {
	readonly columns: readonly string[];
	/** Read once, row by row. */
	readonly rows: Iterable<readonly SqlValue[]>;
}

export interface SqlSession {
	/** @throws MeshscopeError `invalid_argument` with SQLite's words, or the reason a statement is refused */
	query(statement: string): SqlResult;
	close(): void;
}

const QUERY_WORDS = /^(?:select|with|values|explain)\b/i;
const LEADING_COMMENTS = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/;

export function openSqlSession(scanner: StoreScanner, nowMs: () => number): SqlSession {
	const db = new Database(":memory:");
	db.defaultSafeIntegers(true);
	defineSqlTables(db, scanner, nowMs);
	// The tables are in place; from here on not even the in-memory database may change.
	db.pragma("query_only = ON");
	db.pragma("trusted_schema = OFF");
	return {
		query(statement) {
			const text = statement.replace(LEADING_COMMENTS, "");
			// SQLite counts ATTACH and some PRAGMAs as reading, so the first word decides before it does.
			if (!QUERY_WORDS.test(text)) throw refused("only SELECT, WITH, VALUES and EXPLAIN can be asked here");
			const prepared = wrapErrors(() => db.prepare<[], readonly SqlValue[]>(text));
			if (!prepared.reader || !prepared.readonly) throw refused("the statement would write; the tables are read-only");
			return { columns: prepared.columns().map((column) => column.name), rows: rowsOf(prepared) };
		},
		close: () => db.close(),
	};
}

function* rowsOf(prepared: Database.Statement<[], readonly SqlValue[]>): Iterable<readonly SqlValue[]> {
	const rows = wrapErrors(() => prepared.raw().iterate());
	try {
		for (;;) {
			const next = wrapErrors(() => rows.next());
			if (next.done === true) return;
			yield next.value;
		}
	} finally {
		rows.return?.();
	}
}

function wrapErrors<T>(step: () => T): T {
	try {
		return step();
	} catch (error) {
		if (error instanceof MeshscopeError) throw error;
		if (error instanceof Database.SqliteError || error instanceof RangeError) throw refused(error.message, error);
		throw error;
	}
}

function refused(message: string, cause?: unknown): MeshscopeError {
	return new MeshscopeError("invalid_argument", message, { cause });
}
