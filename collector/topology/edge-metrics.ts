/**
 * The points of a batch that say something of edges, as bytes: from the writer thread to the topology thread, and with the group into
 * the store, so that they are there again after a crash.
 */
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { isLinkerdConnection, isLinkerdHttp } from "../../model/topology/sources/linkerd-metrics.ts";
import { isEdgeMetric } from "../../model/topology/sources/metric-facts.ts";
import { WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireReader } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";

/** Fields: texts by number, series that name them, points that name the series. */
const TEXT = 1;
const SERIES = 2;
const POINT = 3;

/** Attribute of the resource of what was scraped: from where. */
export const SCRAPE_TARGET = "meshscope.scrape.target";
/** A gauge that ends what was scraped, where the text could be read to its last line: series that are not in it are not there. */
export const SCRAPE_COMPLETE = "meshscope.scrape.samples";

/** Empty when nothing in the batch is of edges. */
export function encodeEdgeMetrics(batch: MetricBatch): Uint8Array<ArrayBuffer> {
	const numbers = new Map<number, number>();
	const texts = new Map<string, number>();
	const byName = new Map<string, boolean>();
	const writer = new WireWriter(4096);
	const textOf = (text: string): number => {
		let number = texts.get(text);
		if (number === undefined) {
			texts.set(text, (number = texts.size));
			writer.stringField(TEXT, text);
		}
		return number;
	};
	const isRelevant = (key: MetricSeriesKey): boolean => {
		if (key.name === SCRAPE_COMPLETE) return key.type === 0;
		let relevant = byName.get(key.name);
		if (relevant === undefined) byName.set(key.name, (relevant = isEdgeMetric(key.name)));
		return relevant && key.temporality !== 0 && (key.type === 1 ? key.monotonic : key.type === 2 || key.type === 3);
	};
	const hasConnections = batch.series.some(({ name }) => isLinkerdConnection(name));
	let written = 0;
	for (const [index, key] of batch.series.entries()) {
		if (isRelevant(key)) numbers.set(index, written);
		// Told without their points: that they are there says what connections carry.
		else if (!hasConnections || !isLinkerdHttp(key.name)) continue;
		written++;
		const fields = [key.name, key.unit, key.attributes, key.resource, key.scope].map(textOf);
		const mark = writer.begin(SERIES);
		for (const [i, number] of fields.entries()) writer.varintField(i + 1, number);
		writer.varintField(6, key.type);
		writer.varintField(7, key.temporality);
		writer.end(mark);
	}
	if (numbers.size === 0) return new Uint8Array();
	for (const point of batch.points) {
		const number = numbers.get(point.series);
		if (number !== undefined) writePoint(writer, number, point);
	}
	return writer.finish();
}

function writePoint(writer: WireWriter, series: number, point: MetricPointRecord): void {
	const mark = writer.begin(POINT);
	writer.varintField(1, series);
	writer.fixed64Field(2, point.timeNs);
	writer.fixed64Field(3, point.startTimeNs);
	if (point.doubleValue !== undefined) writer.doubleField(4, point.doubleValue);
	if (point.intValue !== undefined) writer.fixed64Field(5, point.intValue);
	if (point.raw !== undefined) writer.bytesField(6, point.raw);
	if (point.flags !== 0) writer.varintField(7, point.flags);
	writer.end(mark);
}

/** What {@link encodeEdgeMetrics} kept; descriptions and services are empty. @throws WireError for other bytes */
export function decodeEdgeMetrics(bytes: Uint8Array): MetricBatch {
	const texts: string[] = [];
	const series: MetricSeriesKey[] = [];
	const points: MetricPointRecord[] = [];
	const reader = new WireReader(bytes);
	while (reader.next()) {
		if (!reader.is(WIRE_LENGTH)) continue;
		if (reader.field === TEXT) texts.push(reader.string());
		else if (reader.field === SERIES) series.push(readSeries(reader.message(), texts));
		else if (reader.field === POINT) points.push(readPoint(reader.message()));
		else reader.skip();
	}
	return { series, points: points.filter((point) => point.series < series.length) };
}

function readSeries(reader: WireReader, texts: readonly string[]): MetricSeriesKey {
	const numbers: number[] = [];
	while (reader.next()) if (reader.is(WIRE_VARINT)) numbers[reader.field] = reader.uint32();
	const textAt = (field: number): string => texts[numbers[field] ?? -1] ?? "";
	const type = numbers[6];
	return {
		name: textAt(1),
		description: "",
		unit: textAt(2),
		attributes: textAt(3),
		resource: textAt(4),
		scope: textAt(5),
		service: "",
		type: type === 0 || type === 2 || type === 3 ? type : 1,
		temporality: numbers[7] === 1 ? 1 : type === 0 ? 0 : 2,
		monotonic: type === 1,
	};
}

type Filling<T> = { -readonly [K in keyof T]: T[K] };

function readPoint(reader: WireReader): MetricPointRecord {
	const point: Filling<MetricPointRecord> = { series: 0, timeNs: 0n, startTimeNs: 0n, flags: 0 };
	while (reader.next()) {
		const { field } = reader;
		if (field === 1 && reader.is(WIRE_VARINT)) point.series = reader.uint32();
		else if (field === 2 && reader.is(WIRE_FIXED64)) point.timeNs = reader.fixed64();
		else if (field === 3 && reader.is(WIRE_FIXED64)) point.startTimeNs = reader.fixed64();
		else if (field === 4 && reader.is(WIRE_FIXED64)) point.doubleValue = reader.double();
		else if (field === 5 && reader.is(WIRE_FIXED64)) point.intValue = reader.sfixed64();
		else if (field === 6 && reader.is(WIRE_LENGTH)) point.raw = reader.view();
		else if (field === 7 && reader.is(WIRE_VARINT)) point.flags = reader.uint32();
		else if (field > 7) reader.skip();
	}
	return point;
}
