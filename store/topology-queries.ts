/**
 * Every answer about the topology, computed from roll-ups: what an engine's reader calls, whatever keeps the roll-ups. One instance a
 * thread; it owns what is kept between two questions.
 */
import { type Graph, type GraphEdge, type GraphInput, resolveGraph } from "../model/topology/graph.ts";
import type { HopShape } from "../model/topology/hop.ts";
import type { ToldCall, ToldHop } from "../model/topology/told-hops.ts";
import type { HopsText } from "./record-answers.ts";
import type { TraceHopSpans } from "../model/topology/hops/span-columns.ts";
import { mtlsReport } from "../model/topology/mtls-report.ts";
import type { ResolutionMs } from "../model/topology/series.ts";
import { serviceTraffic } from "../model/topology/service-traffic.ts";
import type {
	EdgeQuery,
	EdgeResult,
	EdgeStatement,
	GraphHistoryQuery,
	GraphHistoryResult,
	GraphQuery,
	GraphResult,
	MtlsResult,
	ScanQuery,
	ServiceHistoryQuery,
	ServiceHistoryResult,
	ServiceTrafficQuery,
	ServiceTrafficResult,
	TopologyWindow,
} from "./store.ts";
import type { TopologyReader } from "./topology.ts";
import { edgePoints, evidenceRows, exemplarAnswer, latencyBuckets } from "./topology-queries/edge-detail.ts";
import { KnownSeries } from "./topology-queries/known-series.ts";
import { hopPlaces, type Place } from "./topology-queries/hop-places.ts";
import { meshPoints } from "./topology-queries/mesh-history.ts";
import { beginningOf, MAX_STEP_BUCKETS, MESH_STEPS, planSteps, type StepPlan, type StepWishes } from "./topology-queries/plan.ts";
import { servicePoints } from "./topology-queries/service-history.ts";
import {
	type HopFilter,
	type HopKind,
	hopsText,
	type SpansInHops,
	spansInHops,
	toldHops,
	toldShapes,
} from "./topology-queries/trace-hops.ts";
import { type WindowSums, WindowSumsCache } from "./topology-queries/window-sums.ts";
import { MeshscopeError } from "../model/errors.ts";

export type { Place } from "./topology-queries/hop-places.ts";
export type { FoundHop, SpansInHops } from "./topology-queries/trace-hops.ts";
export { asksHops, spanKey } from "./topology-queries/trace-hops.ts";

/** Traces are opened often, and reading addresses takes as long as reading a hundred of them. */
const ADDRESSES_OF_TRACES_MS = 60_000;
const DAY_MS = 86_400_000;
/** Of one edge; the newest ones. */
const MAX_EXEMPLARS = 300;
/** Traces told with an edge that is not protected, and edges that get any. */
const SAMPLE_TRACES = 3;
const MAX_SAMPLED_EDGES = 300;

export interface TopologyQueries {
	graph(query: GraphQuery): GraphResult;
	graphHistory(query: GraphHistoryQuery): GraphHistoryResult;
	edge(query: EdgeQuery): EdgeResult | undefined;
	mtls(query: GraphQuery): MtlsResult;
	serviceTraffic(query: ServiceTrafficQuery): ServiceTrafficResult | undefined;
	serviceHistory(query: ServiceHistoryQuery): ServiceHistoryResult | undefined;
	/** The graph by service; the range ends where roll-ups do. */
	edges(query: ScanQuery): readonly GraphEdge[];
	edgeStatements(query: ScanQuery): Iterable<EdgeStatement>;
	traceHops(spans: TraceHopSpans): readonly ToldHop[];
	/** For trace after trace: what is told of calls of one shape. */
	toldCalls(): (shape: HopShape) => ToldCall;
	/** The same as text. */
	hopsText(spans: TraceHopSpans): HopsText;
	/** For trace after trace: by `spanKey`, every span that belongs to a hop the filter asks for. */
	spansInHops(filter: HopFilter): SpansInHops;
	/** @param isService whether any span was ever sent under the name */
	hopPlaces(
		query: HopKind & { readonly fromMs: number; readonly toMs: number },
		isService: (name: string) => boolean,
	): readonly Place[];
}

