/** The steps of a course over time, each with the sums of the series that it is of: what an edge and a service are told by. */
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import type { TopologyReader } from "../topology.ts";
import type { StepPlan } from "./plan.ts";

/** Steps without any of the series are left out. */
export function eachStep(
	reader: TopologyReader,
	plan: StepPlan,
	wanted: ReadonlySet<number>,
	visit: (totals: ReadonlyMap<number, SeriesTotals>, startMs: number) => void,
): void {
	let totals = new Map<number, SeriesTotals>();
	let stepStart = plan.fromMs;
	for (const { bucketMs, data } of reader.rollups(plan.resolutionMs, plan.fromMs, plan.toMs)) {
		if (bucketMs >= stepStart + plan.stepMs) {
			if (totals.size > 0) visit(totals, stepStart);
			totals = new Map();
			stepStart = plan.fromMs + Math.floor((bucketMs - plan.fromMs) / plan.stepMs) * plan.stepMs;
		}
		addRollups(totals, data, wanted);
	}
	if (totals.size > 0) visit(totals, stepStart);
}
