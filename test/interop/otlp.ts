/**
 * An OTLP decoder for tests, independent of meshscope's own: protobufjs reads the messages by the field numbers below
 * (opentelemetry-proto 1.11). What it returns is plain objects: ids in lower-case hex, 64-bit integers as decimal strings, enums as
 * numbers, absent messages absent, so that two payloads that mean the same are deep-equal.
 */
import protobuf from "protobufjs";

const SCHEMA = `
syntax = "proto3";
message AnyValue { oneof value {
  string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
  ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; } }
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
message KeyValue { string key = 1; AnyValue value = 2; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message EntityRef { string schema_url = 1; string type = 2; repeated string id_keys = 3; repeated string description_keys = 4; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; repeated EntityRef entity_refs = 3; }

message TracesData { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; string schema_url = 3; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; string schema_url = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4; fixed32 flags = 16;
  string name = 5; int32 kind = 6; fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8;
  repeated KeyValue attributes = 9; uint32 dropped_attributes_count = 10;
  repeated Event events = 11; uint32 dropped_events_count = 12;
  repeated Link links = 13; uint32 dropped_links_count = 14; Status status = 15; }
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message Link { bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; repeated KeyValue attributes = 4;
  uint32 dropped_attributes_count = 5; fixed32 flags = 6; }
message Status { string message = 2; int32 code = 3; }

message LogsData { repeated ResourceLogs resource_logs = 1; }
message ResourceLogs { Resource resource = 1; repeated ScopeLogs scope_logs = 2; string schema_url = 3; }
message ScopeLogs { Scope scope = 1; repeated LogRecord log_records = 2; string schema_url = 3; }
message LogRecord {
  fixed64 time_unix_nano = 1; fixed64 observed_time_unix_nano = 11; int32 severity_number = 2; string severity_text = 3;
  AnyValue body = 5; repeated KeyValue attributes = 6; uint32 dropped_attributes_count = 7; fixed32 flags = 8;
  bytes trace_id = 9; bytes span_id = 10; string event_name = 12; }

message MetricsData { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message Metric { string name = 1; string description = 2; string unit = 3; oneof data {
  Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; ExponentialHistogram exponential_histogram = 10; Summary summary = 11; }
  repeated KeyValue metadata = 12; }
message Gauge { repeated NumberPoint data_points = 1; }
message Sum { repeated NumberPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramPoint data_points = 1; int32 aggregation_temporality = 2; }
message ExponentialHistogram { repeated ExponentialPoint data_points = 1; int32 aggregation_temporality = 2; }
message Summary { repeated SummaryPoint data_points = 1; }
message NumberPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; } repeated Exemplar exemplars = 5; uint32 flags = 8; }
message HistogramPoint { repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  fixed64 count = 4; optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7;
  repeated Exemplar exemplars = 8; uint32 flags = 10; optional double min = 11; optional double max = 12; }
message ExponentialPoint { repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  fixed64 count = 4; optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9;
  uint32 flags = 10; repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13; double zero_threshold = 14; }
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message SummaryPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  fixed64 count = 4; double sum = 5; repeated Quantile quantile_values = 6; uint32 flags = 8; }
message Quantile { double quantile = 1; double value = 2; }
message Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; } bytes span_id = 4; bytes trace_id = 5; }
`;

const root = protobuf.parse(SCHEMA).root;
const ROOT_MESSAGE = { traces: "TracesData", logs: "LogsData", metrics: "MetricsData" } as const;

export type OtlpSignal = keyof typeof ROOT_MESSAGE;

export interface AnyValue {
	readonly stringValue?: string;
	readonly boolValue?: boolean;
	readonly intValue?: string;
	readonly doubleValue?: number;
	readonly arrayValue?: { readonly values: readonly AnyValue[] };
	readonly kvlistValue?: { readonly values: readonly KeyValue[] };
	/** Base64. */
	readonly bytesValue?: string;
}

export interface KeyValue {
	readonly key: string;
	readonly value?: AnyValue;
}

export interface Resource {
	readonly attributes?: readonly KeyValue[];
}

export interface Scope {
	readonly name?: string;
	readonly version?: string;
	readonly attributes?: readonly KeyValue[];
}

export interface Span {
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId?: string;
	readonly traceState?: string;
	readonly name: string;
	readonly kind?: number;
	readonly flags?: number;
	readonly startTimeUnixNano: string;
	readonly endTimeUnixNano: string;
	readonly attributes?: readonly KeyValue[];
	readonly events?: readonly {
		readonly timeUnixNano: string;
		readonly name: string;
		readonly attributes?: readonly KeyValue[];
	}[];
	readonly links?: readonly { readonly traceId: string; readonly spanId: string; readonly attributes?: readonly KeyValue[] }[];
	readonly status?: { readonly code?: number; readonly message?: string };
}

export interface LogRecord {
	readonly timeUnixNano?: string;
	readonly observedTimeUnixNano?: string;
	readonly severityNumber?: number;
	readonly severityText?: string;
	readonly body?: AnyValue;
	readonly attributes?: readonly KeyValue[];
	readonly traceId?: string;
	readonly spanId?: string;
}

