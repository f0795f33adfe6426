import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MeshscopeError } from "../../model/errors.ts";
import type { MetricSeriesKey } from "../../model/metric.ts";
import { plainFromCanonical } from "../../model/otlp/canonical.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { WireError } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { metricsData } from "../../store/conformance/metric-arbitraries.ts";
import { protobufjsEncode } from "../../store/conformance/otlp-arbitraries.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { decodeMetrics, type MetricDecodeResult } from "./metrics.ts";

const numRuns = Number(process.env["MESHSCOPE_FUZZ_CASES"] ?? 5_000);

function decode(json: object, limits = DEFAULT_LIMITS): MetricDecodeResult {
	return decodeMetrics(protobufjsEncode("MetricsData", json), limits);
}

function withMetrics(...metrics: object[]): object {
	return { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] };
}

/** A request around one data point. */
function onePoint(kind: string, point: object, name = "m"): object {
	return withMetrics({ name, [kind]: { dataPoints: [point], aggregationTemporality: 2 } });
}

function times<T>(count: number, value: T): T[] {
	return Array.from({ length: count }, () => value);
}

type Point = Readonly<Record<string, unknown>>;
const KINDS = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] as const;

/** What a decoder that builds everything would answer, point by point. */
function expectedPoints(json: object): unknown[] {
	const out: unknown[] = [];
	for (const group of (json as { resourceMetrics?: { scopeMetrics?: { metrics?: Point[] }[] }[] }).resourceMetrics ?? []) {
		for (const metric of (group.scopeMetrics ?? []).flatMap(({ metrics }) => metrics ?? [])) {
			for (const [type, kind] of KINDS.entries()) {
				const data = metric[kind] as { dataPoints?: Point[] } | undefined;
				for (const point of data?.dataPoints ?? []) {
					if (type <= 1 && point["asDouble"] === undefined && point["asInt"] === undefined && point["flags"] !== 1)
						continue;
					out.push({ name: metric["name"] ?? "", type, point: expectedPoint(point, type) });
				}
			}
		}
	}
	return out;
}

const number = (value: unknown) => (value === undefined ? undefined : Number(value));

function expectedPoint(point: Point, type: number): object {
	const base = {
		timeUnixNano: point["timeUnixNano"] ?? "0",
		startTimeUnixNano: point["startTimeUnixNano"] ?? "0",
		flags: point["flags"] ?? 0,
	};
	const side = (value: unknown) => {
		const { offset = 0, bucketCounts = [] } = (value ?? {}) as { offset?: number; bucketCounts?: string[] };
		return { offset, bucketCounts };
	};
	const optional = Object.fromEntries(
		["sum", "min", "max"].filter((key) => point[key] !== undefined).map((key) => [key, number(point[key])]),
	);
	if (type <= 1) {
		const value = point["asDouble"] === undefined ? point["asInt"] : number(point["asDouble"]);
		return value === undefined ? base : { ...base, value };
	}
	const count = point["count"] ?? "0";
	if (type === 2) {
		return {
			...base,
			...optional,
			count,
			bucketCounts: point["bucketCounts"] ?? [],
			explicitBounds: point["explicitBounds"] ?? [],
		};
	}
	if (type === 3) {
		const exponential = {
			scale: point["scale"] ?? 0,
			zeroCount: point["zeroCount"] ?? "0",
			zeroThreshold: point["zeroThreshold"] ?? 0,
			positive: side(point["positive"]),
			negative: side(point["negative"]),
		};
		return { ...base, ...optional, count, exponential };
	}
	const quantiles = ((point["quantileValues"] ?? []) as { quantile?: number; value?: unknown }[]).map(
		({ quantile = 0, value }) => ({
			quantile,
			value: number(value) ?? 0,
		}),
	);
	return { ...base, sum: number(point["sum"]) ?? 0, count, quantiles };
}

test("every point is read as a full decoder reads it, and series are unique", () => {
	fc.assert(
		fc.property(metricsData, (json) => {
			const { batch, dropped, messages } = decode(json);
			assert.ok(
				Object.keys(dropped).every((reason) => reason === "invalid_metric_point"),
				messages.join("; "),
			);
			const actual = batch.points.map((record) => {
				const series = batch.series[record.series]!;
				return { name: series.name, type: series.type, point: metricPointOf(record, series.type) };
			});
			assert.deepEqual(actual, expectedPoints(json));
			const identities = batch.series.map((series) => JSON.stringify({ ...series, description: "" }));
			assert.equal(new Set(identities).size, identities.length);
		}),
		{ numRuns: Math.ceil(numRuns / 10) },
	);
});

