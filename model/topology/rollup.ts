/**
 * How the sums of a bucket of time are written down: the bytes of a `RollupDelta` and the text of a series' meaning.
 *
 * A delta is a row of protobuf-framed records, one a series in rising order, so that a reader skips the series it does not want by their
 * length. A record: id, a mask of what it has, numbers in the order of {@link SCALARS}, first and last observation, codes, flags and the
 * two histograms. Whole numbers are zigzag varints, others float64, bit for bit. Sums of deltas are sums of what was observed: nothing
 * is rounded here, and what cancels out leaves no record.
 */
import { WireWriter } from "../protobuf/writer.ts";
import { addBuckets, type BucketCounts, LatencyHistogram, ZERO_BUCKET } from "./histogram.ts";
import {
	COUNTS_ANY,
	COUNTS_PLAIN,
	HAS_CODES,
	HAS_DESTINATION_LATENCY,
	HAS_FLAGS,
	HAS_SOURCE_LATENCY,
	HAS_TIMES,
	NUMBER_FIELD,
	RECORD_FIELD,
	SCALARS,
	TEXT_FIELD,
} from "./rollup-layout.ts";
import { noSums, type SeriesSums, type Sums } from "./series.ts";

/** Sums with histograms made for adding up: what deltas are gathered into. */
export type SeriesTotals = Sums<LatencyHistogram>;

export function emptyTotals(): SeriesTotals {
	return noSums(new LatencyHistogram(), new LatencyHistogram());
}

/** Whole numbers below it are varints. */
const MAX_WHOLE = 2 ** 50;
/** Weights are 1 and more, so a smaller rest is what rounding left of fractions that cancel out. */
const RESIDUE = 1e-6;

/** Adds `factor` times `from`: -1 takes back what was said, except when something was first and last seen. */
export function addSums(into: SeriesSums, from: SeriesSums, factor: 1 | -1 = 1): void {
	for (const name of SCALARS) into[name] += factor * from[name];
	if (factor === 1) {
		into.firstMs = Math.min(into.firstMs, from.firstMs);
		into.lastMs = Math.max(into.lastMs, from.lastMs);
	}
	addCounts(into.codes, from.codes, factor);
	addCounts(into.flags, from.flags, factor);
	addBuckets(into.sourceLatency, from.sourceLatency, factor);
	addBuckets(into.destinationLatency, from.destinationLatency, factor);
}

export function addTotals(into: SeriesTotals, from: SeriesTotals): void {
	for (const name of SCALARS) into[name] += from[name];
	into.firstMs = Math.min(into.firstMs, from.firstMs);
	into.lastMs = Math.max(into.lastMs, from.lastMs);
	addCounts(into.codes, from.codes, 1);
	addCounts(into.flags, from.flags, 1);
	into.sourceLatency.add(from.sourceLatency);
	into.destinationLatency.add(from.destinationLatency);
}

function addCounts(into: Map<string, number>, from: ReadonlyMap<string, number>, factor: number): void {
	for (const [key, count] of from) {
		const sum = (into.get(key) ?? 0) + factor * count;
		if (sum === 0) into.delete(key);
		else into.set(key, sum);
	}
}

/** Series of which nothing is left but when they were seen are left out. */
export function encodeRollup(sums: ReadonlyMap<number, SeriesSums | SeriesTotals>): Uint8Array<ArrayBuffer> {
	const writer = new WireWriter(64 * 1024);
	for (const id of [...sums.keys()].sort((a, b) => a - b)) writeRecord(writer, id, sums.get(id)!);
	return writer.finish();
}

