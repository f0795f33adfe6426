/**
 * Adds up roll-ups, series by series instead of row by row: the sums of one series over all rows are gathered in two arrays of 16 KiB,
 * which the processor keeps at hand, where those of a thousand series would not fit.
 */
import { utf8Text } from "../protobuf/utf8.ts";
import { type LatencyHistogram, MAX_BUCKET, ZERO_BUCKET } from "./histogram.ts";
import { emptyTotals, encodeRollup, type SeriesTotals } from "./rollup.ts";
import {
	COUNTS_ANY,
	COUNTS_PLAIN,
	DamagedRollupError,
	HAS_CODES,
	HAS_DESTINATION_LATENCY,
	HAS_FLAGS,
	HAS_SOURCE_LATENCY,
	HAS_TIMES,
	NUMBER_TAG,
	RECORD_TAG,
	TEXT_TAG,
} from "./rollup-layout.ts";

/**
 * Adds deltas to what was gathered; costs 2 to 5 ns a histogram bucket. Of series that are not `wanted` only the id is read; `counts`
 * leaves histograms out, which are most of the bytes.
 * @throws DamagedRollupError; `into` then holds a part of the deltas and is of no more use
 */
export function addRollups(
	into: Map<number, SeriesTotals>,
	datas: Iterable<Uint8Array>,
	wanted?: ReadonlySet<number>,
	parts: "all" | "counts" = "all",
): void {
	const cursors: Cursor[] = [];
	for (const data of datas) {
		const cursor = new Cursor(data);
		if (cursor.nextRecord()) cursors.push(cursor);
	}
	const gathered = new GatheredSeries(parts === "all");
	let next = cursors.reduce((least, { series }) => Math.min(least, series), Infinity);
	while (next !== Infinity) {
		const id = next;
		next = Infinity;
		const isWanted = wanted === undefined || wanted.has(id);
		let totals: SeriesTotals | undefined;
		for (const cursor of cursors) {
			if (cursor.series === id) {
				if (isWanted) {
					totals ??= into.get(id) ?? emptyTotals();
					gathered.read(cursor, totals);
					if (cursor.at !== cursor.end) throw new DamagedRollupError("a record's length is not that of its content");
				} else cursor.at = cursor.end;
				cursor.nextRecord();
			}
			if (cursor.series < next) next = cursor.series;
		}
		if (totals === undefined) continue;
		gathered.moveTo(totals);
		into.set(id, totals);
	}
}

/** The deltas of one bucket as one. @throws DamagedRollupError */
export function joinRollups(datas: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
	const totals = new Map<number, SeriesTotals>();
	addRollups(totals, datas);
	return encodeRollup(totals);
}

/** What the records of one series say, until all of them were read. */
class GatheredSeries {
	private readonly room = new CountRoom();
	private readonly source = new GatheredBuckets(this.room);
	private readonly destination = new GatheredBuckets(this.room);
	private readonly codes = new GatheredCounts();
	private readonly flags = new GatheredCounts();
	private readonly hasLatency: boolean;

	constructor(hasLatency: boolean) {
		this.hasLatency = hasLatency;
	}

	read(cursor: Cursor, totals: SeriesTotals): void {
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
		if ((mask & HAS_CODES) !== 0) this.codes.read(cursor);
		if ((mask & HAS_FLAGS) !== 0) this.flags.read(cursor);
		// Histograms end the record.
		if (!this.hasLatency) {
			cursor.at = cursor.end;
			return;
		}
		if ((mask & HAS_SOURCE_LATENCY) !== 0) this.source.read(cursor);
		if ((mask & HAS_DESTINATION_LATENCY) !== 0) this.destination.read(cursor);
	}

	/** Adds the rest to what was read into the totals at once, and is empty again. */
	moveTo(totals: SeriesTotals): void {
		this.codes.moveTo(totals.codes);
		this.flags.moveTo(totals.flags);
		this.source.moveTo(totals.sourceLatency);
		this.destination.moveTo(totals.destinationLatency);
	}
}

