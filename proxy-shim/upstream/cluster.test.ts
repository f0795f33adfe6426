import assert from "node:assert/strict";
import { test } from "node:test";
import { createClientTls } from "../tls/client.ts";
import { passthroughConfig, plainEndpoint } from "./cluster-set.ts";
import { createCluster, isRefusal } from "./cluster.ts";
import type { Attempt } from "./cluster.ts";

function clusterOfTwo() {
	let nowMs = 1_000;
	const config = {
		...passthroughConfig("orders", 80, "http1"),
		loadBalancer: { kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 } as const,
	};
	const events = { event() {} };
	const cluster = createCluster(config, {
		clientTls: createClientTls(undefined, { cluster: config, nowMs: () => nowMs, events }),
		random: () => 0,
		nowMs: () => nowMs,
		events,
		tier: "correct",
	});
	cluster.setEndpoints([plainEndpoint("127.0.0.1", 1), plainEndpoint("127.0.0.1", 2)]);
	const begin = (): Attempt => {
		const attempt = cluster.begin({ hash: 0, tried: new Set() });
		assert.ok(!isRefusal(attempt));
		return attempt;
	};
	return { cluster, begin, advance: (ms: number) => (nowMs += ms) };
}

test("an attempt that the caller gave up says nothing of how fast the host is", () => {
	const { cluster, begin, advance } = clusterOfTwo();
	const cancelled = begin();
	advance(1);
	cancelled.end(undefined);
	assert.deepEqual([cancelled.host.activeRequests, cancelled.host.ewmaMs, cancelled.host.ewmaAtMs], [0, 0, 0]);
	const answered = begin();
	advance(1);
	answered.end({ kind: "response", status: 200, grpcStatus: undefined });
	assert.ok(answered.host.ewmaAtMs > 0);
	assert.ok(cluster.hosts.every((host) => host.activeRequests === 0));
});
