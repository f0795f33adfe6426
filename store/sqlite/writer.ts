/**
 * The SQLite engine's writer: group commits into the window of their arrival, and background work between them. One a data directory,
 * held by a lock; everything here runs in the writer thread, one call at a time.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { MeshscopeError } from "../../model/errors.ts";
import type { BlockOperation } from "../block/format.ts";
import type { Failpoint } from "./failpoint.ts";
import type { CommitRef, ReplayGroup } from "../topology.ts";
import type { AppendReport, BackupReport, StoreStats, StoreWriter, WindowInfo, WriteGroup } from "../store.ts";
import { backupDirectory } from "./backup.ts";
import { isDamage, isDiskFull } from "./database.ts";
import { LiveWindows } from "./live-windows.ts";
import { lockDirectory } from "./lock.ts";
import type { MergeRunner } from "./merge-thread.ts";
import { Merging } from "./merging.ts";
import { migrateWindows } from "./migrate.ts";
import { NameCatalogue } from "./names.ts";
import { recentFingerprints } from "./recent-fingerprints.ts";
import { replayGroups } from "./replay.ts";
import { freeBytes, ReserveFile } from "./retention.ts";
import { Room } from "./room.ts";
import { topologyBytes } from "./topology/file.ts";
import type { AppendedGroup, WindowWriter } from "./window-writer.ts";

export interface SqliteWriterOptions {
	readonly directory: string;
	readonly windowMs: number;
	readonly maxAgeMs: number;
	readonly maxBytes: number;
	readonly now: () => number;
	/** Told what a person should know: damaged windows, removed windows, a full disk. */
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
	readonly failpoint: Failpoint;
	/** Where large merges run; in the calling thread when absent. */
	readonly merger?: MergeRunner;
	/** Called when a merge came back and `maintain` should be called. */
	readonly onWork?: () => void;
}

const RETENTION_CHECK_MS = 1_000;
/** Size of the log at which it is moved into the file; on a small disk earlier. */
const CHECKPOINT_BYTES = 32 << 20;
const WINDOWS_PER_BUDGET = 8;
/** Small enough that a tight budget holds several: with one or two, what was written last would go as soon as the next one begins. */
const MIN_WINDOW_BYTES = 2 << 20;
const MAX_WINDOW_BYTES = 4 * 2 ** 30;

export function openSqliteWriter(options: SqliteWriterOptions): StoreWriter {
	return new SqliteWriter(options);
}

class SqliteWriter implements StoreWriter {
	private readonly options: SqliteWriterOptions;
	private readonly unlock: () => void;
	private readonly windows: LiveWindows;
	private readonly merging: Merging;
	private readonly room: Room;
	private readonly names: NameCatalogue;
	private lastRetentionMs = 0;
	private closed = false;

	constructor(options: SqliteWriterOptions) {
		this.options = options;
		const { directory } = options;
		mkdirSync(join(directory, "windows"), { recursive: true });
		this.unlock = lockDirectory(directory);
		try {
			const reserve = new ReserveFile(directory);
			migrateWindows(directory, (message) => options.log("info", message));
			this.windows = new LiveWindows(options);
			const budget = Math.min(options.maxBytes, freeBytes(directory) + this.windows.usedBytes());
			this.windows.maxWindowBytes = Math.max(
				MIN_WINDOW_BYTES,
				Math.min(MAX_WINDOW_BYTES, Math.floor(budget / WINDOWS_PER_BUDGET)),
			);
			this.names = new NameCatalogue(this.windows.catalog.database);
			this.merging = new Merging(this.windows, {
				...options,
				onSeal: (window) => this.names.note(window.operations(), window.fromMs),
			});
			this.room = new Room(this.windows, reserve, options);
			this.windows.reopen();
			this.noteNamesOfOpenWindow();
			reserve.fill();
		} catch (error) {
			this.unlock();
			throw error;
		}
	}

	append(group: WriteGroup): AppendReport {
		return this.appendTo(group, true);
	}

