/**
 * One writer a data directory. The lock is an exclusive transaction on a database of its own, so the kernel releases it however the
 * process ends.
 */
import { join } from "node:path";
import Database from "better-sqlite3";

export class DirectoryLockedError extends Error {
	override readonly name = "DirectoryLockedError";
}

/** @throws DirectoryLockedError when another process writes there */
export function lockDirectory(directory: string): () => void {
	const database = new Database(join(directory, "lock.db"), { timeout: 200 });
	try {
		database.pragma("journal_mode = MEMORY");
		database.exec("BEGIN EXCLUSIVE");
	} catch (error) {
		database.close();
		if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_BUSY"))
			throw new DirectoryLockedError(
				`${directory} is in use by another meshscope; stop it, or choose another directory with --data`,
			);
		throw error;
	}
	return () => database.close();
}
