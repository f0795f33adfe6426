/** What is asked of spans, logs and metrics, and the answers: part of the contract of store.ts, which is what others import. */
import type { DurationGridAnswer } from "../model/analysis/duration-grid.ts";
import type { TraceId } from "../model/ids.ts";
import type { DecodedMetricPoint } from "../model/otlp/metric-point.ts";
import type { DurationNs, TimeNs } from "../model/time.ts";
import type { OperationFigures } from "../model/otlp/operation-sums.ts";
import type { MtlsStatus } from "../model/topology/series.ts";

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
	/** Whether the span names no parent. */
	readonly isRoot?: boolean;
	/**
	 * The span belongs to a hop of this mTLS status (ToldHop of model/topology/told-hops.ts). An engine MAY rely on roll-ups for where to look, and so MAY
	 * miss spans that start more than a minute before or after their hop does.
	 */
	readonly mtls?: MtlsStatus;
	/**
	 * The span belongs to a hop of this edge (an id of any grouping), and to one of `mtls` where both are given. `minDurationNs` and
	 * `maxDurationNs` are then of the hop's latency at `side`, else at the caller where it reported. What engines MAY miss is as above,
	 * and hops of several tries that nothing in their trace outlasts.
	 */
	readonly edge?: string;
	/** With `edge` only: that end measured the hop. */
	readonly side?: "source" | "destination";
	/** All must hold, on one and the same span (its resource's attributes count as its own). */
	readonly attributes: readonly AttributeFilter[];
	/** A span's start, inclusive and exclusive. */
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
	/** Traces; 1 to 1,000. */
	readonly limit: number;
}

/** Of spans, whatever the traces. */
export type SpanQuery = Omit<TraceQuery, "limit">;

export interface DurationQuery extends SpanQuery {
	/** Most steps of time; 1 to 240. */
	readonly columns: number;
}

/**
 * Spans that meet the query, by start and duration. Of a query by edge they are hops, each once, with their latency. An engine MAY
 * count a span twice that was sent twice.
 */
export interface SpanDurations extends DurationGridAnswer {
	readonly searched: SearchedInfo;
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
	/** True when the time budget, or of logs the bytes that an answer may have, ended the search before the whole range was seen. */
	readonly truncated: boolean;
	readonly damagedWindows: readonly string[];
	/** Of a search by edge or mTLS status; undefined of any other. */
	readonly hops?: HopsSearched | undefined;
}

export interface HopsSearched {
	/** The range in ms, and how much of it roll-ups ruled out: no such hop began there. */
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

/** The hops of a trace as text, which is what is asked for. */
export interface HopsText {
	/** Of each a ToldHop as JSON in UTF-8, by start, with commas between; in pieces to be put together, none empty. */
	readonly json: readonly Uint8Array[];
	readonly hopCount: number;
	/** Spans that were not looked at: of a trace, the first 100,000 are. */
	readonly spansLeft: number;
}

export interface WholeTrace {
	readonly summary: TraceSummary;
	/** MUST be there with JSON; MAY be absent otherwise. */
	readonly hops?: HopsText;
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

export interface OperationFiguresQuery {
	/** Exact name. */
	readonly service: string;
	/** A span's start, inclusive and exclusive. */
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
	/** Operations; 1 to 1,000. */
	readonly limit: number;
}

export interface OperationFiguresResult {
	/** Most spans first. */
	readonly operations: readonly OperationFigures[];
	readonly searched: SearchedInfo;
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
	/** Newest first. An engine MAY answer fewer than there are where they are large, and says `truncated`. */
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
export type MetricPoint = DecodedMetricPoint;

export interface MetricSeriesResult {
	readonly series: readonly MetricSeries[];
	readonly damagedWindows: readonly string[];
}

export interface MetricPointResult {
	readonly series: readonly { readonly series: MetricSeries; readonly points: readonly MetricPoint[] }[];
	readonly truncated: boolean;
	readonly damagedWindows: readonly string[];
}
