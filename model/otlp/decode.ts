/**
 * Spans, log records, resources and scopes from the wire to OTLP JSON, for reading only: nothing here runs while data comes in.
 *
 * A wrong wire type for a known field makes it an unknown one, as in every protobuf parser; a field given twice takes its last
 * value. Only a range that is not a well-formed message throws, and only {@link WireError}.
 */
import { hexFromBytes } from "../ids.ts";
import { WIRE_FIXED32, WIRE_FIXED64, WIRE_LENGTH, WIRE_VARINT, WireReader } from "../protobuf/reader.ts";
import { readAnyValue, readKeyValue } from "./any-value.ts";
import type {
	OtlpAnyValue,
	OtlpEntityRef,
	OtlpEvent,
	OtlpKeyValue,
	OtlpLink,
	OtlpLogRecord,
	OtlpResource,
	OtlpResourceGroup,
	OtlpResourceSpans,
	OtlpScope,
	OtlpScopeGroup,
	OtlpScopeSpans,
	OtlpSpan,
	OtlpStatus,
	OtlpTracesData,
} from "./types.ts";

export { attributesToPlain, decodeAnyValue, decodeKeyValue, plainValue } from "./any-value.ts";

/** The types of types.ts while they are being filled. */
type Filling<T> = { -readonly [K in keyof T]: T[K] };

/** opentelemetry.proto.trace.v1.Span */
export function decodeSpan(bytes: Uint8Array, start: number, end: number): OtlpSpan {
	return readSpan(new WireReader(bytes, start, end));
}

function readSpan(reader: WireReader): OtlpSpan {
	const span: Filling<OtlpSpan> = {};
	const attributes: OtlpKeyValue[] = [];
	const events: OtlpEvent[] = [];
	const links: OtlpLink[] = [];
	while (reader.next()) {
		switch (reader.field) {
			case 1:
				if (reader.is(WIRE_LENGTH)) setText(span, "traceId", hex(reader));
				break;
			case 2:
				if (reader.is(WIRE_LENGTH)) setText(span, "spanId", hex(reader));
				break;
			case 3:
				if (reader.is(WIRE_LENGTH)) setText(span, "traceState", reader.string());
				break;
			case 4:
				if (reader.is(WIRE_LENGTH)) setText(span, "parentSpanId", hex(reader));
				break;
			case 5:
				if (reader.is(WIRE_LENGTH)) setText(span, "name", reader.string());
				break;
			case 6:
				if (reader.is(WIRE_VARINT)) setNumber(span, "kind", reader.int32());
				break;
			case 7:
				if (reader.is(WIRE_FIXED64)) setTime(span, "startTimeUnixNano", reader);
				break;
			case 8:
				if (reader.is(WIRE_FIXED64)) setTime(span, "endTimeUnixNano", reader);
				break;
			case 9:
				if (reader.is(WIRE_LENGTH)) attributes.push(readKeyValue(reader.message(), 0));
				break;
			case 10:
				if (reader.is(WIRE_VARINT)) setNumber(span, "droppedAttributesCount", reader.uint32());
				break;
			case 11:
				if (reader.is(WIRE_LENGTH)) events.push(readEvent(reader.message()));
				break;
			case 12:
				if (reader.is(WIRE_VARINT)) setNumber(span, "droppedEventsCount", reader.uint32());
				break;
			case 13:
				if (reader.is(WIRE_LENGTH)) links.push(readLink(reader.message()));
				break;
			case 14:
				if (reader.is(WIRE_VARINT)) setNumber(span, "droppedLinksCount", reader.uint32());
				break;
			case 15:
				// A message given twice is merged field by field.
				if (reader.is(WIRE_LENGTH)) span.status = { ...span.status, ...readStatus(reader.message()) };
				break;
			case 16:
				if (reader.is(WIRE_FIXED32)) setNumber(span, "flags", reader.fixed32());
				break;
			default:
				reader.skip();
		}
	}
	if (attributes.length > 0) span.attributes = attributes;
	if (events.length > 0) span.events = events;
	if (links.length > 0) span.links = links;
	return span;
}

function readEvent(reader: WireReader): OtlpEvent {
	const event: Filling<OtlpEvent> = {};
	const attributes: OtlpKeyValue[] = [];
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_FIXED64)) setTime(event, "timeUnixNano", reader);
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) setText(event, "name", reader.string());
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) attributes.push(readKeyValue(reader.message(), 0));
		else if (reader.field === 4 && reader.is(WIRE_VARINT)) setNumber(event, "droppedAttributesCount", reader.uint32());
		else if (reader.field > 4) reader.skip();
	}
	if (attributes.length > 0) event.attributes = attributes;
	return event;
}

