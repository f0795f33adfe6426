/** Processes around a proxy that are killed, and the proxy itself: what goes on, and what comes back. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Pool } from "undici";
import type { RetryCondition } from "../../model/mesh/proxy-config.ts";
import type { Command } from "./command.ts";
import { startLoad } from "./load.ts";
import { controlledMesh, freePort, killed, meets, STRICT } from "./mesh-commands.ts";
import { ANY, config, endpointAt, proxyFor, recordingSink, routed, startApp, until, workload } from "./rig.ts";

const ROUTE = `${STRICT}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders]
  http: [{route: [{destination: {host: orders}}], headers: {response: {set: {x-policy: second}}}}]
`;

test("a control plane that is killed costs no request; a proxy that is killed comes back from its state without it", async (t) => {
	const mesh = await controlledMesh(t);
	const app = await startApp(t, (message, response) => {
		response.end(String(message.headers["x-forwarded-client-cert"]));
	});
	const control = await mesh.control();
	const inbound = `127.0.0.1:${await freePort()}`;
	const calleeFlags = ["--inbound", `${inbound}=127.0.0.1:${app.port}@8080`];
	const callee = await mesh.proxy("orders", calleeFlags);
	const caller = await mesh.proxy("web", ["--outbound", "127.0.0.1:0"]);
	const pool = new Pool(`http://${String(caller.ready["outbound"])}`, { connections: 4 });
	t.after(() => pool.destroy());
	let policy = "";
	const ask = async (): Promise<number> => {
		const answer = await pool.request({ method: "GET", path: "/", headers: { host: "orders:8080" } });
		policy = String(answer.headers["x-policy"]);
		const body = await answer.body.text();
		return answer.statusCode === 200 && !body.endsWith("URI=spiffe://cluster.local/ns/shop/sa/web") ? 0 : answer.statusCode;
	};
	const logs = (): string => `${caller.stderr()}\n${callee.stderr()}`;
	await meets(ask, logs);

	const first = startLoad(4, ask);
	await first.more(100);
	await killed(control);
	await until(() => (caller.stderr().includes("no control plane; running on") ? true : undefined), "the loss", 30_000);
	await first.more(200);
	await first.stop();
	assert.deepEqual(first.failures, []);

	await killed(callee);
	assert.equal(await ask(), 503);
	const again = await mesh.proxy("orders", calleeFlags);
	await meets(ask, () => `${caller.stderr()}\n${again.stderr()}`);
	const second = startLoad(4, ask);
	await second.more(200);

	await mesh.control();
	mesh.write(ROUTE);
	await until(() => (policy === "second" ? true : undefined), "the policy of the control plane that came back", 60_000);
	await second.more(100);
	await second.stop();
	assert.deepEqual(second.failures, []);
	assert.equal(await again.end(), 0);
	assert.equal(await caller.end(), 0);
});

/** An app in a process of its own, so that it can be killed as the machine's would be. */
async function startChildApp(t: TestContext, port = 0): Promise<{ readonly port: number; kill(): Promise<void> }> {
	const script = `require("node:http").createServer((q, s) => setTimeout(() => s.end(String(process.pid)), 2))
		.listen(${port}, "127.0.0.1", function () { console.log(this.address().port); })`;
	const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
	const exited = once(child, "exit");
	const kill = async (): Promise<void> => {
		child.kill("SIGKILL");
		await exited;
	};
	t.after(kill);
	const [line] = (await once(child.stdout, "data")) as [Buffer];
	return { port: Number(line.toString()), kill };
}

