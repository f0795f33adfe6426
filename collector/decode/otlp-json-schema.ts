/**
 * The OTLP messages as tables: JSON name, field number and type of each field, for the one encoder in otlp-json.ts.
 * Source: opentelemetry-proto, opentelemetry/proto/{common,resource,trace,logs,metrics}/v1.
 */
import type { DropReason } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";

export type ScalarKind =
	| "string"
	| "bytes"
	| "hex"
	| "bool"
	| "double"
	| "int32"
	| "sint32"
	| "uint32"
	| "fixed32"
	| "int64"
	| "uint64"
	| "fixed64"
	| "sfixed64"
	| "enum";

export interface Field {
	/** lowerCamelCase, and snake_case, which is tolerated. */
	readonly json: string;
	readonly snake: string;
	readonly number: number;
	readonly kind: ScalarKind | "message";
	readonly message?: Message;
	readonly repeated?: boolean;
	/** Written even when it is the default: oneof members and `optional`. */
	readonly explicit?: boolean;
	/** For enums: the names that are tolerated beside the numbers. */
	readonly names?: Readonly<Record<string, number>>;
	/** Why a record with a bad value here is dropped; `malformed_record` where absent. */
	readonly reason?: DropReason;
	/**
	 * "group": walked key by key, never held as a whole. "records": each element is one record, which stands or falls alone.
	 * Absent: read with what encloses it.
	 */
	readonly walk?: "group" | "records";
}

export interface Message {
	readonly name: string;
	readonly fields: readonly Field[];
	/** True for AnyValue, whose lists may hold null as an empty value. */
	readonly nullable: boolean;
}

type FieldOptions = Omit<Field, "json" | "snake" | "number" | "kind">;

function field(json: string, number: number, kind: ScalarKind, options: FieldOptions = {}): Field {
	return { json, snake: json.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), number, kind, ...options };
}

function messageField(json: string, number: number, message: Message, options: FieldOptions = {}): Field {
	return { ...field(json, number, "string"), kind: "message", message, ...options };
}

function list(json: string, number: number, message: Message): Field {
	return messageField(json, number, message, { repeated: true });
}

function groups(json: string, number: number, message: Message): Field {
	return messageField(json, number, message, { repeated: true, walk: "group" });
}

function records(json: string, number: number, message: Message): Field {
	return messageField(json, number, message, { repeated: true, walk: "records" });
}

function message(name: string, fields: readonly Field[], nullable = false): Message {
	return { name, fields, nullable };
}

const explicit = { explicit: true } as const;
const many = { repeated: true } as const;

/** AnyValue holds lists of itself, so its fields arrive after it does. */
const anyValueFields: Field[] = [];
const ANY_VALUE: Message = message("AnyValue", anyValueFields, true);
const KEY_VALUE = message("KeyValue", [field("key", 1, "string"), messageField("value", 2, ANY_VALUE)]);
anyValueFields.push(
	field("stringValue", 1, "string", explicit),
	field("boolValue", 2, "bool", explicit),
	field("intValue", 3, "int64", explicit),
	field("doubleValue", 4, "double", explicit),
	messageField("arrayValue", 5, message("ArrayValue", [list("values", 1, ANY_VALUE)])),
	messageField("kvlistValue", 6, message("KeyValueList", [list("values", 1, KEY_VALUE)])),
	field("bytesValue", 7, "bytes", explicit),
);

const RESOURCE = message("Resource", [
	list("attributes", 1, KEY_VALUE),
	field("droppedAttributesCount", 2, "uint32"),
	list(
		"entityRefs",
		3,
		message("EntityRef", [
			field("schemaUrl", 1, "string"),
			field("type", 2, "string"),
			field("idKeys", 3, "string", many),
			field("descriptionKeys", 4, "string", many),
		]),
	),
]);

const SCOPE = message("InstrumentationScope", [
	field("name", 1, "string"),
	field("version", 2, "string"),
	list("attributes", 3, KEY_VALUE),
	field("droppedAttributesCount", 4, "uint32"),
]);

