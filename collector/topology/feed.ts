/**
 * The writer thread's end of the topology stage: reads from each committed group what edges need, and sends it to the topology thread;
 * tells the store what need not be kept for another reading. After a start, and after the thread was lost, groups that the stage has
 * not written down are read again from the store, in order; what is committed meanwhile waits behind them, already read, since
 * reading a group again costs several times as much.
 */
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { isAfter, type CommitRef, type ReplayGroup } from "../../store/topology.ts";
import type { AppendReport, StoreWriter, WriteGroup } from "../../store/store.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { skimLogs, skimTraces } from "../decode/skim.ts";
import type { CommittedGroups } from "../pipeline/committer.ts";
import { FIRST_REPLAY_PROFILE } from "./facts-table.ts";
import type { LogExtractor } from "./log-extractor.ts";
import type { FromTopology, StageStats, ToTopology, TopologyStats } from "./messages.ts";
import { PendingGroups } from "./pending-groups.ts";
import type { RecordExtractor } from "./record-extractor.ts";
import type { RecordRows } from "./record-rows.ts";
import type { StageGroup } from "./stage-options.ts";

/** The topology thread, as far as the feed knows it. */
export interface TopologyThread {
	post(message: ToTopology, transfer: ArrayBuffer[]): void;
	terminate(): void;
}

export interface FeedOptions {
	readonly store: Pick<StoreWriter, "release" | "replay">;
	readonly limits: DecodeLimits;
	readonly spans: (firstProfile: number) => RecordExtractor;
	readonly logs: (firstProfile: number) => LogExtractor;
	readonly start: (receive: (message: FromTopology) => void, lost: (reason: string) => void) => TopologyThread;
	/** Called when there is room again, or a step to take. */
	readonly onWork: () => void;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** Rows that the thread has not taken yet, 84 bytes each; beyond it commits wait. At full load a second's worth: a flush takes less. */
const MAX_ROWS_BEHIND = 60_000;
const RESTART_MS = 2_000;

interface Extractors {
	readonly spans: RecordExtractor;
	readonly logs: LogExtractor;
}

type Mode = "off" | "starting" | "replaying" | "live" | "closing";

export class TopologyFeed implements CommittedGroups {
	private readonly options: FeedOptions;
	private mode: Mode = "off";
	private thread: TopologyThread | undefined;
	private readonly pending = new PendingGroups();
	private stageStats: StageStats | undefined;
	private restarts = 0;
	private rowsBehind = 0;
	/** The last group that was sent, or that the stage had at its start. */
	private sent: CommitRef | undefined;
	private replaying: Iterator<ReplayGroup> | undefined;
	/** Committed while the thread starts and catches up. */
	private waiting: StageGroup[] = [];
	private extractors: Extractors;
	/** For what is read again: it is sent before what waits, so its profiles must not be those of what waits. */
	private replayExtractors: Extractors;
	/** For groups that are read again. */
	private readonly columns = { spans: new RecordColumns(SPAN_SHAPE), logs: new RecordColumns(LOG_SHAPE) };
	private onClosed: () => void = () => {};
	private restart: NodeJS.Timeout | undefined;

	constructor(options: FeedOptions) {
		this.options = options;
		this.extractors = this.newExtractors(1);
		this.replayExtractors = this.newExtractors(FIRST_REPLAY_PROFILE);
	}

	/** True while commits should wait: the stage has more to do than it can. */
	get isBehind(): boolean {
		return this.rowsBehind > MAX_ROWS_BEHIND;
	}

	stats(): TopologyStats {
		return { stage: this.stageStats, pendingSinceMs: this.pending.sinceMs, restarts: this.restarts };
	}

	/** Starts the thread, if it does not run: when there is something to read again, or the first group comes. */
	open(): void {
		if (this.mode !== "off") return;
		this.mode = "starting";
		this.thread = this.options.start(
			(message) => this.receive(message),
			(reason) => this.lose(reason),
		);
	}

	/** A group is committed; its columns are still what they were. */
	accept(group: WriteGroup, { ref, spanEntries }: AppendReport): void {
		if (this.mode === "off") this.open();
		const { spans, logs, topologyMetrics, arrivedMs } = group;
		const read: StageGroup = {
			ref,
			arrivedMs,
			spans: spans.count === 0 ? undefined : this.extractors.spans.extract(spans, spanEntries),
			logs: logs.count === 0 ? undefined : this.extractors.logs.extract(logs),
			metrics: topologyMetrics,
		};
		this.rowsBehind += rowsIn(read);
		this.pending.add(ref, arrivedMs);
		if (this.mode === "live") this.send(read);
		else this.waiting.push(read);
	}

