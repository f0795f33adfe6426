import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { percentEncode } from "./grpc-exchange.ts";
import { GrpcMessageReader } from "./grpc-message-reader.ts";
import { startGrpcServer } from "./grpc-server.ts";
import type { GrpcService } from "./grpc-service.ts";
import { DEFAULT_LIMITS } from "./settings.ts";
import {
	ACCEPTED,
	FakeSink,
	LOGS_EXPORT,
	METRICS_EXPORT,
	TRACE_EXPORT,
	callGrpc,
	callGrpcOn,
	frame,
	startTestReceivers,
} from "./test-kit.ts";

const HEALTH = "/grpc.health.v1.Health";
const MIB = 1024 * 1024;

test("messages are the same however the stream is cut into chunks, all at once or one at a time", () => {
	fc.assert(
		fc.property(
			fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }),
			fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 }),
			fc.boolean(),
			(messages, cuts, wantsMore) => {
				const seen: string[] = [];
				const sink = new FakeSink();
				const reader = new GrpcMessageReader(DEFAULT_LIMITS, sink, ({ bytes, reservation }) => {
					seen.push(Buffer.from(bytes).toString("hex"));
					reservation.release();
					return wantsMore;
				});
				const wire = Buffer.concat(messages.map((message) => frame(message)));
				for (let at = 0, i = 0; at < wire.length; i++) {
					const step = cuts[i % cuts.length]!;
					const chunk = wire.subarray(at, at + step);
					const end = reader.push(chunk);
					if (wantsMore) assert.equal(end, chunk.length);
					at += end;
				}
				assert.deepEqual(
					seen,
					messages.map((message) => Buffer.from(message).toString("hex")),
				);
				assert.ok(reader.atBoundary);
				assert.equal(sink.heldBytes, 0);
			},
		),
	);
});

test("each Export is its signal", async () => {
	await using t = await startTestReceivers();
	for (const path of [TRACE_EXPORT, LOGS_EXPORT, METRICS_EXPORT]) {
		const answer = await callGrpc(t.otlpGrpc, {
			path,
			chunks: [frame(Buffer.from(path))],
			headers: { "x-meshscope-self": "1" },
		});
		assert.deepEqual([answer.status, answer.messages.length], [0, 1]);
	}
	assert.deepEqual(
		t.sink.batches.map(({ signal, bytes, self }) => [signal, Buffer.from(bytes).toString(), self]),
		[
			["traces", TRACE_EXPORT, true],
			["logs", LOGS_EXPORT, true],
			["metrics", METRICS_EXPORT, true],
		],
	);
	assert.equal(t.sink.heldBytes, 0);
});

test("large messages on one connection arrive whole, side by side", async () => {
	await using t = await startTestReceivers();
	// The client's own cap of 10 MB of queued data would refuse these calls before they leave it.
	const session = connect(`http://${t.otlpGrpc}`, { maxSessionMemory: 100 });
	const payloads = Array.from({ length: 12 }, (_, i) => Buffer.alloc(3 * MIB + i, i + 1));
	const answers = await Promise.all(payloads.map((payload) => callGrpcOn(session, { chunks: [frame(payload)] })));
	session.close();
	assert.ok(answers.every(({ status }) => status === 0));
	const bySize = t.sink.batches.toSorted((a, b) => a.bytes.length - b.bytes.length);
	for (const [i, { bytes }] of bySize.entries()) assert.equal(Buffer.compare(bytes, payloads[i]!), 0);
});

test("calls that share a connection get their own bytes, though the memory of its reads is given back", async () => {
	await using t = await startTestReceivers();
	const session = connect(`http://${t.otlpGrpc}`, { maxSessionMemory: 1_000 });
	const payloads = Array.from({ length: 36 }, (_, i) => {
		const bytes = Buffer.alloc([90, 9_000, 700_000][i % 3]! + i);
		for (let at = 0; at < bytes.length; at++) bytes[at] = (i * 31 + at * 7 + (at >> 8)) & 0xff;
		return bytes;
	});
	const answers = await Promise.all(payloads.map((bytes) => callGrpcOn(session, { chunks: [frame(bytes)] })));
	session.close();
	assert.ok(answers.every(({ status }) => status === 0));
	const received = t.sink.batches.toSorted((a, b) => a.bytes.length - b.bytes.length);
	const sent = payloads.toSorted((a, b) => a.length - b.length);
	assert.equal(received.length, sent.length);
	for (const [i, { bytes }] of received.entries()) assert.equal(Buffer.compare(bytes, sent[i]!), 0);
});

