/** What a hop over mTLS is, who is let in, and certificates that change under load. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pool } from "undici";
import type { InboundConfig, MtlsMode, RetryCondition } from "../../model/mesh/proxy-config.ts";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { ANY, config, endpointAt, inboundConfig, pair, proxyFor, routed, startApp, until, workload } from "./rig.ts";
import type { Cleanup } from "./rig.ts";

const WEB = "spiffe://cluster.local/ns/shop/sa/web";
const ORDERS = "spiffe://cluster.local/ns/shop/sa/orders";

async function securePair(t: Cleanup, mode: MtlsMode, authorization?: InboundConfig["authorization"], expected = ORDERS) {
	const authority = makeAuthority("mesh root");
	const app = await startApp(t, (message, response) => {
		response.setHeader("x-client-cert", message.headers["x-forwarded-client-cert"] ?? "none");
		response.setHeader("x-proto", message.headers["x-forwarded-proto"] ?? "none");
		message.pipe(response);
	});
	const web = createMemoryIdentity(makeIdentity(authority, "web"));
	const orders = createMemoryIdentity(makeIdentity(authority, "orders"));
	const mesh = await pair(t, app, {
		inbound: inboundConfig({
			mtls: { mode, byPort: new Map(), policy: "shop/default" },
			...(authorization === undefined ? {} : { authorization }),
		}),
		endpoint: { principal: expected },
		callerParts: { identity: web },
		calleeParts: { identity: orders },
	});
	const pool = new Pool(`http://127.0.0.1:${mesh.outbound.port}`, { connections: 8 });
	t.after(() => pool.destroy());
	const ask = (path = "/", headers: Record<string, string> = {}) =>
		pool.request({ method: "GET", path, headers: { host: "orders", ...headers } });
	return { ...mesh, ask, pool, authority, web, orders };
}

test("both hops know the other end by its certificate, and the app is told who calls, whatever the caller claimed", async (t) => {
	const { ask, sink } = await securePair(t, "strict");
	const response = await ask("/", { "x-forwarded-client-cert": "By=me;URI=spiffe://cluster.local/ns/shop/sa/admin" });
	await response.body.dump();
	assert.equal(response.statusCode, 200);
	assert.match(String(response.headers["x-client-cert"]), new RegExp(`^By=${ORDERS};.*URI=${WEB}$`));
	for (const direction of ["inbound", "outbound"] as const) {
		const [hop] = await sink.hops(direction, 1);
		assert.equal(hop!.tls.status, "mutual_tls");
		assert.equal(hop!.tls.clientPrincipal, WEB);
		assert.equal(hop!.tls.serverPrincipal, ORDERS);
		assert.equal(hop!.tls.peerVerified, true);
		assert.equal(hop!.tls.noTlsReason, "");
	}
});

test("a callee that is not who it should be gets nothing: 503, UF, and why", async (t) => {
	const { ask, sink } = await securePair(t, "strict", undefined, "spiffe://cluster.local/ns/shop/sa/somebody");
	const response = await ask();
	assert.equal(response.statusCode, 503);
	assert.match(await response.body.text(), /handshake/);
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.responseFlags, "UF");
	assert.equal(hop!.tls.status, "unknown");
	assert.equal(hop!.tls.noTlsReason, "wrong_identity");
	assert.equal(hop!.failedHandshakes, 1);
	assert.equal(sink.httpHops.filter((inbound) => inbound.direction === "inbound").length, 0);
});

test("a handshake that failed is told where another try healed it, too", async (t) => {
	const { sink, inbound, web, orders } = await securePair(t, "strict");
	const app = await startApp(t, (_message, response) => void response.end());
	const second = await proxyFor(
		t,
		{ workload: workload("orders"), inbound: [{ listen: ANY, app, servicePort: 80, protocol: "http" }] },
		config({ inbound: inboundConfig({ mtls: { mode: "strict", byPort: new Map(), policy: "" } }) }),
		sink,
		{ identity: orders },
	);
	const endpoints = [
		endpointAt(inbound, { principal: ORDERS }),
		endpointAt(second.addresses.inbound[0]!, { principal: "spiffe://cluster.local/ns/shop/sa/somebody" }),
	];
	const retries = {
		attempts: 2,
		on: new Set<RetryCondition>(["connect-failure"]),
		onStatus: new Set<number>(),
		perTryTimeoutMs: 0,
		backoffBaseMs: 1,
		backoffMaxMs: 2,
	};
	const routes = [routed("orders", endpoints, { route: { retries } })];
	const caller = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config({ routes }), sink, { identity: web });
	const pool = new Pool(`http://127.0.0.1:${caller.addresses.outbound!.port}`, { connections: 1 });
	t.after(() => pool.destroy());
	for (let i = 0; i < 30; i++) {
		const answer = await pool.request({ method: "GET", path: "/", headers: { host: "orders" } });
		await answer.body.dump();
		assert.equal(answer.statusCode, 200);
	}
	const healed = (await sink.hops("outbound", 30)).filter(({ failedHandshakes }) => failedHandshakes > 0);
	assert.ok(healed.length > 0, "no try met the wrong one");
	for (const hop of healed)
		assert.deepEqual([hop.status, hop.tls.status, hop.failedHandshakes], [200, "mutual_tls", hop.retries]);
});

test("strict takes no plaintext; permissive takes both on one port", async (t) => {
	for (const mode of ["strict", "permissive"] as const) {
		const { ask, inbound } = await securePair(t, mode);
		const secure = await ask();
		await secure.body.dump();
		assert.equal(secure.statusCode, 200);
		const plain = await fetch(`http://127.0.0.1:${inbound.port}/`).then(
			(response) => response.status,
			() => "refused",
		);
		assert.equal(plain, mode === "strict" ? "refused" : 200);
	}
});

test("a principal that no policy allows gets 403, and the hop names the policy's verdict", async (t) => {
	const rule = {
		policy: "shop/admins",
		from: [
			{
				principals: ["cluster.local/ns/shop/sa/admin"],
				notPrincipals: [],
				namespaces: [],
				notNamespaces: [],
				ipBlocks: [],
				notIpBlocks: [],
			},
		],
		to: [],
		when: [],
	};
	const { ask, sink } = await securePair(t, "strict", { deny: [], allow: [rule], audit: [], hasAllowPolicy: true });
	const response = await ask();
	assert.equal(response.statusCode, 403);
	assert.equal(await response.body.text(), "RBAC: access denied");
	const [hop] = await sink.hops("inbound", 1);
	assert.equal(hop!.responseFlags, "UAEX");
	assert.equal(hop!.authzDecision, "deny");
});

test("certificates and roots change under load, and no request fails", async (t) => {
	const { ask, sink, authority, web, orders } = await securePair(t, "strict");
	const next = makeAuthority("next root");
	let running = true;
	let done = 0;
	const failures: unknown[] = [];
	const worker = async (): Promise<void> => {
		while (running) {
			await ask(`/${done}`).then(
				async (response) => {
					await response.body.dump();
					done++;
					if (response.statusCode !== 200) failures.push(response.statusCode);
				},
				(error: unknown) => failures.push(error),
			);
		}
	};
	const workers = Array.from({ length: 8 }, worker);
	/** Each step comes while requests are under way, however slow the machine is. */
	const pause = (): Promise<unknown> => {
		const target = done + 16;
		return until(() => (done >= target ? done : undefined), `${target} requests`, 30_000);
	};
	for (const step of [
		() => web.set(makeIdentity(authority, "web", {}, [authority, next])),
		() => orders.set(makeIdentity(authority, "orders", {}, [authority, next])),
		() => web.set(makeIdentity(next, "web", {}, [authority, next])),
		() => orders.set(makeIdentity(next, "orders", {}, [authority, next])),
		() => web.set(makeIdentity(next, "web", {}, [next])),
		() => orders.set(makeIdentity(next, "orders", {}, [next])),
	]) {
		await pause();
		step();
	}
	await pause();
	running = false;
	await Promise.all(workers);
	assert.deepEqual(failures, []);
	assert.ok((await sink.hops("inbound", done)).every((hop) => hop.status === 200));
});
