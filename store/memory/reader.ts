/** Answers by looking at every record, in the plainest way the contract allows. */
import type { TraceId } from "../../model/ids.ts";
import type { MetricSeriesKey } from "../../model/metric.ts";
import { attributesFromCanonical, plainFromCanonical } from "../../model/otlp/canonical.ts";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { outlineOf, spanIdentity } from "../../model/otlp/trace-summary.ts";
import type {
	EdgeQuery,
	EdgeResult,
	GraphQuery,
	GraphResult,
	LogQuery,
	LogSearchResult,
	MetricPoint,
	MetricPointQuery,
	MetricPointResult,
	MetricSeries,
	MetricSeriesQuery,
	MetricSeriesResult,
	MetricType,
	MtlsResult,
	OperationInfo,
	SearchedInfo,
	ServiceInfo,
	ServiceTrafficQuery,
	ServiceTrafficResult,
	StoreReader,
	TraceQuery,
	TraceResult,
	TraceSearchResult,
	TraceSummary,
} from "../store.ts";
import { bodyText, logEntry, matchesAttributes, type StoredLog, type StoredSpan, otlpData } from "./records.ts";
import { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import type { MtlsStatus } from "../../model/topology/series.ts";
import { spanKey, spansOfStatus, topologyQueries, type TopologyQueries } from "../topology-queries.ts";
import type { TopologyReader } from "../topology.ts";
import type { MemoryState, StoredSeries } from "./state.ts";

const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;
const TYPES: readonly MetricType[] = ["gauge", "sum", "histogram", "exponential_histogram", "summary"];
const TEMPORALITIES = ["unspecified", "delta", "cumulative"] as const;

export class MemoryReader implements StoreReader {
	private readonly state: MemoryState;
	private readonly topology: TopologyQueries;

	constructor(state: MemoryState, topology: TopologyReader) {
		this.state = state;
		this.topology = topologyQueries(topology, Date.now);
	}

	async trace(id: TraceId, format: "protobuf" | "json"): Promise<TraceResult> {
		const spans = this.spansByTrace(new Set([id])).get(id);
		if (spans === undefined) return { trace: undefined, damagedWindows: [] };
		const bytes = otlpData(spans);
		const body = format === "protobuf" ? bytes : new TextEncoder().encode(JSON.stringify(decodeTracesData(bytes)));
		const hops = this.topology.traceHops(decodedSpans(spans));
		return { trace: { summary: summaryOf(id, spans), hops, body: [body] }, damagedWindows: [] };
	}

	async searchTraces(query: TraceQuery): Promise<TraceSearchResult> {
		const found = new Set<string>();
		const inHops = query.mtls === undefined ? undefined : this.spansInHops(query.mtls);
		let spansScanned = 0;
		for (const { spans } of this.state.groups) {
			for (const span of spans) {
				spansScanned++;
				const isInHop = inHops === undefined || inHops.get(span.traceId)?.has(spanKey(span)) === true;
				if (isInHop && matchesSpan(query, span)) found.add(span.traceId);
			}
		}
		const summaries = [...this.spansByTrace(found)].map(([id, spans]) => summaryOf(id as TraceId, spans));
		summaries.sort(
			(a, b) => compare(BigInt(b.startTimeUnixNano), BigInt(a.startTimeUnixNano)) || (a.traceId < b.traceId ? -1 : 1),
		);
		const searched = this.searched(spansScanned);
		if (inHops === undefined) return { traces: summaries.slice(0, query.limit), searched };
		const rangeMs = Number(query.toNs - query.fromNs) / 1e6;
		const mtls = { rangeMs, skippedMs: 0, tracesChecked: inHops.size };
		return { traces: summaries.slice(0, query.limit), searched: { ...searched, mtls } };
	}

	async services(): Promise<readonly ServiceInfo[]> {
		const services = [...this.state.services].map(([name, { firstSeenMs, lastSeenMs }]) => ({
			name,
			firstSeenMs,
			lastSeenMs,
		}));
		return services.sort((a, b) => compare(a.name, b.name));
	}

	async operations(service: string): Promise<readonly OperationInfo[]> {
		const operations = [...(this.state.services.get(service)?.operations.values() ?? [])].map((operation) => ({
			...operation,
		}));
		return operations.sort((a, b) => compare(a.name, b.name) || a.kind - b.kind);
	}

	async searchLogs(query: LogQuery): Promise<LogSearchResult> {
		const found: StoredLog[] = [];
		let scanned = 0;
		for (const { logs } of this.state.groups) {
			scanned += logs.length;
			for (const log of logs) if (matchesLog(query, log)) found.push(log);
		}
		found.sort((a, b) => compare(b.timeNs, a.timeNs));
		return { logs: found.slice(0, query.limit).map(logEntry), searched: this.searched(scanned) };
	}

	async metricSeries(query: MetricSeriesQuery): Promise<MetricSeriesResult> {
		return { series: this.matchingSeries(query).map(metricSeries), damagedWindows: [] };
	}

	async metricPoints(query: MetricPointQuery): Promise<MetricPointResult> {
		const bySeries = new Map<StoredSeries, { readonly timeNs: bigint; readonly point: MetricPoint }[]>();
		for (const series of this.matchingSeries(query)) bySeries.set(series, []);
		let left = query.maxPoints;
		let truncated = false;
		for (const { points } of this.state.groups) {
			for (const { series, ...record } of points) {
				const own = bySeries.get(series);
				if (own === undefined || record.timeNs < query.fromNs || record.timeNs >= query.toNs) continue;
				if (left === 0) truncated = true;
				else {
					left--;
					own.push({ timeNs: record.timeNs, point: metricPointOf(record, series.key.type) });
				}
			}
		}
		const series = [...bySeries]
			.filter(([, points]) => points.length > 0)
			.map(([entry, points]) => ({
				series: metricSeries(entry),
				points: points.sort((a, b) => compare(a.timeNs, b.timeNs)).map(({ point }) => point),
			}));
		return { series, truncated, damagedWindows: [] };
	}

	async graph(query: GraphQuery): Promise<GraphResult> {
		return this.topology.graph(query);
	}

	async edge(query: EdgeQuery): Promise<EdgeResult | undefined> {
		return this.topology.edge(query);
	}

	async mtls(query: GraphQuery): Promise<MtlsResult> {
		return this.topology.mtls(query);
	}

	async serviceTraffic(query: ServiceTrafficQuery): Promise<ServiceTrafficResult | undefined> {
		return this.topology.serviceTraffic(query);
	}

	async close(): Promise<void> {}

	/** Of every trace, the spans that belong to a hop of the status. */
	private spansInHops(status: MtlsStatus): Map<string, ReadonlySet<string>> {
		const ids = this.state.groups.flatMap(({ spans }) => spans.map(({ traceId }) => traceId));
		const traces = [...this.spansByTrace(new Set(ids))];
		return new Map(traces.map(([id, spans]) => [id, spansOfStatus(decodedSpans(spans), status)]));
	}

	/** Every span of the traces, each once, in order of arrival. */
	private spansByTrace(ids: ReadonlySet<string>): Map<string, StoredSpan[]> {
		const byTrace = new Map<string, StoredSpan[]>();
		const seen = new Set<string>();
		for (const { spans } of this.state.groups) {
			for (const span of spans) {
				if (!ids.has(span.traceId)) continue;
				const identity = `${span.traceId}${spanIdentity(span)}`;
				if (seen.has(identity)) continue;
				seen.add(identity);
				const members = byTrace.get(span.traceId) ?? [];
				byTrace.set(span.traceId, members);
				members.push(span);
			}
		}
		return byTrace;
	}

	private matchingSeries(query: MetricSeriesQuery): StoredSeries[] {
		const matching = [...this.state.series.values()].filter(
			({ key }) =>
				(query.name === undefined || key.name === query.name) &&
				(query.service === undefined || key.service === query.service) &&
				matchesAttributes(
					query.attributes,
					attributesFromCanonical(key.attributes),
					attributesFromCanonical(key.resource),
				),
		);
		return matching.sort((a, b) => compare(a.key.name, b.key.name) || a.id - b.id).slice(0, query.limit);
	}

	private searched(spansScanned: number): SearchedInfo {
		const { length } = this.state.groups;
		return {
			windows: length > 0 ? 1 : 0,
			blocks: length,
			blocksSkipped: 0,
			spansScanned,
			truncated: false,
			damagedWindows: [],
		};
	}
}

function decodedSpans(spans: readonly StoredSpan[]): DecodedSpans {
	const decoded = new DecodedSpans();
	for (const { span, origin } of spans) decoded.add(span, origin.resource, origin.scope);
	return decoded;
}

export function metricSeries({ id, key, lastTimeNs }: StoredSeries): MetricSeries {
	return {
		id: String(id),
		name: key.name,
		description: key.description,
		unit: key.unit,
		type: typeOf(key),
		temporality: TEMPORALITIES[key.temporality],
		monotonic: key.monotonic,
		service: key.service,
		attributes: plainFromCanonical(key.attributes),
		resource: plainFromCanonical(key.resource),
		lastTimeUnixNano: lastTimeNs.toString(),
	};
}

function typeOf(key: MetricSeriesKey): MetricType {
	return TYPES[key.type]!;
}

function summaryOf(traceId: TraceId, spans: readonly StoredSpan[]): TraceSummary {
	return { traceId, ...outlineOf(spans) };
}

function matchesSpan(query: TraceQuery, span: StoredSpan): boolean {
	const durationNs = span.endNs - span.startNs;
	return (
		span.startNs >= query.fromNs &&
		span.startNs < query.toNs &&
		(query.service === undefined || span.service === query.service) &&
		(query.operation === undefined || span.name === query.operation) &&
		(query.minDurationNs === undefined || durationNs >= query.minDurationNs) &&
		(query.maxDurationNs === undefined || durationNs <= query.maxDurationNs) &&
		(query.status === undefined || span.statusCode === STATUS_CODES[query.status]) &&
		matchesAttributes(query.attributes, span.span.attributes, span.origin.resource.attributes)
	);
}

function matchesLog(query: LogQuery, stored: StoredLog): boolean {
	const { log, origin, timeNs } = stored;
	return (
		timeNs >= query.fromNs &&
		timeNs < query.toNs &&
		(query.traceId === undefined || log.traceId === query.traceId) &&
		(query.service === undefined || origin.service === query.service) &&
		(query.minSeverity === undefined || (log.severityNumber ?? 0) >= query.minSeverity) &&
		(query.text === undefined || bodyText(stored).toLowerCase().includes(query.text.toLowerCase())) &&
		matchesAttributes(query.attributes, log.attributes, origin.resource.attributes)
	);
}

function compare<T extends bigint | string>(a: T, b: T): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
