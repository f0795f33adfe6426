/** Processes around a proxy that are killed, and the proxy itself: what goes on, and what comes back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pool } from "undici";
import { startLoad } from "./load.ts";
import { controlledMesh, freePort, killed, meets, STRICT } from "./mesh-commands.ts";
import { startApp, until } from "./rig.ts";

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
