/**
 * The latency chart above the list: spans by start and duration, as dots where they are few and as a heatmap where they are many. A part
 * of it is selected with the mouse or the arrow keys; the selection is in the address.
 */
import { useEffect, useRef, useState } from "react";
import type { ReactNode, RefObject } from "react";
import type { SpanDurationsAnswer } from "../../../api/contract/traces.ts";
import { countOf, formatClock, formatCount, formatDuration } from "../../base/format.ts";
import { hrefWith, navigate, traceHref } from "../../base/router.ts";
import { timeTicks } from "../../data/chart-series.ts";
import {
	brushChange,
	cellsAfterKey,
	cellsOf,
	clearedChange,
	countIn,
	durationTicks,
	readBrush,
	shadeOf,
} from "../../data/duration-chart.ts";
import type { CellRange, Counted } from "../../data/duration-chart.ts";
import type { TraceFilter } from "../../data/trace-filter.ts";
import { DurationTable } from "./duration-table.tsx";
import { useListeners } from "../use-listeners.ts";
import { useWidth } from "../use-width.ts";

interface DurationChartProps {
	readonly params: URLSearchParams;
	readonly filter: TraceFilter;
	readonly counted: Counted;
	readonly answer: SpanDurationsAnswer;
}

const HEIGHT = 190;
const LEFT = 62;
const BOTTOM = 20;
const TOP = 6;
const DOT = 3;
/** The address follows the arrow keys once they rest. */
const SETTLE_MS = 250;

export function DurationChart(props: DurationChartProps): ReactNode {
	const { params, filter, counted, answer } = props;
	const isTable = params.get("chart") === "table";
	const comparesErrors = params.get("compare") === "errors" && !params.has("brush");
	const what = filter.edge !== "" ? "call" : counted === "root" ? "request" : "matching span";
	const set = (change: Readonly<Record<string, string | undefined>>): void => navigate(hrefWith("/traces", params, change));
	return (
		<section className="card duration-card" aria-labelledby="durations-title">
			<div className="duration-head">
				<h2 id="durations-title">
					Durations{" "}
					<span className="muted">
						{countOf(answer.spans, what)}, {countOf(answer.errors, "error")}
					</span>
				</h2>
				<div className="duration-choices">
					<label>
						Count{" "}
						<select
							value={counted}
							onChange={(event) => set({ ...clearedChange(params), spans: event.target.value })}
						>
							<option value="root">whole requests</option>
							<option value="all">every span that matches</option>
						</select>
					</label>
					{answer.errors > 0 && answer.errors < answer.spans && (
						<button
							type="button"
							aria-pressed={comparesErrors}
							onClick={() => set({ ...clearedChange(params), compare: comparesErrors ? undefined : "errors" })}
						>
							What differs in errors?
						</button>
					)}
					<button type="button" aria-pressed={isTable} onClick={() => set({ chart: isTable ? undefined : "table" })}>
						Table
					</button>
				</div>
			</div>
			{answer.searched.truncated && (
				<p className="muted">Counted from the newest on until the time was up: older spans are missing.</p>
			)}
			{answer.spans === 0 ? (
				<p className="muted">
					{counted === "root"
						? "No request of this range begins here. Count every span that matches to see the others."
						: "Nothing to draw in this range."}
				</p>
			) : isTable ? (
				<DurationTable answer={answer} />
			) : (
				<Plot {...props} />
			)}
		</section>
	);
}

/**
 * A state, and what it was set to last: events come faster than the page is drawn, and a listener that is about to be replaced by the
 * next drawing's must not go by what was drawn before.
 */
function useHeld<T>(): readonly [drawn: T | undefined, held: RefObject<T | undefined>, set: (next: T | undefined) => void] {
	const [drawn, setDrawn] = useState<T>();
	const held = useRef<T>(undefined);
	const set = (next: T | undefined): void => {
		held.current = next;
		setDrawn(next);
	};
	return [drawn, held, set];
}

