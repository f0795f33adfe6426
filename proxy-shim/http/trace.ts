/** The trace of an exchange, read from the request and written into what goes on. */
import { readTraceContext, traceHeaders } from "../telemetry/trace-context.ts";
import type { HopTraceStart, RootSampler } from "../telemetry/trace-context.ts";
import type { IdSource } from "../telemetry/trace-ids.ts";
import { joinedHeader } from "./message.ts";
import type { HeaderList, RequestHead } from "./message.ts";

export interface Tracing {
	readonly ids: IdSource;
	readonly sampler: RootSampler;
}

export function traceOf(head: RequestHead, tracing: Tracing): HopTraceStart {
	return readTraceContext((name) => joinedHeader(head.headers, name), tracing.ids, tracing.sampler);
}

/** The list with the hop's own context in place of what came. */
export function withTrace(headers: HeaderList, trace: HopTraceStart): string[] {
	const own = traceHeaders(trace);
	const names = new Set(own.map(([name]) => name));
	const result: string[] = [];
	for (let i = 0; i < headers.length; i += 2) if (!names.has(headers[i]!)) result.push(headers[i]!, headers[i + 1]!);
	for (const [name, value] of own) if (value !== "") result.push(name, value);
	return result;
}
