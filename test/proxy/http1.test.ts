/** HTTP/1.1 from a client through two shims to an app and back: what RFC 9110 and 9112 ask of a proxy. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { pair, startApp, until } from "./rig.ts";

function ask(port: number, options: RequestOptions, body?: string | Buffer): Promise<IncomingMessage> {
	return new Promise((resolve, reject) => {
		const headers = Array.isArray(options.headers) ? options.headers : { host: "orders", ...options.headers };
		const outgoing = request({ host: "127.0.0.1", port, agent: false, ...options, headers }, resolve);
		outgoing.on("error", reject);
		outgoing.end(body);
	});
}

/** Sends the text as it is and reads until the other end closes. */
async function raw(port: number, bytes: string, waitMs = 5_000): Promise<string> {
	const socket = connect(port, "127.0.0.1");
	socket.on("error", () => {});
	socket.write(bytes, "latin1");
	const timer = setTimeout(() => socket.destroy(), waitMs);
	let answer = "";
	socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
	await once(socket, "close");
	clearTimeout(timer);
	return answer;
}

test("a request reaches the app through both shims, and each tells its hop of one trace", async (t) => {
	const app = await startApp(t, (message, response) => {
		response.setHeader("x-seen-path", message.url ?? "");
		response.setHeader("x-seen-host", message.headers.host ?? "");
		response.setHeader("x-seen-trace", message.headers["traceparent"] ?? "");
		response.end("hello");
	});
	const { sink, outbound } = await pair(t, app);
	const response = await ask(outbound.port, { path: "/a?b=1" });
	assert.equal(response.statusCode, 200);
	assert.equal(await text(response), "hello");
	assert.equal(response.headers["x-seen-path"], "/a?b=1");
	assert.equal(response.headers["x-seen-host"], "orders");
	const [client] = await sink.hops("outbound", 1);
	const [server] = await sink.hops("inbound", 1);
	assert.equal(client!.status, 200);
	assert.equal(client!.responseBytes, 5);
	assert.equal(client!.upstreamCluster, "outbound|80||orders.shop.svc.cluster.local");
	assert.equal(client!.tls.noTlsReason, "peer_not_in_mesh");
	assert.equal(server!.trace.traceId, client!.trace.traceId);
	assert.equal(server!.trace.parentSpanId, client!.trace.spanId);
	assert.equal(response.headers["x-seen-trace"], `00-${server!.trace.traceId}-${server!.trace.spanId}-03`);
	assert.equal(server!.requestId, client!.requestId);
});

test("fields of the connection end at the proxy, the others go on in order, with their duplicates", async (t) => {
	let seen: readonly string[] = [];
	const app = await startApp(t, (message, response) => {
		seen = message.rawHeaders;
		response.writeHead(200, ["set-cookie", "a=1", "set-cookie", "b=2", "connection", "x-gone", "x-gone", "1", "x-kept", "1"]);
		response.end();
	});
	const { outbound } = await pair(t, app);
	const headers = ["host", "orders", "connection", "keep-alive, X-Mine", "x-mine", "1", "x-twice", "1", "x-twice", "2"];
	const response = await ask(outbound.port, {
		headers: [...headers, "te", "trailers, gzip", "proxy-connection", "x", "keep-alive", "timeout=1"],
	});
	await text(response);
	const names = seen.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
	for (const gone of ["x-mine", "proxy-connection", "keep-alive", "via"]) assert.ok(!names.includes(gone), gone);
	assert.deepEqual(
		seen.filter((_, i) => i % 2 === 1 && names[(i - 1) / 2] === "x-twice"),
		["1", "2"],
	);
	assert.equal(seen[names.indexOf("te") * 2 + 1], "trailers");
	assert.deepEqual(response.headers["set-cookie"], ["a=1", "b=2"]);
	assert.equal(response.headers["x-gone"], undefined);
	assert.equal(response.headers["x-kept"], "1");
	assert.equal(response.headers["via"], undefined);
});

