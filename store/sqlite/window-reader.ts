/**
 * One window file, opened for reading: lists and opens its blocks within a read transaction.
 */
import type { BlockReader } from "../block/reader.ts";
import type { BlockCache } from "./block-cache.ts";
import { BlockTable, type StoredBlock } from "./block-table.ts";
import { type Connection, openForReading } from "./database.ts";
import { TraceIndexReader } from "./trace-index.ts";

export type { StoredBlock } from "./block-table.ts";

export class WindowReader {
	readonly name: string;
	readonly database: Connection;
	private readonly table: BlockTable;
	private readonly index: TraceIndexReader;
	private readonly cache: BlockCache;

	constructor(name: string, path: string, cache: BlockCache) {
		this.name = name;
		this.database = openForReading(path);
		try {
			this.table = new BlockTable(this.database);
			this.index = new TraceIndexReader(this.database);
		} catch (error) {
			this.database.close();
			throw error;
		}
		this.cache = cache;
	}

	/** Runs `work` in one read transaction: whole groups only, each trace once. */
	snapshot<T>(work: () => T): T {
		if (this.database.inTransaction) return work();
		this.database.exec("BEGIN");
		try {
			return work();
		} finally {
			if (this.database.inTransaction) this.database.exec("COMMIT");
		}
	}

	/** In the order of commits. */
	blocks(signal: "traces" | "logs"): StoredBlock[] {
		return this.table.blocks(signal);
	}

	/** Those that are not in the trace index yet. */
	unmergedBlocks(signal: "traces" | "logs"): number[] {
		return this.table.unmerged(signal);
	}

	/** The newest group in a block. */
	commitOf(id: number): number {
		return this.table.commitOf(id);
	}

	/** Numbers of blocks are never used twice, so a cached one is good in any snapshot that lists it. */
	block(id: number): BlockReader {
		return this.cache.get(this.name, id, () => this.table.open(id));
	}

	/** In the course of work on many blocks: what they hold would fill the memory before it ends. */
	trimCache(): void {
		this.cache.trim();
	}

	/** Final blocks with a trace of this hash. */
	blocksOfTrace(signal: "traces" | "logs", hash: number): number[] {
		return this.index.lookup(signal, hash);
	}

	/** As {@link blocksOfTrace} for many. @param hashes ascending @param found called with the place of a hash and a block */
	blocksOfTraces(signal: "traces" | "logs", hashes: Float64Array, found: (place: number, block: number) => void): void {
		this.index.lookupAll(signal, hashes, found);
	}

	close(): void {
		this.database.close();
	}
}
