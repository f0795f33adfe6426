/**
 * Judges one metric data point on the wire: its parts must agree with each other, and be within the limits. Buckets are counted
 * and compared, never built.
 *
 * The total of a histogram's buckets may differ from its count: proxies fill fixed buckets by approximation.
 */
import type { DropReason } from "../../model/errors.ts";
import type { MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireError, WireReader } from "../../model/protobuf/reader.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { DecodeLimits } from "./limits.ts";

export interface PointFields {
	readonly attributes: number;
	readonly flags: number;
	readonly exemplars: number;
}

/** Field numbers of the data point messages, by MetricSeriesKey.type. */
export const POINT_FIELDS: Readonly<Record<MetricSeriesKey["type"], PointFields>> = {
	0: { attributes: 7, flags: 8, exemplars: 5 },
	1: { attributes: 7, flags: 8, exemplars: 5 },
	2: { attributes: 9, flags: 10, exemplars: 8 },
	3: { attributes: 1, flags: 10, exemplars: 11 },
	4: { attributes: 7, flags: 8, exemplars: 0 },
};

/** DataPointFlags: the series has a gap here, and no value. */
const NO_RECORDED_VALUE = 1;
/** Beyond ±32 a bucket's bound cannot be told from the next one, or from infinity; senders use −10 to 20. */
const MAX_SCALE = 32;
/** Doubles reach from 2^-1074 to 2^1024. */
const MAX_EXPONENT = 1100;

export interface PointFault {
	readonly reason: DropReason;
	readonly problem: string;
}

/** A point without its series; `kept` are its bytes without the attributes, where it is more than a plain number. */
export interface ReadPoint extends Omit<MetricPointRecord, "series" | "raw"> {
	readonly kept?: Uint8Array<ArrayBuffer>;
}

/** @throws WireError when the point is not well-formed */
export function readPoint(reader: WireReader, type: MetricSeriesKey["type"], limits: DecodeLimits): ReadPoint | PointFault {
	const fields = POINT_FIELDS[type];
	const { bytes } = reader;
	const number = type <= 1;
	let timeNs = 0n;
	let startTimeNs = 0n;
	let flags = 0;
	let attributes = 0;
	let exemplars = 0;
	let plain = number;
	let doubleValue: number | undefined;
	let intValue: bigint | undefined;
	/** Bytes without attributes: what lies between them. */
	const keep: number[] = [];
	let keepFrom = reader.position;
	while (reader.next()) {
		const { field, wireType, tagStart } = reader;
		if (field === fields.attributes && wireType === WIRE_LENGTH) {
			const attribute = reader.message();
			if (++attributes > limits.maxAttributes)
				return { reason: "too_many_attributes", problem: `more than ${limits.maxAttributes} attributes` };
			if (pairTooDeep(attribute, limits.maxDepth)) return { reason: "too_deep", problem: "an attribute nests too deep" };
			if (tagStart > keepFrom) keep.push(keepFrom, tagStart);
			keepFrom = reader.position;
		} else if (field === 2 && wireType === WIRE_FIXED64) startTimeNs = reader.fixed64();
		else if (field === 3 && wireType === WIRE_FIXED64) timeNs = reader.fixed64();
		else if (field === fields.flags && wireType === WIRE_VARINT) flags = reader.uint32();
		else if (number && field === 4 && wireType === WIRE_FIXED64) [doubleValue, intValue] = [reader.double(), undefined];
		else if (number && field === 6 && wireType === WIRE_FIXED64) [doubleValue, intValue] = [undefined, reader.sfixed64()];
		else {
			// Exemplars, unknown fields, and all that only the other kinds of points have.
			plain = false;
			if (field === fields.exemplars && ++exemplars > limits.maxBuckets) {
				return { reason: "record_too_large", problem: `more than ${limits.maxBuckets} exemplars` };
			}
			reader.skip();
		}
	}
	if (reader.end > keepFrom) keep.push(keepFrom, reader.end);
	if (number) {
		if (doubleValue === undefined && intValue === undefined && (flags & NO_RECORDED_VALUE) === 0) {
			return { reason: "invalid_metric_point", problem: "neither a value nor the flag that none was recorded" };
		}
	} else {
		const fault = contradiction(bytes, keep, type, limits);
		if (fault !== undefined) return fault;
	}
	return {
		timeNs,
		startTimeNs,
		flags,
		...(doubleValue === undefined ? {} : { doubleValue }),
		...(intValue === undefined ? {} : { intValue }),
		...(plain ? {} : { kept: joined(bytes, keep) }),
	};
}

function joined(bytes: Uint8Array, ranges: readonly number[]): Uint8Array<ArrayBuffer> {
	const writer = new WireWriter(64);
	for (let i = 0; i < ranges.length; i += 2) writer.raw(bytes, ranges[i]!, ranges[i + 1]!);
	return writer.finish();
}

/** The rules of each type but the plain numbers, over the point's bytes without its attributes. */
function contradiction(
	bytes: Uint8Array,
	ranges: readonly number[],
	type: MetricSeriesKey["type"],
	limits: DecodeLimits,
): PointFault | undefined {
	const check = type === 2 ? new HistogramCheck() : type === 3 ? new ExponentialCheck() : new SummaryCheck();
	for (let i = 0; i < ranges.length; i += 2) {
		const reader = new WireReader(bytes, ranges[i], ranges[i + 1]);
		while (reader.next()) check.field(reader);
	}
	if (check.parts > limits.maxBuckets) return { reason: "record_too_large", problem: `more than ${limits.maxBuckets} buckets` };
	const problem = check.problem();
	return problem === undefined ? undefined : { reason: "invalid_metric_point", problem };
}

