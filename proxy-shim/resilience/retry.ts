/** Whether an attempt is made again, and when: Envoy's conditions (router filter, x-envoy-retry-on) and its back-off. */
import type { RetryPolicy } from "../../model/mesh/proxy-config.ts";
import type { AttemptOutcome } from "../upstream/host.ts";
import { GRPC_CANCELLED, GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE } from "./grpc.ts";

/** Beyond any cap already, and far from Infinity, which a base of 0 would make NaN. */
const MAX_DOUBLINGS = 50;

/**
 * How long to wait before the nth retry (from 1): full jitter in [0, (2^n − 1) · base), the interval capped at `maxMs`.
 * Envoy's defaults are 25 ms and ten times that.
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number): number {
	const growth = 2 ** Math.min(attempt, MAX_DOUBLINGS) - 1;
	return random() * Math.max(0, Math.min(maxMs, growth * baseMs));
}

/**
 * Whether the policy's conditions cover this outcome. Attempts, budget and limits are counted by the caller, which also does not ask
 * once the route's own timeout is over: `timeout` is that of a try.
 */
export function shouldRetry(policy: RetryPolicy, outcome: AttemptOutcome, isGrpc: boolean): boolean {
	const { on } = policy;
	if (outcome.kind === "local") {
		// Envoy counts no answer at all as a 5xx, and as a gateway error, since the caller would get one.
		if (on.has("reset") || on.has("5xx") || on.has("gateway-error")) return true;
		switch (outcome.reason) {
			case "connect_failure":
			case "connect_timeout":
			case "handshake":
				return on.has("connect-failure");
			case "refused_stream":
				return on.has("refused-stream");
			case "reset":
			case "timeout":
				return false;
		}
	}
	const { status, grpcStatus } = outcome;
	if (policy.onStatus.has(status)) return true;
	if (status >= 500 && status <= 599 && on.has("5xx")) return true;
	if (status >= 502 && status <= 504 && on.has("gateway-error")) return true;
	if (status === 409 && on.has("retriable-4xx")) return true;
	if (!isGrpc) return false;
	switch (grpcStatus) {
		case GRPC_CANCELLED:
			return on.has("cancelled");
		case GRPC_DEADLINE_EXCEEDED:
			return on.has("deadline-exceeded");
		case GRPC_RESOURCE_EXHAUSTED:
			return on.has("resource-exhausted");
		case GRPC_INTERNAL:
			return on.has("internal");
		case GRPC_UNAVAILABLE:
			return on.has("unavailable");
		default:
			return false;
	}
}