test("damaged and random payloads are decoded, dropped in part or refused, and never anything else", () => {
	const attempt = (bytes: Uint8Array) => {
		try {
			const { batch } = decodeMetrics(bytes, DEFAULT_LIMITS);
			for (const record of batch.points) metricPointOf(record, batch.series[record.series]!.type);
		} catch (error) {
			assert.ok(error instanceof MeshscopeError || error instanceof WireError, String(error));
		}
	};
	const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 5 });
	fc.assert(
		fc.property(metricsData, edits, (json, changes) => {
			const bytes = protobufjsEncode("MetricsData", json);
			for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
			attempt(bytes);
		}),
		{ numRuns },
	);
	fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), attempt), { numRuns });
});

test("a series is told apart by resource, scope, name, unit, type, temporality and attributes, not by description", () => {
	const point = { asInt: "1" };
	const metric = {
		name: "m",
		unit: "1",
		description: "a",
		sum: { dataPoints: [point], aggregationTemporality: 2, isMonotonic: true },
	};
	const variants = [
		metric,
		{ ...metric, description: "b" },
		{ ...metric, name: "n" },
		{ ...metric, unit: "s" },
		{ ...metric, sum: { ...metric.sum, aggregationTemporality: 1 } },
		{ ...metric, sum: { ...metric.sum, isMonotonic: false } },
		{ ...metric, sum: undefined, gauge: { dataPoints: [point] } },
		{
			...metric,
			sum: { ...metric.sum, dataPoints: [{ ...point, attributes: [{ key: "a", value: { stringValue: "1" } }] }] },
		},
		{ ...metric, sum: { ...metric.sum, dataPoints: [{ ...point, attributes: [{ key: "a", value: { intValue: "1" } }] }] } },
	];
	const { batch } = decode(withMetrics(...variants));
	assert.deepEqual(
		batch.points.map(({ series }) => series),
		[0, 0, 1, 2, 3, 4, 5, 6, 7],
	);
	const service = { attributes: [{ key: "service.name", value: { stringValue: "s" } }] };
	const two = decode({
		resourceMetrics: [
			{ scopeMetrics: [{ metrics: [metric] }, { scope: { name: "x" }, metrics: [metric] }] },
			{ resource: service, scopeMetrics: [{ metrics: [metric] }] },
		],
	});
	assert.deepEqual(
		two.batch.series.map((series) => [series.service, series.scope]),
		[
			["", '{"name":"","version":"","attributes":{}}'],
			["", '{"name":"x","version":"","attributes":{}}'],
			["s", '{"name":"","version":"","attributes":{}}'],
		],
	);
});

test("attributes in another order are the same series, and their types survive", () => {
	const a = { key: "a", value: { intValue: "9007199254740993" } };
	const proto = { key: "__proto__", value: { stringValue: "x" } };
	const map = { key: "m", value: { kvlistValue: { values: [a, proto] } } };
	const mapTurned = { key: "m", value: { kvlistValue: { values: [proto, a] } } };
	const { batch } = decode(
		withMetrics({
			name: "m",
			gauge: {
				dataPoints: [
					{ asInt: "1", attributes: [a, proto, map] },
					{ asInt: "2", attributes: [mapTurned, proto, a] },
				],
			},
		}),
	);
	assert.equal(batch.series.length, 1);
	const plain = plainFromCanonical(batch.series[0]!.attributes);
	assert.equal(JSON.stringify(plain), '{"__proto__":"x","a":"9007199254740993","m":{"__proto__":"x","a":"9007199254740993"}}');
});

test("NaN and the infinities are kept", () => {
	for (const value of ["NaN", "Infinity", "-Infinity"]) {
		assert.equal(decode(onePoint("gauge", { asDouble: value })).batch.points[0]!.doubleValue, Number(value));
		const { batch } = decode(onePoint("histogram", { sum: value, min: value, max: value }));
		assert.equal(metricPointOf(batch.points[0]!, 2).sum, Number(value));
	}
});

