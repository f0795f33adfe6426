/**
 * The order of rows in a block: grouped by trace through a hash table, traces by hash, the rows of each by first time.
 */
import type { BlockBuilder } from "./builder.ts";
import { traceHash } from "./format.ts";
import { floatScratch, wordScratch } from "./scratch.ts";

export interface RowOrder {
	/** Builder rows in the order of the block. Scratch: valid until the next block is ordered. */
	readonly rows: Uint32Array;
	/** For each trace, in order: its first place in `rows`; one longer than the traces. Scratch likewise. */
	readonly firstOfTrace: Uint32Array;
	/** Of each trace, ascending; the caller's to keep. */
	readonly hashes: Float64Array<ArrayBuffer>;
}

/**
 * Trace ids are chosen by senders, so the table must not be predictable: multilinear hashing with secret factors, exact in doubles
 * (eight terms below 2^50). Universal for tables of up to 2^19 slots.
 */
const SECRET_BITS = 34;
const SECRET = Float64Array.from(
	crypto.getRandomValues(new Uint32Array(16)).reduce<number[]>((factors, word, i, words) => {
		if (i % 2 === 0) factors.push(word * 4 + (words[i + 1]! & 3));
		return factors;
	}, []),
);

function secretSum(w0: number, w1: number, w2: number, w3: number): number {
	return (
		(w0 & 0xffff) * SECRET[0]! +
		(w0 >>> 16) * SECRET[1]! +
		(w1 & 0xffff) * SECRET[2]! +
		(w1 >>> 16) * SECRET[3]! +
		(w2 & 0xffff) * SECRET[4]! +
		(w2 >>> 16) * SECRET[5]! +
		(w3 & 0xffff) * SECRET[6]! +
		(w3 >>> 16) * SECRET[7]!
	);
}

const tableScratch = wordScratch();
const traceOfScratch = wordScratch();
const firstRowScratch = wordScratch();
const countsScratch = wordScratch();
const orderedScratch = wordScratch();
const placeScratch = wordScratch();
const firstOfTraceScratch = wordScratch();
const rankedScratch = wordScratch();
const hashScratch = floatScratch();
const keyScratch = floatScratch();

export function orderRows(builder: BlockBuilder): RowOrder {
	const { rows, traceId, offset } = builder;
	let size = 1024;
	while (size < rows * 2) size *= 2;
	const mask = size - 1;
	const slotScale = 2 ** SECRET_BITS / size;
	const table = tableScratch(size).fill(0);
	const traceOf = traceOfScratch(rows);
	const firstRow = firstRowScratch(rows);
	const counts = countsScratch(rows).fill(0);
	const hashes = hashScratch(rows);
	let traces = 0;
	for (let row = 0; row < rows; row++) {
		const at = row * 4;
		const w0 = traceId[at]!;
		const w1 = traceId[at + 1]!;
		const w2 = traceId[at + 2]!;
		const w3 = traceId[at + 3]!;
		let slot = Math.floor(secretSum(w0, w1, w2, w3) / slotScale) & mask;
		let trace = -1;
		for (let found = table[slot]!; found !== 0; found = table[slot]!) {
			const other = firstRow[found - 1]! * 4;
			if (traceId[other + 3] === w3 && traceId[other + 2] === w2 && traceId[other + 1] === w1 && traceId[other] === w0) {
				trace = found - 1;
				break;
			}
			slot = (slot + 1) & mask;
		}
		if (trace < 0) {
			trace = traces++;
			table[slot] = trace + 1;
			firstRow[trace] = row;
			hashes[trace] = traceHash(w0, w1, w2, w3);
		}
		traceOf[row] = trace;
		counts[trace] = counts[trace]! + 1;
	}
	const ranked = rankTraces(hashes.subarray(0, traces), (trace) => firstRow[trace]! * 4, traceId);
	const placeOf = placeScratch(traces);
	const firstOfTrace = firstOfTraceScratch(traces + 1);
	firstOfTrace[0] = 0;
	const sortedHashes = new Float64Array(traces);
	for (let rank = 0, at = 0; rank < traces; rank++) {
		const trace = ranked[rank]!;
		sortedHashes[rank] = hashes[trace]!;
		firstOfTrace[rank] = placeOf[trace] = at;
		at += counts[trace]!;
		firstOfTrace[rank + 1] = at;
	}
	const ordered = orderedScratch(rows);
	for (let row = 0; row < rows; row++) {
		const trace = traceOf[row]!;
		const place = placeOf[trace]!;
		ordered[place] = row;
		placeOf[trace] = place + 1;
	}
	for (let rank = 0; rank < traces; rank++) sortByTime(ordered.subarray(firstOfTrace[rank]!, firstOfTrace[rank + 1]!), offset);
	return { rows: ordered, firstOfTrace, hashes: sortedHashes };
}

/**
 * Trace numbers ordered by (hash, id). The sort runs natively over doubles that hold the upper 33 bits of the hash and the trace's
 * number in the lower 20, so a block takes up to 1,048,576 traces; the few ties are put right afterwards.
 */
function rankTraces(hashes: Float64Array, idAt: (trace: number) => number, traceId: Uint32Array): Uint32Array {
	const count = hashes.length;
	if (count > 1_048_576) throw new RangeError("too many traces for one block");
	const keys = keyScratch(count);
	for (let trace = 0; trace < count; trace++) keys[trace] = prefixOf(hashes[trace]!) * 1_048_576 + trace;
	keys.sort();
	const ranked = rankedScratch(count);
	for (let rank = 0; rank < count; rank++) ranked[rank] = keys[rank]! % 1_048_576;
	for (let first = 0; first < count;) {
		const prefix = prefixOf(hashes[ranked[first]!]!);
		let end = first + 1;
		while (end < count && prefixOf(hashes[ranked[end]!]!) === prefix) end++;
		if (end - first > 1) ranked.subarray(first, end).sort(compare);
		first = end;
	}
	return ranked;

	function compare(a: number, b: number): number {
		if (hashes[a] !== hashes[b]) return hashes[a]! - hashes[b]!;
		const idA = idAt(a);
		const idB = idAt(b);
		for (let i = 0; i < 4; i++) if (traceId[idA + i] !== traceId[idB + i]) return traceId[idA + i]! - traceId[idB + i]!;
		return 0;
	}
}

/** What of a hash stands in a sort key. */
function prefixOf(hash: number): number {
	return Math.floor(hash / 32_768);
}

function sortByTime(rows: Uint32Array, offset: Float64Array): void {
	if (rows.length > 40) {
		// Stable like the insertion below: rows of one moment keep the order of their arrival.
		rows.sort((a, b) => offset[a]! - offset[b]! || a - b);
		return;
	}
	for (let i = 1; i < rows.length; i++) {
		const row = rows[i]!;
		const time = offset[row]!;
		let place = i;
		while (place > 0 && offset[rows[place - 1]!]! > time) {
			rows[place] = rows[place - 1]!;
			place--;
		}
		rows[place] = row;
	}
}
