/**
 * Which metric series of one window file answer a query, and what they are called.
 */
import { MeshscopeError } from "../../model/errors.ts";
import type { MetricSeriesKey } from "../../model/metric.ts";
import { matchesScalar, scalarText } from "../../model/otlp/attribute-match.ts";
import { attributesFromCanonical, plainFromCanonical } from "../../model/otlp/canonical.ts";
import type { AttributeFilter, MetricSeries, MetricSeriesQuery, MetricType } from "../store.ts";
import type { Connection } from "./database.ts";
import { stored, type TimeRange } from "./metric-time.ts";

const TYPES: readonly MetricType[] = ["gauge", "sum", "histogram", "exponential_histogram", "summary"];
const TEMPORALITIES = ["unspecified", "delta", "cumulative"] as const;

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

/** The number under which answers know a series: 53 bits of its identity, the same in every window. */
function seriesNumber(identity: Uint8Array): string {
	const view = new DataView(identity.buffer, identity.byteOffset, identity.byteLength);
	return (view.getBigUint64(0) >> 11n).toString();
}
