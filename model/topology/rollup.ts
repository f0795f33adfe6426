/**
 * How the sums of a bucket of time are written down: the bytes of a `RollupDelta` and the text of a series' meaning.
 *
 * A delta is a row of protobuf-framed records, one a series in rising order, so that a reader skips the series it does not want by their
 * length. A record: id, a mask of what it has, numbers in the order of {@link SCALARS}, first and last observation, codes, flags and the
 * two histograms. Whole numbers are zigzag varints, others float64, bit for bit. Sums of deltas are sums of what was observed: nothing
 * is rounded here, and what cancels out leaves no record.
 */
import { WIRE_LENGTH, WIRE_VARINT } from "../protobuf/reader.ts";
import { utf8Text } from "../protobuf/utf8.ts";
import { WireWriter } from "../protobuf/writer.ts";
import { addBuckets, type BucketCounts, LatencyHistogram, MAX_BUCKET, ZERO_BUCKET } from "./histogram.ts";
import type { SeriesSums } from "./series.ts";

/** Bytes that no roll-up is made of: they were damaged, or written by another version. */
export class DamagedRollupError extends Error {
	override readonly name = "DamagedRollupError";
}

/** As SeriesSums, with histograms made for adding up: what readers gather deltas into. */
export interface SeriesTotals extends Omit<SeriesSums, "sourceLatency" | "destinationLatency"> {
	readonly sourceLatency: LatencyHistogram;
	readonly destinationLatency: LatencyHistogram;
}

export function emptyTotals(): SeriesTotals {
	return {
		observed: 0,
		count: 0,
		attempts: 0,
		bytesSent: 0,
		bytesReceived: 0,
		failedHandshakes: 0,
		appNs: 0,
		appCount: 0,
		proxyNs: 0,
		codes: new Map(),
		flags: new Map(),
		sourceLatency: new LatencyHistogram(),
		destinationLatency: new LatencyHistogram(),
		firstMs: Infinity,
		lastMs: -Infinity,
		sourceLatencyNs: 0,
		destinationLatencyNs: 0,
	};
}

/** In the order of the mask's bits. */
const SCALARS = [
	"observed",
	"count",
	"attempts",
	"bytesSent",
	"bytesReceived",
	"failedHandshakes",
	"appNs",
	"appCount",
	"proxyNs",
	"sourceLatencyNs",
	"destinationLatencyNs",
] as const;
const HAS_TIMES = 1 << 11;
const HAS_CODES = 1 << 12;
const HAS_FLAGS = 1 << 13;
const HAS_SOURCE_LATENCY = 1 << 14;
const HAS_DESTINATION_LATENCY = 1 << 15;

/** Field number of a record: also the version of its layout. */
const RECORD_FIELD = 1;
const RECORD_TAG = RECORD_FIELD * 8 + WIRE_LENGTH;
/** A code or flag is a number written as such (field 1) or a text (field 2). */
const NUMBER_FIELD = 1;
const NUMBER_TAG = NUMBER_FIELD * 8 + WIRE_VARINT;
const TEXT_FIELD = 2;
const TEXT_TAG = TEXT_FIELD * 8 + WIRE_LENGTH;

/** Counts of a histogram: whole and above zero, as nearly all are, or any. */
const COUNTS_PLAIN = 0;
const COUNTS_ANY = 1;

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

/**
 * Adds a delta to what was gathered; costs 4 to 10 ns a histogram bucket. Of series that are not `wanted` only the id is read.
 * @throws DamagedRollupError; `into` then holds a part of the delta and is of no more use
 */
export function addRollup(into: Map<number, SeriesTotals>, data: Uint8Array, wanted?: ReadonlySet<number>): void {
	const cursor = new Cursor(data);
	while (cursor.at < data.length) {
		if (data[cursor.at++] !== RECORD_TAG) throw new DamagedRollupError("no record begins here");
		const length = cursor.varint();
		const end = cursor.at + length;
		if (end > data.length) throw new DamagedRollupError("a record reaches beyond the end");
		const id = cursor.varint();
		if (wanted !== undefined && !wanted.has(id)) {
			cursor.at = end;
			continue;
		}
		let totals = into.get(id);
		if (totals === undefined) into.set(id, (totals = emptyTotals()));
		readRecord(cursor, totals);
		if (cursor.at !== end) throw new DamagedRollupError("a record's length is not that of its content");
	}
}

function readRecord(cursor: Cursor, totals: SeriesTotals): void {
	const mask = cursor.varint();
	// By name, one after another: a computed name costs 30 ns each.
	if ((mask & 0x001) !== 0) totals.observed += cursor.number();
	if ((mask & 0x002) !== 0) totals.count += cursor.number();
	if ((mask & 0x004) !== 0) totals.attempts += cursor.number();
	if ((mask & 0x008) !== 0) totals.bytesSent += cursor.number();
	if ((mask & 0x010) !== 0) totals.bytesReceived += cursor.number();
	if ((mask & 0x020) !== 0) totals.failedHandshakes += cursor.number();
	if ((mask & 0x040) !== 0) totals.appNs += cursor.number();
	if ((mask & 0x080) !== 0) totals.appCount += cursor.number();
	if ((mask & 0x100) !== 0) totals.proxyNs += cursor.number();
	if ((mask & 0x200) !== 0) totals.sourceLatencyNs += cursor.number();
	if ((mask & 0x400) !== 0) totals.destinationLatencyNs += cursor.number();
	if ((mask & HAS_TIMES) !== 0) {
		totals.firstMs = Math.min(totals.firstMs, cursor.number());
		totals.lastMs = Math.max(totals.lastMs, cursor.number());
	}
	if ((mask & HAS_CODES) !== 0) readCounts(cursor, totals.codes);
	if ((mask & HAS_FLAGS) !== 0) readCounts(cursor, totals.flags);
	if ((mask & HAS_SOURCE_LATENCY) !== 0) readBuckets(cursor, totals.sourceLatency);
	if ((mask & HAS_DESTINATION_LATENCY) !== 0) readBuckets(cursor, totals.destinationLatency);
}

