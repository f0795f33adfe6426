/** Metrics as an OTLP export request, cumulative (opentelemetry/proto/metrics/v1/metrics.proto). */
import { NS_PER_MS } from "../../model/time.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { Histogram, MetricFamily, Sample } from "./metric-family.ts";

export interface MetricsOfResource {
	/** Field `resource` of ResourceMetrics, tag and all. */
	readonly resource: Uint8Array;
	readonly families: Iterable<MetricFamily>;
}

const CUMULATIVE = 2;
const NUMBER_ATTRIBUTES = 7;
const HISTOGRAM_ATTRIBUTES = 9;
const GRPC_PREFIX_BYTES = 5;

/**
 * With its gRPC prefix; undefined when there is nothing to tell.
 * @param scope field `scope` of ScopeMetrics, tag and all
 */
export function encodeMetricsRequest(
	resources: readonly MetricsOfResource[],
	scope: Uint8Array,
	nowMs: number,
): Uint8Array<ArrayBuffer> | undefined {
	const writer = new WireWriter(16 << 10);
	writer.raw(new Uint8Array(GRPC_PREFIX_BYTES));
	const time = nanoseconds(nowMs);
	let points = 0;
	for (const { resource, families } of resources) {
		const ofResource = writer.begin(1);
		writer.raw(resource);
		const ofScope = writer.begin(2);
		writer.raw(scope);
		for (const family of families) {
			if (family.samples.length === 0) continue;
			points += family.samples.length;
			writeFamily(writer, family, time);
		}
		writer.end(ofScope);
		writer.end(ofResource);
	}
	if (points === 0) return undefined;
	const message = writer.finish();
	new DataView(message.buffer).setUint32(1, message.length - GRPC_PREFIX_BYTES);
	return message;
}

function nanoseconds(ms: number): bigint {
	return BigInt(Math.floor(ms)) * NS_PER_MS;
}

function writeFamily(writer: WireWriter, { name, help, unit, kind, samples }: MetricFamily, time: bigint): void {
	const metric = writer.begin(2);
	writer.stringField(1, name);
	writer.stringField(2, help);
	writer.stringField(3, unit);
	const data = writer.begin(kind === "gauge" ? 5 : kind === "counter" ? 7 : 9);
	for (const sample of samples) {
		const point = writer.begin(1);
		if (typeof sample.value === "number") writeNumber(writer, sample, sample.value, kind === "gauge", time);
		else writeHistogram(writer, sample, sample.value, time);
		writer.end(point);
	}
	if (kind !== "gauge") writer.varintField(2, CUMULATIVE);
	if (kind === "counter") writer.varintField(3, 1);
	writer.end(data);
	writer.end(metric);
}

function writeNumber(writer: WireWriter, { labels, startMs }: Sample, value: number, isGauge: boolean, time: bigint): void {
	if (!isGauge) writer.fixed64Field(2, nanoseconds(startMs));
	writer.fixed64Field(3, time);
	if (Number.isSafeInteger(value)) writer.fixed64Field(6, BigInt(value));
	else writer.doubleField(4, value);
	writer.raw(labels.encodedAs(NUMBER_ATTRIBUTES));
}

function writeHistogram(writer: WireWriter, { labels, startMs }: Sample, value: Histogram, time: bigint): void {
	writer.fixed64Field(2, nanoseconds(startMs));
	writer.fixed64Field(3, time);
	writer.fixed64Field(4, BigInt(value.count));
	writer.doubleField(5, value.sum);
	const counts = writer.begin(6);
	for (const count of value.counts) writer.fixed64(BigInt(count));
	writer.end(counts);
	const bounds = writer.begin(7);
	for (const bound of value.bounds) writer.double(bound);
	writer.end(bounds);
	writer.raw(labels.encodedAs(HISTOGRAM_ATTRIBUTES));
}
