/**
 * Log records of the apps, as an OpenTelemetry SDK would send them: OTLP/HTTP in JSON, with the trace and span that the request came
 * with. Nothing is logged before a collector is named.
 */
import { Agent, request } from "node:http";

export type Severity = "INFO" | "WARN" | "ERROR";

/** SeverityNumber of opentelemetry.proto.logs.v1. */
const SEVERITY_NUMBER: Readonly<Record<Severity, number>> = { INFO: 9, WARN: 13, ERROR: 17 };
const SEND_EVERY_MS = 1_000;
/** A collector that does not answer must not have requests pile up. */
const TIMEOUT_MS = 5_000;
/** Records of a service between two sendings. */
const MAX_WAITING = 1_000;
const NAMESPACE = "shop";

interface LogRecord {
	readonly timeUnixNano: string;
	readonly severityNumber: number;
	readonly severityText: Severity;
	readonly body: { readonly stringValue: string };
	readonly traceId?: string;
	readonly spanId?: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const waiting = new Map<string, LogRecord[]>();
let collector: URL | undefined;

/** @param url of a collector's OTLP/HTTP receiver: `http://127.0.0.1:4318` */
export function sendLogsTo(url: string): void {
	if (collector === undefined) setInterval(send, SEND_EVERY_MS).unref();
	collector = new URL("/v1/logs", url);
}

/** @param traceparent of the request that it is about, as it came */
export function log(service: string, severity: Severity, text: string, traceparent: unknown): void {
	if (collector === undefined) return;
	const records = waiting.get(service) ?? [];
	waiting.set(service, records);
	if (records.length >= MAX_WAITING) return;
	const [, traceId, spanId] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-/.exec(String(traceparent)) ?? [];
	records.push({
		timeUnixNano: `${Date.now()}000000`,
		severityNumber: SEVERITY_NUMBER[severity],
		severityText: severity,
		body: { stringValue: text },
		...(traceId === undefined || spanId === undefined ? {} : { traceId, spanId }),
	});
}

function send(): void {
	if (collector === undefined || waiting.size === 0) return;
	const resourceLogs = Array.from(waiting, ([service, logRecords]) => ({
		resource: {
			attributes: [
				{ key: "service.name", value: { stringValue: service } },
				{ key: "service.namespace", value: { stringValue: NAMESPACE } },
			],
		},
		scopeLogs: [{ scope: { name: "shop" }, logRecords }],
	}));
	waiting.clear();
	const outgoing = request(collector, {
		method: "POST",
		agent,
		headers: { "content-type": "application/json" },
		signal: AbortSignal.timeout(TIMEOUT_MS),
	});
	// The shop goes on without its logs.
	outgoing.on("error", () => undefined);
	outgoing.on("response", (response) => response.resume());
	outgoing.end(JSON.stringify({ resourceLogs }));
}
