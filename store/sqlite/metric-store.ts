/**
 * Metric series and points of one window file.
 *
 * A series is a row, found by the SHA-256 of what makes it one; a point is a row of its own, since points are few beside spans and
 * queries want them by series and time. What SQLite's numbers cannot hold exactly (NaN, -0, times from 2^63 on) is kept as the
 * point's protobuf bytes, with the time clamped in the column that orders it.
 */
import { hash } from "node:crypto";
import { MeshscopeError } from "../../model/errors.ts";
import { type MetricBatch, type MetricPointRecord, type MetricSeriesKey } from "../../model/metric.ts";
import { matchesScalar, scalarText } from "../../model/otlp/attribute-match.ts";
import { attributesFromCanonical, plainFromCanonical } from "../../model/otlp/canonical.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { AttributeFilter, MetricPoint, MetricPointQuery, MetricSeries, MetricSeriesQuery, MetricType } from "../store.ts";
import type { Connection } from "./database.ts";

const MAX_INT64 = (1n << 63n) - 1n;
/** About 12 MB. A window with more series pays a lookup by identity for those that fell out. */
const MAX_CACHED_SERIES = 100_000;

const TYPES: readonly MetricType[] = ["gauge", "sum", "histogram", "exponential_histogram", "summary"];
const TEMPORALITIES = ["unspecified", "delta", "cumulative"] as const;

/** SHA-256 over everything of the key but its description, which senders reword; a character a byte. */
export function seriesIdentity(key: MetricSeriesKey): string {
	const { name, unit, type, temporality, monotonic, service, attributes, resource, scope } = key;
	// Their lengths keep the texts apart, whatever they hold; JSON would cost as much as the hash.
	const shape = `${type},${temporality},${monotonic ? 1 : 0}`;
	const lengths = `${name.length},${unit.length},${service.length},${attributes.length},${resource.length}`;
	return hash("sha256", `${shape},${lengths},${name}${unit}${service}${attributes}${resource}${scope}`, "binary");
}