test("an unknown method is UNIMPLEMENTED and names what is served", async () => {
	await using t = await startTestReceivers();
	const answer = await callGrpc(t.otlpGrpc, {
		path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		chunks: [frame(Buffer.alloc(0))],
	});
	assert.equal(answer.status, 12);
	assert.ok(answer.trailersOnly);
	assert.match(answer.message, /ServerReflectionInfo/);
	for (const name of [
		"TraceService (Export)",
		"LogsService (Export)",
		"MetricsService (Export)",
		"grpc.health.v1.Health (Check, Watch, List)",
	]) {
		assert.ok(answer.message.includes(name), name);
	}
});

test("what is not gRPC gets a plain HTTP answer", async () => {
	await using t = await startTestReceivers();
	for (const type of ["application/json", "application/grpc+json", "application/grpcx", "application/grpc-web"]) {
		assert.equal((await callGrpc(t.otlpGrpc, { headers: { "content-type": type } })).httpStatus, 415, type);
	}
	assert.equal((await callGrpc(t.otlpGrpc, { headers: { ":method": "PUT" } })).httpStatus, 405);
	for (const type of ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"]) {
		assert.equal(
			(await callGrpc(t.otlpGrpc, { headers: { "content-type": type }, chunks: [frame(Buffer.alloc(1))] })).status,
			0,
			type,
		);
	}
});

test("a unary call carries exactly one whole message", async () => {
	await using t = await startTestReceivers();
	const one = frame(Buffer.from("one"));
	for (const chunks of [[], [one, one], [one.subarray(0, 6)], [one.subarray(0, 3)], [one, Buffer.from([0])]]) {
		const answer = await callGrpc(t.otlpGrpc, { chunks });
		assert.equal(answer.status, 3, `${chunks.length} chunks`);
	}
	assert.equal(t.sink.batches.length, 0);
	assert.equal(t.sink.heldBytes, 0);
});

test("a compressed message without an encoding, and a flag other than 0 and 1, are malformed", async () => {
	await using t = await startTestReceivers();
	assert.equal((await callGrpc(t.otlpGrpc, { chunks: [frame(gzipSync("x"), true)] })).status, 3);
	assert.equal((await callGrpc(t.otlpGrpc, { chunks: [Buffer.from([2, 0, 0, 0, 0])] })).status, 3);
});

test("an uncompressed message is read even when the call names an encoding", async () => {
	await using t = await startTestReceivers();
	assert.equal(
		(await callGrpc(t.otlpGrpc, { headers: { "grpc-encoding": "gzip" }, chunks: [frame(Buffer.from("plain"))] })).status,
		0,
	);
	assert.equal(t.sink.onlyPayload().toString(), "plain");
});

test("a cancelled call gives its memory back", async () => {
	await using t = await startTestReceivers();
	const session = connect(`http://${t.otlpGrpc}`);
	const stream = session.request({ ":method": "POST", ":path": TRACE_EXPORT, "content-type": "application/grpc" });
	stream.on("error", () => {});
	stream.write(frame(Buffer.alloc(10), false, 5_000));
	while (t.sink.heldBytes === 0) await new Promise((resolve) => setTimeout(resolve, 5));
	stream.destroy();
	while (t.sink.heldBytes > 0) await new Promise((resolve) => setTimeout(resolve, 5));
	session.close();
	assert.equal(t.sink.batches.length, 0);
	assert.equal(t.sink.refusals.length, 0, "a cancellation is the client's own");
});

test("a status message of any text survives the header", () => {
	assert.equal(percentEncode("plain text ~"), "plain text ~");
	assert.equal(percentEncode("50% ä\n"), "50%25 %C3%A4%0A");
	fc.assert(
		fc.property(fc.string({ unit: "grapheme" }), (text) =>
			assert.equal(decodeURIComponent(percentEncode(text)), text.toWellFormed()),
		),
	);
});

test("health answers for the server and for each service, without a token", async () => {
	await using t = await startTestReceivers({ ingestTokens: ["secret"] });
	const check = (service: string) => {
		const name = Buffer.from(service);
		const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
		return callGrpc(t.otlpGrpc, { path: `${HEALTH}/Check`, chunks: [frame(message)] });
	};
	for (const service of ["", "opentelemetry.proto.collector.trace.v1.TraceService", "grpc.health.v1.Health"]) {
		const answer = await check(service);
		assert.equal(answer.status, 0, service);
		assert.deepEqual([...answer.messages[0]!], [0x08, 1]);
	}
	assert.equal((await check("no.such.Service")).status, 5);
	const list = await callGrpc(t.otlpGrpc, { path: `${HEALTH}/List`, chunks: [frame(Buffer.alloc(0))] });
	assert.equal(list.status, 0);
	assert.ok(list.messages[0]!.includes("opentelemetry.proto.collector.metrics.v1.MetricsService"));
	assert.equal((await callGrpc(t.otlpGrpc, { path: `${HEALTH}/Check`, chunks: [frame(Buffer.from([0x0a, 9]))] })).status, 3);
});

