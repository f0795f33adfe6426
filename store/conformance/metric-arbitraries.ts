/** Random OTLP metrics as JSON: points of every type whose parts agree with each other. Tests only. */
import fc from "fast-check";
import { attributes, canonical, double, hexId, int64, keyValue, resource, scope, text, uint64 } from "./otlp-arbitraries.ts";

const flags = fc.constantFrom(0, 0, 1);
const maybeDouble = fc.option(double, { nil: undefined });

const numberValue = fc.oneof(
	double.map((asDouble) => ({ asDouble })),
	int64.map((value) => ({ asInt: String(value) })),
);

const exemplar = fc
	.record({ timeUnixNano: uint64, spanId: hexId(8), traceId: hexId(16), filteredAttributes: attributes, value: numberValue })
	.map(({ value, ...rest }) => ({ ...canonical<object>(rest), ...value }));

const exemplars = fc.array(exemplar, { maxLength: 1 });

const pointBase = { startTimeUnixNano: uint64, timeUnixNano: uint64, attributes, flags, exemplars };

export const numberPoint = fc
	.record({ ...pointBase, value: fc.option(numberValue, { nil: {}, freq: 10 }) })
	.map(({ value, ...rest }) => ({ ...canonical<object>(rest), ...value }));

const bucketCount = fc.bigInt({ min: 0n, max: 1n << 40n });

/** `sum`, `min` and `max` are optional on the wire: a zero stays where it was given. */
function withOptional(base: object, optional: Readonly<Record<string, unknown>>): object {
	return { ...base, ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) };
}

export const histogramPoint = fc
	.record({
		...pointBase,
		bounds: fc.uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }), {
			maxLength: 5,
			comparator: (a, b) => a === b,
		}),
		counts: fc.array(bucketCount, { minLength: 6, maxLength: 6 }),
		bare: fc.boolean(),
		sum: maybeDouble,
		min: maybeDouble,
		max: maybeDouble,
	})
	.map(({ bounds, counts, bare, sum, min, max, ...rest }) => {
		const bucketCounts = bare ? [] : counts.slice(0, bounds.length + 1);
		const base = canonical<object>({
			...rest,
			bucketCounts: bucketCounts.map(String),
			explicitBounds: bare ? [] : bounds.toSorted((a, b) => a - b),
			count: String(bare ? counts[0]! : bucketCounts.reduce((total, each) => total + each, 0n)),
		});
		return withOptional(base, { sum, min, max });
	});

const buckets = fc
	.record({ offset: fc.integer({ min: -100, max: 100 }), bucketCounts: fc.array(bucketCount.map(String), { maxLength: 5 }) })
	.map((value) => canonical<{ bucketCounts?: string[] }>(value));

export const exponentialPoint = fc
	.record({
		...pointBase,
		// At scale −3 offset 100 is still a number that a double holds.
		scale: fc.integer({ min: -3, max: 20 }),
		zeroCount: bucketCount,
		zeroThreshold: fc.double({ noNaN: true, min: 0, max: 10 }).map((value) => value + 0),
		positive: fc.option(buckets, { nil: undefined }),
		negative: fc.option(buckets, { nil: undefined }),
		sum: maybeDouble,
		min: maybeDouble,
		max: maybeDouble,
	})
	.map(({ zeroCount, sum, min, max, ...rest }) => {
		let count = zeroCount;
		for (const each of [...(rest.positive?.bucketCounts ?? []), ...(rest.negative?.bucketCounts ?? [])])
			count += BigInt(each);
		return withOptional(canonical<object>({ ...rest, zeroCount: String(zeroCount), count: String(count) }), {
			sum,
			min,
			max,
		});
	});

export const summaryPoint = fc
	.record({
		startTimeUnixNano: uint64,
		timeUnixNano: uint64,
		attributes,
		flags,
		count: uint64,
		sum: double,
		quantileValues: fc.array(
			fc
				.record({ quantile: fc.double({ min: 0, max: 1, noNaN: true }), value: double })
				.map((value) => canonical<object>(value)),
			{ maxLength: 3 },
		),
	})
	.map((value) => canonical<object>(value));

const temporality = fc.constantFrom(1, 2);

function points(point: fc.Arbitrary<object>): fc.Arbitrary<object[]> {
	return fc.array(point, { minLength: 1, maxLength: 3 });
}

const data = fc.oneof(
	fc.record({ dataPoints: points(numberPoint) }).map((gauge) => ({ gauge })),
	fc
		.record({ dataPoints: points(numberPoint), aggregationTemporality: temporality, isMonotonic: fc.constant(true) })
		.map((sum) => ({ sum })),
	fc.record({ dataPoints: points(histogramPoint), aggregationTemporality: temporality }).map((histogram) => ({ histogram })),
	fc
		.record({ dataPoints: points(exponentialPoint), aggregationTemporality: temporality })
		.map((exponentialHistogram) => ({ exponentialHistogram })),
	fc.record({ dataPoints: points(summaryPoint) }).map((summary) => ({ summary })),
);

export const metric = fc
	.record({ name: text, description: text, unit: text, metadata: fc.array(keyValue, { maxLength: 1 }), data })
	.map(({ data: own, ...rest }) => ({ ...canonical<object>(rest), ...own }));

export const metricsData: fc.Arbitrary<object> = fc
	.array(
		fc
			.record({
				resource,
				scopeMetrics: fc.array(
					fc
						.record({ scope, metrics: fc.array(metric, { maxLength: 3 }), schemaUrl: text })
						.map((value) => canonical<object>(value)),
					{ maxLength: 2 },
				),
				schemaUrl: text,
			})
			.map((value) => canonical<object>(value)),
		{ maxLength: 2 },
	)
	.map((resourceMetrics) => canonical<object>({ resourceMetrics }));
