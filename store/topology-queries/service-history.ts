/** A service step by step, both ways: the same figures as of the whole range, from the merged histograms of its edges. */
import { serviceTotals } from "../../model/topology/service-traffic.ts";
import { RESOLUTIONS_MS } from "../../model/topology/series.ts";
import { SOMETHING } from "../../model/topology/voices.ts";
import type { ServicePoint } from "../store.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { StepPlan } from "./plan.ts";
import { eachStep } from "./steps.ts";
import { withDims } from "./window-sums.ts";

/** What a rate is over at least. */
const LEAST_MS = 1_000;

/** Steps in which nothing was seen are left out. */
export function servicePoints(
	reader: TopologyReader,
	known: KnownSeries,
	service: string,
	wanted: ReadonlySet<number>,
	plan: StepPlan,
): readonly ServicePoint[] {
	const points: ServicePoint[] = [];
	const book = known.endpoints();
	const flushedMs = reader.progress()?.flushedMs ?? Infinity;
	eachStep(reader, plan, wanted, (totals, timeMs) => {
		const series = withDims(totals, known);
		// The step that the present lies in is not over: its rate is by the seconds that were observed. But what a metric counted comes
		// at once for all the time since its point before, some of it before the step: over a second it would be a rush.
		const isMetric = series.some(({ dims, totals }) => dims.evidence === "metric" && totals.count > SOMETHING);
		const leastMs = isMetric ? RESOLUTIONS_MS[0] : LEAST_MS;
		const seconds = Math.max(leastMs, Math.min(plan.stepMs, flushedMs - timeMs)) / 1_000;
		const input = { series, groupBy: "service" as const, book, certificates: [], seconds };
		const found = serviceTotals(input, service);
		if (found !== undefined) points.push({ timeMs, ...found });
	});
	return points;
}
