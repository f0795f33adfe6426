/** Certificates of five seconds, renewed again and again under load by a real control plane: no request notices. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pool } from "undici";
import { startLoad } from "./load.ts";
import { controlledMesh, meets } from "./mesh-commands.ts";
import { startApp, until } from "./rig.ts";

const SOAK_SECONDS = process.env["MESHSCOPE_LONG"] === "1" ? 600 : 20;
const TTL_SECONDS = 5;

test(`certificates of ${TTL_SECONDS} s are renewed for ${SOAK_SECONDS} s under load, and no request fails`, async (t) => {
	const mesh = await controlledMesh(t, ["--cert-ttl", `${TTL_SECONDS}s`]);
	const app = await startApp(t, (message, response) => {
		response.setHeader("x-caller", String(message.headers["x-forwarded-client-cert"]));
		message.pipe(response);
	});
	await mesh.control();
	const callee = await mesh.proxy("orders", ["--inbound", `127.0.0.1:0=127.0.0.1:${app.port}@8080`]);
	const caller = await mesh.proxy("web", ["--outbound", "127.0.0.1:0"]);
	const pool = new Pool(`http://${String(caller.ready["outbound"])}`, { connections: 8 });
	t.after(() => pool.destroy());
	const ask = async (): Promise<number> => {
		const answer = await pool.request({ method: "GET", path: "/", headers: { host: "orders:8080" } });
		await answer.body.dump();
		const isAuthenticated = String(answer.headers["x-caller"]).endsWith("URI=spiffe://cluster.local/ns/shop/sa/web");
		return answer.statusCode === 200 && !isAuthenticated ? 0 : answer.statusCode;
	};
	await meets(ask, () => `${caller.stderr()}\n${callee.stderr()}`);
	const renewals = (): number[] => [caller, callee].map(({ stderr }) => stderr().split("the certificate is new").length - 1);
	const before = renewals();
	const load = startLoad(4, async () => {
		// Renewals are what is tested, and they need the machine too.
		await new Promise((resolve) => setTimeout(resolve, 2));
		return ask();
	});
	const endMs = performance.now() + SOAK_SECONDS * 1_000;
	while (performance.now() < endMs && load.failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
	// A slow machine renews late, not never: what is counted is waited for.
	const least = Math.floor(SOAK_SECONDS / TTL_SECONDS);
	await until(() => (renewals().every((count, i) => count - before[i]! >= least) ? true : undefined), "the renewals", 60_000);
	await load.stop();
	assert.deepEqual(load.failures, [], `${caller.stderr()}\n${callee.stderr()}`);
	assert.ok(load.done > SOAK_SECONDS);
});
