/** A service step by step, both ways: the same figures as of the whole range, from the merged histograms of its edges. */
import { serviceTotals } from "../../model/topology/service-traffic.ts";
import type { ServicePoint } from "../store.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { StepPlan } from "./plan.ts";
import { eachStep } from "./steps.ts";
import { withDims } from "./window-sums.ts";

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
		// The step that the present lies in is not over: its rate is by the seconds that were observed.
		const seconds = Math.max(1_000, Math.min(plan.stepMs, flushedMs - timeMs)) / 1_000;
		const input = { series: withDims(totals, known), groupBy: "service" as const, book, certificates: [], seconds };
		const found = serviceTotals(input, service);
		if (found !== undefined) points.push({ timeMs, ...found });
	});
	return points;
}
