/** Times, durations and quantities as people read them. Pure: the clock and the zone are parameters where they matter. */
import { formatDuration, msFromTimeNs, timeNs } from "../../model/time.ts";

export { formatDuration };

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const calendar = new Intl.DateTimeFormat(undefined, { month: "short", day: "2-digit" });

/** `14:03:07.215` in the reader's zone. */
export function formatClock(unixNano: string): string {
	const ms = msOf(unixNano);
	return ms === undefined ? "no time" : `${clock.format(ms)}.${String(((ms % 1_000) + 1_000) % 1_000).padStart(3, "0")}`;
}

/** `Nov 23` in the reader's zone. */
export function formatDay(unixNano: string): string {
	const ms = msOf(unixNano);
	return ms === undefined ? "" : calendar.format(ms);
}

/** `2026-11-23T14:03:07.215123456Z`: every digit, for copying and comparing. */
export function formatUtc(unixNano: string): string {
	const ms = msOf(unixNano);
	if (ms === undefined) return `${unixNano} ns`;
	return new Date(ms).toISOString().replace(/\.\d+Z$/, `.${(BigInt(unixNano) % 1_000_000_000n).toString().padStart(9, "0")}Z`);
}

/** `2026-11-23 14:03:07Z`: what two people in two zones read as the same moment. */
export function formatUtcMs(ms: number): string {
	return Number.isFinite(ms) && Math.abs(ms) <= MAX_DATE_MS
		? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}Z`
		: "no time";
}

// ECMAScript's range of a Date.
const MAX_DATE_MS = 8.64e15;

function msOf(unixNano: string): number | undefined {
	if (!/^\d{1,20}$/.test(unixNano) || unixNano === "0") return undefined;
	const ms = msFromTimeNs(timeNs(BigInt(unixNano)));
	return ms <= MAX_DATE_MS ? ms : undefined;
}

const grouped = new Intl.NumberFormat("en-US");

/** `12,345`. */
export function formatCount(count: number): string {
	return grouped.format(count);
}

/** `812`, `1.2k`, `3.4M`: for places where the exact figure stands elsewhere. */
export function formatRate(perSecond: number): string {
	if (perSecond >= 1_000_000) return `${Number((perSecond / 1_000_000).toPrecision(3))}M`;
	if (perSecond >= 10_000) return `${Number((perSecond / 1_000).toPrecision(3))}k`;
	return grouped.format(Number(perSecond.toPrecision(3)));
}

const BYTE_UNITS: readonly string[] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `1.5 MiB`. */
export function formatBytes(bytes: number): string {
	let value = bytes;
	let unit = 0;
	while (Math.abs(value) >= 1_024 && unit < BYTE_UNITS.length - 1) {
		value /= 1_024;
		unit++;
	}
	return `${Number(value.toPrecision(3))} ${BYTE_UNITS[unit]}`;
}

/** `3d 4h`, `2h 5m`, `41s`: an uptime or a retention. */
export function formatSpanOfTime(seconds: number): string {
	const parts: readonly (readonly [number, string])[] = [
		[Math.floor(seconds / 86_400), "d"],
		[Math.floor(seconds / 3_600) % 24, "h"],
		[Math.floor(seconds / 60) % 60, "m"],
		[Math.floor(seconds) % 60, "s"],
	];
	const shown = parts.filter(([value]) => value > 0).slice(0, 2);
	return shown.length === 0 ? "0s" : shown.map(([value, unit]) => `${value}${unit}`).join(" ");
}

/** `1 span`, `2 spans`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
	return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Control characters but tab and line break, direction marks, and what has no width: they can make a name read as another. */
const DECEIVING = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/g;

/** A sender's text with every character that would not show, or would reorder others, written as `<U+202E>`. */
export function visible(text: string): string {
	return text.replace(DECEIVING, (char) => `<U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

/** A sender's text as {@link visible}, cut to `max` characters: a name of a megabyte must not become a row of one. */
export function shorten(text: string, max = 200): string {
	return visible(text.length <= max ? text : `${text.slice(0, max)}…`);
}

/** What stands where a span says no service. */
export function serviceLabel(name: string): string {
	return name === "" ? "(no service)" : shorten(name);
}

/** `+1.2 ms`, `-340 µs`: a moment as seen from another. */
export function fromStart(ns: number): string {
	return ns < 0 ? `-${formatDuration(-ns)}` : ns === 0 ? "+0" : `+${formatDuration(ns)}`;
}
