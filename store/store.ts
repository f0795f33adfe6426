/**
 * The contract between meshscope and whatever keeps its data.
 *
 * Collector and api know this file and nothing of an engine; store/conformance/ is the kit that every engine passes.
 * Words in capitals are requirements on an engine.
 */
import type { TraceId } from "../model/ids.ts";
import type { RecordColumns } from "../model/columns.ts";
import type { MetricBatch } from "../model/metric.ts";
import type { DurationNs, TimeNs } from "../model/time.ts";
import type { CommitRef, ReplayGroup } from "./topology.ts";
import type { LatencyFigures } from "../model/topology/edge-sums.ts";
import type { GroupBy } from "../model/topology/endpoint.ts";
import type { Graph, GraphEdge } from "../model/topology/graph.ts";
import type { MtlsReport, UnprotectedEdge } from "../model/topology/mtls-report.ts";
import type { MtlsCounts } from "../model/topology/mtls-status.ts";
import type { Evidence, MtlsFinding, MtlsStatus, Outcome, Reporter } from "../model/topology/series.ts";
import type { ToldHops } from "../model/topology/told-hops.ts";
import type { ServiceTraffic } from "../model/topology/service-traffic.ts";

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

/** `text` matches the value's text whatever its type; the others match only values of that OTLP type. */
export interface AttributeFilter {
	readonly key: string;
	readonly value: string;
	readonly type: "text" | "string" | "int" | "double" | "bool";
}

export type StatusFilter = "unset" | "ok" | "error";

export interface TraceQuery {
	readonly service?: string;
	readonly operation?: string;
	readonly minDurationNs?: DurationNs;
	readonly maxDurationNs?: DurationNs;
	readonly status?: StatusFilter;
	/**
	 * The span belongs to a hop of this mTLS status ({@link ToldHop}). An engine MAY rely on roll-ups for where to look, and so MAY
	 * miss spans that start more than a minute before or after their hop does.
	 */
	readonly mtls?: MtlsStatus;
	/** All must hold, on one and the same span (its resource's attributes count as its own). */
	readonly attributes: readonly AttributeFilter[];
	/** A span's start, inclusive and exclusive. */
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
	/** Traces; 1 to 1,000. */
	readonly limit: number;
}

export interface TraceSummary {
	readonly traceId: TraceId;
	/** Service and name of the root: the span without a parent, else the earliest whose parent is not known. */
	readonly rootService: string;
	readonly rootName: string;
	readonly startTimeUnixNano: string;
	/** From the earliest start to the latest end, as a number: exact up to 104 days. */
	readonly durationNs: number;
	readonly spanCount: number;
	readonly errorCount: number;
	readonly services: readonly string[];
}

export interface TraceSearchResult {
	/** Newest first. A trace matches when one of its spans does; the summary is of the whole trace. */
	readonly traces: readonly TraceSummary[];
	/** What the engine looked at, so that a person can see why a search was slow or empty. */
	readonly searched: SearchedInfo;
}

export interface SearchedInfo {
	readonly windows: number;
	readonly blocks: number;
	readonly blocksSkipped: number;
	readonly spansScanned: number;
	/** True when the time budget ended the search before the whole range was seen. */
	readonly truncated: boolean;
	readonly damagedWindows: readonly string[];
	/** Of a search by mTLS status; undefined of any other. */
	readonly mtls?: MtlsSearched | undefined;
}

export interface MtlsSearched {
	/** The range in ms, and how much of it roll-ups ruled out: no hop of that status began there. */
	readonly rangeMs: number;
	readonly skippedMs: number;
	/** Traces whose hops were looked at. */
	readonly tracesChecked: number;
}

export interface TraceResult {
	/** Undefined when there is none. */
	readonly trace: WholeTrace | undefined;
	/** Spans of the trace may lie in them. */
	readonly damagedWindows: readonly string[];
}

export interface WholeTrace {
	readonly summary: TraceSummary;
	/** MUST be there with JSON; MAY be absent otherwise. */
	readonly hops?: ToldHops;
	/**
	 * The whole trace as protobuf `opentelemetry.proto.trace.v1.TracesData`, each span once, every field as it was sent; or the
	 * same as OTLP JSON text in UTF-8. In pieces to be put together, none empty: a trace may have hundreds of megabytes.
	 */
	readonly body: readonly Uint8Array[];
}

export interface ServiceInfo {
	readonly name: string;
	readonly firstSeenMs: number;
	readonly lastSeenMs: number;
}

