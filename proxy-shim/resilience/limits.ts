/** What a cluster takes at once: Envoy's circuit limits, its retry budget, and a token bucket for local rate limits. */
import type { CircuitLimits } from "../../model/mesh/proxy-config.ts";

/** One counted resource. Each `tryAcquire` that said yes is followed by one `release`. */
export interface Limit {
	readonly max: number;
	readonly active: number;
	/** How often it said no. */
	readonly overflows: number;
	tryAcquire(): boolean;
	release(): void;
}

export interface Limits {
	readonly connections: Limit;
	readonly pending: Limit;
	readonly requests: Limit;
	readonly retries: Limit;
}

export function createLimits(settings: CircuitLimits): Limits {
	return {
		connections: createLimit(settings.maxConnections),
		pending: createLimit(settings.maxPendingRequests),
		requests: createLimit(settings.maxRequests),
		retries: createLimit(settings.maxRetries),
	};
}

function createLimit(max: number): Limit {
	const limit = {
		max,
		active: 0,
		overflows: 0,
		tryAcquire() {
			if (limit.active >= max) {
				limit.overflows++;
				return false;
			}
			limit.active++;
			return true;
		},
		release() {
			if (limit.active > 0) limit.active--;
		},
	};
	return limit;
}

/** How many retries may be under way at once: a share of the requests that are, so that retries cannot multiply an outage. */
export interface RetryBudget {
	readonly active: number;
	readonly overflows: number;
	/** `activeRequests`: of the cluster, under way and pending, at this moment. */
	tryAcquire(activeRequests: number): boolean;
	release(): void;
}

export function createRetryBudget(settings: { readonly percent: number; readonly minConcurrent: number }): RetryBudget {
	const budget = {
		active: 0,
		overflows: 0,
		tryAcquire(activeRequests: number) {
			const allowed = Math.max(settings.minConcurrent, Math.floor((settings.percent * activeRequests) / 100));
			if (budget.active >= allowed) {
				budget.overflows++;
				return false;
			}
			budget.active++;
			return true;
		},
		release() {
			if (budget.active > 0) budget.active--;
		},
	};
	return budget;
}

export interface TokenBucket {
	/** Takes one token, or says no. */
	tryConsume(nowMs: number): boolean;
	/** How long until there is a token; 0 where there is one, Infinity where none will ever come. */
	retryAfterMs(nowMs: number): number;
}

/** Full at first. Filled evenly, not in steps, so that callers do not all come at the same moment. */
export function createTokenBucket(settings: {
	readonly maxTokens: number;
	readonly tokensPerFill: number;
	readonly fillIntervalMs: number;
}): TokenBucket {
	const perMs = settings.tokensPerFill / settings.fillIntervalMs;
	let tokens = settings.maxTokens;
	let filledAtMs = Number.NaN;

	function fill(nowMs: number): void {
		// A clock that went back gives nothing and takes nothing.
		if (nowMs > filledAtMs) tokens = Math.min(settings.maxTokens, tokens + (nowMs - filledAtMs) * perMs);
		if (!(nowMs <= filledAtMs)) filledAtMs = nowMs;
	}

	return {
		tryConsume(nowMs) {
			fill(nowMs);
			if (tokens < 1) return false;
			tokens--;
			return true;
		},
		retryAfterMs(nowMs) {
			fill(nowMs);
			if (tokens >= 1) return 0;
			return settings.maxTokens < 1 || perMs <= 0 ? Number.POSITIVE_INFINITY : (1 - tokens) / perMs;
		},
	};
}
