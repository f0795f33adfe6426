/**
 * The store as read-only SQL tables: spans, span_attributes, logs, metric_points, edges, mtls.
 *
 * Each is a table function over StoreScanner. Its hidden columns `from_time`, `to_time` and `in_service` are arguments: given in
 * parentheses or in WHERE, they go into the scan, so that windows and blocks outside are not read at all. Rows are made as SQLite
 * asks for them; a LIMIT ends the scan.
 */
import type Database from "better-sqlite3";
import { MeshscopeError } from "../model/errors.ts";
import { MAX_TIME_NS, parseMoment, timeNs } from "../model/time.ts";
import type { TimeNs } from "../model/time.ts";
import type { GraphEdge } from "../model/topology/graph.ts";
import { MTLS_STATUSES } from "../model/topology/series.ts";
import type { EdgeStatement, LogEntry, MetricPoint, MetricSeries, ScanQuery, SpanRow, StoreScanner } from "./store.ts";

export interface SqlColumn {
	readonly name: string;
	readonly type: "TEXT" | "INTEGER" | "REAL" | "JSON" | "ANY";
	readonly help: string;
}

export interface SqlTable {
	readonly name: string;
	readonly help: string;
	readonly columns: readonly SqlColumn[];
}

/** What SQLite can hold. */
type Cell = string | number | bigint | null;

export const SQL_ARGUMENTS: readonly SqlColumn[] = [
	{ name: "from_time", type: "TEXT", help: "start, inclusive: now-1h, RFC 3339 or epoch milliseconds" },
	{ name: "to_time", type: "TEXT", help: "end, exclusive; as from_time" },
	{ name: "in_service", type: "TEXT", help: "exact service name" },
];

const KINDS: readonly string[] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUSES: readonly string[] = ["unset", "ok", "error"];

/** A column and how a row fills it stand together, so that neither can be changed alone. */
interface Filled<Row> extends SqlColumn {
	readonly of: (row: Row) => Cell;
}

function column<Row>(name: string, type: SqlColumn["type"], help: string, of: (row: Row) => Cell): Filled<Row> {
	return { name, type, help, of };
}

const SPAN_COLUMNS: readonly Filled<SpanRow>[] = [
	column("trace_id", "TEXT", "32 hex digits", (row) => row.traceId),
	column("span_id", "TEXT", "16 hex digits", (row) => row.spanId),
	column("parent_span_id", "TEXT", "NULL for roots", (row) => row.parentSpanId || null),
	column("service", "TEXT", "the resource's service.name", (row) => row.service),
	column("name", "TEXT", "operation", (row) => row.name),
	column("kind", "TEXT", KINDS.join(", "), (row) => KINDS[row.kind] ?? String(row.kind)),
	column("status", "TEXT", STATUSES.join(", "), (row) => STATUSES[row.statusCode] ?? String(row.statusCode)),
	column("start_time", "TEXT", "UTC, to the nanosecond", (row) => rfc3339(row.startNs)),
	column("start_ns", "INTEGER", "nanoseconds since 1970", (row) => int64(row.startNs)),
	column("duration_ns", "INTEGER", "negative where the sender's clock ran backwards", (row) => int64(row.durationNs)),
	column("attributes", "JSON", "of the span: attributes ->> 'http.method'", (row) => json(row.attributes)),
	column("resource", "JSON", "attributes of the resource", (row) => json(row.resource)),
];

interface AttributeRow {
	readonly span: SpanRow;
	readonly source: "span" | "resource";
	readonly key: string;
	readonly value: unknown;
}

