/**
 * Keeps the windows within their age and bytes, and makes room when the disk is full.
 */
import type { LiveWindows } from "./live-windows.ts";
import { freeBytes, type ReserveFile } from "./retention.ts";
import { topologyBytes } from "./topology/file.ts";
import type { WindowWriter } from "./window-writer.ts";

/** How long the disk must be full before the open window is given up, when there is no older one; a smaller one is not what fills it. */
const GIVE_UP_AFTER_MS = 4_000;
const MIN_GIVEN_UP_BYTES = 1 << 20;
/** With more free than this, a write that found no room met a limit of its file. */
const PLENTY_BYTES = 32 << 20;

export interface RoomOptions {
	readonly directory: string;
	readonly maxAgeMs: number;
	readonly maxBytes: number;
	readonly now: () => number;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

export class Room {
	private readonly windows: LiveWindows;
	private readonly options: RoomOptions;
	private readonly reserve: ReserveFile;
	private diskFull = false;
	private fullSinceMs = 0;

	constructor(windows: LiveWindows, reserve: ReserveFile, options: RoomOptions) {
		this.windows = windows;
		this.reserve = reserve;
		this.options = options;
	}

	/** A write found room. */
	found(): void {
		this.diskFull = false;
	}

	retain(nowMs: number): void {
		const { maxAgeMs, maxBytes } = this.options;
		this.windows.strikeRemoved();
		const windows = this.windows.infos();
		let bytes = topologyBytes(this.options.directory) + windows.reduce((total, window) => total + window.bytes, 0);
		for (const window of windows) {
			// One that ended may go before it is sealed: it can wait long for the topology stage.
			if (window.name === this.windows.open?.name) continue;
			const tooOld = window.toMs + maxAgeMs < nowMs;
			if (!tooOld && bytes <= maxBytes) continue;
			this.windows.remove(window.name, tooOld ? "older than the retention" : "over the byte budget");
			bytes -= window.bytes;
		}
		if (!this.diskFull) this.reserve.fill();
	}

	/**
	 * A write found no room. Where the disk has some all the same, it was a limit on the file: the window is closed and the next one
	 * begins small. Else the reserve is given back first, since even a removal has to be written down, and then the oldest window goes
	 * that takes no more groups. When there is none and room does not come back, the open one is closed, so that it can go at the next
	 * refusal: new data is worth more than the oldest.
	 */
	make(): void {
		const { windows, options } = this;
		try {
			if (freeBytes(options.directory) > PLENTY_BYTES) {
				windows.closeOpen();
				return;
			}
			if (!this.diskFull) {
				options.log("error", "the disk is full; batches are refused until there is room");
				this.fullSinceMs = options.now();
			}
			this.diskFull = true;
			this.reserve.release();
			const oldest = windows.oldestRemovable();
			if (oldest !== undefined) windows.remove(oldest, "the disk is full");
			else if (windows.open !== undefined && this.mayGiveUp(windows.open)) windows.closeOpen();
		} catch (error) {
			// Even this found no room; the next refusal tries again.
			options.log("error", `no room could be made: ${error instanceof Error ? error.message : String(error)}`);
		}
	}

	/** The open window holds the newest data there is: it goes only when room does not come back by itself. */
	private mayGiveUp(window: WindowWriter): boolean {
		return this.options.now() - this.fullSinceMs >= GIVE_UP_AFTER_MS && window.counts().bytes >= MIN_GIVEN_UP_BYTES;
	}
}
