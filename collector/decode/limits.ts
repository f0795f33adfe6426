/**
 * The bounds every decoder holds a payload to, whatever its encoding. They are checked while reading, before anything is built
 * from what exceeds them.
 */
export interface DecodeLimits {
	/** Spans, log records or metric points a batch; more refuse the batch with `payload_too_large`. */
	readonly maxRecords: number;
	/** Attributes a record, and a resource. */
	readonly maxAttributes: number;
	/** Protobuf bytes a record. */
	readonly maxRecordBytes: number;
	/** Lists (arrays and key-value lists) inside one another in a value. */
	readonly maxDepth: number;
	/** Buckets, bounds, quantiles and exemplars a metric point, each. */
	readonly maxBuckets: number;
	/** Points and distinct series a metric batch: unlike spans they are objects while they pass, some 300 and 1,000 bytes each. */
	readonly maxPoints: number;
	readonly maxSeries: number;
	/** Characters of a metric batch's distinct series, each with its resource and scope: so it is stored. */
	readonly maxSeriesChars: number;
}

export const DEFAULT_LIMITS: DecodeLimits = Object.freeze({
	maxRecords: 262_144,
	maxAttributes: 1024,
	maxRecordBytes: 4 * 1024 * 1024,
	maxDepth: 32,
	maxBuckets: 4096,
	maxPoints: 250_000,
	maxSeries: 100_000,
	maxSeriesChars: 128 * 1024 * 1024,
});
