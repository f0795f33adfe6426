/**
 * Peak EWMA (Finagle, Linkerd): the host with the lower expected wait, of two drawn at random. What is expected of a host is a moving
 * average of its latency that follows a slower answer at once and forgets it over `decayMs`, times the requests that would then be
 * under way, over its weight.
 *
 * A host that gets no requests is expected to be faster and faster, until one is tried on it again.
 */
import type { Host } from "../host.ts";
import { pickOfTwo, weightOf } from "./choice.ts";
import type { PickContext, Picker } from "./picker.ts";

/**
 * What a failure counts as, in default round trips: about 1 s with the default of 30 ms. Without it a host that fails at once looks
 * like the fastest. It weighs as any answer does and is no peak, so that one failure in a hundred moves the average by a hundredth
 * of it, and a host that only fails is expected to be three times slower after 0.7 s.
 */
const FAILURE_ROUND_TRIPS = 32;

export function createPeakEwmaPicker(defaultRttMs: number, decayMs: number, random: () => number): Picker {
	const failureMs = FAILURE_ROUND_TRIPS * defaultRttMs;

	/** `ewmaAtMs` of 0: nothing is known of it yet, and the default is expected without being forgotten. */
	function loadOf(host: Host, nowMs: number): number {
		const expectedMs =
			host.ewmaAtMs === 0 ? defaultRttMs : host.ewmaMs * Math.exp(-Math.max(0, nowMs - host.ewmaAtMs) / decayMs);
		return (expectedMs * (host.activeRequests + 1)) / weightOf(host);
	}

	return {
		pick: (hosts: readonly Host[], { tried, nowMs }: PickContext) => pickOfTwo(hosts, tried, random, loadOf, nowMs),
		onStart() {},
		onDone(host, latencyMs, nowMs, failed) {
			const known = host.ewmaAtMs !== 0;
			const before = known ? host.ewmaMs : defaultRttMs;
			// Without history an answer weighs as one that comes a decay after the default.
			const kept = known ? Math.exp(-Math.max(0, nowMs - host.ewmaAtMs) / decayMs) : Math.exp(-1);
			host.ewmaAtMs = nowMs;
			const sampleMs = failed ? Math.max(latencyMs, failureMs) : latencyMs;
			host.ewmaMs = latencyMs > before ? latencyMs : before * kept + sampleMs * (1 - kept);
		},
	};
}
