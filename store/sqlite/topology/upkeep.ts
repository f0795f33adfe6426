/**
 * Keeps topology.db small and quick to read, a bounded step at a time: deltas of a bucket are joined, sixteen at a time while it is
 * open and all once it is past; rows go when they are too old, or the file too large.
 */
import { RESOLUTIONS_MS, type ResolutionMs } from "../../../model/topology/series.ts";
import type { JoinRollups, RollupDelta } from "../../topology.ts";
import type { Connection } from "../database.ts";
import type { Failpoint } from "../failpoint.ts";
import type { WriteAheadLog } from "../write-ahead-log.ts";
import { transact, WHOLE } from "./file.ts";
import { HOUR_MS } from "./rows.ts";
import { STRETCHED_MS, Stretches } from "./stretches.ts";

export interface UpkeepOptions {
	readonly maxBytes: number;
	readonly keptSinceMs: (nowMs: number) => number;
	readonly join: JoinRollups;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
	readonly failpoint: Failpoint;
}

/** So many deltas of one level become one of the next: a delta is rewritten once a level. */
const JOINED_AT_ONCE = 16;
/** A bucket is past when nothing was added to it for two of its widths, and at most this long. */
const MAX_QUIET_MS = 120_000;
const RETENTION_CHECK_MS = 60_000;
const ROWS_PER_STEP = 256;
const DAY_MS = 24 * HOUR_MS;
/** Coarse buckets, certificates and addresses. */
const MAX_AGE_MS = 90 * DAY_MS;
const COUNTER_MAX_AGE_MS = 7 * DAY_MS;
/** Of addresses, certificates and counters each; those seen last stay. */
const MAX_ROWS = 100_000;
/** Pages that are free before some are given back. */
const MIN_FREE_PAGES = 256;
const PAGES_PER_STEP = 512;

interface Bucket {
	readonly resolution: number;
	readonly bucketMs: number;
}

export class Upkeep {
	private readonly database: Connection;
	private readonly wal: WriteAheadLog;
	private readonly options: UpkeepOptions;
	private readonly loose;
	private readonly crowded;
	private readonly rowsOf;
	private readonly deleteRow;
	private readonly insertRow;
	private readonly setWhole;
	private readonly nthBucket;
	private readonly deleteUpTo;
	private readonly oldestHour;
	private readonly deleteHour;
	/** When something was last added to a bucket by this process, until it is joined whole. */
	private readonly touchedMs = new Map<string, number>();
	private readonly stretches: Stretches;
	private lastRetentionMs = 0;
	private hasGivenBack = false;

	constructor(database: Connection, wal: WriteAheadLog, options: UpkeepOptions) {
		this.database = database;
		this.wal = wal;
		this.options = options;
		this.loose = database.prepare<[number, number], { bucketMs: number }>(
			`SELECT DISTINCT bucket_ms AS bucketMs FROM rollups WHERE level < ${WHOLE} AND resolution = ? AND bucket_ms <= ?
			ORDER BY bucket_ms`,
		);
		this.crowded = database.prepare<[], { resolution: number; bucketMs: number; level: number }>(
			`SELECT resolution, bucket_ms AS bucketMs, level FROM rollups WHERE level < ${WHOLE}
			GROUP BY resolution, bucket_ms, level HAVING count(*) >= ${JOINED_AT_ONCE} LIMIT 1`,
		);
		this.rowsOf = database.prepare<[number, number, number, number], { seq: number; data: Uint8Array }>(
			`SELECT seq, data FROM rollups WHERE resolution = ? AND bucket_ms = ? AND level BETWEEN ? AND ? ORDER BY seq`,
		);
		this.deleteRow = database.prepare("DELETE FROM rollups WHERE resolution = ? AND bucket_ms = ? AND seq = ?");
		this.insertRow = database.prepare("INSERT INTO rollups VALUES (?, ?, ?, ?, ?)");
		this.setWhole = database.prepare(
			`UPDATE rollups SET level = ${WHOLE} WHERE resolution = ? AND bucket_ms = ? AND level < ${WHOLE}`,
		);
		this.nthBucket = database
			.prepare<[number, number], number>(
				`SELECT bucket_ms FROM rollups WHERE resolution = ? AND bucket_ms < ? ORDER BY bucket_ms LIMIT 1 OFFSET ${ROWS_PER_STEP}`,
			)
			.pluck();
		this.deleteUpTo = database.prepare("DELETE FROM rollups WHERE resolution = ? AND bucket_ms < ?");
		this.oldestHour = database.prepare<[], number>("SELECT min(hour_ms) FROM exemplars").pluck();
		this.deleteHour = database.prepare("DELETE FROM exemplars WHERE hour_ms = ?");
		this.stretches = new Stretches(database, (datas) => this.joined(datas));
	}

	touched(rollups: readonly RollupDelta[], nowMs: number): void {
		for (const { resolutionMs, bucketMs } of rollups) this.touchedMs.set(`${resolutionMs} ${bucketMs}`, nowMs);
		this.stretches.touched(rollups);
	}

	/** True while there is more to do now. */
	step(nowMs: number): boolean {
		const crowded = this.crowded.get();
		if (crowded !== undefined) {
			this.join(crowded, crowded.level, crowded.level, crowded.level + 1 === WHOLE ? crowded.level : crowded.level + 1);
			return true;
		}
		const past = this.nextPast(nowMs);
		if (past !== undefined) {
			this.join(past, 0, WHOLE, WHOLE);
			this.touchedMs.delete(`${past.resolution} ${past.bucketMs}`);
			return true;
		}
		if (this.stretches.makeOne(nowMs)) return true;
		if (nowMs - this.lastRetentionMs < RETENTION_CHECK_MS) return false;
		if (this.removeOld(nowMs) || this.removeExcess(nowMs) || this.giveBackPages()) return true;
		this.lastRetentionMs = nowMs;
		return false;
	}

