/**
 * The SQLite engine's reader in one thread: answers every call of the contract from the windows of a data directory. Synchronous
 * inside; the pool runs several of these in threads of their own.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { DurationGrid } from "../../model/analysis/duration-grid.ts";
import type { TraceId } from "../../model/ids.ts";
import { DamagedRollupError } from "../../model/topology/rollup-layout.ts";
import type {
	DifferencesQuery,
	DifferencesResult,
	DurationQuery,
	EdgeQuery,
	EdgeResult,
	GraphHistoryQuery,
	GraphHistoryResult,
	GraphQuery,
	GraphResult,
	LogQuery,
	LogSearchResult,
	MetricPointQuery,
	MetricPointResult,
	MetricSeriesQuery,
	MetricSeriesResult,
	MtlsResult,
	OperationFiguresQuery,
	OperationFiguresResult,
	OperationInfo,
	ServiceInfo,
	ServiceHistoryQuery,
	ServiceHistoryResult,
	ServiceTrafficQuery,
	ServiceTrafficResult,
	SpanDurations,
	SpanQuery,
	StoreReader,
	TraceQuery,
	TraceResult,
	TraceSearchResult,
} from "../store.ts";
import { asksHops, topologyQueries, type TopologyQueries } from "../topology-queries.ts";
import { NO_TOPOLOGY, type TopologyReader } from "../topology.ts";
import { isUnreadable } from "./database.ts";
import type { HopKnowledge } from "./hop-search.ts";
import { openTopologyReader } from "./topology/reader.ts";
import { searchLogs } from "./logs.ts";
import { metricPoints, metricSeries } from "./metrics.ts";
import { operationFigures } from "./operation-figures.ts";
import { traceDifferences } from "./trace-differences.ts";
import { searchTraces } from "./trace-search.ts";
import { scanMatchingSpans } from "./span-scan.ts";
import { StoredSpans } from "./stored-spans.ts";
import { jsonBody, protobufBody, TraceAssembler, traceIdAt, traceWords } from "./trace-rows.ts";
import { WindowSet } from "./window-set.ts";

/** Status code of a span. */
const ERROR = 2;
const REMOVAL_CHECK_MS = 500;

export interface SqliteReaderOptions {
	readonly directory: string;
	readonly cacheBytes: number;
	/** After it a search gives what it has and says `truncated`. */
	readonly searchBudgetMs: number;
	readonly now: () => number;
	/** True once nobody waits for the query under way: it ends soon then. */
	readonly isCancelled?: () => boolean;
}

export function openSqliteReader(options: SqliteReaderOptions): StoreReader {
	return new SqliteReader(options);
}

class SqliteReader implements StoreReader {
	private readonly options: SqliteReaderOptions;
	private readonly windows: WindowSet;
	private readonly removals: NodeJS.Timeout;
	private readonly topology: TopologyQueries;
	private readonly topologyReader: TopologyReader;

	constructor(options: SqliteReaderOptions) {
		this.options = options;
		this.windows = new WindowSet(options.directory, options.cacheBytes);
		this.topologyReader = openTopologyReader(options.directory);
		this.topology = topologyQueries(this.topologyReader, options.now);
		this.removals = setInterval(() => this.windows.closeRemoved(), REMOVAL_CHECK_MS).unref();
	}

	async trace(id: TraceId, format: "protobuf" | "json"): Promise<TraceResult> {
		const hops = format === "protobuf" ? undefined : new StoredSpans();
		const body = hops === undefined ? protobufBody() : jsonBody(id);
		const assembler = new TraceAssembler(traceWords(id), body, () => this.stopIfCancelled(), hops);
		const damagedWindows = this.windows.visit(this.windows.list(), (window) => assembler.add(window));
		const trace = assembler.finish();
		if (trace === undefined || hops === undefined) return { trace, damagedWindows };
		return { trace: { ...trace, hops: this.fromTopology((topology) => topology.hopsText(hops)) }, damagedWindows };
	}

	async searchTraces(query: TraceQuery): Promise<TraceSearchResult> {
		return searchTraces(this.windows, query, this.deadline(), () => this.now(), this.hopsOf(query));
	}