const KIND_NAMES = {
	SPAN_KIND_UNSPECIFIED: 0,
	SPAN_KIND_INTERNAL: 1,
	SPAN_KIND_SERVER: 2,
	SPAN_KIND_CLIENT: 3,
	SPAN_KIND_PRODUCER: 4,
	SPAN_KIND_CONSUMER: 5,
} as const;

const STATUS_NAMES = { STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 } as const;

const TEMPORALITY_NAMES = {
	AGGREGATION_TEMPORALITY_UNSPECIFIED: 0,
	AGGREGATION_TEMPORALITY_DELTA: 1,
	AGGREGATION_TEMPORALITY_CUMULATIVE: 2,
} as const;

const SEVERITY_NAMES: Readonly<Record<string, number>> = Object.fromEntries([
	["SEVERITY_NUMBER_UNSPECIFIED", 0],
	...["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].flatMap((level, group) =>
		[1, 2, 3, 4].map((step) => [`SEVERITY_NUMBER_${level}${step === 1 ? "" : step}`, group * 4 + step] as const),
	),
]);

const SPAN = message("Span", [
	field("traceId", 1, "hex", { reason: "invalid_trace_id" }),
	field("spanId", 2, "hex", { reason: "invalid_span_id" }),
	field("traceState", 3, "string"),
	field("parentSpanId", 4, "hex", { reason: "invalid_parent_id" }),
	field("name", 5, "string"),
	field("kind", 6, "enum", { names: KIND_NAMES }),
	field("startTimeUnixNano", 7, "fixed64"),
	field("endTimeUnixNano", 8, "fixed64"),
	list("attributes", 9, KEY_VALUE),
	field("droppedAttributesCount", 10, "uint32"),
	list(
		"events",
		11,
		message("Event", [
			field("timeUnixNano", 1, "fixed64"),
			field("name", 2, "string"),
			list("attributes", 3, KEY_VALUE),
			field("droppedAttributesCount", 4, "uint32"),
		]),
	),
	field("droppedEventsCount", 12, "uint32"),
	list(
		"links",
		13,
		message("Link", [
			field("traceId", 1, "hex"),
			field("spanId", 2, "hex"),
			field("traceState", 3, "string"),
			list("attributes", 4, KEY_VALUE),
			field("droppedAttributesCount", 5, "uint32"),
			field("flags", 6, "fixed32"),
		]),
	),
	field("droppedLinksCount", 14, "uint32"),
	messageField(
		"status",
		15,
		message("Status", [field("message", 2, "string"), field("code", 3, "enum", { names: STATUS_NAMES })]),
	),
	field("flags", 16, "fixed32"),
]);

const LOG_RECORD = message("LogRecord", [
	field("timeUnixNano", 1, "fixed64"),
	field("severityNumber", 2, "enum", { names: SEVERITY_NAMES }),
	field("severityText", 3, "string"),
	messageField("body", 5, ANY_VALUE),
	list("attributes", 6, KEY_VALUE),
	field("droppedAttributesCount", 7, "uint32"),
	field("flags", 8, "fixed32"),
	field("traceId", 9, "hex", { reason: "invalid_trace_id" }),
	field("spanId", 10, "hex", { reason: "invalid_span_id" }),
	field("observedTimeUnixNano", 11, "fixed64"),
	field("eventName", 12, "string"),
]);

const EXEMPLAR = message("Exemplar", [
	field("timeUnixNano", 2, "fixed64"),
	field("asDouble", 3, "double", explicit),
	field("spanId", 4, "hex"),
	field("traceId", 5, "hex"),
	field("asInt", 6, "sfixed64", explicit),
	list("filteredAttributes", 7, KEY_VALUE),
]);

const NUMBER_POINT = message("NumberDataPoint", [
	field("startTimeUnixNano", 2, "fixed64"),
	field("timeUnixNano", 3, "fixed64"),
	field("asDouble", 4, "double", explicit),
	list("exemplars", 5, EXEMPLAR),
	field("asInt", 6, "sfixed64", explicit),
	list("attributes", 7, KEY_VALUE),
	field("flags", 8, "uint32"),
]);

