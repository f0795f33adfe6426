/**
 * The windows of a data directory, for reading: which there are (from the catalog), each opened when a query needs it. A window that
 * turns out damaged, or of another schema, is named in the answer and passed over.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Statement } from "better-sqlite3";
import { MAX_TIME_NS, type TimeNs } from "../../model/time.ts";
import { BlockCache } from "./block-cache.ts";
import { type Connection, isUnreadable, openForReading } from "./database.ts";
import { WindowReader } from "./window-reader.ts";

/** Open files a reader keeps. */
const MAX_OPEN_WINDOWS = 32;

export interface WindowEntry {
	readonly name: string;
	/** Arrival times, epoch ms. */
	readonly fromMs: number;
	readonly toMs: number;
	readonly state: "open" | "sealed" | "damaged";
	/** Of spans and logs; exact when sealed, and everything while open. */
	readonly minTimeNs: bigint;
	readonly maxTimeNs: bigint;
}

interface WindowRow {
	readonly name: string;
	readonly from_ms: bigint;
	readonly to_ms: bigint;
	readonly state: WindowEntry["state"];
	readonly min_time: bigint;
	readonly max_time: bigint;
}

/** Times beyond SQLite's integers are stored as the largest one: such a zone has no known end. */
export function reaches(maxTimeNs: bigint, fromNs: bigint): boolean {
	return maxTimeNs >= fromNs || maxTimeNs === MAX_TIME_NS;
}

export function windowPath(directory: string, name: string): string {
	return join(directory, "windows", `${name}.db`);
}

export class WindowSet {
	readonly directory: string;
	readonly cache: BlockCache;
	private catalog: Connection | undefined;
	private windows: Statement<[], WindowRow> | undefined;
	private readonly open = new Map<string, WindowReader>();

	constructor(directory: string, cacheBytes = 48 << 20) {
		this.directory = directory;
		this.cache = new BlockCache(cacheBytes);
	}

	/** Newest first, as the catalog has them now. */
	list(): WindowEntry[] {
		this.windows ??= this.catalogDatabase()
			.prepare<[], WindowRow>("SELECT name, from_ms, to_ms, state, min_time, max_time FROM windows ORDER BY name DESC")
			.safeIntegers();
		const rows = this.windows.all();
		const entries = rows.map((row) => ({
			name: row.name,
			fromMs: Number(row.from_ms),
			toMs: Number(row.to_ms),
			state: row.state,
			minTimeNs: row.min_time,
			maxTimeNs: row.max_time,
		}));
		const names = new Set(entries.map((entry) => entry.name));
		for (const name of this.open.keys()) if (!names.has(name)) this.closeWindow(name);
		return entries;
	}

	/** Windows that can hold a record of this time range, newest first. */
	inRange(fromNs: TimeNs, toNs: TimeNs): WindowEntry[] {
		return this.list().filter(
			(entry) => entry.state !== "sealed" || (entry.minTimeNs < toNs && reaches(entry.maxTimeNs, fromNs)),
		);
	}

	catalogDatabase(): Connection {
		return (this.catalog ??= openForReading(join(this.directory, "catalog.db")));
	}

	/**
	 * Runs `work` on each window in a snapshot of its own. Returns the names of those that could not be read; a window that
	 * retention removed meanwhile is passed over in silence.
	 */
	visit(entries: readonly WindowEntry[], work: (window: WindowReader) => "stop" | void): string[] {
		const damaged: string[] = [];
		for (const entry of entries) {
			if (entry.state === "damaged") {
				damaged.push(entry.name);
				continue;
			}
			try {
				const window = this.openWindow(entry.name);
				if (window === undefined) continue;
				if (window.snapshot(() => work(window)) === "stop") break;
			} catch (error) {
				if (!isUnreadable(error)) throw error;
				this.closeWindow(entry.name);
				damaged.push(entry.name);
			}
		}
		this.cache.trim();
		return damaged;
	}

	/**
	 * Lets go of windows whose files were removed: held open, they would keep their room on the disk, and a full disk needs it before
	 * it can even write their removal down.
	 */
	closeRemoved(): void {
		for (const [name, window] of this.open)
			if (!window.database.inTransaction && !existsSync(windowPath(this.directory, name))) this.closeWindow(name);
	}

	close(): void {
		for (const name of [...this.open.keys()]) this.closeWindow(name);
		this.catalog?.close();
		this.catalog = undefined;
		this.windows = undefined;
	}

	private openWindow(name: string): WindowReader | undefined {
		let window = this.open.get(name);
		if (window === undefined) {
			try {
				window = new WindowReader(name, windowPath(this.directory, name), this.cache);
			} catch (error) {
				if (error instanceof Error && "code" in error && error.code === "SQLITE_CANTOPEN") return undefined;
				throw error;
			}
		} else this.open.delete(name);
		this.open.set(name, window);
		for (const [oldest, reader] of this.open) {
			if (this.open.size <= MAX_OPEN_WINDOWS) break;
			// A search that is inside one window looks into others for the rest of a trace.
			if (!reader.database.inTransaction) this.closeWindow(oldest);
		}
		return window;
	}

	private closeWindow(name: string): void {
		this.open.get(name)?.close();
		this.open.delete(name);
		this.cache.forgetWindow(name);
	}
}
