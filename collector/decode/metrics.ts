/**
 * An ExportMetricsServiceRequest to series and points. Points are counted on the wire before the first object is built; a point
 * that contradicts itself costs itself.
 * Source: opentelemetry/proto/metrics/v1/metrics.proto and the metrics data model of the OpenTelemetry specification.
 */
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { canonicalAttributes, canonicalScope } from "../../model/otlp/canonical.ts";
import { readKeyValue } from "../../model/otlp/any-value.ts";
import type { OtlpKeyValue, OtlpScope } from "../../model/otlp/types.ts";
import { WIRE_LENGTH, WIRE_VARINT, WireError, WireReader } from "../../model/protobuf/reader.ts";
import type { DecodeLimits } from "./limits.ts";
import { pairTooDeep, POINT_FIELDS, readPoint } from "./metrics-point.ts";

export interface MetricDecodeResult {
	readonly batch: MetricBatch;
	/** Points left out. */
	readonly dropped: Partial<Record<DropReason, number>>;
	/** What was wrong with the first few of them. */
	readonly messages: readonly string[];
	/** Names and attribute texts in which something was not UTF-8 and became U+FFFD. */
	readonly invalidUtf8Strings: number;
}

const MAX_MESSAGES = 8;

/**
 * @throws MeshscopeError `malformed_payload` when the bytes are no such request, `payload_too_large` when it holds more points or
 * series than the limits
 */
export function decodeMetrics(bytes: Uint8Array, limits: DecodeLimits): MetricDecodeResult {
	try {
		countPoints(bytes, limits);
		const decoder = new MetricDecoder(limits);
		for (const resourceMetrics of messages(new WireReader(bytes), 1)) decoder.resource(resourceMetrics);
		return decoder.result();
	} catch (error) {
		if (!(error instanceof WireError)) throw error;
		throw new MeshscopeError("malformed_payload", `metrics: ${error.message}; check the exporter's encoding`);
	}
}

/** The messages in one repeated field. */
function* messages(reader: WireReader, field: number): Generator<WireReader> {
	while (reader.next()) {
		if (reader.field !== field) reader.skip();
		else if (reader.is(WIRE_LENGTH)) yield reader.message();
	}
}

/** Metric's oneof: field number to type. */
const TYPE_OF_FIELD: Readonly<Record<number, MetricSeriesKey["type"]>> = { 5: 0, 7: 1, 9: 2, 10: 3, 11: 4 };

/** Walks to the points without looking into them; also shows that everything around them is well-formed. */
function countPoints(bytes: Uint8Array, limits: DecodeLimits): void {
	let points = 0;
	let groups = 0;
	const check = (): void => {
		if (points <= limits.maxPoints && groups <= limits.maxRecords) return;
		throw new MeshscopeError(
			"payload_too_large",
			`the batch holds more than ${limits.maxPoints} metric points or ${limits.maxRecords} groups; lower the exporter's batch size`,
		);
	};
	for (const resourceMetrics of messages(new WireReader(bytes), 1)) {
		groups++;
		for (const scopeMetrics of messages(resourceMetrics, 2)) {
			groups++;
			for (const metric of messages(scopeMetrics, 2)) {
				groups++;
				while (metric.next()) {
					if (TYPE_OF_FIELD[metric.field] === undefined) metric.skip();
					else if (metric.is(WIRE_LENGTH)) points += countMessages(metric.message());
				}
				check();
			}
		}
		check();
	}
}

function countMessages(reader: WireReader): number {
	let count = 0;
	while (reader.next()) {
		if (reader.field === 1 && reader.wireType === WIRE_LENGTH) count++;
		reader.skip();
	}
	return count;
}

/** What all points of a metric share. */
type MetricContext = Omit<MetricSeriesKey, "attributes">;