	private nextPast(nowMs: number): Bucket | undefined {
		for (const resolution of RESOLUTIONS_MS) {
			const quietMs = Math.min(resolution * 2, MAX_QUIET_MS);
			for (const { bucketMs } of this.loose.all(resolution, nowMs - resolution - quietMs)) {
				const touchedMs = this.touchedMs.get(`${resolution} ${bucketMs}`) ?? -Infinity;
				if (nowMs - touchedMs >= quietMs) return { resolution, bucketMs };
			}
		}
		return undefined;
	}

	private join({ resolution, bucketMs }: Bucket, fromLevel: number, toLevel: number, level: number): void {
		const rows = this.rowsOf.all(resolution, bucketMs, fromLevel, toLevel);
		const joined = rows.length > 1 ? this.joined(rows.map(({ data }) => data)) : undefined;
		transact(this.database, () => {
			if (joined === undefined) {
				this.setWhole.run(resolution, bucketMs);
				return;
			}
			for (const { seq } of rows) this.deleteRow.run(resolution, bucketMs, seq);
			this.insertRow.run(resolution, bucketMs, rows[0]!.seq, level, joined);
			this.options.failpoint("before-topology-join");
		});
	}

	/** Undefined where they cannot be joined: such deltas stay as they are, and whoever reads them meets the fault. */
	private joined(datas: readonly Uint8Array[]): Uint8Array | undefined {
		try {
			return this.options.join(datas);
		} catch (error) {
			this.options.log("error", `deltas of edges could not be joined and were left as they are: ${String(error)}`);
			return undefined;
		}
	}

	private removeOld(nowMs: number): boolean {
		const keptSinceMs = this.options.keptSinceMs(nowMs);
		for (const resolution of RESOLUTIONS_MS) {
			const cutoffMs = resolution === RESOLUTIONS_MS[0] ? keptSinceMs - resolution : nowMs - MAX_AGE_MS;
			if (this.removeOldest(resolution, cutoffMs)) return true;
		}
		const hourMs = this.oldestHour.get();
		if (hourMs !== undefined && hourMs !== null && hourMs + HOUR_MS <= keptSinceMs) {
			this.change(() => this.deleteHour.run(hourMs).changes);
			return true;
		}
		const monthsAgoMs = nowMs - MAX_AGE_MS;
		this.change(() => this.trim("certificates", monthsAgoMs) + this.trim("addresses", monthsAgoMs));
		this.change(() => this.trim("counters", nowMs - COUNTER_MAX_AGE_MS));
		return false;
	}

	/** Over the bound the finest buckets go first, oldest first; what is being filled stays. */
	private removeExcess(nowMs: number): boolean {
		if (this.usedBytes() <= this.options.maxBytes) return false;
		for (const resolution of RESOLUTIONS_MS) if (this.removeOldest(resolution, nowMs - resolution * 2)) return true;
		const hourMs = this.oldestHour.get();
		if (hourMs === undefined || hourMs === null || hourMs + 2 * HOUR_MS > nowMs) return false;
		return this.change(() => this.deleteHour.run(hourMs).changes) > 0;
	}

	/** Some of the oldest rows of buckets before the time; false when there are none. */
	private removeOldest(resolution: ResolutionMs, beforeMs: number): boolean {
		const nth = this.nthBucket.get(resolution, beforeMs);
		// Whole buckets: one that is cut in half would tell half of what was.
		const untilMs = nth === undefined ? beforeMs : Math.min(beforeMs, nth + 1);
		return (
			this.change(() => {
				if (resolution === STRETCHED_MS) this.stretches.removeBefore(untilMs);
				return this.deleteUpTo.run(resolution, untilMs).changes;
			}) > 0
		);
	}

	private trim(table: "certificates" | "addresses" | "counters", beforeMs: number): number {
		const { database } = this;
		const old = database.prepare(`DELETE FROM ${table} WHERE seen_ms < ?`).run(beforeMs).changes;
		const count = database.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0;
		if (count <= MAX_ROWS) return old;
		const excess = database.prepare(
			`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} ORDER BY seen_ms LIMIT ?)`,
		);
		return old + excess.run(count - MAX_ROWS).changes;
	}

	/** A removal changes answers, so it is a new version. Nothing is written where nothing was removed. */
	private change(remove: () => number): number {
		let removed = 0;
		transact(this.database, () => {
			removed = remove();
			if (removed > 0) this.database.exec("UPDATE progress SET version = version + 1");
		});
		return removed;
	}

	private usedBytes(): number {
		return (this.pragma("page_count") - this.pragma("freelist_count")) * this.pragma("page_size");
	}

	private giveBackPages(): boolean {
		const free = this.pragma("freelist_count");
		if (free < MIN_FREE_PAGES || free * 4 < this.pragma("page_count")) {
			// The file becomes shorter only once the log is in it.
			if (this.hasGivenBack) this.wal.checkpoint(0);
			this.hasGivenBack = false;
			return false;
		}
		this.database.pragma(`incremental_vacuum(${PAGES_PER_STEP})`);
		this.hasGivenBack = true;
		return true;
	}

	private pragma(name: string): number {
		return this.database.pragma(name, { simple: true }) as number;
	}
}