test("points that contradict themselves are dropped one by one, each with its reason", () => {
	const cases: readonly (readonly [string, object])[] = [
		["gauge", {}],
		["histogram", { bucketCounts: ["1"], explicitBounds: [1] }],
		["histogram", { bucketCounts: ["1", "1", "1"], explicitBounds: [1] }],
		["histogram", { explicitBounds: [1] }],
		["histogram", { bucketCounts: ["1", "1", "1"], explicitBounds: [2, 1] }],
		["histogram", { bucketCounts: ["1", "1", "1"], explicitBounds: [1, 1] }],
		["histogram", { bucketCounts: ["1", "1"], explicitBounds: ["NaN"] }],
		["exponentialHistogram", { scale: 100, positive: { bucketCounts: ["1"] } }],
		["exponentialHistogram", { scale: -100 }],
		["exponentialHistogram", { scale: 0, positive: { offset: 2_147_483_647, bucketCounts: ["1"] } }],
		["exponentialHistogram", { scale: 5, negative: { offset: -2_147_483_648, bucketCounts: ["1"] } }],
		["summary", { quantileValues: [{ quantile: 1.5 }] }],
		["summary", { quantileValues: [{ quantile: "NaN" }] }],
	];
	for (const [kind, point] of cases) {
		const { batch, dropped, messages } = decode(onePoint(kind, point));
		assert.equal(batch.points.length, 0, JSON.stringify(point));
		assert.deepEqual(dropped, { invalid_metric_point: 1 }, JSON.stringify(point));
		assert.match(messages[0]!, /^"m"\[0\]: /);
	}
});

test("points at the edge of what is allowed are kept", () => {
	const cases: readonly (readonly [string, object])[] = [
		["gauge", { flags: 1 }],
		["histogram", { count: "5" }],
		["histogram", { count: "5", bucketCounts: ["5"] }],
		["histogram", { count: "5", bucketCounts: ["1", "1"], explicitBounds: [0] }],
		["histogram", { bucketCounts: ["1", "1", "1"], explicitBounds: ["-Infinity", "Infinity"] }],
		["exponentialHistogram", { scale: 20, positive: { offset: -1_073_741_824, bucketCounts: ["1"] } }],
		["exponentialHistogram", { scale: -10, positive: { offset: -2, bucketCounts: ["1", "1", "1", "1"] } }],
		["exponentialHistogram", { scale: 0, positive: { offset: 2_147_483_647 } }],
		["summary", { quantileValues: [{ quantile: 0, value: "NaN" }, { quantile: 1 }] }],
	];
	for (const [kind, point] of cases) {
		const { batch, messages } = decode(onePoint(kind, point));
		assert.equal(batch.points.length, 1, `${JSON.stringify(point)}: ${messages.join()}`);
	}
});

test("what exceeds a limit is dropped alone: attributes, buckets, bytes, depth", () => {
	const attribute = { key: "k", value: { stringValue: "v" } };
	let deep: object = { stringValue: "core" };
	for (let i = 0; i < 33; i++)
		deep = i % 2 === 0 ? { arrayValue: { values: [deep] } } : { kvlistValue: { values: [{ key: "k", value: deep }] } };
	const ok = { asInt: "1" };
	const cases: readonly (readonly [string, object, string])[] = [
		["gauge", { ...ok, attributes: times(1025, attribute) }, "too_many_attributes"],
		["gauge", { ...ok, attributes: [{ key: "k", value: deep }] }, "too_deep"],
		["gauge", { ...ok, attributes: [{ key: "k", value: { stringValue: "v".repeat(5_000_000) } }] }, "record_too_large"],
		["gauge", { ...ok, exemplars: times(5_000, { asInt: "1" }) }, "record_too_large"],
		[
			"histogram",
			{ bucketCounts: times(5_000, "1"), explicitBounds: Array.from({ length: 4_999 }, (_, i) => i) },
			"record_too_large",
		],
		["exponentialHistogram", { positive: { bucketCounts: times(5_000, "1") } }, "record_too_large"],
		["summary", { quantileValues: times(5_000, { quantile: 0.5 }) }, "record_too_large"],
	];
	for (const [kind, point, reason] of cases) {
		const { batch, dropped } = decode(onePoint(kind, point));
		assert.deepEqual([batch.points.length, dropped], [0, { [reason]: 1 }]);
	}
	assert.equal(decode(onePoint("gauge", { ...ok, attributes: times(1024, attribute) })).batch.points.length, 1);
});

test("a malformed point costs itself, a malformed request the batch", () => {
	const writer = new WireWriter();
	const marks = [writer.begin(1), writer.begin(2), writer.begin(2)];
	writer.stringField(1, "m");
	const gauge = writer.begin(5);
	const point = writer.begin(1);
	writer.fixed64Field(6, 1n);
	writer.end(point);
	writer.bytesField(1, Uint8Array.of(0x31, 1, 2));
	writer.end(gauge);
	for (const mark of marks.toReversed()) writer.end(mark);
	const bytes = writer.finish();
	const { batch, dropped } = decodeMetrics(bytes, DEFAULT_LIMITS);
	assert.deepEqual([batch.points.length, dropped], [1, { malformed_record: 1 }]);
	assert.throws(
		() => decodeMetrics(bytes.subarray(0, bytes.length - 1), DEFAULT_LIMITS),
		(error) => error instanceof MeshscopeError && error.code === "malformed_payload",
	);
	assert.deepEqual(decodeMetrics(new Uint8Array(0), DEFAULT_LIMITS).batch, { series: [], points: [] });
});

