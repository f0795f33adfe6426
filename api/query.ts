/**
 * Reads query strings: every parameter is known by name, every fault names the parameter and the fix, every bound names its cap.
 *
 * Values are text until here and go to the reader untouched: no pattern language, no SQL, no path is ever made of them.
 */
import { MeshscopeError } from "../model/errors.ts";
import { parseTraceId, type TraceId } from "../model/ids.ts";
import { type DurationNs, MAX_TIME_NS, parseDuration, parseMoment, type TimeNs } from "../model/time.ts";
import type { AttributeFilter } from "../store/store.ts";
import { CAPS } from "./contract/common.ts";

/** Parameters of one request by name. A Map, since a name may be `__proto__`. */
export type Parameters = ReadonlyMap<string, readonly string[]>;

export interface ParameterRule {
	readonly name: string;
	readonly repeatable: boolean;
}

const DAY_NS = 86_400_000_000_000n;

/** @throws MeshscopeError `invalid_argument` for an unknown, repeated or empty parameter. */
export function readParameters(search: string, rules: readonly ParameterRule[]): Parameters {
	const parameters = new Map<string, string[]>();
	for (const [name, value] of new URLSearchParams(search)) {
		const rule = rules.find((candidate) => candidate.name === name);
		if (rule === undefined) throw unknownParameter(name, rules);
		if (value === "") throw invalid(name, `\`${name}\` is empty; leave it out to match everything`);
		const values = parameters.get(name);
		if (values === undefined) parameters.set(name, [value]);
		else if (rule.repeatable) values.push(value);
		else throw invalid(name, `\`${name}\` is given more than once`);
	}
	return parameters;
}

export function single(parameters: Parameters, name: string): string | undefined {
	return parameters.get(name)?.[0];
}

/** @throws MeshscopeError `invalid_argument`, naming what is allowed. */
export function oneOf<const T extends string>(parameters: Parameters, name: string, allowed: readonly T[]): T | undefined {
	const value = single(parameters, name);
	if (value === undefined) return undefined;
	const found = allowed.find((candidate) => candidate === value);
	if (found === undefined) throw invalid(name, `\`${name}\` is ${quoted(value)}; it takes ${allowed.join(", ")}`);
	return found;
}

export function durationParameter(parameters: Parameters, name: string): DurationNs | undefined {
	const value = single(parameters, name);
	if (value === undefined) return undefined;
	const duration = parseDuration(value);
	if (duration === undefined) {
		throw invalid(name, `\`${name}\` is ${quoted(value)}; write a duration with its unit, such as 250ms, 1.5s or 1h30m`);
	}
	return duration;
}

export function traceIdOf(text: string, name: string): TraceId {
	const id = parseTraceId(text);
	if (id === undefined) throw invalid(name, `\`${name}\` is ${quoted(text)}; a trace ID is 1 to 32 hex digits, not all zero`);
	return id;
}

export function edgeIdOf(text: string, name: string): string {
	const id = text.toLowerCase();
	if (/^[0-9a-f]{16}$/.test(id)) return id;
	throw invalid(name, `\`${name}\` is ${quoted(text)}; an edge ID is 16 hex digits, as /api/v1/graph tells them`);
}

/** @throws MeshscopeError `invalid_argument`, or `query_too_broad` beyond the cap. */
export function limitOf(parameters: Parameters, fallback: number, cap: number, name = "limit"): number {
	const value = single(parameters, name);
	if (value === undefined) return fallback;
	if (!/^\d+$/.test(value) || /^0+$/.test(value)) {
		throw invalid(name, `\`${name}\` is ${quoted(value)}; it takes a whole number from 1 to ${cap}`);
	}
	const limit = Number(value);
	if (limit > cap) throw tooBroad(name, `\`${name}\` is ${clipped(value)}; the cap is ${cap}`, cap);
	return limit;
}

export interface TimeRange {
	readonly fromNs: TimeNs;
	readonly toNs: TimeNs;
}

/** `from` (default an hour ago) and `to` (default now). */
export function timeRange(parameters: Parameters, nowMs: number, capDays: number): TimeRange {
	const fromNs = moment(parameters, "from", "now-1h", nowMs);
	const toNs = moment(parameters, "to", "now", nowMs);
	if (fromNs >= toNs) throw invalid("from", "`from` must lie before `to`");
	if (toNs - fromNs > BigInt(capDays) * DAY_NS) {
		throw tooBroad("from", `the range from \`from\` to \`to\` is longer than the cap of ${capDays} days`, `${capDays}d`);
	}
	return { fromNs, toNs };
}

export function momentParameter(parameters: Parameters, name: string, nowMs: number): TimeNs | undefined {
	const value = single(parameters, name);
	return value === undefined ? undefined : readMoment(name, value, nowMs);
}

function moment(parameters: Parameters, name: string, fallback: string, nowMs: number): TimeNs {
	return readMoment(name, single(parameters, name) ?? fallback, nowMs);
}

