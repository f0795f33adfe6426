/** Answers by looking at every record, in the plainest way the contract allows. */
import type { TraceId } from "../../model/ids.ts";
import { DurationGrid } from "../../model/analysis/duration-grid.ts";
import { TraceFeatures } from "../../model/analysis/trace-features.ts";
import { TraceSample } from "../../model/analysis/trace-sample.ts";
import type { MetricSeriesKey } from "../../model/metric.ts";
import { attributesFromCanonical, plainFromCanonical } from "../../model/otlp/canonical.ts";
import { decodeTracesData } from "../../model/otlp/decode.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { outlineOf, spanIdentity } from "../../model/otlp/trace-summary.ts";
import {
	COMPARED_TRACES,
	isSelected,
	type DifferencesQuery,
	type DifferencesResult,
	type DurationQuery,
	type EdgeQuery,
	type EdgeResult,
	type GraphHistoryQuery,
	type GraphHistoryResult,
	type GraphQuery,
	type GraphResult,
	type LogQuery,
	type LogSearchResult,
	type MetricPoint,
	type MetricPointQuery,
	type MetricPointResult,
	type MetricSeries,
	type MetricSeriesQuery,
	type MetricSeriesResult,
	type MetricType,
	type MtlsResult,
	type OperationFiguresQuery,
	type OperationFiguresResult,
	type OperationInfo,
	type SearchedInfo,
	type ServiceHistoryQuery,
	type ServiceHistoryResult,
	type ServiceInfo,
	type ServiceTrafficQuery,
	type ServiceTrafficResult,
	type SpanDurations,
	type SpanQuery,
	type StoreReader,
	type TraceQuery,
	type TraceResult,
	type TraceSearchResult,
	type TraceSummary,
} from "../store.ts";
import { bodyText, logEntry, matchesAttributes, type StoredLog, type StoredSpan, otlpData } from "./records.ts";
import { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import { GREATEST_TRACE_HASH, traceHash } from "../block/format.ts";
import { OperationSums } from "../../model/otlp/operation-sums.ts";
import { asksHops, type FoundHop, spanKey, topologyQueries, type TopologyQueries } from "../topology-queries.ts";
import type { TopologyReader } from "../topology.ts";
import type { MemoryState, StoredSeries } from "./state.ts";

const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;
const TYPES: readonly MetricType[] = ["gauge", "sum", "histogram", "exponential_histogram", "summary"];
const TEMPORALITIES = ["unspecified", "delta", "cumulative"] as const;

type HopsByTrace = ReadonlyMap<string, ReadonlyMap<string, FoundHop>>;

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
		const hops = this.topology.hopsText(decodedSpans(spans));
		return { trace: { summary: summaryOf(id, spans), hops, body: [body] }, damagedWindows: [] };
	}

	async searchTraces(query: TraceQuery): Promise<TraceSearchResult> {
		const found = new Set<string>();
		const inHops = asksHops(query) ? this.spansInHops(query) : undefined;
		const spansScanned = this.eachMatch(query, inHops, ({ traceId }) => found.add(traceId));
		const summaries = [...this.spansByTrace(found)].map(([id, spans]) => summaryOf(id as TraceId, spans));
		summaries.sort(
			(a, b) => compare(BigInt(b.startTimeUnixNano), BigInt(a.startTimeUnixNano)) || (a.traceId < b.traceId ? -1 : 1),
		);
		return { traces: summaries.slice(0, query.limit), searched: this.searchedOf(query, spansScanned, inHops) };
	}

	async spanDurations(query: DurationQuery): Promise<SpanDurations> {
		const inHops = asksHops(query) ? this.spansInHops(query) : undefined;
		const grid = new DurationGrid(query, query.columns);
		const seen = new Set<FoundHop>();
		const spansScanned = this.eachMatch(query, inHops, (span, hop) => {
			if (query.edge !== undefined && hop !== undefined && !isFirst(seen, hop)) return;
			const durationNs = query.edge !== undefined && hop !== undefined ? hop.latencyNs : Number(span.endNs - span.startNs);
			grid.add(Number(span.startNs - grid.fromNs), durationNs, span.statusCode === STATUS_CODES.error, () => span.traceId);
		});
		return { ...grid.answer(), searched: this.searchedOf(query, spansScanned, inHops) };
	}

	async traceDifferences(query: DifferencesQuery): Promise<DifferencesResult> {
		const inHops = asksHops(query) ? this.spansInHops(query) : undefined;
		const sample = new TraceSample<string>(COMPARED_TRACES, GREATEST_TRACE_HASH);
		let order = 0;
		const spansScanned = this.eachMatch(query, inHops, (span, hop) => {
			const durationNs = query.edge !== undefined && hop !== undefined ? hop.latencyNs : Number(span.endNs - span.startNs);
			const picked = isSelected(query, Number(span.startNs - query.fromNs), durationNs, span.statusCode);
			sample.add(picked, hashOf(span.traceId), order++, () => span.traceId);
		});
		const { selected, others } = sample.finish();
		const features = new TraceFeatures();
		for (const [side, { traces }] of [
			["selected", selected],
			["others", others],
		] as const) {
			for (const [, spans] of this.spansByTrace(new Set(traces.map(({ id }) => id)))) {
				features.makeRoom();
				features.begin(side);
				for (const { span, origin } of spans) features.addSpan(span, origin.resource);
				for (const hop of this.topology.traceHops(decodedSpans(spans))) features.addHop(hop);
			}
		}
		return {
			selected: { spans: sample.spans.selected, traces: selected.of, compared: features.compared.selected },
			others: { spans: sample.spans.others, traces: others.of, compared: features.compared.others },
			differences: features.differences(query.limit),
			searched: this.searchedOf(query, spansScanned, inHops),
		};
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

	async operationFigures({ service, fromNs, toNs, limit }: OperationFiguresQuery): Promise<OperationFiguresResult> {
		const gathered = new OperationSums();
		const isFirst = firstOfEach();
		let scanned = 0;
		for (const { spans } of this.state.groups) {
			for (const span of spans) {
				scanned++;
				if (span.origin.service !== service || span.startNs < fromNs || span.startNs >= toNs || !isFirst(span)) continue;
				const durationNs = Number(span.endNs - span.startNs);
				gathered.add(span.name, span.kind, span.statusCode, durationNs, Number(span.startNs / 1_000_000n));
			}
		}
		return { operations: gathered.figures(limit), searched: this.searched(scanned) };
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

	async graphHistory(query: GraphHistoryQuery): Promise<GraphHistoryResult> {
		return this.topology.graphHistory(query);
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

	async serviceHistory(query: ServiceHistoryQuery): Promise<ServiceHistoryResult | undefined> {
		return this.topology.serviceHistory(query);
	}

	async close(): Promise<void> {}

	/** Of every trace, the spans that belong to a hop that is asked for. */
	private spansInHops(query: SpanQuery): HopsByTrace {
		const ids = this.state.groups.flatMap(({ spans }) => spans.map(({ traceId }) => traceId));
		const traces = [...this.spansByTrace(new Set(ids))];
		const spansIn = this.topology.spansInHops(query);
		return new Map(traces.map(([id, spans]) => [id, spansIn(decodedSpans(spans))]));
	}

	/** Visits what matches, each span once; returns how many were looked at. */
	private eachMatch(
		query: SpanQuery,
		inHops: HopsByTrace | undefined,
		visit: (span: StoredSpan, hop: FoundHop | undefined) => void,
	): number {
		const isFirst = firstOfEach();
		let scanned = 0;
		for (const { spans } of this.state.groups) {
			for (const span of spans) {
				scanned++;
				const hop = inHops?.get(span.traceId)?.get(spanKey(span));
				if ((inHops === undefined || hop !== undefined) && matchesSpan(query, span) && isFirst(span)) visit(span, hop);
			}
		}
		return scanned;
	}

	private searchedOf(query: SpanQuery, spansScanned: number, inHops: HopsByTrace | undefined): SearchedInfo {
		const searched = this.searched(spansScanned);
		if (inHops === undefined) return searched;
		const rangeMs = Number(query.toNs - query.fromNs) / 1e6;
		return { ...searched, hops: { rangeMs, skippedMs: 0, tracesChecked: inHops.size } };
	}

	/** Every span of the traces, each once, in order of arrival. */
	private spansByTrace(ids: ReadonlySet<string>): Map<string, StoredSpan[]> {
		const byTrace = new Map<string, StoredSpan[]>();
		const isFirst = firstOfEach();
		for (const { spans } of this.state.groups) {
			for (const span of spans) {
				if (!ids.has(span.traceId) || !isFirst(span)) continue;
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

function firstOfEach(): (span: StoredSpan) => boolean {
	const seen = new Set<string>();
	return (span) => {
		const before = seen.size;
		return seen.add(`${span.traceId}${spanIdentity(span)}`).size > before;
	};
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

function hashOf(traceId: string): number {
	const word = (at: number): number => Number.parseInt(traceId.slice(at, at + 8), 16);
	return traceHash(word(0), word(8), word(16), word(24));
}

/** Whether it is new to the set, which then has it. */
function isFirst<T>(seen: Set<T>, one: T): boolean {
	return seen.size < seen.add(one).size;
}

function matchesSpan(query: SpanQuery, span: StoredSpan): boolean {
	const durationNs = span.endNs - span.startNs;
	return (
		span.startNs >= query.fromNs &&
		span.startNs < query.toNs &&
		(query.service === undefined || span.service === query.service) &&
		(query.operation === undefined || span.name === query.operation) &&
		(query.edge !== undefined || hasDuration(query, durationNs)) &&
		(query.isRoot === undefined || /^0*$/.test(span.parentSpanId) === query.isRoot) &&
		(query.status === undefined || span.statusCode === STATUS_CODES[query.status]) &&
		matchesAttributes(query.attributes, span.span.attributes, span.origin.resource.attributes)
	);
}

/** Of a search by edge, hops have the durations. */
function hasDuration({ minDurationNs, maxDurationNs }: SpanQuery, durationNs: bigint): boolean {
	return (
		(minDurationNs === undefined || durationNs >= minDurationNs) &&
		(maxDurationNs === undefined || durationNs <= maxDurationNs)
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