function Plot({ params, filter, answer }: DurationChartProps): ReactNode {
	const frame = useRef<HTMLDivElement>(null);
	const width = useWidth(frame);
	const [drag, heldDrag, setDrag] = useHeld<{ readonly cells: CellRange; readonly fromX: number; readonly fromY: number }>();
	const [hover, setHover] = useState<CellRange>();
	const [typed, heldTyped, setTyped] = useHeld<CellRange>();
	const brush = readBrush(params.get("brush"));
	const applied = brush === undefined ? undefined : cellsOf(answer, brush);
	const selected = drag?.cells ?? typed ?? applied;
	const plot = { x: LEFT, y: TOP, width: Math.max(1, width - LEFT - 1), height: HEIGHT - TOP - BOTTOM };
	const cellWidth = plot.width / answer.columns;
	const cellHeight = plot.height / answer.rows.length;

	const apply = (cells: CellRange | undefined, replace: boolean): void =>
		navigate(
			hrefWith("/traces", params, cells === undefined ? clearedChange(params) : brushChange(params, filter, answer, cells)),
			{
				replace,
			},
		);
	useEffect(() => {
		if (typed === undefined) return undefined;
		const timer = setTimeout(() => {
			apply(typed, applied !== undefined);
			setTyped(undefined);
		}, SETTLE_MS);
		return () => clearTimeout(timer);
	});
	const onKeyDown = (event: KeyboardEvent): void => {
		if (event.key === "Escape") {
			setTyped(undefined);
			if (applied !== undefined) apply(undefined, false);
			return;
		}
		const next = cellsAfterKey(answer, heldTyped.current ?? applied, event.key, event.shiftKey);
		if (next === undefined) return;
		event.preventDefault();
		setTyped(next);
	};
	const cellAt = (event: PointerEvent): readonly [number, number] => {
		const box = frame.current!.getBoundingClientRect();
		const column = Math.floor((event.clientX - box.left - plot.x) / cellWidth);
		const row = answer.rows.length - 1 - Math.floor((event.clientY - box.top - plot.y) / cellHeight);
		return [clamp(column, answer.columns - 1), clamp(row, answer.rows.length - 1)];
	};
	const onPointerDown = (event: PointerEvent): void => {
		if (event.button !== 0) return;
		const [column, row] = cellAt(event);
		frame.current?.setPointerCapture(event.pointerId);
		const cells = { firstColumn: column, lastColumn: column, firstRow: row, lastRow: row };
		setDrag({ cells, fromX: column, fromY: row });
	};
	const onPointerMove = (event: PointerEvent): void => {
		const [column, row] = cellAt(event);
		setHover({ firstColumn: column, lastColumn: column, firstRow: row, lastRow: row });
		if (heldDrag.current === undefined) return;
		const { fromX, fromY } = heldDrag.current;
		const cells = {
			firstColumn: Math.min(fromX, column),
			lastColumn: Math.max(fromX, column),
			firstRow: Math.min(fromY, row),
			lastRow: Math.max(fromY, row),
		};
		setDrag({ cells, fromX, fromY });
	};
	const onPointerUp = (): void => {
		if (heldDrag.current === undefined) return;
		const { cells } = heldDrag.current;
		setDrag(undefined);
		const isOne = cells.firstColumn === cells.lastColumn && cells.firstRow === cells.lastRow;
		const { spans } = countIn(answer, cells);
		const point = isOne ? pointIn(answer, cells) : undefined;
		if (point !== undefined && spans === 1) navigate(traceHref(point));
		else if (isOne && spans === 0) {
			if (applied !== undefined) apply(undefined, false);
		} else apply(cells, false);
	};
	useListeners(frame, {
		keydown: onKeyDown,
		pointerdown: onPointerDown,
		pointermove: onPointerMove,
		pointerup: onPointerUp,
		pointercancel: () => setDrag(undefined),
		pointerleave: () => setHover(undefined),
	});
	const shown = drag?.cells ?? typed ?? hover ?? applied;
	return (
		<>
			<div
				ref={frame}
				className="duration-plot"
				role="application"
				tabIndex={0}
				aria-label="Latency chart. Arrow keys select a part, with Shift they extend it, Escape clears it."
				aria-describedby="durations-told"
			>
				<svg width={width} height={HEIGHT} aria-hidden="true">
					<Axes answer={answer} plot={plot} />
					<g transform={`translate(${plot.x} ${plot.y})`}>
						<Marks answer={answer} cellWidth={cellWidth} cellHeight={cellHeight} plotHeight={plot.height} />
						{selected !== undefined && (
							<rect
								className="duration-brush"
								x={selected.firstColumn * cellWidth}
								y={plot.height - (selected.lastRow + 1) * cellHeight}
								width={(selected.lastColumn - selected.firstColumn + 1) * cellWidth}
								height={(selected.lastRow - selected.firstRow + 1) * cellHeight}
							/>
						)}
					</g>
				</svg>
			</div>
			<div className="duration-foot">
				<p className="muted" id="durations-told">
					{shown === undefined ? "Drag over a part, or focus the chart and use the arrow keys." : told(answer, shown)}
				</p>
				{applied !== undefined && (
					<button type="button" onClick={() => apply(undefined, false)}>
						Clear the selection
					</button>
				)}
				<Legend isDots={answer.points !== undefined} />
			</div>
			<p className="hidden-label" role="status">
				{selected !== undefined && drag === undefined ? `Selected: ${told(answer, selected)}` : ""}
			</p>
		</>
	);
}

