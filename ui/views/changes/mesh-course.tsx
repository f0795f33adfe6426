/** The course of the whole mesh from the earlier window to the end of the later one: any moment of it can be compared with what was before. */
import type { ReactNode } from "react";
import type { GraphDiffAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { formatRate } from "../../base/format.ts";
import { useMeshHistory } from "../../data/audit-queries.ts";
import { bothWindows } from "../../data/change-sides.ts";
import { everyStep, percentTop } from "../../data/chart-series.ts";
import { momentLinks } from "../chart/moment-links.ts";
import { TimeChart } from "../chart/time-chart.tsx";

export function MeshCourse({ diff }: { readonly diff: GraphDiffAnswer }): ReactNode {
	const history = useMeshHistory(bothWindows(diff), false);
	// The table says what changed; that its context could not be read is no reason to hide it.
	if (history.data === undefined) return undefined;
	const { timesMs, points, lengthsMs } = everyStep(history.data);
	const { stepMs } = history.data;
	const common = { timesMs, stepMs, links: momentLinks(history.data) };
	const errors = points.map((point) =>
		point === undefined || point.requests === 0 ? 0 : (100 * point.errors) / point.requests,
	);
	return (
		<div className="charts">
			<TimeChart
				name="mesh-rate"
				title="Whole mesh: rate"
				series={[
					{
						key: "rate",
						title: "Requests a second",
						values: points.map((point, i) => ((point?.requests ?? 0) * 1_000) / lengthsMs[i]!),
					},
				]}
				format={(value) => `${formatRate(value)}/s`}
				{...common}
			/>
			<TimeChart
				name="mesh-errors"
				title="Whole mesh: errors"
				series={[
					{
						key: "errors",
						title: "Failed, of all requests",
						values: errors,
					},
				]}
				format={formatPercent}
				most={percentTop(errors)}
				{...common}
			/>
		</div>
	);
}