function readLink(reader: WireReader): OtlpLink {
	const link: Filling<OtlpLink> = {};
	const attributes: OtlpKeyValue[] = [];
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) setText(link, "traceId", hex(reader));
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) setText(link, "spanId", hex(reader));
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) setText(link, "traceState", reader.string());
		else if (reader.field === 4 && reader.is(WIRE_LENGTH)) attributes.push(readKeyValue(reader.message(), 0));
		else if (reader.field === 5 && reader.is(WIRE_VARINT)) setNumber(link, "droppedAttributesCount", reader.uint32());
		else if (reader.field === 6 && reader.is(WIRE_FIXED32)) setNumber(link, "flags", reader.fixed32());
		else if (reader.field > 6) reader.skip();
	}
	if (attributes.length > 0) link.attributes = attributes;
	return link;
}

function readStatus(reader: WireReader): OtlpStatus {
	const status: Filling<OtlpStatus> = {};
	while (reader.next()) {
		if (reader.field === 2 && reader.is(WIRE_LENGTH)) setText(status, "message", reader.string());
		else if (reader.field === 3 && reader.is(WIRE_VARINT)) setNumber(status, "code", reader.int32());
		else if (reader.field !== 2 && reader.field !== 3) reader.skip();
	}
	return status;
}

/** opentelemetry.proto.logs.v1.LogRecord */
export function decodeLogRecord(bytes: Uint8Array, start: number, end: number): OtlpLogRecord {
	const reader = new WireReader(bytes, start, end);
	const log: Filling<OtlpLogRecord> = {};
	const attributes: OtlpKeyValue[] = [];
	let body: OtlpAnyValue | undefined;
	while (reader.next()) {
		switch (reader.field) {
			case 1:
				if (reader.is(WIRE_FIXED64)) setTime(log, "timeUnixNano", reader);
				break;
			case 2:
				if (reader.is(WIRE_VARINT)) setNumber(log, "severityNumber", reader.int32());
				break;
			case 3:
				if (reader.is(WIRE_LENGTH)) setText(log, "severityText", reader.string());
				break;
			case 5:
				if (reader.is(WIRE_LENGTH)) body = readAnyValue(reader.message(), 0);
				break;
			case 6:
				if (reader.is(WIRE_LENGTH)) attributes.push(readKeyValue(reader.message(), 0));
				break;
			case 7:
				if (reader.is(WIRE_VARINT)) setNumber(log, "droppedAttributesCount", reader.uint32());
				break;
			case 8:
				if (reader.is(WIRE_FIXED32)) setNumber(log, "flags", reader.fixed32());
				break;
			case 9:
				if (reader.is(WIRE_LENGTH)) setText(log, "traceId", hex(reader));
				break;
			case 10:
				if (reader.is(WIRE_LENGTH)) setText(log, "spanId", hex(reader));
				break;
			case 11:
				if (reader.is(WIRE_FIXED64)) setTime(log, "observedTimeUnixNano", reader);
				break;
			case 12:
				if (reader.is(WIRE_LENGTH)) setText(log, "eventName", reader.string());
				break;
			default:
				reader.skip();
		}
	}
	if (body !== undefined) log.body = body;
	if (attributes.length > 0) log.attributes = attributes;
	return log;
}

/** opentelemetry.proto.resource.v1.Resource */
export function decodeResource(bytes: Uint8Array, start: number, end: number): OtlpResource {
	return readResource(new WireReader(bytes, start, end));
}

function readResource(reader: WireReader): OtlpResource {
	const resource: Filling<OtlpResource> = {};
	const attributes: OtlpKeyValue[] = [];
	const entityRefs: OtlpEntityRef[] = [];
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) attributes.push(readKeyValue(reader.message(), 0));
		else if (reader.field === 2 && reader.is(WIRE_VARINT)) setNumber(resource, "droppedAttributesCount", reader.uint32());
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) entityRefs.push(readEntityRef(reader.message()));
		else if (reader.field > 3) reader.skip();
	}
	if (attributes.length > 0) resource.attributes = attributes;
	if (entityRefs.length > 0) resource.entityRefs = entityRefs;
	return resource;
}

function readEntityRef(reader: WireReader): OtlpEntityRef {
	const ref: Filling<OtlpEntityRef> = {};
	const idKeys: string[] = [];
	const descriptionKeys: string[] = [];
	while (reader.next()) {
		if (reader.field > 4) reader.skip();
		else if (!reader.is(WIRE_LENGTH)) continue;
		else if (reader.field === 1) setText(ref, "schemaUrl", reader.string());
		else if (reader.field === 2) setText(ref, "type", reader.string());
		else if (reader.field === 3) idKeys.push(reader.string());
		else descriptionKeys.push(reader.string());
	}
	if (idKeys.length > 0) ref.idKeys = idKeys;
	if (descriptionKeys.length > 0) ref.descriptionKeys = descriptionKeys;
	return ref;
}

/** opentelemetry.proto.common.v1.InstrumentationScope */
export function decodeScope(bytes: Uint8Array, start: number, end: number): OtlpScope {
	return readScope(new WireReader(bytes, start, end));
}

