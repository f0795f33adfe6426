import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { canonicalAttributes } from "../../model/otlp/canonical.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { histogramIndex } from "../../model/topology/histogram.ts";
import { addMetricObservation, metricDims } from "../../model/topology/metric-sums.ts";
import type { MetricObservation } from "../../model/topology/metric-sums.ts";
import { emptyTotals } from "../../model/topology/rollup.ts";
import { decodeEdgeMetrics, encodeEdgeMetrics, SCRAPE_COMPLETE, SCRAPE_TARGET } from "./edge-metrics.ts";
import { MetricStage } from "./metric-stage.ts";
import type { MetricStageSettings } from "./metric-stage.ts";

const START_MS = 1_790_000_000_000;

type Labels = Readonly<Record<string, string>>;

function canonicalLabels(labels: Labels): string {
	return canonicalAttributes(Object.entries(labels).map(([key, value]) => ({ key, value: { stringValue: value } })));
}

const LABELS: Labels = {
	reporter: "destination",
	source_workload: "a-v1",
	source_canonical_service: "a",
	source_workload_namespace: "ns",
	destination_workload: "b-v1",
	destination_canonical_service: "b",
	destination_workload_namespace: "ns",
	request_protocol: "http",
	response_code: "200",
	connection_security_policy: "mutual_tls",
};

interface Sample {
	readonly name?: string;
	readonly labels?: Labels;
	readonly seconds: number;
	readonly value?: number | bigint;
	readonly raw?: Uint8Array;
	readonly startSeconds?: number;
	readonly series?: Partial<MetricSeriesKey>;
	readonly target?: string;
	readonly flags?: number;
}

/** Seconds are counted from our start. */
function batchOf(samples: readonly Sample[]): MetricBatch {
	const timeNs = (seconds: number): bigint => BigInt(START_MS + Math.round(seconds * 1_000)) * 1_000_000n;
	const series: MetricSeriesKey[] = [];
	const points: MetricPointRecord[] = [];
	for (const {
		name = "istio_requests_total",
		labels = {},
		seconds,
		value,
		raw,
		startSeconds,
		series: over,
		target,
		flags = 0,
	} of samples) {
		points.push({
			series: series.length,
			timeNs: timeNs(seconds),
			startTimeNs: startSeconds === undefined ? 0n : timeNs(startSeconds),
			flags,
			...(typeof value === "bigint" ? { intValue: value } : value === undefined ? {} : { doubleValue: value }),
			...(raw === undefined ? {} : { raw }),
		});
		series.push({
			name,
			description: "",
			unit: "",
			type: 1,
			temporality: 2,
			monotonic: true,
			service: "b",
			attributes: canonicalLabels({ ...LABELS, ...labels }),
			resource: canonicalLabels(
				target === undefined ? { "service.name": "b" } : { "service.name": "b", [SCRAPE_TARGET]: target },
			),
			scope: "{}",
			...over,
		});
	}
	return { series, points };
}

/** A text that was read to its end. */
function scrape(seconds: number, samples: readonly Omit<Sample, "seconds">[], target = "http://b:15020/"): MetricBatch {
	const marker: Sample = {
		name: SCRAPE_COMPLETE,
		seconds,
		value: 1,
		target,
		series: { type: 0, temporality: 0, monotonic: false, attributes: "{}" },
	};
	return batchOf([...samples.map((sample) => ({ ...sample, seconds, target })), marker]);
}

function start(settings: Partial<MetricStageSettings> = {}): MetricStage {
	return new MetricStage({ load: [], startMs: START_MS, maxSeries: 1_000, ...settings });
}

/** As the writer thread hands it over. */
function observe(stage: MetricStage, batch: MetricBatch, arrivedSeconds = 0): MetricObservation[] {
	return stage.observe(decodeEdgeMetrics(encodeEdgeMetrics(batch)), START_MS + arrivedSeconds * 1_000);
}

const amounts = (observations: readonly MetricObservation[]): number[] => observations.map(({ amount }) => amount);