const ATTRIBUTE_COLUMNS: readonly Filled<AttributeRow>[] = [
	column("trace_id", "TEXT", "32 hex digits", (row) => row.span.traceId),
	column("span_id", "TEXT", "16 hex digits", (row) => row.span.spanId),
	column("service", "TEXT", "the resource's service.name", (row) => row.span.service),
	column("name", "TEXT", "operation of the span", (row) => row.span.name),
	column("start_ns", "INTEGER", "start of the span", (row) => int64(row.span.startNs)),
	column("duration_ns", "INTEGER", "of the span", (row) => int64(row.span.durationNs)),
	column("source", "TEXT", "span or resource", (row) => row.source),
	column("key", "TEXT", "attribute key", (row) => row.key),
	column("value", "ANY", "text, number, 0/1 for booleans, JSON for lists and maps", (row) => scalar(row.value)),
];

const LOG_COLUMNS: readonly Filled<LogEntry>[] = [
	column("time", "TEXT", "UTC, to the nanosecond", (row) => rfc3339(BigInt(row.timeUnixNano))),
	column("time_ns", "INTEGER", "nanoseconds since 1970", (row) => int64(BigInt(row.timeUnixNano))),
	column("observed_time_ns", "INTEGER", "when a collector saw it", (row) => int64(BigInt(row.observedTimeUnixNano))),
	column("service", "TEXT", "the resource's service.name", (row) => row.service),
	column("severity", "TEXT", "as the sender wrote it", (row) => row.severityText),
	column("severity_number", "INTEGER", "1 (trace) to 24 (fatal)", (row) => BigInt(row.severityNumber)),
	column("trace_id", "TEXT", "NULL without a trace", (row) => row.traceId || null),
	column("span_id", "TEXT", "NULL without a span", (row) => row.spanId || null),
	column("body", "ANY", "text as such, structure as JSON", (row) => scalar(row.body)),
	column("attributes", "JSON", "of the record", (row) => json(row.attributes)),
	column("resource", "JSON", "attributes of the resource", (row) => json(row.resource)),
	column("scope", "TEXT", "instrumentation scope", (row) => row.scope),
];

interface PointRow {
	readonly series: MetricSeries;
	readonly point: MetricPoint;
}

const POINT_COLUMNS: readonly Filled<PointRow>[] = [
	column("time", "TEXT", "UTC, to the nanosecond", ({ point }) => rfc3339(BigInt(point.timeUnixNano))),
	column("time_ns", "INTEGER", "nanoseconds since 1970", ({ point }) => int64(BigInt(point.timeUnixNano))),
	column("start_ns", "INTEGER", "start of a sum's or histogram's interval", ({ point }) =>
		int64(BigInt(point.startTimeUnixNano)),
	),
	column("service", "TEXT", "the resource's service.name", ({ series }) => series.service),
	column("metric", "TEXT", "metric name", ({ series }) => series.name),
	column("unit", "TEXT", "as the sender wrote it", ({ series }) => series.unit),
	column("type", "TEXT", "gauge, sum, histogram, exponential_histogram, summary", ({ series }) => series.type),
	column("temporality", "TEXT", "delta, cumulative, unspecified", ({ series }) => series.temporality),
	column("monotonic", "INTEGER", "0 or 1", ({ series }) => (series.monotonic ? 1n : 0n)),
	column("series", "TEXT", "ID of the series", ({ series }) => series.id),
	column("value", "ANY", "of gauges and sums", ({ point }) =>
		typeof point.value === "string" ? int64(BigInt(point.value)) : (point.value ?? null),
	),
	column("count", "INTEGER", "of histograms and summaries", ({ point }) =>
		point.count === undefined ? null : int64(BigInt(point.count)),
	),
	column("sum", "REAL", "of histograms and summaries", ({ point }) => point.sum ?? null),
	column("min", "REAL", "where the sender gave it", ({ point }) => point.min ?? null),
	column("max", "REAL", "where the sender gave it", ({ point }) => point.max ?? null),
	column("attributes", "JSON", "of the point", ({ series }) => json(series.attributes)),
	column("resource", "JSON", "attributes of the resource", ({ series }) => json(series.resource)),
	column("point", "JSON", "the whole point, buckets and quantiles included", ({ point }) => json(point)),
];

