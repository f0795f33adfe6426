/**
 * The contract between meshscope and whatever keeps its data.
 *
 * Collector and api know this file and nothing of an engine; store/conformance/ is the kit that every engine passes.
 * Words in capitals are requirements on an engine.
 */
import type { TraceId } from "../model/ids.ts";
import type { RecordColumns } from "../model/columns.ts";
import type { MetricBatch } from "../model/metric.ts";
import type { TimeNs } from "../model/time.ts";
import type { CommitRef, ReplayGroup } from "./topology.ts";
import type { GraphEdge } from "../model/topology/graph.ts";
import type { DifferencesQuery, DifferencesResult } from "./difference-answers.ts";
import type {
	DurationQuery,
	LogEntry,
	LogQuery,
	LogSearchResult,
	MetricPoint,
	MetricPointQuery,
	MetricPointResult,
	MetricSeries,
	MetricSeriesQuery,
	MetricSeriesResult,
	OperationFiguresQuery,
	OperationFiguresResult,
	OperationInfo,
	ServiceInfo,
	SpanDurations,
	TraceQuery,
	TraceResult,
	TraceSearchResult,
} from "./record-answers.ts";
import type {
	EdgeQuery,
	EdgeResult,
	EdgeStatement,
	GraphHistoryQuery,
	GraphHistoryResult,
	GraphQuery,
	GraphResult,
	MtlsResult,
	ServiceHistoryQuery,
	ServiceHistoryResult,
	ServiceTrafficQuery,
	ServiceTrafficResult,
} from "./topology-answers.ts";

export * from "./difference-answers.ts";
export type * from "./record-answers.ts";
export type * from "./topology-answers.ts";

export type Signal = "traces" | "logs" | "metrics";

/** What one group commit makes durable: any number of batches, all or nothing. */
export interface WriteGroup {
	readonly spans: RecordColumns;
	readonly logs: RecordColumns;
	readonly metrics: MetricBatch;
	/**
	 * 16-byte fingerprints of the batches inside, back to back. An engine MUST keep them with the group in the same
	 * transaction and MUST return those of recent groups from `recentFingerprints`, so that a batch sent again after a
	 * crash is recognised.
	 */
	readonly fingerprints: Uint8Array;
	/**
	 * What the topology stage made of the group's metric points; empty for nothing. An engine MUST keep it in the same transaction
	 * until the group is released, and give it back from `replay`.
	 */
	readonly topologyMetrics: Uint8Array;
	/** Arrival time, epoch ms: decides the window. Never the spans' own times, which senders can get wrong. */
	readonly arrivedMs: number;
}

export interface StoreWriter {
	/**
	 * Stores a group. On return the group MUST survive `kill -9` (and, for durable engines, power loss); on a throw nothing of it
	 * MUST be visible, then or later. Groups MUST become visible to readers in the order of the calls, each at once and whole.
	 * The columns are the caller's scratch space: an engine MUST NOT keep a reference to them.
	 * @throws MeshscopeError `store_full` when there is no room; reads MUST go on, and a later append MUST succeed
	 * once room was made.
	 */
	append(group: WriteGroup): AppendReport;
	/**
	 * Fingerprints of the newest batches, newest last, at most `max`. MAY leave out batches that came hours before the newest: senders
	 * have given up on them.
	 */
	recentFingerprints(max: number): Uint8Array;
	/**
	 * The topology stage has everything up to this group on disk. Until then an engine MUST be able to `replay` a group, also after a
	 * crash; groups of windows that were removed or are damaged are the exception. MAY be called seldom.
	 */
	release(upTo: CommitRef): void;
	/** The groups behind `after` (all that are kept where undefined), in the order of their commits, each whole. */
	replay(after: CommitRef | undefined): Iterable<ReplayGroup>;
	/**
	 * One bounded step of background work: merging, retention, checkpoints. Batches that arrive meanwhile wait for its end, so longer
	 * work belongs in a thread of the engine's. Returns true while there is more to do now. MUST be safe to stop between any two steps
	 * and at any point inside one.
	 */
	maintain(nowMs: number): boolean;
	/** Copies everything appended before the call, whole groups only, into an empty or absent directory. */
	backup(directory: string): Promise<BackupReport>;
	stats(): StoreStats;
	/** Finishes what is under way and releases every file. MUST NOT lose anything appended. */
	close(): void;
}

