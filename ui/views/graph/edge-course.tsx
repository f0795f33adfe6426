/** An edge over time: its latency, and its errors when it has any; each moment leads to the requests of it. */
import type { ReactNode } from "react";
import type { EdgeAnswer } from "../../../api/contract/topology.ts";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { compareHref, tracesHref } from "../../base/router.ts";
import { everyStep, percentTop } from "../../data/chart-series.ts";
import { msText } from "../../data/graph-words.ts";
import { comparedAroundMs } from "../chart/moment-links.ts";
import { TimeChart } from "../chart/time-chart.tsx";

interface EdgeCourseProps {
	readonly id: string;
	readonly answer: EdgeAnswer;
}

export function EdgeLatencyCourse({ id, answer }: EdgeCourseProps): ReactNode {
	const { timesMs, points } = everyStep({ ...answer, points: answer.series });
	return (
		<TimeChart
			name="edge-latency"
			title="Percentiles"
			series={(["p50", "p95", "p99"] as const).map((of) => ({
				key: `${of}_ms`,
				title: of,
				values: points.map((point) => point?.latencyMs?.[of]),
			}))}
			format={(ms) => (ms === 0 ? "0" : msText(ms))}
			{...{ timesMs, stepMs: answer.stepMs, links: linksOf(id, answer) }}
		/>
	);
}

export function EdgeErrorCourse({ id, answer }: EdgeCourseProps): ReactNode {
	const { timesMs, points } = everyStep({ ...answer, points: answer.series });
	const values = points.map((point) => 100 * (point?.errorRatio ?? 0));
	return (
		<TimeChart
			name="edge-errors"
			title="Errors"
			series={[{ key: "errors", title: "Failed, of all requests", values }]}
			format={formatPercent}
			most={percentTop(values)}
			{...{ timesMs, stepMs: answer.stepMs, links: linksOf(id, answer, { status: "error" }) }}
		/>
	);
}

function linksOf(edge: string, { window, stepMs }: EdgeAnswer, more: Readonly<Record<string, string>> = {}) {
	return (timeMs: number): readonly { readonly label: string; readonly href: string }[] => {
		const [from, to] = [new Date(timeMs).toISOString(), new Date(timeMs + stepMs).toISOString()];
		return [
			{ label: "Traces of this moment", href: tracesHref({ edge, ...more, from, to }) },
			{ label: "Compare before and after", href: compareHref(timeMs, comparedAroundMs(stepMs), Date.parse(window.to)) },
		];
	};
}