class MetricDecoder {
	private readonly limits: DecodeLimits;
	private readonly series: MetricSeriesKey[] = [];
	private readonly points: MetricPointRecord[] = [];
	private readonly dropped: Partial<Record<DropReason, number>> = {};
	private readonly problems: string[] = [];
	private invalidUtf8Strings = 0;
	private seriesChars = 0;
	/** Long texts get small numbers, so that keys stay short however often a large resource is met. */
	private readonly textIndex = new Map<string, number>();
	private readonly seriesIndex = new Map<string, number>();

	constructor(limits: DecodeLimits) {
		this.limits = limits;
	}

	result(): MetricDecodeResult {
		return {
			batch: { series: this.series, points: this.points },
			dropped: this.dropped,
			messages: this.problems,
			invalidUtf8Strings: this.invalidUtf8Strings,
		};
	}

	resource(reader: WireReader): void {
		const { attributes } = readOwner(reader, 1, this.limits);
		const service = attributes.findLast(({ key }) => key === "service.name")?.value?.stringValue ?? "";
		const text = canonicalAttributes(attributes);
		for (const scopeMetrics of messages(reader, 2)) this.scope(scopeMetrics, text, service);
	}

	private scope(reader: WireReader, resource: string, service: string): void {
		const scope = canonicalScope(readOwner(reader, 3, this.limits));
		for (const metric of messages(reader, 2)) this.metric(metric, resource, scope, service);
	}

	private metric(reader: WireReader, resource: string, scope: string, service: string): void {
		let name = "";
		let description = "";
		let unit = "";
		const data: (readonly [MetricSeriesKey["type"], WireReader])[] = [];
		while (reader.next()) {
			const type = TYPE_OF_FIELD[reader.field];
			if (reader.field === 1 && reader.is(WIRE_LENGTH)) name = reader.string();
			else if (reader.field === 2 && reader.is(WIRE_LENGTH)) description = reader.string();
			else if (reader.field === 3 && reader.is(WIRE_LENGTH)) unit = reader.string();
			else if (type !== undefined && reader.is(WIRE_LENGTH)) data.push([type, reader.message()]);
			else if (reader.field > 3 && type === undefined) reader.skip();
		}
		for (const [type, range] of data) {
			const { temporality, monotonic } = readAggregation(new WireReader(range.bytes, range.position, range.end));
			const context: MetricContext = { name, description, unit, type, temporality, monotonic, service, resource, scope };
			this.dataPoints(range, context);
		}
	}

	private dataPoints(reader: WireReader, context: MetricContext): void {
		const { name, unit, type, temporality, monotonic, resource, scope } = context;
		// The description is no part of a series' identity.
		const key = [
			this.numberOf(resource),
			this.numberOf(scope),
			this.numberOf(name),
			this.numberOf(unit),
			type,
			temporality,
			+monotonic,
		];
		const contextKey = this.numberOf(key.join());
		let index = 0;
		for (const point of messages(reader, 1)) this.point(point, context, contextKey, index++);
	}

	private numberOf(text: string): number {
		let number = this.textIndex.get(text);
		if (number === undefined) this.textIndex.set(text, (number = this.textIndex.size));
		return number;
	}

	private point(reader: WireReader, context: MetricContext, contextKey: number, index: number): void {
		const { limits } = this;
		const { bytes, position: start, end } = reader;
		const fail = (reason: DropReason, problem: string): void => {
			this.dropped[reason] = (this.dropped[reason] ?? 0) + 1;
			if (this.problems.length < MAX_MESSAGES)
				this.problems.push(`${JSON.stringify(context.name.slice(0, 80))}[${index}]: ${problem}`);
		};
		if (end - start > limits.maxRecordBytes) return fail("record_too_large", `${end - start} bytes`);
		try {
			const point = readPoint(new WireReader(bytes, start, end), context.type, limits);
			if ("reason" in point) return fail(point.reason, point.problem);
			const attributes = canonicalAttributes(this.attributes(reader, context.type));
			const { kept, ...record } = point;
			const raw = kept === undefined ? {} : { raw: kept };
			this.points.push({ series: this.seriesOf(context, contextKey, attributes), ...record, ...raw });
		} catch (error) {
			if (!(error instanceof WireError)) throw error;
			fail("malformed_record", error.message);
		}
	}

