/**
 * What the pages know of the server, each question with how long an answer holds. The cache is react-query's; nothing else keeps
 * server state.
 */
import { keepPreviousData, QueryClient, useQuery } from "@tanstack/react-query";
import type { UseQueryResult } from "@tanstack/react-query";
import type { LogSearchAnswer } from "../../api/contract/logs.ts";
import type { OperationsAnswer, ServicesAnswer } from "../../api/contract/services.ts";
import type { StatusAnswer } from "../../api/contract/status.ts";
import type { EdgeAnswer, GraphAnswer, GraphHistoryAnswer } from "../../api/contract/topology.ts";
import type { DifferencesAnswer, SpanDurationsAnswer, TraceSearchAnswer, WholeTraceSummary } from "../../api/contract/traces.ts";
import { ApiError, getJson } from "../base/api.ts";
import type { TracesData } from "../base/otlp.ts";

const LIVE_INTERVAL_MS = 2_000;
/** Topology is summed up every two seconds; a graph is larger than a list. */
const GRAPH_INTERVAL_MS = 5_000;
const MIN_INTERVAL_MS = 250;
const MIN_HISTORY_INTERVAL_MS = 15_000;
const MAX_HISTORY_INTERVAL_MS = 300_000;
/** A play asks for a graph a second, of some megabytes each: few are kept for going back. */
const GRAPH_KEPT_MS = 10_000;

/** The whole trace: the contract leaves the OTLP part open, `base/otlp.ts` names what is read of it. */
export interface TraceAnswer extends TracesData {
	readonly meshscope: WholeTraceSummary;
}

export function createQueryClient(): QueryClient {
	return new QueryClient({
		defaultOptions: {
			queries: {
				// Only what may succeed unchanged is asked again; polling does the rest.
				retry: (failures, error) => error instanceof ApiError && error.retryable && failures < 2,
				retryDelay: 1_000,
				refetchOnWindowFocus: false,
				networkMode: "always",
			},
		},
	});
}

/** `query` as `searchQuery` of trace-filter.ts writes it. */
export function useTraces(query: string, live: boolean): UseQueryResult<TraceSearchAnswer> {
	return useQuery({
		queryKey: ["traces", query],
		queryFn: ({ signal }) => getJson<TraceSearchAnswer>(`/traces?${query}`, signal),
		refetchInterval: live ? LIVE_INTERVAL_MS : false,
		// Live lists show a failure at once and recover with the next poll.
		retry: false,
		placeholderData: keepPreviousData,
	});
}

/** A grid looks at every span of the range. `query` as `durationsQuery` of duration-chart.ts writes it. */
export function useSpanDurations(query: string, live: boolean): UseQueryResult<SpanDurationsAnswer> {
	return useQuery({
		queryKey: ["durations", query],
		queryFn: ({ signal }) => getJson<SpanDurationsAnswer>(`/traces/durations?${query}`, signal),
		// What took all the time it was given would keep a thread of the server's busy for good.
		refetchInterval: ({ state }) => (live && state.data?.searched.truncated !== true ? GRAPH_INTERVAL_MS : false),
		retry: false,
		placeholderData: keepPreviousData,
	});
}

/** Reads up to two thousand traces: never by itself. `query` as `differencesQuery` of differences.ts writes it. */
export function useDifferences(query: string): UseQueryResult<DifferencesAnswer> {
	return useQuery({
		queryKey: ["differences", query],
		queryFn: ({ signal }) => getJson<DifferencesAnswer>(`/traces/differences?${query}`, signal),
		staleTime: 60_000,
		retry: false,
		placeholderData: keepPreviousData,
	});
}

/** `query` as {@link graphQuery} writes it. */
export function useGraph(query: string, live: boolean, enabled = true): UseQueryResult<GraphAnswer> {
	return useQuery({
		enabled,
		queryKey: ["graph", query],
		queryFn: ({ signal }) => getJson<GraphAnswer>(`/graph?${query}`, signal),
		// From the last answer on, not from when it became live again: who moves the sheet often must not wait for ever.
		refetchInterval: live
			? ({ state }) =>
					Math.max(
						MIN_INTERVAL_MS,
						Math.max(state.dataUpdatedAt, state.errorUpdatedAt) + GRAPH_INTERVAL_MS - Date.now(),
					)
			: false,
		// Figures change with every answer: comparing thousands of edges with those before finds nothing to keep.
		structuralSharing: false,
		gcTime: GRAPH_KEPT_MS,
		retry: false,
		placeholderData: keepPreviousData,
	});
}

