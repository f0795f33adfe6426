/**
 * Times of metric points as SQLite keeps them: its integers end at 2^63, an OTLP time at 2^64.
 */

export const MAX_INT64 = (1n << 63n) - 1n;

/** Nanoseconds, inclusive and exclusive. */
export interface TimeRange {
	readonly fromNs: bigint;
	readonly toNs: bigint;
}

export function clampTime(timeNs: bigint): bigint {
	return timeNs > MAX_INT64 ? MAX_INT64 : timeNs;
}

/** The range as SQLite compares it, both ends inclusive: one that reaches past its integers takes in the clamped times. */
export function stored({ fromNs, toNs }: TimeRange): { readonly first: bigint; readonly last: bigint } {
	return { first: fromNs < 0n ? 0n : clampTime(fromNs), last: toNs <= 0n ? -1n : clampTime(toNs - 1n) };
}
