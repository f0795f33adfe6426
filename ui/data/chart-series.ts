/** Points of the API made ready for a chart: every step of the range has its place, so that a gap is seen as one. Pure. */

/** One line of a chart; undefined where nothing was measured. */
export interface ChartSeries {
	/** In exports. */
	readonly key: string;
	readonly title: string;
	readonly values: readonly (number | undefined)[];
}

export interface Steps<Point> {
	/** Starts, epoch ms, rising. */
	readonly timesMs: readonly number[];
	/** As many; undefined where the answer left a step out, since nothing was seen in it. */
	readonly points: readonly (Point | undefined)[];
	/** As many: how much of each step was observed. Of the last one, often a part: its count would read as a fall. */
	readonly lengthsMs: readonly number[];
}

interface Course<Point> {
	readonly window: { readonly from: string; readonly to: string; readonly flushed?: string | undefined };
	readonly stepMs: number;
	readonly points: readonly Point[];
}

/** The API answers at most some 1,500 steps. */
const MAX_STEPS = 2_000;
/** A rate over less would be a rush or nothing, by chance. */
const LEAST_MS = 1_000;

/** Steps that have not begun yet, and those after the last flush, are none. */
export function everyStep<Point extends { readonly time: string }>({ window, stepMs, points }: Course<Point>): Steps<Point> {
	const byTime = new Map(points.map((point) => [Date.parse(point.time), point]));
	const endMs = Math.min(Date.parse(window.to), window.flushed === undefined ? Infinity : Date.parse(window.flushed));
	const timesMs: number[] = [];
	for (let timeMs = Date.parse(window.from); timeMs < endMs && timesMs.length < MAX_STEPS; timeMs += stepMs)
		timesMs.push(timeMs);
	return {
		timesMs,
		points: timesMs.map((timeMs) => byTime.get(timeMs)),
		lengthsMs: timesMs.map((timeMs) => Math.max(LEAST_MS, Math.min(stepMs, endMs - timeMs))),
	};
}

/** Counts without that of the step that goes on, where it is less than the one before: a part of a step tells of a rise, never of a fall. */
export function withoutFalls(
	{ lengthsMs }: Steps<unknown>,
	stepMs: number,
	values: readonly number[],
): readonly (number | undefined)[] {
	return values.map((value, i) => (lengthsMs[i]! < stepMs && value < (values[i - 1] ?? 0) ? undefined : value));
}

/** Top of an axis of percentages: an axis of 105 % would be read as one that can be reached, and one without any needs some height. */
export function percentTop(values: readonly (number | undefined)[]): number | undefined {
	const most = values.reduce<number>((max, value) => Math.max(max, value ?? 0), 0);
	return most > 50 ? 100 : most === 0 ? 1 : undefined;
}

/** `12:04`, or `11-25 12:00` in a chart of more than a day; UTC, as all tables are. */
export function axisTime(timeMs: number, rangeMs: number): string {
	const iso = new Date(timeMs).toISOString();
	if (rangeMs <= 600_000) return iso.slice(11, 19);
	return rangeMs <= 86_400_000 ? iso.slice(11, 16) : `${iso.slice(5, 10)} ${iso.slice(11, 16)}`;
}

/** Distances of marks that people read. */
const TICK_STEPS_MS = [10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 604_800].map(
	(seconds) => seconds * 1_000,
);

/** At most `most` round moments within the range. */
export function timeTicks(fromMs: number, toMs: number, most: number): readonly number[] {
	const step = TICK_STEPS_MS.find((each) => (toMs - fromMs) / each <= most) ?? (toMs - fromMs) / most;
	const ticks: number[] = [];
	for (let tick = Math.ceil(fromMs / step) * step; tick <= toMs; tick += step) ticks.push(tick);
	return ticks;
}
