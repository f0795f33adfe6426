/** A trace ID in whatever a person pasted: the ID alone, a `traceparent` header, a log line, an address. */
import { parseTraceId } from "../../model/ids.ts";
import type { TraceId } from "../../model/ids.ts";

/** The ID that the text is, or the first of 32 digits in it. */
export function traceIdIn(text: string): TraceId | undefined {
	return parseTraceId(text.trim()) ?? parseTraceId(/(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/i.exec(text)?.[0] ?? "");
}

/** As {@link traceIdIn}, where other words are typed too: `cafe` is no ID. */
export function likelyTraceIdIn(text: string): TraceId | undefined {
	return /[0-9a-f]{16}/i.test(text) ? traceIdIn(text) : undefined;
}
