/**
 * Which rows of a scan tell of a span that was counted before: one that was sent again in another batch is stored twice, since
 * looking for it at ingest would cost every span of every sender.
 *
 * Blocks are scanned newest first, and records of one span start at one moment. So a row is remembered only where a block that comes
 * later can hold its moment too, or where its block has another row of its trace and moment; of blocks that do not overlap nothing is.
 */
import type { BlockReader } from "../block/reader.ts";
import type { StoredTraces } from "../block/traces.ts";

const NS_A_SECOND = 1_000_000_000;
const INITIAL_SLOTS = 1 << 10;
/** Half of them are used: 2 M spans, 64 MiB. */
const MAX_SLOTS = 1 << 22;
const SLOT_WORDS = 4;

/** Senders choose ids: with a secret none can make long chains of them. */
const SECRETS = crypto.getRandomValues(new Uint32Array(2));
const SECRET0 = SECRETS[0]!;
const SECRET1 = SECRETS[1]!;

export class SeenSpans {
	private readonly known = new MomentSet();
	private block: BlockReader | undefined;
	/** Of each class, a hash of what tells spans of one id apart; 0 where it was not asked for. */
	private classHashes = new Int32Array(0);
	private readonly textNumbers = new Map<string, number>();
	private traces: StoredTraces | undefined;
	private spanIds: Uint32Array | undefined;
	/** Of the row asked for last. */
	private trace = 0;
	private baseSecond = 0;
	private baseNs = 0;
	/** The latest second that this block or one to come can hold, and that one to come can. */
	private reach = Infinity;
	private laterReach = Infinity;
	/** The row before, of those that were asked for. */
	private lastRow = -1;
	private lastOffset = 0;
	private lastDurationNs = 0;
	private isLastKnown = false;

	/** @param laterReachNs the latest start that a block to come can hold; undefined for none */
	begin(block: BlockReader, laterReachNs: bigint | undefined): void {
		const { baseNs, classes } = block.head();
		this.block = block;
		this.classHashes = new Int32Array(classes.length);
		this.traces = undefined;
		this.spanIds = undefined;
		this.trace = 0;
		this.baseSecond = Number(baseNs / BigInt(NS_A_SECOND));
		this.baseNs = Number(baseNs % BigInt(NS_A_SECOND));
		this.reach = this.laterReach;
		this.laterReach = laterReachNs === undefined ? -1 : Number(laterReachNs / BigInt(NS_A_SECOND));
		this.lastRow = -1;
	}

	/**
	 * Whether the row's span was not seen before. Rows of a block are asked for in ascending order, then wide ones.
	 * @param offset as in the block's column; of a wide row, nothing
	 */
	isFirst(row: number, offset: number, durationNs: number): boolean {
		const wide = this.block!.head().wideRows.get(row);
		if (wide !== undefined) {
			const second = Number(wide.time0 / BigInt(NS_A_SECOND));
			return this.remember(row, second, Number(wide.time0 % BigInt(NS_A_SECOND)), Number(wide.time1 - wide.time0));
		}
		const sinceSecond = this.baseNs + offset;
		const seconds = Math.floor(sinceSecond / NS_A_SECOND);
		const second = this.baseSecond + seconds;
		const ns = sinceSecond - seconds * NS_A_SECOND;
		// Rows of one trace and moment lie together.
		const isMomentOfLast = this.lastRow >= 0 && this.lastOffset === offset;
		if (isMomentOfLast && !this.isLastKnown) this.remember(this.lastRow, second, ns, this.lastDurationNs);
		this.lastRow = row;
		this.lastOffset = offset;
		this.lastDurationNs = durationNs;
		this.isLastKnown = isMomentOfLast || second <= this.laterReach || this.known.canHold(second);
		return !this.isLastKnown || this.remember(row, second, ns, durationNs);
	}

