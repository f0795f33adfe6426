/**
 * What was scraped, as the ExportMetricsServiceRequest that a sender would have made of it.
 * Source: opentelemetry/proto/metrics/v1/metrics.proto; the mapping of Prometheus' types in OpenTelemetry's compatibility document.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { WireWriter } from "../../model/protobuf/writer.ts";
import { SCRAPE_COMPLETE } from "../topology/edge-metrics.ts";
import type { ParsedText, TextFamily, TextSeries } from "./prometheus-text.ts";

export interface ScrapeOrigin {
	/** Resource attributes: who the target is. */
	readonly attributes: Readonly<Record<string, string>>;
	/** When the text was asked for, epoch ms: the time of every point. */
	readonly timeMs: number;
}

/** Points between two turns of the event loop. */
const POINTS_A_TURN = 2_000;
const CUMULATIVE = 2;
/** Data fields of Metric. */
const DATA_FIELDS = { gauge: 5, counter: 7, histogram: 9, summary: 11 } as const;

export async function encodeScrape(text: ParsedText, origin: ScrapeOrigin): Promise<Uint8Array<ArrayBuffer>> {
	const writer = new WireWriter(65_536);
	const resourceMetrics = writer.begin(1);
	const resource = writer.begin(1);
	for (const [key, value] of Object.entries(origin.attributes)) writeAttribute(writer, 1, key, value);
	writer.end(resource);
	const scopeMetrics = writer.begin(2);
	const scope = writer.begin(1);
	writer.stringField(1, "meshscope.scrape");
	writer.end(scope);
	const timeNs = BigInt(Math.round(origin.timeMs)) * 1_000_000n;
	const processStartNs = startOfProcess(text);
	const started = startsByCreated(text);
	let sinceTurn = 0;
	for (const family of text.families) {
		if (started.skipped.has(family.name)) continue;
		writeFamily(writer, family, (series) => {
			const createdNs = secondsToNs(series.createdSeconds ?? started.of(family, series));
			return { timeNs, startNs: family.type === "gauge" ? 0n : createdNs || processStartNs };
		});
		sinceTurn += family.series.length;
		if (sinceTurn < POINTS_A_TURN) continue;
		sinceTurn = 0;
		await nextTurn();
	}
	// Comes last: all that the text holds is before it.
	if (text.complete && !lacksEnvoy(text)) {
		const series: TextSeries = { labels: [], value: text.samples, count: undefined, parts: [], createdSeconds: undefined };
		const family: TextFamily = {
			name: SCRAPE_COMPLETE,
			type: "gauge",
			help: "Samples of a text that was read whole.",
			unit: "",
			series: [series],
		};
		writeFamily(writer, family, () => ({ timeNs, startNs: 0n }));
	}
	writer.end(scopeMetrics);
	writer.end(resourceMetrics);
	return writer.finish();
}

/**
 * Istio's agent merges Envoy's text into its own, and leaves it out where Envoy did not answer it. Taken for whole, such a text would say
 * that all series are gone, and the next one that all they ever counted is new.
 */
function lacksEnvoy({ families }: ParsedText): boolean {
	const hasAny = (prefix: string): boolean => families.some(({ name }) => name.startsWith(prefix));
	return hasAny("istio_agent_") && !hasAny("envoy_");
}

/**
 * Where a text has one process' start, its counters count since then. Istio's texts merge those of several processes, whose starts
 * differ.
 */
function startOfProcess({ families }: ParsedText): bigint {
	const start = families.find(({ name }) => name === "process_start_time_seconds");
	if (start?.series.length !== 1 || families.some(({ name }) => name.startsWith("istio_"))) return 0n;
	return secondsToNs(start.series[0]!.value);
}

/** OpenMetrics' counters are declared without `_total`: their starts stand in the declared family, their values in the other one. */
function startsByCreated({ families }: ParsedText): {
	readonly skipped: ReadonlySet<string>;
	of(family: TextFamily, series: TextSeries): number | undefined;
} {
	const starts = new Map<string, number>();
	const skipped = new Set<string>();
	for (const { name, type, series } of families) {
		if (type !== "counter" || series.some(({ value }) => value !== undefined)) continue;
		skipped.add(name);
		for (const { labels, createdSeconds } of series)
			if (createdSeconds !== undefined) starts.set(`${name}_total${JSON.stringify(labels)}`, createdSeconds);
	}
	return {
		skipped,
		of: (family, series) => (starts.size === 0 ? undefined : starts.get(family.name + JSON.stringify(series.labels))),
	};
}

