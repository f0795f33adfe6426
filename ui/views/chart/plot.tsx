/** The drawing of a chart over time, and the only file that knows the charting library: it is fetched when a chart is first shown. */
import type { ReactNode } from "react";
import { CartesianGrid, Line, LineChart, ReferenceLine, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";
import { formatUtcMs } from "../../base/format.ts";
import { axisTime, timeTicks } from "../../data/chart-series.ts";
import type { ChartSeries } from "../../data/chart-series.ts";
import { Mark, strokeOf } from "./mark.tsx";

export interface PlotProps {
	readonly timesMs: readonly number[];
	readonly stepMs: number;
	readonly series: readonly ChartSeries[];
	readonly format: (value: number) => string;
	/** Top of the value axis; undefined fits the values. */
	readonly most: number | undefined;
	readonly pickedMs: number | undefined;
	readonly onPick: ((timeMs: number) => void) | undefined;
}

const HEIGHT = 190;
const MARGIN = { top: 8, right: 12, bottom: 0, left: 0 };
const TICKS = 6;

export function Plot({ timesMs, stepMs, series, format, most, pickedMs, onPick }: PlotProps): ReactNode {
	const [first = 0, last = 0] = [timesMs[0], timesMs.at(-1)];
	const rangeMs = last - first + stepMs;
	const rows = timesMs.map((timeMs, i) => ({ timeMs, i }));
	return (
		<div ref={withoutStops}>
			<ResponsiveContainer width="100%" height={HEIGHT} initialDimension={{ width: 480, height: HEIGHT }}>
				<LineChart
					data={rows}
					margin={MARGIN}
					accessibilityLayer={false}
					onClick={({ activeLabel }) => {
						if (activeLabel !== undefined) onPick?.(Number(activeLabel));
					}}
				>
					<CartesianGrid vertical={false} stroke="var(--line)" />
					<XAxis
						type="number"
						dataKey="timeMs"
						domain={[first, Math.max(last, first + 1)]}
						ticks={[...timeTicks(first, last, TICKS)]}
						tickFormatter={(timeMs: number) => axisTime(timeMs, rangeMs)}
						stroke="var(--line-strong)"
						tick={{ fill: "var(--text-3)", fontSize: 11 }}
					/>
					<YAxis
						width={62}
						domain={[0, most ?? "auto"]}
						tickFormatter={format}
						tickCount={4}
						stroke="var(--line-strong)"
						tick={{ fill: "var(--text-3)", fontSize: 11 }}
					/>
					<Tooltip
						isAnimationActive={false}
						cursor={{ stroke: "var(--line-strong)" }}
						content={<Values {...{ timesMs, series, format }} />}
					/>
					{pickedMs !== undefined && <ReferenceLine x={pickedMs} stroke="var(--text)" strokeDasharray="3 3" />}
					{series.map(({ key, values }, order) => (
						<Line
							key={key}
							type="linear"
							dataKey={({ i }: (typeof rows)[number]) => values[i]}
							isAnimationActive={false}
							connectNulls={false}
							fill="none"
							strokeWidth={2}
							{...strokeOf(order)}
							activeDot={false}
							dot={lonePoints(values, order)}
						/>
					))}
				</LineChart>
			</ResponsiveContainer>
		</div>
	);
}

/**
 * The library draws its layers through portals. React listens on each of them, for focus too, and a browser takes an element of SVG that
 * somebody listens to so for a stop of the Tab key: five a chart, with nothing to do and no size. The table has the figures for keys.
 */
function withoutStops(frame: HTMLDivElement | null): (() => void) | undefined {
	if (frame === null) return undefined;
	const mend = (): void => {
		for (const layer of frame.querySelectorAll("g[class^='recharts-zIndex-layer']:not([tabindex])"))
			layer.setAttribute("tabindex", "-1");
	};
	mend();
	const observer = new MutationObserver(mend);
	observer.observe(frame, { childList: true, subtree: true });
	return () => observer.disconnect();
}

interface DotProps {
	readonly cx?: number;
	readonly cy?: number;
	readonly index?: number;
}

/** A line needs two points: one between two gaps would not be seen. */
function lonePoints(values: readonly (number | undefined)[], order: number): (props: DotProps) => ReactNode {
	return ({ cx, cy, index = -1 }) => {
		const isLone = values[index] !== undefined && values[index - 1] === undefined && values[index + 1] === undefined;
		if (!isLone || cx === undefined || cy === undefined) return null;
		return <circle key={index} cx={cx} cy={cy} r={3} fill={strokeOf(order).stroke} />;
	};
}

type ValuesProps = Pick<PlotProps, "timesMs" | "series" | "format"> & {
	/** Of the library: whether the pointer is over a step, and which. */
	readonly active?: boolean;
	readonly label?: string | number;
};

function Values({ active, label, timesMs, series, format }: ValuesProps): ReactNode {
	const i = timesMs.indexOf(Number(label));
	const timeMs = timesMs[i];
	if (active !== true || timeMs === undefined) return null;
	return (
		<div className="chart-values">
			<strong>{formatUtcMs(timeMs)}</strong>
			{series.map(({ key, title, values }, order) => (
				<span key={key}>
					<Mark order={order} /> {title} <b>{values[i] === undefined ? "–" : format(values[i])}</b>
				</span>
			))}
		</div>
	);
}
