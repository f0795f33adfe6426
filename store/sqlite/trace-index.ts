/**
 * The trace index of a window: which final blocks hold a trace.
 *
 * Sorted runs of (trace hash, block), merged eight to one, so that a lookup is a seek in each of a few runs and a new block costs
 * one small sequential write, however many traces the window has: a B-tree with random keys would touch a page a trace.
 */
import { NO_TRACE_HASH } from "../block/format.ts";
import { SIGNAL_NUMBER } from "./block-table.ts";
import type { Connection } from "./database.ts";

/** 48-bit hash, then the block's number in 32 bits. */
const ENTRY_BYTES = 10;
/** A lookup reads one page a run: small ones keep it cheap. Four of these fill a page of the file. */
const ENTRIES_PER_PAGE = 200;
const RUNS_PER_TIER = 8;

export interface IndexedBlock {
	readonly block: number;
	/** Of its traces, ascending. */
	readonly hashes: Float64Array;
}

export class TraceIndexWriter {
	private readonly insertRun;
	private readonly insertPage;
	private readonly deleteRun;
	private readonly deletePages;
	private readonly runsOfTier;
	private readonly pagesOfRun;

	private readonly signal: number;

	constructor(database: Connection, signal: "traces" | "logs") {
		this.signal = SIGNAL_NUMBER[signal];
		this.insertRun = database.prepare("INSERT INTO trace_runs (signal, tier, entries) VALUES (?, ?, ?)");
		this.insertPage = database.prepare("INSERT INTO trace_pages (run, first_hash, data) VALUES (?, ?, ?)");
		this.deleteRun = database.prepare("DELETE FROM trace_runs WHERE id = ?");
		this.deletePages = database.prepare("DELETE FROM trace_pages WHERE run = ?");
		this.runsOfTier = database
			.prepare<[number, number], number>("SELECT id FROM trace_runs WHERE signal = ? AND tier = ? ORDER BY id")
			.pluck();
		this.pagesOfRun = database
			.prepare<[number], Uint8Array>("SELECT data FROM trace_pages WHERE run = ? ORDER BY first_hash")
			.pluck();
	}

	/** Adds the traces of blocks that became final, as one run, in the caller's transaction. */
	add(blocks: readonly IndexedBlock[]): void {
		const entries = mergeRuns(blocks.map(entriesOf));
		if (entries.length === 0) return;
		this.writeRun(0, entries);
		for (let tier = 0; this.mergeTier(tier); tier++);
	}

	private mergeTier(tier: number): boolean {
		const runs = this.runsOfTier.all(this.signal, tier);
		if (runs.length < RUNS_PER_TIER) return false;
		const merged = mergeRuns(runs.map((run) => concat(this.pagesOfRun.all(run))));
		for (const run of runs) {
			this.deletePages.run(run);
			this.deleteRun.run(run);
		}
		this.writeRun(tier + 1, merged);
		return true;
	}

	private writeRun(tier: number, entries: Uint8Array): void {
		const run = Number(this.insertRun.run(this.signal, tier, entries.length / ENTRY_BYTES).lastInsertRowid);
		const size = ENTRIES_PER_PAGE * ENTRY_BYTES;
		for (let from = 0; from < entries.length;) {
			let to = Math.min(from + size, entries.length);
			// Entries of one hash stay on one page, so that a lookup reads one page a run.
			while (to < entries.length && hashAt(entries, to) === hashAt(entries, to - ENTRY_BYTES)) to += ENTRY_BYTES;
			this.insertPage.run(run, hashAt(entries, from), entries.subarray(from, to));
			from = to;
		}
	}
}

export class TraceIndexReader {
	private readonly runs;
	private readonly page;

	constructor(database: Connection) {
		this.runs = database.prepare<[number], number>("SELECT id FROM trace_runs WHERE signal = ?").pluck();
		this.page = database
			.prepare<[number, number], Uint8Array>(
				"SELECT data FROM trace_pages WHERE run = ? AND first_hash <= ? ORDER BY first_hash DESC LIMIT 1",
			)
			.pluck();
	}

	/** Final blocks that hold a trace of this hash, ascending. */
	lookup(signal: "traces" | "logs", hash: number): number[] {
		const found = new Set<number>();
		for (const run of this.runs.all(SIGNAL_NUMBER[signal])) {
			const page = this.page.get(run, hash);
			if (page !== undefined) collect(page, hash, found);
		}
		return [...found].sort((a, b) => a - b);
	}

