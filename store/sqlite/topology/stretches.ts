/**
 * Stretches: ten minutes that are past, as one sum beside their own rows. Most windows that people ask for are an hour or so, of sixty
 * minutes whose histograms are sparse; six stretches hold a seventh of their bytes.
 *
 * A stretch is there only while it is true: what is added to one of its minutes removes it in the same transaction, and it is made
 * again once its minutes are whole.
 */
import type { ResolutionMs } from "../../../model/topology/series.ts";
import type { RollupDelta } from "../../topology.ts";
import type { Connection } from "../database.ts";
import { transact, WHOLE } from "./file.ts";

export const STRETCH_MS = 600_000;
/** Width of the buckets that are joined. */
export const STRETCHED_MS: ResolutionMs = 60_000;
/** Minutes without any row may still get some. */
const QUIET_MS = 120_000;
/** Older minutes are joined when something is added to them, and read by themselves until then. */
const CAUGHT_UP_MS = 86_400_000;

export function stretchOf(minuteMs: number): number {
	return Math.floor(minuteMs / STRETCH_MS) * STRETCH_MS;
}

export class Stretches {
	private readonly database: Connection;
	private readonly join: (datas: readonly Uint8Array[]) => Uint8Array | undefined;
	private readonly looseMinute;
	private readonly minutes;
	private readonly put;
	private readonly deleteBefore;
	/** Starts of those that have to be made; undefined until the file was looked at. */
	private missing: Set<number> | undefined;

	/** @param join undefined where deltas cannot be joined */
	constructor(database: Connection, join: (datas: readonly Uint8Array[]) => Uint8Array | undefined) {
		this.database = database;
		this.join = join;
		this.looseMinute = database
			.prepare<[number, number], number>(
				`SELECT 1 FROM rollups WHERE level < ${WHOLE} AND resolution = ${STRETCHED_MS} AND bucket_ms >= ? AND bucket_ms < ? LIMIT 1`,
			)
			.pluck();
		this.minutes = database
			.prepare<[number, number], Uint8Array>(
				`SELECT data FROM rollups WHERE resolution = ${STRETCHED_MS} AND bucket_ms >= ? AND bucket_ms < ? ORDER BY bucket_ms, seq`,
			)
			.pluck();
		this.put = database.prepare("INSERT OR REPLACE INTO stretches VALUES (?, ?)");
		this.deleteBefore = database.prepare("DELETE FROM stretches WHERE start_ms < ?");
	}

	touched(rollups: readonly RollupDelta[]): void {
		for (const { resolutionMs, bucketMs } of rollups)
			if (resolutionMs === STRETCHED_MS) this.missing?.add(stretchOf(bucketMs));
	}

	/** False when there is none to make now. */
	makeOne(nowMs: number): boolean {
		this.missing ??= this.lookUpMissing(nowMs);
		for (const startMs of this.missing) {
			const endMs = startMs + STRETCH_MS;
			if (endMs + QUIET_MS > nowMs || this.looseMinute.get(startMs, endMs) !== undefined) continue;
			this.missing.delete(startMs);
			const datas = this.minutes.all(startMs, endMs);
			const joined = datas.length > 1 ? this.join(datas) : undefined;
			if (joined === undefined) continue;
			// What readers add up stays the same, so the version does too.
			transact(this.database, () => void this.put.run(startMs, joined));
			return true;
		}
		return false;
	}

	/** In the caller's transaction, which removes the minutes before that time. */
	removeBefore(untilMs: number): void {
		this.deleteBefore.run(untilMs);
	}

	private lookUpMissing(nowMs: number): Set<number> {
		const found = this.database
			.prepare<[number], number>(
				`SELECT DISTINCT bucket_ms - bucket_ms % ${STRETCH_MS} AS start FROM rollups
				WHERE resolution = ${STRETCHED_MS} AND bucket_ms >= ? AND start NOT IN (SELECT start_ms FROM stretches)`,
			)
			.pluck()
			.all(stretchOf(nowMs - CAUGHT_UP_MS));
		return new Set(found);
	}
}

export interface Stretch {
	readonly startMs: number;
	readonly data: Uint8Array;
}

/** Finds the first stretch that lies in a range, epoch ms. */
export function nextStretch(database: Connection): (fromMs: number, toMs: number) => Stretch | undefined {
	const next = database.prepare<[number, number], Stretch>(
		"SELECT start_ms AS startMs, data FROM stretches WHERE start_ms BETWEEN ? AND ? ORDER BY start_ms LIMIT 1",
	);
	return (fromMs, toMs) => next.get(fromMs, toMs - STRETCH_MS);
}
