/** What the topology stage is given, what it holds itself to, and what it counts: read by all around it. */
import type { LogFacts, SpanFacts } from "../../model/topology/facts.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import type { SeriesDims } from "../../model/topology/series.ts";
import type { CommitRef, CommittedTraces, TopologyFlush, TopologyLoad, TopologyWriter } from "../../store/topology.ts";
import type { Profile, RecordRows } from "./record-rows.ts";
import type { SeriesLimits } from "./series-registry.ts";

export interface StageGroup {
	readonly ref: CommitRef;
	readonly arrivedMs: number;
	readonly spans: RecordRows | undefined;
	readonly logs: RecordRows | undefined;
	/** As `WriteGroup.topologyMetrics`. */
	readonly metrics: Uint8Array;
}

export interface StageLimits extends SeriesLimits {
	/** How long a half waits for its other half. Envoy sends after 5 s at most, Linkerd after 10. */
	readonly maturityMs: number;
	/** Spans kept; beyond it halves are stated before their time. */
	readonly maxRows: number;
	/** Spans beyond which complete traces go, the oldest first. */
	readonly maxCompleteRows: number;
	/** How long a complete trace stays, in case more of it comes. */
	readonly holdMs: number;
	readonly maxRowsPerTrace: number;
	/**
	 * Time a flush may take to read traces from the store of which more came after they had gone. Long, since ingest rather waits than
	 * that calls are counted twice; the last flush has a supervisor waiting for it, and leaves to the next start what it cannot do.
	 */
	readonly maxReloadMs: number;
	readonly maxLastReloadMs: number;
}

export const DEFAULT_STAGE_LIMITS: StageLimits = {
	maturityMs: 30_000,
	maxRows: 500_000,
	maxCompleteRows: 120_000,
	holdMs: 60_000,
	maxRowsPerTrace: 100_000,
	maxReloadMs: 20_000,
	maxLastReloadMs: 3_000,
	maxEndpoints: 10_000,
	maxSeries: 40_000,
};

/** Turns committed metric points into observations; keeps what it must know of each series between two points. */
export interface MetricSource {
	/** @param sumsOf where the observations of a series at a time are added up */
	observe(metrics: Uint8Array, arrivedMs: number, sumsOf: (dims: SeriesDims, timeMs: number) => SeriesTotals): void;
	takeChanged(): TopologyFlush["counters"];
}

export interface StageOptions {
	readonly store: TopologyWriter;
	readonly committed: CommittedTraces;
	/** Rows of a `TracesData` message; profiles numbered from FIRST_OWN_PROFILE. */
	readonly rowsOf: (tracesData: Uint8Array<ArrayBuffer>) => RecordRows | undefined;
	readonly spanFacts: (profile: Profile) => SpanFacts;
	readonly logFacts: (profile: Profile) => LogFacts | undefined;
	readonly metrics: (load: TopologyLoad["counters"]) => MetricSource;
	readonly limits: StageLimits;
	/** A clock that only goes forward, ms. */
	readonly monotonicMs: () => number;
	readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** What was left out, and why; counted since the start. */
export interface StageDrops {
	/** Spans more than a week before or a day after their arrival. */
	implausibleTime: number;
	/** Spans of a trace that has too many. */
	traceTooLarge: number;
	/** Halves stated before their time, for want of room. */
	statedEarly: number;
	/** Traces that got more spans than could be joined with what had gone to the store. */
	notRejoined: number;
	/** Series beyond the cap on names. */
	overflowed: number;
}