	private attributes(reader: WireReader, type: MetricSeriesKey["type"]): OtlpKeyValue[] {
		const attributes: OtlpKeyValue[] = [];
		for (const attribute of messages(reader, POINT_FIELDS[type].attributes)) attributes.push(readKeyValue(attribute, 0));
		return attributes;
	}

	private seriesOf(context: MetricContext, contextKey: number, attributes: string): number {
		const key = `${contextKey}${attributes}`;
		const known = this.seriesIndex.get(key);
		if (known !== undefined) return known;
		const index = this.series.length;
		if (index === this.limits.maxSeries) {
			throw new MeshscopeError(
				"payload_too_large",
				`the batch holds more than ${this.limits.maxSeries} metric series; lower the exporter's batch size`,
			);
		}
		const { name, description, unit, resource, scope } = context;
		for (const text of [name, description, unit, resource, scope, attributes]) this.seriesChars += text.length;
		if (this.seriesChars > this.limits.maxSeriesChars) {
			throw new MeshscopeError(
				"payload_too_large",
				`the batch's metric series have more than ${this.limits.maxSeriesChars} characters, each with its resource; shorten the resource's attributes or lower the exporter's batch size`,
			);
		}
		if (attributes.includes("\ufffd")) this.invalidUtf8Strings++;
		this.seriesIndex.set(key, index);
		this.series.push({ ...context, attributes });
		return index;
	}
}

/**
 * Field 1 of a group: its Resource (attributes in field 1) or InstrumentationScope (name, version, attributes in field 3).
 * @throws MeshscopeError `malformed_payload` beyond the limits: without its owner no point below means anything
 */
function readOwner(
	group: WireReader,
	attributesField: 1 | 3,
	limits: DecodeLimits,
): OtlpScope & { readonly attributes: OtlpKeyValue[] } {
	const what = attributesField === 1 ? "a resource" : "a scope";
	const attributes: OtlpKeyValue[] = [];
	let name = "";
	let version = "";
	for (const owner of messages(new WireReader(group.bytes, group.position, group.end), 1)) {
		if (owner.end - owner.position > limits.maxRecordBytes)
			throw ownerFault(`${what} has more than ${limits.maxRecordBytes} bytes; remove attributes or raise --max-record`);
		while (owner.next()) {
			const { field, wireType, position } = owner;
			if (wireType !== WIRE_LENGTH) owner.skip();
			else if (field === attributesField) {
				if (attributes.length === limits.maxAttributes)
					throw ownerFault(
						`${what} has more than ${limits.maxAttributes} attributes; remove some or raise --max-attributes`,
					);
				const pair = owner.message();
				if (pairTooDeep(new WireReader(pair.bytes, pair.position, pair.end), limits.maxDepth)) {
					throw ownerFault(`an attribute of ${what} at byte ${position} nests deeper than ${limits.maxDepth} lists`);
				}
				attributes.push(readKeyValue(pair, 0));
			} else if (attributesField === 3 && field === 1) name = owner.string();
			else if (attributesField === 3 && field === 2) version = owner.string();
			else owner.skip();
		}
	}
	return { name, version, attributes };
}

function ownerFault(message: string): MeshscopeError {
	return new MeshscopeError("malformed_payload", `metrics: ${message}`);
}

/** Fields 2 and 3 of Sum, Histogram and ExponentialHistogram; Gauge and Summary have neither. */
function readAggregation(reader: WireReader): { temporality: 0 | 1 | 2; monotonic: boolean } {
	let temporality: 0 | 1 | 2 = 0;
	let monotonic = false;
	while (reader.next()) {
		if (reader.field === 2 && reader.is(WIRE_VARINT)) {
			const value = reader.uint32();
			temporality = value === 1 || value === 2 ? value : 0;
		} else if (reader.field === 3 && reader.is(WIRE_VARINT)) monotonic = reader.bool();
		else if (reader.field !== 2 && reader.field !== 3) reader.skip();
	}
	return { temporality, monotonic };
}
