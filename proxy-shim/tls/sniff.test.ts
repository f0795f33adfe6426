import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { makeAuthority, makeIdentity } from "../../test/proxy/identities.ts";
import { createMemoryIdentity } from "./memory-identity.ts";
import { createServerTls } from "./server.ts";
import { classify, sniffFirstByte } from "./sniff.ts";

const authority = makeAuthority("authority");
const identity = makeIdentity(authority, "orders");
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

test("the first bytes tell what a connection speaks", () => {
	const cases: readonly (readonly [head: string, verdict: string])[] = [
		["", "more"],
		["\x16", "more"],
		["\x16\x03\x01\x02\x00", "more"],
		["\x16\x03\x01\x02\x00\x01", "tls"],
		["\x16\x03\x03\x00\x04\x01", "tls"],
		["\x16\x02\x01\x02\x00\x01", "other"],
		["\x16\x03\x05", "other"],
		["\x16\x03\x01\xff\xff\x01", "other"],
		["\x16\x03\x01\x00\x00\x01", "other"],
		["\x16\x03\x01\x02\x00\x02", "other"],
		["\x15\x03\x01\x00\x02", "other"],
		["P", "more"],
		["PRI * HTTP/2.0\r\n", "more"],
		[PREFACE, "http2"],
		[`${PREFACE}\0\0\0`, "http2"],
		["PRI * HTTP/2.0\r\n\r\nXX", "http1"],
		["POST /", "http1"],
		["GET", "more"],
		["BASELINE-CONTROL / HTTP/1.1", "http1"],
		[" GET", "other"],
		["\r\nGET /", "other"],
		["A".repeat(24), "other"],
		["\0", "other"],
		["SSH-2.0-x\r\n", "other"],
	];
	for (const [head, verdict] of cases) assert.equal(classify(Buffer.from(head, "latin1")), verdict, JSON.stringify(head));
});

test("a verdict stands however the bytes are cut, and never waits beyond 24 bytes", () => {
	const head = fc.oneof(
		fc.uint8Array({ minLength: 24, maxLength: 40 }),
		fc
			.constantFrom(PREFACE, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "\x16\x03\x01\x02\x00\x01".padEnd(30, "x"))
			.map((text) => Buffer.from(text, "latin1")),
	);
	fc.assert(
		fc.property(head, (bytes) => {
			const whole = classify(bytes);
			assert.notEqual(whole, "more");
			for (let length = 0; length < bytes.length; length++) {
				const verdict = classify(bytes.subarray(0, length));
				assert.ok(verdict === "more" || verdict === whole);
			}
		}),
	);
});

const cleanups: (() => void)[] = [];
after(() => cleanups.forEach((cleanup) => cleanup()));

