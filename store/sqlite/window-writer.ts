/**
 * One window file, opened for writing: groups in, blocks merged, metric points in. Used by the writer thread alone.
 */
import { statSync } from "node:fs";
import type { RecordColumns } from "../../model/columns.ts";
import { BlockBuilder } from "../block/builder.ts";
import { collectAfter } from "../block/garbage.ts";
import { type BlockOperation, type EncodedBlock, SHAPE_OF_SIGNAL } from "../block/format.ts";
import { type FinalExtras, PARTS_FOR_EXTRAS } from "../block/merge.ts";
import { BlockReader } from "../block/reader.ts";
import type { Failpoint } from "./failpoint.ts";
import type { FieldEntries, WriteGroup } from "../store.ts";
import { BlockTable, BlockTableWriter, type StoredBlock } from "./block-table.ts";
import type { WindowCounts } from "./catalog.ts";
import { CommitLog } from "./commit-log.ts";
import { type Connection, openForWriting } from "./database.ts";
import type { MergeJob, MergeResult } from "./merge-job.ts";
import { type MergeableBlock, type MergePlan, planMerge, unpackedBytesOf } from "./merge-plan.ts";
import { MetricWriter } from "./metric-writer.ts";
import { TraceIndexWriter } from "./trace-index.ts";
import { WriteAheadLog } from "./write-ahead-log.ts";

/** zstd level of blocks that will be merged again, and of final ones. */
const FRESH_LEVEL = 1;
const FINAL_LEVEL = 1;

export interface AppendedGroup {
	readonly commit: number;
	/** Names inside. */
	readonly operations: readonly BlockOperation[];
	readonly invalidUtf8Strings: number;
	readonly spanEntries: FieldEntries | undefined;
}

const builders = {
	traces: new BlockBuilder(SHAPE_OF_SIGNAL.traces),
	logs: new BlockBuilder(SHAPE_OF_SIGNAL.logs),
};

export class WindowWriter {
	readonly name: string;
	readonly fromMs: number;
	readonly toMs: number;
	readonly path: string;
	readonly database: Connection;
	private readonly table: BlockTable;
	private readonly tableWriter: BlockTableWriter;
	private readonly index: { readonly traces: TraceIndexWriter; readonly logs: TraceIndexWriter };
	private readonly metrics: MetricWriter;
	private readonly commits: CommitLog;
	private readonly failpoint: Failpoint;
	private readonly unmerged: { readonly traces: MergeableBlock[]; readonly logs: MergeableBlock[] };
	/** Blocks that a merge under way reads. */
	private readonly merging = new Set<number>();
	private nextBlock: number;
	private readonly log: WriteAheadLog;
	private spans = 0;
	private logs = 0;
	private metricPoints: number;
	private minTimeNs = (1n << 63n) - 1n;
	private maxTimeNs = 0n;

	constructor(
		window: { readonly name: string; readonly fromMs: number; readonly toMs: number },
		path: string,
		failpoint: Failpoint,
	) {
		this.name = window.name;
		this.fromMs = window.fromMs;
		this.toMs = window.toMs;
		this.path = path;
		this.failpoint = failpoint;
		this.database = openForWriting(path, "window");
		this.log = new WriteAheadLog(this.database, path);
		try {
			this.table = new BlockTable(this.database);
			this.tableWriter = new BlockTableWriter(this.database);
			this.index = {
				traces: new TraceIndexWriter(this.database, "traces"),
				logs: new TraceIndexWriter(this.database, "logs"),
			};
			this.metrics = new MetricWriter(this.database);
			this.commits = new CommitLog(this.database);
			const traces = this.table.blocks("traces");
			const logs = this.table.blocks("logs");
			for (const block of traces) this.count("traces", block);
			for (const block of logs) this.count("logs", block);
			this.unmerged = { traces: this.mergeable(traces), logs: this.mergeable(logs) };
			this.nextBlock = 1 + Math.max(0, ...traces.slice(-1).map((b) => b.id), ...logs.slice(-1).map((b) => b.id));
			this.metricPoints = this.database.prepare<[], number>("SELECT count(*) FROM metric_points").pluck().get() ?? 0;
		} catch (error) {
			this.database.close();
			throw error;
		}
	}

