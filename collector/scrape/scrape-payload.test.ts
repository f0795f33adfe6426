import assert from "node:assert/strict";
import { test } from "node:test";
import type { DecodedMetricPoint } from "../../model/otlp/metric-point.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { DEFAULT_LIMITS } from "../decode/limits.ts";
import { decodeMetrics } from "../decode/metrics.ts";
import { SCRAPE_COMPLETE } from "../topology/edge-metrics.ts";
import { TextParser } from "./prometheus-text.ts";
import { encodeScrape } from "./scrape-payload.ts";

const TIME_MS = 1_790_000_000_000;

/** As the collector reads it: every metric's first point by name. */
async function sent(text: string, isOpenMetrics = false): Promise<Map<string, DecodedMetricPoint & { readonly type: number }>> {
	const parser = new TextParser(text, isOpenMetrics);
	while (parser.step(1_000));
	const bytes = await encodeScrape(parser.result(), { attributes: { "service.name": "x" }, timeMs: TIME_MS });
	const { batch, dropped } = decodeMetrics(bytes, DEFAULT_LIMITS);
	assert.deepEqual(dropped, {});
	return new Map(
		batch.points.map((point) => {
			const { name, type } = batch.series[point.series]!;
			return [name, { ...metricPointOf(point, type), type }];
		}),
	);
}

test("running totals become counts a bucket, and those that have not caught up count nothing", async () => {
	const points = await sent(`# TYPE h histogram
h_bucket{le="1"} 3
h_bucket{le="5"} 2
h_bucket{le="10"} 7
h_bucket{le="+Inf"} 9
h_sum 42
h_count 9
`);
	const point = points.get("h")!;
	assert.deepEqual(
		[point.explicitBounds, point.bucketCounts, point.count, point.sum],
		[[1, 5, 10], ["3", "0", "4", "2"], "9", 42],
	);
	assert.equal(point.timeUnixNano, `${TIME_MS}000000`);
});

test("numbers, summaries and values that are none", async () => {
	const points = await sent(
		'a_total 9007199254740991\nb -0.5\nc NaN\nd +Inf\n# TYPE s summary\ns{quantile="0.5"} 3\ns_count 2\ns_sum 6\n',
	);
	assert.equal(points.get("a_total")?.value, "9007199254740991");
	assert.equal(points.get("b")?.value, -0.5);
	assert.ok(Number.isNaN(points.get("c")?.value));
	assert.equal(points.get("d")?.value, Number.POSITIVE_INFINITY);
	assert.deepEqual(points.get("s")?.quantiles, [{ quantile: 0.5, value: 3 }]);
});

test("a text ends with its marker only when it was read whole", async () => {
	const names = async (text: string): Promise<string[]> => [...(await sent(text)).keys()];
	assert.deepEqual(await names("a 1\n"), ["a", SCRAPE_COMPLETE]);
	assert.deepEqual(await names("a 1\nb x\n"), ["a"]);
	assert.deepEqual(await names("a 1\nb 2"), ["a", "b"]);
	assert.deepEqual(await names(""), [SCRAPE_COMPLETE]);
});

test("a text of Istio's agent without Envoy's part is not whole: the agent answers as well where it could not ask Envoy", async () => {
	const agent = "istio_agent_scrapes_total 7\n";
	const isWhole = async (text: string): Promise<boolean> => (await sent(text)).has(SCRAPE_COMPLETE);
	assert.equal(await isWhole(agent), false);
	assert.equal(await isWhole(`${agent}app_total 1\n`), false);
	assert.equal(await isWhole(`${agent}envoy_server_live 1\n`), true, "an Envoy that has served nothing yet");
	assert.equal(await isWhole("app_total 1\n"), true);
});

test("counters count since their own start, or their process' where the text is of one process", async () => {
	const start = async (text: string, isOpenMetrics = false): Promise<string | undefined> => {
		const points = await sent(text, isOpenMetrics);
		return (points.get("a_total") ?? points.get("istio_requests_total"))?.startTimeUnixNano;
	};
	assert.equal(await start("# TYPE a counter\na_total 1\na_created 1520430000.123\n# EOF\n", true), "1520430000123000000");
	assert.equal(await start("a_total 1\nprocess_start_time_seconds 1520430000\n"), "1520430000000000000");
	assert.equal(
		await start("istio_requests_total 1\nprocess_start_time_seconds 1520430000\n"),
		"0",
		"Istio merges several processes",
	);
	assert.equal(await start("a_total 1\n"), "0");
});