const HISTOGRAM_POINT = message("HistogramDataPoint", [
	field("startTimeUnixNano", 2, "fixed64"),
	field("timeUnixNano", 3, "fixed64"),
	field("count", 4, "fixed64"),
	field("sum", 5, "double", explicit),
	field("bucketCounts", 6, "fixed64", many),
	field("explicitBounds", 7, "double", many),
	list("exemplars", 8, EXEMPLAR),
	list("attributes", 9, KEY_VALUE),
	field("flags", 10, "uint32"),
	field("min", 11, "double", explicit),
	field("max", 12, "double", explicit),
]);

const BUCKETS = message("Buckets", [field("offset", 1, "sint32"), field("bucketCounts", 2, "uint64", many)]);

const EXPONENTIAL_POINT = message("ExponentialHistogramDataPoint", [
	list("attributes", 1, KEY_VALUE),
	field("startTimeUnixNano", 2, "fixed64"),
	field("timeUnixNano", 3, "fixed64"),
	field("count", 4, "fixed64"),
	field("sum", 5, "double", explicit),
	field("scale", 6, "sint32"),
	field("zeroCount", 7, "fixed64"),
	messageField("positive", 8, BUCKETS),
	messageField("negative", 9, BUCKETS),
	field("flags", 10, "uint32"),
	list("exemplars", 11, EXEMPLAR),
	field("min", 12, "double", explicit),
	field("max", 13, "double", explicit),
	field("zeroThreshold", 14, "double"),
]);

const SUMMARY_POINT = message("SummaryDataPoint", [
	field("startTimeUnixNano", 2, "fixed64"),
	field("timeUnixNano", 3, "fixed64"),
	field("count", 4, "fixed64"),
	field("sum", 5, "double"),
	list("quantileValues", 6, message("ValueAtQuantile", [field("quantile", 1, "double"), field("value", 2, "double")])),
	list("attributes", 7, KEY_VALUE),
	field("flags", 8, "uint32"),
]);

const temporality = field("aggregationTemporality", 2, "enum", { names: TEMPORALITY_NAMES });

function data(json: string, number: number, fields: readonly Field[]): Field {
	return messageField(json, number, message(json, fields), { walk: "group" });
}

const METRIC = message("Metric", [
	field("name", 1, "string"),
	field("description", 2, "string"),
	field("unit", 3, "string"),
	data("gauge", 5, [records("dataPoints", 1, NUMBER_POINT)]),
	data("sum", 7, [records("dataPoints", 1, NUMBER_POINT), temporality, field("isMonotonic", 3, "bool")]),
	data("histogram", 9, [records("dataPoints", 1, HISTOGRAM_POINT), temporality]),
	data("exponentialHistogram", 10, [records("dataPoints", 1, EXPONENTIAL_POINT), temporality]),
	data("summary", 11, [records("dataPoints", 1, SUMMARY_POINT)]),
	list("metadata", 12, KEY_VALUE),
]);

function exportRequest(name: string, recordsField: Field): Message {
	const scopes = message(`Scope${name}`, [messageField("scope", 1, SCOPE), recordsField, field("schemaUrl", 3, "string")]);
	const resources = message(`Resource${name}`, [
		messageField("resource", 1, RESOURCE),
		groups(`scope${name}`, 2, scopes),
		field("schemaUrl", 3, "string"),
	]);
	return message(`Export${name}Request`, [groups(`resource${name}`, 1, resources)]);
}

/** Export{Trace,Logs,Metrics}ServiceRequest. */
export const REQUESTS: Readonly<Record<Signal, Message>> = {
	traces: exportRequest("Spans", records("spans", 2, SPAN)),
	logs: exportRequest("Logs", records("logRecords", 2, LOG_RECORD)),
	metrics: exportRequest("Metrics", groups("metrics", 2, METRIC)),
};