class HistogramCheck {
	private counts = 0;
	private bounds = 0;
	private lastBound = Number.NEGATIVE_INFINITY;
	private ordered = true;

	get parts(): number {
		return Math.max(this.counts, this.bounds);
	}

	field(reader: WireReader): void {
		if (reader.field === 6 && reader.wireType === WIRE_LENGTH) this.counts += packedFixed64(reader);
		else if (reader.field === 7 && reader.wireType === WIRE_LENGTH) {
			const packed = reader.message();
			while (packed.position < packed.end) this.bound(packed.double());
		} else if (reader.field === 7 && reader.wireType === WIRE_FIXED64) this.bound(reader.double());
		else {
			if (reader.field === 6 && reader.wireType === WIRE_FIXED64) this.counts++;
			reader.skip();
		}
	}

	problem(): string | undefined {
		if (!this.ordered) return "explicit_bounds do not increase";
		if (this.counts === 0 && this.bounds === 0) return undefined;
		return this.counts === this.bounds + 1 ? undefined : `${this.counts} bucket_counts for ${this.bounds} explicit_bounds`;
	}

	/** Written so that NaN, which compares with nothing, is out of order. */
	private bound(value: number): void {
		if (!(value > this.lastBound || (this.bounds === 0 && value === Number.NEGATIVE_INFINITY))) this.ordered = false;
		this.lastBound = value;
		this.bounds++;
	}
}

class ExponentialCheck {
	private scale = 0;
	private readonly buckets: { offset: number; count: number }[] = [];

	get parts(): number {
		return this.buckets.reduce((most, { count }) => Math.max(most, count), 0);
	}

	field(reader: WireReader): void {
		if (reader.field === 6 && reader.wireType === WIRE_VARINT) this.scale = reader.sint32();
		else if ((reader.field === 8 || reader.field === 9) && reader.wireType === WIRE_LENGTH)
			this.buckets.push(bucketRange(reader.message()));
		else reader.skip();
	}

	problem(): string | undefined {
		if (Math.abs(this.scale) > MAX_SCALE) return `scale ${this.scale} is beyond ±${MAX_SCALE}`;
		const width = 2 ** -this.scale;
		for (const { offset, count } of this.buckets) {
			if (count === 0) continue;
			if ((offset + 1) * width < -MAX_EXPONENT || (offset + count - 1) * width > MAX_EXPONENT) {
				return `buckets ${offset} to ${offset + count - 1} at scale ${this.scale} are beyond what a double holds`;
			}
		}
		return undefined;
	}
}

class SummaryCheck {
	parts = 0;
	private outside: number | undefined;

	field(reader: WireReader): void {
		if (reader.field !== 6 || reader.wireType !== WIRE_LENGTH) return reader.skip();
		this.parts++;
		const quantile = reader.message();
		while (quantile.next()) {
			if (quantile.field === 1 && quantile.wireType === WIRE_FIXED64) {
				const value = quantile.double();
				if (!(value >= 0 && value <= 1)) this.outside = value;
			} else quantile.skip();
		}
	}

	problem(): string | undefined {
		return this.outside === undefined ? undefined : `quantile ${this.outside} is not between 0 and 1`;
	}
}

function packedFixed64(reader: WireReader): number {
	const { position, end } = reader.message();
	if ((end - position) % 8 !== 0) throw new WireError("packed numbers cut short", position);
	return (end - position) / 8;
}

/** Buckets: counts the numbers without reading them. */
function bucketRange(reader: WireReader): { offset: number; count: number } {
	let offset = 0;
	let count = 0;
	while (reader.next()) {
		if (reader.field === 1 && reader.wireType === WIRE_VARINT) offset = reader.sint32();
		else if (reader.field === 2 && reader.wireType === WIRE_LENGTH) {
			const packed = reader.message();
			while (packed.position < packed.end) {
				packed.uint32();
				count++;
			}
		} else {
			if (reader.field === 2 && reader.wireType === WIRE_VARINT) count++;
			reader.skip();
		}
	}
	return { offset, count };
}

/** True when the value of a KeyValue has more than `listsLeft` lists inside one another. */
export function pairTooDeep(pair: WireReader, listsLeft: number): boolean {
	while (pair.next()) {
		if (pair.field !== 2 || pair.wireType !== WIRE_LENGTH) pair.skip();
		else if (valueTooDeep(pair.message(), listsLeft)) return true;
	}
	return false;
}

/** AnyValue: array_value and kvlist_value hold their elements in field 1. */
function valueTooDeep(value: WireReader, listsLeft: number): boolean {
	while (value.next()) {
		const { field } = value;
		if ((field !== 5 && field !== 6) || value.wireType !== WIRE_LENGTH) {
			value.skip();
			continue;
		}
		if (listsLeft === 0) return true;
		const list = value.message();
		while (list.next()) {
			if (list.field !== 1 || list.wireType !== WIRE_LENGTH) list.skip();
			else if (field === 5 ? valueTooDeep(list.message(), listsLeft - 1) : pairTooDeep(list.message(), listsLeft - 1))
				return true;
		}
	}
	return false;
}