/** The whole mesh over a stretch of history such as `24h`; its steps are long, so it is asked for seldom. */
export function useGraphHistory(length: string): UseQueryResult<GraphHistoryAnswer> {
	return useQuery({
		queryKey: ["graph-history", length],
		queryFn: ({ signal }) => getJson<GraphHistoryAnswer>(`/graph/history?from=now-${length}`, signal),
		refetchInterval: ({ state }) =>
			Math.min(MAX_HISTORY_INTERVAL_MS, Math.max(MIN_HISTORY_INTERVAL_MS, (state.data?.stepMs ?? 0) / 2)),
		staleTime: MIN_HISTORY_INTERVAL_MS,
		retry: false,
	});
}

/** One edge with its course and its evidence. */
export function useEdge(id: string, query: string, live: boolean): UseQueryResult<EdgeAnswer> {
	return useQuery({
		queryKey: ["edge", id, query],
		queryFn: ({ signal }) => getJson<EdgeAnswer>(`/edges/${encodeURIComponent(id)}?${query}`, signal),
		refetchInterval: live ? GRAPH_INTERVAL_MS : false,
		retry: false,
		placeholderData: (previous, asked) => (asked?.queryKey[1] === id ? previous : undefined),
	});
}

export function useTrace(traceId: string): UseQueryResult<TraceAnswer> {
	return useQuery({
		queryKey: ["trace", traceId],
		queryFn: ({ signal }) => getJson<TraceAnswer>(`/traces/${encodeURIComponent(traceId)}`, signal),
		staleTime: 30_000,
		// A parsed trace of 100,000 spans holds some 200 MB: keep none that no page shows.
		gcTime: 0,
		// Answers of this size are not compared with the ones before.
		structuralSharing: false,
	});
}

export function useServices(): UseQueryResult<ServicesAnswer> {
	return useQuery({
		queryKey: ["services"],
		queryFn: ({ signal }) => getJson<ServicesAnswer>("/services", signal),
		refetchInterval: 10_000,
	});
}

/** Operations of a service; asked only when one is chosen. */
export function useOperations(service: string): UseQueryResult<OperationsAnswer> {
	return useQuery({
		queryKey: ["operations", service],
		queryFn: ({ signal }) => getJson<OperationsAnswer>(`/services/${encodeURIComponent(service)}/operations`, signal),
		enabled: service !== "",
		staleTime: 10_000,
	});
}

export function useStatus(): UseQueryResult<StatusAnswer> {
	return useQuery({
		queryKey: ["status"],
		queryFn: ({ signal }) => getJson<StatusAnswer>("/status", signal),
		refetchInterval: LIVE_INTERVAL_MS,
		retry: false,
	});
}

/** The longest range of a log search is 92 days (`CAPS.searchRangeDays`); a trace whose times are wrong may be longer. */
const MAX_LOG_RANGE_MS = 90 * 86_400_000;
/** Records of a trace are written around its spans, by clocks that differ. */
const LOG_MARGIN_MS = 600_000;

/** Where in time a trace lies. */
export interface TraceExtent {
	readonly traceId: string;
	readonly startNs: bigint;
	readonly durationNs: number;
}

/** Logs of a trace, oldest first; a search needs a range, so the trace must be known. */
export function useTraceLogs(trace: TraceExtent): UseQueryResult<LogSearchAnswer> {
	return useQuery({
		queryKey: ["logs", trace.traceId, String(trace.startNs), trace.durationNs],
		queryFn: async ({ signal }) => {
			const startMs = Number(trace.startNs) / 1e6;
			const from = Math.max(0, Math.floor(startMs - LOG_MARGIN_MS));
			const to = Math.ceil(Math.min(startMs + trace.durationNs / 1e6 + LOG_MARGIN_MS, from + MAX_LOG_RANGE_MS));
			const query = new URLSearchParams({
				traceId: trace.traceId,
				from: String(from),
				to: String(to),
				limit: "1000",
			});
			const answer = await getJson<LogSearchAnswer>(`/logs?${query.toString()}`, signal);
			return { ...answer, logs: answer.logs.toReversed() };
		},
		staleTime: 10_000,
	});
}
