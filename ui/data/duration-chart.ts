/**
 * The latency chart above the trace list, without the DOM: what it asks for, where its cells lie, and the part of it that is selected.
 * A selection is made of whole cells, whose bounds are asked for as they are: the list finds exactly the spans that are selected.
 */
import type { SpanDurationsAnswer } from "../../api/contract/traces.ts";
import { parseDuration } from "../../model/time.ts";
import type { TraceFilter } from "./trace-filter.ts";
import { searchQuery } from "./trace-filter.ts";

/** Columns and rows of an answer, both ends included. */
export interface CellRange {
	readonly firstColumn: number;
	readonly lastColumn: number;
	readonly firstRow: number;
	readonly lastRow: number;
}

/** A part of the chart as it stands in the address, whatever the columns of the answer. */
export interface Brush {
	/** Epoch ms, inclusive and exclusive. */
	readonly fromMs: number;
	readonly toMs: number;
	/** Both inclusive. */
	readonly minNs: number;
	readonly maxNs: number;
}

export type Counted = "root" | "all";

/** Without a choice in the address: whole requests, unless the filters ask for spans inside of them. */
export function countedSpans(params: URLSearchParams, filter: TraceFilter): Counted {
	const chosen = params.get("spans");
	if (chosen === "root" || chosen === "all") return chosen;
	const { service, operation, mtls, edge, attributes } = filter;
	return service === "" && operation === "" && mtls === "" && edge === "" && attributes.length === 0 ? "root" : "all";
}

/** The API's query string without a limit, of all spans that the chart counts. */
export function spansQuery(filter: TraceFilter, counted: Counted): URLSearchParams {
	const query = new URLSearchParams(searchQuery(filter));
	query.delete("limit");
	if (counted === "root") query.set("root", "true");
	return query;
}

export function durationsQuery(filter: TraceFilter, counted: Counted): string {
	const query = spansQuery(filter, counted);
	query.set("columns", "160");
	return query.toString();
}

/** The filter of the list while a part of the chart is selected. */
export function brushedQuery(filter: TraceFilter, counted: Counted, brush: Brush): string {
	const minNs = parseDuration(filter.minDuration);
	const maxNs = parseDuration(filter.maxDuration);
	const narrowed = {
		...filter,
		from: String(brush.fromMs),
		to: String(brush.toMs),
		minDuration: `${minNs !== undefined && minNs > BigInt(brush.minNs) ? minNs : brush.minNs}ns`,
		maxDuration: `${maxNs !== undefined && maxNs < BigInt(brush.maxNs) ? maxNs : brush.maxNs}ns`,
	};
	return searchQuery(narrowed) + (counted === "root" ? "&root=true" : "");
}

export function readBrush(text: string | null): Brush | undefined {
	const numbers = /^(\d{1,15})-(\d{1,15}),(\d{1,20})-(\d{1,20})$/
		.exec(text ?? "")
		?.slice(1)
		.map(Number);
	if (numbers === undefined) return undefined;
	const [fromMs, toMs, minNs, maxNs] = numbers as [number, number, number, number];
	return fromMs < toMs && minNs <= maxNs && maxNs <= Number.MAX_SAFE_INTEGER ? { fromMs, toMs, minNs, maxNs } : undefined;
}

export function writeBrush({ fromMs, toMs, minNs, maxNs }: Brush): string {
	return `${fromMs}-${toMs},${minNs}-${maxNs}`;
}

export type Grid = Pick<SpanDurationsAnswer, "from" | "columnMs" | "columns" | "rows" | "cells">;

/**
 * What the address says of a selection: it pins the range to the columns of the chart, so that it says the same tomorrow, and
 * remembers the relative range that was.
 */
export function brushChange(params: URLSearchParams, filter: TraceFilter, grid: Grid, cells: CellRange): Record<string, string> {
	const startMs = Date.parse(grid.from);
	const isRelative = filter.to === "" && filter.from.startsWith("now");
	const was = params.get("was") ?? (isRelative ? filter.from : "");
	return {
		brush: writeBrush(brushOf(grid, cells)),
		from: new Date(startMs).toISOString(),
		to: new Date(startMs + grid.columns * grid.columnMs).toISOString(),
		was,
	};
}

/** Back to the range that was. */
export function clearedChange(params: URLSearchParams): Record<string, string | undefined> {
	const was = params.get("was");
	return { brush: undefined, was: undefined, ...(was === null ? {} : { from: was, to: undefined }) };
}

export function brushOf(grid: Grid, { firstColumn, lastColumn, firstRow, lastRow }: CellRange): Brush {
	const startMs = Date.parse(grid.from);
	return {
		fromMs: startMs + firstColumn * grid.columnMs,
		toMs: startMs + (lastColumn + 1) * grid.columnMs,
		minNs: grid.rows[firstRow]!.minNs,
		maxNs: grid.rows[lastRow]!.maxNs,
	};
}