/** Of a series mostly one key comes again and again; looking for it in a Map, with a text made for it, takes as long as all else. */
class GatheredCounts {
	private readonly keys: (number | string)[] = [];
	private readonly sums: number[] = [];

	read(cursor: Cursor): void {
		for (let left = cursor.varint(); left > 0; left--) {
			const tag = cursor.byte();
			const key = tag === NUMBER_TAG ? cursor.varint() : tag === TEXT_TAG ? cursor.text() : undefined;
			if (key === undefined) throw new DamagedRollupError("a code is neither number nor text");
			const at = this.keys.indexOf(key);
			if (at >= 0) this.sums[at]! += cursor.number();
			else {
				this.keys.push(key);
				this.sums.push(cursor.number());
			}
		}
	}

	moveTo(into: Map<string, number>): void {
		const { keys, sums } = this;
		for (let i = 0; i < keys.length; i++) {
			const key = String(keys[i]);
			const sum = (into.get(key) ?? 0) + sums[i]!;
			if (sum === 0) into.delete(key);
			else into.set(key, sum);
		}
		keys.length = 0;
		sums.length = 0;
	}
}

/** Counts of an hour of 1,000 edges. */
const ROOM = 1 << 16;

/**
 * Room for counts that live and die together, hundreds of histograms in one piece of memory: three thousand pieces a query are a
 * third of its time, most of it in collecting them.
 */
class CountRoom {
	private piece = new Float64Array(0);
	private used = 0;

	readonly copy = (counts: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
		const { length } = counts;
		if (this.used + length > this.piece.length) {
			this.piece = new Float64Array(Math.max(ROOM, length));
			this.used = 0;
		}
		const own = this.piece.subarray(this.used, (this.used += length));
		own.set(counts);
		return own;
	};
}

/** A histogram with room for every bucket; place 0 is {@link ZERO_BUCKET}. */
class GatheredBuckets {
	private readonly counts = new Float64Array(MAX_BUCKET - ZERO_BUCKET + 1);
	private first = Infinity;
	private last = -1;
	private readonly room: CountRoom;

	constructor(room: CountRoom) {
		this.room = room;
	}

	read(cursor: Cursor): void {
		const { counts } = this;
		const { bytes } = cursor;
		const head = cursor.varint();
		let at = cursor.varint();
		const end = at + cursor.varint();
		if (end >= counts.length) throw new DamagedRollupError("a histogram has a bucket that does not exist");
		if (at < this.first) this.first = at;
		if (end > this.last) this.last = end;
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

	moveTo(histogram: LatencyHistogram): void {
		const { first, last } = this;
		if (last < 0) return;
		const counts = this.counts.subarray(first, last + 1);
		histogram.addCounts(first + ZERO_BUCKET, counts, this.room.copy);
		counts.fill(0);
		this.first = Infinity;
		this.last = -1;
	}
}

/** Reads what {@link encodeRollup} wrote, record by record; running past the end throws. */
class Cursor {
	readonly bytes: Uint8Array;
	private readonly view: DataView;
	at = 0;
	/** Of the record that was begun; Infinity behind the last one. */
	series = -1;
	end = 0;
	private low = 0;
	private high = 0;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	}

	/** Begins the next record, behind its id; false at the end. */
	nextRecord(): boolean {
		const { bytes, series } = this;
		if (this.at >= bytes.length) {
			this.series = Infinity;
			return false;
		}
		if (bytes[this.at++] !== RECORD_TAG) throw new DamagedRollupError("no record begins here");
		const length = this.varint();
		this.end = this.at + length;
		if (this.end > bytes.length) throw new DamagedRollupError("a record reaches beyond the end");
		this.series = this.varint();
		if (this.series <= series) throw new DamagedRollupError("a record is not behind those of lower series");
		return true;
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
		const start = this.at;
		const length = this.varint();
		const from = this.at;
		this.at += length;
		if (this.at > this.bytes.length) throw new DamagedRollupError(`a text at byte ${start} reaches beyond the end`);
		return utf8Text(this.bytes, from, this.at);
	}
}