function readScope(reader: WireReader): OtlpScope {
	const scope: Filling<OtlpScope> = {};
	const attributes: OtlpKeyValue[] = [];
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) setText(scope, "name", reader.string());
		else if (reader.field === 2 && reader.is(WIRE_LENGTH)) setText(scope, "version", reader.string());
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) attributes.push(readKeyValue(reader.message(), 0));
		else if (reader.field === 4 && reader.is(WIRE_VARINT)) setNumber(scope, "droppedAttributesCount", reader.uint32());
		else if (reader.field > 4) reader.skip();
	}
	if (attributes.length > 0) scope.attributes = attributes;
	return scope;
}

/**
 * The resource's own fields of a ResourceSpans, ResourceLogs or ResourceMetrics (whose numbers agree); scope groups in the range
 * are passed over.
 */
export function decodeResourceGroup(bytes: Uint8Array, start: number, end: number): OtlpResourceGroup {
	const reader = new WireReader(bytes, start, end);
	let resource: OtlpResource = {};
	let schemaUrl = "";
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) resource = mergedResource(resource, readResource(reader.message()));
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) schemaUrl = reader.string();
		else if (reader.field !== 1 && reader.field !== 3) reader.skip();
	}
	return { resource, schemaUrl };
}

/** As {@link decodeResourceGroup}, for a ScopeSpans, ScopeLogs or ScopeMetrics. */
export function decodeScopeGroup(bytes: Uint8Array, start: number, end: number): OtlpScopeGroup {
	const reader = new WireReader(bytes, start, end);
	let scope: OtlpScope = {};
	let schemaUrl = "";
	while (reader.next()) {
		if (reader.field === 1 && reader.is(WIRE_LENGTH)) scope = mergedScope(scope, readScope(reader.message()));
		else if (reader.field === 3 && reader.is(WIRE_LENGTH)) schemaUrl = reader.string();
		else if (reader.field !== 1 && reader.field !== 3) reader.skip();
	}
	return { scope, schemaUrl };
}

/** Protobuf merges a message field that is given twice: lists are joined, other fields take their last value. */
function mergedResource(first: OtlpResource, second: OtlpResource): OtlpResource {
	const attributes = [...(first.attributes ?? []), ...(second.attributes ?? [])];
	const entityRefs = [...(first.entityRefs ?? []), ...(second.entityRefs ?? [])];
	return {
		...first,
		...second,
		...(attributes.length > 0 ? { attributes } : {}),
		...(entityRefs.length > 0 ? { entityRefs } : {}),
	};
}

function mergedScope(first: OtlpScope, second: OtlpScope): OtlpScope {
	const attributes = [...(first.attributes ?? []), ...(second.attributes ?? [])];
	return { ...first, ...second, ...(attributes.length > 0 ? { attributes } : {}) };
}

/** opentelemetry.proto.trace.v1.TracesData, and ExportTraceServiceRequest, which is the same on the wire. */
export function decodeTracesData(bytes: Uint8Array, start = 0, end = bytes.length): OtlpTracesData {
	const resourceSpans: OtlpResourceSpans[] = [];
	const reader = new WireReader(bytes, start, end);
	while (reader.next()) {
		if (reader.field !== 1) reader.skip();
		else if (reader.is(WIRE_LENGTH)) resourceSpans.push(readResourceSpans(reader.message()));
	}
	return resourceSpans.length === 0 ? {} : { resourceSpans };
}

function readResourceSpans(reader: WireReader): OtlpResourceSpans {
	const { resource, schemaUrl } = decodeResourceGroup(reader.bytes, reader.position, reader.end);
	const scopeSpans: OtlpScopeSpans[] = [];
	while (reader.next()) {
		if (reader.field !== 2) reader.skip();
		else if (reader.is(WIRE_LENGTH)) scopeSpans.push(readScopeSpans(reader.message()));
	}
	return { resource, ...(scopeSpans.length > 0 ? { scopeSpans } : {}), ...(schemaUrl !== "" ? { schemaUrl } : {}) };
}

function readScopeSpans(reader: WireReader): OtlpScopeSpans {
	const { scope, schemaUrl } = decodeScopeGroup(reader.bytes, reader.position, reader.end);
	const spans: OtlpSpan[] = [];
	while (reader.next()) {
		if (reader.field !== 2) reader.skip();
		else if (reader.is(WIRE_LENGTH)) spans.push(readSpan(reader.message()));
	}
	return { scope, ...(spans.length > 0 ? { spans } : {}), ...(schemaUrl !== "" ? { schemaUrl } : {}) };
}

function hex(reader: WireReader): string {
	const end = reader.lengthEnd();
	const start = reader.position;
	reader.position = end;
	return hexFromBytes(reader.bytes, start, end - start);
}

/** Sets a text, or removes it when the last value on the wire is the default. */
function setText<K extends string>(target: { [key in K]?: string }, key: K, value: string): void {
	if (value === "") delete target[key];
	else target[key] = value;
}

function setNumber<K extends string>(target: { [key in K]?: number }, key: K, value: number): void {
	if (value === 0) delete target[key];
	else target[key] = value;
}

function setTime<K extends string>(target: { [key in K]?: string }, key: K, reader: WireReader): void {
	const value = reader.fixed64();
	if (value === 0n) delete target[key];
	else target[key] = value.toString();
}
