/** `meshscope proxy --workloads` as a process: several workloads in one, called through tunnels, each with its own identity. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Pool } from "undici";
import { meshscope, run } from "./command.ts";
import { startApp } from "./rig.ts";

const STRICT = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
`;

function temporary(t: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "node-proxy-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

/** Asks until the mesh has come together. */
async function ask(t: TestContext, address: unknown, host: string): Promise<string> {
	const pool = new Pool(`http://${String(address)}`);
	t.after(() => pool.destroy());
	for (let i = 0; ; i++) {
		const response = await pool.request({ method: "GET", path: "/", headers: { host } });
		const body = await response.body.text();
		if (response.statusCode === 200) return body;
		assert.ok(i < 400, `${response.statusCode} ${body}`);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
}

test("one process stands beside two services: peers reach each through the tunnel port, and see its identity", async (t) => {
	const directory = temporary(t);
	const mesh = join(directory, "mesh.yaml");
	const data = join(directory, "data");
	writeFileSync(mesh, STRICT);
	const [orders, payments] = await Promise.all(
		["orders", "payments"].map((name) =>
			startApp(t, (message, response) => response.end(`${name} ${String(message.headers["x-forwarded-client-cert"])}`)),
		),
	);
	const control = await meshscope(t, [
		...["control", "--mesh", mesh, "--control", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data],
	]);
	const token = async (name: string): Promise<string> => {
		const identity = `spiffe://cluster.local/ns/shop/sa/${name}`;
		const { code, stdout, stderr } = await run(["control", "token", "--identity", identity, "--data", data]);
		assert.equal(code, 0, stderr);
		return stdout.trim();
	};
	const file = join(directory, "workloads.yaml");
	// Addresses that nobody can call directly: there is no way but the tunnel.
	writeFileSync(
		file,
		`
workloads:
  - service: shop/orders
    inbound: 127.0.0.1:0=127.0.0.1:${orders!.port}@8080
    outbound: 127.0.0.1:0
    token: ${await token("orders")}
    instance-id: orders-1
    advertise: 10.99.0.1
  - service: shop/payments
    inbound: [127.0.0.1:0=127.0.0.1:${payments!.port}@8080]
    token: ${await token("payments")}
    instance-id: payments-1
    advertise: 10.99.0.2
`,
	);
	const joining = ["--control", String(control.ready["control"]), "--state"];
	const node = await meshscope(t, [
		...["proxy", "--workloads", file, "--hbone", "127.0.0.1:0", "--advertise", "127.0.0.1", "--admin", "127.0.0.1:0"],
		...[...joining, join(directory, "node")],
	]);
	const sidecar = await meshscope(t, [
		...["proxy", "--service", "shop/web", "--outbound", "127.0.0.1:0", ...joining, join(directory, "web")],
		...["--token", await token("web")],
	]);
	const id = (name: string): string => `spiffe://cluster.local/ns/shop/sa/${name}`;
	for (const name of ["orders", "payments"]) {
		const answer = await ask(t, sidecar.ready["outbound"], `${name}:8080`);
		assert.match(answer, new RegExp(`^${name} By=${id(name)};.*URI=${id("web")}$`));
	}
	const [first] = node.ready["workloads"] as { service: string; outbound: string }[];
	assert.equal(first?.service, "shop/orders");
	const fromNode = await ask(t, first.outbound, "payments:8080");
	assert.match(fromNode, new RegExp(`^payments By=${id("payments")};.*URI=${id("orders")}$`), "as the workload that calls");
	const shown = async (path: string): Promise<string> => (await fetch(`http://${String(node.ready["admin"])}${path}`)).text();
	assert.match(await shown("/certs"), new RegExp(`${id("orders")}[^]*${id("payments")}`));
	assert.match(await shown("/config_dump"), /"service": ?"shop\/payments"/);
	assert.match(await shown("/stats"), /meshscope_active_exchanges\{[^}]*workload="shop\/orders"/);
	assert.match(await shown("/ready"), /ready|ok/i);
	assert.equal(await node.end(), 0, node.stderr());
	assert.equal(await sidecar.end(), 0);
	assert.equal(await control.end(), 0);
});

test("every fault of a file of workloads is told at once, with the workload it concerns", async (t) => {
	const directory = temporary(t);
	const file = join(directory, "workloads.yaml");
	writeFileSync(
		file,
		`
workloads:
  - service: shop/orders
    inbond: 127.0.0.1:1=127.0.0.1:2
    admin: 127.0.0.1:3
  - service: Shop
    inbound: x
  - 7
  - {service: shop/a, outbound: "127.0.0.1:15001", instance-id: same}
  - {service: shop/b, outbound: "127.0.0.1:15001", instance-id: same}
`,
	);
	const { code, stderr } = await run(["proxy", "--workloads", file, "--mesh", directory, "--service", "shop/x"]);
	assert.equal(code, 2);
	for (const pattern of [
		/^--service: belongs to a workload/m,
		/workloads\[0\]\.inbond: no such setting; did you mean inbound\?/,
		/workloads\[0\]\.admin: is one for all workloads: give --admin/,
		/workloads\[1\]\.service: /,
		/workloads\[1\]\.inbound: /,
		/workloads\[2\]: must be settings by name/,
		/two workloads have the instance id same/,
		/127\.0\.0\.1:15001 is given twice/,
	]) {
		assert.match(stderr, pattern);
	}
	const missing = await run(["proxy", "--workloads", join(directory, "none.yaml"), "--mesh", directory]);
	assert.equal(missing.code, 2);
	assert.match(missing.stderr, /none\.yaml: cannot be read/);
});