function readMoment(name: string, value: string, nowMs: number): TimeNs {
	const time = parseMoment(value, nowMs);
	if (time === undefined) {
		throw invalid(name, `\`${name}\` is ${quoted(value)}; write RFC 3339, epoch milliseconds, or relative such as now-1h`);
	}
	if (time < 0n || time > MAX_TIME_NS) throw invalid(name, `\`${name}\` is ${quoted(value)}, which lies outside 1970 to 2262`);
	return time;
}

/** `step`, where given: positive, and no more steps in the range than the cap. */
export function stepOf(parameters: Parameters, range: TimeRange): DurationNs | undefined {
	const stepNs = durationParameter(parameters, "step");
	if (stepNs === undefined) return undefined;
	if (stepNs === 0n) throw invalid("step", "`step` is zero; it takes a positive duration such as 1m");
	const steps = (range.toNs - range.fromNs + stepNs - 1n) / stepNs;
	if (steps > BigInt(CAPS.steps)) {
		throw tooBroad("step", `\`step\` cuts the range into ${steps} steps; the cap is ${CAPS.steps}`, CAPS.steps);
	}
	return stepNs;
}

export function attributeFilters(parameters: Parameters): readonly AttributeFilter[] {
	const texts = parameters.get("attr") ?? [];
	if (texts.length > CAPS.attributeFilters) {
		const message = `\`attr\` is given ${texts.length} times; the cap is ${CAPS.attributeFilters}`;
		throw tooBroad("attr", message, CAPS.attributeFilters);
	}
	return texts.map(attributeFilter);
}

/**
 * Reads `key=value`. The first `=` splits, so that a key may hold `:` (`guid:x-request-id`); the type is a prefix of the value.
 * Numbers are passed on in their canonical text: `int:007` is `7`, `double:5e-1` is `0.5`.
 */
export function attributeFilter(text: string): AttributeFilter {
	const split = text.indexOf("=");
	if (split < 1) throw invalid("attr", `\`attr\` is ${quoted(text)}; write key=value`);
	const key = text.slice(0, split);
	const value = text.slice(split + 1);
	const prefix = /^(string|int|double|bool):/.exec(value)?.[1];
	const rest = prefix === undefined ? value : value.slice(prefix.length + 1);
	switch (prefix) {
		case "string":
			return { key, value: rest, type: "string" };
		case "int":
			if (!/^[+-]?\d{1,20}$/.test(rest)) throw badTyped(text, "int: takes a whole number");
			return { key, value: BigInt(rest.replace("+", "")).toString(), type: "int" };
		case "double":
			if (!/^(NaN|[+-]?Infinity|[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)$/.test(rest))
				throw badTyped(text, "double: takes a number");
			return { key, value: String(Number(rest)), type: "double" };
		case "bool":
			if (rest !== "true" && rest !== "false") throw badTyped(text, "bool: takes true or false");
			return { key, value: rest, type: "bool" };
	}
	const string = jsonString(value);
	return string === undefined ? { key, value, type: "text" } : { key, value: string, type: "string" };
}

/** The string that `"…"` denotes; undefined when the text is not one whole JSON string, and then stands for itself. */
function jsonString(text: string): string | undefined {
	if (!/^".*"$/s.test(text)) return undefined;
	try {
		const value: unknown = JSON.parse(text);
		return typeof value === "string" ? value : undefined;
	} catch {
		return undefined;
	}
}

function badTyped(text: string, rule: string): MeshscopeError {
	return invalid("attr", `\`attr\` is ${quoted(text)}; ${rule} (write key=string:… to match such text)`);
}

function unknownParameter(name: string, rules: readonly ParameterRule[]): MeshscopeError {
	const known = rules.map((rule) => rule.name);
	const near = nearest(name, known);
	const hint =
		near !== undefined
			? `; did you mean \`${near}\`?`
			: known.length === 0
				? "; this call takes none"
				: `; known are ${known.map((each) => `\`${each}\``).join(", ")}`;
	return new MeshscopeError("invalid_argument", `unknown parameter ${quoted(name)}${hint}`, {
		details: { parameter: clipped(name), known },
	});
}

function invalid(parameter: string, message: string): MeshscopeError {
	return new MeshscopeError("invalid_argument", message, { details: { parameter } });
}

function tooBroad(parameter: string, message: string, cap: number | string): MeshscopeError {
	return new MeshscopeError("query_too_broad", message, { details: { parameter, cap } });
}

/** What a person typed, safe to repeat: control characters escaped, and short. */
function quoted(text: string): string {
	return JSON.stringify(clipped(text));
}

function clipped(text: string): string {
	return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** The candidate within a third of its length of edits, the closest first. Undefined when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
	// The distance is quadratic, and a query string may be 16 KiB of one name.
	if (word.length > 32) return undefined;
	let best: string | undefined;
	let bestDistance = Number.POSITIVE_INFINITY;
	for (const candidate of candidates) {
		const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
		if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
			best = candidate;
			bestDistance = distance;
		}
	}
	return best;
}

function editDistance(a: string, b: string): number {
	let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
	for (let i = 1; i <= a.length; i++) {
		const row = [i];
		for (let j = 1; j <= b.length; j++) {
			const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
			row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, substitution));
		}
		previous = row;
	}
	return previous[b.length]!;
}
