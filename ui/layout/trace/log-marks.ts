/** Where log records stand in a waterfall: at the row of the span that they name, at their own time. Free of the DOM. */
import type { LogEntry } from "../../../api/contract/logs.ts";
import { shorten } from "../../base/format.ts";
import { barOf } from "../timeline.ts";
import type { Viewport } from "../timeline.ts";
import type { Waterfall } from "../waterfall.ts";

export type LogWeight = "info" | "warn" | "error";

export interface LogMark {
	/** Index of the record. */
	readonly log: number;
	/** Of the whole waterfall. */
	readonly row: number;
	/** From the trace's start; a record from before or after the trace, by another clock, stands at its end. */
	readonly atNs: number;
	readonly weight: LogWeight;
	readonly text: string;
}

/** Marks that would cover each other are drawn as one. */
export interface DrawnMark {
	/** Percent of the viewport. */
	readonly left: number;
	/** The first of the heaviest. */
	readonly mark: LogMark;
	readonly count: number;
}

const WEIGHTS: readonly LogWeight[] = ["info", "warn", "error"];
const TEXT_CHARACTERS = 160;
/** Percent of the viewport. */
const LEAST_GAP = 1.2;

/** Of severity numbers: OTLP groups them by four, from 1 for the finest trace. */
export function weightOf({ severityNumber }: Pick<LogEntry, "severityNumber">): LogWeight {
	return severityNumber >= 17 ? "error" : severityNumber >= 13 ? "warn" : "info";
}

/** Nanoseconds since the epoch, decimal; a record without a time of its own has that of its observation, and `0` stands for none. */
export function logTime(log: Pick<LogEntry, "timeUnixNano" | "observedTimeUnixNano">): string {
	const time = /^0*$/.test(log.timeUnixNano) ? log.observedTimeUnixNano : log.timeUnixNano;
	return /^\d+$/.test(time) ? time : "0";
}

export function bodyText(body: unknown): string {
	return typeof body === "string" ? body : (JSON.stringify(body) ?? "");
}

/** By row of the whole, in order of time; records that name no span of the trace have none. @param logs oldest first */
export function logMarks(waterfall: Waterfall, logs: readonly LogEntry[]): ReadonlyMap<number, readonly LogMark[]> {
	const byRow = new Map<number, LogMark[]>();
	for (const [i, log] of logs.entries()) {
		const row = log.spanId === "" ? -1 : waterfall.rowOfSpan(log.spanId);
		if (row < 0) continue;
		const sinceNs = Number(BigInt(logTime(log)) - waterfall.startNs);
		const atNs = Math.max(0, Math.min(waterfall.durationNs, sinceNs));
		const mark = { log: i, row, atNs, weight: weightOf(log), text: shorten(bodyText(log.body), TEXT_CHARACTERS) };
		const others = byRow.get(row);
		if (others === undefined) byRow.set(row, [mark]);
		else others.push(mark);
	}
	return byRow;
}

/** The same by rows that stand for several. @param rowOf of each row of the whole, the one that shows it */
export function gatheredMarks(
	marks: ReadonlyMap<number, readonly LogMark[]>,
	rowOf: Uint32Array,
): ReadonlyMap<number, readonly LogMark[]> {
	const gathered = new Map<number, LogMark[]>();
	for (const [row, own] of marks) {
		const others = gathered.get(rowOf[row]!);
		if (others === undefined) gathered.set(rowOf[row]!, [...own]);
		else others.push(...own);
	}
	for (const own of gathered.values()) own.sort((a, b) => a.atNs - b.atNs || a.log - b.log);
	return gathered;
}

/** @param marks of one row, in order of time */
export function drawnMarks(marks: readonly LogMark[], view: Viewport): readonly DrawnMark[] {
	const drawn: { left: number; mark: LogMark; count: number }[] = [];
	for (const mark of marks) {
		const left = barOf(view, mark.atNs, 0)?.left;
		if (left === undefined) continue;
		const last = drawn.at(-1);
		if (last === undefined || left - last.left >= LEAST_GAP) {
			drawn.push({ left, mark, count: 1 });
			continue;
		}
		last.count++;
		if (WEIGHTS.indexOf(mark.weight) > WEIGHTS.indexOf(last.mark.weight)) last.mark = mark;
	}
	return drawn;
}

/** `3 log records, 1 of them an error`; empty for none. */
export function recordsText(marks: readonly LogMark[]): string {
	if (marks.length === 0) return "";
	const errors = marks.filter(({ weight }) => weight === "error").length;
	const all = marks.length === 1 ? "1 log record" : `${marks.length} log records`;
	if (errors === 0) return all;
	if (marks.length === 1) return "1 log record, an error";
	return `${all}, ${errors === marks.length ? "all" : errors} of them ${errors === 1 ? "an error" : "errors"}`;
}
