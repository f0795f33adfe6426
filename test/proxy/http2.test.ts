/** HTTP/2 callers, and what changes when the next hop speaks HTTP/1.1. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, constants, createServer } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { pair, startApp, until } from "./rig.ts";

function session(t: TestContext, port: number): ClientHttp2Session {
	const client = connect(`http://127.0.0.1:${port}`);
	client.on("error", () => {});
	t.after(() => client.destroy());
	return client;
}

async function ask(client: ClientHttp2Session, headers: readonly string[], body?: string) {
	const stream = client.request([":method", "GET", ":scheme", "http", ":authority", "orders", ":path", "/", ...headers], {
		endStream: body === undefined,
	});
	stream.on("error", () => {});
	if (body !== undefined) stream.end(body);
	const [response] = (await once(stream, "response")) as [IncomingHttpHeaders];
	return { status: response[":status"] as unknown as number, headers: response, body: await text(stream) };
}

/** `once` would reject with the stream's error, which is what is waited for. */
function closed(stream: ClientHttp2Stream): Promise<void> {
	return new Promise((resolve) => stream.on("close", () => resolve()));
}

async function startHttp2App(t: TestContext, onStream: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void) {
	const server = createServer();
	const sessions = new Set<{ destroy(): void }>();
	server.on("session", (open) => sessions.add(open));
	server.on("stream", (stream, headers) => {
		stream.on("error", () => {});
		onStream(stream, headers);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => {
		for (const open of sessions) open.destroy();
		server.close();
	});
	return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

test("an HTTP/2 request reaches an HTTP/1.1 app as one: Host, one Cookie, no pseudo-fields", async (t) => {
	let seen: readonly string[] = [];
	const app = await startApp(t, (message, response) => {
		seen = message.rawHeaders;
		response.setHeader("connection", "keep-alive, x-hop");
		response.setHeader("x-hop", "1");
		message.pipe(response);
	});
	const { outbound, sink } = await pair(t, app);
	const answer = await ask(session(t, outbound.port), [":method", "POST", "cookie", "a=1", "cookie", "b=2"].slice(2), "body");
	assert.equal(answer.body, "body");
	assert.equal(answer.headers["x-hop"], undefined);
	const value = (name: string): unknown => seen[seen.findIndex((text_, i) => i % 2 === 0 && text_.toLowerCase() === name) + 1];
	assert.equal(value("host"), "orders");
	assert.equal(value("cookie"), "a=1; b=2");
	assert.ok(seen.every((text_, i) => i % 2 === 1 || !text_.startsWith(":")));
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.protocolVersion, "2");
});

test("what would be another request in HTTP/1.1 is refused", async (t) => {
	let asked = 0;
	const app = await startApp(t, (_message, response) => {
		asked++;
		response.end();
	});
	const { outbound } = await pair(t, app);
	const client = session(t, outbound.port);
	const tries: readonly (readonly string[])[] = [
		[":method", "GET", ":scheme", "http", ":authority", "orders", ":path", "/a b"],
		[":method", "GET", ":scheme", "http", ":authority", "orders/x", ":path", "/"],
		[":method", "GET", ":scheme", "http", ":authority", "orders", ":path", "/", "host", "admin"],
		[":method", "GET", ":scheme", "http", ":authority", "orders", ":path", "x"],
		[":method", "CONNECT", ":authority", "orders:80"],
	];
	for (const headers of tries) {
		const stream = client.request(headers);
		stream.on("error", () => {});
		const status = await Promise.race([
			new Promise<number>((resolve) => stream.on("response", (response) => resolve(Number(response[":status"])))),
			closed(stream).then(() => 0),
		]);
		stream.resume();
		assert.ok([0, 400, 405].includes(status), `${status} for ${headers.join(" ")}`);
	}
	assert.equal(asked, 0);
});

test("an answer that breaks off resets the caller's stream", async (t) => {
	const app = await startHttp2App(t, (stream) => {
		stream.respond({ ":status": 200 });
		stream.write("part");
		// Node's `close` would end the stream first, which makes it whole.
		setTimeout(() => stream.destroy(new Error("broken")), 20);
	});
	const { outbound, sink } = await pair(t, app, { protocol: "http2", cluster: { protocol: "http2" } });
	const stream = session(t, outbound.port).request({ ":path": "/", ":authority": "orders" });
	stream.on("error", () => {});
	stream.resume();
	await closed(stream);
	assert.notEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
	for (const direction of ["inbound", "outbound"] as const) {
		const [hop] = await sink.hops(direction, 1);
		assert.equal(hop!.responseFlags, "UC");
	}
});

test("a connection that dies under a response is not taken for its end", async (t) => {
	const app = await startHttp2App(t, (stream) => {
		stream.respond({ ":status": 200 });
		stream.write("part");
		setTimeout(() => stream.session?.socket.destroy(), 30);
	});
	const { outbound } = await pair(t, app, { protocol: "http2", cluster: { protocol: "http2" } });
	const stream = session(t, outbound.port).request({ ":path": "/", ":authority": "orders" });
	stream.on("error", () => {});
	stream.resume();
	await closed(stream);
	assert.notEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
});

test("many requests share one connection upstream, and a caller's reset cancels only its own", async (t) => {
	const sessions = new Set<unknown>();
	let cancelled = 0;
	const app = await startHttp2App(t, (stream, headers) => {
		sessions.add(stream.session);
		stream.on("aborted", () => cancelled++);
		if (headers[":path"] === "/hang") return;
		setTimeout(() => {
			stream.respond({ ":status": 200 });
			stream.end(String(headers[":path"]));
		}, 10);
	});
	const { outbound } = await pair(t, app, { protocol: "http2", cluster: { protocol: "http2" } });
	const client = session(t, outbound.port);
	const hanging = client.request({ ":path": "/hang", ":authority": "orders" });
	hanging.on("error", () => {});
	await ask(client, []);
	const answers = Array.from({ length: 50 }, (_, i) => {
		const stream = client.request({ ":path": `/${i}`, ":authority": "orders" });
		return text(stream);
	});
	hanging.close(constants.NGHTTP2_CANCEL);
	assert.deepEqual(
		await Promise.all(answers),
		Array.from({ length: 50 }, (_, i) => `/${i}`),
	);
	await until(() => (cancelled === 1 ? true : undefined), "the cancelled stream");
	assert.equal(sessions.size, 1);
});

test("a callee that drains tells by GOAWAY and answers what it has; nothing fails", async (t) => {
	const app = await startHttp2App(t, (stream) => {
		setTimeout(() => {
			stream.respond({ ":status": 200 });
			stream.end("done");
		}, 60);
	});
	const { outbound, callee } = await pair(t, app, { protocol: "http2", cluster: { protocol: "http2" } });
	const client = session(t, outbound.port);
	const running = Array.from({ length: 5 }, () => ask(client, []));
	await until(() => (callee.active() === 5 ? true : undefined), "the requests");
	assert.equal(await callee.drain(5_000), true);
	for (const answer of await Promise.all(running)) assert.equal(answer.body, "done");
	const after = await ask(client, []);
	assert.equal(after.status, 503);
});

test("a caller that goes away without a word ends what was done for it, at every hop", async (t) => {
	let ended = 0;
	const app = await startApp(t, (message) => void message.socket.on("close", () => ended++));
	for (const protocol of ["http", "http2"] as const) {
		const { outbound, sink, caller, callee } = await pair(t, app, {
			cluster: { protocol: protocol === "http" ? "http1" : "http2" },
		});
		const before = ended;
		const client = session(t, outbound.port);
		client.request({ ":path": "/", ":authority": "orders" }).on("error", () => {});
		await until(() => (callee.active() === 1 ? true : undefined), "the request");
		// Only a FIN: neither GOAWAY nor RST_STREAM.
		client.socket.destroy();
		for (const direction of ["inbound", "outbound"] as const) {
			const [hop] = await sink.hops(direction, 1);
			assert.equal(hop!.responseFlags, "DC");
		}
		await until(() => (ended > before && caller.active() + callee.active() === 0 ? true : undefined), "the end");
	}
});
