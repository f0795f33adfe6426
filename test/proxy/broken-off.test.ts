import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ANY, config, endpointAt, inboundConfig, pair, proxyFor, recordingSink, routed, workload } from "./rig.ts";

/** An app that sends a head and part of a body, and then breaks off. */
async function breakingApp(t: { after(end: () => unknown): void }): Promise<{ host: string; port: number }> {
	const server = createServer((socket) => {
		socket.on("error", () => {});
		socket.once("data", () => {
			socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
			setTimeout(() => socket.resetAndDestroy(), 50);
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

test("an answer that breaks off breaks off for an HTTP/2 caller too", async (t) => {
	const { outbound } = await pair(t, await breakingApp(t));
	const session = connectHttp2(`http://127.0.0.1:${outbound.port}`);
	t.after(() => session.destroy());
	session.on("error", () => {});
	const stream = session.request({ ":path": "/", ":authority": "orders" });
	let ended = false;
	let failed = false;
	stream.on("end", () => (ended = true));
	stream.on("error", () => (failed = true));
	stream.resume();
	await new Promise((resolve) => stream.once("close", resolve));
	assert.equal(failed, true);
	assert.equal(ended, false, "what came of the answer passed for the whole");
});

test("an answer that breaks off is a reset for an HTTP/1.0 caller, whose body ends by closing", async (t) => {
	const { outbound } = await pair(t, await breakingApp(t));
	const socket = connect(outbound.port, "127.0.0.1");
	let failure: NodeJS.ErrnoException | undefined;
	socket.on("error", (error) => (failure = error));
	socket.write("GET / HTTP/1.0\r\nHost: orders\r\n\r\n");
	socket.resume();
	await new Promise((resolve) => socket.once("close", resolve));
	assert.equal(failure?.code, "ECONNRESET");
});

test("a TCP upstream that is reset resets its caller", async (t) => {
	const server = createServer((socket) => {
		socket.on("error", () => {});
		socket.write("part");
		setTimeout(() => socket.resetAndDestroy(), 50);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	const upstream = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
	const target = routed("store", [endpointAt(upstream)], { cluster: { protocol: "tcp" } });
	const proxy = await proxyFor(
		t,
		{ workload: workload("web"), upstreams: [{ listen: ANY, host: target.virtualHost.hosts[2]!, port: 80 }] },
		config({ routes: [target], inbound: inboundConfig() }),
		recordingSink(),
	);
	const socket = connect(proxy.addresses.upstreams[0]!.port, "127.0.0.1");
	let failure: NodeJS.ErrnoException | undefined;
	socket.on("error", (error) => (failure = error));
	socket.resume();
	await new Promise((resolve) => socket.once("close", resolve));
	assert.equal(failure?.code, "ECONNRESET");
});
