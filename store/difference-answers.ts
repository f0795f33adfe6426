/** What differs between selected spans and the others of a search: part of the contract of store.ts, which is what others import. */
import type { Difference } from "../model/analysis/trace-features.ts";
import type { SearchedInfo, SpanQuery, StatusFilter } from "./record-answers.ts";

/** Of each side; a share told of so many is exact to 3 %. */
export const COMPARED_TRACES = 1_000;

/** Which of the spans that meet a query are selected: all of it must hold. Of a query by edge, durations are those of its hops. */
export interface SpanSelection {
	/** Start, inclusive and exclusive. */
	readonly fromNs?: bigint;
	readonly toNs?: bigint;
	/** Both inclusive. */
	readonly minDurationNs?: bigint;
	readonly maxDurationNs?: bigint;
	readonly status?: StatusFilter;
}

export interface DifferencesQuery extends SpanQuery {
	readonly selection: SpanSelection;
	/** Differences; 1 to 200. */
	readonly limit: number;
}

export interface ComparedSide {
	/** Spans that meet the query. */
	readonly spans: number;
	/** Traces of theirs: about, where not all were compared. A trace with a selected span is a selected one. */
	readonly traces: number;
	readonly compared: number;
}

export interface DifferencesResult {
	readonly selected: ComparedSide;
	readonly others: ComparedSide;
	/** What is certainly more frequent in selected traces, by how much it is at least. */
	readonly differences: readonly Difference[];
	readonly searched: SearchedInfo;
}

const STATUS_CODES = { unset: 0, ok: 1, error: 2 } as const;

/** @param sinceNs start of the span after the query's range begins */
export function isSelected(
	{ selection, fromNs: originNs }: DifferencesQuery,
	sinceNs: number,
	durationNs: number,
	statusCode: number,
): boolean {
	const { fromNs, toNs, minDurationNs, maxDurationNs, status } = selection;
	return (
		(fromNs === undefined || sinceNs >= Number(fromNs - originNs)) &&
		(toNs === undefined || sinceNs < Number(toNs - originNs)) &&
		(minDurationNs === undefined || durationNs >= Number(minDurationNs)) &&
		(maxDurationNs === undefined || durationNs <= Number(maxDurationNs)) &&
		(status === undefined || statusCode === STATUS_CODES[status])
	);
}
