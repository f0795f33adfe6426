/**
 * catalog.db for writing: the list of windows and their state. What it says can be rebuilt from the windows, so a damaged catalog
 * costs nothing but the time to read them.
 */
import { existsSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import type { WindowInfo } from "../store.ts";
import { type Connection, isDamage, openForWriting } from "./database.ts";
import { windowPath } from "./window-set.ts";

export interface WindowCounts {
	readonly spans: number;
	readonly logs: number;
	readonly metricPoints: number;
	readonly bytes: number;
	readonly minTimeNs: bigint;
	readonly maxTimeNs: bigint;
}

export interface CatalogWindow extends WindowInfo {
	readonly minTimeNs: bigint;
	readonly maxTimeNs: bigint;
}

interface WindowRow {
	readonly name: string;
	readonly from_ms: bigint;
	readonly to_ms: bigint;
	readonly state: WindowInfo["state"];
	readonly problem: string | null;
	readonly spans: bigint;
	readonly logs: bigint;
	readonly metric_points: bigint;
	readonly bytes: bigint;
	readonly min_time: bigint;
	readonly max_time: bigint;
}

export class Catalog {
	readonly database: Connection;
	private readonly directory: string;
	private readonly insertWindow;
	private readonly sealWindow;
	private readonly damageWindow;
	private readonly deleteWindow;
	private readonly listWindows;

	/** @param log told when the catalog had to be set aside */
	constructor(directory: string, log: (message: string) => void) {
		this.directory = directory;
		this.database = openOrReplace(join(directory, "catalog.db"), log);
		this.insertWindow = this.database.prepare(
			"INSERT OR IGNORE INTO windows VALUES (?, ?, ?, 'open', NULL, 0, 0, 0, 0, 0, 0)",
		);
		this.sealWindow = this.database.prepare(
			`UPDATE windows SET state = 'sealed', spans = ?, logs = ?, metric_points = ?, bytes = ?, min_time = ?, max_time = ?
			WHERE name = ?`,
		);
		this.damageWindow = this.database.prepare("UPDATE windows SET state = 'damaged', problem = ?, bytes = ? WHERE name = ?");
		this.deleteWindow = this.database.prepare("DELETE FROM windows WHERE name = ?");
		this.listWindows = this.database.prepare<[], WindowRow>("SELECT * FROM windows ORDER BY name").safeIntegers();
	}

	/** Oldest first. */
	windows(): CatalogWindow[] {
		return this.listWindows.all().map((row) => ({
			name: row.name,
			fromMs: Number(row.from_ms),
			toMs: Number(row.to_ms),
			state: row.state,
			...(row.problem === null ? {} : { problem: row.problem }),
			spans: Number(row.spans),
			logs: Number(row.logs),
			metricPoints: Number(row.metric_points),
			bytes: Number(row.bytes),
			minTimeNs: row.min_time,
			maxTimeNs: row.max_time,
		}));
	}

	add(name: string, fromMs: number, toMs: number): void {
		this.insertWindow.run(name, fromMs, toMs);
	}

	seal(name: string, counts: WindowCounts): void {
		this.sealWindow.run(
			counts.spans,
			counts.logs,
			counts.metricPoints,
			counts.bytes,
			counts.minTimeNs,
			counts.maxTimeNs,
			name,
		);
	}

	setAside(name: string, problem: string): void {
		this.damageWindow.run(problem, windowBytes(this.directory, name), name);
	}

	remove(name: string): void {
		this.deleteWindow.run(name);
	}

	/** Window files that the catalog does not know: all of them after it was replaced, or one whose removal was cut short. */
	unlisted(): string[] {
		const known = new Set(this.windows().map((window) => window.name));
		return readdirSync(join(this.directory, "windows"))
			.filter((file) => file.endsWith(".db"))
			.map((file) => file.slice(0, -3))
			.filter((name) => !known.has(name))
			.sort();
	}

	close(): void {
		this.database.pragma("wal_checkpoint(TRUNCATE)");
		this.database.close();
	}
}

export function windowBytes(directory: string, name: string): number {
	const path = windowPath(directory, name);
	let total = 0;
	for (const suffix of ["", "-wal"]) total += statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0;
	return total;
}

function openOrReplace(path: string, log: (message: string) => void): Connection {
	try {
		const database = openForWriting(path, "catalog");
		database.prepare("SELECT count(*) FROM windows").get();
		return database;
	} catch (error) {
		if (!isDamage(error)) throw error;
		const aside = `${path}.damaged-${process.pid}`;
		for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
		log(`catalog.db is damaged and was set aside as ${aside}; it is rebuilt from the windows`);
		return openForWriting(path, "catalog");
	}
}
