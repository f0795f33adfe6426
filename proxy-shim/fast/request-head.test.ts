import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_HEAD_BYTES, readRequestHead } from "./request-head.ts";
import type { RequestHead } from "./request-head.ts";

function read(text: string): ReturnType<typeof readRequestHead> {
	return readRequestHead(Buffer.from(text, "latin1"), 0);
}

test("a plain request is read with its names as they were sent", () => {
	const text = "POST /cart?item=1 HTTP/1.1\r\nHost: cart.shop:8080\r\nX-Thing:  a b \t\r\ncontent-length: 5\r\n\r\nhello";
	const head = read(text) as RequestHead;
	assert.deepEqual(head, {
		kind: "plain",
		method: "POST",
		target: "/cart?item=1",
		host: "cart.shop:8080",
		fields: ["Host", "cart.shop:8080", "X-Thing", "a b", "content-length", "5"],
		contentLength: 5,
		hasContentLength: true,
		keepAlive: true,
		endOffset: text.length - 5,
	});
});

test("Connection and Keep-Alive end at this hop, and close is remembered", () => {
	const head = read("GET / HTTP/1.1\r\nConnection: Close\r\nKeep-Alive: timeout=5\r\nhost: a\r\nx: y\r\n\r\n") as RequestHead;
	assert.deepEqual(head.fields, ["host", "a", "x", "y"]);
	assert.equal(head.keepAlive, false);
	assert.equal(head.hasContentLength, false);
});

const OTHERS: readonly (readonly [title: string, head: string])[] = [
	["HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\n\r\n"],
	["absolute form", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
	["asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
	["CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
	["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
	["an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"],
	["two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
	["a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"],
	["a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"],
	["a control character in the target", "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n"],
	["an octet beyond ASCII in the target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n"],
	["no Host", "GET / HTTP/1.1\r\nX: a\r\n\r\n"],
	["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"],
	["Transfer-Encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["Transfer-Encoding in odd case", "POST / HTTP/1.1\r\nHost: a\r\ntRANSFER-eNCODING: identity\r\n\r\n"],
	["two Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"],
	["a list of Content-Lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n"],
	["a signed Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n"],
	["a hexadecimal Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n"],
	["a huge Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999\r\n\r\n"],
	["an empty Content-Length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n"],
	["Expect", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"],
	["Upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"],
	["TE", "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"],
	["Trailer", "GET / HTTP/1.1\r\nHost: a\r\nTrailer: x\r\n\r\n"],
	["Connection that names a field", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-secret\r\n\r\n"],
	["Proxy-Connection", "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\n"],
	["a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"],
	["a space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n"],
	["an empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"],
	["a line without a colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"],
	["a bare LF in the head", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"],
	["bare LFs throughout", "GET / HTTP/1.1\nHost: a\n\n"],
	["a bare CR", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"],
	["a NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"],
	["TLS where plaintext is read", "\x16\x03\x01\x02\x00"],
	["an empty line before the request", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"],
	["more than a hundred fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X: y\r\n".repeat(101)}\r\n`],
	["a head beyond the limit", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(MAX_HEAD_BYTES)}\r\n\r\n`],
	["a head beyond the limit without an end", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(MAX_HEAD_BYTES)}`],
];

for (const [title, head] of OTHERS) {
	test(`${title} is left to the other tier`, () => {
		assert.equal(read(head).kind, "other");
	});
}

test("a head is incomplete until its last byte, and then plain", () => {
	const text = "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
	for (let cut = 0; cut < text.length; cut++) assert.equal(read(text.slice(0, cut)).kind, "incomplete", `cut at ${cut}`);
	assert.equal(read(text).kind, "plain");
});

test("a head is read where it begins in a buffer that holds an earlier body", () => {
	const text = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
	const head = readRequestHead(Buffer.from(`earlier\r\n\r\n${text}next`), 11) as RequestHead;
	assert.equal(head.target, "/a");
	assert.equal(head.endOffset, 11 + text.length);
});

/** What node:http makes of the same bytes; undefined when it refuses them. */
async function readByNode(text: string): Promise<{ method: string; target: string; raw: readonly string[] } | undefined> {
	const [client, peer] = duplexPair();
	const server = createServer();
	const seen = new Promise<IncomingMessage | undefined>((resolve) => {
		server.on("request", (request) => resolve(request));
		server.on("clientError", () => resolve(undefined));
	});
	server.emit("connection", peer);
	client.end(Buffer.from(text, "latin1"));
	const request = await seen;
	const read = request && { method: request.method ?? "", target: request.url ?? "", raw: request.rawHeaders };
	client.destroy();
	peer.destroy();
	return read;
}

const piece = fc.constantFrom(
	...[
		"GET",
		"POST",
		" ",
		"/",
		"/a?b=c",
		"HTTP/1.1",
		"\r\n",
		"\n",
		"\r",
		"\t",
		":",
		"Host: a",
		"Content-Length: 0",
		"content-length: 3",
	],
	...["X: y", "X:", "Transfer-Encoding: chunked", "Connection: close", "Connection: x", "\0", "\x7f", "\xff", ",", "é", "x"],
);

test("whatever this reader takes, node:http reads the same", async () => {
	let plain = 0;
	await fc.assert(
		fc.asyncProperty(fc.array(piece, { maxLength: 6 }), fc.array(piece, { maxLength: 4 }), async (middle, inLine) => {
			const text = `GET /a${inLine.join("")} HTTP/1.1\r\nHost: a\r\n${middle.join("")}\r\n\r\nabc`;
			const head = read(text);
			if (head.kind !== "plain") return;
			plain++;
			const byNode = await readByNode(text);
			assert.ok(byNode, `node refuses ${JSON.stringify(text)}`);
			assert.equal(byNode.method, head.method);
			assert.equal(byNode.target, head.target);
			const rest = byNode.raw.filter((_, i) => !/^(?:connection|keep-alive)$/i.test(byNode.raw[i - (i % 2)]!));
			assert.deepEqual(rest, head.fields);
		}),
		{ numRuns: 2_000, seed: 7 },
	);
	assert.ok(plain > 100, `only ${plain} heads were plain`);
});
