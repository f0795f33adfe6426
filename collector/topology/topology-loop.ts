/**
 * Runs the stage in its thread: takes groups as they come, flushes every two seconds, keeps the roll-ups in order in between.
 */
import { TopologyLostError, type TopologyWriter } from "../../store/topology.ts";
import type { FromTopology, ToTopology } from "./messages.ts";
import type { StageGroup } from "./stage-options.ts";
import type { TopologyStage } from "./stage.ts";

export interface LoopOptions {
	readonly stage: TopologyStage;
	readonly store: TopologyWriter;
	readonly now: () => number;
	readonly send: (message: FromTopology) => void;
	/** The stage must begin anew. */
	readonly end: (reason: string) => void;
	/** Releases the files. */
	readonly close: () => void;
}

/** Edges are seen within it; half of what people notice, and rare enough to cost nothing. */
const FLUSH_MS = 2_000;
/** Spans after which a flush does not wait for its time: what is held between two flushes is bounded. */
const FLUSH_ROWS = 80_000;
const READ_PAUSE_MS = 20;
const MAINTENANCE_STEPS = 8;

export class TopologyLoop {
	private readonly options: LoopOptions;
	private isCaughtUp = false;
	private rowsSinceFlush = 0;
	private flushedMs: number | undefined;
	private failedFlushes = 0;
	private readonly timer: NodeJS.Timeout;
	private reading: NodeJS.Timeout;

	constructor(options: LoopOptions) {
		this.options = options;
		this.timer = setInterval(() => this.flush(), FLUSH_MS);
		options.send({ kind: "ready", cursor: options.stage.flushed });
		this.reading = setTimeout(() => this.readWaiting(), 0);
	}

	/** What the last run left waiting, in pieces: messages are taken in between. */
	private readWaiting(): void {
		if (this.options.stage.readWaiting()) this.reading = setTimeout(() => this.readWaiting(), READ_PAUSE_MS);
	}

	receive(message: ToTopology): void {
		switch (message.kind) {
			case "group":
				this.options.stage.accept(message.group);
				giveBack(message.group);
				this.rowsSinceFlush += message.rows;
				if (this.rowsSinceFlush >= FLUSH_ROWS) this.flush();
				this.options.send({ kind: "taken", rows: message.rows });
				break;
			case "caught-up":
				this.isCaughtUp = true;
				break;
			case "close":
				clearInterval(this.timer);
				clearTimeout(this.reading);
				this.flush(true);
				this.options.close();
				this.options.send({ kind: "closed" });
				break;
		}
	}

	private flush(isLast = false): void {
		const { stage, store, now, send, end } = this.options;
		try {
			// Messages that wait are newer than what was accepted; the stage sees them before time has passed them by.
			if (stage.flush(now(), this.isCaughtUp && this.rowsSinceFlush === 0, isLast)) {
				this.rowsSinceFlush = 0;
				this.flushedMs = now();
			} else this.failedFlushes++;
			for (let step = 0; step < MAINTENANCE_STEPS && !isLast; step++) if (!store.maintain(now())) break;
		} catch (error) {
			if (!(error instanceof TopologyLostError)) throw error;
			clearInterval(this.timer);
			clearTimeout(this.reading);
			end(error.message);
			return;
		}
		const { flushed, rows, series, drops } = stage;
		send({
			kind: "flushed",
			cursor: flushed,
			stats: {
				flushedMs: this.flushedMs,
				rows,
				series,
				bytesOnDisk: store.bytesOnDisk(),
				drops: { ...drops },
				failedFlushes: this.failedFlushes,
			},
		});
	}
}

/** Rows come by the megabyte: detached at once, their memory need not wait for a collection. */
function giveBack({ spans, logs }: StageGroup): void {
	for (const rows of [spans, logs]) {
		rows?.words.buffer.transfer(0);
		rows?.numbers.buffer.transfer(0);
	}
}