export interface OperationInfo {
	readonly name: string;
	/** OTLP span kind, 0 to 5. */
	readonly kind: number;
	readonly lastSeenMs: number;
}

export interface LogQuery {
	readonly traceId?: TraceId;
	readonly service?: string;
	/** OTLP severity number, 1 to 24. */
	readonly minSeverity?: number;
	/** A substring of the body's text, case-insensitive. */
	readonly text?: string;
	readonly attributes: readonly AttributeFilter[];
	/** A record's time, or when it was observed where it has none; inclusive and exclusive. */
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
	/** Records; 1 to 1,000. */
	readonly limit: number;
}

export interface LogEntry {
	readonly timeUnixNano: string;
	readonly observedTimeUnixNano: string;
	readonly service: string;
	readonly severityNumber: number;
	readonly severityText: string;
	readonly traceId: string;
	readonly spanId: string;
	readonly body: unknown;
	readonly attributes: Readonly<Record<string, unknown>>;
	readonly resource: Readonly<Record<string, unknown>>;
	readonly scope: string;
}

export interface LogSearchResult {
	/** Newest first. */
	readonly logs: readonly LogEntry[];
	readonly searched: SearchedInfo;
}

export interface MetricSeriesQuery {
	/** Exact metric name. */
	readonly name?: string;
	readonly service?: string;
	readonly attributes: readonly AttributeFilter[];
	/** Series; 1 to 10,000. */
	readonly limit: number;
}

export type MetricType = "gauge" | "sum" | "histogram" | "exponential_histogram" | "summary";

export interface MetricSeries {
	/** Stable within the data directory; decimal string. */
	readonly id: string;
	readonly name: string;
	readonly description: string;
	readonly unit: string;
	readonly type: MetricType;
	readonly temporality: "unspecified" | "delta" | "cumulative";
	readonly monotonic: boolean;
	readonly service: string;
	readonly attributes: Readonly<Record<string, unknown>>;
	readonly resource: Readonly<Record<string, unknown>>;
	readonly lastTimeUnixNano: string;
}

export interface MetricPointQuery extends MetricSeriesQuery {
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
	/** Points over all series; 1 to 100,000. */
	readonly maxPoints: number;
}

/** One OTLP number, histogram, exponential histogram or summary data point. */
export interface MetricPoint {
	readonly timeUnixNano: string;
	readonly startTimeUnixNano: string;
	/** Number points: a double, or a 64-bit integer as decimal string. */
	readonly value?: number | string;
	readonly count?: string;
	readonly sum?: number;
	readonly min?: number;
	readonly max?: number;
	/** Explicit bounds and their counts; counts are one longer. */
	readonly explicitBounds?: readonly number[];
	readonly bucketCounts?: readonly string[];
	readonly exponential?: {
		readonly scale: number;
		readonly zeroCount: string;
		readonly zeroThreshold: number;
		readonly positive: { readonly offset: number; readonly bucketCounts: readonly string[] };
		readonly negative: { readonly offset: number; readonly bucketCounts: readonly string[] };
	};
	readonly quantiles?: readonly { readonly quantile: number; readonly value: number }[];
	readonly flags: number;
}

export interface MetricSeriesResult {
	readonly series: readonly MetricSeries[];
	readonly damagedWindows: readonly string[];
}

export interface MetricPointResult {
	readonly series: readonly { readonly series: MetricSeries; readonly points: readonly MetricPoint[] }[];
	readonly truncated: boolean;
	readonly damagedWindows: readonly string[];
}

/** A range of the topology, and at which level its nodes are told. */
export interface GraphQuery {
	/** Epoch ms, inclusive and exclusive. An engine MAY widen it to whole buckets; the answer says what it took. */
	readonly fromMs: number;
	readonly toMs: number;
	readonly groupBy: GroupBy;
}

/** What an answer is about. */
export interface TopologyWindow {
	readonly fromMs: number;
	readonly toMs: number;
	/** Width of the finest buckets that were added up. */
	readonly resolutionMs: number;
	/** When the topology stage last wrote, epoch ms; undefined when it never has. */
	readonly flushedMs: number | undefined;
}

export interface GraphResult {
	readonly window: TopologyWindow;
	/** Length of the window as far as it was observed. */
	readonly seconds: number;
	readonly graph: Graph;
}

export interface EdgeQuery {
	/** As a graph told it, of whatever grouping. */
	readonly id: string;
	readonly fromMs: number;
	readonly toMs: number;
	/** A whole number of 10 s; undefined lets the engine choose. */
	readonly stepMs?: number;
}

