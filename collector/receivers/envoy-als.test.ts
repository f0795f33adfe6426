import assert from "node:assert/strict";
import { connect } from "node:http2";
import type { ClientHttp2Stream } from "node:http2";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { IngestOutcome } from "../ingest.ts";
import { ACCEPTED, LOGS_EXPORT, callGrpc, callGrpcOn, frame, startTestReceivers } from "./test-kit.ts";
import type { TestReceivers } from "./test-kit.ts";
import { bytesField, concat, stringField } from "./wire.ts";

const ALS = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
const MIB = 1024 * 1024;

/** Identifier { node { cluster }, log_name } */
const IDENTIFIER = bytesField(1, concat([bytesField(1, stringField(2, "web")), stringField(2, "outbound")]));

/** One HTTP entry for a cluster, with `padding` bytes of another field. */
function entries(cluster: string, padding = 0): Uint8Array {
	const common = concat([stringField(15, cluster), bytesField(90, new Uint8Array(padding))]);
	return bytesField(2, bytesField(1, bytesField(1, common)));
}

/** A stream that stays open, written to piece by piece. */
function openStream(address: string): { stream: ClientHttp2Stream; status: Promise<number>; close(): void } {
	const session = connect(`http://${address}`);
	session.on("error", () => {});
	const stream = session.request({ ":method": "POST", ":path": ALS, "content-type": "application/grpc", te: "trailers" });
	stream.on("error", () => {});
	const status = new Promise<number>((resolve) => {
		stream.on("response", (headers) => {
			if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"]));
		});
		stream.on("trailers", (trailers) => resolve(Number(trailers["grpc-status"])));
		stream.on("close", () => resolve(-1));
	});
	stream.resume();
	return { stream, status, close: () => session.destroy() };
}

async function until(condition: () => boolean): Promise<void> {
	for (let i = 0; i < 1_000 && !condition(); i++) await delay(5);
	assert.ok(condition());
}

function submitted(t: TestReceivers): readonly string[] {
	return t.sink.batches.map(({ bytes }) => Buffer.from(bytes).toString("latin1"));
}

test("each message of a stream is a batch of logs that names the sender, whom only the first one named", async () => {
	await using t = await startTestReceivers();
	const answer = await callGrpc(t.otlpGrpc, {
		path: ALS,
		headers: { "grpc-encoding": "gzip" },
		chunks: [
			frame(concat([IDENTIFIER, entries("first")])),
			frame(gzipSync(entries("second")), true),
			frame(new Uint8Array(0)),
			frame(entries("third")),
		],
	});
	assert.equal(answer.status, 0);
	assert.deepEqual(
		answer.messages.map((message) => message.length),
		[0],
		"the empty response, once the client has ended the stream",
	);
	const payloads = submitted(t);
	assert.equal(payloads.length, 3);
	for (const [i, cluster] of ["first", "second", "third"].entries()) {
		for (const part of ["service.name", "web", "log_name", "outbound", cluster]) assert.ok(payloads[i]!.includes(part), part);
	}
	assert.ok(t.sink.batches.every(({ signal, encoding, self }) => signal === "logs" && encoding === "envoy-als" && !self));
	assert.equal(t.sink.heldBytes, 0);
});

test("nothing is answered before the stream ends, however long it is open", async () => {
	await using t = await startTestReceivers({
		limits: { requestTimeoutMs: 100, idleSessionTimeoutMs: 100, headersTimeoutMs: 500 },
	});
	const { stream, status, close } = openStream(t.otlpGrpc);
	let isAnswered = false;
	stream.on("response", () => (isAnswered = true));
	stream.write(frame(concat([IDENTIFIER, entries("a")])));
	await until(() => t.sink.batches.length === 1);
	// Longer than the request timeout, and idle for longer than the session's: the client answers our question whether it is there.
	await delay(700);
	assert.ok(!isAnswered);
	stream.write(frame(entries("b")));
	await until(() => t.sink.batches.length === 2);
	stream.end();
	assert.equal(await status, 0);
	close();
});

test("access logs need the token that OTLP needs", async () => {
	await using t = await startTestReceivers({ ingestTokens: ["secret"] });
	const chunks = [frame(entries("a"))];
	assert.equal((await callGrpc(t.otlpGrpc, { path: ALS, chunks })).status, 16);
	const headers = { authorization: "Bearer secret" };
	assert.equal((await callGrpc(t.otlpGrpc, { path: ALS, headers, chunks })).status, 0);
	assert.equal(t.sink.batches.length, 1);
	assert.deepEqual(t.sink.refusals, [{ signal: "logs", code: "unauthenticated" }]);
});

test("a malformed message ends the stream as INVALID_ARGUMENT and is counted; what came before it is kept", async () => {
	await using t = await startTestReceivers();
	for (const broken of [frame(Uint8Array.of(0x12, 99)), Buffer.from([7, 0, 0, 0, 0]), frame(entries("x"), true)]) {
		t.sink.batches.length = 0;
		t.sink.refusals.length = 0;
		const answer = await callGrpc(t.otlpGrpc, {
			path: ALS,
			chunks: [frame(entries("kept")), broken, frame(entries("after"))],
			open: true,
		});
		assert.equal(answer.status, 3);
		assert.equal(t.sink.batches.length, 1);
		assert.deepEqual(t.sink.refusals, [{ signal: "logs", code: "malformed_payload" }]);
		assert.equal(t.sink.heldBytes, 0);
	}
});