test("only points of edges are handed over, and they come out as they went in", () => {
	const batch = batchOf([
		{ seconds: 1, value: 5n, startSeconds: -3, flags: 0 },
		{ seconds: 1, value: 0.5, name: "response_total" },
		{ seconds: 1, value: 7, name: "process_cpu_seconds_total" },
		{ seconds: 1, value: 7, series: { monotonic: false } },
		{ seconds: 1, value: 7, series: { temporality: 0 } },
		{ seconds: 1, value: 7, series: { type: 0 } },
		{
			seconds: 1,
			raw: Uint8Array.of(33, 1, 0, 0, 0, 0, 0, 0, 0),
			series: { type: 2 },
			name: "istio_request_bytes",
			flags: 1,
		},
	]);
	const decoded = decodeEdgeMetrics(encodeEdgeMetrics(batch));
	assert.deepEqual(
		decoded.series.map(({ name, type }) => [name, type]),
		[
			["istio_requests_total", 1],
			["response_total", 1],
			["istio_request_bytes", 2],
		],
	);
	const kept = [0, 1, 6];
	for (const [i, point] of decoded.points.entries()) {
		assert.deepEqual(point, { ...batch.points[kept[i]!], series: i });
		const { service: _, ...key } = batch.series[kept[i]!]!;
		assert.deepEqual(decoded.series[i], { ...key, service: "", monotonic: key.type === 1 });
	}
	assert.equal(encodeEdgeMetrics(batchOf([{ seconds: 1, value: 1, name: "up" }])).length, 0);
	assert.deepEqual(decodeEdgeMetrics(new Uint8Array()), { series: [], points: [] });
});

test("a counter becomes observations of its edge at the time of the point", () => {
	const stage = start();
	assert.deepEqual(observe(stage, batchOf([{ seconds: 10, value: 5n }])), []);
	const [observation] = observe(stage, batchOf([{ seconds: 15, value: 8n }]));
	assert.deepEqual([observation?.amount, observation?.timeMs], [3, START_MS + 15_000]);
	assert.equal(observation?.facts.target.service, "b");
	assert.deepEqual(stage.stats().points, { advanced: 1, reset: 0, first: 0, baseline: 1, ignored: 0, refused: 0, invalid: 0 });
});

test("a sender that started after us is counted from its start", () => {
	assert.deepEqual(amounts(observe(start(), batchOf([{ seconds: 10, value: 5n, startSeconds: 2 }]))), [5]);
	assert.deepEqual(amounts(observe(start(), batchOf([{ seconds: 10, value: 5n, startSeconds: -2 }]))), []);
});

test("a scraped series that was not in the text before has begun since", () => {
	const stage = start();
	const ok = { value: 100n };
	const failed = { labels: { response_code: "503" }, value: 2n };
	assert.deepEqual(amounts(observe(stage, scrape(5, [ok]))), []);
	assert.deepEqual(amounts(observe(stage, scrape(10, [failed, { value: 101n }]))), [2, 1]);
	assert.deepEqual(amounts(observe(stage, scrape(15, [{ ...failed, value: 3n }, { value: 101n }]))), [1]);
});

test("a scraped series that was gone for a while has started over, however high it is", () => {
	const stage = start();
	observe(stage, scrape(5, [{ value: 10n }]));
	observe(stage, scrape(10, []));
	assert.deepEqual(amounts(observe(stage, scrape(15, [{ value: 30n }]))), [30]);
});

test("a text that was not read to its end proves nothing about what is not in it", () => {
	const stage = start();
	const labels = { response_code: "503" };
	observe(stage, scrape(5, [{ value: 10n }, { labels, value: 4n }]));
	observe(stage, batchOf([{ seconds: 10, value: 11n, target: "http://b:15020/" }]));
	assert.deepEqual(amounts(observe(stage, scrape(15, [{ value: 12n }, { labels, value: 5n }]))), [1, 1]);
	const other = start();
	observe(other, batchOf([{ seconds: 5, value: 10n, target: "http://b:15020/" }]));
	assert.deepEqual(amounts(observe(other, scrape(10, [{ labels, value: 50n }]))), []);
});