export interface EdgePoint {
	/** Start of the step, epoch ms. */
	readonly timeMs: number;
	readonly requests: number;
	readonly connections: number;
	readonly errors: number;
	readonly requestRate: number;
	readonly errorRatio: number;
	readonly bytes: { readonly sent: number; readonly received: number };
	readonly latencyMs: LatencyFigures | undefined;
	readonly mtlsCounts: MtlsCounts;
}

export interface TraceSample {
	readonly traceId: string;
	readonly timeMs: number;
	readonly durationMs: number;
	readonly isError: boolean;
}

export interface EdgeLatencyBucket {
	/** Above the first, up to and including the second. */
	readonly fromMs: number;
	readonly toMs: number;
	readonly count: number;
	readonly exemplars: readonly TraceSample[];
}

/** One series: what one source says of the edge. */
export interface EdgeEvidence {
	readonly series: number;
	readonly evidence: Evidence;
	readonly reporter: Reporter;
	readonly sampled: boolean;
	/** Node ids by workload: as the source named the end, and whom that was taken for. */
	readonly source: { readonly told: string; readonly taken: string };
	readonly target: { readonly told: string; readonly taken: string };
	readonly mtls: MtlsFinding;
	readonly outcome: Outcome;
	readonly destinationOutcome: Outcome | undefined;
	readonly observed: number;
	readonly count: number;
	readonly attempts: number;
	readonly failedHandshakes: number;
	readonly bytes: { readonly sent: number; readonly received: number };
	readonly codes: Readonly<Record<string, number>>;
	readonly flags: Readonly<Record<string, number>>;
	readonly sourceP95Ms: number | undefined;
	readonly destinationP95Ms: number | undefined;
	readonly firstSeenMs: number | undefined;
	readonly lastSeenMs: number | undefined;
}

export interface EdgeResult {
	readonly window: TopologyWindow;
	readonly groupBy: GroupBy;
	/** Undefined when nothing was seen of it in the range. */
	readonly edge: GraphEdge | undefined;
	readonly stepMs: number;
	/** Oldest first; steps without anything are left out. */
	readonly points: readonly EdgePoint[];
	/** Of the side that `edge.latencySide` names. */
	readonly latency: readonly EdgeLatencyBucket[];
	/** Most observations first. */
	readonly evidence: readonly EdgeEvidence[];
}

type Sampled = UnprotectedEdge & { readonly samples: readonly TraceSample[] };

export interface MtlsResult {
	readonly window: TopologyWindow;
	readonly report: Omit<MtlsReport, "plaintext" | "mixed"> & {
		readonly plaintext: readonly Sampled[];
		readonly mixed: readonly Sampled[];
	};
}

export interface ServiceTrafficQuery {
	/** A service's name, or a node's id. */
	readonly service: string;
	readonly fromMs: number;
	readonly toMs: number;
}

export interface ServiceTrafficResult {
	readonly window: TopologyWindow;
	readonly traffic: ServiceTraffic;
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
	/** Sorted by name. Beyond 10,000 names the rest are gathered under `(overflow)`. */
	services(): Promise<readonly ServiceInfo[]>;
	/** Sorted by name, then kind. Beyond 1,000 names a service the rest are gathered under `(overflow)`. */
	operations(service: string): Promise<readonly OperationInfo[]>;
	searchLogs(query: LogQuery, signal?: AbortSignal): Promise<LogSearchResult>;
	metricSeries(query: MetricSeriesQuery, signal?: AbortSignal): Promise<MetricSeriesResult>;
	metricPoints(query: MetricPointQuery, signal?: AbortSignal): Promise<MetricPointResult>;
	/** MUST count every observation that was flushed in the range, each once; of a store without topology the graph is empty. */
	graph(query: GraphQuery, signal?: AbortSignal): Promise<GraphResult>;
	/**
	 * Undefined when no series ever made an edge of this id.
	 * @throws MeshscopeError `query_too_broad` when the steps are too many to add up
	 */
	edge(query: EdgeQuery, signal?: AbortSignal): Promise<EdgeResult | undefined>;
	mtls(query: GraphQuery, signal?: AbortSignal): Promise<MtlsResult>;
	/** Undefined when nothing in the range goes by the name. */
	serviceTraffic(query: ServiceTrafficQuery, signal?: AbortSignal): Promise<ServiceTrafficResult | undefined>;
	close(): Promise<void>;
}

/** One statement about an edge: an {@link EdgeEvidence} and whose. */
export interface EdgeStatement extends EdgeEvidence {
	readonly edge: GraphEdge;
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