const EDGE_COLUMNS: readonly Filled<GraphEdge>[] = [
	column("edge_id", "TEXT", "as the API's /edges/{id}", (row) => row.id),
	column("source", "TEXT", "node: [kind:][cluster/][namespace/]service", (row) => row.source),
	column("target", "TEXT", "node", (row) => row.target),
	column("protocol", "TEXT", "http, grpc, tcp, database, messaging, unknown", (row) => row.protocol),
	column("unit", "TEXT", "what is counted: requests or connections", (row) => row.unit),
	column("requests", "REAL", "0 on edges of connections", (row) => scalar(row.requests)),
	column("connections", "REAL", "0 on edges of requests", (row) => scalar(row.connections)),
	column("request_rate", "REAL", "a second", (row) => row.requestRate),
	column("errors", "REAL", "server errors and requests without a response", (row) => scalar(row.errors)),
	column("client_errors", "REAL", "the caller's mistakes", (row) => scalar(row.clientErrors)),
	column("error_ratio", "REAL", "0 to 1", (row) => row.errorRatio),
	column("p50_ms", "REAL", "latency; NULL where nobody measured", (row) => row.latencyMs?.p50 ?? null),
	column("p90_ms", "REAL", "latency", (row) => row.latencyMs?.p90 ?? null),
	column("p95_ms", "REAL", "latency", (row) => row.latencyMs?.p95 ?? null),
	column("p99_ms", "REAL", "latency", (row) => row.latencyMs?.p99 ?? null),
	column("max_ms", "REAL", "latency", (row) => row.latencyMs?.max ?? null),
	column("mean_ms", "REAL", "latency", (row) => row.latencyMs?.mean ?? null),
	column("latency_side", "TEXT", "who measured: source or destination", (row) => row.latencySide ?? null),
	column("bytes_sent", "REAL", "from source to target", (row) => scalar(row.bytes.sent)),
	column("bytes_received", "REAL", "from target to source", (row) => scalar(row.bytes.received)),
	column("mtls", "TEXT", MTLS_STATUSES.join(", "), (row) => row.mtls.status),
	column("mtls_percent", "REAL", "of what is known; 0 and 100 are exact", (row) => row.mtls.percent ?? null),
	column("mtls_counts", "JSON", "by status", (row) => json(row.mtls.counts)),
	column("verified", "INTEGER", "1: an end checked every certificate counted", (row) => (row.mtls.verified ? 1n : 0n)),
	column("verified_by", "TEXT", "server, client, metric, header or empty", (row) => row.mtls.verifiedBy),
	column("source_principals", "JSON", "identities of the caller", (row) => json(row.mtls.sourcePrincipals)),
	column("target_principals", "JSON", "identities of the callee", (row) => json(row.mtls.destinationPrincipals)),
	column("tls_versions", "JSON", "in use", (row) => json(row.mtls.tlsVersions)),
	column("failed_handshakes", "REAL", "counted beside the requests", (row) => scalar(row.mtls.failedHandshakes)),
	column("reporter", "TEXT", "whose counts: both, source, destination, waypoint", (row) => row.reporter),
	column("evidence", "JSON", "observations by rule", (row) => json(row.evidence)),
	column("sampled", "INTEGER", "1: counts of a sample of unknown share", (row) => (row.sampled ? 1n : 0n)),
	column("first_seen", "TEXT", "UTC", (row) => momentText(row.firstSeenMs)),
	column("last_seen", "TEXT", "UTC", (row) => momentText(row.lastSeenMs)),
];