	/** Reads one group again. True while there are more. */
	step(): boolean {
		if (this.mode !== "replaying") return false;
		this.replaying ??= this.options.store.replay(this.sent)[Symbol.iterator]();
		const next = this.replaying.next();
		const first = this.waiting[0];
		if (next.done !== true && (first === undefined || isAfter(first.ref, next.value.ref))) {
			const { ref, arrivedMs, traces, logs, metrics } = next.value;
			const read = { ref, arrivedMs, spans: this.read("spans", traces), logs: this.read("logs", logs), metrics };
			this.rowsBehind += rowsIn(read);
			this.pending.add(ref, arrivedMs);
			this.send(read);
			return true;
		}
		this.replaying.return?.();
		this.replaying = undefined;
		this.mode = "live";
		for (const group of this.waiting.splice(0)) this.send(group);
		this.thread?.post({ kind: "caught-up" }, []);
		return false;
	}

	/** What the thread was sent is written down; what waits for it is read again after the next start. */
	close(): Promise<void> {
		clearTimeout(this.restart);
		const { thread } = this;
		this.mode = "closing";
		if (thread === undefined) return Promise.resolve();
		return new Promise((resolve) => {
			this.onClosed = resolve;
			thread.post({ kind: "close" }, []);
		});
	}

	private newExtractors(firstProfile: number): Extractors {
		return { spans: this.options.spans(firstProfile), logs: this.options.logs(firstProfile) };
	}

	private read(signal: "spans" | "logs", bytes: Uint8Array<ArrayBuffer>): RecordRows | undefined {
		if (bytes.length === 0) return undefined;
		const columns = this.columns[signal];
		columns.reset();
		// They passed once, so no limit on records applies again.
		const limits = { ...this.options.limits, maxRecords: Infinity };
		(signal === "spans" ? skimTraces : skimLogs)(bytes, columns, limits);
		return this.replayExtractors[signal].extract(columns);
	}

	private send(group: StageGroup): void {
		this.sent = group.ref;
		const transfer: ArrayBuffer[] = [];
		for (const rows of [group.spans, group.logs])
			if (rows !== undefined) transfer.push(rows.words.buffer, rows.numbers.buffer);
		this.thread?.post({ kind: "group", group, rows: rowsIn(group) }, transfer);
	}

	private receive(message: FromTopology): void {
		switch (message.kind) {
			case "ready":
				this.sent = message.cursor;
				if (message.cursor !== undefined) this.options.store.release(message.cursor);
				// Told to end before it was ready, it has its word already: nothing more is read for it, and its end is no loss.
				if (this.mode === "closing") break;
				this.mode = "replaying";
				this.options.onWork();
				break;
			case "taken": {
				const wasBehind = this.isBehind;
				this.rowsBehind -= message.rows;
				if (wasBehind && !this.isBehind) this.options.onWork();
				break;
			}
			case "flushed":
				this.stageStats = message.stats;
				if (message.cursor !== undefined) {
					this.pending.flushed(message.cursor);
					this.options.store.release(message.cursor);
					this.options.onWork();
				}
				break;
			case "log":
				this.options.log(message.level, message.message);
				break;
			case "closed":
				this.thread?.terminate();
				this.thread = undefined;
				this.onClosed();
				break;
		}
	}

	/** The thread is gone: what it had not written down comes again from the store. */
	private lose(reason: string): void {
		if (this.thread === undefined) return;
		this.thread = undefined;
		this.replaying = undefined;
		this.onClosed();
		if (this.mode === "closing") return;
		this.restarts++;
		this.stageStats = undefined;
		this.options.log("error", `the topology thread was lost and is started again: ${reason}`);
		this.mode = "starting";
		this.rowsBehind = 0;
		// A new thread knows no profiles.
		this.waiting = [];
		this.extractors = this.newExtractors(1);
		this.replayExtractors = this.newExtractors(FIRST_REPLAY_PROFILE);
		this.options.onWork();
		this.restart = setTimeout(() => {
			this.mode = "off";
			this.open();
		}, RESTART_MS);
	}
}

/** A group without rows still moves the cursor on. */
function rowsIn({ spans, logs }: StageGroup): number {
	return (spans?.count ?? 0) + (logs?.count ?? 0) + 1;
}