/**
 * Fields of a group's records that the engine found to be equal while it stored them. Of every record, in order, each field whose slot
 * is `attribute` or `item` (model/columns.ts) has the number of its bytes: equal numbers are equal bytes, and none is 0.
 */
export interface FieldEntries {
	readonly numbers: Uint32Array;
	/** Place of each record's first field in `numbers`; `end` is behind the last field of the last record. */
	readonly firstOfRow: Uint32Array;
	readonly end: number;
	/** The greatest number. */
	readonly count: number;
	/** Class of each record, from 0: records of one class have equal resources, scopes, names, kinds and statuses. */
	readonly classOfRow: Uint32Array;
	readonly classCount: number;
	/** By number, where in `bytes` they are, tag included. */
	readonly bytes: Uint8Array<ArrayBuffer>;
	readonly starts: Uint32Array;
	readonly lengths: Uint32Array;
}

export interface AppendReport {
	/** The group's place in the order of commits. */
	readonly ref: CommitRef;
	/** MAY be given; valid until the next call. */
	readonly spanEntries?: FieldEntries | undefined;
	/**
	 * Names, attribute keys and values, and log bodies of the group that are not UTF-8 and are read with U+FFFD. MUST be 0 when there
	 * are none and above 0 when there are; a text that repeats in the group MAY count once.
	 */
	readonly invalidUtf8Strings: number;
}

export interface BackupReport {
	readonly files: number;
	readonly bytes: number;
}

export interface StoreCapabilities {
	/** False for engines whose data ends with the process. */
	readonly durable: boolean;
	readonly sql: boolean;
	readonly backup: boolean;
}

export interface StoreStats {
	readonly capabilities: StoreCapabilities;
	/** Of windows and topology. */
	readonly bytesOnDisk: number;
	readonly spans: number;
	readonly logs: number;
	readonly metricPoints: number;
	readonly windows: readonly WindowInfo[];
	/** Blocks that wait to be merged. */
	readonly freshBlocks: number;
	/** Groups that could not wait for the topology stage, since the start: after a crash it could not read them again. */
	readonly topologySkipped: number;
	readonly walBytes: number;
	readonly retention: { readonly maxAgeMs: number; readonly maxBytes: number };
}

export interface WindowInfo {
	readonly name: string;
	/** Arrival times, epoch ms. */
	readonly fromMs: number;
	readonly toMs: number;
	readonly bytes: number;
	readonly spans: number;
	readonly logs: number;
	readonly metricPoints: number;
	readonly state: "open" | "sealed" | "damaged";
	/** For damaged windows: what was found, for a person. */
	readonly problem?: string;
}

/** One span as the SQL tables and exports see it. */
export interface SpanRow {
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId: string;
	readonly service: string;
	readonly name: string;
	/** OTLP span kind, 0 to 5, and status code, 0 to 2. */
	readonly kind: number;
	readonly statusCode: number;
	readonly startNs: bigint;
	readonly durationNs: bigint;
	readonly attributes: Readonly<Record<string, unknown>>;
	readonly resource: Readonly<Record<string, unknown>>;
}

export interface ScanQuery {
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
	readonly service?: string;
}

/** An engine's further files stand among the windows by their names; their `blocks` are what they hold. */
export interface VerifyReport {
	readonly windows: readonly {
		readonly name: string;
		readonly ok: boolean;
		readonly blocks: number;
		readonly spans: number;
		readonly problems: readonly string[];
	}[];
	readonly ok: boolean;
}

/**
 * Reading. Every answer MUST see whole groups only, and every trace once, however its blocks are being merged. A window that cannot
 * be read MUST NOT keep the others from being served, and MUST be named in `damagedWindows`, which every answer has but the lists of names.
 * Once `signal` says that nobody waits any more, a read SHOULD end soon, with whatever answer or error.
 */