const MTLS_COLUMNS: readonly Filled<EdgeStatement>[] = [
	column("edge_id", "TEXT", "as in edges", (row) => row.edge.id),
	column("source", "TEXT", "node", (row) => row.edge.source),
	column("target", "TEXT", "node", (row) => row.edge.target),
	column("protocol", "TEXT", "of the edge", (row) => row.edge.protocol),
	column("unit", "TEXT", "what is counted: requests or connections", (row) => row.edge.unit),
	column("status", "TEXT", MTLS_STATUSES.join(", "), (row) => row.mtls.status),
	column("source_status", "TEXT", "what the caller's end said", (row) => row.mtls.source),
	column("target_status", "TEXT", "what the callee's end said", (row) => row.mtls.destination),
	column("count", "REAL", "scaled up where the share of a sample is known", (row) => scalar(row.count)),
	column("observed", "REAL", "as they came", (row) => scalar(row.observed)),
	column("failed_handshakes", "REAL", "no request came of them", (row) => scalar(row.failedHandshakes)),
	column("source_principal", "TEXT", "NULL where not known", (row) => row.mtls.sourcePrincipal || null),
	column("target_principal", "TEXT", "NULL where not known", (row) => row.mtls.destinationPrincipal || null),
	column("tls_version", "TEXT", "NULL where not known", (row) => row.mtls.tlsVersion || null),
	column("cipher", "TEXT", "NULL where not known", (row) => row.mtls.cipher || null),
	column("verified_by", "TEXT", "server, client, metric, header or empty", (row) => row.mtls.verifiedBy),
	column("reporter", "TEXT", "both, source, destination, waypoint", (row) => row.reporter),
	column("evidence", "TEXT", "the rule: pair, client-only, metric, log, …", (row) => row.evidence),
	column("outcome", "TEXT", "ok, client_error, server_error, no_response", (row) => row.outcome),
	column("sampled", "INTEGER", "1: a sample of unknown share", (row) => (row.sampled ? 1n : 0n)),
	column("first_seen", "TEXT", "UTC", (row) => momentText(row.firstSeenMs)),
	column("last_seen", "TEXT", "UTC", (row) => momentText(row.lastSeenMs)),
	column("series", "INTEGER", "number of the series", (row) => BigInt(row.series)),
];

interface TableDefinition<Row> extends SqlTable {
	readonly columns: readonly Filled<Row>[];
	readonly scan: (scanner: StoreScanner, query: ScanQuery) => Iterable<Row>;
}

const SPANS: TableDefinition<SpanRow> = {
	name: "spans",
	help: "one row a span; times are its start",
	columns: SPAN_COLUMNS,
	scan: (scanner, query) => scanner.scanSpans(query),
};
const SPAN_ATTRIBUTES: TableDefinition<AttributeRow> = {
	name: "span_attributes",
	help: "one row an attribute of a span or of its resource",
	columns: ATTRIBUTE_COLUMNS,
	scan: attributeRows,
};
const LOGS: TableDefinition<LogEntry> = {
	name: "logs",
	help: "one row a log record",
	columns: LOG_COLUMNS,
	scan: (scanner, query) => scanner.scanLogs(query),
};
const METRIC_POINTS: TableDefinition<PointRow> = {
	name: "metric_points",
	help: "one row a data point of a metric",
	columns: POINT_COLUMNS,
	scan: (scanner, query) => scanner.scanMetricPoints(query),
};

const EDGES: TableDefinition<GraphEdge> = {
	name: "edges",
	help: "one row an edge of the service graph, over the range in whole buckets of 10 s, a minute, an hour or a day",
	columns: EDGE_COLUMNS,
	scan: (scanner, query) => scanner.scanEdges(query),
};
const MTLS: TableDefinition<EdgeStatement> = {
	name: "mtls",
	help: "one row a statement about an edge: every source, status, identity and outcome by itself; never to be summed over evidences",
	columns: MTLS_COLUMNS,
	scan: (scanner, query) => scanner.scanEdgeStatements(query),
};

export const SQL_TABLES: readonly SqlTable[] = [SPANS, SPAN_ATTRIBUTES, LOGS, METRIC_POINTS, EDGES, MTLS];

