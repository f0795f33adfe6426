import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { DEFAULT_LIMITS } from "../../collector/decode/limits.ts";
import { decodeMetrics } from "../../collector/decode/metrics.ts";
import { MeshscopeError } from "../../model/errors.ts";
import { timeNs } from "../../model/time.ts";
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { metricsData } from "../conformance/metric-arbitraries.ts";
import { protobufjsEncode } from "../conformance/otlp-arbitraries.ts";
import type { MetricPointQuery } from "../store.ts";
import { Catalog } from "./catalog.ts";
import { type Connection, openForWriting } from "./database.ts";
import { eachPoint, queryPoints } from "./metric-points.ts";
import { querySeries } from "./metric-series.ts";
import { MetricWriter } from "./metric-writer.ts";
import { metricPoints, metricSeries } from "./metrics.ts";
import { windowPath, WindowSet } from "./window-set.ts";

function temporaryDirectory(t: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "meshscope-metrics-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

function openWindow(t: TestContext): Connection {
	const database = openForWriting(join(temporaryDirectory(t), "w.db"), "window");
	t.after(() => database.close());
	return database;
}

function gauge(name: string, more: Partial<MetricSeriesKey> = {}): MetricSeriesKey {
	const texts = { description: "", unit: "1", service: "cart", attributes: "{}", resource: "{}", scope: "{}" };
	return { name, type: 0, temporality: 0, monotonic: false, ...texts, ...more };
}

function batch(series: MetricSeriesKey, ...points: Omit<MetricPointRecord, "series">[]): MetricBatch {
	return { series: [series], points: points.map((point) => ({ series: 0, ...point })) };
}

function point(time: bigint, doubleValue: number): Omit<MetricPointRecord, "series"> {
	return { timeNs: time, startTimeNs: 0n, doubleValue, flags: 0 };
}

const everything: MetricPointQuery = {
	attributes: [],
	limit: 10_000,
	fromNs: timeNs(0n),
	toNs: timeNs(1n << 62n),
	maxPoints: 100_000,
};

test("points come back as they were decoded, whatever their type and value", (t) => {
	const database = openWindow(t);
	const writer = new MetricWriter(database);
	fc.assert(
		fc.property(metricsData, (json) => {
			const { batch: decoded } = decodeMetrics(protobufjsEncode("MetricsData", json), DEFAULT_LIMITS);
			database.exec("BEGIN");
			try {
				assert.equal(writer.insert(decoded), decoded.points.length);
				const expected = decoded.points.map((each) => {
					const key = decoded.series[each.series]!;
					return JSON.stringify([key.name, key.unit, key.attributes, shown(metricPointOf(each, key.type))]);
				});
				const stored = [...eachPoint(database, { fromNs: 0n, toNs: 1n << 64n })];
				assert.equal(stored.length, expected.length);
				const keys = new Map(querySeries(database, everything).map((each) => [each.series.id, each]));
				const attributesOf = new Map(
					database
						.prepare<[], { id: number; attributes: string }>("SELECT id, attributes FROM metric_series")
						.all()
						.map((row) => [BigInt(row.id), row.attributes]),
				);
				for (const { series, point } of stored) {
					const key = keys.get(series.id)!;
					const text = JSON.stringify([series.name, series.unit, attributesOf.get(key.rowId), shown(point)]);
					const at = expected.indexOf(text);
					assert.notEqual(at, -1, text);
					expected.splice(at, 1);
				}
			} finally {
				database.exec("ROLLBACK");
			}
		}),
		{ numRuns: 300 },
	);
});

/** Text that tells NaN, the infinities and -0 apart, whatever the order of keys. */
function shown(value: object): string {
	return inspect(value, { depth: null, sorted: true, compact: true });
}

test("two points of one series and time both stay", (t) => {
	const database = openWindow(t);
	const writer = new MetricWriter(database);
	writer.insert(batch(gauge("g"), point(5n, 1), point(5n, 2)));
	writer.insert(batch(gauge("g"), point(5n, 3)));
	assert.deepEqual(
		queryPoints(database, everything, 10).series.map(({ points }) => points.map(({ value }) => value)),
		[[1, 2, 3]],
	);
});

test("times beyond a signed integer keep their value and come last", (t) => {
	const database = openWindow(t);
	const writer = new MetricWriter(database);
	const late = (1n << 64n) - 1n;
	writer.insert(batch(gauge("g"), point(late, 2), point(7n, 1)));
	const { series } = queryPoints(database, { ...everything, toNs: (1n << 64n) as never }, 10);
	assert.deepEqual(
		series[0]!.points.map(({ timeUnixNano }) => timeUnixNano),
		["7", late.toString()],
	);
});

test("series ids of a transaction that was rolled back are not used again", (t) => {
	const database = openWindow(t);
	const writer = new MetricWriter(database);
	writer.insert(batch(gauge("kept"), point(1n, 1)));
	database.exec("BEGIN");
	writer.insert(batch(gauge("lost"), point(1n, 1)));
	database.exec("ROLLBACK");
	writer.insert(batch(gauge("other"), point(2n, 2)));
	writer.insert(batch(gauge("lost"), point(3n, 3)));
	const { series } = queryPoints(database, everything, 10);
	assert.deepEqual(
		series.map(({ series: { series }, points }) => [series.name, points.map(({ value }) => value)]),
		[
			["kept", [1]],
			["lost", [3]],
			["other", [2]],
		],
	);
});

test("series are found by name, service and attributes of the point or its resource", (t) => {
	const database = openWindow(t);
	const writer = new MetricWriter(database);
	const attributes = '{"code":{"intValue":"200"}}';
	const resource = '{"host":{"stringValue":"a"}}';
	writer.insert(batch(gauge("g", { attributes, resource }), point(1n, 1)));
	writer.insert(batch(gauge("g", { attributes: '{"code":{"stringValue":"200"}}' }), point(1n, 1)));
	writer.insert(batch(gauge("h", { service: "shop" }), point(1n, 1)));
	const count = (query: Partial<MetricPointQuery>): number => querySeries(database, { ...everything, ...query }).length;
	assert.equal(count({}), 3);
	assert.equal(count({ name: "g" }), 2);
	assert.equal(count({ service: "shop" }), 1);
	assert.equal(count({ attributes: [{ key: "code", value: "200", type: "text" }] }), 2);
	assert.equal(count({ attributes: [{ key: "code", value: "0200", type: "int" }] }), 1);
	assert.equal(
		count({
			attributes: [
				{ key: "code", value: "200", type: "string" },
				{ key: "host", value: "a", type: "text" },
			],
		}),
		0,
	);
	assert.equal(count({ attributes: [{ key: "host", value: "a", type: "string" }] }), 1);
	assert.equal(count({ limit: 2 }), 2);
});

function directoryWithWindows(t: TestContext, batches: readonly MetricBatch[]): WindowSet {
	const directory = temporaryDirectory(t);
	mkdirSync(join(directory, "windows"));
	const catalog = new Catalog(directory, () => {});
	for (const [i, each] of batches.entries()) {
		const name = `20260101T0${i}-0001`;
		const database = openForWriting(windowPath(directory, name), "window");
		new MetricWriter(database).insert(each);
		database.close();
		catalog.add(name, i, i + 1);
	}
	catalog.close();
	const windows = new WindowSet(directory);
	t.after(() => windows.close());
	return windows;
}

test("a series that several windows hold is one, with its points in order of time", (t) => {
	const windows = directoryWithWindows(t, [
		batch(gauge("g", { description: "old" }), point(1n, 1), point(4n, 4)),
		batch(gauge("g", { description: "new" }), point(2n, 2), point(3n, 3)),
	]);
	const { series } = metricSeries(windows, everything);
	assert.deepEqual(
		series.map(({ name, description, lastTimeUnixNano }) => [name, description, lastTimeUnixNano]),
		[["g", "new", "4"]],
	);
	const answer = metricPoints(windows, { ...everything, toNs: timeNs(4n) });
	assert.equal(answer.truncated, false);
	assert.deepEqual(
		answer.series.map((each) => [each.series.id, each.points.map(({ value }) => value)]),
		[[series[0]!.id, [1, 2, 3]]],
	);
});

test("a budget keeps the points of the newest window and says that it left some out", (t) => {
	const windows = directoryWithWindows(t, [
		batch(gauge("g"), point(1n, 1), point(2n, 2)),
		batch(gauge("g"), point(3n, 3), point(4n, 4)),
	]);
	const answer = metricPoints(windows, { ...everything, maxPoints: 3 });
	assert.equal(answer.truncated, true);
	assert.deepEqual(
		answer.series[0]!.points.map(({ value }) => value),
		[2, 3, 4],
	);
	assert.equal(metricPoints(windows, { ...everything, maxPoints: 4 }).truncated, false);
});

test("series whose attributes and resources are beyond 32 MiB are too many, and named as such", (t) => {
	const large = JSON.stringify({ k: "x".repeat(3 << 20) });
	const batches = [6, 7].map((count, window): MetricBatch => {
		const series = Array.from({ length: count }, (_, i) => gauge(`g${window}-${i}`, { resource: large }));
		return { series, points: series.map((_, i) => ({ series: i, ...point(1n, i) })) };
	});
	const windows = directoryWithWindows(t, batches);
	for (const ask of [metricSeries, metricPoints])
		assert.throws(
			() => ask(windows, everything),
			(error) => error instanceof MeshscopeError && error.code === "query_too_broad" && /`limit`/.test(error.message),
		);
	assert.equal(metricSeries(windows, { ...everything, limit: 5 }).series.length, 5);
	// The same series in another window is no other.
	const twice = directoryWithWindows(t, [batches[1]!, batches[1]!]);
	assert.equal(metricSeries(twice, everything).series.length, 7);
});

test("of points that are more than a number, 16 MiB are read, and the newest are kept", (t) => {
	const points = (from: number): Omit<MetricPointRecord, "series">[] =>
		Array.from({ length: 10 }, (_, i) => {
			const raw = new WireWriter(1 << 20);
			raw.fixed64Field(3, BigInt(from + i));
			// A field that nobody knows.
			raw.bytesField(100, new Uint8Array(1_000_000));
			return { timeNs: BigInt(from + i), startTimeNs: 0n, flags: 0, raw: raw.finish() };
		});
	const histogram = gauge("h", { type: 2 });
	const windows = directoryWithWindows(t, [batch(histogram, ...points(1)), batch(histogram, ...points(11))]);
	const { truncated, series } = metricPoints(windows, everything);
	const times = series[0]!.points.map(({ timeUnixNano }) => timeUnixNano);
	assert.deepEqual([truncated, times[0], times.at(-1), times.length], [true, "5", "20", 16]);
	assert.equal(metricPoints(windows, { ...everything, fromNs: timeNs(8n) }).truncated, false);
});

test("the limit counts series that have points in the range", (t) => {
	const windows = directoryWithWindows(t, [batch(gauge("a"), point(1n, 1)), batch(gauge("b"), point(5n, 5))]);
	const answer = metricPoints(windows, { ...everything, fromNs: timeNs(5n), limit: 1 });
	assert.deepEqual(
		answer.series.map((each) => each.series.name),
		["b"],
	);
});