	/** One durable transaction. */
	append(group: WriteGroup): AppendedGroup {
		const encoded = [encodeFresh(group.spans), encodeFresh(group.logs)].filter((block) => block !== undefined);
		const blocks = encoded.map(({ block }) => block);
		const stored: StoredBlock[] = [];
		const firstBlock = this.nextBlock;
		const commit = this.commits.next;
		let points = 0;
		let cleared: () => void;
		this.database.exec("BEGIN IMMEDIATE");
		try {
			for (const block of blocks) stored.push(this.tableWriter.insert(this.nextBlock++, block, false, commit));
			points = this.metrics.insert(group.metrics);
			this.commits.insert(group);
			cleared = this.commits.clearReleased();
			this.failpoint("before-commit");
			this.database.exec("COMMIT");
		} catch (error) {
			this.rollBack();
			this.nextBlock = firstBlock;
			throw error;
		}
		cleared();
		this.commits.inserted();
		this.failpoint("after-commit");
		let textBytes = 0;
		blocks.forEach((block, i) => {
			const mergeable = { ...stored[i]!, unpackedBytes: unpackedBytes(block) };
			textBytes += mergeable.unpackedBytes;
			this.unmerged[block.summary.signal].push(mergeable);
			this.count(block.summary.signal, mergeable);
		});
		this.metricPoints += points;
		collectAfter(textBytes);
		return {
			commit,
			operations: blocks.flatMap((block) => (block.summary.signal === "traces" ? block.operations : [])),
			spanEntries: encoded.find(({ block }) => block.summary.signal === "traces")?.entries,
			invalidUtf8Strings: encoded.reduce((sum, each) => sum + each.invalidUtf8Strings, 0),
		};
	}

	/** What should be merged next, if anything, beside what is being merged. @param sealing once nothing more will be appended */
	nextMerge(sealing: boolean): MergePlan | undefined {
		for (const signal of ["traces", "logs"] as const) {
			const { released } = this.commits;
			const idle = this.unmerged[signal].filter((block) => block.commit <= released && !this.merging.has(block.id));
			const plan = planMerge(signal, idle, sealing);
			if (plan !== undefined) return plan;
		}
		return undefined;
	}

	/** Takes a plan's blocks out of further plans, and gives what a merge needs of them. */
	beginMerge(plan: MergePlan): MergeJob {
		for (const block of plan.blocks) this.merging.add(block.id);
		const textBytes = unpackedBytesOf(plan.blocks);
		if (plan.kind === "finalise")
			return {
				kind: "finalise",
				inputs: plan.blocks.map((block) => this.table.parts(block.id, PARTS_FOR_EXTRAS)),
				textBytes,
			};
		const final = plan.kind === "complete";
		return {
			kind: "merge",
			signal: plan.signal,
			inputs: plan.blocks.map((block) => this.table.parts(block.id)),
			level: final ? FINAL_LEVEL : FRESH_LEVEL,
			withFilter: final,
			textBytes,
		};
	}

	/** Puts the merged block in the place of its inputs, or makes them final, in one transaction. */
	applyMerge(plan: MergePlan, result: MergeResult): void {
		this.failpoint("mid-merge");
		let kept: MergeableBlock | undefined;
		let cleared: () => void;
		this.database.exec("BEGIN IMMEDIATE");
		try {
			if (result.kind === "merged") kept = this.replaceBlocks(plan, result.block);
			else this.finaliseBlocks(plan, result.extras);
			cleared = this.commits.clearReleased();
			this.failpoint("before-merge-commit");
			this.database.exec("COMMIT");
		} catch (error) {
			this.rollBack();
			this.abandonMerge(plan);
			throw error;
		}
		cleared();
		this.nextBlock++;
		this.abandonMerge(plan);
		const gone = new Set(plan.blocks.map((block) => block.id));
		const unmerged = this.unmerged[plan.signal].filter((block) => !gone.has(block.id));
		if (kept !== undefined) unmerged.push(kept);
		this.unmerged[plan.signal].splice(0, this.unmerged[plan.signal].length, ...unmerged);
	}

	/** Returns the merged block when it will be merged again. */
	private replaceBlocks(plan: MergePlan, merged: EncodedBlock): MergeableBlock | undefined {
		const id = this.nextBlock;
		for (const block of plan.blocks) this.tableWriter.delete(block.id);
		const newest = plan.blocks.reduce((commit, block) => Math.max(commit, block.commit), 0);
		const stored = this.tableWriter.insert(id, merged, plan.kind === "complete", newest);
		if (!stored.final) return { ...stored, unpackedBytes: unpackedBytes(merged) };
		this.index[plan.signal].add([{ block: id, hashes: merged.traceHashes }]);
		return undefined;
	}

	private finaliseBlocks(plan: MergePlan, extras: readonly FinalExtras[]): void {
		const blocks = plan.blocks.map(({ id }, i) => ({ block: id, ...extras[i]! }));
		for (const { block, filter } of blocks) this.tableWriter.finalise(block, filter);
		this.index[plan.signal].add(blocks.map(({ block, traceHashes }) => ({ block, hashes: traceHashes })));
	}

	/** A merge that will not be applied: its blocks may be planned again. */
	abandonMerge(plan: MergePlan): void {
		for (const block of plan.blocks) this.merging.delete(block.id);
	}

