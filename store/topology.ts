/**
 * The contract of what the topology stage keeps: roll-ups of series by bucket of time, the series' meanings, exemplars, certificates,
 * and how far into the committed groups all of it reaches. One flush is one transaction, so that a crash counts nothing twice.
 *
 * Words in capitals are requirements on an engine.
 */
import type { TraceId } from "../model/ids.ts";
import type { AddressSighting, CertificateSighting, Exemplar, ResolutionMs } from "../model/topology/series.ts";

/** A committed group's place in the order of commits. Compare by window, then by commit. */
export interface CommitRef {
	/** Name of the window; names sort in the order of time. */
	readonly window: string;
	readonly commit: number;
}

/** Whether `a` was committed after `b`; everything is after undefined. */
export function isAfter(a: CommitRef, b: CommitRef | undefined): boolean {
	if (b === undefined) return true;
	return a.window === b.window ? a.commit > b.commit : a.window > b.window;
}

export interface SeriesRow {
	/** Given by the caller, counting up from 1. */
	readonly id: number;
	/** Canonical JSON of SeriesDims (model/topology/rollup.ts). */
	readonly dims: string;
}

/** Sums to be added to one bucket, for any number of series (model/topology/rollup.ts gives the bytes their meaning). */
export interface RollupDelta {
	readonly resolutionMs: ResolutionMs;
	/** Start of the bucket, epoch ms. */
	readonly bucketMs: number;
	readonly data: Uint8Array;
}

export interface TopologyFlush {
	/** Every group up to this one is in what was flushed so far, this flush included. */
	readonly cursor: CommitRef | undefined;
	/** Opaque: what the stage must know to go on behind the cursor. Replaces the last one. */
	readonly state: Uint8Array;
	readonly series: readonly SeriesRow[];
	readonly rollups: readonly RollupDelta[];
	readonly exemplars: readonly Exemplar[];
	readonly certificates: readonly CertificateSighting[];
	readonly addresses: readonly AddressSighting[];
	/** Last values of cumulative metric series by the stage's own key; an undefined value removes. */
	readonly counters: readonly { readonly key: string; readonly value: Uint8Array | undefined }[];
}

export interface TopologyLoad {
	readonly cursor: CommitRef | undefined;
	/** Empty where there was no flush. */
	readonly state: Uint8Array;
	readonly series: readonly SeriesRow[];
	readonly counters: readonly { readonly key: string; readonly value: Uint8Array }[];
}

/**
 * What was flushed could not be read any more and was set aside: everything begins anew. The stage starts over with `load()`, which
 * answers as in an empty directory.
 */
export class TopologyLostError extends Error {
	override readonly name = "TopologyLostError";
}

/** Adds up deltas of one bucket (model/topology/rollup.ts): `joinRollups([a, b])` says what `a` and `b` say together. */
export type JoinRollups = (datas: readonly Uint8Array[]) => Uint8Array;

/** Owned by the topology thread alone. */
export interface TopologyWriter {
	/** What the last flush left; as often as wanted. */
	load(): TopologyLoad;
	/**
	 * All or nothing, and durable on return.
	 * @throws MeshscopeError `store_full`; a later flush MUST succeed once there is room
	 * @throws TopologyLostError
	 */
	flush(flush: TopologyFlush): void;
	/**
	 * One bounded step: joins the deltas of buckets that are past, and removes what is older than its retention or over the bound. What
	 * readers add up MUST stay the same but for what is removed. True while there is more. @throws TopologyLostError
	 */
	maintain(nowMs: number): boolean;
	bytesOnDisk(): number;
	close(): void;
}

/** All deltas of one bucket; readers add them up. */
export interface RollupBucket {
	readonly bucketMs: number;
	readonly data: readonly Uint8Array[];
}

/** Reading, in a reader's thread; every call sees whole flushes only. */
export interface TopologyReader {
	/** Buckets of that width that begin in `[fromMs, toMs)`, in order. */
	rollups(resolutionMs: ResolutionMs, fromMs: number, toMs: number): Iterable<RollupBucket>;
	/**
	 * What was counted in buckets of that width that begin in `[fromMs, toMs)`, for adding up: deltas MAY be joined across buckets,
	 * and the fewer the better.
	 */
	deltas(resolutionMs: ResolutionMs, fromMs: number, toMs: number): Iterable<Uint8Array>;
	/** Changes with every flush: what was computed from roll-ups holds while it stays the same. */
	version(): number;
	/** Start of the oldest bucket of that width; undefined when there is none. */
	oldest(resolutionMs: ResolutionMs): number | undefined;
	/** Meaning of the series; ids that are not known are left out. */
	series(): ReadonlyMap<number, string>;
	/** Of these series in the range, at most `limit`, newest first. Of a series the newest 32 of each hour are kept. */
	exemplars(series: readonly number[], fromMs: number, toMs: number, limit: number): readonly Exemplar[];
	/** Those seen before, in or up to the range and again in it or later; for each principal, expiry and edge the last sighting. */
	certificates(fromMs: number, toMs: number): readonly CertificateSighting[];
	/** The last sighting of each address; at most some 100,000 are kept. */
	addresses(): ReadonlyMap<string, AddressSighting>;
	/** Cursor of the last flush and when it was, epoch ms. */
	progress(): { readonly cursor: CommitRef | undefined; readonly flushedMs: number } | undefined;
	close(): void;
}

/**
 * Traces as they were when the group `upTo` had been committed: what came later is not seen, and with undefined nothing is. For the
 * topology thread, which states what it knew at its cursor before it goes on behind it. Groups that are not released yet are told
 * apart exactly; of groups that were released an engine MAY see all as soon as `upTo` is at the newest of them.
 */
export interface CommittedTraces {
	/**
	 * Every span of these traces, each once, in messages `opentelemetry.proto.trace.v1.TracesData` of bounded size; a message MAY hold
	 * spans of several traces, and a trace's spans MAY come in several messages. Many at a time, since traces lie together: a block is
	 * read once for all of them.
	 * @param ids distinct
	 */
	traces(ids: readonly TraceId[], upTo: CommitRef | undefined, visit: (message: Uint8Array<ArrayBuffer>) => void): void;
	/**
	 * {@link hash} of the traces in the newest windows, newest first in blocks, at most `max`, of groups up to `upTo`; a trace MAY come
	 * more than once.
	 */
	recentTraceHashes(max: number, upTo: CommitRef | undefined): Uint32Array;
	/** 32 well-mixed bits of a trace id, given as four big-endian words. */
	hash(w0: number, w1: number, w2: number, w3: number): number;
	/** When the oldest window began, epoch ms: older traces are gone. Undefined when there is none. */
	oldestMs(): number | undefined;
	close(): void;
}

/** What a store answers that has no topology yet. */
export const NO_TOPOLOGY: TopologyReader = {
	rollups: () => [],
	deltas: () => [],
	version: () => 0,
	oldest: () => undefined,
	series: () => new Map(),
	exemplars: () => [],
	certificates: () => [],
	addresses: () => new Map(),
	progress: () => undefined,
	close() {},
};

/** Committed groups as the topology stage reads them again after a crash. */
export interface ReplayGroup {
	readonly ref: CommitRef;
	readonly arrivedMs: number;
	/** `opentelemetry.proto.trace.v1.TracesData` and `logs.v1.LogsData`; empty where the group had none. */
	readonly traces: Uint8Array<ArrayBuffer>;
	readonly logs: Uint8Array<ArrayBuffer>;
	/** What was given as `topologyMetrics` with the group; empty where nothing was. */
	readonly metrics: Uint8Array;
}