test("an upstream that is killed costs no request: they go elsewhere, it is ejected, and is asked again when it is back", async (t) => {
	const apps = [await startChildApp(t), await startChildApp(t), await startChildApp(t)];
	const sink = recordingSink();
	const on = new Set<RetryCondition>(["connect-failure", "reset"]);
	const target = routed(
		"orders",
		apps.map(({ port }) => endpointAt({ host: "127.0.0.1", port })),
		{
			route: {
				retries: { attempts: 2, on, onStatus: new Set(), perTryTimeoutMs: 0, backoffBaseMs: 1, backoffMaxMs: 2 },
			},
			cluster: {
				outlier: {
					consecutive5xx: 3,
					consecutiveGatewayErrors: 0,
					consecutiveLocalOriginFailures: 5,
					splitLocalOriginErrors: false,
					intervalMs: 100,
					baseEjectionTimeMs: 500,
					maxEjectionTimeMs: 500,
					maxEjectionPercent: 50,
					successRateMinimumHosts: 0,
					successRateRequestVolume: 100,
					successRateStdevFactor: 1.9,
					minHealthPercent: 0,
				},
			},
		},
	);
	const shim = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config({ routes: [target] }), sink);
	const pool = new Pool(`http://127.0.0.1:${shim.addresses.outbound!.port}`, { connections: 3 });
	t.after(() => pool.destroy());
	const pids = new Set<string>();
	// Three callers: as many retries at once as the budget always allows.
	const load = startLoad(3, async () => {
		const answer = await pool.request({ method: "GET", path: "/", headers: { host: "orders" } });
		pids.add(await answer.body.text());
		return answer.statusCode;
	});
	await until(() => (pids.size === 3 ? true : undefined), "every app to be asked", 30_000);
	const { port } = apps[1]!;
	await apps[1]!.kill();
	const isOf = (kind: "ejected" | "returned") =>
		sink.events.some((event) => event.kind === kind && event.endpoint.endsWith(`:${port}`));
	await until(() => (isOf("ejected") ? true : undefined), "the ejection", 30_000);
	await load.more(100);
	pids.clear();
	await startChildApp(t, port);
	await until(() => (isOf("returned") && pids.size === 3 ? true : undefined), "the app that is back to be asked", 30_000);
	await load.stop();
	assert.deepEqual(load.failures, []);
	assert.ok(sink.httpHops.some((hop) => hop.retries > 0));
});

test("a service whose proxies are replaced one after the other loses no request", async (t) => {
	const mesh = await controlledMesh(t);
	const app = await startApp(t, (message, response) => void setTimeout(() => message.pipe(response), 5));
	await mesh.control();
	const start = (instance: string): Promise<Command> =>
		mesh.proxy("orders", ["--inbound", `127.0.0.1:0=127.0.0.1:${app.port}@8080`], instance);
	const running = [await start("orders-1"), await start("orders-2")];
	const caller = await mesh.proxy("web", ["--outbound", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
	const pool = new Pool(`http://${String(caller.ready["outbound"])}`, { connections: 3 });
	t.after(() => pool.destroy());
	const ask = async (): Promise<number> => {
		const answer = await pool.request({ method: "POST", path: "/", headers: { host: "orders:8080" }, body: "content" });
		const body = await answer.body.text();
		if (body !== "content") throw new Error(`${answer.statusCode} ${body}`);
		return answer.statusCode;
	};
	await meets(
		() => ask().catch(() => 0),
		() => caller.stderr(),
	);
	/** Where the caller may send to. */
	const knows = async (count: number): Promise<void> => {
		const endMs = performance.now() + 30_000;
		for (;;) {
			const response = await fetch(`http://${String(caller.ready["admin"])}/stats`);
			const line = (await response.text())
				.split("\n")
				.find((one) => /^meshscope_cluster_healthy_hosts\{.*orders/.test(one));
			if (line?.endsWith(` ${count}`) === true) return;
			if (performance.now() > endMs) assert.fail(`the caller never knew ${count} of them: ${line}`);
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	};
	await knows(2);
	// As many as may retry at once, for a machine so busy that the news comes late.
	const load = startLoad(3, ask);
	for (const next of ["orders-3", "orders-4"]) {
		await load.more(50);
		const ended = running.shift()!.end();
		assert.equal(await ended, 0);
		running.push(await start(next));
		await knows(2);
	}
	await load.more(50);
	await load.stop();
	assert.deepEqual(load.failures, []);
});