/** What of one series is written: nothing of a sum that is nothing. */
function writeRecord(writer: WireWriter, id: number, sums: SeriesSums | SeriesTotals): void {
	const codes = countsLeft(sums.codes);
	const flags = countsLeft(sums.flags);
	const source = bucketsLeft(sums.sourceLatency);
	const destination = bucketsLeft(sums.destinationLatency);
	let mask = 0;
	for (let bit = 0; bit < SCALARS.length; bit++) if (isSome(sums[SCALARS[bit]!])) mask |= 1 << bit;
	if (codes.length > 0) mask |= HAS_CODES;
	if (flags.length > 0) mask |= HAS_FLAGS;
	if (source.indices.length > 0) mask |= HAS_SOURCE_LATENCY;
	if (destination.indices.length > 0) mask |= HAS_DESTINATION_LATENCY;
	if (mask === 0) return;
	if (sums.firstMs <= sums.lastMs) mask |= HAS_TIMES;

	const mark = writer.begin(RECORD_FIELD);
	writer.varint(id);
	writer.varint(mask);
	for (let bit = 0; bit < SCALARS.length; bit++) if ((mask & (1 << bit)) !== 0) writeNumber(writer, sums[SCALARS[bit]!]);
	if ((mask & HAS_TIMES) !== 0) {
		writeNumber(writer, sums.firstMs);
		writeNumber(writer, sums.lastMs);
	}
	if (codes.length > 0) writeCounts(writer, codes);
	if (flags.length > 0) writeCounts(writer, flags);
	if (source.indices.length > 0) writeBuckets(writer, source);
	if (destination.indices.length > 0) writeBuckets(writer, destination);
	writer.end(mark);
}

function isSome(value: number): boolean {
	return value > RESIDUE || value < -RESIDUE;
}

function isWhole(value: number): boolean {
	return Number.isInteger(value) && value < MAX_WHOLE && value > -MAX_WHOLE;
}

/** Even: twice the zigzag number. 1: a float64 follows. */
function writeNumber(writer: WireWriter, value: number): void {
	if (isWhole(value)) {
		writer.varint(2 * (value < 0 ? -2 * value - 1 : 2 * value));
	} else {
		writer.varint(1);
		writer.double(value);
	}
}

function countsLeft(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
	return counts.size === 0 ? [] : [...counts].filter(([, count]) => isSome(count));
}

function writeCounts(writer: WireWriter, counts: readonly (readonly [string, number])[]): void {
	writer.varint(counts.length);
	for (const [key, count] of counts) {
		if (/^(?:0|[1-9]\d{0,8})$/.test(key)) writer.varintField(NUMBER_FIELD, Number(key));
		else writer.stringField(TEXT_FIELD, key);
		writeNumber(writer, count);
	}
}

interface Buckets {
	readonly indices: readonly number[];
	readonly counts: readonly number[];
}

/** Those that hold something, in rising order. */
function bucketsLeft(buckets: BucketCounts): Buckets {
	const indices: number[] = [];
	const counts: number[] = [];
	let isSorted = true;
	buckets.forEach((count, index) => {
		if (!isSome(count)) return;
		if (indices.length > 0 && indices[indices.length - 1]! > index) isSorted = false;
		indices.push(index);
		counts.push(count);
	});
	if (isSorted) return { indices, counts };
	const order = Array.from(indices, (_, i) => i).sort((a, b) => indices[a]! - indices[b]!);
	return { indices: order.map((i) => indices[i]!), counts: order.map((i) => counts[i]!) };
}

function writeBuckets(writer: WireWriter, { indices, counts }: Buckets): void {
	const isPlain = counts.every((count) => count > 0 && isWhole(count));
	writer.varint(indices.length * 4 + (isPlain ? COUNTS_PLAIN : COUNTS_ANY));
	writer.varint(indices[0]! - ZERO_BUCKET);
	writer.varint(indices.at(-1)! - indices[0]!);
	let previous = indices[0]!;
	for (let i = 0; i < indices.length; i++) {
		writer.varint(indices[i]! - previous);
		previous = indices[i]!;
		if (isPlain) writer.varint(counts[i]!);
		else writeNumber(writer, counts[i]!);
	}
}
