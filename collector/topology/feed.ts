/**
 * The writer thread's end of the topology stage: reads from each committed group what edges need, and sends it to the topology thread;
 * tells the store what need not be kept for another reading. After a start, and after the thread was lost, groups that the stage has
 * not written down are read again from the store, in order, before new ones are sent.
 */
import { LOG_SHAPE, RecordColumns, SPAN_SHAPE } from "../../model/columns.ts";
import { isAfter, type CommitRef, type ReplayGroup } from "../../store/topology.ts";
import type { AppendReport, StoreWriter, WriteGroup } from "../../store/store.ts";
import type { DecodeLimits } from "../decode/limits.ts";
import { skimLogs, skimTraces } from "../decode/skim.ts";
import type { CommittedGroups } from "../pipeline/committer.ts";
import type { FromTopology, ToTopology, TopologyStats } from "./messages.ts";
import type { RecordExtractor } from "./record-extractor.ts";
import type { RecordRows } from "./record-rows.ts";
import type { StageGroup } from "./stage.ts";

/** The topology thread, as far as the feed knows it. */
export interface TopologyThread {
	post(message: ToTopology, transfer: ArrayBuffer[]): void;
	terminate(): void;
}

export interface FeedOptions {
	readonly store: Pick<StoreWriter, "release" | "replay">;
	readonly limits: DecodeLimits;
	readonly spans: () => RecordExtractor;
	readonly logs: () => RecordExtractor;
	readonly start: (receive: (message: FromTopology) => void, lost: (reason: string) => void) => TopologyThread;
	/** Called when there is room again, or a step to take. */
	readonly onWork: () => void;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** Rows that the thread has not taken yet; beyond it commits wait. At full load some two seconds' worth. */
const MAX_ROWS_BEHIND = 300_000;
const RESTART_MS = 2_000;

type Mode = "off" | "starting" | "replaying" | "live" | "closing";

export class TopologyFeed implements CommittedGroups {
	stats: TopologyStats | undefined;
	private readonly options: FeedOptions;
	private mode: Mode = "off";
	private thread: TopologyThread | undefined;
	private rowsBehind = 0;
	/** The last group that was sent, or that the stage had at its start. */
	private sent: CommitRef | undefined;
	private committed: CommitRef | undefined;
	private replaying: Iterator<ReplayGroup> | undefined;
	private spans: RecordExtractor;
	private logs: RecordExtractor;
	/** For groups that are read again. */
	private readonly columns = { spans: new RecordColumns(SPAN_SHAPE), logs: new RecordColumns(LOG_SHAPE) };
	private onClosed: () => void = () => {};
	private restart: NodeJS.Timeout | undefined;

	constructor(options: FeedOptions) {
		this.options = options;
		this.spans = options.spans();
		this.logs = options.logs();
	}

	/** True while commits should wait: the stage has more to do than it can. */
	get isBehind(): boolean {
		return this.rowsBehind > MAX_ROWS_BEHIND;
	}

	/** Starts the thread, if it does not run: when there is something to read again, or the first group comes. */
	open(): void {
		if (this.mode !== "off") return;
		this.mode = "starting";
		this.rowsBehind = 0;
		// A new thread knows no profiles.
		this.spans = this.options.spans();
		this.logs = this.options.logs();
		this.thread = this.options.start(
			(message) => this.receive(message),
			(reason) => this.lose(reason),
		);
	}

	/** A group is committed; its columns are still what they were. */
	accept(group: WriteGroup, { ref, spanEntries }: AppendReport): void {
		this.committed = ref;
		if (this.mode === "off") this.open();
		// Until the thread has caught up, groups come from the store.
		if (this.mode !== "live") return;
		const { spans, logs, topologyMetrics, arrivedMs } = group;
		this.send({
			ref,
			arrivedMs,
			spans: spans.count === 0 ? undefined : this.spans.extract(spans, spanEntries),
			logs: logs.count === 0 ? undefined : this.logs.extract(logs),
			metrics: topologyMetrics,
		});
	}

	/** Reads one group again. True while there are more. */
	step(): boolean {
		if (this.mode !== "replaying" || this.isBehind) return false;
		this.replaying ??= this.options.store.replay(this.sent)[Symbol.iterator]();
		const next = this.replaying.next();
		if (next.done === true) {
			this.replaying = undefined;
			// What was committed meanwhile is read in another round; then groups are sent as they come.
			if (this.committed !== undefined && isAfter(this.committed, this.sent) && this.hasMore()) return true;
			this.mode = "live";
			this.thread?.post({ kind: "caught-up" }, []);
			return false;
		}
		const group = next.value;
		this.send({
			ref: group.ref,
			arrivedMs: group.arrivedMs,
			spans: this.read("spans", group.traces),
			logs: this.read("logs", group.logs),
			metrics: group.metrics,
		});
		return true;
	}

	/** Everything that was accepted is written down. */
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

	private hasMore(): boolean {
		const iterator = this.options.store.replay(this.sent)[Symbol.iterator]();
		const isEmpty = iterator.next().done === true;
		iterator.return?.();
		return !isEmpty;
	}

	private read(signal: "spans" | "logs", bytes: Uint8Array<ArrayBuffer>): RecordRows | undefined {
		if (bytes.length === 0) return undefined;
		const columns = this.columns[signal];
		columns.reset();
		// They passed once, so no limit on records applies again.
		const limits = { ...this.options.limits, maxRecords: Infinity };
		(signal === "spans" ? skimTraces : skimLogs)(bytes, columns, limits);
		return (signal === "spans" ? this.spans : this.logs).extract(columns);
	}

	private send(group: StageGroup): void {
		this.sent = group.ref;
		const transfer: ArrayBuffer[] = [];
		for (const rows of [group.spans, group.logs])
			if (rows !== undefined) transfer.push(rows.words.buffer, rows.numbers.buffer);
		// A group without rows still moves the cursor on.
		const rows = (group.spans?.count ?? 0) + (group.logs?.count ?? 0) + 1;
		this.rowsBehind += rows;
		this.thread?.post({ kind: "group", group, rows }, transfer);
	}

	private receive(message: FromTopology): void {
		switch (message.kind) {
			case "ready":
				this.sent = message.cursor;
				if (message.cursor !== undefined) this.options.store.release(message.cursor);
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
				this.stats = message.stats;
				if (message.cursor !== undefined) {
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
		this.options.log("error", `the topology thread was lost and is started again: ${reason}`);
		this.mode = "starting";
		this.rowsBehind = 0;
		this.options.onWork();
		this.restart = setTimeout(() => {
			this.mode = "off";
			this.open();
		}, RESTART_MS);
	}
}
