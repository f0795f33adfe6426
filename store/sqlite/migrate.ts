/**
 * Brings the windows of a data directory up to the current schema before the writer opens it; schema/migrations.ts says how and in
 * which order.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CURRENT_SCHEMA, isDamage, openForWriting, versionOf } from "./database.ts";

/** Costs nothing when the catalog's version says that it was done. The caller holds the directory's lock. */
export function migrateWindows(directory: string, log: (message: string) => void, target = CURRENT_SCHEMA): void {
	const version = versionOf(join(directory, "catalog.db"));
	// A catalog that is missing or unreadable is rebuilt by opening every window for writing, which migrates each.
	if (version === undefined || version === 0 || version >= target.version) return;
	const files = readdirSync(join(directory, "windows")).filter((file) => file.endsWith(".db"));
	log(`bringing ${files.length} windows from schema ${version} to ${target.version}`);
	for (const file of files.sort()) {
		try {
			const window = openForWriting(join(directory, "windows", file), "window", target);
			window.pragma("wal_checkpoint(TRUNCATE)");
			window.close();
		} catch (error) {
			// A damaged window is set aside where it is read; the others must not wait for it.
			if (!isDamage(error)) throw error;
			log(`${file} is damaged and was left as it is`);
		}
	}
}