test("what is new at one target says nothing about another", () => {
	const stage = start();
	observe(stage, scrape(5, [], "http://a:15020/"));
	assert.deepEqual(amounts(observe(stage, scrape(10, [{ value: 9n }], "http://b:15020/"))), []);
});

/** What a flush keeps, as the store gives it back. */
class Kept {
	readonly values = new Map<string, Uint8Array>();

	flush(stage: MetricStage): void {
		for (const { key, value } of stage.changes()) {
			if (value === undefined) this.values.delete(key);
			else this.values.set(key, value);
		}
		stage.flushed();
	}

	get load(): { key: string; value: Uint8Array }[] {
		return [...this.values].map(([key, value]) => ({ key, value }));
	}
}

test("a restart of ours goes on where the last flush ended", () => {
	const kept = new Kept();
	const before = start();
	observe(before, scrape(5, [{ value: 10n }]));
	observe(before, scrape(10, [{ value: 15n }]));
	kept.flush(before);
	const after = start({ load: kept.load, startMs: START_MS + 100_000 });
	const labels = { response_code: "503" };
	assert.deepEqual(
		amounts(observe(after, scrape(120, [{ value: 40n }, { labels, value: 6n }]))),
		[25, 6],
		"begun while we were away",
	);
	assert.deepEqual(amounts(observe(after, batchOf([{ seconds: 120, value: 3n, startSeconds: 50 }]))), [3]);
});

test("a series that did not move is written once", () => {
	const kept = new Kept();
	const stage = start();
	observe(stage, scrape(5, [{ value: 10n }]));
	kept.flush(stage);
	assert.equal(kept.values.size, 3, "the horizon, the target and the series");
	observe(stage, scrape(10, [{ value: 10n }]));
	assert.deepEqual(
		stage.changes().map(({ key }) => key.length),
		[16],
		"the target alone",
	);
});

test("a flush that failed is asked for again with all it had", () => {
	const stage = start();
	observe(stage, batchOf([{ seconds: 5, value: 10n }]));
	const first = stage.changes();
	observe(stage, batchOf([{ seconds: 5, value: 10n, labels: { response_code: "500" } }]));
	const again = stage.changes();
	assert.equal(again.length, first.length + 1);
	assert.deepEqual(again.slice(0, first.length), first);
	stage.flushed();
	assert.deepEqual(stage.changes(), []);
});

test("series beyond the bound are refused and counted, and later begin with a base line", () => {
	const stage = start({ maxSeries: 2 });
	const codes = ["200", "500", "503"];
	const at = (seconds: number, value: bigint): number[] =>
		amounts(
			observe(
				stage,
				scrape(
					seconds,
					codes.map((response_code) => ({ labels: { response_code }, value })),
				),
				seconds,
			),
		);
	assert.deepEqual(at(5, 10n), []);
	assert.deepEqual(at(10, 12n), [2, 2]);
	assert.equal(stage.stats().points.refused, 2);
	assert.equal(stage.stats().series, 2);
	// The others fall silent, and make room.
	const third = { labels: { response_code: "503" } };
	const hours = 3_600;
	assert.deepEqual(amounts(observe(stage, scrape(hours, [{ ...third, value: 20n }]), hours)), []);
	assert.deepEqual(amounts(observe(stage, scrape(hours + 5, [{ ...third, value: 21n }]), hours + 5)), [1]);
});

