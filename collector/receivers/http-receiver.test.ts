import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { ACCEPTED, JSON_TYPE, PROTOBUF, callHttp, startTestReceivers } from "./test-kit.ts";

const MIB = 1024 * 1024;

/** Sends bytes as they are; resolves to everything that came back until the server closed. */
function raw(address: string, bytes: string): Promise<string> {
	const [host, port] = address.split(":");
	return new Promise((resolve, reject) => {
		const socket = connect({ host, port: Number(port) }, () => socket.write(bytes));
		let received = "";
		socket.on("data", (part) => (received += part.toString("latin1")));
		socket.on("close", () => resolve(received));
		socket.on("error", reject);
	});
}

test("the payload reaches the sink as it was sent, whatever its compression and framing", async () => {
	await using t = await startTestReceivers();
	const payload = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) & 0xff));
	const forms = { identity: payload, gzip: gzipSync(payload), zstd: zstdCompressSync(payload), deflate: deflateSync(payload) };
	for (const [encoding, body] of Object.entries(forms)) {
		for (const chunked of [false, true]) {
			t.sink.batches.length = 0;
			const headers = { ...PROTOBUF, "content-encoding": encoding };
			const answer = await callHttp({ address: t.otlpHttp, headers, body, chunked });
			assert.equal(answer.status, 200, encoding);
			assert.equal(Buffer.compare(t.sink.onlyPayload(), payload), 0, encoding);
		}
	}
	assert.equal(t.sink.heldBytes, 0);
});

test("each path is its signal", async () => {
	await using t = await startTestReceivers();
	for (const signal of ["traces", "logs", "metrics"])
		await callHttp({ address: t.otlpHttp, path: `/v1/${signal}?x=1`, headers: PROTOBUF });
	assert.deepEqual(
		t.sink.batches.map((batch) => [batch.signal, batch.encoding, batch.self]),
		[
			["traces", "otlp-protobuf", false],
			["logs", "otlp-protobuf", false],
			["metrics", "otlp-protobuf", false],
		],
	);
});

test("a marked request is our own telemetry", async () => {
	await using t = await startTestReceivers();
	await callHttp({ address: t.otlpHttp, headers: { ...JSON_TYPE, "x-meshscope-self": "1" }, body: "{}" });
	assert.equal(t.sink.batches[0]!.self, true);
});

test("the media type counts, its case and parameters do not", async () => {
	await using t = await startTestReceivers();
	for (const type of ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]) {
		const answer = await callHttp({ address: t.otlpHttp, headers: { "content-type": type }, body: "{}" });
		assert.equal(answer.headers["content-type"], "application/json");
	}
	assert.ok(t.sink.batches.every(({ encoding }) => encoding === "otlp-json"));
});

test("a refusal keeps the connection when the body is short, so that a retry costs no handshake", async () => {
	await using t = await startTestReceivers();
	t.sink.budgetBytes = 10;
	const agent = new Agent({ keepAlive: true, maxSockets: 1 });
	const [host, port] = t.otlpHttp.split(":");
	const ports = new Set<number | undefined>();
	for (let i = 0; i < 5; i++) {
		const status = await new Promise((resolve, reject) => {
			const req = request({ host, port, agent, method: "POST", path: "/v1/traces", headers: PROTOBUF }, (res) => {
				ports.add(res.socket.localPort);
				res.resume().on("end", () => resolve(res.statusCode));
			});
			req.on("error", reject).end(Buffer.alloc(300_000));
		});
		assert.equal(status, 503);
	}
	assert.equal(ports.size, 1);
	assert.equal(t.sink.refusals.length, 5);
	agent.destroy();
});

test("a refused large body still lets the client read the answer", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: MIB });
	for (const chunked of [false, true]) {
		const answer = await callHttp({ address: t.otlpHttp, headers: PROTOBUF, body: Buffer.alloc(6 * MIB), chunked });
		assert.equal(answer.status, 413);
	}
	assert.equal(t.sink.heldBytes, 0);
});

test("a client that asks first is refused before it sends, and told to go on when it may", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: 1_000 });
	const head =
		"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\nconnection: close\r\n";
	const refused = await raw(t.otlpHttp, `${head}content-length: 1001\r\n\r\n`);
	assert.match(refused, /^HTTP\/1\.1 413 /);
	const accepted = await raw(t.otlpHttp, `${head}content-length: 2\r\n\r\n{}`);
	assert.match(accepted, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
});

test("a client that goes away in the middle of its body leaves nothing held and nothing stored", async () => {
	await using t = await startTestReceivers();
	const [host, port] = t.otlpHttp.split(":");
	const socket = connect({ host, port: Number(port) });
	socket.write("POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\nabc");
	while (t.sink.heldBytes === 0) await new Promise((resolve) => setTimeout(resolve, 5));
	socket.destroy();
	while (t.sink.heldBytes > 0) await new Promise((resolve) => setTimeout(resolve, 5));
	assert.equal(t.sink.batches.length, 0);
});

test("pipelined requests are answered in their order", async () => {
	await using t = await startTestReceivers();
	let first = true;
	t.sink.answer = async () => {
		const slow = first;
		first = false;
		if (slow) await new Promise((resolve) => setTimeout(resolve, 30));
		return slow ? { kind: "accepted", rejected: 1, errorMessage: "first" } : ACCEPTED;
	};
	const one = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n";
	const received = await raw(t.otlpHttp, `${one}\r\n{}${one}connection: close\r\n\r\n{}`);
	assert.ok(received.indexOf("first") < received.lastIndexOf("HTTP/1.1 200"));
	assert.equal(t.sink.batches.length, 2);
});

test("what is not HTTP gets a 400 and the connection's end", async () => {
	await using t = await startTestReceivers();
	assert.match(await raw(t.otlpHttp, "\u0016\u0003\u0001 not http\r\n\r\n"), /^HTTP\/1\.1 400 Bad Request/);
	assert.equal((await callHttp({ address: t.otlpHttp, headers: JSON_TYPE, body: "{}" })).status, 200);
});

test("a length and a chunked body together are refused: proxies disagree on where such a request ends", async () => {
	await using t = await startTestReceivers();
	const smuggled =
		"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
	assert.match(await raw(t.otlpHttp, smuggled), /^HTTP\/1\.1 400/);
	assert.equal(t.sink.batches.length, 0);
});
