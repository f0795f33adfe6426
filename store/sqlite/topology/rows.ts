/** What a flush puts into topology.db's tables, and what the stage loads from them at start. */
import type { AddressSighting, CertificateSighting, Exemplar } from "../../../model/topology/series.ts";
import type { RollupDelta, TopologyFlush, TopologyLoad } from "../../topology.ts";
import type { Connection } from "../database.ts";
import { endpointText } from "./file.ts";
import { STRETCHED_MS, stretchOf } from "./stretches.ts";

export const HOUR_MS = 3_600_000;
/** Of a series in an hour; older ones make room. */
const MAX_EXEMPLARS = 32;

interface ProgressRow {
	readonly cursor_window: string | null;
	readonly cursor_commit: number | null;
	readonly state: Uint8Array;
}

export class TopologyRows {
	private readonly database: Connection;
	private readonly putProgress;
	private readonly putSeries;
	private readonly lastSeq;
	private readonly putRollup;
	private readonly deleteStretch;
	private readonly putExemplar;
	private readonly trimExemplars;
	private readonly putCertificate;
	private readonly putAddress;
	private readonly putCounter;
	private readonly deleteCounter;

	constructor(database: Connection) {
		this.database = database;
		// A file that is begun anew starts at a version that no file before it had.
		this.putProgress = database.prepare(
			`INSERT INTO progress (id, version, flushed_ms, cursor_window, cursor_commit, state) VALUES (1, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET version = version + 1, flushed_ms = excluded.flushed_ms,
				cursor_window = excluded.cursor_window, cursor_commit = excluded.cursor_commit, state = excluded.state`,
		);
		this.putSeries = database.prepare("INSERT INTO series VALUES (?, ?) ON CONFLICT (id) DO NOTHING");
		this.lastSeq = database
			.prepare<[number, number], number>("SELECT max(seq) FROM rollups WHERE resolution = ? AND bucket_ms = ?")
			.pluck();
		this.putRollup = database.prepare("INSERT INTO rollups VALUES (?, ?, ?, 0, ?)");
		this.deleteStretch = database.prepare("DELETE FROM stretches WHERE start_ms = ?");
		this.putExemplar = database.prepare("INSERT OR REPLACE INTO exemplars VALUES (?, ?, ?, ?, ?, ?)");
		this.trimExemplars = database.prepare(
			`DELETE FROM exemplars WHERE hour_ms = @hourMs AND series = @series AND (time_ms, trace_id) <= (
				SELECT time_ms, trace_id FROM exemplars WHERE hour_ms = @hourMs AND series = @series
				ORDER BY time_ms DESC, trace_id DESC LIMIT 1 OFFSET ${MAX_EXEMPLARS})`,
		);
		this.putCertificate = database.prepare(
			`INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (principal, not_after_ms, source, target, side) DO UPDATE SET
				issuer = iif(excluded.seen_ms >= seen_ms, excluded.issuer, issuer),
				first_seen_ms = min(first_seen_ms, excluded.seen_ms), seen_ms = max(seen_ms, excluded.seen_ms)`,
		);
		this.putAddress = database.prepare(
			`INSERT INTO addresses VALUES (?, ?, ?)
			ON CONFLICT (address) DO UPDATE SET endpoint = excluded.endpoint, seen_ms = excluded.seen_ms
			WHERE excluded.seen_ms >= seen_ms`,
		);
		this.putCounter = database.prepare(
			"INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, seen_ms = excluded.seen_ms",
		);
		this.deleteCounter = database.prepare("DELETE FROM counters WHERE key = ?");
	}

	/** In the caller's transaction. */
	write(flush: TopologyFlush, nowMs: number): void {
		const { cursor, state } = flush;
		this.putProgress.run(nowMs, nowMs, cursor?.window ?? null, cursor?.commit ?? null, state);
		for (const { id, dims } of flush.series) this.putSeries.run(id, dims);
		for (const rollup of flush.rollups) this.addRollup(rollup);
		this.addExemplars(flush.exemplars);
		for (const certificate of flush.certificates) this.addCertificate(certificate);
		for (const address of flush.addresses) this.addAddress(address);
		for (const { key, value } of flush.counters) {
			if (value === undefined) this.deleteCounter.run(key);
			else this.putCounter.run(key, value, nowMs);
		}
	}

	load(): TopologyLoad {
		const { database } = this;
		const progress = database.prepare<[], ProgressRow>("SELECT cursor_window, cursor_commit, state FROM progress").get();
		const { cursor_window: window = null, cursor_commit: commit = null } = progress ?? {};
		return {
			cursor: window === null || commit === null ? undefined : { window, commit },
			state: progress?.state ?? new Uint8Array(0),
			series: database.prepare<[], { id: number; dims: string }>("SELECT id, dims FROM series ORDER BY id").all(),
			counters: database
				.prepare<[], { key: string; value: Uint8Array }>("SELECT key, value FROM counters ORDER BY key")
				.all(),
		};
	}

	private addRollup({ resolutionMs, bucketMs, data }: RollupDelta): void {
		const seq = (this.lastSeq.get(resolutionMs, bucketMs) ?? 0) + 1;
		this.putRollup.run(resolutionMs, bucketMs, seq, data);
		if (resolutionMs === STRETCHED_MS) this.deleteStretch.run(stretchOf(bucketMs));
	}

	/** Room is made once for those of one series and hour, which come one after another. */
	private addExemplars(exemplars: readonly Exemplar[]): void {
		let filled: { readonly hourMs: number; readonly series: number } | undefined;
		for (const { series, timeMs, traceId, durationNs, isError } of exemplars) {
			const hourMs = Math.floor(timeMs / HOUR_MS) * HOUR_MS;
			if (filled?.series !== series || filled.hourMs !== hourMs) {
				if (filled !== undefined) this.trimExemplars.run(filled);
				filled = { hourMs, series };
			}
			this.putExemplar.run(hourMs, series, Math.floor(timeMs), traceId, Math.round(durationNs), isError ? 1 : 0);
		}
		if (filled !== undefined) this.trimExemplars.run(filled);
	}

	private addCertificate(sighting: CertificateSighting): void {
		const { principal, notAfterMs, source, target, side, issuer, seenMs } = sighting;
		this.putCertificate.run(
			principal,
			Math.floor(notAfterMs),
			endpointText(source),
			endpointText(target),
			side,
			issuer,
			Math.floor(seenMs),
			Math.floor(seenMs),
		);
	}

	private addAddress({ address, endpoint, seenMs }: AddressSighting): void {
		this.putAddress.run(address, endpointText(endpoint), Math.floor(seenMs));
	}
}
