/**
 * The messages of the OTLP collector services and google.rpc.Status, read by protobufjs from their definitions: the oracle against
 * which answers written by hand are held. Shapes: opentelemetry/proto/collector/{trace,logs,metrics}/v1, google/rpc.
 */
import protobuf from "protobufjs";
import type { Signal } from "../../store/store.ts";

const { root } = protobuf.parse(
	`
	syntax = "proto3";
	message ExportTracePartialSuccess { int64 rejected_spans = 1; string error_message = 2; }
	message ExportTraceServiceResponse { ExportTracePartialSuccess partial_success = 1; }
	message ExportLogsPartialSuccess { int64 rejected_log_records = 1; string error_message = 2; }
	message ExportLogsServiceResponse { ExportLogsPartialSuccess partial_success = 1; }
	message ExportMetricsPartialSuccess { int64 rejected_data_points = 1; string error_message = 2; }
	message ExportMetricsServiceResponse { ExportMetricsPartialSuccess partial_success = 1; }
	message Any { string type_url = 1; bytes value = 2; }
	message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
	message Duration { int64 seconds = 1; int32 nanos = 2; }
	message RetryInfo { Duration retry_delay = 1; }
	message FieldViolation { string field = 1; string description = 2; }
	message BadRequest { repeated FieldViolation field_violations = 1; }
`,
	{ keepCase: false },
);

const RESPONSE: Readonly<Record<Signal, string>> = {
	traces: "ExportTraceServiceResponse",
	logs: "ExportLogsServiceResponse",
	metrics: "ExportMetricsServiceResponse",
};

/** lowerCamelCase name of the count of rejected records. */
export const REJECTED: Readonly<Record<Signal, string>> = {
	traces: "rejectedSpans",
	logs: "rejectedLogRecords",
	metrics: "rejectedDataPoints",
};

export const SIGNALS: readonly Signal[] = ["traces", "logs", "metrics"];

function decode(type: string, bytes: Uint8Array): Record<string, unknown> {
	const message = root.lookupType(type);
	return message.toObject(message.decode(bytes), { longs: String });
}

/** The fields that are set, as the JSON mapping names them, 64-bit integers as strings. */
export function decodeResponse(signal: Signal, bytes: Uint8Array): Record<string, unknown> {
	return decode(RESPONSE[signal], bytes);
}

export interface DecodedStatus {
	readonly code: number;
	readonly message: string;
	/** Of RetryInfo; undefined when there is none. */
	readonly retryDelayMs: number | undefined;
	readonly violations: readonly { readonly field: string; readonly description: string }[];
}

export function decodeStatus(bytes: Uint8Array): DecodedStatus {
	const status = decode("Status", bytes) as {
		code?: number;
		message?: string;
		details?: { typeUrl: string; value: Uint8Array }[];
	};
	let retryDelayMs: number | undefined;
	const violations: { field: string; description: string }[] = [];
	for (const { typeUrl, value } of status.details ?? []) {
		if (typeUrl.endsWith("/google.rpc.RetryInfo")) {
			const { retryDelay = {} } = decode("RetryInfo", value) as { retryDelay?: { seconds?: string; nanos?: number } };
			retryDelayMs = Number(retryDelay.seconds ?? 0) * 1_000 + (retryDelay.nanos ?? 0) / 1e6;
		}
		if (typeUrl.endsWith("/google.rpc.BadRequest")) {
			violations.push(...((decode("BadRequest", value) as { fieldViolations?: typeof violations }).fieldViolations ?? []));
		}
	}
	return { code: status.code ?? 0, message: status.message ?? "", retryDelayMs, violations };
}

/** The same from the JSON mapping. */
export function parseStatus(text: string): DecodedStatus {
	const status = JSON.parse(text) as {
		code?: number;
		message?: string;
		details?: { "@type": string; retryDelay?: string; fieldViolations?: { field: string; description: string }[] }[];
	};
	const delay = status.details?.find((detail) => detail.retryDelay !== undefined)?.retryDelay;
	return {
		code: status.code ?? 0,
		message: status.message ?? "",
		retryDelayMs: delay === undefined ? undefined : Number(delay.replace("s", "")) * 1_000,
		violations: status.details?.flatMap((detail) => detail.fieldViolations ?? []) ?? [],
	};
}