test("bodies pass whole, with a length and chunked, both ways", async (t) => {
	const framings: (string | undefined)[] = [];
	const app = await startApp(t, (message, response) => {
		framings.push(message.headers["content-length"] ?? message.headers["transfer-encoding"]);
		message.pipe(response);
	});
	const { outbound, sink } = await pair(t, app);
	const large = Buffer.alloc(5 << 20, 3);
	const whole = await ask(outbound.port, { method: "POST", headers: { "content-length": large.length } }, large);
	assert.equal((await text(whole)).length, large.length);
	const outgoing = request({
		host: "127.0.0.1",
		port: outbound.port,
		method: "POST",
		headers: { host: "orders" },
		agent: false,
	});
	const answered = once(outgoing, "response");
	outgoing.write("one ");
	outgoing.write("two");
	// A body that is complete before it goes on may as well be given a length.
	await until(() => (framings.length === 2 ? true : undefined), "the app to see the request");
	outgoing.end();
	const [chunked] = (await answered) as [IncomingMessage];
	assert.equal(await text(chunked), "one two");
	assert.deepEqual(framings, [String(large.length), "chunked"]);
	const [hop] = await sink.hops("inbound", 2);
	assert.equal(hop!.requestBytes, large.length);
	assert.equal(hop!.responseBytes, large.length);
});

test("trailers pass in chunked messages, both ways", async (t) => {
	let seen: NodeJS.Dict<string> = {};
	const app = await startApp(t, (message, response) => {
		message.resume();
		message.on("end", () => {
			seen = message.trailers;
			response.writeHead(200, { trailer: "x-sum" });
			response.write("body");
			response.addTrailers({ "x-sum": "4" });
			response.end();
		});
	});
	const { outbound } = await pair(t, app);
	const outgoing = request({
		...{ host: "127.0.0.1", port: outbound.port, method: "POST", agent: false },
		headers: { host: "orders", trailer: "x-check", "transfer-encoding": "chunked" },
	});
	outgoing.write("abc");
	outgoing.addTrailers({ "x-check": "ok" });
	outgoing.end();
	const [response] = (await once(outgoing, "response")) as [IncomingMessage];
	assert.equal(await text(response), "body");
	assert.equal(response.trailers["x-sum"], "4");
	assert.equal(seen["x-check"], "ok");
});

test("responses without a body end at their head: HEAD, 204, 304", async (t) => {
	const app = await startApp(t, (message, response) => {
		if (message.url === "/head") response.writeHead(200, { "content-length": "1000" });
		else response.writeHead(Number(message.url?.slice(1)), { etag: '"1"' });
		response.end();
	});
	const { outbound } = await pair(t, app);
	for (const [method, path, status] of [
		["HEAD", "/head", 200],
		["GET", "/204", 204],
		["GET", "/304", 304],
		["HEAD", "/head", 200],
	] as const) {
		const response = await ask(outbound.port, { method, path });
		assert.equal(response.statusCode, status);
		assert.equal(await text(response), "");
		if (method === "HEAD") assert.equal(response.headers["content-length"], "1000");
	}
});

test("100 is sent when the body is wanted, and 103 passes", async (t) => {
	const app = await startApp(t, (message, response) => {
		response.writeEarlyHints({ link: "</a.css>; rel=preload" });
		message.resume();
		message.on("end", () => response.end("done"));
	});
	const { outbound } = await pair(t, app);
	const outgoing = request({
		...{ host: "127.0.0.1", port: outbound.port, method: "POST", agent: false },
		headers: { host: "orders", expect: "100-continue", "content-length": "4" },
	});
	outgoing.flushHeaders();
	const hints: unknown[] = [];
	outgoing.on("information", (info) => hints.push(info.headers.link));
	await once(outgoing, "continue");
	outgoing.end("body");
	const [response] = (await once(outgoing, "response")) as [IncomingMessage];
	assert.equal(await text(response), "done");
	assert.ok(hints.includes("</a.css>; rel=preload"), JSON.stringify(hints));
});

test("OPTIONS * and absolute-form targets arrive as they should", async (t) => {
	const app = await startApp(t, (message, response) => response.end(`${message.url} ${message.headers.host}`));
	const { outbound } = await pair(t, app);
	const star = await ask(outbound.port, { method: "OPTIONS", path: "*" });
	assert.equal(await text(star), "* orders");
	const absolute = await ask(outbound.port, { path: "http://orders/abs?x" });
	assert.equal(await text(absolute), "/abs?x orders");
});

test("a caller that goes away cancels the app's work, and the hop says DC", async (t) => {
	let closed = 0;
	const app = await startApp(t, (_message, response) => {
		response.on("close", () => closed++);
		response.write("begin");
	});
	const { outbound, sink } = await pair(t, app);
	const response = await ask(outbound.port, {});
	await once(response, "data");
	response.destroy();
	await until(() => (closed === 1 ? true : undefined), "the app to hear of it");
	for (const direction of ["outbound", "inbound"] as const) {
		const [hop] = await sink.hops(direction, 1);
		assert.equal(hop!.responseFlags, "DC");
		assert.equal(hop!.status, 200);
	}
});

