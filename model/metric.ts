/**
 * Metric points on their way to the store: decoded once, since their volume is small beside spans.
 */

export interface MetricSeriesKey {
	readonly name: string;
	readonly description: string;
	readonly unit: string;
	/** 0 gauge, 1 sum, 2 histogram, 3 exponential histogram, 4 summary. */
	readonly type: 0 | 1 | 2 | 3 | 4;
	/** OTLP AggregationTemporality: 0 unspecified, 1 delta, 2 cumulative. */
	readonly temporality: 0 | 1 | 2;
	readonly monotonic: boolean;
	readonly service: string;
	/** Canonical JSON (sorted keys, typed values) of attributes, resource and scope. */
	readonly attributes: string;
	readonly resource: string;
	readonly scope: string;
}

export interface MetricPointRecord {
	/** Index into `MetricBatch.series`. */
	readonly series: number;
	readonly timeNs: bigint;
	readonly startTimeNs: bigint;
	/** Number points only. */
	readonly doubleValue?: number;
	readonly intValue?: bigint;
	/** The data point's own protobuf bytes, for everything that is not a plain number. */
	readonly raw?: Uint8Array;
	readonly flags: number;
}

/** A self-contained set of points; series are unique by `identity`. */
export interface MetricBatch {
	readonly series: readonly MetricSeriesKey[];
	readonly points: readonly MetricPointRecord[];
}

export const EMPTY_METRIC_BATCH: MetricBatch = { series: [], points: [] };