	get unmergedBlocks(): number {
		return this.unmerged.traces.length + this.unmerged.logs.length;
	}

	/** Unmerged blocks of groups that are not released. */
	get heldBlocks(): number {
		const { released } = this.commits;
		const held = (blocks: readonly StoredBlock[]): number =>
			blocks.reduce((total, block) => total + (block.commit > released ? 1 : 0), 0);
		return held(this.unmerged.traces) + held(this.unmerged.logs);
	}

	get holdsGroups(): boolean {
		return this.commits.holds;
	}

	/** Groups up to this one, or all, need not be replayed any more. */
	release(commit: number | undefined): void {
		if (commit === undefined) this.commits.releaseAll();
		else this.commits.release(commit);
	}

	/** Releases the oldest groups until at most so many blocks are held. Returns how many groups there were. */
	giveUpHold(maxHeldBlocks: number): number {
		const { released } = this.commits;
		const held = [...this.unmerged.traces, ...this.unmerged.logs].map((block) => block.commit).filter((c) => c > released);
		const newest = held.sort((a, b) => a - b).at(-maxHeldBlocks - 1);
		if (maxHeldBlocks === 0 || newest === undefined) this.commits.releaseAll();
		else this.commits.release(newest);
		return this.commits.released - released;
	}

	get walBytes(): number {
		return this.log.bytes;
	}

	checkpoint(maxLogBytes: number): void {
		this.log.checkpoint(maxLogBytes);
	}

	counts(): WindowCounts {
		const bytes = (statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) + this.walBytes;
		const { spans, logs, metricPoints, minTimeNs, maxTimeNs } = this;
		return { spans, logs, metricPoints, bytes, minTimeNs, maxTimeNs };
	}

	/** Empties the log and gives freed pages back. The last act on a window that is sealed. */
	compact(): void {
		const cleared = this.database.transaction(() => this.commits.clearReleased())();
		cleared();
		this.database.pragma("wal_checkpoint(TRUNCATE)");
		const free = this.database.pragma("freelist_count", { simple: true }) as number;
		const pages = this.database.pragma("page_count", { simple: true }) as number;
		if (free * 10 > pages) {
			this.database.exec("VACUUM");
			this.database.pragma("wal_checkpoint(TRUNCATE)");
		}
	}

	/** Of the newest commits, newest last. */
	recentFingerprints(maxCommits: number): Uint8Array[] {
		return readFingerprints(this.database, maxCommits);
	}

	/** Names in every block, for a catalog that lost them. */
	operations(): BlockOperation[] {
		const found = new Map<string, BlockOperation>();
		for (const block of this.table.blocks("traces"))
			for (const { service, name, kind } of this.table.open(block.id).head().classes.all())
				found.set(`${service}\u0000${kind}\u0000${name}`, { service, name, kind });
		return [...found.values()];
	}

	close(): void {
		this.database.close();
	}

	/** Those that are not final. @throws DamagedBlockError */
	private mergeable(blocks: readonly StoredBlock[]): MergeableBlock[] {
		return blocks
			.filter(({ final }) => !final)
			.map((block) => ({ ...block, unpackedBytes: this.table.open(block.id).unpackedBytes() }));
	}

	private rollBack(): void {
		if (this.database.inTransaction) this.database.exec("ROLLBACK");
	}

	private count(signal: "traces" | "logs", block: StoredBlock): void {
		if (signal === "traces") this.spans += block.rows;
		else this.logs += block.rows;
		if (block.minTimeNs < this.minTimeNs) this.minTimeNs = block.minTimeNs;
		if (block.maxTimeNs > this.maxTimeNs) this.maxTimeNs = block.maxTimeNs;
	}
}

/** Of the newest commits, newest last. */
export function readFingerprints(database: Connection, maxCommits: number): Uint8Array[] {
	const rows = database
		.prepare<[number], Uint8Array>("SELECT fingerprints FROM commits ORDER BY id DESC LIMIT ?")
		.pluck()
		.all(maxCommits);
	return rows.reverse();
}

function encodeFresh(
	columns: RecordColumns,
): { readonly block: EncodedBlock; readonly entries: FieldEntries; readonly invalidUtf8Strings: number } | undefined {
	if (columns.count === 0) return undefined;
	const builder = builders[columns.shape.signal];
	builder.reset();
	builder.addColumns(columns);
	const invalidUtf8Strings = builder.invalidTexts();
	const entries = builder.fieldEntries();
	return { block: builder.finish({ level: FRESH_LEVEL, withFilter: false }), entries, invalidUtf8Strings };
}

function unpackedBytes({ parts }: EncodedBlock): number {
	return new BlockReader((part) => parts[part]).unpackedBytes();
}