test("a caller that goes away before any answer leaves status 0", async (t) => {
	let asked = 0;
	const app = await startApp(t, () => asked++);
	const { outbound, sink } = await pair(t, app);
	const outgoing = request({ host: "127.0.0.1", port: outbound.port, headers: { host: "orders" }, agent: false });
	outgoing.on("error", () => {});
	outgoing.end();
	await until(() => (asked === 1 ? true : undefined), "the app to be asked");
	outgoing.destroy();
	const [hop] = await sink.hops("inbound", 1);
	assert.equal(hop!.status, 0);
	assert.equal(hop!.responseFlags, "DC");
});

test("an answer that breaks off breaks off for the caller too, however it is framed", async (t) => {
	const app = await startApp(t, (message, response) => {
		if (message.url === "/length") response.writeHead(200, { "content-length": "100" });
		response.write("part of it");
		setTimeout(() => message.socket.destroy(), 20);
	});
	const { outbound, sink } = await pair(t, app);
	for (const path of ["/length", "/chunked"]) {
		const response = await ask(outbound.port, { path });
		await assert.rejects(text(response), /aborted|ECONNRESET/);
	}
	const hops = await sink.hops("outbound", 2);
	assert.deepEqual(
		hops.map((hop) => hop.responseFlags),
		["UC", "UC"],
	);
});

test("an app that is not there is 503 with UF at its own shim, and an answer like any other to the caller's", async (t) => {
	const app = await startApp(t, (_message, response) => response.end());
	app.server.close();
	const { outbound, sink } = await pair(t, app);
	const response = await ask(outbound.port, {});
	assert.equal(response.statusCode, 503);
	assert.match(await text(response), /reset reason: connect failure/);
	const [inbound] = await sink.hops("inbound", 1);
	const [outboundHop] = await sink.hops("outbound", 1);
	assert.equal(inbound!.responseFlags, "UF");
	assert.equal(outboundHop!.responseFlags, "");
	assert.equal(outboundHop!.status, 503);
});

test("an app that closes idle connections costs no request", async (t) => {
	const app = await startApp(t, (message, response) => {
		response.end("ok");
		// Without a word, as servers do when their idle time is over.
		response.on("finish", () => setTimeout(() => message.socket.destroy(), 2));
	});
	const { outbound, sink } = await pair(t, app);
	for (let i = 0; i < 40; i++) {
		const response = await ask(outbound.port, { path: `/${i}` });
		assert.equal(response.statusCode, 200, `request ${i}`);
		await text(response);
		await new Promise((resolve) => setTimeout(resolve, i % 5));
	}
	assert.ok((await sink.hops("inbound", 40)).every((hop) => hop.status === 200));
});

test("a slow reader holds the app back instead of filling the proxies' memory", async (t) => {
	let written = 0;
	const chunk = Buffer.alloc(64 * 1024);
	const app = await startApp(t, (_message, response) => {
		const fill = (): void => {
			while (written < 256 << 20) {
				written += chunk.length;
				if (!response.write(chunk)) {
					response.once("drain", fill);
					return;
				}
			}
			response.end();
		};
		fill();
	});
	const { outbound } = await pair(t, app);
	const response = await ask(outbound.port, {});
	await new Promise((resolve) => setTimeout(resolve, 400));
	assert.ok(written < 32 << 20, `${written >> 20} MiB were taken from the app`);
	response.destroy();
});

test("a slow app holds the caller back", async (t) => {
	const app = await startApp(t, () => {});
	const { outbound } = await pair(t, app);
	const outgoing = request({
		host: "127.0.0.1",
		port: outbound.port,
		method: "POST",
		headers: { host: "orders" },
		agent: false,
	});
	outgoing.on("error", () => {});
	const chunk = Buffer.alloc(64 * 1024);
	let sent = 0;
	while (sent < 128 << 20 && outgoing.write(chunk)) sent += chunk.length;
	for (let i = 0; i < 20; i++) {
		await new Promise((resolve) => setTimeout(resolve, 10));
		while (outgoing.writableLength === 0 && sent < 128 << 20) {
			outgoing.write(chunk);
			sent += chunk.length;
		}
	}
	assert.ok(sent < 32 << 20, `${sent >> 20} MiB were taken from the caller`);
	outgoing.destroy();
});

