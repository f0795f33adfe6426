/** gRPC with the client and server of @grpc/grpc-js, through both shims. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, credentials, Metadata, Server, ServerCredentials, status as GrpcStatus } from "@grpc/grpc-js";
import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall, ServiceError } from "@grpc/grpc-js";
import type { HttpRoute } from "../../model/mesh/proxy-config.ts";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { inboundConfig, pair, until } from "./rig.ts";
import type { Cleanup } from "./rig.ts";

const bytes = (value: Buffer): Buffer => value;
const path = (name: string): string => `/test.Echo/${name}`;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
	path: path(name),
	requestStream,
	responseStream,
	requestSerialize: bytes,
	requestDeserialize: bytes,
	responseSerialize: bytes,
	responseDeserialize: bytes,
});

interface Seen {
	deadlines: number[];
	cancelled: number;
	flaky: number;
}

async function startGrpc(t: Cleanup): Promise<{ host: string; port: number; seen: Seen }> {
	const server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
	const seen: Seen = { deadlines: [], cancelled: 0, flaky: 0 };
	const unary: handleUnaryCall<Buffer, Buffer> = (call, done) => {
		const deadline = call.getDeadline();
		seen.deadlines.push(deadline instanceof Date ? deadline.getTime() - Date.now() : deadline - Date.now());
		call.on("cancelled", () => seen.cancelled++);
		const trailers = new Metadata();
		trailers.set("x-trailer", "kept");
		if (call.request.toString() === "flaky" && ++seen.flaky % 2 === 1) {
			done({ code: GrpcStatus.UNAVAILABLE, details: "not now" });
		} else if (call.request.toString() === "fail") {
			done({ code: GrpcStatus.FAILED_PRECONDITION, details: "no, since: ü", metadata: trailers });
		} else if (call.request.toString() !== "hang") done(null, call.request, trailers);
	};
	const list: handleServerStreamingCall<Buffer, Buffer> = (call) => {
		for (let i = 0; i < 100; i++) call.write(Buffer.from(`${i}`));
		call.end();
	};
	const talk: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
		call.on("data", (message: Buffer) => call.write(Buffer.from(`echo ${message.toString()}`)));
		call.on("end", () => call.end());
	};
	server.addService(
		{
			unary: method("unary", false, false),
			list: method("list", false, true),
			talk: method("talk", true, true),
		},
		{ unary, list, talk },
	);
	const port = await new Promise<number>((resolve, reject) => {
		server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
			error === null ? resolve(bound) : reject(error),
		);
	});
	t.after(() => server.forceShutdown());
	return { host: "127.0.0.1", port, seen };
}

async function grpcPair(t: Cleanup, route: Partial<HttpRoute> = {}, secured: Parameters<typeof pair>[2] = {}) {
	const app = await startGrpc(t);
	const mesh = await pair(t, app, { protocol: "grpc", cluster: { protocol: "http2" }, route, ...secured });
	const client = new Client(`127.0.0.1:${mesh.outbound.port}`, credentials.createInsecure(), {
		"grpc.default_authority": "orders",
		"grpc.max_receive_message_length": -1,
		"grpc.max_send_message_length": -1,
	});
	t.after(() => client.close());
	return { ...mesh, client, seen: app.seen };
}

function unary(client: Client, message: Buffer, deadlineMs?: number): Promise<{ reply: Buffer; trailers: Metadata }> {
	return new Promise((resolve, reject) => {
		let reply: Buffer | undefined;
		const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
		const call = client.makeUnaryRequest(path("unary"), bytes, bytes, message, new Metadata(), options, (error, value) => {
			if (error !== null) reject(error);
			reply = value;
		});
		call.on("status", (status) => {
			if (status.code === 0) resolve({ reply: reply!, trailers: status.metadata });
		});
	});
}

test("a unary call keeps its trailers, and both hops know status and messages", async (t) => {
	const { client, sink } = await grpcPair(t);
	const { reply, trailers } = await unary(client, Buffer.from("hi"));
	assert.equal(reply.toString(), "hi");
	assert.deepEqual(trailers.get("x-trailer"), ["kept"]);
	for (const direction of ["inbound", "outbound"] as const) {
		const [hop] = await sink.hops(direction, 1);
		assert.equal(hop!.isGrpc, true);
		assert.equal(hop!.protocolVersion, "2");
		assert.equal(hop!.grpcStatus, 0);
		assert.equal(hop!.requestMessages, 1);
		assert.equal(hop!.responseMessages, 1);
		assert.equal(hop!.responseFlags, "");
	}
});

test("an error comes with its code, its message and its trailers", async (t) => {
	const { client, sink } = await grpcPair(t);
	const error = await unary(client, Buffer.from("fail")).then(
		() => assert.fail("it succeeded"),
		(reason: ServiceError) => reason,
	);
	assert.equal(error.code, GrpcStatus.FAILED_PRECONDITION);
	assert.equal(error.details, "no, since: ü");
	assert.deepEqual(error.metadata.get("x-trailer"), ["kept"]);
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.grpcStatus, GrpcStatus.FAILED_PRECONDITION);
	assert.equal(hop!.status, 200);
});

test("a server's stream arrives whole and in order", async (t) => {
	const { client, sink } = await grpcPair(t);
	const call = client.makeServerStreamRequest(path("list"), bytes, bytes, Buffer.from("go"));
	const got: string[] = [];
	for await (const message of call) got.push((message as Buffer).toString());
	assert.deepEqual(
		got,
		Array.from({ length: 100 }, (_, i) => `${i}`),
	);
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.responseMessages, 100);
});

test("both ends of a stream talk in turns: nothing waits for the other side's end", async (t) => {
	const { client, sink } = await grpcPair(t);
	const call = client.makeBidiStreamRequest(path("talk"), bytes, bytes);
	for (let i = 0; i < 20; i++) {
		call.write(Buffer.from(`${i}`));
		const reply = await new Promise<Buffer>((resolve) => call.once("data", resolve));
		assert.equal(reply.toString(), `echo ${i}`);
	}
	call.end();
	await new Promise((resolve) => call.on("end", resolve));
	const [hop] = await sink.hops("inbound", 1);
	assert.equal(hop!.requestMessages, 20);
	assert.equal(hop!.responseMessages, 20);
});

test("messages of 16 MiB pass both ways", async (t) => {
	const { client } = await grpcPair(t);
	const large = Buffer.alloc(16 << 20, 7);
	const { reply } = await unary(client, large);
	assert.ok(reply.equals(large));
});

test("a deadline is told to the callee, shortened, and ends the call there too", async (t) => {
	const { client, seen, sink } = await grpcPair(t);
	const error = await unary(client, Buffer.from("hang"), 300).then(
		() => assert.fail("it succeeded"),
		(reason: ServiceError) => reason,
	);
	assert.equal(error.code, GrpcStatus.DEADLINE_EXCEEDED);
	assert.ok(seen.deadlines[0]! <= 300, `${seen.deadlines[0]}`);
	await sink.hops("inbound", 1);
	await sink.hops("outbound", 1);
});

test("a callee that is not there is UNAVAILABLE, in gRPC's own form", async (t) => {
	const { client, callee } = await grpcPair(t);
	await callee.drain(0);
	const error = await unary(client, Buffer.from("hi")).then(
		() => assert.fail("it succeeded"),
		(reason: ServiceError) => reason,
	);
	assert.equal(error.code, GrpcStatus.UNAVAILABLE);
});

test("a call that was refused as UNAVAILABLE is made again, where the policy says so", async (t) => {
	const retries = {
		attempts: 2,
		on: new Set(["unavailable"] as const),
		onStatus: new Set<number>(),
		perTryTimeoutMs: 0,
		backoffBaseMs: 1,
		backoffMaxMs: 2,
	};
	const { client, sink, seen } = await grpcPair(t, { retries });
	const { reply } = await unary(client, Buffer.from("flaky"));
	assert.equal(reply.toString(), "flaky");
	assert.equal(seen.flaky, 2);
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.retries, 1);
	assert.equal(hop!.grpcStatus, 0);
});

test("the route's time limit ends a call with DEADLINE_EXCEEDED, and the callee hears of it", async (t) => {
	const { client, sink, seen } = await grpcPair(t, { timeoutMs: 150 });
	const error = await unary(client, Buffer.from("hang")).then(
		() => assert.fail("it succeeded"),
		(reason: ServiceError) => reason,
	);
	assert.equal(error.code, GrpcStatus.DEADLINE_EXCEEDED);
	await until(() => (seen.cancelled === 1 ? true : undefined), "the callee to be told");
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.responseFlags, "UT");
	assert.equal(hop!.grpcStatus, GrpcStatus.DEADLINE_EXCEEDED);
});

test("a caller that cancels ends the callee's work", async (t) => {
	const { client, sink, seen } = await grpcPair(t);
	const call = client.makeUnaryRequest(path("unary"), bytes, bytes, Buffer.from("hang"), () => {});
	await until(() => (seen.deadlines.length === 1 ? true : undefined), "the callee to be asked");
	call.cancel();
	await until(() => (seen.cancelled === 1 ? true : undefined), "the callee to be told");
	const [hop] = await sink.hops("outbound", 1);
	assert.equal(hop!.responseFlags, "DC");
});

test("over mTLS all kinds of calls share connections, and each ends as it should", async (t) => {
	const authority = makeAuthority("mesh root");
	const { client, seen, sink } = await grpcPair(
		t,
		{},
		{
			inbound: inboundConfig({ mtls: { mode: "strict", byPort: new Map(), policy: "shop/default" } }),
			endpoint: { principal: "spiffe://cluster.local/ns/shop/sa/orders" },
			callerParts: { identity: createMemoryIdentity(makeIdentity(authority, "web")) },
			calleeParts: { identity: createMemoryIdentity(makeIdentity(authority, "orders")) },
		},
	);
	const cancelled = client.makeUnaryRequest(path("unary"), bytes, bytes, Buffer.from("hang"), () => {});
	await until(() => (seen.deadlines.length === 1 ? true : undefined), "the callee to be asked");
	const late = unary(client, Buffer.from("hang"), 500).then(
		() => assert.fail("it succeeded"),
		(reason: ServiceError) => reason.code,
	);
	const unaries = Array.from({ length: 20 }, async (_, i) => {
		const { reply, trailers } = await unary(client, Buffer.from(`${i}`));
		assert.equal(reply.toString(), `${i}`);
		assert.deepEqual(trailers.get("x-trailer"), ["kept"]);
	});
	const lists = Array.from({ length: 5 }, async () => {
		let count = 0;
		for await (const _ of client.makeServerStreamRequest(path("list"), bytes, bytes, Buffer.from("go"))) count++;
		assert.equal(count, 100);
	});
	const talk = client.makeBidiStreamRequest(path("talk"), bytes, bytes);
	for (let i = 0; i < 10; i++) {
		talk.write(Buffer.from(`${i}`));
		const reply = await new Promise<Buffer>((resolve) => talk.once("data", resolve));
		assert.equal(reply.toString(), `echo ${i}`);
	}
	talk.end();
	await Promise.all([...unaries, ...lists]);
	cancelled.cancel();
	assert.equal(await late, GrpcStatus.DEADLINE_EXCEEDED);
	// grpc-js tells of every call's end by this event: those two would never end by themselves.
	await until(() => (seen.cancelled === unaries.length + 2 ? true : undefined), "the callee to be told of both ends", 30_000);
	const hops = [...(await sink.hops("outbound", 28)), ...(await sink.hops("inbound", 28))];
	assert.ok(hops.every((hop) => hop.tls.status === "mutual_tls" && hop.tls.peerVerified));
});
