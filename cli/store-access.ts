/** How commands reach the data directory beside a server, or without one. The one place where they name an engine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BackupReport, StoreReader, StoreScanner } from "../store/store.ts";
import { CommandError } from "./context.ts";
import type { CliContext } from "./context.ts";
import { loadDataDirectory } from "./settings.ts";

/** What names the directory; see {@link loadDataDirectory}. */
export interface DataFlags {
	readonly data?: string;
	readonly config?: string;
}

/** One question is asked, so little is worth keeping. */
const CACHE_BYTES = 8 * 2 ** 20;
/** Nobody else waits for a command. */
const SEARCH_BUDGET_MS = 600_000;

export async function openReader(flags: DataFlags, context: CliContext): Promise<StoreReader> {
	const directory = dataDirectory(flags, context);
	const { openSqliteReader } = await import("../store/sqlite/reader.ts");
	return openSqliteReader({ directory, cacheBytes: CACHE_BYTES, searchBudgetMs: SEARCH_BUDGET_MS, now: context.nowMs });
}

/** Windows that cannot be read are named on stderr; the others are read. */
export async function openScanner(flags: DataFlags, context: CliContext): Promise<StoreScanner> {
	const directory = dataDirectory(flags, context);
	const scanner = await import("../store/sqlite/scan.ts");
	return scanner.openScanner(directory, {
		now: context.nowMs,
		onDamaged: (window, problem) => context.stderr.write(`window ${window} cannot be read and is left out: ${problem}\n`),
	});
}

export async function backupStore(flags: DataFlags, target: string, context: CliContext): Promise<BackupReport> {
	const directory = dataDirectory(flags, context);
	const { backupDirectory } = await import("../store/sqlite/backup.ts");
	return backupDirectory(directory, target);
}

/** @throws CommandError when nothing was ever stored there, rather than an empty answer that looks like one */
function dataDirectory(flags: DataFlags, context: CliContext): string {
	const directory = loadDataDirectory({ flags: { ...flags }, leftover: [], env: context.env, readFile: context.readFile });
	// Without the catalog the windows can still be read.
	if (existsSync(join(directory, "catalog.db")) || existsSync(join(directory, "windows"))) return directory;
	throw new CommandError(`${directory} holds no meshscope data; name its directory with --data`);
}