export interface Metric {
	readonly name: string;
	readonly unit?: string;
	readonly [data: string]: unknown;
}

export interface OtlpData {
	readonly resourceSpans?: readonly {
		readonly resource?: Resource;
		readonly schemaUrl?: string;
		readonly scopeSpans?: readonly {
			readonly scope?: Scope;
			readonly schemaUrl?: string;
			readonly spans?: readonly Span[];
		}[];
	}[];
	readonly resourceLogs?: readonly {
		readonly resource?: Resource;
		readonly scopeLogs?: readonly { readonly scope?: Scope; readonly logRecords?: readonly LogRecord[] }[];
	}[];
	readonly resourceMetrics?: readonly {
		readonly resource?: Resource;
		readonly scopeMetrics?: readonly { readonly scope?: Scope; readonly metrics?: readonly Metric[] }[];
	}[];
}

/** A span with what stands around it. */
export interface SpanInContext {
	readonly span: Span;
	readonly resource: Resource;
	readonly scope: Scope;
}

export interface LogInContext {
	readonly log: LogRecord;
	readonly resource: Resource;
	readonly scope: Scope;
}

export function decodeProtobuf(signal: OtlpSignal, bytes: Uint8Array): OtlpData {
	const type = root.lookupType(ROOT_MESSAGE[signal]);
	return withHexIds(type.toObject(type.decode(bytes), { longs: String, bytes: String, json: true }), false) as OtlpData;
}

/** Encodes what {@link decodeProtobuf} returns. */
export function encodeProtobuf(signal: OtlpSignal, data: OtlpData): Uint8Array<ArrayBuffer> {
	const type = root.lookupType(ROOT_MESSAGE[signal]);
	return new Uint8Array(type.encode(type.fromObject(withBase64Ids(data) as Record<string, unknown>)).finish());
}

/**
 * OTLP JSON by way of the protobuf message, so that 64-bit numbers, defaults and unknown fields take one form.
 */
export function decodeJson(signal: OtlpSignal, json: unknown): OtlpData {
	return decodeProtobuf(signal, encodeProtobuf(signal, json as OtlpData));
}

export function decodePayload(signal: OtlpSignal, encoding: "protobuf" | "json", bytes: Uint8Array): OtlpData {
	return encoding === "protobuf"
		? decodeProtobuf(signal, bytes)
		: decodeJson(signal, JSON.parse(Buffer.from(bytes).toString("utf8")));
}

export function spansOf(data: OtlpData): SpanInContext[] {
	return (data.resourceSpans ?? []).flatMap((ofResource) =>
		(ofResource.scopeSpans ?? []).flatMap((ofScope) =>
			(ofScope.spans ?? []).map((span) => ({ span, resource: ofResource.resource ?? {}, scope: ofScope.scope ?? {} })),
		),
	);
}

export function logsOf(data: OtlpData): LogInContext[] {
	return (data.resourceLogs ?? []).flatMap((ofResource) =>
		(ofResource.scopeLogs ?? []).flatMap((ofScope) =>
			(ofScope.logRecords ?? []).map((log) => ({ log, resource: ofResource.resource ?? {}, scope: ofScope.scope ?? {} })),
		),
	);
}

export function metricsOf(data: OtlpData): Metric[] {
	return (data.resourceMetrics ?? []).flatMap((ofResource) =>
		(ofResource.scopeMetrics ?? []).flatMap((ofScope) => [...(ofScope.metrics ?? [])]),
	);
}

/** Attributes by key, for comparing without regard to their order. */
export function attributeMap(attributes: readonly KeyValue[] | undefined): Record<string, AnyValue> {
	return Object.fromEntries((attributes ?? []).map(({ key, value }) => [key, value ?? {}]));
}

const ID_KEYS: ReadonlySet<string> = new Set(["traceId", "spanId", "parentSpanId"]);

function withHexIds(value: unknown, isId: boolean): unknown {
	if (typeof value === "string") return isId ? Buffer.from(value, "base64").toString("hex") : value;
	if (Array.isArray(value)) return value.map((item) => withHexIds(item, false));
	if (typeof value !== "object" || value === null) return value;
	const entries = Object.entries(value).filter(([key, item]) => !isEmptyStatus(key, item));
	return Object.fromEntries(entries.map(([key, item]) => [key, withHexIds(item, ID_KEYS.has(key))]));
}

/** A status without code and message says no more than an absent one, and OTLP JSON writers differ in which they write. */
function isEmptyStatus(key: string, value: unknown): boolean {
	return key === "status" && typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function withBase64Ids(value: unknown, isId = false): unknown {
	if (typeof value === "string") return isId ? Buffer.from(value, "hex").toString("base64") : value;
	if (Array.isArray(value)) return value.map((item) => withBase64Ids(item));
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withBase64Ids(item, ID_KEYS.has(key))]));
}