test("a watcher hears the state at once, and the end of service when the server drains", async () => {
	const t = await startTestReceivers();
	const session = connect(`http://${t.otlpGrpc}`);
	const watching = callGrpcOn(session, { path: `${HEALTH}/Watch`, chunks: [frame(Buffer.alloc(0))] });
	await new Promise((resolve) => setTimeout(resolve, 50));
	await t.receivers.close(2_000);
	const answer = await watching;
	assert.deepEqual(
		answer.messages.map((message) => [...message]),
		[
			[0x08, 1],
			[0x08, 2],
		],
	);
	assert.equal(answer.status, 14);
});

test("draining answers the calls under way and then closes their connection", async () => {
	const t = await startTestReceivers();
	let commit = (): void => {};
	t.sink.answer = () => new Promise((resolve) => (commit = () => resolve(ACCEPTED)));
	const session = connect(`http://${t.otlpGrpc}`);
	const ended = new Promise((resolve) => session.once("close", resolve));
	const call = callGrpcOn(session, { chunks: [frame(Buffer.from("x"))] });
	while (t.sink.batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
	const closed = t.receivers.close(5_000);
	setTimeout(commit, 50);
	assert.equal((await call).status, 0);
	await closed;
	await ended;
});

test("a connection that never speaks HTTP/2 is cut, and an idle one is told to go away", async () => {
	await using t = await startTestReceivers({ limits: { headersTimeoutMs: 150, idleSessionTimeoutMs: 300 } });
	const { connect: connectTcp } = await import("node:net");
	const [host, port] = t.otlpGrpc.split(":");
	const started = performance.now();
	await new Promise((resolve) =>
		connectTcp({ host, port: Number(port) })
			.on("close", resolve)
			.on("error", () => {})
			.resume(),
	);
	const session = connect(`http://${t.otlpGrpc}`);
	assert.equal((await callGrpcOn(session, { chunks: [frame(Buffer.alloc(1))] })).status, 0);
	await new Promise((resolve) => session.once("close", resolve));
	assert.ok(performance.now() - started < 3_000);
});

test("a request that does not arrive in time is ended, and may be sent again", async () => {
	await using t = await startTestReceivers({ limits: { requestTimeoutMs: 100 } });
	const answer = await callGrpc(t.otlpGrpc, { chunks: [frame(Buffer.alloc(3), false, 100)], open: true });
	// A slow network passes; INVALID_ARGUMENT would make the exporter drop the batch.
	assert.equal(answer.status, 14);
	assert.equal(t.sink.heldBytes, 0);
});

test("a client-streaming service plugs in as one entry, takes messages in order and holds a faster client up", async () => {
	const sink = new FakeSink();
	const seen: string[] = [];
	let taking = 0;
	let most = 0;
	const service: GrpcService = {
		name: "test.Stream",
		methods: {
			Send: {
				signal: "logs",
				authenticated: false,
				longLived: true,
				open: (call) => ({
					async message({ bytes, reservation }) {
						most = Math.max(most, ++taking);
						await new Promise((resolve) => setTimeout(resolve, 5));
						seen.push(Buffer.from(bytes).toString());
						reservation.release();
						taking--;
					},
					end() {
						call.send(Buffer.from(`${seen.length}`));
						call.finish();
					},
				}),
			},
		},
	};
	const server = await startGrpcServer(
		{ sink, limits: DEFAULT_LIMITS, log: () => {}, authorized: () => true, draining: () => false, noteRefusal: () => {} },
		[service],
		{ host: "127.0.0.1", port: 0 },
		undefined,
	);
	const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`);
	const chunks = texts.map((text, i) => (i % 2 === 0 ? frame(Buffer.from(text)) : frame(gzipSync(text), true)));
	const answer = await callGrpc(server.address, { path: "/test.Stream/Send", headers: { "grpc-encoding": "gzip" }, chunks });
	await server.close(1_000);
	assert.equal(answer.status, 0);
	assert.equal(answer.messages[0]!.toString(), "20");
	assert.deepEqual(seen, texts);
	assert.equal(most, 1);
	assert.equal(sink.heldBytes, 0);
});
