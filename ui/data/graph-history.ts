/**
 * The window of time that the graph shows, on a longer stretch of stored history: how it is moved, stretched and played, and what the
 * chart below it is drawn from. Pure; times are epoch ms.
 */
import type { GraphHistoryAnswer, MeshPointAnswer } from "../../api/contract/topology.ts";
import { msFromTimeNs, parseMoment } from "../../model/time.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** Stretches on offer; the key is their place in the address. */
export const HISTORY_RANGES = [
	{ key: "1h", label: "Last hour", lengthMs: HOUR_MS },
	{ key: "24h", label: "Last 24 hours", lengthMs: DAY_MS },
	{ key: "7d", label: "Last 7 days", lengthMs: 7 * DAY_MS },
	{ key: "30d", label: "Last 30 days", lengthMs: 30 * DAY_MS },
] as const;
export type HistoryRange = (typeof HISTORY_RANGES)[number];

/** Steps a second. */
export const SPEEDS = [1, 2, 4] as const;
export type Speed = (typeof SPEEDS)[number];

export interface TimeWindow {
	readonly fromMs: number;
	readonly toMs: number;
}

export interface HistorySettings {
	readonly isShown: boolean;
	/** Undefined for what contains the window. */
	readonly range: HistoryRange | undefined;
	/** Undefined at rest. */
	readonly speed: Speed | undefined;
}

export function readHistorySettings(params: URLSearchParams): HistorySettings {
	const history = params.get("history");
	return {
		isShown: history !== "off",
		range: HISTORY_RANGES.find(({ key }) => key === history),
		speed: SPEEDS.find((speed) => String(speed) === params.get("play")),
	};
}

/** What the address says of time, as moments; undefined where it says nothing that can be read. */
export function windowOf({ from, to }: { readonly from: string; readonly to: string }, nowMs: number): TimeWindow | undefined {
	const start = parseMoment(from, nowMs);
	const end = to === "" ? undefined : parseMoment(to, nowMs);
	if (start === undefined || (to !== "" && end === undefined)) return undefined;
	const window = { fromMs: msFromTimeNs(start), toMs: end === undefined ? nowMs : msFromTimeNs(end) };
	return window.fromMs < window.toMs ? window : undefined;
}

/** The shortest stretch up to now in which the window lies, three times as long where there is one. */
export function rangeFor(window: TimeWindow | undefined, nowMs: number): HistoryRange {
	const reach = window === undefined ? 0 : nowMs - window.fromMs;
	const length = window === undefined ? 0 : window.toMs - window.fromMs;
	return (
		HISTORY_RANGES.find(({ lengthMs }) => lengthMs >= reach && lengthMs >= 3 * length) ??
		HISTORY_RANGES.find(({ lengthMs }) => lengthMs >= reach) ??
		HISTORY_RANGES.at(-1)!
	);
}

/** `2026-01-01T12:00:00Z`, as it stands in the address. */
export function momentText(ms: number): string {
	return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** A window lies on whole steps, so that a bar of the chart is either in it or not. */
export function movedTo(window: TimeWindow, fromMs: number, stepMs: number, limits: TimeWindow): TimeWindow {
	const length = Math.max(SECOND_MS, window.toMs - window.fromMs);
	const highest = Math.max(limits.fromMs, limits.toMs - length);
	const start = Math.min(highest, Math.max(limits.fromMs, Math.round(fromMs / stepMs) * stepMs));
	return { fromMs: start, toMs: Math.min(limits.toMs, start + length) };
}

/** One end is moved, the other stays; at least a step remains. */
export function stretched(window: TimeWindow, end: "from" | "to", toMs: number, stepMs: number, limits: TimeWindow): TimeWindow {
	const at = Math.round(toMs / stepMs) * stepMs;
	return end === "from"
		? { ...window, fromMs: Math.max(limits.fromMs, Math.min(at, window.toMs - stepMs)) }
		: { ...window, toMs: Math.min(limits.toMs, Math.max(at, window.fromMs + stepMs)) };
}

/** The next window of a play; undefined at the end of history. */
export function played(window: TimeWindow, stepMs: number, limits: TimeWindow): TimeWindow | undefined {
	if (window.toMs >= limits.toMs) return undefined;
	return movedTo(window, window.fromMs + stepMs, stepMs, limits);
}

/** Where a play begins: where the window is, or as early as there is anything when it is at the end. */
export function playStart(window: TimeWindow, stepMs: number, limits: TimeWindow, beginsMs: number | undefined): TimeWindow {
	if (window.toMs < limits.toMs - stepMs) return window;
	return movedTo(window, Math.max(limits.fromMs, beginsMs ?? limits.fromMs), stepMs, limits);
}

export interface HistoryBar {
	readonly timeMs: number;
	/** Requests, or connections where the mesh has nothing else. */
	readonly count: number;
	readonly errors: number;
	/** Counted without mutual TLS: plaintext, one-way TLS, mixed. */
	readonly unprotected: number;
	/** Counted with a status that is known; by another witness than `count` at times, so neither is a share of the other. */
	readonly known: number;
}

export interface HistoryChart {
	readonly unit: "requests" | "connections";
	readonly bars: readonly HistoryBar[];
	/** The greatest count, at least 1. */
	readonly most: number;
	/** The greatest share of errors of a bar, 0 to 1. */
	readonly worst: number;
}

/** Units are never added up: connections are drawn only of a mesh without requests. */
export function chartOf({ points }: Pick<GraphHistoryAnswer, "points">): HistoryChart {
	const unit = points.some(({ requests }) => requests > 0) ? "requests" : "connections";
	const read = (point: MeshPointAnswer): HistoryBar => {
		const mtls = unit === "requests" ? point.requestMtls : point.connectionMtls;
		const unprotected = mtls.plaintext + mtls.none + mtls.tls + mtls.mixed;
		return {
			timeMs: Date.parse(point.time),
			count: point[unit],
			errors: unit === "requests" ? point.errors : point.connectionErrors,
			...{ unprotected, known: unprotected + mtls.mutual_tls },
		};
	};
	const bars = points.map(read).filter(({ count }) => count > 0);
	return {
		unit,
		bars,
		most: Math.max(1, ...bars.map(({ count }) => count)),
		worst: Math.max(0, ...bars.map(({ count, errors }) => errors / count)),
	};
}

const dayAndTime = new Intl.DateTimeFormat(undefined, {
	...{ weekday: "short", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
});
const timeAlone = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const timeOfDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** `Wed, Nov 25, 14:03 to 14:18` in the reader's zone; with seconds where the window is shorter than ten minutes. */
export function windowText({ fromMs, toMs }: TimeWindow): string {
	const isShort = toMs - fromMs < 10 * MINUTE_MS;
	const isOneDay = new Date(fromMs).toDateString() === new Date(toMs).toDateString();
	const end = isOneDay ? (isShort ? timeAlone : timeOfDay).format(toMs) : dayAndTime.format(toMs);
	return `${isShort && isOneDay ? timeAlone.format(fromMs) : dayAndTime.format(fromMs)} to ${end}`;
}

/** `14:03`, and with its day where the stretch has several. */
export function tickText(ms: number, lengthMs: number): string {
	return (lengthMs <= DAY_MS ? timeOfDay : dayAndTime).format(ms);
}