	private remember(row: number, second: number, ns: number, durationNs: number): boolean {
		const block = this.block!;
		const { ids, firstRow } = (this.traces ??= block.traces());
		const spanIds = (this.spanIds ??= block.spanIds());
		if (row < firstRow[this.trace]!) this.trace = 0;
		while (row >= firstRow[this.trace + 1]!) this.trace++;
		const at = this.trace * 4;
		let hash0 = mixed(SECRET0 ^ spanIds[row * 2]!, spanIds[row * 2 + 1]!);
		let hash1 = mixed(SECRET1 ^ hash0, ns);
		hash0 = mixed(hash0 ^ ids[at]!, ids[at + 1]!);
		hash1 = mixed(hash1 ^ hash0, second);
		hash0 = mixed(hash0 ^ ids[at + 2]!, ids[at + 3]!);
		hash1 = mixed(hash1 ^ hash0, this.classHash(block.classOfRow(row)));
		// An operator on numbers keeps the lower 32 bits of an integer; durations of an hour have more.
		hash0 = mixed(hash0 ^ durationNs, Math.floor(durationNs / 4_294_967_296));
		hash1 = mixed(hash1, hash0);
		return this.known.add(hash0 >>> 0, hash1 >>> 0, second, this.reach);
	}

	/** As `spanIdentity`: ids alone do not tell, since in Zipkin's model the client's and the server's half share one. */
	private classHash(number: number): number {
		const known = this.classHashes[number]!;
		if (known !== 0) return known;
		const { service, name, kind } = this.block!.head().classes.at(number);
		return (this.classHashes[number] = mixed(mixed(this.numberOf(service), this.numberOf(name)), kind) | 1);
	}

	private numberOf(text: string): number {
		let number = this.textNumbers.get(text);
		if (number === undefined) this.textNumbers.set(text, (number = this.textNumbers.size));
		return number;
	}
}

/** Of two words it makes one that each of their bits changes. */
function mixed(hash: number, word: number): number {
	const sum = Math.imul(hash ^ word, 0x85ebca6b);
	return Math.imul(sum ^ (sum >>> 15), 0xc2b2ae35) ^ (sum >>> 13);
}

/** Hashes of 64 bits, each with its second: of a million distinct ones, the chance that two meet is one in thirty million. */
export class MomentSet {
	private readonly maxSlots: number;
	private newest = 0;
	private count = 0;
	/** Two words of hash, and the second as in {@link storedSecond}, of which 0 is a free slot; one word is spare. */
	private slots = new Uint32Array(INITIAL_SLOTS * SLOT_WORDS);

	constructor(maxSlots = MAX_SLOTS) {
		this.maxSlots = maxSlots;
	}

	/** False where nothing here is as late. */
	canHold(second: number): boolean {
		return storedSecond(second) <= this.newest;
	}

	/**
	 * False for what is here already.
	 * @param reach what is later goes first when there is no room; where that is not enough, everything
	 */
	add(hash0: number, hash1: number, second: number, reach: number): boolean {
		if (!this.place(hash0, hash1, storedSecond(second))) return false;
		if (this.count * 2 * SLOT_WORDS > this.slots.length) this.makeRoom(storedSecond(reach));
		return true;
	}

	private place(hash0: number, hash1: number, second: number): boolean {
		const { slots } = this;
		const last = slots.length - SLOT_WORDS;
		let slot = hash0 & last;
		for (; slots[slot + 2] !== 0; slot = (slot + SLOT_WORDS) & last)
			if (slots[slot] === hash0 && slots[slot + 1] === hash1) return false;
		slots[slot] = hash0;
		slots[slot + 1] = hash1;
		slots[slot + 2] = second;
		this.count++;
		if (second > this.newest) this.newest = second;
		return true;
	}

	private makeRoom(reach: number): void {
		const { slots } = this;
		let needed = 0;
		for (let slot = 0; slot < slots.length; slot += SLOT_WORDS)
			if (slots[slot + 2] !== 0 && slots[slot + 2]! <= reach) needed++;
		const wanted = needed * SLOT_WORDS * 4 > slots.length ? slots.length * 2 : slots.length;
		const hasRoom = wanted <= this.maxSlots * SLOT_WORDS;
		this.slots = new Uint32Array(hasRoom ? wanted : INITIAL_SLOTS * SLOT_WORDS);
		this.count = 0;
		this.newest = 0;
		if (!hasRoom) return;
		for (let slot = 0; slot < slots.length; slot += SLOT_WORDS)
			if (slots[slot + 2] !== 0 && slots[slot + 2]! <= reach) this.place(slots[slot]!, slots[slot + 1]!, slots[slot + 2]!);
	}
}

/** From 1 on. All beyond 2100 are one: it decides only what is kept, and for how long. */
function storedSecond(second: number): number {
	return Math.max(1, Math.min(second + 1, 0xffff_ffff));
}
