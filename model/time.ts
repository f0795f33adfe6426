/**
 * Times and durations at the borders: branded bigint nanoseconds.
 *
 * A bigint costs about 50 ns and an allocation to mint, so the hot path keeps hi/lo 32-bit halves or float64 offsets
 * and only mints these where an answer leaves the process.
 */

declare const timeNsBrand: unique symbol;
declare const durationNsBrand: unique symbol;

/** Nanoseconds since the Unix epoch. */
export type TimeNs = bigint & { readonly [timeNsBrand]: true };
/** A span of nanoseconds; negative where a sender's clock ran backwards. */
export type DurationNs = bigint & { readonly [durationNsBrand]: true };

export const NS_PER_MS = 1_000_000n;
export const MAX_TIME_NS = ((1n << 63n) - 1n) as TimeNs;
const MIN_TIME_NS = -(1n << 63n);

export function timeNs(value: bigint): TimeNs {
	return value as TimeNs;
}

export function durationNs(value: bigint): DurationNs {
	return value as DurationNs;
}

export function timeNsFromMs(ms: number): TimeNs {
	return (BigInt(Math.floor(ms)) * NS_PER_MS) as TimeNs;
}

/** Truncates; safe for any time a JavaScript Date can hold. */
export function msFromTimeNs(time: TimeNs): number {
	return Number(time / NS_PER_MS);
}

const UNIT_NS: Readonly<Record<string, bigint>> = {
	ns: 1n,
	us: 1_000n,
	µs: 1_000n,
	ms: 1_000_000n,
	s: 1_000_000_000n,
	m: 60_000_000_000n,
	h: 3_600_000_000_000n,
	d: 86_400_000_000_000n,
	w: 604_800_000_000_000n,
};

/**
 * Reads a duration as people write it: `250ms`, `1.5s`, `7d`, `1h30m`. Returns undefined when it is none.
 * A bare number is refused: its unit would be a guess.
 */
export function parseDuration(text: string): DurationNs | undefined {
	const part = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)/gy;
	let total = 0n;
	let at = 0;
	for (let match = part.exec(text); match !== null; match = part.exec(text)) {
		at = part.lastIndex;
		const unit = UNIT_NS[match[2]!]!;
		const [whole, fraction = ""] = match[1]!.split(".");
		total += BigInt(whole!) * unit;
		if (fraction !== "") total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
	}
	return at === text.length && text !== "" ? (total as DurationNs) : undefined;
}

/**
 * Reads a moment: `now`, `now-1h`, `now+5m`, RFC 3339, or epoch milliseconds. Returns undefined when it is none of them,
 * and for what 64 bits of nanoseconds do not hold (before 1677, after 2262): no stored time can be compared with it.
 * @param nowMs the clock, epoch milliseconds
 */
export function parseMoment(text: string, nowMs: number): TimeNs | undefined {
	const moment = readMoment(text, nowMs);
	return moment === undefined || moment > MAX_TIME_NS || moment < MIN_TIME_NS ? undefined : (moment as TimeNs);
}

function readMoment(text: string, nowMs: number): bigint | undefined {
	if (text === "now") return timeNsFromMs(nowMs);
	if (text.startsWith("now-") || text.startsWith("now+")) {
		const duration = parseDuration(text.slice(4));
		if (duration === undefined) return undefined;
		const now = timeNsFromMs(nowMs);
		return text[3] === "-" ? now - duration : now + duration;
	}
	if (/^\d{1,16}$/.test(text)) return BigInt(text) * NS_PER_MS;
	const rfc = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/.exec(text);
	if (rfc === null) return undefined;
	const local = `${rfc[1]!}T${rfc[2]!}`;
	const localMs = Date.parse(`${local}Z`);
	// `Date.parse` takes 30 February as 1 March and hour 24 as the next day: only what is written back the same way exists.
	if (Number.isNaN(localMs) || !new Date(localMs).toISOString().startsWith(local)) return undefined;
	const wholeMs = Date.parse(local + rfc[4]!.toUpperCase());
	return Number.isNaN(wholeMs) ? undefined : BigInt(wholeMs) * NS_PER_MS + BigInt((rfc[3] ?? "").padEnd(9, "0"));
}

/** `1.2 ms`, `340 µs`, `3.05 s`: three significant digits, the unit that keeps them readable. */
export function formatDuration(ns: number): string {
	const abs = Math.abs(ns);
	if (abs < 1_000) return `${ns} ns`;
	// The limits are where three digits round up to a thousand of the unit.
	if (abs < 999_500) return `${Number((ns / 1_000).toPrecision(3))} µs`;
	if (abs < 999_500_000) return `${Number((ns / 1_000_000).toPrecision(3))} ms`;
	return `${Number((ns / 1_000_000_000).toPrecision(4))} s`;
}
