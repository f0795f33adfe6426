/**
 * The windows of a data directory, for writing: the one that takes groups, those that ended and have merges left, and what the
 * catalog says of all of them.
 */
import { existsSync } from "node:fs";
import type { WindowInfo } from "../store.ts";
import { Catalog, type CatalogWindow, windowBytes } from "./catalog.ts";
import { isDamage, isDiskFull } from "./database.ts";
import type { Failpoint } from "./failpoint.ts";
import { removeWindowFiles } from "./retention.ts";
import { windowPath } from "./window-set.ts";
import { WindowWriter } from "./window-writer.ts";

export interface LiveWindowsOptions {
	readonly directory: string;
	readonly windowMs: number;
	readonly now: () => number;
	/** Told what a person should know: damaged windows, removed windows. */
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
	readonly failpoint: Failpoint;
}

const SIZE_CHECK_MS = 250;

export class LiveWindows {
	readonly catalog: Catalog;
	/** Takes the groups. */
	open: WindowWriter | undefined;
	/** Take no more groups but have merges left; oldest first. */
	readonly sealing: WindowWriter[] = [];
	/** Their files are gone, their rows in the catalog not yet. */
	private readonly unlisted = new Set<string>();
	/** Windows are also cut by size, so that retention by bytes has something to remove. */
	maxWindowBytes = Infinity;
	private readonly options: LiveWindowsOptions;
	private lastSizeCheckMs = 0;

	constructor(options: LiveWindowsOptions) {
		this.options = options;
		this.catalog = new Catalog(options.directory, (message) => options.log("warn", message));
	}

	/** Takes in what lies in the directory, and opens what the last run left open; all but the newest are sealed. */
	reopen(): void {
		this.adoptUnlisted();
		const open = this.catalog.windows().filter((window) => window.state === "open");
		for (const [i, entry] of open.entries()) {
			try {
				const window = this.openFile(entry);
				if (i === open.length - 1) this.open = window;
				else this.sealing.push(window);
			} catch (error) {
				if (!isDamage(error)) throw error;
				this.markDamaged(entry.name, error);
			}
		}
	}

	/** Oldest first, the open one last. */
	all(): WindowWriter[] {
		return this.open === undefined ? this.sealing : [...this.sealing, this.open];
	}

	find(name: string): WindowWriter | undefined {
		return this.all().find((window) => window.name === name);
	}

	has(window: WindowWriter): boolean {
		return window === this.open || this.sealing.includes(window);
	}

	windowFor(arrivedMs: number): WindowWriter {
		const { open } = this;
		// A clock that went back stays in the open window: windows never overlap.
		if (open !== undefined && arrivedMs < open.toMs && !this.isTooLarge(open)) return open;
		if (open !== undefined) {
			this.sealing.push(open);
			this.open = undefined;
		}
		const { windowMs } = this.options;
		const fromMs = Math.floor(arrivedMs / windowMs) * windowMs;
		const name = this.nextName(fromMs);
		const window = this.openFile({ name, fromMs, toMs: fromMs + windowMs });
		this.catalog.add(name, fromMs, fromMs + windowMs);
		this.open = window;
		return window;
	}

	/** A window whose last block is merged takes its place among those that never change again. */
	sealed(window: WindowWriter): void {
		this.catalog.seal(window.name, window.counts());
		window.close();
		this.forget(window);
	}

	/** Makes the open window one that can be removed, without another write to it. */
	closeOpen(): void {
		const { open } = this;
		if (open === undefined) return;
		const counts = open.counts();
		// The catalog last: where even that write finds no room, the window is no longer ours and can be removed, which makes some.
		this.open = undefined;
		open.close();
		this.catalog.seal(open.name, counts);
	}

	setAside(window: WindowWriter, error: unknown): void {
		this.forget(window);
		window.close();
		this.markDamaged(window.name, error);
	}

	/** Damage found while working on a window costs that window its place, not the others theirs. */
	guarded(window: WindowWriter, work: () => void): void {
		try {
			work();
		} catch (error) {
			if (!isDamage(error)) throw error;
			this.setAside(window, error);
		}
	}

	remove(name: string, why: string): void {
		const at = this.sealing.findIndex((window) => window.name === name);
		if (at >= 0) this.sealing.splice(at, 1)[0]!.close();
		// The files first: on a full disk that is what makes room to write the removal down. A row without a file is removed at start.
		removeWindowFiles(this.options.directory, name);
		this.options.failpoint("mid-unlink");
		this.options.log("info", `window ${name} was removed: ${why}`);
		this.unlisted.add(name);
		this.strikeRemoved();
	}

	/** The oldest window that takes no more groups and still has a file. */
	oldestRemovable(): string | undefined {
		return this.catalog.windows().find(({ name }) => name !== this.open?.name && !this.unlisted.has(name))?.name;
	}

	/**
	 * Takes removed windows out of the catalog. On a full disk even that may find no room, where others were faster at taking what the
	 * files gave back: then the next window must go, and this is done later.
	 */
	strikeRemoved(): void {
		for (const name of this.unlisted) {
			try {
				this.catalog.remove(name);
			} catch (error) {
				if (!isDiskFull(error)) throw error;
				return;
			}
			this.unlisted.delete(name);
		}
	}

	/** Of every window, oldest first. */
	infos(): WindowInfo[] {
		return this.catalog.windows().map((entry) => this.info(entry));
	}

	usedBytes(): number {
		return this.catalog.windows().reduce((total, window) => total + windowBytes(this.options.directory, window.name), 0);
	}

	close(): void {
		for (const window of this.all()) {
			try {
				window.database.pragma("wal_checkpoint(TRUNCATE)");
			} catch (error) {
				// Nothing is lost: what was acknowledged is in the log and is read from there at the next start.
				this.options.log("warn", `checkpoint of ${window.name} at close: ${String(error)}`);
			}
			window.close();
		}
		this.catalog.close();
	}

	private openFile(window: { readonly name: string; readonly fromMs: number; readonly toMs: number }): WindowWriter {
		return new WindowWriter(window, windowPath(this.options.directory, window.name), this.options.failpoint);
	}

	private forget(window: WindowWriter): void {
		if (this.open === window) this.open = undefined;
		const at = this.sealing.indexOf(window);
		if (at >= 0) this.sealing.splice(at, 1);
	}

	private info(entry: CatalogWindow): WindowInfo {
		const { minTimeNs: _min, maxTimeNs: _max, ...info } = entry;
		const live = this.find(entry.name);
		if (live === undefined) return { ...info, bytes: info.bytes || windowBytes(this.options.directory, entry.name) };
		const { spans, logs, metricPoints, bytes } = live.counts();
		return { ...info, spans, logs, metricPoints, bytes };
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

	private markDamaged(name: string, error: unknown): void {
		const problem = error instanceof Error ? error.message : String(error);
		this.catalog.setAside(name, problem);
		this.options.log("error", `window ${name} is damaged and was set aside (${problem}); the others are served`);
	}
}

/** `20261123T0100-0001` to epoch ms. */
function parseWindowName(name: string): number | undefined {
	const match = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})-\d{4,}$/.exec(name);
	if (match === null) return undefined;
	const [, year, month, day, hour, minute] = match;
	return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute));
}
