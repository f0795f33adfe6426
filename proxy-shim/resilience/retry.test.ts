import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RetryCondition, RetryPolicy } from "../../model/mesh/proxy-config.ts";
import type { AttemptOutcome } from "../upstream/host.ts";
import { backoffMs, shouldRetry } from "./retry.ts";

function policyOf(on: readonly RetryCondition[], onStatus: readonly number[] = []): RetryPolicy {
	return {
		attempts: 2,
		on: new Set(on),
		onStatus: new Set(onStatus),
		perTryTimeoutMs: 0,
		backoffBaseMs: 25,
		backoffMaxMs: 250,
	};
}

const ALL: readonly RetryCondition[] = [
	"connect-failure",
	"refused-stream",
	"unavailable",
	"cancelled",
	"resource-exhausted",
	"deadline-exceeded",
	"internal",
	"reset",
	"5xx",
	"gateway-error",
	"retriable-4xx",
];

/** Envoy: router filter, x-envoy-retry-on and x-envoy-retry-grpc-on; each outcome with the conditions that alone retry it. */
const TABLE: readonly (readonly [outcome: AttemptOutcome, isGrpc: boolean, retriedOn: readonly RetryCondition[]])[] = [
	[{ kind: "local", reason: "connect_failure" }, false, ["connect-failure", "reset", "5xx", "gateway-error"]],
	[{ kind: "local", reason: "connect_timeout" }, false, ["connect-failure", "reset", "5xx", "gateway-error"]],
	[{ kind: "local", reason: "handshake" }, true, ["connect-failure", "reset", "5xx", "gateway-error"]],
	[{ kind: "local", reason: "refused_stream" }, true, ["refused-stream", "reset", "5xx", "gateway-error"]],
	[{ kind: "local", reason: "reset" }, false, ["reset", "5xx", "gateway-error"]],
	[{ kind: "local", reason: "timeout" }, false, ["reset", "5xx", "gateway-error"]],
	[{ kind: "response", status: 200, grpcStatus: undefined }, false, []],
	[{ kind: "response", status: 500, grpcStatus: undefined }, false, ["5xx"]],
	[{ kind: "response", status: 501, grpcStatus: undefined }, false, ["5xx"]],
	[{ kind: "response", status: 502, grpcStatus: undefined }, false, ["5xx", "gateway-error"]],
	[{ kind: "response", status: 503, grpcStatus: undefined }, false, ["5xx", "gateway-error"]],
	[{ kind: "response", status: 504, grpcStatus: undefined }, false, ["5xx", "gateway-error"]],
	[{ kind: "response", status: 505, grpcStatus: undefined }, false, ["5xx"]],
	[{ kind: "response", status: 409, grpcStatus: undefined }, false, ["retriable-4xx"]],
	[{ kind: "response", status: 404, grpcStatus: undefined }, false, []],
	[{ kind: "response", status: 429, grpcStatus: undefined }, false, []],
	[{ kind: "response", status: 200, grpcStatus: 0 }, true, []],
	[{ kind: "response", status: 200, grpcStatus: 1 }, true, ["cancelled"]],
	[{ kind: "response", status: 200, grpcStatus: 4 }, true, ["deadline-exceeded"]],
	[{ kind: "response", status: 200, grpcStatus: 8 }, true, ["resource-exhausted"]],
	[{ kind: "response", status: 200, grpcStatus: 13 }, true, ["internal"]],
	[{ kind: "response", status: 200, grpcStatus: 14 }, true, ["unavailable"]],
	[{ kind: "response", status: 200, grpcStatus: 2 }, true, []],
	[{ kind: "response", status: 200, grpcStatus: undefined }, true, []],
	// A status that a plain HTTP answer happens to bear is none.
	[{ kind: "response", status: 200, grpcStatus: 14 }, false, []],
	[{ kind: "response", status: 503, grpcStatus: 14 }, true, ["5xx", "gateway-error", "unavailable"]],
];

test("an outcome is retried by exactly the conditions that cover it", () => {
	for (const [outcome, isGrpc, retriedOn] of TABLE) {
		for (const condition of ALL) {
			const expected = retriedOn.includes(condition);
			assert.equal(
				shouldRetry(policyOf([condition]), outcome, isGrpc),
				expected,
				`${condition}: ${JSON.stringify(outcome)}`,
			);
		}
	}
});

test("status codes that the policy lists are retried, of answers only", () => {
	const policy = policyOf([], [503, 429]);
	assert.equal(shouldRetry(policy, { kind: "response", status: 429, grpcStatus: undefined }, false), true);
	assert.equal(shouldRetry(policy, { kind: "response", status: 500, grpcStatus: undefined }, false), false);
	assert.equal(shouldRetry(policy, { kind: "local", reason: "reset" }, false), false);
});

test("without conditions nothing is retried", () => {
	for (const [outcome, isGrpc] of TABLE) assert.equal(shouldRetry(policyOf([]), outcome, isGrpc), false);
});

/** Envoy: with a base of 25 ms the first retry is delayed by 0–24 ms, the second by 0–74 ms, the third by 0–174 ms. */
test("back-off is full jitter below (2^n − 1) · base, and below the maximum", () => {
	const HIGHEST = 1 - 2 ** -53;
	for (const [attempt, bound] of [
		[1, 25],
		[2, 75],
		[3, 175],
		[4, 250],
		[50, 250],
		[5_000, 250],
	] as const) {
		const longest = backoffMs(attempt, 25, 250, () => HIGHEST);
		assert.ok(longest < bound && longest > bound * 0.99, `${attempt}: ${longest}`);
		assert.equal(
			backoffMs(attempt, 25, 250, () => 0),
			0,
		);
	}
	fc.assert(
		fc.property(
			fc.nat(2_000),
			fc.nat(1_000),
			fc.nat(10_000),
			fc.double({ min: 0, max: HIGHEST, noNaN: true }),
			(n, base, max, r) => {
				const delay = backoffMs(n, base, max, () => r);
				assert.ok(delay >= 0 && delay <= max && Number.isFinite(delay));
			},
		),
	);
});
