/**
 * Copies a data directory while another process, or another part of this one, writes to it.
 *
 * Each file is copied as one committed state: a read transaction is held on it meanwhile, so that commits neither show in the copy
 * nor make it start again. The topology and the windows that are not sealed are held at one and the same state of the topology, so
 * that what it has not counted yet is still held in them. Windows come first and the catalog's names last, so that no name of a copied
 * span is missing; the list of windows is the one that was read at the start. A copy that fails removes what it made.
 */
import {
	closeSync,
	copyFileSync,
	existsSync,
	fsyncSync,
	mkdirSync,
	openSync,
	readdirSync,
	rmdirSync,
	rmSync,
	statSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { MeshscopeError } from "../../model/errors.ts";
import type { BackupReport } from "../store.ts";
import { type Connection, isDamage, openForReading, openForWriting } from "./database.ts";
import { topologyPath } from "./topology/file.ts";
import { windowPath } from "./window-set.ts";

/** Between two steps the event loop runs: 8 MiB, about 20 ms. */
const PAGES_PER_STEP = 1024;
const SIDE_FILES = ["-wal", "-shm"] as const;

type WindowRow = Readonly<Record<string, string | bigint | null>> & { readonly name: string; readonly state: string };

/**
 * Everything acknowledged before the call is in the copy, which is a data directory itself.
 * @throws MeshscopeError `not_found` when there is no data, `invalid_argument` when the target holds something
 */
export async function backupDirectory(dataDirectory: string, target: string): Promise<BackupReport> {
	const catalogPath = join(dataDirectory, "catalog.db");
	if (!existsSync(catalogPath))
		throw new MeshscopeError("not_found", `${dataDirectory} holds no meshscope data; name its directory with --data`);
	const copy = new Copy(target);
	try {
		const rows = readWindows(catalogPath);
		const copied: WindowRow[] = [];
		const held = holdOpenFiles(dataDirectory, rows);
		try {
			if (held.topology === undefined) copy.asItIs(topologyPath(dataDirectory), topologyPath(target));
			else await copy.held(held.topology, topologyPath(target));
			for (const row of rows) {
				const from = windowPath(dataDirectory, row.name);
				const to = windowPath(target, row.name);
				const source = held.windows.get(row.name);
				if (row.state === "damaged" ? copy.asItIs(from, to) : await copy.window(from, to, source)) copied.push(row);
			}
		} finally {
			held.release();
		}
		await copy.catalog(catalogPath, join(target, "catalog.db"), copied);
		return copy.finish();
	} catch (error) {
		copy.undo();
		throw error;
	}
}

function readWindows(catalogPath: string): WindowRow[] {
	const catalog = openForReading(catalogPath);
	try {
		return catalog.prepare<[], WindowRow>("SELECT * FROM windows ORDER BY name").safeIntegers().all();
	} finally {
		catalog.close();
	}
}

interface HeldFiles {
	readonly topology: Connection | undefined;
	readonly windows: ReadonlyMap<string, Connection>;
	release(): void;
}

/** Flushes come every few seconds, and holding takes milliseconds. */
const MAX_HOLD_TRIES = 20;

/**
 * Connections to the topology and to every open window, each inside a read transaction. Held in this order, and once more from the
 * start when there was a flush meanwhile: groups are released only behind a flush, so none behind the held one's cursor is merged.
 */
function holdOpenFiles(directory: string, rows: readonly WindowRow[]): HeldFiles {
	for (let tries = 1; ; tries++) {
		const topology = hold(topologyPath(directory));
		const windows = new Map<string, Connection>();
		for (const { name, state } of rows) {
			const window = state === "open" ? hold(windowPath(directory, name)) : undefined;
			if (window !== undefined) windows.set(name, window);
		}
		const release = (): void => {
			for (const database of [topology, ...windows.values()]) if (database?.open === true) database.close();
		};
		if (topology === undefined || tries === MAX_HOLD_TRIES) return { topology, windows, release };
		const latest = hold(topologyPath(directory));
		const isSame = latest !== undefined && flushOf(latest) === flushOf(topology);
		latest?.close();
		if (isSame) return { topology, windows, release };
		release();
	}
}

/** Undefined where the file is not there, or damaged. */
function hold(path: string): Connection | undefined {
	if (!existsSync(path)) return undefined;
	let database: Connection | undefined;
	try {
		database = openForReading(path);
		takeSnapshot(database);
		return database;
	} catch (error) {
		database?.close();
		if (!isDamage(error) && !isGone(error, path)) throw error;
		return undefined;
	}
}

function flushOf(topology: Connection): number {
	return topology.prepare<[], number>("SELECT version FROM progress").pluck().get() ?? 0;
}

function takeSnapshot(database: Connection): void {
	database.exec("BEGIN");
	// The snapshot is taken by the first read.
	database.prepare("SELECT count(*) FROM sqlite_schema").get();
}

function isGone(error: unknown, path: string): boolean {
	return error instanceof Database.SqliteError && error.code.startsWith("SQLITE_CANTOPEN") && !existsSync(path);
}

class Copy {
	private readonly target: string;
	private readonly targetWasThere: boolean;
	private readonly files: string[] = [];

	constructor(target: string) {
		this.target = target;
		this.targetWasThere = existsSync(target);
		if (this.targetWasThere && readdirSync(target).length > 0)
			throw new MeshscopeError("invalid_argument", `${target} is not empty; a backup never writes over anything`);
		mkdirSync(join(target, "windows"), { recursive: true });
	}

	/** A file that is held; the caller closes it. */
	async held(source: Connection, to: string): Promise<void> {
		this.files.push(to);
		await copyDatabase(source, to);
	}

	/**
	 * False when retention removed the window meanwhile. A window found damaged only now is copied as it is.
	 * @param held the window inside a read transaction, where it is open
	 */
	async window(from: string, to: string, held: Connection | undefined): Promise<boolean> {
		let source: Connection;
		try {
			source = held ?? openForReading(from);
		} catch (error) {
			if (isDamage(error)) return this.asItIs(from, to);
			if (isGone(error, from)) return false;
			throw error;
		}
		this.files.push(to);
		try {
			await copyDatabase(source, to);
			return true;
		} catch (error) {
			if (!isDamage(error)) throw error;
			rmSync(to, { force: true });
			this.files.pop();
			return this.asItIs(from, to);
		} finally {
			source.close();
		}
	}

	/** Byte by byte, for a file that SQLite cannot read: somebody may yet rescue it. False when it is gone. */
	asItIs(from: string, to: string): boolean {
		if (!existsSync(from)) return false;
		for (const suffix of ["", "-wal"]) {
			if (!existsSync(from + suffix)) continue;
			copyFileSync(from + suffix, to + suffix);
			this.files.push(to + suffix);
		}
		return true;
	}

	/** @param windows what the copy's list of windows shall be */
	async catalog(from: string, to: string, windows: readonly WindowRow[]): Promise<void> {
		const source = openForReading(from);
		this.files.push(to);
		try {
			await copyDatabase(source, to);
		} finally {
			source.close();
		}
		const catalog = openForWriting(to, "catalog");
		try {
			catalog.transaction(() => {
				catalog.exec("DELETE FROM windows");
				for (const row of windows) {
					const columns = Object.keys(row);
					const places = columns.map(() => "?").join(", ");
					catalog.prepare(`INSERT INTO windows (${columns.join(", ")}) VALUES (${places})`).run(...Object.values(row));
				}
			})();
		} finally {
			closeWhole(catalog);
		}
	}

	finish(): BackupReport {
		let bytes = 0;
		for (const file of this.files) {
			bytes += statSync(file).size;
			sync(file);
		}
		sync(join(this.target, "windows"));
		sync(this.target);
		return { files: this.files.length, bytes };
	}

	/** Removes the files that were made, and the folders that then are empty. */
	undo(): void {
		for (const file of this.files)
			for (const suffix of ["", "-journal", ...SIDE_FILES]) rmSync(file + suffix, { force: true });
		try {
			rmdirSync(join(this.target, "windows"));
			if (!this.targetWasThere) rmdirSync(this.target);
		} catch {
			// Somebody else put something there; it is theirs, and the fault of the copy is what counts.
		}
	}
}

/** One committed state of a database, checked in the copy. */
async function copyDatabase(source: Connection, to: string): Promise<void> {
	if (!source.inTransaction) takeSnapshot(source);
	try {
		await source.backup(to, { progress: () => PAGES_PER_STEP });
	} finally {
		if (source.inTransaction) source.exec("COMMIT");
	}
	const copy = new Database(to, { fileMustExist: true });
	try {
		const problems = copy.pragma("integrity_check(1)", { simple: true });
		if (problems !== "ok") throw new Database.SqliteError(`the copy is damaged: ${String(problems)}`, "SQLITE_CORRUPT");
	} finally {
		closeWhole(copy);
	}
}

/** The last connection that may write takes the log's files with it. */
function closeWhole(database: Connection): void {
	database.pragma("wal_checkpoint(TRUNCATE)");
	database.close();
}

function sync(path: string): void {
	const file = openSync(path, "r");
	try {
		fsyncSync(file);
	} finally {
		closeSync(file);
	}
}