test("what can be read in two ways is refused with 400 and never reaches the app", async (t) => {
	let asked = 0;
	const app = await startApp(t, (_message, response) => {
		asked++;
		response.end();
	});
	const { outbound } = await pair(t, app);
	const host = "host: orders\r\n";
	const inner = "GET /smuggled HTTP/1.1\r\nhost: orders\r\n\r\n";
	const corpus: Record<string, string> = {
		"length and chunked": `POST / HTTP/1.1\r\n${host}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
		"chunked and length": `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n${inner}`,
		"two lengths": `POST / HTTP/1.1\r\n${host}content-length: 0\r\ncontent-length: ${inner.length}\r\n\r\n${inner}`,
		"list of lengths": `POST / HTTP/1.1\r\n${host}content-length: 0, ${inner.length}\r\n\r\n${inner}`,
		"signed length": `POST / HTTP/1.1\r\n${host}content-length: +4\r\n\r\nabcd`,
		"hex length": `POST / HTTP/1.1\r\n${host}content-length: 0x4\r\n\r\nabcd`,
		"space before colon": `POST / HTTP/1.1\r\n${host}content-length : 4\r\n\r\nabcd`,
		"space before colon of TE": `POST / HTTP/1.1\r\n${host}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`,
		"chunked not last": `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
		"unknown coding": `POST / HTTP/1.1\r\n${host}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n`,
		"vertical tab": `POST / HTTP/1.1\r\n${host}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
		"bare LF in head": `GET / HTTP/1.1\nhost: orders\n\n`,
		"bare CR in value": `GET / HTTP/1.1\r\n${host}x: a\rb\r\n\r\n`,
		"NUL in value": `GET / HTTP/1.1\r\n${host}x: a\x00b\r\n\r\n`,
		"folded line": `GET / HTTP/1.1\r\n${host}x: a\r\n b\r\n\r\n`,
		"two hosts": `GET / HTTP/1.1\r\n${host}host: admin\r\n\r\n`,
		"no host": `GET / HTTP/1.1\r\n\r\n`,
		"host with path": `GET / HTTP/1.1\r\nhost: orders/admin\r\n\r\n`,
		"user in host": `GET / HTTP/1.1\r\nhost: orders@admin\r\n\r\n`,
		"chunk size with sign": `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n`,
		"chunk size overflow": `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n`,
		"chunk without CRLF": `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n`,
		"bare LF after chunk size": `POST / HTTP/1.1\r\n${host}transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
		"no version": `GET /\r\n${host}\r\n`,
		"version 1.2": `GET / HTTP/1.2\r\n${host}\r\n`,
		"space in target": `GET /a b HTTP/1.1\r\n${host}\r\n`,
		"relative target": `GET a HTTP/1.1\r\n${host}\r\n`,
		"bad name": `GET / HTTP/1.1\r\n${host}x(y): 1\r\n\r\n`,
		"empty name": `GET / HTTP/1.1\r\n${host}: 1\r\n\r\n`,
		"TE in HTTP/1.0": `POST / HTTP/1.0\r\n${host}transfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
	};
	for (const [name, bytes] of Object.entries(corpus)) {
		const before = asked;
		const answer = await raw(outbound.port, bytes, 1_000);
		const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => match[1]);
		assert.deepEqual(statuses, ["400"], `${name}: ${JSON.stringify(answer.slice(0, 200))}`);
		// A head whose body turns out broken may have been forwarded already; nothing behind it may.
		if (!name.startsWith("chunk") && !name.startsWith("bare LF after")) assert.equal(asked, before, name);
	}
});

test("requests in one packet are answered in order", async (t) => {
	const app = await startApp(t, (message, response) => response.end(message.url));
	const { outbound } = await pair(t, app);
	const one = (path: string, close = false): string =>
		`GET ${path} HTTP/1.1\r\nhost: orders\r\n${close ? "connection: close\r\n" : ""}\r\n`;
	const answer = await raw(outbound.port, one("/1") + one("/2") + one("/3", true));
	assert.deepEqual(
		[...answer.matchAll(/\r\n\r\n(?:2\r\n)?(\/\d)/g)].map((match) => match[1]),
		["/1", "/2", "/3"],
	);
});