function readCounts(cursor: Cursor, into: Map<string, number>): void {
	for (let left = cursor.varint(); left > 0; left--) {
		const tag = cursor.byte();
		const key = tag === NUMBER_TAG ? String(cursor.varint()) : tag === TEXT_TAG ? cursor.text() : undefined;
		if (key === undefined) throw new DamagedRollupError("a code is neither number nor text");
		const sum = (into.get(key) ?? 0) + cursor.number();
		if (sum === 0) into.delete(key);
		else into.set(key, sum);
	}
}

function readBuckets(cursor: Cursor, into: LatencyHistogram): void {
	const { bytes } = cursor;
	const head = cursor.varint();
	const first = cursor.varint() + ZERO_BUCKET;
	const last = first + cursor.varint();
	if (last > MAX_BUCKET) throw new DamagedRollupError("a histogram has a bucket that does not exist");
	into.reserve(first, last);
	const { counts } = into;
	let at = first - into.first;
	const end = last - into.first;
	const form = head % 4;
	if (form > COUNTS_ANY) throw new DamagedRollupError("a histogram is of an unknown form");
	const beforeEnd = bytes.length - 2;
	for (let left = Math.floor(head / 4); left > 0; left--) {
		if (form === COUNTS_PLAIN) {
			// The hot path: steps of one byte and counts of at most two, the place kept out of the object.
			let place = cursor.at;
			for (; left > 0 && place < beforeEnd; left--) {
				const step = bytes[place]!;
				let count = bytes[place + 1]!;
				if (count >= 0x80) {
					const more = bytes[place + 2]!;
					if (more >= 0x80) break;
					count = (count & 0x7f) | (more << 7);
					if (step >= 0x80 || at + step > end) break;
					place += 3;
				} else {
					if (step >= 0x80 || at + step > end) break;
					place += 2;
				}
				at += step;
				counts[at]! += count;
			}
			cursor.at = place;
			if (left === 0) return;
		}
		at += cursor.varint();
		if (at > end) throw new DamagedRollupError("a histogram has a bucket outside of its range");
		if (form === COUNTS_PLAIN) counts[at]! += cursor.varint();
		else counts[at]! += cursor.number();
	}
}

/** The deltas of one bucket as one. @throws DamagedRollupError */
export function joinRollups(datas: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
	const totals = new Map<number, SeriesTotals>();
	for (const data of datas) addRollup(totals, data);
	return encodeRollup(totals);
}

/** Reads what {@link encodeRollup} wrote; running past the end throws. */
class Cursor {
	readonly bytes: Uint8Array;
	private readonly view: DataView;
	at = 0;
	private low = 0;
	private high = 0;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	byte(): number {
		const byte = this.bytes[this.at++];
		if (byte === undefined) throw new DamagedRollupError("the bytes end early");
		return byte;
	}

	/** Up to 2^56; longer ones are damage. */
	varint(): number {
		const byte = this.bytes[this.at]!;
		if (byte < 0x80) {
			this.at++;
			return byte;
		}
		this.readHalves();
		return this.high * 0x1000_0000 + this.low;
	}

	/** What `writeNumber` wrote; taken apart as whole numbers of 28 bits, since floats take twice as long. */
	number(): number {
		this.readHalves();
		const { low } = this;
		if ((low & 1) === 0) {
			const magnitude = this.high * 0x400_0000 + (low >>> 2);
			return (low & 2) === 0 ? magnitude : -magnitude - 1;
		}
		const { at } = this;
		if (low !== 1 || this.high !== 0 || at + 8 > this.bytes.length) throw new DamagedRollupError("the bytes end early");
		this.at += 8;
		return this.view.getFloat64(at, true);
	}

	private readHalves(): void {
		const { bytes } = this;
		let { at } = this;
		let low = 0;
		let high = 0;
		for (let shift = 0; shift < 56; shift += 7) {
			const byte = bytes[at++];
			if (byte === undefined) throw new DamagedRollupError("the bytes end early");
			if (shift < 28) low |= (byte & 0x7f) << shift;
			else high |= (byte & 0x7f) << (shift - 28);
			if (byte < 0x80) {
				this.at = at;
				this.low = low;
				this.high = high;
				return;
			}
		}
		throw new DamagedRollupError("a number is too long");
	}

	text(): string {
		const start = this.at + 0;
		const length = this.varint();
		const from = this.at;
		this.at += length;
		if (this.at > this.bytes.length) throw new DamagedRollupError(`a text at byte ${start} reaches beyond the end`);
		return utf8Text(this.bytes, from, this.at);
	}
}
