/**
 * The points of one window file's metric series, bounded for an answer or one after another for a scan.
 */
import type { MetricSeriesKey } from "../../model/metric.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import type { MetricPoint, MetricPointQuery, MetricSeries } from "../store.ts";
import type { Connection } from "./database.ts";
import { querySeries, type WindowSeries } from "./metric-series.ts";
import { stored, type TimeRange } from "./metric-time.ts";

/** Of an answer's points that are more than a number: they are several times as large as objects and as JSON. */
export const MAX_POINT_BYTES = 16 << 20;

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
