/**
 * How files of older schemas become current ones: a list of steps, in order, each applied once.
 *
 * A new file is made from schema/*.sql, which always describe the newest schema. To change it: change the .sql, raise
 * SCHEMA_VERSION in database.ts, and add a step here for what older files lack. Windows, catalog and topology share one version; a
 * version that changes only one of them has a step for that one.
 *
 * The writer brings a directory up to date when it opens it: first every window, sealed ones too, then the catalog, whose version
 * therefore says that all windows are done. Each file changes in one transaction, so a crash leaves it old or new, and the next
 * start goes on with the rest. Readers never change a file: they refuse an older one and say what to do.
 */
import type { Connection, SchemaName } from "../database.ts";

export interface Migration {
	readonly schema: SchemaName;
	readonly from: number;
	/** Always `from + 1`. */
	readonly to: number;
	/** SQL, or work that SQL cannot say. Runs inside the file's transaction and must not end it. */
	readonly run: string | ((database: Connection) => void);
}

export const MIGRATIONS: readonly Migration[] = [
	{
		// Groups of older windows are not held, and their blocks are older than any that is.
		schema: "window",
		from: 1,
		to: 2,
		run: `ALTER TABLE commits ADD COLUMN topology_metrics BLOB;
			ALTER TABLE blocks ADD COLUMN commit_id INTEGER NOT NULL DEFAULT 0;`,
	},
	{
		// Of minutes that were counted before, those of the last day are joined once the writer has time.
		schema: "topology",
		from: 2,
		to: 3,
		run: "CREATE TABLE stretches (start_ms INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
	},
	{
		// Tables stay as they are. Blocks may be of format 3 from here on, which an older meshscope would take for damage.
		schema: "window",
		from: 3,
		to: 4,
		run: "",
	},
	{
		// Parts that are there stay whole, each in its one row.
		schema: "window",
		from: 4,
		to: 5,
		run: "CREATE TABLE slices (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
	},
];
