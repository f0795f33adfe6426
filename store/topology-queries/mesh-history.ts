/**
 * The whole mesh step by step: how much there was, how much of it failed, and under which mTLS status. Only counts are read, since the
 * histograms are most of a roll-up's bytes and no figure here is made of them.
 */
import { resolveSums } from "../../model/topology/graph.ts";
import { noMtlsCounts } from "../../model/topology/mtls-status.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import { type MtlsStatus } from "../../model/topology/series.ts";
import type { WindowSeries } from "../../model/topology/voices.ts";
import type { EndpointBook } from "../../model/topology/endpoint-book.ts";
import type { MeshPoint } from "../store.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { StepPlan } from "./plan.ts";
import { withDims } from "./window-sums.ts";

/** Steps in which nothing was seen are left out. */
export function meshPoints(reader: TopologyReader, known: KnownSeries, plan: StepPlan): readonly MeshPoint[] {
	const points: MeshPoint[] = [];
	const book = known.endpoints();
	for (let startMs = plan.fromMs; startMs < plan.toMs; startMs += plan.stepMs) {
		const totals = new Map<number, SeriesTotals>();
		addRollups(totals, reader.deltas(plan.resolutionMs, startMs, startMs + plan.stepMs), undefined, "counts");
		if (totals.size > 0) points.push(pointOf(withDims(totals, known), book, startMs));
	}
	return points;
}

function pointOf(series: readonly WindowSeries[], book: EndpointBook, timeMs: number): MeshPoint {
	const requests = { count: 0, errors: 0, mtls: noMtlsCounts() };
	const connections = { count: 0, errors: 0, mtls: noMtlsCounts() };
	for (const edge of resolveSums({ series, groupBy: "service", book, certificates: [], seconds: 1 })) {
		const sums = edge.unit === "requests" ? requests : connections;
		sums.count += edge.count;
		sums.errors += edge.outcomes.server_error + edge.outcomes.no_response;
		for (const status of Object.keys(sums.mtls) as MtlsStatus[]) sums.mtls[status] += edge.mtlsCounts[status];
	}
	return {
		timeMs,
		requests: requests.count,
		errors: requests.errors,
		connections: connections.count,
		connectionErrors: connections.errors,
		requestMtls: requests.mtls,
		connectionMtls: connections.mtls,
	};
}
