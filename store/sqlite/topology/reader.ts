/**
 * topology.db for reading, one connection a thread. The file may come later than its reader, and may be replaced under it when it was
 * damaged; until it is there, everything is empty.
 */
import { statSync } from "node:fs";
import type { Statement } from "better-sqlite3";
import type { AddressSighting, CertificateSighting, Exemplar, ResolutionMs } from "../../../model/topology/series.ts";
import type { RollupBucket, TopologyReader } from "../../topology.ts";
import { type Connection, openForReading } from "../database.ts";
import { endpointOf, topologyPath } from "./file.ts";
import { HOUR_MS } from "./rows.ts";
import { nextStretch, STRETCH_MS, STRETCHED_MS } from "./stretches.ts";

/** Rows that are read at once. */
const PAGE_ROWS = 128;

interface OpenFile {
	readonly database: Connection;
	readonly inode: number;
	readonly lastSeries: Statement<[], number | null>;
	readonly newSeries: Statement<[number], { readonly id: number; readonly dims: string }>;
}

interface RollupRow {
	readonly bucket_ms: number;
	readonly seq: number;
	readonly data: Uint8Array;
}

interface CertificateRow {
	readonly principal: string;
	readonly not_after_ms: number;
	readonly source: string;
	readonly target: string;
	readonly side: CertificateSighting["side"];
	readonly issuer: string;
	readonly seen_ms: number;
}

interface ExemplarRow {
	readonly series: number;
	readonly time_ms: number;
	readonly trace_id: string;
	readonly duration_ns: number;
	readonly is_error: number;
}

export function openTopologyReader(directory: string): TopologyReader {
	return new SqliteTopologyReader(topologyPath(directory));
}

class SqliteTopologyReader implements TopologyReader {
	private readonly path: string;
	private open: OpenFile | undefined;
	private readonly known = new Map<number, string>();
	private lastKnown = 0;

	constructor(path: string) {
		this.path = path;
	}

	*rollups(resolutionMs: ResolutionMs, fromMs: number, toMs: number): Iterable<RollupBucket> {
		const database = this.database();
		if (database === undefined) return;
		const page = database.prepare<[number, number, number, number], RollupRow>(
			`SELECT bucket_ms, seq, data FROM rollups
			WHERE resolution = ? AND (bucket_ms, seq) > (?, ?) AND bucket_ms < ? ORDER BY bucket_ms, seq LIMIT ${PAGE_ROWS}`,
		);
		const ends = beginSnapshot(database);
		try {
			let bucket: { readonly bucketMs: number; readonly data: Uint8Array[] } | undefined;
			let last = { bucket_ms: fromMs, seq: -1 };
			for (let full = true; full;) {
				const rows = page.all(resolutionMs, last.bucket_ms, last.seq, toMs);
				full = rows.length === PAGE_ROWS;
				for (const row of rows) {
					last = row;
					if (bucket !== undefined && bucket.bucketMs === row.bucket_ms) {
						bucket.data.push(row.data);
						continue;
					}
					if (bucket !== undefined) yield bucket;
					bucket = { bucketMs: row.bucket_ms, data: [row.data] };
				}
			}
			if (bucket !== undefined) yield bucket;
		} finally {
			ends();
		}
	}

	*deltas(resolutionMs: ResolutionMs, fromMs: number, toMs: number): Iterable<Uint8Array> {
		const database = this.database();
		if (database === undefined) return;
		const ends = beginSnapshot(database);
		try {
			let atMs = fromMs;
			if (resolutionMs === STRETCHED_MS) {
				const next = nextStretch(database);
				for (let stretch = next(atMs, toMs); stretch !== undefined; stretch = next(atMs, toMs)) {
					for (const { data } of this.rollups(resolutionMs, atMs, stretch.startMs)) yield* data;
					yield stretch.data;
					atMs = stretch.startMs + STRETCH_MS;
				}
			}
			for (const { data } of this.rollups(resolutionMs, atMs, toMs)) yield* data;
		} finally {
			ends();
		}
	}

	version(): number {
		return this.database()?.prepare<[], number>("SELECT version FROM progress").pluck().get() ?? 0;
	}

	oldest(resolutionMs: ResolutionMs): number | undefined {
		return (
			this.database()
				?.prepare<[number], number>("SELECT bucket_ms FROM rollups WHERE resolution = ? ORDER BY bucket_ms LIMIT 1")
				.pluck()
				.get(resolutionMs) ?? undefined
		);
	}

	/** The map grows with the file and is never copied. */
	series(): ReadonlyMap<number, string> {
		const database = this.database();
		if (database === undefined) return this.known;
		const { lastSeries, newSeries } = this.open!;
		// Every answer asks; most find nothing new.
		const rows = lastSeries.get() === this.lastKnown ? [] : newSeries.all(this.lastKnown);
		for (const { id, dims } of rows) {
			this.known.set(id, dims);
			this.lastKnown = id;
		}
		return this.known;
	}

