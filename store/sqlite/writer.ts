/**
 * The SQLite engine's writer: group commits into the window of their arrival, merges, retention, checkpoints. One a data directory,
 * held by a lock; everything here runs in the writer thread, one call at a time.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { MeshscopeError } from "../../model/errors.ts";
import { DamagedBlockError } from "../block/bytes.ts";
import type { BlockOperation } from "../block/format.ts";
import type { Failpoint } from "./failpoint.ts";
import type { AppendReport, BackupReport, StoreStats, StoreWriter, WindowInfo, WriteGroup } from "../store.ts";
import { backupDirectory } from "./backup.ts";
import { Catalog, type CatalogWindow, windowBytes } from "./catalog.ts";
import { isDamage, isDiskFull, openForReading } from "./database.ts";
import { lockDirectory } from "./lock.ts";
import { runMerge } from "./merge-job.ts";
import type { MergePlan } from "./merge-plan.ts";
import type { MergeAnswer, MergeRunner } from "./merge-thread.ts";
import { migrateWindows } from "./migrate.ts";
import { NameCatalogue } from "./names.ts";
import { ReserveFile, freeBytes, removeWindowFiles } from "./retention.ts";
import { windowPath } from "./window-set.ts";
import { readFingerprints, WindowWriter } from "./window-writer.ts";

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

/** A lookup reads the directory of each unmerged block: some hundred cost a few milliseconds. */
const MAX_UNMERGED_BLOCKS = 400;
/** Merges of fewer rows cost less than handing them over. */
const INLINE_MERGE_ROWS = 1_024;

interface FinishedMerge {
	readonly window: WindowWriter;
	readonly plan: MergePlan;
	readonly answer: MergeAnswer;
}

const RETENTION_CHECK_MS = 1_000;
const SIZE_CHECK_MS = 250;
/** Clients give up on a batch long before: fingerprints of windows that ended earlier than this are not read at start. */
const REMEMBERED_MS = 2 * 3_600_000;
/** Size of the log at which it is moved into the file; on a small disk earlier. */
const CHECKPOINT_BYTES = 32 << 20;
/** How long the disk must be full before the open window is given up, when there is no older one; a smaller one is not what fills it. */
const GIVE_UP_AFTER_MS = 4_000;
const MIN_GIVEN_UP_BYTES = 1 << 20;
/** With more free than this, a write that found no room met a limit of its file. */
const PLENTY_BYTES = 32 << 20;
/** Windows are also cut by size, so that retention by bytes has something to remove. */
const WINDOWS_PER_BUDGET = 8;
const MIN_WINDOW_BYTES = 8 << 20;
const MAX_WINDOW_BYTES = 4 * 2 ** 30;

export function openSqliteWriter(options: SqliteWriterOptions): StoreWriter {
	return new SqliteWriter(options);
}

class SqliteWriter implements StoreWriter {
	private readonly options: SqliteWriterOptions;
	private readonly unlock: () => void;
	private readonly catalog: Catalog;
	private readonly names: NameCatalogue;
	private readonly reserve: ReserveFile;
	private readonly maxWindowBytes: number;
	private window: WindowWriter | undefined;
	/** Windows that take no more groups but have merges left; oldest first. */
	private readonly sealing: WindowWriter[] = [];
	private mergingWindow: WindowWriter | undefined;
	private merged: FinishedMerge | undefined;
	private lastRetentionMs = 0;
	private lastSizeCheckMs = 0;
	private diskFull = false;
	private fullSinceMs = 0;
	private closed = false;

