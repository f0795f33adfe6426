/**
 * The handful of answers that receivers write themselves: Export*ServiceResponse, google.rpc.Status with RetryInfo or BadRequest,
 * in protobuf and in its JSON mapping.
 *
 * Sources: opentelemetry/proto/collector/{trace,logs,metrics}/v1/*_service.proto, google/rpc/{status,error_details}.proto.
 */
import { ERRORS } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";
import type { Refusal } from "./settings.ts";

const EMPTY = new Uint8Array(0);
const utf8 = new TextEncoder();

/** Base-128, low group first; for non-negative integers up to 2^53. */
function pushVarint(out: number[], value: number): void {
	let rest = value;
	while (rest >= 0x80) {
		out.push((rest % 0x80) | 0x80);
		rest = Math.floor(rest / 0x80);
	}
	out.push(rest);
}

/** One varint field; proto3 leaves out zero. */
function varintField(field: number, value: number): Uint8Array {
	if (value === 0) return EMPTY;
	const out: number[] = [];
	pushVarint(out, field << 3);
	pushVarint(out, value);
	return Uint8Array.from(out);
}

/** One length-delimited field, written even when empty: an empty message is not an absent one. */
export function bytesField(field: number, value: Uint8Array): Uint8Array {
	const head: number[] = [];
	pushVarint(head, (field << 3) | 2);
	pushVarint(head, value.length);
	return concat([Uint8Array.from(head), value]);
}

/** One string field; proto3 leaves out the empty string. */
export function stringField(field: number, value: string): Uint8Array {
	return value === "" ? EMPTY : bytesField(field, utf8.encode(value));
}

export function enumField(field: number, value: number): Uint8Array {
	return varintField(field, value);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
	let length = 0;
	for (const part of parts) length += part.length;
	const out = new Uint8Array(length);
	let at = 0;
	for (const part of parts) {
		out.set(part, at);
		at += part.length;
	}
	return out;
}

/** ExportTraceServiceResponse, ExportLogsServiceResponse and ExportMetricsServiceResponse share their field numbers. */
export function encodeExportResponse(rejected: number, errorMessage: string): Uint8Array {
	// Full success leaves partial_success unset; a warning has rejected 0 and a message.
	if (rejected === 0 && errorMessage === "") return EMPTY;
	return bytesField(1, concat([varintField(1, rejected), stringField(2, errorMessage)]));
}

const REJECTED_FIELD: Readonly<Record<Signal, string>> = {
	traces: "rejectedSpans",
	logs: "rejectedLogRecords",
	metrics: "rejectedDataPoints",
};

export function exportResponseJson(signal: Signal, rejected: number, errorMessage: string): string {
	if (rejected === 0 && errorMessage === "") return "{}";
	const partialSuccess: Record<string, string> = {};
	// The JSON mapping writes 64-bit integers as strings and leaves out defaults.
	if (rejected !== 0) partialSuccess[REJECTED_FIELD[signal]] = String(rejected);
	if (errorMessage !== "") partialSuccess["errorMessage"] = errorMessage;
	return JSON.stringify({ partialSuccess });
}

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest";

/** What the details of a Status hold: RetryInfo exactly when a retry can succeed, BadRequest when the data is at fault. */
function detailKind(refusal: Refusal): "retry" | "bad" | "none" {
	if (ERRORS[refusal.code].retryable) return "retry";
	return refusal.code === "malformed_payload" || refusal.code === "invalid_argument" ? "bad" : "none";
}

/** google.rpc.Status as protobuf. */
export function encodeStatus(refusal: Refusal): Uint8Array {
	const parts = [varintField(1, ERRORS[refusal.code].grpc), stringField(2, refusal.message)];
	const kind = detailKind(refusal);
	if (kind === "retry") parts.push(any(RETRY_INFO, bytesField(1, duration(refusal.retryAfterMs ?? 0))));
	if (kind === "bad")
		parts.push(any(BAD_REQUEST, bytesField(1, concat([stringField(1, "body"), stringField(2, refusal.message)]))));
	return concat(parts);
}

function any(typeUrl: string, value: Uint8Array): Uint8Array {
	return bytesField(3, concat([stringField(1, typeUrl), bytesField(2, value)]));
}

/** google.protobuf.Duration. */
function duration(ms: number): Uint8Array {
	const whole = Math.max(0, Math.round(ms));
	return concat([varintField(1, Math.floor(whole / 1_000)), varintField(2, (whole % 1_000) * 1_000_000)]);
}

/** google.rpc.Status in the JSON mapping, where an Any carries its type as `@type` beside its fields. */
export function statusJson(refusal: Refusal): string {
	const details: unknown[] = [];
	const kind = detailKind(refusal);
	if (kind === "retry")
		details.push({ "@type": RETRY_INFO, retryDelay: `${Math.max(0, Math.round(refusal.retryAfterMs ?? 0)) / 1_000}s` });
	if (kind === "bad")
		details.push({ "@type": BAD_REQUEST, fieldViolations: [{ field: "body", description: refusal.message }] });
	return JSON.stringify({
		code: ERRORS[refusal.code].grpc,
		message: refusal.message,
		...(details.length > 0 ? { details } : {}),
	});
}

/**
 * Reads the first string of `field` from a small message, "" when absent; undefined when the bytes are not protobuf. For requests
 * of services that are not telemetry (grpc.health.v1).
 */
export function readString(message: Uint8Array, field: number): string | undefined {
	let at = 0;
	let found = "";
	const varint = (): number => {
		let value = 0;
		for (let shift = 0; shift < 49; shift += 7) {
			const byte = message[at++];
			if (byte === undefined) return -1;
			value += (byte & 0x7f) * 2 ** shift;
			if (byte < 0x80) return value;
		}
		return -1;
	};
	while (at < message.length) {
		const tag = varint();
		if (tag < 8) return undefined;
		const type = tag % 8;
		let length: number;
		if (type === 0) length = varint() < 0 ? -1 : 0;
		else if (type === 1) length = 8;
		else if (type === 5) length = 4;
		else if (type === 2) length = varint();
		else return undefined;
		if (length < 0 || at + length > message.length) return undefined;
		if (type === 2 && Math.floor(tag / 8) === field) found = new TextDecoder().decode(message.subarray(at, at + length));
		at += length;
	}
	return found;
}
