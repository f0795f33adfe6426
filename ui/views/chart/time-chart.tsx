/**
 * A chart over time with its table twin: the same figures drawn or listed, whole as CSV, and from each moment the ways on that the
 * page offers. The drawing is a picture to readers, with a sentence that says what it shows; everything else is text.
 */
import { lazy, Suspense, useState } from "react";
import type { ComponentType, ReactNode } from "react";
import { toCsv } from "../../base/csv.ts";
import { saveFile } from "../../base/download.ts";
import { formatUtcMs } from "../../base/format.ts";
import { Icon } from "../../base/icons.tsx";
import { Link } from "../../base/link.tsx";
import { usePageActions } from "../../base/page-actions.ts";
import { hrefWith, navigate, useLocation } from "../../base/router.ts";
import type { ChartSeries } from "../../data/chart-series.ts";
import { Mark } from "./mark.tsx";
import type { PlotProps } from "./plot.tsx";

interface TimeChartProps {
	/** In the address (`chart-NAME=table`) and the names of files. */
	readonly name: string;
	readonly title: string;
	readonly note?: ReactNode;
	/** Starts of the steps, epoch ms. */
	readonly timesMs: readonly number[];
	readonly stepMs: number;
	readonly series: readonly ChartSeries[];
	readonly format: (value: number) => string;
	/** What it means that no line has a value. */
	readonly empty?: string;
	/** Top of the value axis; undefined fits the values. */
	readonly most?: number | undefined;
	/** Where a moment leads. */
	readonly links?: (timeMs: number) => readonly { readonly label: string; readonly href: string }[];
}

/** A server that was upgraded since has the code no more: the table says the same. */
const Plot = lazy(async (): Promise<{ default: ComponentType<PlotProps> }> => {
	const loaded = await import("./plot.tsx").then(
		({ Plot: Drawn }) => Drawn,
		() => undefined,
	);
	return { default: loaded ?? NotDrawn };
});

function NotDrawn(): ReactNode {
	return <p className="muted chart-wait">The code of the chart could not be read. Show it as a table, or reload the page.</p>;
}

export function TimeChart(props: TimeChartProps): ReactNode {
	const { name, title, note, timesMs, stepMs, series, format, most, links, empty } = props;
	const { path, params } = useLocation();
	const [pickedMs, setPicked] = useState<number>();
	const parameter = `chart-${name}`;
	const isTable = params.get(parameter) === "table";
	const titleId = `${name}-chart-title`;
	const shown = series.filter(({ values }) => values.some((value) => value !== undefined));
	const save = (): void => saveFile(`meshscope-${name}.csv`, new Blob([csvOf(timesMs, series)], { type: "text/csv" }));
	usePageActions([{ key: `${name} chart csv`, label: `Export ${title} over time as CSV`, run: save }]);
	return (
		<figure className="card chart" aria-labelledby={titleId}>
			<div className="chart-head">
				<h3 id={titleId}>{title}</h3>
				<div className="exports">
					<button
						type="button"
						aria-pressed={isTable}
						aria-label={`${title} as a table`}
						onClick={() =>
							navigate(hrefWith(path, params, { [parameter]: isTable ? undefined : "table" }), { replace: true })
						}
					>
						Table
					</button>
					<button type="button" aria-label={`${title} over time as CSV`} onClick={save}>
						<Icon name="download" />
						CSV
					</button>
				</div>
			</div>
			{note !== undefined && <p className="muted chart-note">{note}</p>}
			{shown.length === 0 ? (
				<p className="muted chart-wait">{empty ?? "Nothing was measured in this range."}</p>
			) : isTable ? (
				<Twin {...props} />
			) : (
				<>
					<div
						className={links === undefined ? "chart-plot" : "chart-plot chart-picks"}
						role="img"
						aria-label={sentence(props)}
					>
						<Suspense fallback={<p className="muted chart-wait">Drawing…</p>}>
							<Plot
								{...{ timesMs, stepMs, series, format, most, pickedMs }}
								onPick={links === undefined ? undefined : setPicked}
							/>
						</Suspense>
					</div>
					<figcaption className="chart-legend">
						{series.map(({ key, title: of }, order) => (
							<span key={key}>
								<Mark order={order} /> {of}
							</span>
						))}
					</figcaption>
					{pickedMs !== undefined && links !== undefined && (
						<p className="chart-picked" role="status">
							At {formatUtcMs(pickedMs)}: <Ways links={links(pickedMs)} />
						</p>
					)}
				</>
			)}
		</figure>
	);
}

function Ways({ links }: { readonly links: readonly { readonly label: string; readonly href: string }[] }): ReactNode {
	return (
		<span className="chart-ways">
			{links.map(({ label, href }) => (
				<Link key={label} href={href}>
					{label}
				</Link>
			))}
		</span>
	);
}

/** What a reader hears: the range, and of each line its least, greatest and last value. */
function sentence({ title, timesMs, series, format }: TimeChartProps): string {
	const lines = series.map(({ title: of, values }) => {
		const known = values.filter((value) => value !== undefined);
		if (known.length === 0) return `${of} not measured`;
		return `${of} from ${format(Math.min(...known))} to ${format(Math.max(...known))}, last ${format(known.at(-1)!)}`;
	});
	const range = `${formatUtcMs(timesMs[0] ?? NaN)} to ${formatUtcMs(timesMs.at(-1) ?? NaN)}`;
	return `${title} from ${range}: ${lines.join("; ")}. The table has every figure.`;
}

function Twin({ title, timesMs, series, format, links }: TimeChartProps): ReactNode {
	return (
		<div className="table-scroll chart-twin" tabIndex={0} role="region" aria-label={`${title} over time, table`}>
			<table>
				<thead>
					<tr>
						<th scope="col">From</th>
						{series.map(({ key, title: of }) => (
							<th key={key} scope="col" className="number">
								{of}
							</th>
						))}
						{links !== undefined && <th scope="col">Look closer</th>}
					</tr>
				</thead>
				<tbody>
					{timesMs.map((timeMs, i) => (
						<tr key={timeMs}>
							<th scope="row">{formatUtcMs(timeMs)}</th>
							{series.map(({ key, values }) => (
								<td key={key} className="number">
									{values[i] === undefined ? "–" : format(values[i])}
								</td>
							))}
							{links !== undefined && (
								<td>
									<Ways links={links(timeMs)} />
								</td>
							)}
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

function csvOf(timesMs: readonly number[], series: readonly ChartSeries[]): string {
	return toCsv(
		["time", ...series.map(({ key }) => key)],
		timesMs.map((timeMs, i) => [new Date(timeMs).toISOString(), ...series.map(({ values }) => values[i])]),
	);
}
