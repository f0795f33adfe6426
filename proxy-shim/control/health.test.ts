import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { fakeTimers } from "../../test/mesh/fake-timers.ts";
import { probeTarget, startHealthCheck } from "./health.ts";

test("an app is unhealthy after failures in a row and healthy again after one success, and only changes are told", async () => {
	const timers = fakeTimers();
	const told: [boolean, string][] = [];
	let problem: string | undefined;
	const check = startHealthCheck({
		target: { kind: "tcp", host: "127.0.0.1", port: 1 },
		...{ intervalMs: 1_000, timeoutMs: 500, failures: 3, timers },
		onChange: (healthy, reason) => void told.push([healthy, reason]),
		probe: async () => problem,
	});
	const look = async (): Promise<void> => {
		await turn();
		timers.advance(1_000);
		await turn();
	};
	await look();
	assert.deepEqual(told, [[true, ""]]);
	problem = "refused";
	await look();
	await look();
	assert.equal(told.length, 1);
	await look();
	assert.deepEqual(told[1], [false, "refused"]);
	problem = undefined;
	await look();
	assert.deepEqual(told[2], [true, ""]);
	check.close();
	problem = "refused";
	for (let i = 0; i < 5; i++) await look();
	assert.equal(told.length, 3);
});

test("an app that does not answer at the start is unhealthy at once", async () => {
	const told: boolean[] = [];
	const check = startHealthCheck({
		target: { kind: "tcp", host: "127.0.0.1", port: 1 },
		...{ intervalMs: 1_000, timeoutMs: 500, failures: 3, timers: fakeTimers() },
		onChange: (healthy) => void told.push(healthy),
		probe: async () => "refused",
	});
	await turn();
	assert.deepEqual(told, [false]);
	check.close();
});

test("HTTP statuses from 200 to 399 are healthy, a silent port is not, a closed one is told by its error", async (t) => {
	const server = createServer((request, response) => {
		if (request.url === "/silent") return;
		response.writeHead(Number(request.url?.slice(1))).end();
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	const http = (path: string) => probeTarget({ kind: "http", host: "127.0.0.1", port, path }, 200);
	assert.equal(await http("/200"), undefined);
	assert.equal(await http("/399"), undefined);
	assert.equal(await http("/503"), "GET /503 answered 503");
	assert.equal(await http("/silent"), "GET /silent did not answer within 200 ms");
	assert.equal(await probeTarget({ kind: "tcp", host: "127.0.0.1", port }, 200), undefined);
	const closed = createServer().listen(0, "127.0.0.1");
	await once(closed, "listening");
	const { port: free } = closed.address() as AddressInfo;
	closed.close();
	await once(closed, "close");
	assert.equal(await probeTarget({ kind: "tcp", host: "127.0.0.1", port: free }, 200), `port ${free}: ECONNREFUSED`);
});