	constructor(options: SqliteWriterOptions) {
		this.options = options;
		const { directory } = options;
		mkdirSync(join(directory, "windows"), { recursive: true });
		this.unlock = lockDirectory(directory);
		try {
			this.reserve = new ReserveFile(directory);
			migrateWindows(directory, (message) => options.log("info", message));
			this.catalog = new Catalog(directory, (message) => options.log("warn", message));
			const budget = Math.min(options.maxBytes, freeBytes(directory) + this.usedBytes());
			this.maxWindowBytes = Math.max(MIN_WINDOW_BYTES, Math.min(MAX_WINDOW_BYTES, Math.floor(budget / WINDOWS_PER_BUDGET)));
			this.names = new NameCatalogue(this.catalog.database);
			this.adoptUnlisted();
			this.reopen();
			this.reserve.fill();
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
		let appended: ReturnType<WindowWriter["append"]>;
		try {
			window = this.windowFor(group.arrivedMs);
			appended = window.append(group);
			this.diskFull = false;
		} catch (error) {
			if (!isDiskFull(error)) {
				if (window === undefined || !isDamage(error)) throw error;
				this.setAside(window, error);
				if (!again) throw error;
				return this.appendTo(group, false);
			}
			this.makeRoom();
			throw new MeshscopeError("store_full", "the disk is full; the oldest windows are being removed", {
				retryAfterMs: 1_000,
				cause: error,
			});
		}
		this.noteNames(appended.operations, group);
		return { invalidUtf8Strings: appended.invalidUtf8Strings };
	}

	recentFingerprints(max: number): Uint8Array {
		const newestFirst: Uint8Array[] = [];
		let bytes = 0;
		const take = (commits: readonly Uint8Array[]): void => {
			for (const fingerprints of commits.toReversed()) {
				if (bytes >= max * 16) return;
				newestFirst.push(fingerprints);
				bytes += fingerprints.length;
			}
		};
		const newest = this.catalog.windows().toReversed();
		for (const entry of newest) {
			const live = this.liveWindow(entry.name);
			if (live !== undefined) take(live.recentFingerprints(max));
			else if (entry.state === "sealed" && entry.toMs > (newest[0]?.toMs ?? 0) - REMEMBERED_MS)
				take(this.sealedFingerprints(entry.name, max));
			if (bytes >= max * 16) break;
		}
		const out = new Uint8Array(bytes);
		let at = 0;
		for (const fingerprints of newestFirst.reverse()) {
			out.set(fingerprints, at);
			at += fingerprints.length;
		}
		return out.subarray(Math.max(0, bytes - max * 16));
	}

	maintain(nowMs: number): boolean {
		try {
			if (nowMs - this.lastRetentionMs >= RETENTION_CHECK_MS) {
				this.lastRetentionMs = nowMs;
				this.retain(nowMs);
			}
			const more = this.mergeStep();
			this.window?.checkpoint(Math.min(CHECKPOINT_BYTES, this.maxWindowBytes / 4));
			return more;
		} catch (error) {
			if (!isDiskFull(error)) throw error;
			this.makeRoom();
			return false;
		}
	}

	backup(directory: string): Promise<BackupReport> {
		return backupDirectory(this.options.directory, directory);
	}

	stats(): StoreStats {
		const windows = this.catalog.windows().map((entry) => this.windowInfo(entry));
		const sum = (pick: (window: WindowInfo) => number): number => windows.reduce((total, window) => total + pick(window), 0);
		return {
			capabilities: { durable: true, sql: true, backup: true },
			bytesOnDisk: sum((window) => window.bytes),
			spans: sum((window) => window.spans),
			logs: sum((window) => window.logs),
			metricPoints: sum((window) => window.metricPoints),
			windows,
			freshBlocks: [this.window, ...this.sealing].reduce((total, window) => total + (window?.unmergedBlocks ?? 0), 0),
			walBytes: [this.window, ...this.sealing].reduce((total, window) => total + (window?.walBytes ?? 0), 0),
			retention: { maxAgeMs: this.options.maxAgeMs, maxBytes: this.options.maxBytes },
		};
	}

	close(): void {
		if (this.closed) return;
		this.closed = true;
		this.options.merger?.close();
		for (const window of [...this.sealing, this.window]) {
			if (window === undefined) continue;
			try {
				window.database.pragma("wal_checkpoint(TRUNCATE)");
			} catch (error) {
				// Nothing is lost: what was acknowledged is in the log and is read from there at the next start.
				this.options.log("warn", `checkpoint of ${window.name} at close: ${String(error)}`);
			}
			window.close();
		}
		this.catalog.close();
		this.unlock();
	}

	private windowFor(arrivedMs: number): WindowWriter {
		const open = this.window;
		// A clock that went back stays in the open window: windows never overlap.
		if (open !== undefined && arrivedMs < open.toMs && !this.isTooLarge(open)) return open;
		if (open !== undefined) {
			this.sealing.push(open);
			this.window = undefined;
		}
		const { windowMs } = this.options;
		const fromMs = Math.floor(arrivedMs / windowMs) * windowMs;
		const name = this.nextName(fromMs);
		const window = new WindowWriter(
			{ name, fromMs, toMs: fromMs + windowMs },
			windowPath(this.options.directory, name),
			this.options.failpoint,
		);
		this.catalog.add(name, fromMs, fromMs + windowMs);
		this.window = window;
		return window;
	}

	private isTooLarge(window: WindowWriter): boolean {
		const nowMs = this.options.now();
		if (nowMs - this.lastSizeCheckMs < SIZE_CHECK_MS) return false;
		this.lastSizeCheckMs = nowMs;
		return window.counts().bytes > this.maxWindowBytes;
	}

	/** Names sort by time; the number counts windows of one hour and breaks ties with any older window. */
	private nextName(fromMs: number): string {
		const last = this.catalog.windows().at(-1)?.name;
		const stamp = new Date(fromMs).toISOString().slice(0, 16).replace(/[-:]/g, "");
		for (let number = 1; ; number++) {
			const name = `${stamp}-${String(number).padStart(4, "0")}`;
			if (last === undefined || name > last) return name;
			if (number === 9_999) {
				// The clock went back past older windows: go on right behind the newest.
				const [prefix, suffix] = [last.slice(0, -4), Number(last.slice(-4))];
				return prefix + String(suffix + 1).padStart(4, "0");
			}
		}
	}

	/** Opens what the last run left open; all but the newest are sealed. */
	private reopen(): void {
		const open = this.catalog.windows().filter((window) => window.state === "open");
		for (const [i, entry] of open.entries()) {
			try {
				const window = new WindowWriter(entry, windowPath(this.options.directory, entry.name), this.options.failpoint);
				if (i === open.length - 1) this.window = window;
				else this.sealing.push(window);
			} catch (error) {
				if (!isDamage(error)) throw error;
				this.markDamaged(entry.name, error);
			}
		}
		if (this.window === undefined) return;
		try {
			// Names of a commit are written after it; a crash in between loses them from the catalog only.
			this.names.note(this.window.operations(), this.options.now());
		} catch (error) {
			if (!isDamage(error)) throw error;
			const window = this.window;
			this.window = undefined;
			window.close();
			this.markDamaged(window.name, error);
		}
	}

	private adoptUnlisted(): void {
		for (const { name, state } of this.catalog.windows())
			if (state === "sealed" && !existsSync(windowPath(this.options.directory, name))) this.catalog.remove(name);
		for (const name of this.catalog.unlisted()) {
			const fromMs = parseWindowName(name);
			if (fromMs === undefined) continue;
			this.catalog.add(name, fromMs, fromMs + this.options.windowMs);
			this.options.log("info", `window ${name} was not in the catalog and is taken in again`);
		}
	}

	/** One step of merging; true while there is another to take now, rather than when a merge comes back. */
	private mergeStep(): boolean {
		if (this.merged !== undefined) {
			this.finishMerge(this.merged);
			return true;
		}
		const sealing = this.sealing[0];
		const window = sealing ?? this.window;
		if (window === undefined) return false;
		const plan = window.nextMerge(sealing !== undefined);
		if (plan !== undefined) return this.merge(window, plan);
		if (sealing === undefined || this.mergingWindow === sealing) return false;
		this.guarded(sealing, () => this.seal(sealing));
		return true;
	}

	private merge(window: WindowWriter, plan: MergePlan): boolean {
		const { merger } = this.options;
		const rows = plan.blocks.reduce((total, block) => total + block.rows, 0);
		if (merger === undefined || rows < INLINE_MERGE_ROWS) {
			this.mergeHere(window, plan);
			return true;
		}
		if (this.mergingWindow !== undefined) {
			if (window.unmergedBlocks < MAX_UNMERGED_BLOCKS) return false;
			// Ingest outruns the merge thread: merging here too slows ingest down to what can be kept in order.
			this.mergeHere(window, plan);
			return true;
		}
		this.guarded(window, () => {
			const job = window.beginMerge(plan);
			this.mergingWindow = window;
			merger.start(job, (answer) => {
				this.merged = { window, plan, answer };
				this.options.onWork?.();
			});
		});
		return true;
	}

	private mergeHere(window: WindowWriter, plan: MergePlan): void {
		this.guarded(window, () => {
			window.applyMerge(plan, runMerge(window.beginMerge(plan)));
		});
	}

	private finishMerge({ window, plan, answer }: FinishedMerge): void {
		this.merged = undefined;
		this.mergingWindow = undefined;
		// The window may have been removed meanwhile.
		if (window !== this.window && !this.sealing.includes(window)) return;
		this.guarded(window, () => {
			if (answer.kind !== "failed") {
				window.applyMerge(plan, answer);
				return;
			}
			window.abandonMerge(plan);
			if (answer.damaged) throw new DamagedBlockError(answer.error);
			throw new Error(`a merge failed: ${answer.error}`);
		});
	}

	private seal(window: WindowWriter): void {
		window.compact();
		this.catalog.seal(window.name, window.counts());
		this.names.note(window.operations(), window.fromMs);
		window.close();
		this.sealing.shift();
	}

	/** Damage found while merging costs that window its place, not the others theirs. */
	private guarded(window: WindowWriter, work: (window: WindowWriter) => void): void {
		try {
			work(window);
		} catch (error) {
			if (!isDamage(error)) throw error;
			this.setAside(window, error);
		}
	}

	private setAside(window: WindowWriter, error: unknown): void {
		if (this.window === window) this.window = undefined;
		const at = this.sealing.indexOf(window);
		if (at >= 0) this.sealing.splice(at, 1);
		window.close();
		this.markDamaged(window.name, error);
	}

	private markDamaged(name: string, error: unknown): void {
		const problem = error instanceof Error ? error.message : String(error);
		this.catalog.setAside(name, problem);
		this.options.log("error", `window ${name} is damaged and was set aside (${problem}); the others are served`);
	}

	private retain(nowMs: number): void {
		const { maxAgeMs, maxBytes } = this.options;
		const windows = this.catalog.windows().map((entry) => this.windowInfo(entry));
		let bytes = windows.reduce((total, window) => total + window.bytes, 0);
		for (const window of windows) {
			if (window.state === "open") continue;
			const tooOld = window.toMs + maxAgeMs < nowMs;
			if (!tooOld && bytes <= maxBytes) continue;
			this.removeWindow(window.name, tooOld ? "older than the retention" : "over the byte budget");
			bytes -= window.bytes;
		}
		if (!this.diskFull) this.reserve.fill();
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

	private sealedFingerprints(name: string, max: number): Uint8Array[] {
		try {
			const database = openForReading(windowPath(this.options.directory, name));
			try {
				return readFingerprints(database, max);
			} finally {
				database.close();
			}
		} catch (error) {
			// Only the recognition of a batch that is sent again depends on it.
			this.options.log("warn", `fingerprints of window ${name}: ${error instanceof Error ? error.message : String(error)}`);
			return [];
		}
	}

	private liveWindow(name: string): WindowWriter | undefined {
		return [this.window, ...this.sealing].find((window) => window?.name === name);
	}

	/**
	 * A write found no room. Where the disk has some all the same, it was a limit on the file: the window is closed and the next one
	 * begins small. Else the reserve is given back first, since even a removal has to be written down, and then the oldest window goes
	 * that takes no more groups. When there is none and room does not come back, the open one is closed, so that it can go at the next
	 * refusal: new data is worth more than the oldest.
	 */
	private makeRoom(): void {
		try {
			if (freeBytes(this.options.directory) > PLENTY_BYTES) {
				this.closeOpenWindow();
				return;
			}
			if (!this.diskFull) {
				this.options.log("error", "the disk is full; batches are refused until there is room");
				this.fullSinceMs = this.options.now();
			}
			this.diskFull = true;
			this.reserve.release();
			const oldest = this.catalog.windows().find((window) => window.name !== this.window?.name);
			if (oldest !== undefined) this.removeWindow(oldest.name, "the disk is full");
			else if (this.window !== undefined && this.mayGiveUp(this.window)) this.closeOpenWindow();
		} catch (error) {
			// Even this found no room; the next refusal tries again.
			this.options.log("error", `no room could be made: ${error instanceof Error ? error.message : String(error)}`);
		}
	}

	/** The open window holds the newest data there is: it goes only when room does not come back by itself. */
	private mayGiveUp(window: WindowWriter): boolean {
		return this.options.now() - this.fullSinceMs >= GIVE_UP_AFTER_MS && window.counts().bytes >= MIN_GIVEN_UP_BYTES;
	}

	private closeOpenWindow(): void {
		const open = this.window;
		if (open === undefined) return;
		const counts = open.counts();
		// The catalog last: where even that write finds no room, the window is no longer ours and can be removed, which makes some.
		this.window = undefined;
		open.close();
		this.catalog.seal(open.name, counts);
	}

	private removeWindow(name: string, why: string): void {
		const at = this.sealing.findIndex((window) => window.name === name);
		if (at >= 0) this.sealing.splice(at, 1)[0]!.close();
		// The files first: on a full disk that is what makes room to write the removal down. A row without a file is removed at start.
		removeWindowFiles(this.options.directory, name);
		this.options.failpoint("mid-unlink");
		this.catalog.remove(name);
		this.options.log("info", `window ${name} was removed: ${why}`);
	}

	private windowInfo(entry: CatalogWindow): WindowInfo {
		const { minTimeNs: _min, maxTimeNs: _max, ...info } = entry;
		const live = this.liveWindow(entry.name);
		if (live === undefined) return { ...info, bytes: info.bytes || windowBytes(this.options.directory, entry.name) };
		const { spans, logs, metricPoints, bytes } = live.counts();
		return { ...info, spans, logs, metricPoints, bytes };
	}

	private usedBytes(): number {
		return this.catalog.windows().reduce((total, window) => total + windowBytes(this.options.directory, window.name), 0);
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

/** `20261123T0100-0001` to epoch ms. */
function parseWindowName(name: string): number | undefined {
	const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})-\d{4,}$/.exec(name);
	if (match === null) return undefined;
	const [, year, month, day, hour, minute] = match;
	return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute));
}
