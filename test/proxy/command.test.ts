/** `meshscope proxy` as a process: with policy from a file, and with a control plane that issues its identity. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Pool } from "undici";
import { meshscope, run } from "./command.ts";
import { startApp, until } from "./rig.ts";

function temporary(t: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "proxy-command-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

function entry(port: number, status = ""): string {
	return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]
${status}`;
}

const TEAPOT = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop.svc.cluster.local]
  http: [{directResponse: {status: 418, body: {string: teapot}}}]
`;

async function askHost(t: TestContext, address: unknown, host: string): Promise<{ status: number; body: string }> {
	const pool = new Pool(`http://${String(address)}`);
	t.after(() => pool.destroy());
	const response = await pool.request({ method: "GET", path: "/", headers: { host } });
	return { status: response.statusCode, body: await response.body.text() };
}

test("a mesh of files: two proxies, a policy that changes, one that is wrong and changes nothing, and an end with 0", async (t) => {
	const directory = temporary(t);
	const file = join(directory, "mesh.yaml");
	const app = await startApp(t, (message, response) => response.end(`app for ${message.headers.host}`));
	writeFileSync(file, entry(1));
	const callee = await meshscope(t, [
		...["proxy", "--service", "shop/orders", "--inbound", `127.0.0.1:0=127.0.0.1:${app.port}@8080`, "--mesh", file],
	]);
	const inbound = String((callee.ready["inbound"] as string[])[0]);
	writeFileSync(file, entry(Number(inbound.split(":")[1])));
	const caller = await meshscope(t, [
		...[
			"proxy",
			"--service",
			"shop/web",
			"--outbound",
			"127.0.0.1:0",
			"--upstream",
			"127.0.0.1:0=orders:8080",
			"--mesh",
			file,
			"--admin",
			"127.0.0.1:0",
		],
	]);
	const { outbound } = caller.ready;
	const admin = async (path: string, method = "GET"): Promise<string> => {
		const response = await fetch(`http://${String(caller.ready["admin"])}${path}`, { method });
		return `${response.status} ${await response.text()}`;
	};
	assert.equal(await admin("/ready"), "200 ready\n");
	assert.deepEqual(await askHost(t, outbound, "orders:8080"), { status: 200, body: "app for orders:8080" });
	const [upstream] = caller.ready["upstreams"] as string[];
	assert.deepEqual(await askHost(t, upstream, upstream!), { status: 200, body: "app for orders:8080" });

	const port = Number(inbound.split(":")[1]);
	writeFileSync(file, entry(port, TEAPOT));
	await until(() => (/"version":"2".*policy in force/.test(caller.stderr()) ? true : undefined), "the change", 10_000);
	assert.deepEqual(await askHost(t, outbound, "orders:8080"), { status: 418, body: "teapot" });
	writeFileSync(file, `${entry(port, TEAPOT)}\n---\nkind: [`);
	await until(() => (caller.stderr().includes("the policy has a fault") ? true : undefined), "the fault", 10_000);
	assert.deepEqual(await askHost(t, outbound, "orders:8080"), { status: 418, body: "teapot" });
	assert.match(await admin("/clusters"), /"name": ?"orders\.shop\.svc\.cluster\.local\|8080\|"/);
	assert.match(await admin("/config_dump"), /teapot/);
	assert.match(await admin("/stats"), /istio_requests_total\{[^}]*response_code="418"/);
	assert.match(await admin("/stats"), /meshscope_cluster_hosts\{cluster="orders\.shop/);
	assert.equal((await fetch(`http://${String(caller.ready["admin"])}/drain`, { method: "POST" })).status < 300, true);
	assert.equal(await caller.exited, 0);
	assert.equal(await callee.end(), 0);
});

test("a control plane gives each proxy its identity, its policy and its peers: what goes between them is mTLS", async (t) => {
	const directory = temporary(t);
	const file = join(directory, "mesh.yaml");
	const data = join(directory, "data");
	const accessLog = join(directory, "access.log");
	writeFileSync(
		file,
		`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`,
	);
	const app = await startApp(t, (message, response) => response.end(String(message.headers["x-forwarded-client-cert"])));
	const control = await meshscope(t, [
		...["control", "--mesh", file, "--control", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data],
	]);
	const token = async (name: string): Promise<string> => {
		const { code, stdout, stderr } = await run([
			...["control", "token", "--identity", `spiffe://cluster.local/ns/shop/sa/${name}`, "--data", data],
		]);
		assert.equal(code, 0, stderr);
		return stdout.trim();
	};
	const joining = async (name: string): Promise<readonly string[]> => {
		const state = join(directory, name);
		return [
			"proxy",
			"--service",
			`shop/${name}`,
			"--control",
			String(control.ready["control"]),
			"--state",
			state,
			"--token",
			await token(name),
		];
	};
	const callee = await meshscope(t, [...(await joining("orders")), "--inbound", `127.0.0.1:0=127.0.0.1:${app.port}@8080`]);
	const caller = await meshscope(t, [...(await joining("web")), "--outbound", "127.0.0.1:0", "--access-log", accessLog]);
	const { outbound } = caller.ready;
	let answer = { status: 0, body: "" };
	for (let i = 0; i < 200 && answer.status !== 200; i++) {
		answer = await askHost(t, outbound, "orders:8080");
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	assert.equal(answer.status, 200, `${answer.body}\n${caller.stderr()}\n${callee.stderr()}`);
	assert.match(
		answer.body,
		/^By=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/orders;.*URI=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web$/,
	);
	assert.equal(await caller.end(), 0);
	assert.equal(await callee.end(), 0);
	assert.equal(await control.end(), 0);
});

test("every fault of the flags is told at once, with 2 and before a port is bound", async () => {
	const { code, stdout, stderr } = await run(["proxy", "--service", "x", "--inbound", "1=2=3", "--upstream", "a", "--bogus"]);
	assert.equal(code, 2);
	assert.equal(stdout, "");
	for (const flag of ["service", "inbound", "upstream", "bogus", "mesh"]) assert.match(stderr, new RegExp(`^--${flag}: `, "m"));
});
