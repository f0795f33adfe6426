/**
 * Rows of a window's `blocks` table, and the parts of each block. The writer inserts and deletes, readers list and load.
 */
import type { BlockParts, BlockSummary, EncodedBlock, PartName } from "../block/format.ts";
import { PART, PART_NAMES, PARTS_PER_BLOCK } from "../block/format.ts";
import { MAX_PACK_BYTES, PACK, packParts, sizeOfParts, unpackPart } from "../block/pack.ts";
import { BlockReader, type PartSource } from "../block/reader.ts";
import type { Connection } from "./database.ts";
import { PartTable, PartTableWriter } from "./part-table.ts";

export interface StoredBlock {
	readonly id: number;
	/** The newest group that has records in it. */
	readonly commit: number;
	/** Merged no further; its traces are in the trace index. */
	readonly final: boolean;
	readonly rows: number;
	readonly traces: number;
	readonly minTimeNs: bigint;
	readonly maxTimeNs: bigint;
	readonly minDurationNs: number;
	readonly maxDurationNs: number;
	readonly bytes: number;
	/** Sorted. */
	readonly services: readonly string[];
}

export const SIGNAL_NUMBER = { traces: 0, logs: 1 } as const;

type BlockRow = [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, string, bigint];

/** Rows of blocks that were merged away are forgotten once there are this many. */
const MAX_KNOWN_BLOCKS = 4_096;

export class BlockTable {
	private readonly listIds;
	private readonly describe;
	/**
	 * A block's number is never used again, and its row changes only when it becomes final as it is: what was read before costs a
	 * look into the block that the trace index would have spared.
	 */
	private readonly known = new Map<number, StoredBlock>();
	private readonly listUnmerged;
	private readonly commitOfId;
	private readonly rows: PartTable;

	constructor(database: Connection) {
		this.listIds = database.prepare<[number], number>("SELECT id FROM blocks WHERE signal = ? ORDER BY id").pluck();
		this.describe = database
			.prepare<[number], BlockRow>(
				`SELECT id, final, record_count, trace_count, min_time, max_time, min_duration, max_duration, bytes, services, commit_id
				FROM blocks WHERE id = ?`,
			)
			.raw()
			.safeIntegers();
		this.listUnmerged = database
			.prepare<[number], number>("SELECT id FROM blocks WHERE signal = ? AND final = 0 ORDER BY id")
			.pluck();
		this.commitOfId = database.prepare<[number], number>("SELECT commit_id FROM blocks WHERE id = ?").pluck();
		this.rows = new PartTable(database);
	}

	/** In the order of commits. */
	blocks(signal: BlockSummary["signal"]): StoredBlock[] {
		const ids = this.listIds.all(SIGNAL_NUMBER[signal]);
		if (this.known.size > MAX_KNOWN_BLOCKS + ids.length) this.known.clear();
		return ids.map((id) => {
			let block = this.known.get(id);
			if (block === undefined) {
				block = storedBlock(this.describe.get(id) as unknown as BlockRow);
				this.known.set(id, block);
			}
			return block;
		});
	}

	/** The newest group in a block that is there. */
	commitOf(id: number): number {
		return this.known.get(id)?.commit ?? this.commitOfId.get(id) ?? 0;
	}

	unmerged(signal: BlockSummary["signal"]): number[] {
		return this.listUnmerged.all(SIGNAL_NUMBER[signal]);
	}

	/** Parts of a block, for a merge in another thread. */
	parts(id: number, names: readonly PartName[] = PART_NAMES): BlockParts {
		const pack = this.rows.load(id * PARTS_PER_BLOCK + PACK);
		const parts: { [name in PartName]?: Uint8Array } = {};
		for (const name of names) {
			const part = pack === undefined ? this.rows.load(id * PARTS_PER_BLOCK + PART[name]) : unpackPart(pack, name);
			if (part !== undefined) parts[name] = part;
		}
		return parts;
	}

	/** A reader whose parts are loaded on demand: within the read transaction in which the block was listed. */
	open(id: number): BlockReader {
		let pack: Uint8Array | undefined;
		let isPacked: boolean | undefined;
		const rowOf = (part: PartName): number => id * PARTS_PER_BLOCK + PART[part];
		const load: PartSource["load"] = (part, hold) => {
			if (isPacked !== false && pack === undefined) {
				pack = this.rows.load(id * PARTS_PER_BLOCK + PACK);
				isPacked = pack !== undefined;
				hold(pack?.length ?? 0);
			}
			if (pack === undefined) return this.rows.load(rowOf(part));
			// The filter of a pack that became final as it is stands beside it.
			return unpackPart(pack, part) ?? (part === "filter" ? this.rows.load(rowOf(part)) : undefined);
		};
		return new BlockReader({
			load,
			loadRange: (part, start, end, hold) =>
				isPacked === false ? this.rows.loadRange(rowOf(part), start, end) : load(part, hold)?.subarray(start, end),
			forget: () => (pack = undefined),
		});
	}
}

function storedBlock(row: BlockRow): StoredBlock {
	return {
		id: Number(row[0]),
		final: row[1] !== 0n,
		rows: Number(row[2]),
		traces: Number(row[3]),
		minTimeNs: row[4],
		maxTimeNs: row[5],
		minDurationNs: Number(row[6]),
		maxDurationNs: Number(row[7]),
		bytes: Number(row[8]),
		services: JSON.parse(row[9]) as string[],
		commit: Number(row[10]),
	};
}

export class BlockTableWriter {
	private readonly insertBlock;
	private readonly rows: PartTableWriter;
	private readonly deleteBlock;
	private readonly makeFinal;

	constructor(database: Connection) {
		this.insertBlock = database.prepare("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
		this.rows = new PartTableWriter(database);
		this.deleteBlock = database.prepare("DELETE FROM blocks WHERE id = ?");
		this.makeFinal = database.prepare("UPDATE blocks SET final = 1, bytes = bytes + ? WHERE id = ?");
	}

	/** Returns the row as readers will list it. */
	insert(id: number, block: EncodedBlock, final: boolean, commit: number): StoredBlock {
		const { summary, parts } = block;
		const bytes = sizeOfParts(parts);
		this.insertBlock.run(
			id,
			SIGNAL_NUMBER[summary.signal],
			final ? 1 : 0,
			summary.rows,
			summary.traces,
			summary.minTimeNs,
			summary.maxTimeNs,
			summary.minDurationNs,
			summary.maxDurationNs,
			bytes,
			JSON.stringify(summary.services),
			commit,
		);
		if (bytes <= MAX_PACK_BYTES) this.rows.insert(id * PARTS_PER_BLOCK + PACK, packParts(parts));
		else
			for (const name of PART_NAMES) {
				const part: Uint8Array | undefined = parts[name as PartName];
				if (part !== undefined) this.rows.insert(id * PARTS_PER_BLOCK + PART[name], part);
			}
		return { id, commit, final, bytes, ...summary };
	}

	/** @param filter sealed */
	finalise(id: number, filter: Uint8Array): void {
		this.makeFinal.run(filter.length, id);
		this.rows.insert(id * PARTS_PER_BLOCK + PART.filter, filter);
	}

	delete(id: number): void {
		this.deleteBlock.run(id);
		this.rows.delete(id * PARTS_PER_BLOCK, (id + 1) * PARTS_PER_BLOCK);
	}
}
