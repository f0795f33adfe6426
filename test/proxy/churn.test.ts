/** What changes around requests under way: endpoints that come and go, modes of mTLS, limits of a cluster. None of it costs a request. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pool } from "undici";
import type { Endpoint, MtlsMode } from "../../model/mesh/proxy-config.ts";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { startLoad } from "./load.ts";
import type { Load } from "./load.ts";
import { ANY, config, endpointAt, inboundConfig, pair, proxyFor, recordingSink, routed, startApp, workload } from "./rig.ts";
import type { Cleanup } from "./rig.ts";

const CHANGES = 24;

function startEcho(t: Cleanup): ReturnType<typeof startApp> {
	return startApp(t, (message, response) => {
		// Answers take a moment, so that every change finds some under way.
		setTimeout(() => message.pipe(response), 3);
	});
}

function loadOn(t: Cleanup, port: number): Load {
	const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 6 });
	t.after(() => pool.destroy());
	return startLoad(6, async (index) => {
		const body = "x".repeat(index % 3 === 0 ? 30_000 : 10);
		const answer = await pool.request({ method: "POST", path: "/", headers: { host: "orders" }, body });
		const { byteLength } = await answer.body.arrayBuffer();
		return answer.statusCode === 200 && byteLength !== body.length ? 0 : answer.statusCode;
	});
}

for (const protocol of ["http1", "http2"] as const) {
	test(`endpoints that come and go under load cost no request (${protocol})`, async (t) => {
		const app = await startEcho(t);
		const sink = recordingSink();
		const callees: Endpoint[] = [];
		for (let i = 0; i < 3; i++) {
			const inbound = [{ listen: ANY, app, servicePort: 80, protocol: "http" as const }];
			const callee = await proxyFor(t, { workload: workload("orders"), inbound }, config(), sink);
			callees.push(endpointAt(callee.addresses.inbound[0]!, { id: `orders-${i}` }));
		}
		const target = routed("orders", [], { cluster: { protocol, discovery: { kind: "registry" } } });
		const caller = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config({ routes: [target] }), sink);
		const set = (endpoints: readonly Endpoint[]): void =>
			caller.setRegistry(
				[{ namespace: "shop", service: "orders", ports: [{ servicePort: 80, protocol: "http", endpoints }] }],
				true,
			);
		set(callees);
		const load = loadOn(t, caller.addresses.outbound!.port);
		for (let change = 0; change < CHANGES; change++) {
			await load.more(10);
			// Never all of them: one leaves, one comes back, and now and then only one is left.
			set(change % 5 === 0 ? [callees[change % 3]!] : callees.filter((_, i) => i !== change % 3));
		}
		await load.stop();
		assert.deepEqual(load.failures, []);
	});
}

test("modes of mTLS, and settings of a cluster, that change under load cost no request", async (t) => {
	const authority = makeAuthority("mesh root");
	const app = await startEcho(t);
	const principal = "spiffe://cluster.local/ns/shop/sa/orders";
	const mesh = await pair(t, app, {
		endpoint: { principal },
		callerParts: { identity: createMemoryIdentity(makeIdentity(authority, "web")) },
		calleeParts: { identity: createMemoryIdentity(makeIdentity(authority, "orders")) },
		inbound: inboundConfig({ mtls: { mode: "permissive", byPort: new Map(), policy: "" } }),
	});
	const load = loadOn(t, mesh.outbound.port);
	const modes: readonly MtlsMode[] = ["strict", "permissive"];
	for (let change = 0; change < CHANGES; change++) {
		await load.more(10);
		const mode = modes[change % 2]!;
		mesh.callee.setConfig(
			config({ version: `${change}`, inbound: inboundConfig({ mtls: { mode, byPort: new Map(), policy: "" } }) }),
		);
		const target = routed("orders", [endpointAt(mesh.inbound, { principal })], {
			cluster: {
				loadBalancer:
					change % 2 === 0 ? { kind: "round_robin" } : { kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 },
			},
		});
		mesh.caller.setConfig(config({ version: `${change}`, routes: [target] }));
	}
	await load.stop();
	assert.deepEqual(load.failures, []);
	const versions = new Set(mesh.sink.httpHops.map((hop) => hop.configVersion));
	assert.ok(versions.size > CHANGES / 2, `${versions.size} versions were seen by requests`);
});
