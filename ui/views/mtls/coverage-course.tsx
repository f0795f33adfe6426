/** Coverage over time: how much was mutual TLS, and what was not, step by step. Units are never added up. */
import type { ReactNode } from "react";
import type { GraphHistoryAnswer } from "../../../api/contract/topology.ts";
import { formatPercent, mtlsPercent } from "../../../model/topology/mtls-status.ts";
import { formatRate } from "../../base/format.ts";
import { useMeshHistory } from "../../data/audit-queries.ts";
import { everyStep, withoutFalls } from "../../data/chart-series.ts";
import type { ChartSeries, Steps } from "../../data/chart-series.ts";
import { MTLS_WORDS } from "../../data/mtls-words.ts";
import { momentLinks } from "../chart/moment-links.ts";
import { TimeChart } from "../chart/time-chart.tsx";
import { ErrorNotice } from "../notice.tsx";

/** In the order in which they call for somebody. */
const WITHOUT = ["plaintext", "none", "tls", "mixed", "unknown"] as const;
export function CoverageCourse({ query, live }: { readonly query: string; readonly live: boolean }): ReactNode {
	const history = useMeshHistory(query, live);
	if (history.isError) return <ErrorNotice error={history.error} what="Coverage over time could not be read." />;
	if (history.data === undefined) return <p className="muted">Reading the history…</p>;
	return <Course history={history.data} />;
}

function Course({ history }: { readonly history: GraphHistoryAnswer }): ReactNode {
	const steps = everyStep(history);
	const { timesMs, points } = steps;
	const hasConnections = points.some((point) => point !== undefined && point.connections > 0);
	const openConnections = withoutMtls(steps, history.stepMs, (status) =>
		points.map((point) => point?.connectionMtls[status] ?? 0),
	);
	const links = momentLinks(history, { path: "/mtls", label: "Edges of this moment" });
	const common = { timesMs, stepMs: history.stepMs, links };
	return (
		<div className="charts">
			<TimeChart
				name="coverage"
				title="Coverage"
				note="Share of mutual TLS among what is known."
				most={100}
				series={[
					{
						key: "requests_percent",
						title: "Requests",
						values: points.map((point) => point && mtlsPercent(point.requestMtls)),
					},
					...(hasConnections
						? [
								{
									key: "connections_percent",
									title: "TCP connections",
									values: points.map((point) => point && mtlsPercent(point.connectionMtls)),
								},
							]
						: []),
				]}
				format={formatPercent}
				{...common}
			/>
			<TimeChart
				name="unprotected"
				title="Requests without mutual TLS"
				note="Counted, so that one request in a million is seen."
				series={withoutMtls(steps, history.stepMs, (status) => points.map((point) => point?.requestMtls[status] ?? 0))}
				format={formatRate}
				empty="None: every request in this range was mutual TLS."
				{...common}
			/>
			{openConnections.length > 0 && (
				<TimeChart
					name="unprotected-tcp"
					title="TCP connections without mutual TLS"
					series={openConnections}
					format={formatRate}
					{...common}
				/>
			)}
		</div>
	);
}

/** A line for each status that was met. */
function withoutMtls(
	steps: Steps<unknown>,
	stepMs: number,
	read: (status: (typeof WITHOUT)[number]) => readonly number[],
): readonly ChartSeries[] {
	return WITHOUT.flatMap((status) => {
		const values = read(status);
		if (!values.some((value) => value > 0)) return [];
		return [{ key: status, title: MTLS_WORDS[status], values: withoutFalls(steps, stepMs, values) }];
	});
}