	exemplars(series: readonly number[], fromMs: number, toMs: number, limit: number): readonly Exemplar[] {
		const database = this.database();
		const bounds = database
			?.prepare<[], { oldest: number | null; newest: number | null }>(
				"SELECT (SELECT min(hour_ms) FROM exemplars) AS oldest, (SELECT max(hour_ms) FROM exemplars) AS newest",
			)
			.get();
		if (database === undefined || bounds === undefined || bounds.oldest === null || bounds.newest === null) return [];
		const newestFirst = database.prepare<[number, number, number, number, number], ExemplarRow>(
			`SELECT series, time_ms, trace_id, duration_ns, is_error FROM exemplars
			WHERE hour_ms = ? AND series = ? AND time_ms >= ? AND time_ms < ? ORDER BY time_ms DESC, trace_id DESC LIMIT ?`,
		);
		const ends = beginSnapshot(database);
		try {
			const found: ExemplarRow[] = [];
			const firstHourMs = Math.max(bounds.oldest, Math.floor(fromMs / HOUR_MS) * HOUR_MS);
			let hourMs = Math.min(bounds.newest, Math.floor((toMs - 1) / HOUR_MS) * HOUR_MS);
			for (; hourMs >= firstHourMs && found.length < limit; hourMs -= HOUR_MS) {
				const inHour = series.flatMap((id) => newestFirst.all(hourMs, id, fromMs, toMs, limit));
				found.push(...inHour.sort(newestFirstOrder));
			}
			return found.slice(0, limit).map((row) => ({
				series: row.series,
				timeMs: row.time_ms,
				traceId: row.trace_id,
				durationNs: row.duration_ns,
				isError: row.is_error !== 0,
			}));
		} finally {
			ends();
		}
	}

	certificates(fromMs: number, toMs: number): readonly CertificateSighting[] {
		const rows = this.database()
			?.prepare<[number, number], CertificateRow>(
				`SELECT principal, not_after_ms, source, target, side, issuer, seen_ms FROM certificates
				WHERE first_seen_ms < ? AND seen_ms >= ? ORDER BY principal, not_after_ms, source, target, side`,
			)
			.all(toMs, fromMs);
		return (rows ?? []).map((row) => ({
			principal: row.principal,
			notAfterMs: row.not_after_ms,
			issuer: row.issuer,
			seenMs: row.seen_ms,
			source: endpointOf(row.source),
			target: endpointOf(row.target),
			side: row.side,
		}));
	}

	addresses(): ReadonlyMap<string, AddressSighting> {
		const rows = this.database()
			?.prepare<[], { readonly address: string; readonly endpoint: string; readonly seen_ms: number }>(
				"SELECT address, endpoint, seen_ms FROM addresses",
			)
			.all();
		const entries = (rows ?? []).map(
			({ address, endpoint, seen_ms }) => [address, { address, endpoint: endpointOf(endpoint), seenMs: seen_ms }] as const,
		);
		return new Map(entries);
	}

	progress(): ReturnType<TopologyReader["progress"]> {
		const row = this.database()
			?.prepare<[], { flushed_ms: number; cursor_window: string | null; cursor_commit: number | null }>(
				"SELECT flushed_ms, cursor_window, cursor_commit FROM progress",
			)
			.get();
		if (row === undefined) return undefined;
		const { flushed_ms: flushedMs, cursor_window: window, cursor_commit: commit } = row;
		return { cursor: window === null || commit === null ? undefined : { window, commit }, flushedMs };
	}

	close(): void {
		this.open?.database.close();
		this.open = undefined;
		this.known.clear();
		this.lastKnown = 0;
	}

	private database(): Connection | undefined {
		const inode = statSync(this.path, { throwIfNoEntry: false })?.ino;
		if (this.open !== undefined) {
			if (this.open.inode === inode || this.open.database.inTransaction) return this.open.database;
			this.close();
		}
		if (inode === undefined) return undefined;
		const database = openForReading(this.path);
		// Created, but its writer has not made the tables yet.
		if (database.pragma("user_version", { simple: true }) === 0) {
			database.close();
			return undefined;
		}
		this.open = {
			database,
			inode,
			lastSeries: database.prepare<[], number | null>("SELECT max(id) FROM series").pluck(),
			newSeries: database.prepare("SELECT id, dims FROM series WHERE id > ? ORDER BY id"),
		};
		return database;
	}
}

/** One state of the file until what is returned is called; inside another snapshot that one holds. */
function beginSnapshot(database: Connection): () => void {
	if (database.inTransaction) return () => {};
	database.exec("BEGIN");
	return () => {
		if (database.open && database.inTransaction) database.exec("COMMIT");
	};
}

function newestFirstOrder(a: ExemplarRow, b: ExemplarRow): number {
	return b.time_ms - a.time_ms || (a.trace_id < b.trace_id ? 1 : a.trace_id > b.trace_id ? -1 : 0);
}
