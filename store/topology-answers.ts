/** What is asked of the topology, and the answers: part of the contract of store.ts, which is what others import. */
import type { LatencyFigures } from "../model/topology/edge-sums.ts";
import type { GroupBy } from "../model/topology/endpoint.ts";
import type { Graph, GraphEdge } from "../model/topology/graph.ts";
import type { MtlsReport, UnprotectedEdge } from "../model/topology/mtls-report.ts";
import type { MtlsCounts } from "../model/topology/mtls-status.ts";
import type { Evidence, MtlsFinding, Outcome, Reporter } from "../model/topology/series.ts";
import type { RedTotals, ServiceTraffic } from "../model/topology/service-traffic.ts";

/** A range of the topology, and at which level its nodes are told. */
export interface GraphQuery {
	/** Epoch ms, inclusive and exclusive. An engine MAY widen it to whole buckets; the answer says what it took. */
	readonly fromMs: number;
	readonly toMs: number;
	readonly groupBy: GroupBy;
}

/** What an answer is about. */
export interface TopologyWindow {
	readonly fromMs: number;
	readonly toMs: number;
	/** Width of the finest buckets that were added up. */
	readonly resolutionMs: number;
	/** When the topology stage last wrote, epoch ms; undefined when it never has. */
	readonly flushedMs: number | undefined;
}

export interface GraphResult {
	readonly window: TopologyWindow;
	/** Length of the window as far as it was observed. */
	readonly seconds: number;
	readonly graph: Graph;
}

export interface EdgeQuery {
	/** As a graph told it, of whatever grouping. */
	readonly id: string;
	readonly fromMs: number;
	readonly toMs: number;
	/** A whole number of 10 s; undefined lets the engine choose. */
	readonly stepMs?: number;
}

export interface EdgePoint {
	/** Start of the step, epoch ms. */
	readonly timeMs: number;
	readonly requests: number;
	readonly connections: number;
	readonly errors: number;
	readonly requestRate: number;
	readonly errorRatio: number;
	readonly bytes: { readonly sent: number; readonly received: number };
	readonly latencyMs: LatencyFigures | undefined;
	readonly mtlsCounts: MtlsCounts;
}

/** What is asked of the whole mesh's course over time. */
export interface GraphHistoryQuery {
	readonly fromMs: number;
	readonly toMs: number;
	/** A whole number of 10 s; undefined lets the engine choose. */
	readonly stepMs?: number;
}

/** All edges of a step added up; units are never mixed. */
export interface MeshPoint {
	/** Start of the step, epoch ms. */
	readonly timeMs: number;
	readonly requests: number;
	/** Of requests. */
	readonly errors: number;
	readonly connections: number;
	readonly connectionErrors: number;
	readonly requestMtls: MtlsCounts;
	readonly connectionMtls: MtlsCounts;
}

export interface GraphHistoryResult {
	/** The asked range, widened to whole steps. */
	readonly window: TopologyWindow;
	readonly stepMs: number;
	/** When the oldest thing that is kept began, epoch ms; undefined when there is nothing. */
	readonly beginsMs: number | undefined;
	/** Oldest first; steps without anything are left out. */
	readonly points: readonly MeshPoint[];
}

export interface TraceSample {
	readonly traceId: string;
	readonly timeMs: number;
	readonly durationMs: number;
	readonly isError: boolean;
}

export interface EdgeLatencyBucket {
	/** Above the first, up to and including the second. */
	readonly fromMs: number;
	readonly toMs: number;
	readonly count: number;
	readonly exemplars: readonly TraceSample[];
}

/** One series: what one source says of the edge. */
export interface EdgeEvidence {
	readonly series: number;
	readonly evidence: Evidence;
	readonly reporter: Reporter;
	readonly sampled: boolean;
	/** Node ids by workload: as the source named the end, and whom that was taken for. */
	readonly source: { readonly told: string; readonly taken: string };
	readonly target: { readonly told: string; readonly taken: string };
	readonly mtls: MtlsFinding;
	readonly outcome: Outcome;
	readonly destinationOutcome: Outcome | undefined;
	readonly observed: number;
	readonly count: number;
	readonly attempts: number;
	readonly failedHandshakes: number;
	readonly bytes: { readonly sent: number; readonly received: number };
	readonly codes: Readonly<Record<string, number>>;
	readonly flags: Readonly<Record<string, number>>;
	readonly sourceP95Ms: number | undefined;
	readonly destinationP95Ms: number | undefined;
	readonly firstSeenMs: number | undefined;
	readonly lastSeenMs: number | undefined;
}

export interface EdgeResult {
	readonly window: TopologyWindow;
	readonly groupBy: GroupBy;
	/** Undefined when nothing was seen of it in the range. */
	readonly edge: GraphEdge | undefined;
	readonly stepMs: number;
	/** Oldest first; steps without anything are left out. */
	readonly points: readonly EdgePoint[];
	/** Of the side that `edge.latencySide` names. */
	readonly latency: readonly EdgeLatencyBucket[];
	/** Most observations first. */
	readonly evidence: readonly EdgeEvidence[];
}

type Sampled = UnprotectedEdge & { readonly samples: readonly TraceSample[] };

export interface MtlsResult {
	readonly window: TopologyWindow;
	readonly report: Omit<MtlsReport, "plaintext" | "mixed"> & {
		readonly plaintext: readonly Sampled[];
		readonly mixed: readonly Sampled[];
	};
}

export interface ServiceTrafficQuery {
	/** A service's name, or a node's id. */
	readonly service: string;
	readonly fromMs: number;
	readonly toMs: number;
}

export interface ServiceTrafficResult {
	readonly window: TopologyWindow;
	readonly traffic: ServiceTraffic;
}

/** What is asked of a service's course over time. */
export interface ServiceHistoryQuery extends ServiceTrafficQuery {
	/** A whole number of 10 s; undefined lets the engine choose. */
	readonly stepMs?: number;
}

export interface ServicePoint {
	/** Start of the step, epoch ms. */
	readonly timeMs: number;
	readonly inbound: RedTotals;
	readonly outbound: RedTotals;
}

export interface ServiceHistoryResult {
	/** The asked range, widened to whole steps. */
	readonly window: TopologyWindow;
	readonly stepMs: number;
	/** Oldest first; steps without anything are left out. */
	readonly points: readonly ServicePoint[];
}

/** One statement about an edge: an {@link EdgeEvidence} and whose. */
export interface EdgeStatement extends EdgeEvidence {
	readonly edge: GraphEdge;
}