/** The number under which answers know a series: 53 bits of its identity, the same in every window. */
export function seriesNumber(identity: Uint8Array): string {
	const view = new DataView(identity.buffer, identity.byteOffset, identity.byteLength);
	return (view.getBigUint64(0) >> 11n).toString();
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

function clampTime(timeNs: bigint): bigint {
	return timeNs > MAX_INT64 ? MAX_INT64 : timeNs;
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

/** A series as one window has it. */
export interface WindowSeries {
	/** In this window's tables. */
	readonly rowId: bigint;
	/** SHA-256, hex: the same in every window. */
	readonly identity: string;
	readonly type: MetricSeriesKey["type"];
	readonly lastTimeNs: bigint;
	/** Of attributes and resource, as they are stored. */
	readonly chars: number;
	readonly series: MetricSeries;
}

/** Of an answer's series: a resource may have megabytes, and is told with each of them. */
const MAX_SERIES_CHARS = 32 << 20;
/** Of an answer's points that are more than a number: they are several times as large as objects and as JSON. */
export const MAX_POINT_BYTES = 16 << 20;

/** Adds up series for one answer. */
export class SeriesBudget {
	private chars = 0;

	/** @throws MeshscopeError `query_too_broad` */
	take(chars: number): void {
		this.chars += chars;
		if (this.chars <= MAX_SERIES_CHARS) return;
		throw new MeshscopeError(
			"query_too_broad",
			`the series found have more than ${MAX_SERIES_CHARS} characters of attributes, each with its resource's; lower \`limit\`, or add \`name\`, \`service\` or \`attr\``,
			{ details: { parameter: "limit" } },
		);
	}
}

interface SeriesRow {
	readonly id: bigint;
	readonly identity: Uint8Array;
	readonly name: string;
	readonly description: string;
	readonly unit: string;
	readonly type: bigint;
	readonly temporality: bigint;
	readonly monotonic: bigint;
	readonly service: string;
	readonly attributes: string;
	readonly resource: string;
}

/** Nanoseconds, inclusive and exclusive. */
export interface TimeRange {
	readonly fromNs: bigint;
	readonly toNs: bigint;
}

/** The range as SQLite compares it, both ends inclusive: one that reaches past its integers takes in the clamped times. */
function stored({ fromNs, toNs }: TimeRange): { readonly first: bigint; readonly last: bigint } {
	return { first: fromNs < 0n ? 0n : clampTime(fromNs), last: toNs <= 0n ? -1n : clampTime(toNs - 1n) };
}

/**
 * The first series that match, by name and identity: an order that is the same in every window, so that the first of each are
 * enough to find the first of all.
 * @param range leaves out series without a point in it
 * @param budget for series of one answer; absent for scans
 */
export function querySeries(
	database: Connection,
	query: MetricSeriesQuery,
	range?: TimeRange,
	budget?: SeriesBudget,
): WindowSeries[] {
	const conditions: string[] = [];
	const values: string[] = [];
	if (query.name !== undefined) {
		conditions.push("name = ?");
		values.push(query.name);
	}
	if (query.service !== undefined) {
		conditions.push("service = ?");
		values.push(query.service);
	}
	const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
	const rows = database
		.prepare<string[], SeriesRow>(
			`SELECT id, identity, name, description, unit, type, temporality, monotonic, service, attributes, resource
			FROM metric_series ${where} ORDER BY name, identity`,
		)
		.safeIntegers();
	const inRange = database
		.prepare<[bigint, bigint, bigint], bigint>(
			"SELECT 1 FROM metric_points WHERE series = ? AND time_ns BETWEEN ? AND ? LIMIT 1",
		)
		.pluck();
	const lastTime = database
		.prepare<[bigint], bigint>("SELECT max(time_ns) FROM metric_points WHERE series = ?")
		.pluck()
		.safeIntegers();
	const { first, last } = stored(range ?? { fromNs: 0n, toNs: 0n });
	const matches = query.attributes.map(canonicalMatch);
	const found: WindowSeries[] = [];
	for (const row of rows.iterate(...values)) {
		if (!matches.every((match) => match(row.attributes) || match(row.resource))) continue;
		if (range !== undefined && inRange.get(row.id, first, last) === undefined) continue;
		budget?.take(charsOf(row));
		found.push(windowSeries(row, lastTime.get(row.id) ?? 0n));
		if (found.length >= query.limit) break;
	}
	return found;
}

/** Whether canonical attributes hold what a filter asks for; most texts are passed over without being parsed. */
function canonicalMatch({ key, type, value }: AttributeFilter): (canonical: string) => boolean {
	const needle = `${JSON.stringify(key)}:`;
	return (canonical) => {
		if (!canonical.includes(needle)) return false;
		for (const attribute of attributesFromCanonical(canonical))
			if (attribute.key === key && matchesScalar(scalarText(attribute.value), type, value)) return true;
		return false;
	};
}

function charsOf({ attributes, resource }: SeriesRow): number {
	return attributes.length + resource.length;
}

function windowSeries(row: SeriesRow, lastTimeNs: bigint): WindowSeries {
	const type = Number(row.type) as MetricSeriesKey["type"];
	return {
		rowId: row.id,
		identity: Buffer.from(row.identity).toString("hex"),
		type,
		lastTimeNs,
		chars: charsOf(row),
		series: {
			id: seriesNumber(row.identity),
			name: row.name,
			description: row.description,
			unit: row.unit,
			type: TYPES[type]!,
			temporality: TEMPORALITIES[Number(row.temporality)]!,
			monotonic: row.monotonic !== 0n,
			service: row.service,
			attributes: plainFromCanonical(row.attributes),
			resource: plainFromCanonical(row.resource),
			lastTimeUnixNano: lastTimeNs.toString(),
		},
	};
}

interface PointRow {
	readonly time_ns: bigint;
	readonly ordinal: bigint;
	readonly start_time_ns: bigint;
	readonly int_value: bigint | null;
	readonly double_value: number | null;
	readonly raw: Uint8Array | null;
	readonly flags: bigint;
}

const POINT_COLUMNS = "time_ns, ordinal, start_time_ns, int_value, double_value, raw, flags";

export interface SeriesPoints {
	readonly series: WindowSeries;
	/** By time. */
	readonly points: MetricPoint[];
}

export interface WindowPoints {
	readonly series: readonly SeriesPoints[];
	readonly points: number;
	/** Of those that are more than a number. */
	readonly bytes: number;
	/** True when the budget left points out; the newest of each series were kept. */
	readonly truncated: boolean;
}

/** Points of a window's series in a range. @param budget points that may be read in all */
export function queryPoints(database: Connection, query: MetricPointQuery, budget: number): WindowPoints {
	return pointsOf(database, querySeries(database, query, query), query, budget);
}

/** As {@link queryPoints}, for series that were found before. @param byteBudget of points that are more than a number */
export function pointsOf(
	database: Connection,
	wanted: readonly WindowSeries[],
	range: TimeRange,
	budget: number,
	byteBudget = MAX_POINT_BYTES,
): WindowPoints {
	const statement = database
		.prepare<[bigint, bigint, bigint, number], PointRow>(
			`SELECT ${POINT_COLUMNS} FROM metric_points WHERE series = ? AND time_ns BETWEEN ? AND ?
			ORDER BY time_ns DESC, ordinal DESC LIMIT ?`,
		)
		.safeIntegers();
	const { first, last } = stored(range);
	const series: SeriesPoints[] = [];
	let used = 0;
	let bytes = 0;
	let truncated = false;
	for (const each of wanted) {
		const points: MetricPoint[] = [];
		// One more than may be kept shows whether something is left out.
		for (const row of statement.iterate(each.rowId, first, last, budget - used + 1)) {
			const size = row.raw?.length ?? 0;
			if (used === budget || bytes + size > byteBudget) {
				truncated = true;
				break;
			}
			used++;
			bytes += size;
			points.push(pointOf(row, each.type));
		}
		if (points.length > 0) series.push({ series: each, points: points.reverse() });
	}
	return { series, points: used, bytes, truncated };
}

/** Every point of a range, series by series; for scans. Reads a thousand at a time, so that the caller may pause. */
export function* eachPoint(
	database: Connection,
	range: TimeRange & { readonly service?: string },
): Generator<{ readonly series: MetricSeries; readonly point: MetricPoint }> {
	const service = range.service === undefined ? {} : { service: range.service };
	const wanted = querySeries(database, { ...service, attributes: [], limit: Number.POSITIVE_INFINITY });
	const statement = database
		.prepare<[bigint, bigint, bigint, bigint], PointRow>(
			`SELECT ${POINT_COLUMNS} FROM metric_points WHERE series = ? AND time_ns <= ? AND (time_ns, ordinal) > (?, ?)
			ORDER BY time_ns, ordinal LIMIT 1000`,
		)
		.safeIntegers();
	const { first, last } = stored(range);
	for (const { rowId, type, series } of wanted) {
		let before = { time_ns: first, ordinal: -1n };
		for (;;) {
			const rows = statement.all(rowId, last, before.time_ns, before.ordinal);
			for (const row of rows) yield { series, point: pointOf(row, type) };
			if (rows.length < 1000) break;
			before = rows.at(-1)!;
		}
	}
}

function pointOf(row: PointRow, type: MetricSeriesKey["type"]): MetricPoint {
	return metricPointOf(
		{
			timeNs: row.time_ns,
			startTimeNs: row.start_time_ns,
			flags: Number(row.flags),
			...(row.raw === null ? {} : { raw: row.raw }),
			...(row.int_value === null ? {} : { intValue: row.int_value }),
			...(row.double_value === null ? {} : { doubleValue: row.double_value }),
		},
		type,
	);
}