function secondsToNs(seconds: number | undefined): bigint {
	if (seconds === undefined || !(seconds > 0) || seconds > 1e11) return 0n;
	// Microseconds are what a double of today's seconds holds.
	return BigInt(Math.round(seconds * 1e6)) * 1_000n;
}

interface PointTimes {
	readonly timeNs: bigint;
	/** 0 where it is not known. */
	readonly startNs: bigint;
}

function writeFamily(writer: WireWriter, family: TextFamily, timesOf: (series: TextSeries) => PointTimes): void {
	const metric = writer.begin(2);
	writer.stringField(1, family.name);
	if (family.help !== "") writer.stringField(2, family.help);
	if (family.unit !== "") writer.stringField(3, family.unit);
	const data = writer.begin(DATA_FIELDS[family.type]);
	for (const series of family.series) {
		const write = POINT_WRITERS[family.type];
		write(writer, series, timesOf(series));
	}
	if (family.type === "counter" || family.type === "histogram") writer.varintField(2, CUMULATIVE);
	if (family.type === "counter") writer.varintField(3, 1);
	writer.end(data);
	writer.end(metric);
}

type PointWriter = (writer: WireWriter, series: TextSeries, times: PointTimes) => void;

const POINT_WRITERS: Readonly<Record<TextFamily["type"], PointWriter>> = {
	counter: writeNumber,
	gauge: writeNumber,
	histogram: writeHistogram,
	summary: writeSummary,
};

/** Fields 2 and 3 in every kind of point. */
function writeTimes(writer: WireWriter, { timeNs, startNs }: PointTimes): void {
	if (startNs > 0n) writer.fixed64Field(2, startNs);
	writer.fixed64Field(3, timeNs);
}

function writeLabels(writer: WireWriter, field: number, series: TextSeries): void {
	for (const [key, value] of series.labels) writeAttribute(writer, field, key, value);
}

function writeNumber(writer: WireWriter, series: TextSeries, times: PointTimes): void {
	if (series.value === undefined) return;
	const point = writer.begin(1);
	writeTimes(writer, times);
	if (Number.isSafeInteger(series.value) && !Object.is(series.value, -0)) writer.fixed64Field(6, BigInt(series.value));
	else writer.doubleField(4, series.value);
	writeLabels(writer, 7, series);
	writer.end(point);
}

/** Running totals to counts a bucket. A scrape is no snapshot: where a total lies below the one before, it has not caught up. */
function writeHistogram(writer: WireWriter, series: TextSeries, times: PointTimes): void {
	const finite = series.parts.filter(([bound]) => Number.isFinite(bound));
	const last = series.parts.at(-1);
	const all = last !== undefined && last[0] === Number.POSITIVE_INFINITY ? last[1] : series.count;
	const total = Math.max(whole(all), ...finite.slice(-1).map(([, count]) => whole(count)));
	const counts: number[] = [];
	let below = 0;
	for (const [, count] of finite) {
		const upTo = Math.max(whole(count), below);
		counts.push(upTo - below);
		below = upTo;
	}
	counts.push(Math.max(total - below, 0));
	const point = writer.begin(1);
	writeTimes(writer, times);
	writer.fixed64Field(4, BigInt(Math.max(total, below)));
	if (series.value !== undefined) writer.doubleField(5, series.value);
	const bucketCounts = writer.begin(6);
	for (const count of counts) writer.fixed64(BigInt(count));
	writer.end(bucketCounts);
	const bounds = writer.begin(7);
	for (const [bound] of finite) writer.double(bound);
	writer.end(bounds);
	writeLabels(writer, 9, series);
	writer.end(point);
}

function writeSummary(writer: WireWriter, series: TextSeries, times: PointTimes): void {
	const point = writer.begin(1);
	writeTimes(writer, times);
	writer.fixed64Field(4, BigInt(whole(series.count)));
	writer.doubleField(5, series.value ?? 0);
	for (const [quantile, value] of series.parts) {
		if (!(quantile >= 0 && quantile <= 1)) continue;
		const part = writer.begin(6);
		writer.doubleField(1, quantile);
		writer.doubleField(2, value);
		writer.end(part);
	}
	writeLabels(writer, 7, series);
	writer.end(point);
}

/** Counts that are none count as nothing. */
function whole(count: number | undefined): number {
	return count !== undefined && count > 0 && count <= Number.MAX_SAFE_INTEGER ? Math.round(count) : 0;
}

/** KeyValue with a string. */
function writeAttribute(writer: WireWriter, field: number, key: string, value: string): void {
	const pair = writer.begin(field);
	writer.stringField(1, key);
	const any = writer.begin(2);
	writer.stringField(1, value);
	writer.end(any);
	writer.end(pair);
}
