import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { request } from "node:https";
import { Agent } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { startReceivers } from "./receivers.ts";
import { ACCEPTED, FakeSink, JSON_TYPE, callGrpc, callGrpcOn, callHttp, frame, startTestReceivers } from "./test-kit.ts";

const pem = (name: string): string => readFileSync(new URL(`../../test/conformance/tls/${name}`, import.meta.url), "utf8");
const SERVER_TLS = { certPem: pem("server.pem"), keyPem: pem("server.key") };

function callHttps(address: string, client: { cert?: string; key?: string } = {}): Promise<number> {
	const [host, port] = address.split(":");
	return new Promise((resolve, reject) => {
		const options = {
			host,
			port,
			path: "/v1/traces",
			method: "POST",
			headers: JSON_TYPE,
			ca: pem("ca.pem"),
			agent: false as const,
			...client,
		};
		request(options, (res) => res.resume().on("end", () => resolve(res.statusCode ?? 0)))
			.on("error", reject)
			.end("{}");
	});
}

async function callGrpcs(address: string, client: { cert?: string; key?: string } = {}): Promise<number> {
	const session = connectHttp2(`https://${address}`, { ca: pem("ca.pem"), ...client });
	try {
		const failed = new Promise<never>((_resolve, reject) => {
			session.on("error", reject);
		});
		return (await Promise.race([callGrpcOn(session, { chunks: [frame(Buffer.from("x"))] }), failed])).status;
	} finally {
		session.destroy();
	}
}

test("an absent address leaves its receiver off, and addresses say where the others are", async () => {
	await using t = await startTestReceivers({ zipkin: undefined });
	assert.equal(t.receivers.addresses.zipkin, undefined);
	assert.match(t.otlpGrpc, /^127\.0\.0\.1:\d+$/);
	assert.match(t.otlpHttp, /^127\.0\.0\.1:\d+$/);
});

test("an address that is taken is named, and nothing is left listening", async () => {
	const blocker = createServer();
	await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
	const { port } = blocker.address() as AddressInfo;
	const taken = { host: "127.0.0.1", port };
	const free = { host: "127.0.0.1", port: 0 };
	await assert.rejects(
		startReceivers({ otlpGrpc: free, otlpHttp: free, zipkin: taken }, new FakeSink(), () => {}),
		(error: Error) => {
			return error.message.includes(`zipkin receiver cannot listen on 127.0.0.1:${port}`);
		},
	);
	blocker.close();
});

test("with tokens set, every ingest request needs one", async () => {
	await using t = await startTestReceivers({ ingestTokens: ["first", "second"] });
	const refused = await callHttp({ address: t.otlpHttp, headers: JSON_TYPE, body: "{}" });
	assert.deepEqual([refused.status, refused.headers["www-authenticate"]], [401, "Bearer"]);
	assert.equal((await callHttp({ address: t.zipkin, path: "/api/v2/spans" })).status, 401);
	assert.equal((await callGrpc(t.otlpGrpc, { chunks: [frame(Buffer.alloc(1))] })).status, 16);
	assert.equal(
		(await callGrpc(t.otlpGrpc, { chunks: [frame(Buffer.alloc(1))], headers: { authorization: "Bearer third" } })).status,
		16,
	);
	assert.equal(t.sink.batches.length, 0);
	assert.deepEqual(
		t.sink.refusals.map(({ code }) => code),
		["unauthenticated", "unauthenticated", "unauthenticated", "unauthenticated"],
	);
	const authorization = "Bearer second";
	assert.equal((await callHttp({ address: t.otlpHttp, headers: { ...JSON_TYPE, authorization }, body: "{}" })).status, 200);
	assert.equal((await callGrpc(t.otlpGrpc, { chunks: [frame(Buffer.alloc(1))], headers: { authorization } })).status, 0);
	assert.ok(!JSON.stringify(t.lines).includes("third"), "no credential in the log");
});

test("TLS serves all three receivers", async () => {
	await using t = await startTestReceivers({ tls: SERVER_TLS });
	assert.equal(await callHttps(t.otlpHttp), 200);
	assert.equal(await callGrpcs(t.otlpGrpc), 0);
	assert.equal(await callHttps(t.zipkin), 404);
});

test("with a client authority set, no certificate means no connection", async () => {
	await using t = await startTestReceivers({ tls: { ...SERVER_TLS, clientCaPem: pem("ca.pem") } });
	await assert.rejects(callHttps(t.otlpHttp));
	await assert.rejects(callGrpcs(t.otlpGrpc));
	assert.equal(t.sink.batches.length, 0);
	const client = { cert: pem("client.pem"), key: pem("client.key") };
	assert.equal(await callHttps(t.otlpHttp, client), 200);
	assert.equal(await callGrpcs(t.otlpGrpc, client), 0);
});

test("close answers what is under way, refuses what comes after as retryable, and ends kept-alive connections", async () => {
	const t = await startTestReceivers();
	const agent = new Agent({ keepAlive: true });
	let commit = (): void => {};
	t.sink.answer = () => new Promise((resolve) => (commit = () => resolve(ACCEPTED)));
	const inFlight = callHttp({ address: t.otlpHttp, headers: JSON_TYPE, body: "{}" });
	while (t.sink.batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
	const started = performance.now();
	const closed = t.receivers.close(5_000);
	await assert.rejects(callHttp({ address: t.otlpHttp, headers: JSON_TYPE, body: "{}" }), { code: "ECONNREFUSED" });
	setTimeout(commit, 60);
	const answer = await inFlight;
	assert.deepEqual([answer.status, answer.headers.connection], [200, "close"]);
	await closed;
	assert.ok(performance.now() - started < 2_000);
	agent.destroy();
});

test("close cuts what does not end within its grace", async () => {
	const t = await startTestReceivers();
	t.sink.answer = () => new Promise(() => {});
	const http = callHttp({ address: t.otlpHttp, headers: JSON_TYPE, body: "{}" }).catch(
		(error: NodeJS.ErrnoException) => error.code,
	);
	const grpc = callGrpc(t.otlpGrpc, { chunks: [frame(Buffer.alloc(1))] }).then(
		({ status }) => status,
		() => -1,
	);
	while (t.sink.batches.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
	const started = performance.now();
	await t.receivers.close(100);
	assert.ok(performance.now() - started < 1_500);
	assert.equal(await http, "ECONNRESET");
	assert.equal(await grpc, -1);
});