test("what the pipeline refuses as malformed ends the stream as INVALID_ARGUMENT, and is not counted twice", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "refused", code: "malformed_payload", message: "no" });
	assert.equal((await callGrpc(t.otlpGrpc, { path: ALS, chunks: [frame(entries("a"))], open: true })).status, 3);
	assert.deepEqual(t.sink.refusals, []);
});

test("an overloaded or full store ends the stream as UNAVAILABLE, so that Envoy connects anew", async () => {
	await using t = await startTestReceivers();
	for (const code of ["overloaded", "store_full"] as const) {
		t.sink.answer = () => ({ kind: "refused", code, message: "full" });
		assert.equal((await callGrpc(t.otlpGrpc, { path: ALS, chunks: [frame(entries("a"))], open: true })).status, 14, code);
	}
	t.sink.answer = () => ACCEPTED;
	t.sink.budgetBytes = 100;
	assert.equal((await callGrpc(t.otlpGrpc, { path: ALS, chunks: [frame(entries("a", 10_000))], open: true })).status, 14);
	assert.deepEqual(t.sink.refusals, [{ signal: "logs", code: "overloaded" }]);
	assert.equal(t.sink.heldBytes, 0);
});

test("a message beyond the payload limit is refused by its declared length", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: MIB });
	const answer = await callGrpc(t.otlpGrpc, { path: ALS, chunks: [frame(new Uint8Array(10), false, MIB + 1)], open: true });
	assert.equal(answer.status, 8);
	const bomb = frame(gzipSync(new Uint8Array(2 * MIB)), true);
	assert.equal(
		(await callGrpc(t.otlpGrpc, { path: ALS, headers: { "grpc-encoding": "gzip" }, chunks: [bomb], open: true })).status,
		8,
	);
});

test("a message that does not arrive in time ends the stream", async () => {
	await using t = await startTestReceivers({ limits: { requestTimeoutMs: 150 } });
	const { stream, status, close } = openStream(t.otlpGrpc);
	stream.write(frame(entries("whole")));
	await until(() => t.sink.batches.length === 1);
	await delay(400);
	const message = frame(entries("slow", 1_000));
	stream.write(message.subarray(0, 100));
	const started = performance.now();
	assert.equal(await status, 14);
	assert.ok(performance.now() - started < 2_000);
	assert.equal(t.sink.heldBytes, 0);
	close();
});

test("a slow client whose messages each arrive in time is not ended", async () => {
	await using t = await startTestReceivers({ limits: { requestTimeoutMs: 300 } });
	const { stream, status, close } = openStream(t.otlpGrpc);
	// Always in the middle of a message, as a busy stream is.
	const all = Buffer.concat(Array.from({ length: 10 }, (_, i) => frame(entries(`m${i}`, 500))));
	for (let at = 0; at < all.length; at += 300) {
		stream.write(all.subarray(at, at + 300));
		await delay(50);
	}
	stream.end();
	assert.equal(await status, 0);
	assert.equal(t.sink.batches.length, 10);
	close();
});

test("a flood of empty messages is bounded by the budget", async () => {
	await using t = await startTestReceivers();
	t.sink.budgetBytes = MIB;
	t.sink.answer = () => new Promise<IngestOutcome>(() => {});
	const flood = Buffer.concat([frame(entries("a")), Buffer.alloc(5 * 20_000)]);
	assert.equal((await callGrpc(t.otlpGrpc, { path: ALS, chunks: [flood], open: true })).status, 14);
	assert.ok(t.sink.maxHeldBytes <= MIB);
	await until(() => t.sink.heldBytes === 0);
});

/** Writes one message after the other, each when the one before it has left the stream's buffer. */
function writeAll(
	stream: ClientHttp2Stream,
	messages: readonly Uint8Array[],
): { readonly sent: number; readonly done: Promise<void> } {
	const progress = { sent: 0, done: Promise.resolve() };
	const run = async (): Promise<void> => {
		for (const message of messages) {
			if (stream.destroyed || stream.closed) return;
			await new Promise<void>((resolve) => {
				stream.once("close", resolve);
				stream.write(message, () => {
					stream.off("close", resolve);
					resolve();
				});
			});
			progress.sent++;
		}
	};
	progress.done = run();
	return progress;
}

