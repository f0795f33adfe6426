/** What a matched route does to a request besides forwarding it: the destination by weight, the path, and faults. */
import type { Fault, Rewrite, RouteMatch, WeightedDestination } from "../../model/mesh/proxy-config.ts";

/** By weight. Undefined only where there are none; the first where all weights are 0. */
export function pickDestination(
	destinations: readonly WeightedDestination[],
	random: () => number,
): WeightedDestination | undefined {
	if (destinations.length <= 1) return destinations[0];
	let total = 0;
	for (const { weight } of destinations) total += weight;
	let left = random() * total;
	for (const destination of destinations) {
		if (left < destination.weight) return destination;
		left -= destination.weight;
	}
	// Rounding may leave a little over: it is that of the last one that has weight at all.
	return destinations.findLast(({ weight }) => weight > 0) ?? destinations[0];
}

/**
 * The path that goes upstream. `path` may bear its query, which stays as it is. A prefix is replaced by the rewrite with the rest
 * appended; where a prefix without a slash at its end would leave two (`/` for the prefix `/api`) there is one. Without a match on the path the rewrite
 * stands before all of it, as for the prefix `/`.
 */
export function rewritePath(rewrite: Rewrite | undefined, match: RouteMatch | undefined, path: string): string {
	if (rewrite === undefined) return path;
	const queryAt = path.indexOf("?");
	const bare = queryAt < 0 ? path : path.slice(0, queryAt);
	const query = queryAt < 0 ? "" : path.slice(queryAt);
	if (rewrite.pathRegex !== undefined) {
		return asPath(bare.replaceAll(asGlobal(rewrite.pathRegex.pattern), rewrite.pathRegex.replacement)) + query;
	}
	if (rewrite.path === undefined) return path;
	const matched = match?.path;
	if (matched !== undefined && matched.kind !== "prefix") return asPath(rewrite.path) + query;
	const prefix = matched?.value ?? "";
	const rest = bare.slice(prefix.length);
	return asPath(prefix.endsWith("/") ? rewrite.path + rest : join(rewrite.path, rest)) + query;
}

function join(start: string, rest: string): string {
	return start.endsWith("/") && rest.startsWith("/") ? start + rest.slice(1) : start + rest;
}

function asPath(path: string): string {
	return path.startsWith("/") ? path : `/${path}`;
}

const globals = new WeakMap<RegExp, RegExp>();

/** RE2's GlobalReplace replaces every match. */
function asGlobal(pattern: RegExp): RegExp {
	if (pattern.global) return pattern;
	let global = globals.get(pattern);
	if (global === undefined) {
		global = new RegExp(pattern.source, `${pattern.flags}g`);
		globals.set(pattern, global);
	}
	return global;
}

export interface FaultDecision {
	/** 0 for none. */
	readonly delayMs: number;
	readonly abort: { readonly httpStatus: number; readonly grpcStatus: number | undefined } | undefined;
}

const NO_FAULT: FaultDecision = { delayMs: 0, abort: undefined };

/** Delay and abort are decided each for itself; a request may get both. */
export function decideFault(fault: Fault | undefined, random: () => number): FaultDecision {
	if (fault === undefined) return NO_FAULT;
	const { delay, abort } = fault;
	const delayMs = delay !== undefined && isHit(delay.percent, random) ? delay.ms : 0;
	const isAborted = abort !== undefined && isHit(abort.percent, random);
	if (!isAborted) return delayMs === 0 ? NO_FAULT : { delayMs, abort: undefined };
	return { delayMs, abort };
}

/** Percentages have four decimals, as Envoy's fractions of a million. */
export function isHit(percent: number, random: () => number): boolean {
	return Math.floor(random() * 1_000_000) < Math.round(percent * 10_000);
}
