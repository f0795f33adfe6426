/**
 * Traces that the stage knew and does not hold: those that went, of which only a mark is left, and those in which a half waited when
 * the last run ended, which are still to be read from the store.
 */
import type { TraceId } from "../../model/ids.ts";
import type { CommitRef, CommittedTraces } from "../../store/topology.ts";
import type { StageStateWriter } from "./stage-state.ts";
import { TraceFilter } from "./trace-filter.ts";

/** Traces of the past that a start notes as seen. */
const MAX_REMEMBERED = 1 << 20;

export class SeenTraces {
	private readonly committed: CommittedTraces;
	private readonly filter = new TraceFilter();
	/** The watermark (epoch ms) that each was stated under. */
	private readonly unread: Map<TraceId, number>;

	/** @param waiting of the last run, with the watermark each was stated under */
	constructor(committed: CommittedTraces, cursor: CommitRef | undefined, waiting: ReadonlyMap<TraceId, number>) {
		this.committed = committed;
		this.unread = new Map(waiting);
		if (cursor !== undefined) for (const hash of committed.recentTraceHashes(MAX_REMEMBERED, cursor)) this.filter.add(hash);
		for (const id of waiting.keys()) {
			const [w0, w1, w2, w3] = wordsOfId(id);
			this.add(w0!, w1!, w2!, w3!);
		}
	}

	/** How many of the last run's are still to be read. */
	get waiting(): number {
		return this.unread.size;
	}

	add(w0: number, w1: number, w2: number, w3: number): void {
		this.filter.add(this.committed.hash(w0, w1, w2, w3));
	}

	/** Whether the trace of these four words was ever let go of; true of one in some thousand that was not. */
	has(words: Uint32Array, at: number): boolean {
		return this.filter.has(this.committed.hash(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!));
	}

	/** Takes one that waited off the list; undefined when it is not on it. */
	takeWaiting(id: TraceId): number | undefined {
		const statedMs = this.unread.get(id);
		this.unread.delete(id);
		return statedMs;
	}

	/** Some of those that wait, at most `max`, without those that are held again. */
	waitingIds(max: number, isHeld: (id: TraceId) => boolean): TraceId[] {
		const ids: TraceId[] = [];
		for (const id of this.unread.keys()) {
			if (ids.length === max) break;
			if (!isHeld(id)) ids.push(id);
		}
		return ids;
	}

	/** What a run that begins now would have to read. */
	addWaiting(state: StageStateWriter): void {
		for (const [id, statedMs] of this.unread) state.addId(id, statedMs);
	}
}

export function wordsOfId(id: TraceId): Uint32Array {
	const words = new Uint32Array(4);
	for (let i = 0; i < 4; i++) words[i] = Number.parseInt(id.slice(i * 8, i * 8 + 8), 16);
	return words;
}