	/** As {@link lookup} for many, but a page serves all the hashes that fall on it. @param hashes ascending */
	lookupAll(signal: "traces" | "logs", hashes: Float64Array, found: (place: number, block: number) => void): void {
		const runs = this.runs.all(SIGNAL_NUMBER[signal]);
		const pages = new Map<number, Uint8Array>();
		const blocks = new Set<number>();
		for (let place = 0; place < hashes.length; place++) {
			const hash = hashes[place]!;
			blocks.clear();
			for (const run of runs) {
				let page = pages.get(run);
				if (page === undefined || hashAt(page, page.length - ENTRY_BYTES) < hash) {
					page = this.page.get(run, hash);
					if (page === undefined) continue;
					pages.set(run, page);
				}
				collect(page, hash, blocks);
			}
			for (const block of blocks) found(place, block);
		}
	}

	/** For checks: the place of the first hash under which a lookup would not find the block, or -1. @param hashes ascending */
	firstMissing(signal: "traces" | "logs", block: number, hashes: Float64Array): number {
		const isFound = new Uint8Array(hashes.length);
		this.lookupAll(signal, hashes, (place, other) => {
			if (other === block) isFound[place] = 1;
		});
		return isFound.indexOf(0);
	}
}

function collect(page: Uint8Array, hash: number, found: Set<number>): void {
	let low = 0;
	let high = page.length / ENTRY_BYTES;
	while (low < high) {
		const middle = (low + high) >>> 1;
		if (hashAt(page, middle * ENTRY_BYTES) < hash) low = middle + 1;
		else high = middle;
	}
	for (let at = low * ENTRY_BYTES; at < page.length && hashAt(page, at) === hash; at += ENTRY_BYTES)
		found.add(blockAt(page, at));
}

function entriesOf({ block, hashes }: IndexedBlock): Uint8Array {
	const entries = new Uint8Array(hashes.length * ENTRY_BYTES);
	let used = 0;
	for (const hash of hashes) {
		// Log records outside of any trace are never looked up by trace.
		if (hash === NO_TRACE_HASH) continue;
		writeEntry(entries, used, hash, block);
		used += ENTRY_BYTES;
	}
	return entries.subarray(0, used);
}

/** Merges sorted runs by repeated pairing: three passes for eight. */
function mergeRuns(runs: Uint8Array[]): Uint8Array {
	let left = runs;
	while (left.length > 1) {
		const next: Uint8Array[] = [];
		for (let i = 0; i < left.length; i += 2) next.push(i + 1 < left.length ? mergePair(left[i]!, left[i + 1]!) : left[i]!);
		left = next;
	}
	return left[0] ?? new Uint8Array(0);
}

function mergePair(a: Uint8Array, b: Uint8Array): Uint8Array {
	const out = new Uint8Array(a.length + b.length);
	let i = 0;
	let j = 0;
	let to = 0;
	while (i < a.length && j < b.length) {
		const fromA = hashAt(a, i) <= hashAt(b, j);
		const source = fromA ? a : b;
		const at = fromA ? i : j;
		for (let k = 0; k < ENTRY_BYTES; k++) out[to++] = source[at + k]!;
		if (fromA) i += ENTRY_BYTES;
		else j += ENTRY_BYTES;
	}
	out.set(i < a.length ? a.subarray(i) : b.subarray(j), to);
	return out;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
	const out = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
	let at = 0;
	for (const chunk of chunks) {
		out.set(chunk, at);
		at += chunk.length;
	}
	return out;
}

function writeEntry(out: Uint8Array, at: number, hash: number, block: number): void {
	const high = Math.floor(hash / 65_536);
	out[at] = high >>> 24;
	out[at + 1] = high >>> 16;
	out[at + 2] = high >>> 8;
	out[at + 3] = high;
	out[at + 4] = (hash % 65_536) >>> 8;
	out[at + 5] = hash % 256;
	out[at + 6] = block >>> 24;
	out[at + 7] = block >>> 16;
	out[at + 8] = block >>> 8;
	out[at + 9] = block;
}

function hashAt(bytes: Uint8Array, at: number): number {
	const high = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
	return high * 65_536 + ((bytes[at + 4]! << 8) | bytes[at + 5]!);
}

function blockAt(bytes: Uint8Array, at: number): number {
	return ((bytes[at + 6]! << 24) | (bytes[at + 7]! << 16) | (bytes[at + 8]! << 8) | bytes[at + 9]!) >>> 0;
}
