/** Percentiles over time as three lines, told apart by their dashes as well as by colour; the same figures as a table below. */
import type { ReactNode } from "react";
import type { EdgeAnswer } from "../../../api/contract/topology.ts";
import { errorsText, msText } from "../../data/graph-words.ts";

const WIDTH = 360;
const HEIGHT = 120;
const LEFT = 46;
const BOTTOM = 18;
const LINES = ["p50", "p95", "p99"] as const;

type Point = EdgeAnswer["series"][number];

export function LatencySeries({ points }: { readonly points: readonly Point[] }): ReactNode {
	const measured = points.filter((point) => point.latencyMs !== undefined);
	if (measured.length === 0) return undefined;
	const times = measured.map(({ time }) => Date.parse(time));
	const [first, last] = [Math.min(...times), Math.max(...times)];
	const most = niceCeiling(Math.max(...measured.map(({ latencyMs }) => latencyMs!.p99)));
	const x = (time: number): number => LEFT + (last === first ? 0.5 : (time - first) / (last - first)) * (WIDTH - LEFT - 6);
	const y = (ms: number): number => 6 + (1 - ms / most) * (HEIGHT - BOTTOM - 6);
	const summary = `Latency from ${measured[0]!.time} to ${measured.at(-1)!.time}, up to ${msText(Math.max(...measured.map(({ latencyMs }) => latencyMs!.p99)))}`;
	return (
		<figure className="panel-chart">
			<svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={summary}>
				{[0, 0.5, 1].map((share) => (
					<g key={share}>
						<line className="chart-grid" x1={LEFT} x2={WIDTH - 6} y1={y(most * share)} y2={y(most * share)} />
						<text className="chart-text" x={LEFT - 5} y={y(most * share) + 4} textAnchor="end">
							{share === 0 ? "0" : msText(most * share)}
						</text>
					</g>
				))}
				{LINES.map((line) => (
					<g key={line} className={`chart-line chart-${line}`}>
						<polyline points={measured.map((point, i) => `${x(times[i]!)},${y(point.latencyMs![line])}`).join(" ")} />
						{measured.length === 1 && <circle cx={x(times[0]!)} cy={y(measured[0]!.latencyMs![line])} r="3" />}
					</g>
				))}
				<text className="chart-text" x={LEFT} y={HEIGHT - 4}>
					{clock(first)}
				</text>
				<text className="chart-text" x={WIDTH - 6} y={HEIGHT - 4} textAnchor="end">
					{clock(last)}
				</text>
			</svg>
			<figcaption className="chart-keys">
				{LINES.map((line) => (
					<span key={line}>
						<svg viewBox="0 0 22 6" width="22" height="6" aria-hidden="true" className={`chart-line chart-${line}`}>
							<polyline points="0,3 22,3" />
						</svg>
						{line}
					</span>
				))}
			</figcaption>
			<details>
				<summary>Latency over time as a table</summary>
				<div className="panel-scroll" tabIndex={0} role="region" aria-label="Latency over time">
					<table className="panel-table">
						<thead>
							<tr>
								<th scope="col">Time</th>
								{[...LINES, "Errors"].map((title) => (
									<th key={title} scope="col" className="number">
										{title}
									</th>
								))}
							</tr>
						</thead>
						<tbody>
							{points.map((point) => (
								<tr key={point.time}>
									<th scope="row">{clock(Date.parse(point.time))}</th>
									{LINES.map((line) => (
										<td key={line} className="number">
											{msText(point.latencyMs?.[line])}
										</td>
									))}
									<td className="number">{errorsText(point)}</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			</details>
		</figure>
	);
}

const clockFormat = new Intl.DateTimeFormat(undefined, {
	hour: "2-digit",
	minute: "2-digit",
	second: "2-digit",
	hourCycle: "h23",
});

function clock(ms: number): string {
	return clockFormat.format(ms);
}

/** 1, 2 or 5 times a power of ten, at or above `value`. */
function niceCeiling(value: number): number {
	const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
	return (value <= power ? 1 : value <= 2 * power ? 2 : value <= 5 * power ? 5 : 10) * power;
}