interface Box {
	readonly x: number;
	readonly y: number;
	readonly width: number;
	readonly height: number;
}

/** Five lines of each axis at most. */
function Axes({ answer, plot }: { readonly answer: SpanDurationsAnswer; readonly plot: Box }): ReactNode {
	const startMs = Date.parse(answer.from);
	const rangeMs = answer.columns * answer.columnMs;
	const bottom = plot.y + plot.height;
	return (
		<g className="duration-axes">
			{durationTicks(answer, 5).map(({ ns, row }) => {
				const y = bottom - (row * plot.height) / answer.rows.length;
				return (
					<g key={ns}>
						<line x1={plot.x} x2={plot.x + plot.width} y1={y} y2={y} />
						<text x={plot.x - 6} y={y} textAnchor="end">
							{formatDuration(ns)}
						</text>
					</g>
				);
			})}
			{timeTicks(startMs, startMs + rangeMs, Math.max(2, Math.floor(plot.width / 130))).map((timeMs) => (
				<text
					key={timeMs}
					x={plot.x + ((timeMs - startMs) * plot.width) / rangeMs}
					y={HEIGHT - 4}
					textAnchor={anchorAt((timeMs - startMs) / rangeMs)}
				>
					{timeText(timeMs, answer)}
				</text>
			))}
		</g>
	);
}

/** A text at an end of the axis stays within the drawing. */
function anchorAt(share: number): "start" | "middle" | "end" {
	return share < 0.04 ? "start" : share > 0.96 ? "end" : "middle";
}

interface MarksProps {
	readonly answer: SpanDurationsAnswer;
	readonly cellWidth: number;
	readonly cellHeight: number;
	readonly plotHeight: number;
}

/** One path for each shade, so that ten thousand cells are six elements. */
function Marks({ answer, cellWidth, cellHeight, plotHeight }: MarksProps): ReactNode {
	if (answer.points !== undefined) return <Dots answer={answer} {...{ cellWidth, cellHeight, plotHeight }} />;
	const most = answer.cells.reduce((greatest, [, , count]) => Math.max(greatest, count), 1);
	const shades = ["", "", "", "", "", ""];
	let errors = "";
	for (const [column, row, count, failed] of answer.cells) {
		const x = column * cellWidth;
		const y = plotHeight - (row + 1) * cellHeight;
		shades[shadeOf(count, most)] += `M${round(x)} ${round(y)}h${round(cellWidth)}v${round(cellHeight)}h${-round(cellWidth)}z`;
		if (failed > 0) errors += diamond(x + cellWidth / 2, y + cellHeight / 2, Math.min(4, Math.max(2, cellHeight / 3)));
	}
	return (
		<>
			{shades.map((path, shade) => path !== "" && <path key={shade} className={`duration-cell shade-${shade}`} d={path} />)}
			{errors !== "" && <path className="duration-error" d={errors} />}
		</>
	);
}

