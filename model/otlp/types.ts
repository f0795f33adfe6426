/**
 * OTLP JSON as meshscope answers it: the protobuf JSON mapping with OTLP's exceptions (ids in lower-case hex, enums as integers).
 *
 * Fields with their default value are absent, as in that mapping. 64-bit integers are decimal strings.
 * Source: opentelemetry-proto docs/specification.md, "JSON Protobuf Encoding"; opentelemetry/proto/{trace,logs,common,resource}/v1.
 */

/** NaN and the infinities have no JSON number. */
export type OtlpDouble = number | "NaN" | "Infinity" | "-Infinity";

/** One of these, or none: an empty value. */
export interface OtlpAnyValue {
	readonly stringValue?: string;
	readonly boolValue?: boolean;
	readonly intValue?: string;
	readonly doubleValue?: OtlpDouble;
	readonly arrayValue?: OtlpArrayValue;
	readonly kvlistValue?: OtlpKeyValueList;
	/** Base64. Also what stands for a value that nests deeper than can be read: its protobuf bytes. */
	readonly bytesValue?: string;
}

export interface OtlpArrayValue {
	readonly values?: readonly OtlpAnyValue[];
}

export interface OtlpKeyValueList {
	readonly values?: readonly OtlpKeyValue[];
}

export interface OtlpKeyValue {
	readonly key?: string;
	readonly value?: OtlpAnyValue;
}

export interface OtlpEntityRef {
	readonly schemaUrl?: string;
	readonly type?: string;
	readonly idKeys?: readonly string[];
	readonly descriptionKeys?: readonly string[];
}

export interface OtlpResource {
	readonly attributes?: readonly OtlpKeyValue[];
	readonly droppedAttributesCount?: number;
	readonly entityRefs?: readonly OtlpEntityRef[];
}

export interface OtlpScope {
	readonly name?: string;
	readonly version?: string;
	readonly attributes?: readonly OtlpKeyValue[];
	readonly droppedAttributesCount?: number;
}

export interface OtlpEvent {
	readonly timeUnixNano?: string;
	readonly name?: string;
	readonly attributes?: readonly OtlpKeyValue[];
	readonly droppedAttributesCount?: number;
}

export interface OtlpLink {
	readonly traceId?: string;
	readonly spanId?: string;
	readonly traceState?: string;
	readonly attributes?: readonly OtlpKeyValue[];
	readonly droppedAttributesCount?: number;
	readonly flags?: number;
}

export interface OtlpStatus {
	readonly message?: string;
	/** 0 unset, 1 ok, 2 error. */
	readonly code?: number;
}

export interface OtlpSpan {
	readonly traceId?: string;
	readonly spanId?: string;
	readonly traceState?: string;
	readonly parentSpanId?: string;
	readonly flags?: number;
	readonly name?: string;
	/** 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
	readonly kind?: number;
	readonly startTimeUnixNano?: string;
	readonly endTimeUnixNano?: string;
	readonly attributes?: readonly OtlpKeyValue[];
	readonly droppedAttributesCount?: number;
	readonly events?: readonly OtlpEvent[];
	readonly droppedEventsCount?: number;
	readonly links?: readonly OtlpLink[];
	readonly droppedLinksCount?: number;
	readonly status?: OtlpStatus;
}

export interface OtlpLogRecord {
	readonly timeUnixNano?: string;
	readonly observedTimeUnixNano?: string;
	readonly severityNumber?: number;
	readonly severityText?: string;
	readonly eventName?: string;
	readonly body?: OtlpAnyValue;
	readonly attributes?: readonly OtlpKeyValue[];
	readonly droppedAttributesCount?: number;
	readonly flags?: number;
	readonly traceId?: string;
	readonly spanId?: string;
}

export interface OtlpScopeSpans {
	readonly scope?: OtlpScope;
	readonly spans?: readonly OtlpSpan[];
	readonly schemaUrl?: string;
}

export interface OtlpResourceSpans {
	readonly resource?: OtlpResource;
	readonly scopeSpans?: readonly OtlpScopeSpans[];
	readonly schemaUrl?: string;
}

export interface OtlpTracesData {
	readonly resourceSpans?: readonly OtlpResourceSpans[];
}

/** What a ResourceSpans / ResourceLogs or ScopeSpans / ScopeLogs says besides its records. */
export interface OtlpResourceGroup {
	readonly resource: OtlpResource;
	readonly schemaUrl: string;
}

export interface OtlpScopeGroup {
	readonly scope: OtlpScope;
	readonly schemaUrl: string;
}

/** A JavaScript value of an attribute: see `attributesToPlain`. */
export type PlainValue = string | number | boolean | undefined | readonly PlainValue[] | { readonly [key: string]: PlainValue };
