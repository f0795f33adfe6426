/**
 * One window file, opened for writing: groups in, blocks merged, metric points in. Used by the writer thread alone.
 */
import { statSync } from "node:fs";
import type { RecordColumns } from "../../model/columns.ts";
import { BlockBuilder } from "../block/builder.ts";
import { type BlockOperation, type EncodedBlock, SHAPE_OF_SIGNAL } from "../block/format.ts";
import type { Failpoint } from "./failpoint.ts";
import type { AppendReport, WriteGroup } from "../store.ts";
import { BlockTable, BlockTableWriter, type StoredBlock } from "./block-table.ts";
import type { WindowCounts } from "./catalog.ts";
import { BUSY_TIMEOUT_MS, type Connection, openForWriting } from "./database.ts";
import { type MergePlan, planMerge } from "./merge-plan.ts";
import type { MergeJob } from "./merge-thread.ts";
import { MetricWriter } from "./metric-store.ts";
import { TraceIndexWriter } from "./trace-index.ts";

/** zstd level of blocks that will be merged again, and of final ones. */
const FRESH_LEVEL = 1;
const FINAL_LEVEL = 1;

/** How long a checkpoint waits for readers: commits wait with it. */
const CHECKPOINT_WAIT_MS = 20;

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
	private readonly insertCommit;
	private readonly failpoint: Failpoint;
	private readonly unmerged: { readonly traces: StoredBlock[]; readonly logs: StoredBlock[] };
	/** Blocks that a merge under way reads. */
	private readonly merging = new Set<number>();
	private nextBlock: number;
	/** Where a checkpoint found readers in its way, the size of the log at which to try again. */
	private retryCheckpointBytes = 0;
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
		try {
			this.table = new BlockTable(this.database);
			this.tableWriter = new BlockTableWriter(this.database);
			this.index = {
				traces: new TraceIndexWriter(this.database, "traces"),
				logs: new TraceIndexWriter(this.database, "logs"),
			};
			this.metrics = new MetricWriter(this.database);
			this.insertCommit = this.database.prepare("INSERT INTO commits (arrived_ms, fingerprints) VALUES (?, ?)");
			const traces = this.table.blocks("traces");
			const logs = this.table.blocks("logs");
			for (const block of traces) this.count("traces", block);
			for (const block of logs) this.count("logs", block);
			this.unmerged = { traces: traces.filter((block) => !block.final), logs: logs.filter((block) => !block.final) };
			this.nextBlock = 1 + Math.max(0, ...traces.slice(-1).map((b) => b.id), ...logs.slice(-1).map((b) => b.id));
			this.metricPoints = this.database.prepare<[], number>("SELECT count(*) FROM metric_points").pluck().get() ?? 0;
		} catch (error) {
			this.database.close();
			throw error;
		}
	}

	/** One durable transaction. Returns the names inside. */
	append(group: WriteGroup): AppendReport & { readonly operations: BlockOperation[] } {
		const encoded = [encodeFresh(group.spans), encodeFresh(group.logs)].filter((block) => block !== undefined);
		const blocks = encoded.map(({ block }) => block);
		const stored: StoredBlock[] = [];
		const firstBlock = this.nextBlock;
		let points = 0;
		this.database.exec("BEGIN IMMEDIATE");
		try {
			for (const block of blocks) stored.push(this.tableWriter.insert(this.nextBlock++, block, false));
			points = this.metrics.insert(group.metrics);
			this.insertCommit.run(group.arrivedMs, group.fingerprints);
			this.failpoint("before-commit");
			this.database.exec("COMMIT");
		} catch (error) {
			this.rollBack();
			this.nextBlock = firstBlock;
			throw error;
		}
		this.failpoint("after-commit");
		blocks.forEach((block, i) => {
			this.unmerged[block.summary.signal].push(stored[i]!);
			this.count(block.summary.signal, stored[i]!);
		});
		this.metricPoints += points;
		return {
			operations: blocks.flatMap((block) => (block.summary.signal === "traces" ? block.operations : [])),
			invalidUtf8Strings: encoded.reduce((sum, each) => sum + each.invalidUtf8Strings, 0),
		};
	}

	/** What should be merged next, if anything, beside what is being merged. @param sealing once nothing more will be appended */
	nextMerge(sealing: boolean): MergePlan | undefined {
		for (const signal of ["traces", "logs"] as const) {
			const idle = this.unmerged[signal].filter((block) => !this.merging.has(block.id));
			const plan = planMerge(signal, idle, sealing);
			if (plan !== undefined) return plan;
		}
		return undefined;
	}

	/** Takes a plan's blocks out of further plans, and gives what a merge needs of them. */
	beginMerge(plan: MergePlan): MergeJob {
		for (const block of plan.blocks) this.merging.add(block.id);
		return {
			signal: plan.signal,
			inputs: plan.blocks.map((block) => this.table.parts(block.id)),
			level: plan.final ? FINAL_LEVEL : FRESH_LEVEL,
			withFilter: plan.final,
		};
	}

	/** Puts the merged block in the place of its inputs, in one transaction. */
	applyMerge(plan: MergePlan, merged: EncodedBlock): void {
		this.failpoint("mid-merge");
		const id = this.nextBlock;
		let stored: StoredBlock;
		this.database.exec("BEGIN IMMEDIATE");
		try {
			for (const block of plan.blocks) this.tableWriter.delete(block.id);
			stored = this.tableWriter.insert(id, merged, plan.final);
			if (plan.final) this.index[plan.signal].add(id, merged.traceHashes);
			this.failpoint("before-merge-commit");
			this.database.exec("COMMIT");
		} catch (error) {
			this.rollBack();
			this.abandonMerge(plan);
			throw error;
		}
		this.nextBlock = id + 1;
		this.abandonMerge(plan);
		const gone = new Set(plan.blocks.map((block) => block.id));
		const kept = this.unmerged[plan.signal].filter((block) => !gone.has(block.id));
		if (!plan.final) kept.push(stored);
		this.unmerged[plan.signal].splice(0, this.unmerged[plan.signal].length, ...kept);
	}

	/** A merge that will not be applied: its blocks may be planned again. */
	abandonMerge(plan: MergePlan): void {
		for (const block of plan.blocks) this.merging.delete(block.id);
	}

	get unmergedBlocks(): number {
		return this.unmerged.traces.length + this.unmerged.logs.length;
	}

	get walBytes(): number {
		return statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
	}

	/**
	 * Moves the log into the file once it is worth it, and starts the log anew: passive checkpoints starve under readers and leave it
	 * growing. A reader that will not go away costs a short wait each time the log has grown by as much again.
	 */
	checkpoint(maxLogBytes: number): void {
		const bytes = this.walBytes;
		if (bytes < Math.max(maxLogBytes, this.retryCheckpointBytes)) return;
		this.database.pragma(`busy_timeout = ${CHECKPOINT_WAIT_MS}`);
		try {
			const [result] = this.database.pragma("wal_checkpoint(TRUNCATE)") as { readonly busy: number }[];
			this.retryCheckpointBytes = result?.busy === 0 ? 0 : bytes + maxLogBytes;
		} finally {
			this.database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
		}
	}

	counts(): WindowCounts {
		const bytes = (statSync(this.path, { throwIfNoEntry: false })?.size ?? 0) + this.walBytes;
		const { spans, logs, metricPoints, minTimeNs, maxTimeNs } = this;
		return { spans, logs, metricPoints, bytes, minTimeNs, maxTimeNs };
	}

	/** Empties the log and gives freed pages back. The last act on a window that is sealed. */
	compact(): void {
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

function encodeFresh(columns: RecordColumns): (AppendReport & { readonly block: EncodedBlock }) | undefined {
	if (columns.count === 0) return undefined;
	const builder = builders[columns.shape.signal];
	builder.reset();
	builder.addColumns(columns);
	const invalidUtf8Strings = builder.invalidTexts();
	return { block: builder.finish({ level: FRESH_LEVEL, withFilter: false }), invalidUtf8Strings };
}
