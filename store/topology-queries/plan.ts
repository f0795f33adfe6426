/**
 * Which roll-ups a window is added up from: fine ones at its tips, coarse ones inside, so that neither an hour nor a quarter reads more
 * than some two hundred buckets.
 */
import { RESOLUTIONS_MS, type ResolutionMs } from "../../model/topology/series.ts";

export interface Piece {
	readonly resolutionMs: ResolutionMs;
	readonly fromMs: number;
	readonly toMs: number;
}

export interface WindowPlan {
	/** What is answered: the asked range, widened to whole buckets. */
	readonly fromMs: number;
	readonly toMs: number;
	/** Of the tips. */
	readonly resolutionMs: ResolutionMs;
	/** Without gaps or overlaps. */
	readonly pieces: readonly Piece[];
}

/** Start of the oldest bucket of a width; undefined when there is none. */
export type Oldest = (resolutionMs: ResolutionMs) => number | undefined;

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

export function planWindow(fromMs: number, toMs: number, oldest: Oldest): WindowPlan {
	const rangeMs = toMs - fromMs;
	const finest = rangeMs <= 3 * HOUR_MS ? 10_000 : rangeMs <= 2 * DAY_MS ? MINUTE_MS : HOUR_MS;
	const resolutionMs = kept(finest, fromMs, oldest);
	const from = floorTo(fromMs, resolutionMs);
	const to = Math.max(ceilTo(toMs, resolutionMs), from + resolutionMs);
	return { fromMs: from, toMs: to, resolutionMs, pieces: piecesOf(from, to, RESOLUTIONS_MS.indexOf(resolutionMs)) };
}

/** The finest width from `wanted` on of which the range's buckets are still kept: fine ones are removed first. */
function kept(wanted: ResolutionMs, fromMs: number, oldest: Oldest): ResolutionMs {
	const widths = RESOLUTIONS_MS.filter((width) => width >= wanted);
	const found = widths.find((width, i) => {
		const own = oldest(width);
		// Buckets that a coarser width has, and this one has not, were removed; before both there was nothing.
		return !widths.slice(i + 1).some((coarser) => {
			const start = oldest(coarser);
			return start !== undefined && (own === undefined || start + coarser <= own) && fromMs < (own ?? Infinity);
		});
	});
	return found ?? DAY_MS;
}

/** When the oldest thing that is kept began, as finely as a bucket tells that still has it. */
export function beginningOf(oldest: Oldest): number | undefined {
	let beginning: { readonly startMs: number; readonly endMs: number } | undefined;
	for (const width of RESOLUTIONS_MS.toReversed()) {
		const startMs = oldest(width);
		if (startMs !== undefined && (beginning === undefined || startMs < beginning.endMs))
			beginning = { startMs: Math.max(startMs, beginning?.startMs ?? startMs), endMs: startMs + width };
	}
	return beginning?.startMs;
}

/** Whole buckets of each width inside, and of the next finer one at both ends. */
function piecesOf(fromMs: number, toMs: number, level: number): readonly Piece[] {
	const resolutionMs = RESOLUTIONS_MS[level]!;
	const coarser = RESOLUTIONS_MS[level + 1];
	const whole = [{ resolutionMs, fromMs, toMs }];
	if (coarser === undefined) return whole;
	const innerFrom = ceilTo(fromMs, coarser);
	const innerTo = floorTo(toMs, coarser);
	if (innerFrom >= innerTo) return whole;
	return [
		{ resolutionMs, fromMs, toMs: innerFrom },
		...piecesOf(innerFrom, innerTo, level + 1),
		{ resolutionMs, fromMs: innerTo, toMs },
	].filter((piece) => piece.fromMs < piece.toMs);
}

export interface StepPlan {
	readonly fromMs: number;
	readonly toMs: number;
	readonly stepMs: number;
	/** Divides the step. */
	readonly resolutionMs: ResolutionMs;
}

/** Steps that people read, and the machine can make of whole buckets. */
const STEPS_MS = [10_000, MINUTE_MS, 5 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS, 7 * DAY_MS];
const WANTED: StepWishes = { lengthsMs: STEPS_MS, steps: 120, buckets: 400 };
/** Most buckets that are read for the steps of one edge, or of the mesh. */
export const MAX_STEP_BUCKETS = 1_500;
/**
 * Of the whole mesh: an hour by the minute, a day by ten minutes, a week by the hour. An engine keeps ten minutes that are past as one
 * sum, so that each step reads little more than one row.
 */
export const MESH_STEPS: StepWishes = {
	lengthsMs: STEPS_MS.filter((step) => step !== 5 * MINUTE_MS),
	steps: 180,
	buckets: MAX_STEP_BUCKETS,
};

/** What a step that nobody asked for is picked by: the first length that makes no more steps and needs no more buckets. */
export interface StepWishes {
	readonly lengthsMs: readonly number[];
	readonly steps: number;
	readonly buckets: number;
}

/** @param askedMs a whole number of 10 s; undefined picks one. Undefined when it would take more than {@link MAX_STEP_BUCKETS}. */
export function planSteps(
	fromMs: number,
	toMs: number,
	askedMs: number | undefined,
	oldest: Oldest,
	wanted = WANTED,
): StepPlan | undefined {
	const rangeMs = toMs - fromMs;
	const stepMs =
		askedMs ??
		wanted.lengthsMs.find((step) => rangeMs / step <= wanted.steps && rangeMs / widthOf(step) <= wanted.buckets) ??
		STEPS_MS.at(-1)!;
	const resolutionMs = kept(widthOf(stepMs), fromMs, oldest);
	if (rangeMs / resolutionMs > MAX_STEP_BUCKETS) return undefined;
	// A step that the buckets still kept do not divide becomes the next that they do.
	const actualMs = ceilTo(stepMs, resolutionMs);
	return { fromMs: floorTo(fromMs, actualMs), toMs: ceilTo(toMs, actualMs), stepMs: actualMs, resolutionMs };
}

/** The coarsest buckets that a step is a whole number of. */
function widthOf(stepMs: number): ResolutionMs {
	return RESOLUTIONS_MS.findLast((width) => stepMs % width === 0) ?? RESOLUTIONS_MS[0];
}

function floorTo(timeMs: number, widthMs: number): number {
	return Math.floor(timeMs / widthMs) * widthMs;
}

function ceilTo(timeMs: number, widthMs: number): number {
	return Math.ceil(timeMs / widthMs) * widthMs;
}