test("four million empty points are counted and refused before one is built", () => {
	const count = 4_000_000;
	const writer = new WireWriter(count * 2 + 100);
	const marks = [writer.begin(1), writer.begin(2), writer.begin(2), writer.begin(5)];
	const empty = new Uint8Array(count * 2);
	for (let i = 0; i < empty.length; i += 2) empty[i] = 0x0a;
	writer.raw(empty);
	for (const mark of marks.toReversed()) writer.end(mark);
	const bytes = writer.finish();
	const heapBefore = process.memoryUsage().heapUsed;
	const started = performance.now();
	assert.throws(
		() => decodeMetrics(bytes, DEFAULT_LIMITS),
		(error) => error instanceof MeshscopeError && error.code === "payload_too_large",
	);
	assert.ok(performance.now() - started < 2_000);
	assert.ok(process.memoryUsage().heapUsed - heapBefore < 50_000_000);
});

test("empty groups and a resource of empty attributes are bounded", () => {
	const groups = new Uint8Array(4_000_000);
	for (let i = 0; i < groups.length; i += 2) groups[i] = 0x0a;
	const refused = (code: string) => (error: unknown) => error instanceof MeshscopeError && error.code === code;
	assert.throws(() => decodeMetrics(groups, DEFAULT_LIMITS), refused("payload_too_large"));
	const writer = new WireWriter();
	const group = writer.begin(1);
	writer.bytesField(1, groups.subarray(0, 4_000));
	writer.end(group);
	assert.throws(() => decodeMetrics(writer.finish(), DEFAULT_LIMITS), refused("malformed_payload"));
	assert.throws(
		() =>
			decode(
				withMetrics(
					...Array.from({ length: 11 }, (_, i) => ({ name: `m${i}`, gauge: { dataPoints: [{ asInt: "1" }] } })),
				),
				{ ...DEFAULT_LIMITS, maxSeries: 10 },
			),
		refused("payload_too_large"),
	);
});

test("series under one large resource are bounded by the text that is stored of them: each row has it", () => {
	const metrics = (count: number): object[] =>
		Array.from({ length: count }, (_, i) => ({ name: `m${i}`, gauge: { dataPoints: [{ asInt: "1" }] } }));
	const resource = { attributes: [{ key: "k", value: { stringValue: "x".repeat(1 << 20) } }] };
	const json = (count: number): object => ({ resourceMetrics: [{ resource, scopeMetrics: [{ metrics: metrics(count) }] }] });
	assert.equal(decode(json(100)).batch.series.length, 100);
	assert.throws(
		() => decode(json(200)),
		(error) => error instanceof MeshscopeError && error.code === "payload_too_large" && /resource/.test(error.message),
	);
});

test("a fault of a whole request names the fix", () => {
	const attributes = Array.from({ length: 3 }, (_, i) => ({ key: `k${i}`, value: { intValue: "1" } }));
	const json = { resourceMetrics: [{ resource: { attributes }, scopeMetrics: [] }] };
	assert.throws(() => decode(json, { ...DEFAULT_LIMITS, maxAttributes: 2 }), /remove some or raise --max-attributes/);
	assert.throws(() => decode(json, { ...DEFAULT_LIMITS, maxRecordBytes: 20 }), /remove attributes or raise --max-record/);
	assert.throws(() => decodeMetrics(Uint8Array.of(0x0a, 0x05, 0x01), DEFAULT_LIMITS), /check the exporter's encoding/);
});

test("only points that are more than a plain number keep their bytes, without their attributes", () => {
	const attributes = [{ key: "k", value: { stringValue: "v" } }];
	assert.equal(decode(onePoint("gauge", { asInt: "-5", timeUnixNano: "7", attributes })).batch.points[0]!.raw, undefined);
	const { batch } = decode(onePoint("gauge", { asInt: "-5", timeUnixNano: "7", attributes, exemplars: [{ asInt: "1" }] }));
	const types: MetricSeriesKey["type"] = 0;
	const point = batch.points[0]!;
	assert.deepEqual(metricPointOf(point, types), { timeUnixNano: "7", startTimeUnixNano: "0", value: "-5", flags: 0 });
	assert.deepEqual(
		[...point.raw!],
		[...protobufjsEncode("NumberDataPoint", { asInt: "-5", timeUnixNano: "7", exemplars: [{ asInt: "1" }] })],
	);
});
