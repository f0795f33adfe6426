/** The collector is killed under a proxy that tells it of every request: requests go on, and what it will never be told is counted. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Pool } from "undici";
import { temporaryFolder } from "../chaos/temporary.ts";
import { startServer } from "../interop/server.ts";
import { meshscope } from "./command.ts";
import { startLoad } from "./load.ts";

const ANSWER = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop.svc.cluster.local]
  http: [{directResponse: {status: 200, body: {string: ok}}}]
`;
/** A long path fills the queue of 12 MiB with fewer requests. */
const PATH = `/${"a".repeat(7_000)}`;

test("a killed collector costs no request: the queue fills, and what finds no room is counted in /stats", async (t) => {
	await using folder = await temporaryFolder("collector-outage");
	const collector = await startServer({ dataDirectory: path.join(folder.path, "data") });
	t.after(() => collector.kill());
	const file = path.join(folder.path, "mesh.yaml");
	writeFileSync(file, ANSWER);
	const shim = await meshscope(t, [
		...["proxy", "--service", "shop/web", "--outbound", "127.0.0.1:0", "--mesh", file, "--admin", "127.0.0.1:0"],
		...["--otlp", `http://${collector.addresses.otlpGrpc}`],
	]);
	const stat = async (name: string): Promise<number> => {
		const response = await fetch(`http://${String(shim.ready["admin"])}/stats`);
		const lines = (await response.text()).split("\n").filter((line) => line.startsWith(name));
		return lines.reduce((sum, line) => sum + Number(line.split(" ")[1]), 0);
	};
	const pool = new Pool(`http://${String(shim.ready["outbound"])}`, { connections: 4, pipelining: 8 });
	t.after(() => pool.destroy());
	const load = startLoad(32, async () => {
		const answer = await pool.request({ method: "GET", path: PATH, headers: { host: "orders" } });
		await answer.body.dump();
		return answer.statusCode;
	});
	const reaches = async (name: string, least: number): Promise<void> => {
		const endMs = performance.now() + 60_000;
		while ((await stat(name)) < least) {
			if (performance.now() > endMs) assert.fail(`${name} never reached ${least}: ${shim.stderr()}`);
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	};
	await reaches("meshscope_spans_sent_total", 100);
	await collector.kill();
	await reaches('meshscope_spans_dropped_total{reason="queue_full"}', 1);
	await load.more(200);
	await load.stop();
	assert.deepEqual(load.failures, []);
	// Counted are all of them, whatever became of their spans.
	assert.equal(await stat("istio_requests_total"), load.done);
	const told = (await stat("meshscope_spans_sent_total")) + (await stat("meshscope_spans_dropped_total"));
	assert.ok(told < load.done, `${told} of ${load.done}: what waits is neither sent nor dropped`);
	assert.equal(await shim.end(), 0);
});
