/**
 * The part of OTLP JSON (opentelemetry-proto, `docs/specification.md`, "JSON Protobuf Encoding") that the pages read.
 *
 * Every field may be absent: proto3 leaves out what is zero or empty. 64-bit integers are decimal strings or numbers.
 */

export interface AnyValue {
	readonly stringValue?: string;
	readonly boolValue?: boolean;
	readonly intValue?: string | number;
	readonly doubleValue?: number | string;
	readonly bytesValue?: string;
	readonly arrayValue?: { readonly values?: readonly AnyValue[] };
	readonly kvlistValue?: { readonly values?: readonly KeyValue[] };
}

export interface KeyValue {
	readonly key?: string;
	readonly value?: AnyValue;
}

export interface SpanEvent {
	readonly timeUnixNano?: string | number;
	readonly name?: string;
	readonly attributes?: readonly KeyValue[];
}

export interface SpanLink {
	readonly traceId?: string;
	readonly spanId?: string;
	readonly traceState?: string;
	readonly attributes?: readonly KeyValue[];
}

export interface OtlpSpan {
	readonly traceId?: string;
	readonly spanId?: string;
	readonly parentSpanId?: string;
	readonly traceState?: string;
	readonly name?: string;
	readonly kind?: number;
	readonly startTimeUnixNano?: string | number;
	readonly endTimeUnixNano?: string | number;
	readonly attributes?: readonly KeyValue[];
	readonly droppedAttributesCount?: number;
	readonly events?: readonly SpanEvent[];
	readonly droppedEventsCount?: number;
	readonly links?: readonly SpanLink[];
	readonly droppedLinksCount?: number;
	readonly status?: { readonly code?: number; readonly message?: string };
}

export interface OtlpScope {
	readonly name?: string;
	readonly version?: string;
	readonly attributes?: readonly KeyValue[];
}

export interface ScopeSpans {
	readonly scope?: OtlpScope;
	readonly spans?: readonly OtlpSpan[];
}

export interface ResourceSpans {
	readonly resource?: { readonly attributes?: readonly KeyValue[] };
	readonly scopeSpans?: readonly ScopeSpans[];
}

export interface TracesData {
	readonly resourceSpans?: readonly ResourceSpans[];
}

export const SPAN_KINDS: readonly string[] = ["unspecified", "internal", "server", "client", "producer", "consumer"];
export const KIND_SERVER = 2;
export const KIND_CLIENT = 3;
export const STATUS_ERROR = 2;

/** An attribute value as a person reads it; nested ones as JSON. Never throws, whatever the sender wrote. */
export function textOfValue(value: AnyValue | undefined): string {
	const plain = plainValue(value, 0);
	return typeof plain === "string" ? plain : (JSON.stringify(plain) ?? "");
}

// As deep as the server lets values nest (drop reason too_deep).
const MAX_DEPTH = 32;

function plainValue(value: AnyValue | undefined, depth: number): unknown {
	if (value === undefined || value === null) return "";
	if (depth > MAX_DEPTH) return "…";
	if (value.stringValue !== undefined) return value.stringValue;
	if (value.boolValue !== undefined) return value.boolValue;
	if (value.intValue !== undefined) return depth === 0 ? String(value.intValue) : value.intValue;
	if (value.doubleValue !== undefined) return depth === 0 ? String(value.doubleValue) : value.doubleValue;
	if (value.bytesValue !== undefined) return `base64:${value.bytesValue}`;
	if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map((item) => plainValue(item, depth + 1));
	if (value.kvlistValue !== undefined) {
		// fromEntries defines own properties, so `__proto__` is a key like any other.
		return Object.fromEntries(
			(value.kvlistValue.values ?? []).map((item) => [item.key ?? "", plainValue(item.value, depth + 1)]),
		);
	}
	return "";
}

/** The OTLP type of a value, to show beside it where it is not a string. */
export function typeOfValue(value: AnyValue | undefined): string {
	if (value === undefined || value === null) return "empty";
	if (value.stringValue !== undefined) return "string";
	if (value.boolValue !== undefined) return "bool";
	if (value.intValue !== undefined) return "int";
	if (value.doubleValue !== undefined) return "double";
	if (value.bytesValue !== undefined) return "bytes";
	if (value.arrayValue !== undefined) return "array";
	return value.kvlistValue !== undefined ? "map" : "empty";
}

/** The resource's `service.name`, or undefined. */
export function serviceNameOf(resource: ResourceSpans["resource"]): string | undefined {
	const value = resource?.attributes?.find((attribute) => attribute.key === "service.name")?.value;
	const name = value === undefined ? "" : textOfValue(value);
	return name === "" ? undefined : name;
}

/** Nanoseconds since the epoch; 0 where absent or unreadable. */
export function nanosOf(value: string | number | undefined): bigint {
	if (typeof value === "number") return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 0n;
	return value !== undefined && /^\d{1,20}$/.test(value) ? BigInt(value) : 0n;
}
