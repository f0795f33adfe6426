/**
 * A metric data point from the wire to the shape that answers have, for reading.
 * Source: opentelemetry/proto/metrics/v1/metrics.proto.
 */
import type { MetricPointRecord, MetricSeriesKey } from "../metric.ts";
import { WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireReader } from "../protobuf/reader.ts";

/** What the store's contract calls a `MetricPoint`. NaN and the infinities are JavaScript's own. */
export interface DecodedMetricPoint {
	readonly timeUnixNano: string;
	readonly startTimeUnixNano: string;
	/** Number points: a double, or a 64-bit integer as decimal string. */
	readonly value?: number | string;
	readonly count?: string;
	readonly sum?: number;
	readonly min?: number;
	readonly max?: number;
	/** Explicit bounds and their counts; counts are one longer. */
	readonly explicitBounds?: readonly number[];
	readonly bucketCounts?: readonly string[];
	readonly exponential?: {
		readonly scale: number;
		readonly zeroCount: string;
		readonly zeroThreshold: number;
		readonly positive: DecodedBuckets;
		readonly negative: DecodedBuckets;
	};
	readonly quantiles?: readonly { readonly quantile: number; readonly value: number }[];
	readonly flags: number;
}

export interface DecodedBuckets {
	readonly offset: number;
	readonly bucketCounts: readonly string[];
}

type Filling<T> = { -readonly [K in keyof T]: T[K] };
/** The numbers of MetricSeriesKey.type. */
type PointType = MetricSeriesKey["type"];

/** A point as the decoder left it, whether its bytes were kept or not. */
export function metricPointOf(record: Omit<MetricPointRecord, "series">, type: PointType): DecodedMetricPoint {
	if (record.raw !== undefined) return decodeMetricPoint(record.raw, type);
	const value = record.doubleValue ?? record.intValue?.toString();
	return {
		timeUnixNano: record.timeNs.toString(),
		startTimeUnixNano: record.startTimeNs.toString(),
		...(value === undefined ? {} : { value }),
		flags: record.flags,
	};
}

/**
 * The data point message that belongs to the type: NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint or
 * SummaryDataPoint.
 * @throws WireError when the bytes are not well-formed
 */
export function decodeMetricPoint(raw: Uint8Array, type: PointType): DecodedMetricPoint {
	const reader = new WireReader(raw);
	switch (type) {
		case 0:
		case 1:
			return readNumberPoint(reader);
		case 2:
			return readHistogramPoint(reader);
		case 3:
			return readExponentialPoint(reader);
		case 4:
			return readSummaryPoint(reader);
	}
}

function emptyPoint(): Filling<DecodedMetricPoint> {
	return { timeUnixNano: "0", startTimeUnixNano: "0", flags: 0 };
}

/** Fields 2 and 3 are the times in every kind of point. True when the field was one of them. */
function readTime(reader: WireReader, point: Filling<DecodedMetricPoint>): boolean {
	if (reader.field !== 2 && reader.field !== 3) return false;
	if (!reader.is(WIRE_FIXED64)) return true;
	const time = reader.fixed64().toString();
	if (reader.field === 2) point.startTimeUnixNano = time;
	else point.timeUnixNano = time;
	return true;
}

function readNumberPoint(reader: WireReader): DecodedMetricPoint {
	const point = emptyPoint();
	while (reader.next()) {
		if (readTime(reader, point)) continue;
		if (reader.field === 4 && reader.is(WIRE_FIXED64)) point.value = reader.double();
		else if (reader.field === 6 && reader.is(WIRE_FIXED64)) point.value = reader.sfixed64().toString();
		else if (reader.field === 8 && reader.is(WIRE_VARINT)) point.flags = reader.uint32();
		else if (reader.field !== 4 && reader.field !== 6 && reader.field !== 8) reader.skip();
	}
	return point;
}