	async spanDurations(query: DurationQuery): Promise<SpanDurations> {
		const grid = new DurationGrid(query, query.columns);
		const deadlineMs = this.deadline();
		const known = this.hopsOf(query);
		const seen = new Set<object>();
		const options = { windows: this.windows, query, originNs: grid.fromNs, known, isLate: () => this.now() > deadlineMs };
		const searched = scanMatchingSpans(options, ({ block, row, sinceNs, durationNs, hop }) => {
			const isOfEdge = hop !== undefined && query.edge !== undefined;
			if (isOfEdge) {
				if (seen.has(hop)) return;
				seen.add(hop);
			}
			const isError = block.head().classes.status[block.classOfRow(row)] === ERROR;
			const traceId = (): string => traceIdAt(block, block.traceOfRow(row));
			grid.add(sinceNs, isOfEdge ? hop.latencyNs : durationNs, isError, traceId);
		});
		return { ...grid.answer(), searched };
	}

	async traceDifferences(query: DifferencesQuery): Promise<DifferencesResult> {
		const deadlineMs = this.deadline();
		const options = {
			windows: this.windows,
			query,
			known: this.hopsOf(query),
			now: () => this.now(),
			isLate: () => this.now() > deadlineMs,
		};
		return traceDifferences(
			options,
			this.fromTopology((topology) => topology.toldCalls()),
		);
	}

	async services(): Promise<readonly ServiceInfo[]> {
		return this.windows
			.catalogDatabase()
			.prepare<[], ServiceInfo>(
				"SELECT name, first_seen_ms AS firstSeenMs, last_seen_ms AS lastSeenMs FROM services ORDER BY name",
			)
			.all();
	}

	async operations(service: string): Promise<readonly OperationInfo[]> {
		return this.windows
			.catalogDatabase()
			.prepare<[string], OperationInfo>(
				"SELECT name, kind, last_seen_ms AS lastSeenMs FROM operations WHERE service = ? ORDER BY name, kind",
			)
			.all(service);
	}

	async operationFigures(query: OperationFiguresQuery): Promise<OperationFiguresResult> {
		return operationFigures(this.windows, query, this.deadline(), () => this.now());
	}

	async searchLogs(query: LogQuery): Promise<LogSearchResult> {
		return searchLogs(this.windows, query, this.deadline(), () => this.now());
	}

	async metricSeries(query: MetricSeriesQuery): Promise<MetricSeriesResult> {
		return metricSeries(this.windows, query, () => this.stopIfCancelled());
	}

	async metricPoints(query: MetricPointQuery): Promise<MetricPointResult> {
		return metricPoints(this.windows, query, () => this.stopIfCancelled());
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

	async close(): Promise<void> {
		clearInterval(this.removals);
		this.windows.close();
		this.topologyReader.close();
	}

	/** Undefined for a search that asks for no hops. */
	private hopsOf(query: SpanQuery): HopKnowledge | undefined {
		if (!asksHops(query)) return undefined;
		const { mtls, edge, fromNs, toNs } = query;
		const names = this.windows.catalogDatabase().prepare<[], string>("SELECT name FROM services").pluck().all();
		const services = new Set(names);
		const range = { fromMs: Math.floor(Number(fromNs) / 1e6), toMs: Math.ceil(Number(toNs) / 1e6) };
		return {
			places: this.fromTopology((topology) => topology.hopPlaces({ mtls, edge, ...range }, (name) => services.has(name))),
			spansIn: this.fromTopology((topology) => topology.spansInHops(query)),
		};
	}

	/** Traces are told without it where it cannot be read. */
	private fromTopology<T>(ask: (topology: TopologyQueries) => T): T {
		try {
			return ask(this.topology);
		} catch (error) {
			if (!isUnreadable(error) && !(error instanceof DamagedRollupError)) throw error;
			return ask(topologyQueries(NO_TOPOLOGY, this.options.now));
		}
	}

	/** For searches, which end at their deadline: past any, once nobody waits. */
	private now(): number {
		return this.options.isCancelled?.() === true ? Infinity : this.options.now();
	}

	/** @throws MeshscopeError `query_timeout` */
	private stopIfCancelled(): void {
		if (this.options.isCancelled?.() === true) throw new MeshscopeError("query_timeout", "nobody waits for the answer");
	}

	private deadline(): number {
		return this.options.now() + this.options.searchBudgetMs;
	}
}
