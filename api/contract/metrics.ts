/** `/api/v1/metrics`: the series that were received, and their points. */
import * as z from "zod";
import { attributes, CAPS, commonQuery, decimalString, DEFAULT_LIMITS, limitParameter, text, timeUnixNano } from "./common.ts";

export const AGGREGATIONS = ["last", "avg", "min", "max", "sum", "rate"] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

const selector = {
	name: text.optional().meta({ description: "Exact metric name.", examples: ["istio_requests_total"] }),
	service: commonQuery.service,
	attr: commonQuery.attr,
};

export const metricSeriesQuery = z.object({ ...selector, limit: limitParameter("series", DEFAULT_LIMITS.series, CAPS.series) });

export const metricPointQuery = z.object({
	...selector,
	from: commonQuery.from,
	to: commonQuery.to,
	step: text.optional().meta({
		description: `Gathers number points into buckets of this length, aligned to the epoch; at most ${CAPS.steps} in the range.`,
		examples: ["1m"],
	}),
	agg: z
		.enum(AGGREGATIONS)
		.optional()
		.meta({
			description:
				"What a bucket says, with `step`. `rate` is the change per second: counter resets are recognised, delta sums are added up. " +
				"Histograms and summaries always answer the last point of a bucket. Default `last`.",
			examples: ["rate"],
		}),
	limit: limitParameter("series", DEFAULT_LIMITS.series, CAPS.series),
});

export const metricSeries = z
	.object({
		id: decimalString.meta({ description: "Stable within one data directory." }),
		name: z.string(),
		description: z.string(),
		unit: z.string(),
		type: z.enum(["gauge", "sum", "histogram", "exponential_histogram", "summary"]),
		temporality: z.enum(["unspecified", "delta", "cumulative"]),
		monotonic: z.boolean(),
		service: z.string(),
		attributes,
		resource: attributes,
		lastTimeUnixNano: timeUnixNano,
	})
	.meta({
		id: "MetricSeries",
		examples: [
			{
				id: "17",
				name: "istio_requests_total",
				description: "",
				unit: "1",
				type: "sum",
				temporality: "cumulative",
				monotonic: true,
				service: "gateway",
				attributes: { response_code: "200" },
				resource: { "service.name": "gateway" },
				lastTimeUnixNano: "1767225600000000000",
			},
		],
	});

const damagedWindows = z
	.array(z.string())
	.readonly()
	.meta({ description: "Windows that could not be read; the rest was looked at." });

export const metricSeriesAnswer = z
	.object({ series: z.array(metricSeries).readonly(), damagedWindows })
	.meta({ id: "MetricSeriesAnswer" });
export type MetricSeriesAnswer = z.infer<typeof metricSeriesAnswer>;

const exponentialBuckets = z.object({ offset: z.number(), bucketCounts: z.array(decimalString).readonly() });

/** JSON has no NaN and no infinity; OTLP JSON writes them as these strings. */
const double = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]);

export const metricPoint = z
	.object({
		timeUnixNano: timeUnixNano.meta({ description: "The point's time; with `step`, the start of its bucket." }),
		startTimeUnixNano: timeUnixNano,
		value: z.union([z.number(), z.string()]).optional().meta({
			description: "Number points: a double, or a 64-bit integer as decimal string; `NaN` and infinities as strings.",
		}),
		count: decimalString.optional(),
		sum: double.optional(),
		min: double.optional(),
		max: double.optional(),
		explicitBounds: z.array(double).readonly().optional(),
		bucketCounts: z.array(decimalString).readonly().optional().meta({ description: "One longer than `explicitBounds`." }),
		exponential: z
			.object({
				scale: z.number(),
				zeroCount: decimalString,
				zeroThreshold: double,
				positive: exponentialBuckets,
				negative: exponentialBuckets,
			})
			.optional(),
		quantiles: z
			.array(z.object({ quantile: double, value: double }))
			.readonly()
			.optional(),
		flags: z.number(),
	})
	.meta({
		id: "MetricPoint",
		description: "One OTLP number, histogram, exponential histogram or summary data point.",
		examples: [{ timeUnixNano: "1767225600000000000", startTimeUnixNano: "1767222000000000000", value: "42", flags: 0 }],
	});

export const metricPointAnswer = z
	.object({
		window: z.object({ fromUnixNano: timeUnixNano, toUnixNano: timeUnixNano }),
		stepNs: decimalString.optional().meta({ description: "Bucket length in nanoseconds, when `step` was given." }),
		series: z
			.array(
				z.object({
					series: metricSeries,
					aggregation: z
						.enum(AGGREGATIONS)
						.optional()
						.meta({ description: "What the buckets say, when `step` was given." }),
					points: z.array(metricPoint).readonly().meta({ description: "Oldest first; empty buckets are left out." }),
				}),
			)
			.readonly(),
		truncated: z.boolean().meta({
			description: `True when the range held more than ${CAPS.points} points, or 16 MiB of histograms, summaries and exemplars.`,
		}),
		damagedWindows,
	})
	.meta({ id: "MetricPointAnswer" });
export type MetricPointAnswer = z.infer<typeof metricPointAnswer>;