test("what was forgotten is removed from the store, and is not taken for new when it comes back", () => {
	const kept = new Kept();
	const stage = start();
	observe(stage, batchOf([{ seconds: 10, value: 5n, startSeconds: 2 }]), 10);
	kept.flush(stage);
	stage.expire(START_MS + 25 * 3_600_000);
	assert.equal(stage.stats().series, 0);
	kept.flush(stage);
	assert.equal(kept.values.size, 1, "only the horizon is left");
	const later = 26 * 3_600;
	assert.deepEqual(observe(stage, batchOf([{ seconds: later, value: 7n, startSeconds: 2 }]), later), []);
	assert.deepEqual(amounts(observe(stage, batchOf([{ seconds: later + 5, value: 9n, startSeconds: 2 }]), later + 5)), [2]);
});

test("gaps that a sender marks, and values that are none, leave the series as it was", () => {
	const stage = start();
	observe(stage, batchOf([{ seconds: 5, value: 10n }]));
	assert.deepEqual(
		observe(
			stage,
			batchOf([
				{ seconds: 10, flags: 1 },
				{ seconds: 11, value: Number.NaN },
			]),
		),
		[],
	);
	assert.deepEqual(amounts(observe(stage, batchOf([{ seconds: 15, value: 12n }]))), [2]);
	assert.equal(stage.stats().points.invalid, 2);
});

/** HistogramDataPoint without times, as the decoder keeps it. */
function histogram(counts: readonly number[], bounds: readonly number[], sum: number): Uint8Array {
	const writer = new WireWriter();
	// The times are read from these bytes.
	writer.fixed64Field(4, BigInt(counts.reduce((total, count) => total + count, 0)));
	writer.doubleField(5, sum);
	for (const count of counts) writer.fixed64Field(6, BigInt(count));
	for (const bound of bounds) writer.doubleField(7, bound);
	return writer.finish();
}

test("histograms of durations give latencies, those of sizes give bytes", () => {
	const stage = start();
	const at = (seconds: number, counts: number[], sum: number, name: string): MetricObservation[] =>
		observe(stage, batchOf([{ name, seconds, raw: histogram(counts, [10, 20], sum), series: { type: 2 } }]));
	at(5, [1, 1, 1], 50, "istio_request_duration_milliseconds");
	const [latency] = at(10, [2, 1, 2], 90, "istio_request_duration_milliseconds");
	assert.equal(latency?.amount, 2);
	assert.deepEqual(latency.latency?.sumNs, 40e6);
	assert.deepEqual(
		[...(latency.latency?.buckets ?? [])],
		[
			[histogramIndex(5e6), 1],
			[histogramIndex(20e6), 1],
		],
	);
	at(5, [1, 1, 1], 50, "istio_response_bytes");
	const [size] = at(10, [2, 1, 2], 90, "istio_response_bytes");
	assert.deepEqual([size?.amount, size?.latency, size?.facts.measure.kind], [40, undefined, "bytes_received"]);
});

test("observations add up in the series of their edge", () => {
	const stage = start();
	const samples = (value: bigint): MetricBatch =>
		batchOf([
			{ seconds: Number(value), value, startSeconds: 1, labels: { response_code: "503", response_flags: "UF,URX" } },
			{ seconds: Number(value), value: value * 10n, startSeconds: 1, name: "istio_tcp_sent_bytes_total" },
			{
				seconds: Number(value),
				value,
				startSeconds: 1,
				name: "istio_tcp_connections_failed_total",
				labels: { response_flags: "TLS_FAILURE" },
			},
			{
				seconds: Number(value),
				raw: histogram([Number(value)], [], 3 * Number(value)),
				startSeconds: 1,
				name: "istio_request_duration_milliseconds",
				series: { type: 2 },
			},
		]);
	const sums = emptyTotals();
	for (const value of [5n, 9n])
		for (const observation of observe(stage, samples(value))) addMetricObservation(sums, observation);
	assert.deepEqual([sums.observed, sums.count, sums.attempts, sums.bytesReceived, sums.failedHandshakes], [9, 9, 9, 90, 9]);
	assert.deepEqual(
		[...sums.codes, ...sums.flags],
		[
			["503", 9],
			["UF", 9],
			["URX", 9],
		],
	);
	assert.deepEqual([sums.firstMs, sums.lastMs, sums.destinationLatencyNs], [START_MS + 5_000, START_MS + 9_000, 27e6]);
	const dims = metricDims(observe(stage, samples(10n))[0]!.facts);
	assert.deepEqual(
		[dims.evidence, dims.sampled, dims.mtls.source, dims.mtls.destination],
		["metric", false, "unknown", "mutual_tls"],
	);
});

