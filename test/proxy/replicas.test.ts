/** One of several callees ends or dies under load. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Pool } from "undici";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import { ANY, cluster, config, endpointAt, proxyFor, recordingSink, routed, startApp, until, workload } from "./rig.ts";
import type { Tier } from "../../proxy-shim/http/server.ts";

/** Istio's own, which every route has that says nothing else. */
const ISTIO_RETRIES = {
	attempts: 2,
	on: new Set(["connect-failure", "refused-stream", "unavailable", "cancelled"] as const),
	onStatus: new Set<number>(),
	perTryTimeoutMs: 0,
	backoffBaseMs: 25,
	backoffMaxMs: 250,
};

async function replicas(t: TestContext, tier: Tier, methods: readonly string[]) {
	const sink = recordingSink();
	const apps = await Promise.all(
		[0, 1].map(() =>
			startApp(t, (message, response) => void message.resume().on("end", () => setTimeout(() => response.end("ok"), 2))),
		),
	);
	const callees: Proxy[] = [];
	for (const app of apps) {
		const inbound = [{ listen: ANY, app, servicePort: 80, protocol: "http" as const }];
		callees.push(await proxyFor(t, { workload: workload("orders"), inbound }, config(), sink, { tier }));
	}
	const endpoints = callees.map((callee) => endpointAt(callee.addresses.inbound[0]!));
	// Half of all attempts fail for a while, which is more than the budget of 20 % means to allow.
	const limits = { ...cluster("orders", []).limits, maxRetries: 1_024 };
	const withRetries = {
		route: { retries: ISTIO_RETRIES },
		cluster: { limits, retryBudget: { percent: 100, minConcurrent: 16 } },
	};
	const caller = await proxyFor(
		t,
		{ workload: workload("web"), outbound: ANY },
		config({ routes: [routed("orders", endpoints, withRetries)] }),
		sink,
		{ tier },
	);
	const pool = new Pool(`http://127.0.0.1:${caller.addresses.outbound!.port}`, { connections: 8 });
	t.after(() => pool.destroy());
	const failures: unknown[] = [];
	let done = 0;
	let running = true;
	const workers = Array.from({ length: 8 }, async (_, i) => {
		while (running) {
			try {
				const method = methods[i % methods.length]!;
				const body = method === "POST" ? "x" : null;
				const response = await pool.request({ method, path: "/", headers: { host: "orders" }, body });
				const answer = await response.body.text();
				done++;
				if (response.statusCode !== 200) failures.push(`${method} ${response.statusCode} ${answer}`);
			} catch (error) {
				failures.push(error);
			}
		}
	});
	return {
		caller,
		callees,
		endpoints,
		withRetries,
		/** Waits for so many more answers. */
		more(count: number) {
			const wanted = done + failures.length + count;
			return until(() => (done + failures.length >= wanted ? true : undefined), `${count} answers`, 20_000);
		},
		/** What went wrong. */
		async finish() {
			running = false;
			await Promise.all(workers);
			return failures;
		},
	};
}

for (const tier of ["fast", "correct"] as const satisfies readonly Tier[]) {
	test(`a callee that drains costs no request, whoever knows of it or not (${tier})`, async (t) => {
		const mesh = await replicas(t, tier, ["GET", "POST"]);
		await mesh.more(40);
		assert.equal(await mesh.callees[0]!.drain(5_000), true);
		await mesh.more(40);
		mesh.caller.setConfig(config({ routes: [routed("orders", [mesh.endpoints[1]!], mesh.withRetries)] }));
		await mesh.more(40);
		assert.deepEqual(await mesh.finish(), []);
	});

	test(`a callee that dies costs no request that may be made twice (${tier})`, async (t) => {
		const mesh = await replicas(t, tier, ["GET"]);
		await mesh.more(80);
		await mesh.callees[0]!.drain(0);
		await mesh.more(80);
		assert.deepEqual(await mesh.finish(), []);
	});
}