/** The cells that a brush covers; undefined where it covers none. */
export function cellsOf(grid: Grid, brush: Brush): CellRange | undefined {
	const startMs = Date.parse(grid.from);
	const firstColumn = Math.max(0, Math.floor((brush.fromMs - startMs) / grid.columnMs));
	const lastColumn = Math.min(grid.columns, Math.ceil((brush.toMs - startMs) / grid.columnMs)) - 1;
	const firstRow = grid.rows.findIndex(({ maxNs }) => maxNs >= brush.minNs);
	const lastRow = grid.rows.findLastIndex(({ minNs }) => minNs <= brush.maxNs);
	if (firstRow < 0 || lastRow < firstRow || lastColumn < firstColumn) return undefined;
	return { firstColumn, lastColumn, firstRow, lastRow };
}

export function countIn(grid: Grid, cells: CellRange): { readonly spans: number; readonly errors: number } {
	let spans = 0;
	let errors = 0;
	for (const [column, row, count, failed] of grid.cells) {
		if (column < cells.firstColumn || column > cells.lastColumn || row < cells.firstRow || row > cells.lastRow) continue;
		spans += count;
		errors += failed;
	}
	return { spans, errors };
}

/** Where a selection by keyboard begins: the newest and slowest quarter. */
export function firstCells({ columns, rows }: Grid): CellRange {
	return {
		firstColumn: Math.floor((columns * 3) / 4),
		lastColumn: columns - 1,
		firstRow: Math.floor((rows.length * 3) / 4),
		lastRow: rows.length - 1,
	};
}

const STEPS: Readonly<Record<string, readonly [columns: number, rows: number]>> = {
	ArrowLeft: [-1, 0],
	ArrowRight: [1, 0],
	ArrowUp: [0, 1],
	ArrowDown: [0, -1],
};

/** Moved by one cell, or with `extend` its last column and highest row are; undefined for other keys. */
export function cellsAfterKey(grid: Grid, cells: CellRange | undefined, key: string, extend: boolean): CellRange | undefined {
	const step = STEPS[key];
	if (step === undefined || grid.rows.length === 0) return undefined;
	if (cells === undefined) return firstCells(grid);
	const [firstColumn, lastColumn] = moved(cells.firstColumn, cells.lastColumn, step[0], grid.columns, extend);
	const [firstRow, lastRow] = moved(cells.firstRow, cells.lastRow, step[1], grid.rows.length, extend);
	return { firstColumn, lastColumn, firstRow, lastRow };
}

function moved(first: number, last: number, step: number, count: number, extend: boolean): readonly [number, number] {
	if (extend) return [first, Math.min(count - 1, Math.max(first, last + step))];
	return first + step < 0 || last + step >= count ? [first, last] : [first + step, last + step];
}

/** Shades of a cell, 1 to 5, by the logarithm of its count. */
export function shadeOf(count: number, most: number): number {
	return most <= 1 ? 3 : 1 + Math.min(4, Math.floor((5 * Math.log(count)) / (Math.log(most) + 1e-9)));
}

export interface DurationTick {
	readonly ns: number;
	/** Where it lies, in rows from the lowest. */
	readonly row: number;
}

/** Round durations within the rows, which rise by equal factors: powers of ten, and between them halves where those are too few. */
export function durationTicks({ rows }: Pick<Grid, "rows">, most: number): readonly DurationTick[] {
	const [lowest, highest] = [rows[0]?.minNs ?? 0, (rows.at(-1)?.maxNs ?? 0) + 1];
	if (rows.length === 0 || highest <= lowest) return [];
	const from = Math.max(lowest, 1);
	const offered = TICK_STEPS.map((steps) => ticksOf(steps, from, highest));
	const chosen = offered.findLast((ticks) => ticks.length <= most) ?? offered[0]!.filter((_, i) => i % 2 === 0);
	if (chosen.length === 0) return [{ ns: Number(lowest.toPrecision(2)), row: 0 }];
	return chosen.map((ns) => ({ ns, row: rowAt(rows, ns) }));
}

/** Of each power of ten. */
const TICK_STEPS: readonly (readonly number[])[] = [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 8]];

function ticksOf(steps: readonly number[], fromNs: number, toNs: number): readonly number[] {
	const ticks: number[] = [];
	for (let power = 10 ** Math.floor(Math.log10(fromNs)); power <= toNs; power *= 10)
		ticks.push(...steps.map((step) => step * power).filter((ns) => ns >= fromNs && ns <= toNs));
	return ticks;
}

function rowAt(rows: Grid["rows"], ns: number): number {
	const row = rows.findIndex(({ maxNs }) => maxNs >= ns);
	if (row < 0) return rows.length;
	const { minNs, maxNs } = rows[row]!;
	return row + Math.max(0, (ns - minNs) / (maxNs + 1 - minNs));
}