function readHistogramPoint(reader: WireReader): DecodedMetricPoint {
	const point = emptyPoint();
	const bucketCounts: string[] = [];
	const explicitBounds: number[] = [];
	point.count = "0";
	while (reader.next()) {
		if (readTime(reader, point)) continue;
		switch (reader.field) {
			case 4:
				if (reader.is(WIRE_FIXED64)) point.count = reader.fixed64().toString();
				break;
			case 5:
				if (reader.is(WIRE_FIXED64)) point.sum = reader.double();
				break;
			case 6:
				eachFixed64(reader, (values) => bucketCounts.push(values.fixed64().toString()));
				break;
			case 7:
				eachFixed64(reader, (values) => explicitBounds.push(values.double()));
				break;
			case 10:
				if (reader.is(WIRE_VARINT)) point.flags = reader.uint32();
				break;
			case 11:
				if (reader.is(WIRE_FIXED64)) point.min = reader.double();
				break;
			case 12:
				if (reader.is(WIRE_FIXED64)) point.max = reader.double();
				break;
			default:
				reader.skip();
		}
	}
	point.bucketCounts = bucketCounts;
	point.explicitBounds = explicitBounds;
	return point;
}

/** A repeated number of eight bytes, packed or not. */
function eachFixed64(reader: WireReader, visit: (values: WireReader) => void): void {
	if (reader.wireType === WIRE_FIXED64) return visit(reader);
	if (!reader.is(WIRE_LENGTH)) return;
	const packed = reader.message();
	while (packed.position < packed.end) visit(packed);
}

function readExponentialPoint(reader: WireReader): DecodedMetricPoint {
	const point = emptyPoint();
	let scale = 0;
	let zeroCount = "0";
	let zeroThreshold = 0;
	let positive: DecodedBuckets = { offset: 0, bucketCounts: [] };
	let negative: DecodedBuckets = { offset: 0, bucketCounts: [] };
	point.count = "0";
	while (reader.next()) {
		if (readTime(reader, point)) continue;
		switch (reader.field) {
			case 4:
				if (reader.is(WIRE_FIXED64)) point.count = reader.fixed64().toString();
				break;
			case 5:
				if (reader.is(WIRE_FIXED64)) point.sum = reader.double();
				break;
			case 6:
				if (reader.is(WIRE_VARINT)) scale = reader.sint32();
				break;
			case 7:
				if (reader.is(WIRE_FIXED64)) zeroCount = reader.fixed64().toString();
				break;
			case 8:
				if (reader.is(WIRE_LENGTH)) positive = readBuckets(reader.message());
				break;
			case 9:
				if (reader.is(WIRE_LENGTH)) negative = readBuckets(reader.message());
				break;
			case 10:
				if (reader.is(WIRE_VARINT)) point.flags = reader.uint32();
				break;
			case 12:
				if (reader.is(WIRE_FIXED64)) point.min = reader.double();
				break;
			case 13:
				if (reader.is(WIRE_FIXED64)) point.max = reader.double();
				break;
			case 14:
				if (reader.is(WIRE_FIXED64)) zeroThreshold = reader.double();
				break;
			default:
				reader.skip();
		}
	}
	point.exponential = { scale, zeroCount, zeroThreshold, positive, negative };
	return point;
}

function readBuckets(reader: WireReader): DecodedBuckets {
	let offset = 0;
	const bucketCounts: string[] = [];
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_VARINT)) offset = reader.sint32();
		else if (reader.field === 2 && reader.wireType === WIRE_VARINT) bucketCounts.push(reader.uint64().toString());
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) {
			const packed = reader.message();
			while (packed.position < packed.end) bucketCounts.push(packed.uint64().toString());
		} else if (reader.field > 2) reader.skip();
	}
	return { offset, bucketCounts };
}

function readSummaryPoint(reader: WireReader): DecodedMetricPoint {
	const point = emptyPoint();
	const quantiles: { quantile: number; value: number }[] = [];
	point.count = "0";
	point.sum = 0;
	while (reader.next()) {
		if (readTime(reader, point)) continue;
		if (reader.field === 4 && reader.is(WIRE_FIXED64)) point.count = reader.fixed64().toString();
		else if (reader.field === 5 && reader.is(WIRE_FIXED64)) point.sum = reader.double();
		else if (reader.field === 6 && reader.is(WIRE_LENGTH)) quantiles.push(readQuantile(reader.message()));
		else if (reader.field === 8 && reader.is(WIRE_VARINT)) point.flags = reader.uint32();
		else if (reader.field === 1 || reader.field === 7 || reader.field > 8) reader.skip();
	}
	point.quantiles = quantiles;
	return point;
}

function readQuantile(reader: WireReader): { quantile: number; value: number } {
	let quantile = 0;
	let value = 0;
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_FIXED64)) quantile = reader.double();
		else if (reader.field === 2 && reader.is(WIRE_FIXED64)) value = reader.double();
		else if (reader.field > 2) reader.skip();
	}
	return { quantile, value };
}
