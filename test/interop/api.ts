/** The query API as the tests ask it, with OTLP answers in the form of otlp.ts. */
import { setTimeout as delay } from "node:timers/promises";
import type { ServerStatus } from "../../model/status.ts";
import type { LogEntry, LogSearchResult, MetricPointResult, TraceSummary } from "../../store/store.ts";
import { decodeJson, spansOf } from "./otlp.ts";
import type { AnyValue, KeyValue, OtlpData, SpanInContext } from "./otlp.ts";

export class ApiError extends Error {
	readonly status: number;

	constructor(status: number, url: string, body: string) {
		super(`${status} from ${url}: ${body.slice(0, 500)}`);
		this.status = status;
	}
}

export async function getJson(http: string, pathAndQuery: string): Promise<unknown> {
	const url = `http://${http}${pathAndQuery}`;
	// On one machine packing an answer only costs both sides time.
	const headers = { "accept-encoding": "identity" };
	const response = await fetch(url, { headers, signal: AbortSignal.timeout(15_000) });
	const body = await response.text();
	if (!response.ok) throw new ApiError(response.status, url, body);
	return JSON.parse(body);
}

/** The trace with every field; undefined when the server does not know it. */
export async function getTrace(http: string, traceId: string): Promise<OtlpData | undefined> {
	try {
		return decodeJson("traces", await getJson(http, `/api/v1/traces/${traceId}`));
	} catch (error) {
		if (error instanceof ApiError && error.status === 404) return undefined;
		throw error;
	}
}

/** Ids of a trace's spans, as often as they are there: for thousands of lookups, of which nothing else is asked. */
export async function getSpanIds(http: string, traceId: string): Promise<string[]> {
	try {
		const { resourceSpans = [] } = (await getJson(http, `/api/v1/traces/${traceId}`)) as OtlpData;
		return resourceSpans.flatMap(({ scopeSpans = [] }) =>
			scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => span.spanId)),
		);
	} catch (error) {
		if (error instanceof ApiError && error.status === 404) return [];
		throw error;
	}
}

/** Spans of a trace; none when the server does not know it. */
export async function getSpans(http: string, traceId: string): Promise<SpanInContext[]> {
	const trace = await getTrace(http, traceId);
	return trace === undefined ? [] : spansOf(trace);
}

export async function searchTraces(http: string, query: Readonly<Record<string, string>>): Promise<readonly TraceSummary[]> {
	const answer = await getJson(http, `/api/v1/traces?${new URLSearchParams(query).toString()}`);
	return (answer as { readonly traces: readonly TraceSummary[] }).traces;
}

/** Newest first. */
export async function getLogs(http: string, query: Readonly<Record<string, string>>): Promise<readonly LogEntry[]> {
	return ((await getJson(http, `/api/v1/logs?${new URLSearchParams(query).toString()}`)) as LogSearchResult).logs;
}

export async function queryMetric(http: string, query: Readonly<Record<string, string>>): Promise<MetricPointResult["series"]> {
	return ((await getJson(http, `/api/v1/metrics/query?${new URLSearchParams(query).toString()}`)) as MetricPointResult).series;
}

export async function getStatus(http: string): Promise<ServerStatus> {
	return (await getJson(http, "/api/v1/status")) as ServerStatus;
}

/** Asks again until the answer is right or the time is up; the last answer is returned either way, for an assertion to judge. */
export async function askUntil<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean, timeoutMs: number): Promise<T> {
	const deadlineMs = performance.now() + timeoutMs;
	for (;;) {
		const answer = await ask();
		if (isRight(answer) || performance.now() > deadlineMs) return answer;
		await delay(50);
	}
}

/** Attributes as `/api/v1/logs` and `/api/v1/metrics` write them: 64-bit integers as decimal strings, bytes as base64. */
export function plainAttributes(attributes: Readonly<Record<string, AnyValue>>): Record<string, unknown> {
	return Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, plainValue(value)]));
}

export function plainValue(value: AnyValue | undefined): unknown {
	if (value?.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
	if (value?.kvlistValue !== undefined) return Object.fromEntries((value.kvlistValue.values ?? []).map(plainEntry));
	return value?.stringValue ?? value?.boolValue ?? value?.intValue ?? value?.doubleValue ?? value?.bytesValue;
}

function plainEntry({ key, value }: KeyValue): [string, unknown] {
	return [key, plainValue(value)];
}
