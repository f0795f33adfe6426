/** The chart below the window of the scrubber: traffic, errors and what was not mutual TLS, each in a lane of its own; and as a table. */
import { useRef } from "react";
import type { ReactNode } from "react";
import { formatPercent } from "../../../model/topology/mtls-status.ts";
import { formatCount, formatRate, formatSpanOfTime } from "../../base/format.ts";
import { tickText } from "../../data/graph-history.ts";
import type { HistoryBar, HistoryChart, TimeWindow } from "../../data/graph-history.ts";

interface HistoryChartProps {
	readonly chart: HistoryChart;
	readonly stepMs: number;
	readonly limits: TimeWindow;
	readonly beginsMs: number | undefined;
}

const TRAFFIC = 30;
const ERRORS = { top: 32, height: 11 };
const UNPROTECTED = { top: 45, height: 5 };
const HEIGHT = 50;
const WIDTH = 1_000;

export function HistoryChartView({ chart, stepMs, limits, beginsMs }: HistoryChartProps): ReactNode {
	const lengthMs = limits.toMs - limits.fromMs;
	const x = (ms: number): number => ((ms - limits.fromMs) / lengthMs) * WIDTH;
	const wide = (stepMs / lengthMs) * WIDTH;
	const box = (bar: HistoryBar, top: number, height: number): string =>
		`M${x(bar.timeMs).toFixed(1)} ${top.toFixed(1)}h${(wide * 0.86).toFixed(1)}v${height.toFixed(1)}h${(-wide * 0.86).toFixed(1)}z`;
	const lane = (read: (bar: HistoryBar) => string): string => chart.bars.map(read).join("");
	const worst = Math.max(chart.worst, 0.01);
	const beginsAt = beginsMs === undefined ? undefined : (beginsMs - limits.fromMs) / lengthMs;
	const begins = beginsAt !== undefined && beginsAt > 0.005 && beginsAt < 1 ? beginsAt : undefined;
	return (
		<>
			<svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={summaryOf(chart, stepMs)}>
				<path
					className="history-traffic"
					d={lane((bar) => {
						const height = Math.max(1, (TRAFFIC * bar.count) / chart.most);
						return box(bar, TRAFFIC - height, height);
					})}
				/>
				<path
					className="history-errors"
					d={lane((bar) =>
						bar.errors === 0
							? ""
							: box(bar, ERRORS.top, Math.max(1.5, (ERRORS.height * bar.errors) / bar.count / worst)),
					)}
				/>
				<path
					className="history-unprotected"
					d={lane((bar) => (bar.unprotected === 0 ? "" : box(bar, UNPROTECTED.top, UNPROTECTED.height)))}
				/>
			</svg>
			{begins !== undefined && (
				<div className="history-before" style={{ width: `${100 * begins}%` }}>
					<span>{begins > 0.2 ? `data begins ${tickText(beginsMs!, lengthMs)}` : ""}</span>
				</div>
			)}
			<span className="history-tick">{tickText(limits.fromMs, lengthMs)}</span>
			<span className="history-tick history-tick-end">{tickText(limits.toMs, lengthMs)}</span>
		</>
	);
}

function summaryOf({ bars, unit, most, worst }: HistoryChart, stepMs: number): string {
	if (bars.length === 0) return "No traffic in this stretch of history";
	const step = formatSpanOfTime(stepMs / 1_000);
	const unprotected = bars.filter((bar) => bar.unprotected > 0).length;
	return (
		`Up to ${formatCount(Math.round(most))} ${unit} in ${step}, errors up to ${formatPercent(100 * worst)}, ` +
		`${unprotected === 0 ? "nothing" : `something in ${unprotected} of ${bars.length} steps`} known to be without mutual TLS`
	);
}

/** The same figures as text. */
export function HistoryTable({ chart, stepMs }: Pick<HistoryChartProps, "chart" | "stepMs">): ReactNode {
	const dialog = useRef<HTMLDialogElement>(null);
	return (
		<>
			<button type="button" className="quiet" onClick={() => dialog.current?.showModal()}>
				As a table
			</button>
			<dialog ref={dialog} className="help card" aria-labelledby="history-table-title">
				<header>
					<h2 id="history-table-title">History in steps of {formatSpanOfTime(stepMs / 1_000)}</h2>
					<button type="button" className="quiet" onClick={() => dialog.current?.close()}>
						Close
					</button>
				</header>
				<div className="panel-scroll history-table" tabIndex={0} role="region" aria-label="History in steps">
					<table className="panel-table">
						<thead>
							<tr>
								<th scope="col">From</th>
								<th scope="col" className="number">
									{chart.unit === "requests" ? "Requests" : "Connections"}
								</th>
								<th scope="col" className="number">
									Errors
								</th>
								<th scope="col" className="number">
									Not mutual TLS
								</th>
							</tr>
						</thead>
						<tbody>
							{chart.bars.map((bar) => (
								<tr key={bar.timeMs}>
									<th scope="row">{tickText(bar.timeMs, Infinity)}</th>
									<td className="number">{formatRate(bar.count)}</td>
									<td className="number">{formatPercent((100 * bar.errors) / bar.count)}</td>
									<td className="number">
										{bar.known === 0 ? "not known" : formatPercent((100 * bar.unprotected) / bar.known)}
									</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			</dialog>
		</>
	);
}