type Event =
	| { readonly kind: "request"; readonly code: string; readonly by: number }
	| { readonly kind: "scrape" | "broken scrape" | "flush" | "crash" | "proxy restart" };

const events = fc.array(
	fc.oneof(
		{
			weight: 5,
			arbitrary: fc.record({
				kind: fc.constant("request" as const),
				code: fc.constantFrom("200", "404", "503"),
				by: fc.integer({ min: 1, max: 50 }),
			}),
		},
		{ weight: 5, arbitrary: fc.constant({ kind: "scrape" as const }) },
		{
			weight: 1,
			arbitrary: fc.constantFrom(
				{ kind: "broken scrape" as const },
				{ kind: "crash" as const },
				{ kind: "proxy restart" as const },
			),
		},
		{ weight: 2, arbitrary: fc.constant({ kind: "flush" as const }) },
	),
	{ maxLength: 80 },
);

test("whatever crashes of ours and restarts of the proxy there are, every code's scraped count is exact", () => {
	fc.assert(
		fc.property(events, (happened: readonly Event[]) => {
			let seconds = 10;
			let stage = start();
			const kept = new Kept();
			/** Batches behind the cursor: read again after a crash. */
			let unflushed: MetricBatch[] = [];
			let values = new Map<string, number>();
			const truth = new Map<string, number>();
			let counted = new Map<string, number>();
			let flushedCounts = new Map<string, number>();
			let lastScraped = new Map<string, number>();
			const receive = (batch: MetricBatch): void => {
				for (const { facts, amount } of observe(stage, batch))
					counted.set(facts.code, (counted.get(facts.code) ?? 0) + amount);
			};
			const scraped = (complete: boolean): void => {
				for (const [code, value] of values)
					truth.set(code, (truth.get(code) ?? 0) + value - (lastScraped.get(code) ?? 0));
				lastScraped = new Map(values);
				const samples = [...values].map(([response_code, value]) => ({
					labels: { response_code },
					value: BigInt(value),
				}));
				const whole = scrape(seconds, samples);
				const batch = complete ? whole : { ...whole, points: whole.points.slice(0, -1) };
				unflushed.push(batch);
				receive(batch);
			};
			const flush = (): void => {
				kept.flush(stage);
				flushedCounts = new Map(counted);
				unflushed = [];
			};
			// The first text of an empty proxy: everything after it is seen.
			scraped(true);
			flush();
			for (const event of happened) {
				seconds += 5;
				if (event.kind === "request") values.set(event.code, (values.get(event.code) ?? 0) + event.by);
				else if (event.kind === "scrape") scraped(true);
				else if (event.kind === "broken scrape" && [...values.keys()].every((code) => lastScraped.has(code)))
					scraped(false);
				else if (event.kind === "flush") flush();
				else if (event.kind === "crash") {
					stage = start({ load: kept.load, startMs: START_MS + seconds * 1_000 });
					counted = new Map(flushedCounts);
					for (const batch of unflushed) receive(batch);
				} else if (event.kind === "proxy restart") {
					values = new Map();
					lastScraped = new Map();
					// Without a start time a restart shows in a text that lacks what was there.
					scraped(true);
				}
			}
			const shown = (counts: ReadonlyMap<string, number>): object =>
				Object.fromEntries([...counts].filter(([, count]) => count > 0).toSorted());
			assert.deepEqual(shown(counted), shown(truth));
		}),
		{ numRuns: 500 },
	);
});