export interface StoreReader {
	/** MUST find spans of the trace whatever group, window or file they lie in. */
	trace(id: TraceId, format: "protobuf" | "json", signal?: AbortSignal): Promise<TraceResult>;
	searchTraces(query: TraceQuery, signal?: AbortSignal): Promise<TraceSearchResult>;
	/** MUST count a span once that came in several batches; an engine MAY forget one that millions of others have followed. */
	spanDurations(query: DurationQuery, signal?: AbortSignal): Promise<SpanDurations>;
	/** As `spanDurations` counts. An engine MAY compare a sample: at most `COMPARED_TRACES` of each side. */
	traceDifferences(query: DifferencesQuery, signal?: AbortSignal): Promise<DifferencesResult>;
	/** Sorted by name. Beyond 10,000 names the rest are gathered under `(overflow)`, and so is a name of more than 1,024 characters. */
	services(): Promise<readonly ServiceInfo[]>;
	/** Sorted by name, then kind. Beyond 1,000 names a service the rest are gathered under `(overflow)`, and so are long ones as above. */
	operations(service: string): Promise<readonly OperationInfo[]>;
	/**
	 * Rate, errors and duration of a service's operations, from its spans, counted as by `spanDurations`. MUST look at the newest
	 * first and say `truncated` where it did not see all.
	 */
	operationFigures(query: OperationFiguresQuery, signal?: AbortSignal): Promise<OperationFiguresResult>;
	searchLogs(query: LogQuery, signal?: AbortSignal): Promise<LogSearchResult>;
	/** An engine MAY refuse with `query_too_broad` where attributes and resources are large; so of `metricPoints`. */
	metricSeries(query: MetricSeriesQuery, signal?: AbortSignal): Promise<MetricSeriesResult>;
	metricPoints(query: MetricPointQuery, signal?: AbortSignal): Promise<MetricPointResult>;
	/** MUST count every observation that was flushed in the range, each once; of a store without topology the graph is empty. */
	graph(query: GraphQuery, signal?: AbortSignal): Promise<GraphResult>;
	/** The whole mesh step by step. @throws MeshscopeError `query_too_broad` when the steps are too many to add up */
	graphHistory(query: GraphHistoryQuery, signal?: AbortSignal): Promise<GraphHistoryResult>;
	/**
	 * Undefined when no series ever made an edge of this id.
	 * @throws MeshscopeError `query_too_broad` when the steps are too many to add up
	 */
	edge(query: EdgeQuery, signal?: AbortSignal): Promise<EdgeResult | undefined>;
	mtls(query: GraphQuery, signal?: AbortSignal): Promise<MtlsResult>;
	/** Undefined when nothing in the range goes by the name. */
	serviceTraffic(query: ServiceTrafficQuery, signal?: AbortSignal): Promise<ServiceTrafficResult | undefined>;
	/**
	 * The service step by step; undefined when nothing ever went by the name.
	 * @throws MeshscopeError `query_too_broad` when the steps are too many to add up
	 */
	serviceHistory(query: ServiceHistoryQuery, signal?: AbortSignal): Promise<ServiceHistoryResult | undefined>;
	close(): Promise<void>;
}

/** Whole-range reads for the command line; synchronous, so that they can feed SQLite's table functions. */
export interface StoreScanner {
	/** The graph by service; of a service, the edges from it and to it. */
	scanEdges(query: ScanQuery): Iterable<GraphEdge>;
	/** Everything that is stated of those edges. */
	scanEdgeStatements(query: ScanQuery): Iterable<EdgeStatement>;
	scanSpans(query: ScanQuery): Iterable<SpanRow>;
	scanLogs(query: ScanQuery): Iterable<LogEntry>;
	scanMetricPoints(query: ScanQuery): Iterable<{ readonly series: MetricSeries; readonly point: MetricPoint }>;
	/** Reads every block of every window and checks it against its checksum and its index. */
	verify(): VerifyReport;
	close(): void;
}
