/**
 * Zipkin v2 spans to an ExportTraceServiceRequest: one ResourceSpans a service, one OTLP span a Zipkin span.
 *
 * Nothing a Zipkin span says is lost: what OTLP has no field for becomes an attribute. Two halves that share an id stay two spans.
 * Source: openzipkin/zipkin-api zipkin2-api.yaml and zipkin.proto.
 */
import { type DropReason, MeshscopeError } from "../../model/errors.ts";
import { WireWriter } from "../../model/protobuf/writer.ts";
import type { DecodeLimits } from "./limits.ts";
import { writeAttribute } from "./otlp-attribute.ts";
import type { TranscodeResult } from "./otlp-json.ts";
import { readZipkinJson } from "./zipkin-json.ts";
import { readZipkinProtobuf } from "./zipkin-protobuf.ts";
import type { ZipkinEndpoint, ZipkinSink, ZipkinSpan } from "./zipkin-span.ts";

const MAX_MESSAGES = 8;
const MAX_TIME = (1n << 64n) - 1n;

/** @throws MeshscopeError `malformed_payload` when the bytes are no JSON array, `payload_too_large` beyond the limit of records */
export function zipkinJsonToProtobuf(bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits): TranscodeResult {
	return transcode(limits, (sink) => readZipkinJson(bytes, limits, sink));
}

/** @throws MeshscopeError `malformed_payload` when the bytes are no ListOfSpans, `payload_too_large` beyond the limit of records */
export function zipkinProtobufToProtobuf(bytes: Uint8Array<ArrayBuffer>, limits: DecodeLimits): TranscodeResult {
	return transcode(limits, (sink) => readZipkinProtobuf(bytes, limits, sink));
}

function transcode(limits: DecodeLimits, read: (sink: ZipkinSink) => void): TranscodeResult {
	/** Span messages back to back; `ends[i]` closes the i-th, `services[i]` names its group. */
	const spans = new WireWriter(64 * 1024);
	const ends: number[] = [];
	const services: number[] = [];
	const serviceIndex = new Map<string, number>();
	const dropped: Partial<Record<DropReason, number>> = {};
	const messages: string[] = [];
	let records = 0;
	let invalidUtf8Strings = 0;

	const sink: ZipkinSink = {
		span(span) {
			// A span without a timestamp is late data about another one, or began with its first annotation.
			const startNs = span.startNs !== 0n ? span.startNs : (span.annotations[0]?.timeNs ?? 0n);
			const endNs = startNs + span.durationNs;
			if (endNs > MAX_TIME || span.annotations.some(({ timeNs }) => timeNs > MAX_TIME)) {
				return sink.drop("malformed_record", "timestamp or duration out of range");
			}
			let index = serviceIndex.get(span.local.serviceName);
			if (index === undefined) serviceIndex.set(span.local.serviceName, (index = serviceIndex.size));
			writeSpan(spans, span, startNs, endNs);
			ends.push(spans.length);
			services.push(index);
		},
		drop(reason, problem) {
			dropped[reason] = (dropped[reason] ?? 0) + 1;
			if (messages.length < MAX_MESSAGES) messages.push(`[${records - 1}]: ${problem}`);
		},
		met() {
			if (++records > limits.maxRecords) {
				throw new MeshscopeError(
					"payload_too_large",
					`the batch holds more than ${limits.maxRecords} spans; lower the sender's batch size`,
				);
			}
		},
		invalidUtf8() {
			invalidUtf8Strings++;
		},
	};
	read(sink);
	return { bytes: grouped(spans.finish(), ends, services, [...serviceIndex.keys()]), dropped, messages, invalidUtf8Strings };
}

function grouped(
	spans: Uint8Array,
	ends: readonly number[],
	services: readonly number[],
	names: readonly string[],
): Uint8Array<ArrayBuffer> {
	const members: number[][] = names.map(() => []);
	for (let i = 0; i < services.length; i++) members[services[i]!]!.push(i);
	const out = new WireWriter(spans.length + 1024);
	for (const [index, name] of names.entries()) {
		const resourceSpans = out.begin(1);
		const resource = out.begin(1);
		if (name !== "") writeAttribute(out, 1, "service.name", name);
		out.end(resource);
		const scopeSpans = out.begin(2);
		for (const i of members[index]!) out.bytesField(2, spans, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
		out.end(scopeSpans);
		out.end(resourceSpans);
	}
	return out.finish();
}

const ATTRIBUTES = 9;
const STATUS_OK = 1;
const STATUS_ERROR = 2;

/** opentelemetry.proto.trace.v1.Span */
function writeSpan(out: WireWriter, span: ZipkinSpan, startNs: bigint, endNs: bigint): void {
	if (span.traceId.length > 0) out.bytesField(1, span.traceId);
	if (span.id.length > 0) out.bytesField(2, span.id);
	if (span.parentId.length > 0) out.bytesField(4, span.parentId);
	if (span.name !== "") out.stringField(5, span.name);
	if (span.kind !== 0) out.varintField(6, span.kind);
	if (startNs !== 0n) out.fixed64Field(7, startNs);
	if (endNs !== 0n) out.fixed64Field(8, endNs);

	let status = 0;
	let statusMessage = "";
	for (const [key, value] of span.tags) {
		writeAttribute(out, ATTRIBUTES, key, value);
		if (key === "error" && value !== "false") {
			// The tag's presence is the error; its value is a message, or no more than "true".
			status = STATUS_ERROR;
			statusMessage = value === "true" ? "" : value;
		} else if (key === "otel.status_code" && status === 0) {
			status = value === "ERROR" ? STATUS_ERROR : value === "OK" ? STATUS_OK : 0;
		}
	}
	endpointAttributes(out, span.local, "", "network.local.address", "network.local.port");
	endpointAttributes(out, span.remote, "service.peer.name", "network.peer.address", "network.peer.port");
	if (span.debug) boolAttribute(out, "zipkin.debug");
	if (span.shared) boolAttribute(out, "zipkin.shared");
	for (const { timeNs, value } of span.annotations) {
		const event = out.begin(11);
		if (timeNs !== 0n) out.fixed64Field(1, timeNs);
		if (value !== "") out.stringField(2, value);
		out.end(event);
	}
	if (status === 0) return;
	const mark = out.begin(15);
	if (statusMessage !== "") out.stringField(2, statusMessage);
	out.varintField(3, status);
	out.end(mark);
}

/** `serviceKey` is empty where the service is the resource's. */
function endpointAttributes(
	out: WireWriter,
	endpoint: ZipkinEndpoint,
	serviceKey: string,
	addressKey: string,
	portKey: string,
): void {
	if (serviceKey !== "" && endpoint.serviceName !== "") writeAttribute(out, ATTRIBUTES, serviceKey, endpoint.serviceName);
	if (endpoint.address !== "") writeAttribute(out, ATTRIBUTES, addressKey, endpoint.address);
	if (endpoint.port !== 0) {
		const attribute = out.begin(ATTRIBUTES);
		out.stringField(1, portKey);
		const value = out.begin(2);
		out.varintField(3, endpoint.port);
		out.end(value);
		out.end(attribute);
	}
}

function boolAttribute(out: WireWriter, key: string): void {
	const attribute = out.begin(ATTRIBUTES);
	out.stringField(1, key);
	const value = out.begin(2);
	out.varintField(2, 1);
	out.end(value);
	out.end(attribute);
}