/** Defines the tables on a connection. The scanner stays the caller's to close, after the last statement. */
export function defineSqlTables(db: Database.Database, scanner: StoreScanner, nowMs: () => number): void {
	defineTable(db, SPANS, scanner, nowMs);
	defineTable(db, SPAN_ATTRIBUTES, scanner, nowMs);
	defineTable(db, LOGS, scanner, nowMs);
	defineTable(db, METRIC_POINTS, scanner, nowMs);
	defineTable(db, EDGES, scanner, nowMs);
	defineTable(db, MTLS, scanner, nowMs);
}

function defineTable<Row>(db: Database.Database, table: TableDefinition<Row>, scanner: StoreScanner, nowMs: () => number): void {
	const readers = table.columns.map((one) => one.of);
	db.table(table.name, {
		columns: table.columns.map((one) => one.name),
		parameters: SQL_ARGUMENTS.map((one) => one.name),
		safeIntegers: true,
		// Types of @types/better-sqlite3 end at the first generator form; arguments arrive as SQLite values.
		*rows(...args: unknown[]) {
			for (const row of table.scan(scanner, scanQueryOf(args, nowMs()))) yield readers.map((read) => read(row));
		},
	});
}

/** @throws MeshscopeError `invalid_argument`, which names the argument */
function scanQueryOf(args: readonly unknown[], nowMs: number): ScanQuery {
	const [from, to, service] = args;
	const range = {
		fromNs: momentOf("from_time", from, nowMs) ?? timeNs(0n),
		toNs: momentOf("to_time", to, nowMs) ?? MAX_TIME_NS,
	};
	return service === undefined || service === null ? range : { ...range, service: String(service) };
}

function momentOf(name: string, value: unknown, nowMs: number): TimeNs | undefined {
	if (value === undefined || value === null) return undefined;
	const moment = parseMoment(String(value), nowMs);
	if (moment !== undefined) return moment;
	throw new MeshscopeError(
		"invalid_argument",
		`${name} is ${JSON.stringify(String(value))}; write a time like now-1h, 2026-01-01T00:00:00Z or epoch milliseconds`,
	);
}

function* attributeRows(scanner: StoreScanner, query: ScanQuery): Iterable<AttributeRow> {
	for (const span of scanner.scanSpans(query)) {
		for (const [key, value] of Object.entries(span.attributes)) yield { span, source: "span", key, value };
		for (const [key, value] of Object.entries(span.resource)) yield { span, source: "resource", key, value };
	}
}

const INT64_MAX = MAX_TIME_NS;
const INT64_MIN = -MAX_TIME_NS - 1n;

/** SQLite's integers are signed; unsigned ones of the wire beyond them are held at the edge rather than wrapped. */
function int64(value: bigint): bigint {
	return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : value;
}

function scalar(value: unknown): Cell {
	switch (typeof value) {
		case "string":
			return value;
		case "number":
			// better-sqlite3 makes every JavaScript number a REAL; whole ones shall compare and print as the integers they are.
			return Number.isSafeInteger(value) ? BigInt(value) : value;
		case "bigint":
			return int64(value);
		case "boolean":
			return value ? 1n : 0n;
		default:
			return value === undefined || value === null ? null : json(value);
	}
}

function momentText(ms: number | undefined): string | null {
	return ms === undefined ? null : new Date(ms).toISOString();
}

function json(value: unknown): string {
	return JSON.stringify(value);
}

/** `2026-01-01T00:00:00.123456789Z`; NULL for no time and for times that no calendar reaches. */
function rfc3339(ns: bigint): string | null {
	const ms = Number(ns / 1_000_000n);
	if (ns <= 0n || ms > 8.64e15) return null;
	return `${new Date(ms).toISOString().slice(0, 19)}.${(ns % 1_000_000_000n).toString().padStart(9, "0")}Z`;
}