test("a stream is read only as fast as its batches are accepted, and holds no more than is reserved meanwhile", async () => {
	await using t = await startTestReceivers();
	const waiting: (() => void)[] = [];
	t.sink.answer = () => new Promise<IngestOutcome>((resolve) => waiting.push(() => resolve(ACCEPTED)));
	const { stream, status, close } = openStream(t.otlpGrpc);
	const size = 64 * 1024;
	const total = 512;
	const writing = writeAll(
		stream,
		Array.from({ length: total }, (_, i) => frame(entries(`m${i}.`, size))),
	);
	const settled = async (): Promise<number> => {
		for (let before = -1; before !== writing.sent;) {
			before = writing.sent;
			await delay(200);
		}
		return writing.sent;
	};
	await until(() => t.sink.batches.length === 1);
	const first = await settled();
	// The stream's window, what is queued, and one message on either side.
	// Twice the window is reserved for them.
	const most = 4 * MIB + 256 * 1024 + 4 * size;
	assert.ok(first * size <= most, `${first} of ${total} messages were read while the first one waited`);
	assert.equal(t.sink.batches.length, 1, "one after the other");
	assert.ok(t.sink.heldBytes > 4 * MIB && t.sink.maxHeldBytes <= 9 * MIB, String(t.sink.maxHeldBytes));
	for (let taken = 1; taken <= 100; taken++) {
		await until(() => waiting.length > 0);
		waiting.shift()!();
	}
	const second = await settled();
	assert.ok(second >= 100 && (second - 100) * size <= most, `${second} were read when 100 had been accepted`);
	t.sink.answer = () => ACCEPTED;
	for (const take of waiting.splice(0)) take();
	await writing.done;
	stream.end();
	assert.equal(await status, 0);
	assert.deepEqual(
		submitted(t).map((payload) => /m(\d+)\./.exec(payload)?.[1]),
		Array.from({ length: total }, (_, i) => String(i)),
	);
	assert.ok(t.sink.maxHeldBytes <= 9 * MIB, String(t.sink.maxHeldBytes));
	assert.equal(t.sink.heldBytes, 0);
	close();
});

test("a held-up stream for whose window there is no room ends as UNAVAILABLE", async () => {
	await using t = await startTestReceivers();
	t.sink.budgetBytes = 2 * MIB;
	t.sink.answer = () => new Promise<IngestOutcome>(() => {});
	const { stream, status, close } = openStream(t.otlpGrpc);
	writeAll(
		stream,
		Array.from({ length: 100 }, (_, i) => frame(entries(`m${i}`, 64 * 1024))),
	);
	assert.equal(await status, 14);
	assert.deepEqual(t.sink.refusals, [{ signal: "logs", code: "overloaded" }]);
	await until(() => t.sink.heldBytes === 0);
	close();
});

test("a client that goes away, in the middle of a message or held up, leaves nothing behind", async () => {
	await using t = await startTestReceivers();
	const half = openStream(t.otlpGrpc);
	half.stream.write(frame(entries("whole")));
	half.stream.write(frame(entries("half", 100_000)).subarray(0, 50_000));
	await until(() => t.sink.batches.length === 1 && t.sink.heldBytes > 0);
	half.close();
	await until(() => t.sink.heldBytes === 0);

	let take = (): void => {};
	t.sink.answer = () => new Promise<IngestOutcome>((resolve) => (take = () => resolve(ACCEPTED)));
	const held = openStream(t.otlpGrpc);
	writeAll(
		held.stream,
		Array.from({ length: 100 }, (_, i) => frame(entries(`m${i}`, 64 * 1024))),
	);
	await until(() => t.sink.heldBytes > 4 * MIB);
	held.close();
	await until(() => t.sink.heldBytes === 0);
	take();
	await delay(50);
	assert.equal(t.sink.batches.length, 2, "what nobody confirmed is not taken after its client");
	assert.equal(t.sink.heldBytes, 0);
	// Nothing of the two is open any more, so that closing waits for nobody.
	const started = performance.now();
	await t.receivers.close(5_000);
	assert.ok(performance.now() - started < 2_000);
});

test("draining takes what arrived whole, then ends every stream as UNAVAILABLE", async () => {
	const t = await startTestReceivers();
	let take = (): void => {};
	t.sink.answer = () => new Promise<IngestOutcome>((resolve) => (take = () => resolve(ACCEPTED)));
	const busy = openStream(t.otlpGrpc);
	const idle = openStream(t.otlpGrpc);
	for (const name of ["a", "b", "c"]) busy.stream.write(frame(entries(name)));
	await until(() => t.sink.batches.length === 1);
	await delay(50);
	const closed = t.receivers.close(5_000);
	assert.equal(await idle.status, 14);
	t.sink.answer = () => ACCEPTED;
	take();
	assert.equal(await busy.status, 14);
	assert.equal(t.sink.batches.length, 3);
	await closed;
	idle.close();
	busy.close();
});

test("OTLP and access logs share a connection", async () => {
	await using t = await startTestReceivers();
	const session = connect(`http://${t.otlpGrpc}`);
	const [als, otlp] = await Promise.all([
		callGrpcOn(session, { path: ALS, chunks: [frame(entries("a"))] }),
		callGrpcOn(session, { path: LOGS_EXPORT, chunks: [frame(Buffer.from("otlp"))] }),
	]);
	session.close();
	assert.deepEqual([als.status, otlp.status], [0, 0]);
	assert.deepEqual(t.sink.batches.map(({ encoding }) => encoding).toSorted(), ["envoy-als", "otlp-protobuf"]);
});
