/** Calls that carry telemetry, ours included: counting them would draw an edge from everything to the collector. */
import type { SpanInput } from "../facts.ts";
import { EXPORT_KEYS, isTelemetryExport } from "./keys.ts";

const REASON = "export of telemetry";

/** Of a span of anybody's: its path, URL, gRPC service or name says so. */
export function exportReason({ name, attributes }: SpanInput): string | undefined {
	if (isTelemetryExport(name)) return REASON;
	for (const key of [...EXPORT_KEYS, "url.full", "http.url"] as const) {
		const text = attributes.get(key);
		if (text !== undefined && isTelemetryExport(text)) return REASON;
	}
	return undefined;
}

/** OTLP and Zipkin: a mesh's cluster on one of these ports leads to a collector. */
const EXPORT_PORTS: ReadonlySet<number> = new Set([4317, 4318, 9411]);

export function exportPortReason(port: number | undefined): string | undefined {
	return port !== undefined && EXPORT_PORTS.has(port) ? REASON : undefined;
}
