/**
 * The failure-rate circuit breaker: Resilience4j's count-based window and its three states. One a cluster.
 *
 * closed: every call is permitted; of the last `slidingWindowSize` calls the failed and the slow ones are counted. From
 * `minimumNumberOfCalls` on, a rate that meets its threshold opens it. open: no call is permitted until the wait is over; the next one
 * then makes it half-open. half-open: `permittedNumberOfCallsInHalfOpenState` calls are permitted; when all have ended, the same
 * thresholds close or open it.
 *
 * Resilience4j counts a call that was permitted before a change of state towards the state that is there when it ends. Here it is told
 * by its start, so late failures of a flood do not decide about the probes.
 */
import type { FailureRateBreaker } from "../../model/mesh/proxy-config.ts";

export type BreakerState = "closed" | "open" | "half_open";

export interface BreakerMetrics {
	/** Percent; -1 while too few calls are known. */
	readonly failureRate: number;
	readonly slowCallRate: number;
	readonly bufferedCalls: number;
	readonly failedCalls: number;
	readonly slowCalls: number;
	/** Refused since it last closed. */
	readonly notPermittedCalls: number;
}

/** Each call that `tryAcquire` permits is ended by exactly one of `onResult` and `onCancelled`. */
export interface Breaker {
	/** False: the call is not to be made. */
	tryAcquire(nowMs: number): boolean;
	/** `durationMs` is since `tryAcquire`. */
	onResult(durationMs: number, failed: boolean, nowMs: number): void;
	/** The call came to nothing that says anything of the upstream: the permission goes back. */
	onCancelled(): void;
	/** An open one whose wait is over is told as half-open: its next call will be permitted. */
	state(nowMs: number): BreakerState;
	metrics(): BreakerMetrics;
}

/** The first probe begins when the state does, and a start worked out from a duration may be a rounding error before it. */
const START_TOLERANCE_MS = 1;

export type OnTransition = (from: BreakerState, to: BreakerState, nowMs: number) => void;

export function createBreaker(settings: FailureRateBreaker, onTransition: OnTransition): Breaker {
	const windowSize = Math.max(1, settings.slidingWindowSize);
	const closedWindow = createOutcomeWindow(windowSize);
	const permitted = Math.max(1, settings.permittedNumberOfCallsInHalfOpenState);
	const probeWindow = createOutcomeWindow(permitted);
	const minimumCalls = Math.min(windowSize, Math.max(1, settings.minimumNumberOfCalls));

	let state: BreakerState = "closed";
	let sinceMs = Number.NEGATIVE_INFINITY;
	let notPermitted = 0;
	let inFlight = 0;
	/** Calls in flight that the present half-open state did not permit. Never too few, so probes are never too many. */
	let stale = 0;

	function become(next: BreakerState, nowMs: number): void {
		const from = state;
		state = next;
		sinceMs = nowMs;
		if (next === "half_open") {
			probeWindow.clear();
			stale = inFlight;
		} else if (next === "closed") {
			closedWindow.clear();
			notPermitted = 0;
		}
		onTransition(from, next, nowMs);
	}

	function exceeds(window: OutcomeWindow): boolean {
		return (
			window.failed * 100 >= settings.failureRateThreshold * window.count ||
			window.slow * 100 >= settings.slowCallRateThreshold * window.count
		);
	}

	/** Changes that time alone makes. */
	function settle(nowMs: number): void {
		const { maxWaitDurationInHalfOpenStateMs: maxWaitMs } = settings;
		if (state === "half_open" && maxWaitMs > 0 && nowMs - sinceMs >= maxWaitMs) become("open", nowMs);
	}

	function isWaitOver(nowMs: number): boolean {
		return nowMs - sinceMs >= settings.waitDurationInOpenStateMs;
	}

	/** A call ended. Where it is not known which, it is taken for one from before the half-open state. */
	function end(isStale: boolean): void {
		if (inFlight > 0) inFlight--;
		if (isStale && stale > 0) stale--;
		if (stale > inFlight) stale = inFlight;
	}

	return {
		tryAcquire(nowMs) {
			settle(nowMs);
			if (state === "open" && isWaitOver(nowMs)) become("half_open", nowMs);
			const isPermitted =
				state === "closed" || (state === "half_open" && probeWindow.count + (inFlight - stale) < permitted);
			if (isPermitted) inFlight++;
			else notPermitted++;
			return isPermitted;
		},
		onResult(durationMs, failed, nowMs) {
			settle(nowMs);
			const isStale = state === "half_open" && nowMs - durationMs < sinceMs - START_TOLERANCE_MS;
			end(isStale);
			if (isStale) return;
			const window = state === "half_open" ? probeWindow : closedWindow;
			window.add(failed, durationMs > settings.slowCallDurationThresholdMs);
			if (state === "closed") {
				if (window.count >= minimumCalls && exceeds(window)) become("open", nowMs);
			} else if (state === "half_open" && window.count >= permitted) become(exceeds(window) ? "open" : "closed", nowMs);
		},
		onCancelled() {
			end(true);
		},
		state(nowMs) {
			settle(nowMs);
			return state === "open" && isWaitOver(nowMs) ? "half_open" : state;
		},
		metrics() {
			const window = state === "half_open" ? probeWindow : closedWindow;
			const isKnown = window.count >= (state === "half_open" ? permitted : minimumCalls);
			return {
				failureRate: isKnown ? (window.failed * 100) / window.count : -1,
				slowCallRate: isKnown ? (window.slow * 100) / window.count : -1,
				bufferedCalls: window.count,
				failedCalls: window.failed,
				slowCalls: window.slow,
				notPermittedCalls: notPermitted,
			};
		},
	};
}

interface OutcomeWindow {
	readonly count: number;
	readonly failed: number;
	readonly slow: number;
	add(failed: boolean, slow: boolean): void;
	clear(): void;
}

/** The last `size` outcomes: bit 0 failed, bit 1 slow. Sums are kept, so nothing is counted over again. */
function createOutcomeWindow(size: number): OutcomeWindow {
	const outcomes = new Uint8Array(size);
	let next = 0;
	const window = {
		count: 0,
		failed: 0,
		slow: 0,
		add(failed: boolean, slow: boolean) {
			const outcome = (failed ? 1 : 0) | (slow ? 2 : 0);
			if (window.count === size) {
				const oldest = outcomes[next]!;
				window.failed -= oldest & 1;
				window.slow -= oldest >> 1;
			} else window.count++;
			outcomes[next] = outcome;
			window.failed += outcome & 1;
			window.slow += outcome >> 1;
			if (++next === size) next = 0;
		},
		clear() {
			window.count = 0;
			window.failed = 0;
			window.slow = 0;
			next = 0;
		},
	};
	return window;
}