function Dots({ answer, cellWidth, cellHeight, plotHeight }: MarksProps): ReactNode {
	const startMs = Date.parse(answer.from);
	let fine = "";
	let failed = "";
	for (const { timeUnixNano, durationNs, isError } of answer.points ?? []) {
		const x = ((Number(timeUnixNano) / 1e6 - startMs) / answer.columnMs) * cellWidth;
		const row = answer.rows.findIndex(({ maxNs }) => durationNs <= maxNs);
		const { minNs, maxNs } = answer.rows[Math.max(0, row)]!;
		const y = plotHeight - (Math.max(0, row) + (durationNs - minNs) / Math.max(1, maxNs - minNs)) * cellHeight;
		if (isError) failed += diamond(x, y, DOT + 1.5);
		else fine += `M${round(x - DOT)} ${round(y)}a${DOT} ${DOT} 0 1 0 ${2 * DOT} 0a${DOT} ${DOT} 0 1 0 ${-2 * DOT} 0z`;
	}
	return (
		<>
			{fine !== "" && <path className="duration-dot" d={fine} />}
			{failed !== "" && <path className="duration-error" d={failed} />}
		</>
	);
}

function Legend({ isDots }: { readonly isDots: boolean }): ReactNode {
	return (
		<p className="duration-legend muted" aria-hidden="true">
			<svg width="12" height="12">
				<path className="duration-error" d={diamond(6, 6, 4.5)} />
			</svg>
			{isDots ? "error" : "has errors"}
			{!isDots && (
				<svg width="62" height="12">
					{[1, 2, 3, 4, 5].map((shade) => (
						<rect
							key={shade}
							className={`duration-cell shade-${shade}`}
							x={(shade - 1) * 12 + 1}
							width="12"
							height="12"
						/>
					))}
				</svg>
			)}
			{!isDots && "few to many"}
		</p>
	);
}

function diamond(x: number, y: number, radius: number): string {
	return `M${round(x)} ${round(y - radius)}l${radius} ${radius}l${-radius} ${radius}l${-radius} ${-radius}z`;
}

function round(value: number): number {
	return Math.round(value * 10) / 10;
}

function clamp(value: number, greatest: number): number {
	return Math.min(greatest, Math.max(0, value));
}

/** The trace of the only span in a cell, where spans are told. */
function pointIn(answer: SpanDurationsAnswer, { firstColumn, firstRow }: CellRange): string | undefined {
	const startMs = Date.parse(answer.from);
	const { minNs, maxNs } = answer.rows[firstRow]!;
	return answer.points?.find(({ timeUnixNano, durationNs }) => {
		const column = Math.floor((Number(timeUnixNano) / 1e6 - startMs) / answer.columnMs);
		return column === firstColumn && durationNs >= minNs && durationNs <= maxNs;
	})?.traceId;
}

function timeText(ms: number, { columnMs, columns }: SpanDurationsAnswer): string {
	const clock = formatClock(String(BigInt(ms) * 1_000_000n));
	if (columnMs * columns > 2 * 86_400_000)
		return new Date(ms).toLocaleDateString(undefined, { month: "short", day: "2-digit" });
	return columnMs >= 60_000 ? clock.slice(0, 5) : columnMs >= 1_000 ? clock.slice(0, 8) : clock;
}

function told(answer: SpanDurationsAnswer, cells: CellRange): string {
	const startMs = Date.parse(answer.from);
	const { spans, errors } = countIn(answer, cells);
	const at = (column: number): string => timeText(startMs + column * answer.columnMs, answer);
	const shortest = formatDuration(answer.rows[cells.firstRow]!.minNs);
	const longest = formatDuration(answer.rows[cells.lastRow]!.maxNs);
	return `${at(cells.firstColumn)} to ${at(cells.lastColumn + 1)}, ${shortest} to ${longest}: ${countOf(spans, "span")}, ${formatCount(errors)} with errors`;
}
