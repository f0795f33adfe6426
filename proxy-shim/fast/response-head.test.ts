import assert from "node:assert/strict";
import { test } from "node:test";
import { readResponseHead } from "./response-head.ts";
import type { ResponseHead } from "./response-head.ts";

function read(text: string, toHead = false): ReturnType<typeof readResponseHead> {
	return readResponseHead(Buffer.from(text, "latin1"), 0, toHead);
}

test("a response is read with its framing", () => {
	const text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\n";
	assert.deepEqual(read(`${text}ok`), {
		kind: "head",
		status: 200,
		reason: "OK",
		fields: ["Content-Length", "2", "Set-Cookie", "a=b", "set-cookie", "c=d"],
		framing: { kind: "length", bytes: 2 },
		reusable: true,
		keepAliveSeconds: undefined,
		endOffset: text.length,
	});
});

const FRAMINGS: readonly (readonly [title: string, text: string, toHead: boolean, framing: string, reusable: boolean])[] = [
	["chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "chunked", true],
	["neither", "HTTP/1.1 200 OK\r\n\r\n", false, "close", false],
	["an answer to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, "none", true],
	["204", "HTTP/1.1 204 No Content\r\n\r\n", false, "none", true],
	["304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, "none", true],
	["103", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", false, "none", true],
	["close", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, "length", false],
	["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, "length", false],
	["HTTP/1.0 kept alive", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false, "length", true],
	["no reason phrase", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, "length", true],
];

for (const [title, text, toHead, framing, reusable] of FRAMINGS) {
	test(`framing of ${title}`, () => {
		const head = read(text, toHead) as ResponseHead;
		assert.equal(head.kind, "head");
		assert.equal(head.framing.kind, framing);
		assert.equal(head.reusable, reusable);
	});
}

test("the time that an upstream keeps a connection is read", () => {
	const head = read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5, max=100\r\n\r\n") as ResponseHead;
	assert.equal(head.keepAliveSeconds, 5);
	assert.deepEqual(head.fields, ["Content-Length", "0"]);
});

test("fields that Connection names end at this hop, framing cannot be named away", () => {
	const head = read(
		"HTTP/1.1 200 OK\r\nConnection: x-hop, content-length\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n",
	) as ResponseHead;
	assert.deepEqual(head.fields, ["X-End", "2", "Content-Length", "0"]);
});

const BAD: readonly (readonly [title: string, text: string])[] = [
	["not HTTP", "SSH-2.0-x\r\n\r\n"],
	["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
	["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
	["a status under 100", "HTTP/1.1 099 X\r\n\r\n"],
	["a length beside chunked", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"],
	["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
	["chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
	["a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"],
	["a bare LF", "HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n"],
	["a control character", "HTTP/1.1 200 O\x01K\r\n\r\n"],
];

for (const [title, text] of BAD) {
	test(`${title} is a fault of the upstream`, () => {
		assert.equal(read(text).kind, "bad");
	});
}

test("a head is incomplete until its last byte", () => {
	const text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
	for (let cut = 0; cut < text.length; cut++) assert.equal(read(text.slice(0, cut)).kind, "incomplete", `cut at ${cut}`);
});