/** One port for everything: HTTP/1, HTTP/2 and both over mTLS; anything else is echoed. */
async function listenPermissive(failures: string[] = []): Promise<number> {
	const http1 = createHttpServer((request, response) => {
		request.resume();
		request.on("end", () => response.end(`http1 ${request.url}`));
	});
	const http2 = createHttp2Server((request, response) => response.end(`http2 ${request.url}`));
	const tls = createServerTls(createMemoryIdentity(identity), {
		alpn: ["h2", "http/1.1"],
		requireClientCertificate: true,
		nowMs: Date.now,
		events: { event: (event) => failures.push(event.kind === "handshake_failed" ? event.reason : event.kind) },
		onSecure: (socket) => (socket.alpnProtocol === "h2" ? http2 : http1).emit("connection", socket),
	});
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		sniffFirstByte(socket, {
			timeoutMs: 200,
			onTls: (connection) => tls.accept(connection),
			onPlain(connection, protocol) {
				if (protocol === "other") connection.pipe(connection);
				else (protocol === "http2" ? http2 : http1).emit("connection", connection);
			},
			onFailed: (reason) => failures.push(reason),
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	cleanups.push(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return (server.address() as AddressInfo).port;
}

async function trickle(socket: Socket, bytes: string | Buffer, pieces: number): Promise<void> {
	const all = Buffer.from(bytes as string, "latin1");
	for (let i = 0; i < pieces; i++) {
		socket.write(all.subarray(i, i === pieces - 1 ? undefined : i + 1));
		await new Promise((resolve) => setTimeout(resolve, 2));
	}
}

async function readUntil(socket: Socket, pattern: RegExp): Promise<string> {
	let text = "";
	for await (const chunk of socket) {
		text += String(chunk);
		if (pattern.test(text)) break;
	}
	return text;
}

test("HTTP/1 in plaintext loses no byte, in one piece or many", async () => {
	const port = await listenPermissive();
	for (const pieces of [1, 3, 30]) {
		const socket = connect(port, "127.0.0.1");
		await trickle(
			socket,
			`POST /${pieces} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello`,
			pieces,
		);
		assert.match(await readUntil(socket, /http1/), new RegExp(`http1 /${pieces}$`));
	}
});

test("HTTP/2 in plaintext is told by its preface", async () => {
	const port = await listenPermissive();
	const session = connectHttp2(`http://127.0.0.1:${port}`);
	const stream = session.request({ ":path": "/two" });
	assert.equal(await readUntil(stream as unknown as Socket, /http2/), "http2 /two");
	session.close();
});

test("mTLS arrives whole through the same port, in one piece or trickled", async () => {
	const port = await listenPermissive();
	const own = {
		cert: identity.chainPem,
		key: identity.keyPem,
		ca: authority.certificatePem,
		checkServerIdentity: () => undefined,
	};
	const direct = connectTls({ port, host: "127.0.0.1", ...own });
	direct.write("GET /tls HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
	assert.match(await readUntil(direct, /http1 \/tls/), /200 OK/);
	const session = connectHttp2(`https://127.0.0.1:${port}`, own);
	const stream = session.request({ ":path": "/h2" });
	assert.equal(await readUntil(stream as unknown as Socket, /http2/), "http2 /h2");
	session.close();
	// A relay that sends the client's hello a byte at a time.
	const relay = createServer((socket) => {
		const onward = connect(port, "127.0.0.1");
		onward.on("data", (chunk) => socket.write(chunk));
		socket.on("error", () => undefined);
		socket.once("data", (chunk) => {
			void trickle(onward, chunk.toString("latin1"), 40).then(() => socket.on("data", (more) => onward.write(more)));
			socket.pause();
			setTimeout(() => socket.resume(), 150);
		});
		socket.on("close", () => onward.destroy());
	}).listen(0, "127.0.0.1");
	await once(relay, "listening");
	cleanups.push(() => relay.close());
	const slow = connectTls({ port: (relay.address() as AddressInfo).port, host: "127.0.0.1", ...own });
	slow.write("GET /slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
	assert.match(await readUntil(slow, /http1 \/slow/), /200 OK/);
	slow.destroy();
});

test("other bytes are handed on as they are", async () => {
	const port = await listenPermissive();
	const socket = connect(port, "127.0.0.1");
	socket.write(Buffer.from([0x16, 0x03, 0x09, 1, 2, 3]));
	const [chunk] = (await once(socket, "data")) as [Buffer];
	assert.deepEqual([...chunk], [0x16, 0x03, 0x09, 1, 2, 3]);
	socket.destroy();
});

test("silent, trickling and vanishing clients are ended in time", async () => {
	const failures: string[] = [];
	const port = await listenPermissive(failures);
	for (const bytes of ["", "GE", "\x16\x03"]) {
		const socket = connect(port, "127.0.0.1");
		if (bytes !== "") socket.write(Buffer.from(bytes, "latin1"));
		await once(socket.resume(), "close");
	}
	assert.deepEqual(failures, ["handshake_timeout", "handshake_timeout", "handshake_timeout"]);
	failures.length = 0;
	for (const end of ["end", "destroy", "resetAndDestroy"] as const) {
		const socket = connect(port, "127.0.0.1");
		await once(socket, "connect");
		socket[end]();
		socket.resume();
		await once(socket, "close");
	}
	const deadlineMs = Date.now() + 2_000;
	while (failures.length < 3 && Date.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, 5));
	assert.deepEqual(failures, ["connection_closed", "connection_closed", "connection_closed"]);
});

test("where servers speak first, silence is plaintext", async () => {
	const server = createServer((socket) => {
		sniffFirstByte(socket, {
			timeoutMs: 50,
			onTls: () => assert.fail("no TLS"),
			onPlain: () => assert.fail("silent"),
			onSilent: (connection) => connection.end("220 ready\r\n"),
		});
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	cleanups.push(() => server.close());
	const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
	assert.equal(await readUntil(socket, /220/), "220 ready\r\n");
});
