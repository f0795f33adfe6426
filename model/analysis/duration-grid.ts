/**
 * A latency heatmap: spans counted by steps of time and rows of duration, four rows a doubling. Rows never depend on the data, so that
 * the bounds of a row, asked for as durations, find exactly the spans that it counts.
 */
import { bucketBoundsNs, histogramIndex, MAX_BUCKET } from "../topology/histogram.ts";

/** Rows are eight buckets of the latency histograms: 2^(8/32), 19 % wide. */
const BUCKETS_A_ROW = 8;
/** Row 0 is what took a nanosecond or less. */
const ROWS = (MAX_BUCKET + 1) / BUCKETS_A_ROW + 1;

export function durationRow(ns: number): number {
	return Math.floor(histogramIndex(ns) / BUCKETS_A_ROW) + 1;
}

/** Shortest and longest duration of a row, whole nanoseconds. */
export function durationRowBounds(row: number): { readonly minNs: number; readonly maxNs: number } {
	const first = (row - 1) * BUCKETS_A_ROW;
	if (first < 0) return { minNs: 0, maxNs: 1 };
	return {
		minNs: Math.floor(bucketBoundsNs(first)[0]) + 1,
		maxNs: Math.floor(bucketBoundsNs(first + BUCKETS_A_ROW - 1)[1]),
	};
}

/** Steps that people read, in ms. */
const STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500]
	.concat([1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1_000))
	.concat([1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000))
	.concat([1, 2, 3, 6, 12, 24].map((hours) => hours * 3_600_000));

export interface SpanPoint {
	readonly traceId: string;
	readonly timeUnixNano: string;
	readonly durationNs: number;
	readonly isError: boolean;
}

/** Column, row (both from 0), spans, errors among them. */
export type GridCell = readonly [column: number, row: number, count: number, errors: number];

export interface DurationGridAnswer {
	/** Start of column 0, at or before that of the range. */
	readonly fromMs: number;
	readonly columnMs: number;
	readonly columns: number;
	/** Lowest first; of no span none. */
	readonly rows: readonly { readonly minNs: number; readonly maxNs: number }[];
	/** Those that count any. */
	readonly cells: readonly GridCell[];
	readonly spans: number;
	readonly errors: number;
	/** Every span by itself, where they are few; in no order. */
	readonly points: readonly SpanPoint[] | undefined;
}

/** More are only counted. */
export const MAX_POINTS = 1_000;

export class DurationGrid {
	readonly fromMs: number;
	/** As `fromMs`; times are told relative to it. */
	readonly fromNs: bigint;
	private readonly columnMs: number;
	private readonly columns: number;
	/** Count and errors of each cell, row by row. */
	private readonly counts: Uint32Array;
	private readonly errorCounts: Uint32Array;
	private points: SpanPoint[] | undefined = [];
	private spans = 0;
	private errors = 0;

	/** @param columns most of them; some are joined so that steps are round */
	constructor(range: { readonly fromNs: bigint; readonly toNs: bigint }, columns: number) {
		const fromMs = Number(range.fromNs / 1_000_000n);
		const toMs = Number((range.toNs + 999_999n) / 1_000_000n);
		const fits = (step: number): boolean => Math.ceil(toMs / step) - Math.floor(fromMs / step) <= columns;
		const days = Math.ceil((toMs - fromMs) / 86_400_000 / Math.max(1, columns - 1));
		this.columnMs = STEPS_MS.find(fits) ?? Math.max(1, days) * 86_400_000;
		this.fromMs = Math.floor(fromMs / this.columnMs) * this.columnMs;
		this.fromNs = BigInt(this.fromMs) * 1_000_000n;
		this.columns = Math.max(1, Math.ceil((toMs - this.fromMs) / this.columnMs));
		this.counts = new Uint32Array(this.columns * ROWS);
		this.errorCounts = new Uint32Array(this.columns * ROWS);
	}

	/** @param sinceNs start of the span after {@link fromNs}; exact up to 104 days */
	add(sinceNs: number, durationNs: number, isError: boolean, traceId: () => string): void {
		const column = Math.min(this.columns - 1, Math.max(0, Math.floor(sinceNs / (this.columnMs * 1e6))));
		const cell = durationRow(durationNs) * this.columns + column;
		this.counts[cell]!++;
		this.spans++;
		if (isError) {
			this.errorCounts[cell]!++;
			this.errors++;
		}
		if (this.points === undefined) return;
		if (this.points.length >= MAX_POINTS) this.points = undefined;
		else {
			const timeUnixNano = String(this.fromNs + BigInt(Math.round(sinceNs)));
			this.points.push({ traceId: traceId(), timeUnixNano, durationNs, isError });
		}
	}

	answer(): DurationGridAnswer {
		const { columns, counts, errorCounts } = this;
		let first = ROWS;
		let last = -1;
		const found: [number, number, number, number][] = [];
		for (let cell = 0; cell < counts.length; cell++) {
			if (counts[cell] === 0) continue;
			const row = Math.floor(cell / columns);
			first = Math.min(first, row);
			last = row;
			found.push([cell % columns, row, counts[cell]!, errorCounts[cell]!]);
		}
		for (const cell of found) cell[1] -= first;
		return {
			fromMs: this.fromMs,
			columnMs: this.columnMs,
			columns,
			rows: Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => durationRowBounds(first + i)),
			cells: found,
			spans: this.spans,
			errors: this.errors,
			points: this.points,
		};
	}
}
