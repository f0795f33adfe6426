/** WebSocket and other upgrades through both shims. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { pair, startApp } from "./rig.ts";

test("a WebSocket opens, echoes text and large binary messages, and closes with its code", async (t) => {
	const app = await startApp(t, (_message, response) => response.end());
	const server = new WebSocketServer({ server: app.server });
	server.on("connection", (socket) => {
		socket.on("message", (data, isBinary) => {
			if (data.toString() === "bye") socket.close(4_001, "enough");
			else socket.send(data, { binary: isBinary });
		});
	});
	t.after(() => server.close());
	const { sink, outbound } = await pair(t, app);
	const socket = new WebSocket(`ws://127.0.0.1:${outbound.port}/chat`, ["v1.chat"], { headers: { host: "orders" } });
	await once(socket, "open");
	socket.send("hello");
	assert.equal(String((await once(socket, "message"))[0]), "hello");
	const large = Buffer.alloc(3 << 20, 5);
	socket.send(large);
	assert.ok(large.equals((await once(socket, "message"))[0] as Buffer));
	socket.send("bye");
	const [code] = (await once(socket, "close")) as [number];
	assert.equal(code, 4_001);
	for (const direction of ["inbound", "outbound"] as const) {
		const [hop] = await sink.hops(direction, 1);
		assert.equal(hop!.status, 101);
		assert.ok(hop!.requestBytes > 3 << 20, `${hop!.requestBytes}`);
		assert.ok(hop!.responseBytes > 3 << 20, `${hop!.responseBytes}`);
	}
});

test("an app that refuses the upgrade is heard", async (t) => {
	const app = await startApp(t, (_message, response) => {
		response.statusCode = 403;
		response.end("not you");
	});
	app.server.on("upgrade", (_message, socket) => socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nnot you"));
	const { sink, outbound } = await pair(t, app);
	const socket = new WebSocket(`ws://127.0.0.1:${outbound.port}/chat`, { headers: { host: "orders" } });
	const [, response] = (await once(socket, "unexpected-response")) as [unknown, { statusCode: number }];
	assert.equal(response.statusCode, 403);
	socket.on("error", () => {});
	socket.terminate();
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.status, 403);
});

test("CONNECT is refused with 405", async (t) => {
	const app = await startApp(t, (_message, response) => response.end());
	const { outbound } = await pair(t, app);
	const socket = connect(outbound.port, "127.0.0.1");
	socket.write("CONNECT orders:80 HTTP/1.1\r\nhost: orders:80\r\n\r\n");
	let answer = "";
	for await (const chunk of socket) answer += String(chunk);
	assert.match(answer, /^HTTP\/1\.1 405 /);
});