	/** @param again whether a damaged window may be set aside and the group given to a new one: nothing of it was kept */
	private appendTo(group: WriteGroup, again: boolean): AppendReport {
		if (this.closed) throw new MeshscopeError("shutting_down", "the store is closed");
		let window: WindowWriter | undefined;
		let appended: AppendedGroup;
		try {
			window = this.windows.windowFor(group.arrivedMs);
			appended = window.append(group);
			this.room.found();
		} catch (error) {
			if (!isDiskFull(error)) {
				if (window === undefined || !isDamage(error)) throw error;
				this.windows.setAside(window, error);
				if (!again) throw error;
				return this.appendTo(group, false);
			}
			this.room.make();
			throw new MeshscopeError("store_full", "the disk is full; the oldest windows are being removed", {
				retryAfterMs: 1_000,
				cause: error,
			});
		}
		this.noteNames(appended.operations, group);
		const { commit, invalidUtf8Strings, spanEntries } = appended;
		return { ref: { window: window.name, commit }, invalidUtf8Strings, spanEntries };
	}

	release(upTo: CommitRef): void {
		for (const window of this.windows.all())
			if (window.name <= upTo.window) window.release(window.name === upTo.window ? upTo.commit : undefined);
	}

	replay(after: CommitRef | undefined): Iterable<ReplayGroup> {
		return replayGroups(this.options.directory, this.windows.catalog.windows(), after, (message) =>
			this.options.log("warn", message),
		);
	}

	recentFingerprints(max: number): Uint8Array {
		return recentFingerprints(this.options.directory, this.windows, max, (message) => this.options.log("warn", message));
	}

	maintain(nowMs: number): boolean {
		try {
			if (nowMs - this.lastRetentionMs >= RETENTION_CHECK_MS) {
				this.lastRetentionMs = nowMs;
				this.room.retain(nowMs);
			}
			const more = this.merging.step();
			this.windows.open?.checkpoint(Math.min(CHECKPOINT_BYTES, this.windows.maxWindowBytes / 4));
			return more;
		} catch (error) {
			if (!isDiskFull(error)) throw error;
			this.room.make();
			return false;
		}
	}

	backup(directory: string): Promise<BackupReport> {
		return backupDirectory(this.options.directory, directory);
	}

	stats(): StoreStats {
		const windows = this.windows.infos();
		const live = this.windows.all();
		const sum = (pick: (window: WindowInfo) => number): number => windows.reduce((total, window) => total + pick(window), 0);
		return {
			capabilities: { durable: true, sql: true, backup: true },
			bytesOnDisk: sum((window) => window.bytes) + topologyBytes(this.options.directory),
			spans: sum((window) => window.spans),
			logs: sum((window) => window.logs),
			metricPoints: sum((window) => window.metricPoints),
			windows,
			freshBlocks: live.reduce((total, window) => total + window.unmergedBlocks, 0),
			topologySkipped: this.merging.skippedGroups,
			walBytes: live.reduce((total, window) => total + window.walBytes, 0),
			retention: { maxAgeMs: this.options.maxAgeMs, maxBytes: this.options.maxBytes },
		};
	}

	close(): void {
		if (this.closed) return;
		this.closed = true;
		this.options.merger?.close();
		this.windows.close();
		this.unlock();
	}

	/** Names of a commit are written after it; a crash in between loses them from the catalog only. */
	private noteNamesOfOpenWindow(): void {
		const { open } = this.windows;
		if (open !== undefined) this.windows.guarded(open, () => this.names.note(open.operations(), this.options.now()));
	}

	/** The group is stored; its names are for lists only, and are found again at the next start. */
	private noteNames(operations: readonly BlockOperation[], group: WriteGroup): void {
		try {
			this.names.note(operations, group.arrivedMs);
			if (group.metrics.series.length > 0 || group.logs.count > 0)
				this.names.noteServices(servicesOf(group), group.arrivedMs);
		} catch (error) {
			this.options.log("warn", `names could not be written: ${error instanceof Error ? error.message : String(error)}`);
		}
	}
}

function servicesOf(group: WriteGroup): Set<string> {
	const services = new Set(group.metrics.series.map((series) => series.service));
	const { logs } = group;
	const decoder = new TextDecoder();
	for (let i = 0; i < logs.resourceCount; i++)
		services.add(decoder.decode(logs.bytes.subarray(logs.serviceStart[i]!, logs.serviceEnd[i]!)));
	services.delete("");
	return services;
}