test("hostile points neither throw nor count", () => {
	const raw = fc.uint8Array({ maxLength: 60 });
	fc.assert(
		fc.property(raw, fc.constantFrom(1, 2, 3), fc.constantFrom(1, 2), (bytes, type, temporality) => {
			const stage = start();
			const batch = batchOf([
				{ seconds: 5, raw: bytes, series: { type: type as 1 | 2 | 3, temporality: temporality as 1 | 2 } },
			]);
			for (const { amount } of observe(stage, batch)) assert.ok(Number.isFinite(amount) && amount > 0);
		}),
	);
});

const LINKERD: Labels = {
	direction: "outbound",
	target_addr: "10.1.0.2:80",
	dst_deployment: "b",
	dst_namespace: "ns",
	tls: "true",
};
const CONNECTION: Labels = { ...LINKERD, peer: "dst" };

/** `protocol kind amount` of what Linkerd's proxy said; it names its source by the target it was scraped from. */
function ofLinkerd(stage: MetricStage, seconds: number, samples: readonly Omit<Sample, "seconds">[]): string[] {
	return observe(stage, scrape(seconds, samples), seconds).map(
		({ facts, amount }) => `${facts.protocol} ${facts.unit} ${facts.measure.kind} ${amount}`,
	);
}

test("a Linkerd connection that carries HTTP is no edge of its own, and its bytes are those of the requests", () => {
	const stage = start();
	const counted = (open: number, requests: number): readonly Omit<Sample, "seconds">[] => [
		// Behind what it explains: nothing may depend on the order.
		{ name: "tcp_open_total", labels: CONNECTION, value: open },
		{ name: "tcp_write_bytes_total", labels: CONNECTION, value: open * 100 },
		{ name: "request_total", labels: LINKERD, value: requests },
		...(requests === 0 ? [] : [{ name: "response_total", labels: { ...LINKERD, status_code: "200" }, value: requests }]),
	];
	ofLinkerd(stage, 1, []);
	assert.deepEqual(ofLinkerd(stage, 6, counted(1, 0)), [], "connected before the first request");
	assert.deepEqual(ofLinkerd(stage, 11, counted(3, 5)), ["http requests bytes_sent 200", "http requests count 5"]);
});

test("a Linkerd connection to an address that no HTTP is spoken with is TCP", () => {
	const elsewhere: readonly Labels[] = [
		{ ...LINKERD, target_addr: "10.1.0.2:81" },
		{ ...LINKERD, direction: "inbound" },
		{ ...LINKERD, target_addr: "" },
	];
	for (const labels of elsewhere) {
		const stage = start();
		ofLinkerd(stage, 1, []);
		const connection = { ...CONNECTION, target_addr: labels["target_addr"] === "" ? "" : CONNECTION["target_addr"]! };
		const told = ofLinkerd(stage, 6, [
			{ name: "request_total", labels, value: 2 },
			{ name: "tcp_open_total", labels: connection, value: 4 },
		]);
		assert.deepEqual(told, ["tcp connections count 4"], JSON.stringify(labels));
	}
	const stage = start();
	const ofAnother = scrape(6, [{ name: "request_total", labels: LINKERD, value: 2 }], "http://c:4191/").series;
	const own = scrape(6, [{ name: "tcp_open_total", labels: CONNECTION, value: 4 }]);
	observe(stage, scrape(1, []), 1);
	const told = observe(stage, { ...own, series: [...own.series, ...ofAnother] }, 6);
	assert.deepEqual(
		told.map(({ facts }) => facts.protocol),
		["tcp"],
		"another proxy's requests",
	);
});

test("bytes of connections that carry gRPC are gRPC's", () => {
	const stage = start();
	ofLinkerd(stage, 1, []);
	const told = ofLinkerd(stage, 6, [
		{ name: "response_total", labels: { ...LINKERD, status_code: "200", grpc_status: "0" }, value: 2 },
		{ name: "tcp_read_bytes_total", labels: CONNECTION, value: 70 },
	]);
	assert.deepEqual(told, ["grpc requests count 2", "grpc requests bytes_received 70"]);
});
