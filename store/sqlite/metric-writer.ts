/**
 * Writes metric series and points into one window file.
 *
 * A series is a row, found by the SHA-256 of what makes it one; a point is a row of its own, since points are few beside spans and
 * queries want them by series and time. What SQLite's numbers cannot hold exactly (NaN, -0, times from 2^63 on) is kept as the
 * point's protobuf bytes, with the time clamped in the column that orders it.
 */
import { hash } from "node:crypto";
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { Connection } from "./database.ts";
import { clampTime, MAX_INT64 } from "./metric-time.ts";

/** About 12 MB. A window with more series pays a lookup by identity for those that fell out. */
const MAX_CACHED_SERIES = 100_000;

/** SHA-256 over everything of the key but its description, which senders reword; a character a byte. */
function seriesIdentity(key: MetricSeriesKey): string {
	const { name, unit, type, temporality, monotonic, service, attributes, resource, scope } = key;
	// Their lengths keep the texts apart, whatever they hold; JSON would cost as much as the hash.
	const shape = `${type},${temporality},${monotonic ? 1 : 0}`;
	const lengths = `${name.length},${unit.length},${service.length},${attributes.length},${resource.length}`;
	return hash("sha256", `${shape},${lengths},${name}${unit}${service}${attributes}${resource}${scope}`, "binary");
}

interface CachedSeries {
	readonly id: number;
	readonly identity: string;
}

/** One a window file; its statements belong to that connection. */
export class MetricWriter {
	private readonly findSeries;
	private readonly insertSeries;
	private readonly hasSeries;
	private readonly insertPoint;
	private readonly nextOrdinal;
	private readonly cache = new Map<string, number>();
	/** The series that was added last. */
	private newest: CachedSeries | undefined;

	constructor(database: Connection) {
		this.findSeries = database.prepare<[Uint8Array], number>("SELECT id FROM metric_series WHERE identity = ?").pluck();
		this.hasSeries = database
			.prepare<[number, Uint8Array], number>("SELECT 1 FROM metric_series WHERE id = ? AND identity = ?")
			.pluck();
		this.insertSeries = database.prepare(
			`INSERT INTO metric_series (identity, name, description, unit, type, temporality, monotonic, service, attributes, resource,
			scope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		);
		this.insertPoint = database.prepare(
			"INSERT INTO metric_points VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (series, time_ns, ordinal) DO NOTHING",
		);
		this.nextOrdinal = database
			.prepare<[number, bigint], number>("SELECT max(ordinal) + 1 FROM metric_points WHERE series = ? AND time_ns = ?")
			.pluck();
	}

	/** Within the caller's transaction. Returns the points inserted: all. */
	insert(batch: MetricBatch): number {
		if (batch.points.length === 0) return 0;
		this.forgetRolledBack();
		/** By place in the batch; 0 for a series that no point has asked for. */
		const ids = new Float64Array(batch.series.length);
		for (const point of batch.points) {
			const key = batch.series[point.series]!;
			const id = ids[point.series] || (ids[point.series] = this.seriesId(key));
			this.insertOne(id, key, point);
		}
		return batch.points.length;
	}

	/**
	 * Series ids grow, so a transaction that was rolled back took the newest with it: while the newest is there with its identity,
	 * every cached id is good.
	 */
	private forgetRolledBack(): void {
		if (this.newest === undefined) return;
		if (this.hasSeries.get(this.newest.id, Buffer.from(this.newest.identity, "binary")) === 1) return;
		this.cache.clear();
		this.newest = undefined;
	}

	private seriesId(key: MetricSeriesKey): number {
		const identity = seriesIdentity(key);
		let id = this.cache.get(identity);
		if (id === undefined) {
			const bytes = Buffer.from(identity, "binary");
			id = this.findSeries.get(bytes);
			if (id === undefined) {
				id = this.addSeries(key, bytes);
				this.newest = { id, identity };
				this.remember(identity, id);
				return id;
			}
			this.remember(identity, id);
		}
		return id;
	}

	private addSeries(key: MetricSeriesKey, identity: Uint8Array): number {
		const { name, description, unit, type, temporality, monotonic, service, attributes, resource, scope } = key;
		const { lastInsertRowid } = this.insertSeries.run(
			identity,
			name,
			description,
			unit,
			type,
			temporality,
			monotonic ? 1 : 0,
			service,
			attributes,
			resource,
			scope,
		);
		return Number(lastInsertRowid);
	}

	private remember(identity: string, id: number): void {
		if (this.cache.size >= MAX_CACHED_SERIES) this.cache.clear();
		this.cache.set(identity, id);
	}

	private insertOne(series: number, key: MetricSeriesKey, point: MetricPointRecord): void {
		const timeNs = clampTime(point.timeNs);
		const startTimeNs = clampTime(point.startTimeNs);
		const raw = point.raw ?? (isExact(point) ? undefined : numberPointBytes(point, key.type));
		const int = raw === undefined ? (point.intValue ?? null) : null;
		const double = raw === undefined ? (point.doubleValue ?? null) : null;
		const { changes } = this.insertPoint.run(series, timeNs, 0, startTimeNs, int, double, raw ?? null, point.flags);
		// Almost never taken, so that nearly every point costs one statement.
		if (changes === 0)
			this.insertPoint.run(
				series,
				timeNs,
				this.nextOrdinal.get(series, timeNs) ?? 0,
				startTimeNs,
				int,
				double,
				raw ?? null,
				point.flags,
			);
	}
}

/** SQLite keeps NaN as NULL and -0 as 0. */
function isExact({ doubleValue, timeNs, startTimeNs }: MetricPointRecord): boolean {
	return (
		timeNs <= MAX_INT64 &&
		startTimeNs <= MAX_INT64 &&
		(doubleValue === undefined || (!Number.isNaN(doubleValue) && !Object.is(doubleValue, -0)))
	);
}

/** opentelemetry.proto.metrics.v1.NumberDataPoint. Points of other types come with their bytes. */
function numberPointBytes(point: MetricPointRecord, type: MetricSeriesKey["type"]): Uint8Array {
	if (type > 1) throw new TypeError("a point that is no number has no bytes");
	const writer = new WireWriter(48);
	writer.fixed64Field(2, point.startTimeNs);
	writer.fixed64Field(3, point.timeNs);
	if (point.doubleValue !== undefined) writer.doubleField(4, point.doubleValue);
	if (point.intValue !== undefined) writer.fixed64Field(6, BigInt.asUintN(64, point.intValue));
	if (point.flags !== 0) writer.varintField(8, point.flags);
	return writer.finish();
}