/** @param now epoch ms */
export function topologyQueries(reader: TopologyReader, now: () => number): TopologyQueries {
	const known = new KnownSeries(reader, now);
	const cache = new WindowSumsCache(reader, known);

	const windowOf = ({ plan }: WindowSums): TopologyWindow => ({
		fromMs: plan.fromMs,
		toMs: plan.toMs,
		resolutionMs: plan.resolutionMs,
		flushedMs: reader.progress()?.flushedMs,
	});
	const inputOf = (sums: WindowSums, groupBy: GraphQuery["groupBy"]): GraphInput => ({
		series: sums.series,
		groupBy,
		book: known.endpoints(),
		certificates: reader.certificates(sums.plan.fromMs, sums.plan.toMs),
		seconds: sums.seconds,
	});
	const oldest = (resolutionMs: ResolutionMs): number | undefined => reader.oldest(resolutionMs);
	const stepsOf = (query: { fromMs: number; toMs: number; stepMs?: number | undefined }, wanted?: StepWishes): StepPlan => {
		const steps = planSteps(query.fromMs, query.toMs, query.stepMs, oldest, wanted);
		if (steps !== undefined) return steps;
		throw new MeshscopeError(
			"query_too_broad",
			`the steps are made of more than ${MAX_STEP_BUCKETS} buckets; lengthen \`step\` to whole hours or days, or shorten the range`,
			{ details: { parameter: "step", cap: MAX_STEP_BUCKETS } },
		);
	};
	const resolved = ({ fromMs, toMs, groupBy }: GraphQuery): { sums: WindowSums; input: GraphInput; graph: Graph } => {
		const sums = cache.sums(fromMs, toMs);
		const input = inputOf(sums, groupBy);
		return { sums, input, graph: resolveGraph(input) };
	};

	const edgesOf = (query: ScanQuery): { sums: WindowSums; input: GraphInput; edges: readonly GraphEdge[] } => {
		const fromMs = Math.max(Number(query.fromNs) / 1e6, reader.oldest(DAY_MS) ?? 0);
		const toMs = Math.max(fromMs, Math.min(Number(query.toNs) / 1e6, now()));
		const { sums, input, graph } = resolved({ fromMs, toMs, groupBy: "service" });
		const { service } = query;
		if (service === undefined) return { sums, input, edges: graph.edges };
		const wanted = new Set(graph.nodes.filter((node) => node.service === service || node.id === service).map(({ id }) => id));
		return { sums, input, edges: graph.edges.filter(({ source, target }) => wanted.has(source) || wanted.has(target)) };
	};

	return {
		edges: (query) => edgesOf(query).edges,

		*edgeStatements(query) {
			const { sums, input, edges } = edgesOf(query);
			const byId = new Map(sums.series.map((series) => [series.id, series]));
			for (const edge of edges) {
				const own = edge.series.map((id) => byId.get(id)!);
				for (const evidence of evidenceRows(edge, own, input.book)) yield { ...evidence, edge };
			}
		},

		graph(query) {
			const { sums, graph } = resolved(query);
			return { window: windowOf(sums), seconds: sums.seconds, graph };
		},

		graphHistory(query) {
			const steps = stepsOf(query, MESH_STEPS);
			const { fromMs, toMs, stepMs, resolutionMs } = steps;
			return {
				window: { fromMs, toMs, resolutionMs, flushedMs: reader.progress()?.flushedMs },
				stepMs,
				beginsMs: beginningOf(oldest),
				points: meshPoints(reader, known, steps),
			};
		},

		edge({ id, fromMs, toMs, stepMs }) {
			const groupBy = known.groupingOf(id);
			if (groupBy === undefined) return undefined;
			const steps = stepsOf({ fromMs, toMs, stepMs });
			const wanted = known.seriesOfEdge(id, groupBy);
			const sums = cache.sums(fromMs, toMs, wanted);
			const input = inputOf(sums, groupBy);
			const edge = resolveGraph(input).edges.find((candidate) => candidate.id === id);
			const window = windowOf(sums);
			if (edge === undefined) return { window, groupBy, edge, stepMs: steps.stepMs, points: [], latency: [], evidence: [] };
			const exemplars = reader.exemplars(edge.series, sums.plan.fromMs, sums.plan.toMs, MAX_EXEMPLARS);
			return {
				window,
				groupBy,
				edge,
				stepMs: steps.stepMs,
				points: edgePoints(reader, known, { id, groupBy, series: wanted }, steps),
				latency: latencyBuckets(edge, sums.series, exemplars, (totals) =>
					edge.latencySide === "destination" ? totals.destinationLatency : totals.sourceLatency,
				),
				evidence: evidenceRows(edge, sums.series, input.book),
			};
		},

		mtls(query) {
			const { sums, input, graph } = resolved(query);
			const { groupBy, book, certificates } = input;
			const report = mtlsReport({ graph, series: sums.series, certificates, groupBy, book });
			let left = MAX_SAMPLED_EDGES;
			const withSamples = (edges: typeof report.plaintext): MtlsResult["report"]["plaintext"] =>
				edges.map((edge) => ({
					...edge,
					samples:
						left-- > 0
							? reader
									.exemplars(edge.series, sums.plan.fromMs, sums.plan.toMs, SAMPLE_TRACES)
									.map((exemplar) => exemplarAnswer(exemplar))
							: [],
				}));
			return {
				window: windowOf(sums),
				report: { ...report, mixed: withSamples(report.mixed), plaintext: withSamples(report.plaintext) },
			};
		},

		serviceTraffic({ service, fromMs, toMs }) {
			const sums = cache.sums(fromMs, toMs);
			const traffic = serviceTraffic(inputOf(sums, "service"), service);
			return traffic && { window: windowOf(sums), traffic };
		},

		serviceHistory(query) {
			const wanted = known.seriesOfService(query.service);
			if (wanted.size === 0) return undefined;
			const steps = stepsOf(query);
			const { fromMs, toMs, stepMs, resolutionMs } = steps;
			return {
				window: { fromMs, toMs, resolutionMs, flushedMs: reader.progress()?.flushedMs },
				stepMs,
				points: servicePoints(reader, known, query.service, wanted, steps),
			};
		},

		traceHops: (spans) => toldHops(spans, known.endpoints(ADDRESSES_OF_TRACES_MS)),
		toldCalls: () => toldShapes(known.endpoints(ADDRESSES_OF_TRACES_MS)),
		hopsText: (spans) => hopsText(spans, known.endpoints(ADDRESSES_OF_TRACES_MS)),
		spansInHops: (filter) =>
			spansInHops(filter, filter.edge === undefined ? undefined : known.endpoints(ADDRESSES_OF_TRACES_MS)),
		hopPlaces: (query, isService) => hopPlaces(reader, known, query, isService),
	};
}
