/** Metric series and their points. */
import assert from "node:assert/strict";
import type { OtlpKeyValue } from "../../model/otlp/types.ts";
import type { MetricPointQuery } from "../store.ts";
import type { Rule } from "./kit.ts";
import { ALL_TIME, at, NOW_MS, string, T0 } from "./workbench.ts";

interface Point {
	readonly timeUnixNano?: string;
	readonly asInt?: string;
	readonly asDouble?: number | string;
	readonly attributes?: readonly OtlpKeyValue[];
}

function request(service: string, ...metrics: readonly object[]): object {
	return { resourceMetrics: [{ resource: { attributes: [string("service.name", service)] }, scopeMetrics: [{ metrics }] }] };
}

function sum(name: string, ...dataPoints: readonly Point[]): object {
	return { name, unit: "1", sum: { dataPoints, aggregationTemporality: 2, isMonotonic: true } };
}

function point(value: number, atMs: number, attributes: readonly OtlpKeyValue[] = []): Point {
	return { timeUnixNano: String(T0 + BigInt(atMs) * 1_000_000n), asInt: String(value), attributes };
}

const everything: MetricPointQuery = { attributes: [], limit: 10_000, maxPoints: 100_000, ...ALL_TIME };

export const METRIC_RULES: readonly Rule[] = [
	{
		title: "points of a series from different groups come back as one series, by time",
		async run(bench) {
			for (const i of [3, 1, 2])
				bench.append({ metrics: [request("a", sum("requests", point(i, i)))], arrivedMs: NOW_MS + i * 3_600_000 });
			bench.maintain(NOW_MS + 4 * 3_600_000);
			const { series, truncated } = await bench.reader.metricPoints({ ...everything, name: "requests" });
			assert.equal(truncated, false);
			assert.equal(series.length, 1);
			assert.deepEqual(
				series[0]!.points.map(({ value }) => value),
				["1", "2", "3"],
			);
			const { id, ...rest } = series[0]!.series;
			assert.match(id, /^\d+$/);
			assert.deepEqual(JSON.parse(JSON.stringify(rest)), {
				name: "requests",
				description: "",
				unit: "1",
				type: "sum",
				temporality: "cumulative",
				monotonic: true,
				service: "a",
				attributes: {},
				resource: { "service.name": "a" },
				lastTimeUnixNano: String(T0 + 3_000_000n),
			});
		},
	},
	{
		title: "every kind of point comes back with all its parts",
		async run(bench) {
			const times = { startTimeUnixNano: "1", timeUnixNano: "18446744073709551615", flags: 1 };
			bench.append({
				metrics: [
					request(
						"a",
						{ name: "double", gauge: { dataPoints: [{ ...times, asDouble: -0.25 }] } },
						{ name: "int", gauge: { dataPoints: [{ ...times, asInt: "-9223372036854775808" }] } },
						{ name: "gap", gauge: { dataPoints: [times] } },
						{
							name: "histogram",
							histogram: {
								aggregationTemporality: 1,
								dataPoints: [
									{
										...times,
										count: "3",
										sum: 6,
										min: 1,
										max: 3,
										bucketCounts: ["1", "2"],
										explicitBounds: [1.5],
									},
								],
							},
						},
						{
							name: "exponential",
							exponentialHistogram: {
								aggregationTemporality: 1,
								dataPoints: [
									{
										...times,
										count: "4",
										scale: 3,
										zeroCount: "1",
										zeroThreshold: 0.5,
										positive: { offset: -2, bucketCounts: ["1", "2"] },
									},
								],
							},
						},
						{
							name: "summary",
							summary: {
								dataPoints: [{ ...times, count: "2", sum: 3, quantileValues: [{ quantile: 0.5, value: 1 }] }],
							},
						},
					),
				],
			});
			const { series } = await bench.reader.metricPoints(everything);
			const points = Object.fromEntries(series.map(({ series: { name, type }, points: own }) => [`${type} ${name}`, own]));
			assert.deepEqual(points, {
				"gauge double": [{ ...times, value: -0.25 }],
				"gauge int": [{ ...times, value: "-9223372036854775808" }],
				"gauge gap": [times],
				"histogram histogram": [
					{ ...times, count: "3", sum: 6, min: 1, max: 3, bucketCounts: ["1", "2"], explicitBounds: [1.5] },
				],
				"exponential_histogram exponential": [
					{
						...times,
						count: "4",
						exponential: {
							scale: 3,
							zeroCount: "1",
							zeroThreshold: 0.5,
							positive: { offset: -2, bucketCounts: ["1", "2"] },
							negative: { offset: 0, bucketCounts: [] },
						},
					},
				],
				"summary summary": [{ ...times, count: "2", sum: 3, quantiles: [{ quantile: 0.5, value: 1 }] }],
			});
		},
	},
	{
		title: "NaN and the infinities are values like others",
		async run(bench) {
			const points = ["NaN", "Infinity", "-Infinity"].map((asDouble, i) => ({ asDouble, timeUnixNano: String(i + 1) }));
			bench.append({ metrics: [request("a", { name: "odd", gauge: { dataPoints: points } })] });
			const { series } = await bench.reader.metricPoints(everything);
			assert.deepEqual(
				series[0]!.points.map(({ value }) => value),
				[Number.NaN, Infinity, -Infinity],
			);
		},
	},
	{
		title: "series are found by name, service, point attributes and resource attributes, exactly",
		async run(bench) {
			const route = (value: string) => [string("route", value), string("__proto__", "p")];
			bench.append({
				metrics: [request("a", sum("m", point(1, 0, route("/x")), point(2, 0, route("%"))), sum("n", point(3, 0)))],
			});
			bench.append({ metrics: [request("b", sum("m", point(4, 0, [{ key: "route", value: { intValue: "7" } }])))] });
			const names = async (query: Partial<MetricPointQuery>) =>
				(await bench.reader.metricSeries({ attributes: [], limit: 100, ...query })).series
					.map(({ service, name, attributes }) => `${service} ${name} ${String(attributes["route"] ?? "")}`)
					.sort();
			assert.deepEqual(await names({}), ["a m %", "a m /x", "a n ", "b m 7"]);
			assert.deepEqual(await names({ name: "m" }), ["a m %", "a m /x", "b m 7"]);
			assert.deepEqual(await names({ name: "M" }), []);
			assert.deepEqual(await names({ service: "b" }), ["b m 7"]);
			assert.deepEqual(await names({ attributes: [{ key: "route", value: "%", type: "text" }] }), ["a m %"]);
			assert.deepEqual(await names({ attributes: [{ key: "route", value: "7", type: "int" }] }), ["b m 7"]);
			assert.deepEqual(await names({ attributes: [{ key: "route", value: "7", type: "string" }] }), []);
			assert.deepEqual(await names({ attributes: [{ key: "__proto__", value: "p", type: "text" }] }), ["a m %", "a m /x"]);
			assert.deepEqual(await names({ attributes: [{ key: "service.name", value: "b", type: "text" }] }), ["b m 7"]);
			assert.equal((await names({ limit: 2 })).length, 2);
		},
	},
	{
		title: "points are bounded by time and by count, and the answer says when it was cut",
		async run(bench) {
			const points = Array.from({ length: 50 }, (_, i) => point(i, i));
			bench.append({ metrics: [request("a", sum("m", ...points)), request("b", sum("m", ...points))] });
			const range = { fromNs: at(T0 + 10_000_000n), toNs: at(T0 + 12_000_000n) };
			const within = await bench.reader.metricPoints({ ...everything, ...range, service: "a" });
			assert.deepEqual(
				within.series.map((entry) => entry.points.map(({ value }) => value)),
				[["10", "11"]],
			);
			const cut = await bench.reader.metricPoints({ ...everything, maxPoints: 30 });
			assert.equal(cut.truncated, true);
			assert.equal(
				cut.series.reduce((total, entry) => total + entry.points.length, 0),
				30,
			);
			assert.equal((await bench.reader.metricPoints({ ...everything, maxPoints: 100 })).truncated, false);
		},
	},
	{
		title: "a series keeps its id while it grows",
		async run(bench) {
			bench.append({ metrics: [request("a", sum("m", point(1, 0)), sum("n", point(1, 0)))] });
			const { series: before } = await bench.reader.metricSeries({ attributes: [], limit: 10 });
			assert.equal(new Set(before.map(({ id }) => id)).size, 2);
			bench.append({
				metrics: [request("a", sum("n", point(2, 1)), sum("m", point(2, 1)))],
				arrivedMs: NOW_MS + 7_200_000,
			});
			const { series: after } = await bench.reader.metricSeries({ attributes: [], limit: 10 });
			const ids = (list: typeof before) => list.map(({ id, name }) => `${name} ${id}`).sort();
			assert.deepEqual(ids(after), ids(before));
		},
	},
];
