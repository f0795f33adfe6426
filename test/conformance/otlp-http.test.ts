/**
 * OTLP 1.11, the server's side of OTLP/HTTP: one test per MUST and SHOULD of opentelemetry-proto docs/specification.md that a
 * receiver answers for, titled with section and requirement. What the JSON mapping demands of a decoder (hexadecimal ids, integer
 * enums, unknown fields) is held by the decoder's tests; here its bytes must reach it untouched.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { callHttp, startTestReceivers } from "../../collector/receivers/test-kit.ts";
import type { HttpAnswer, HttpCall, TestReceivers } from "../../collector/receivers/test-kit.ts";
import { ERRORS } from "../../model/errors.ts";
import type { ErrorCode } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";
import { REJECTED, SIGNALS, decodeResponse, decodeStatus, parseStatus } from "./otlp-messages.ts";
import type { DecodedStatus } from "./otlp-messages.ts";

const TYPES = ["application/x-protobuf", "application/json"] as const;
type Type = (typeof TYPES)[number];

/** A request that carries no telemetry, in its encoding. */
const EMPTY: Readonly<Record<Type, string>> = { "application/x-protobuf": "", "application/json": "{}" };

function post(t: TestReceivers, signal: Signal, type: Type, more: Partial<HttpCall> = {}): Promise<HttpAnswer> {
	const headers = { "content-type": type, ...more.headers };
	return callHttp({ address: t.otlpHttp, path: `/v1/${signal}`, body: EMPTY[type], ...more, headers });
}

function responseOf(signal: Signal, type: Type, { body }: HttpAnswer): Record<string, unknown> {
	return type === "application/json" ? (JSON.parse(body.toString()) as Record<string, unknown>) : decodeResponse(signal, body);
}

function statusOf(type: Type, { body }: HttpAnswer): DecodedStatus {
	return type === "application/json" ? parseStatus(body.toString()) : decodeStatus(body);
}

/** Every signal in every encoding, on one server. */
async function forAll(t: TestReceivers, check: (signal: Signal, type: Type) => Promise<void>): Promise<void> {
	for (const signal of SIGNALS) for (const type of TYPES) await check(signal, type);
	assert.equal(t.sink.heldBytes, 0, "every reservation was given back");
}

test("Protocol Details: all server components MUST support no compression and gzip", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (signal, type) => {
		for (const [encoding, body] of [
			["identity", Buffer.from("telemetry")],
			["gzip", gzipSync("telemetry")],
		] as const) {
			t.sink.batches.length = 0;
			assert.equal((await post(t, signal, type, { body, headers: { "content-encoding": encoding } })).status, 200);
			assert.equal(t.sink.onlyPayload().toString(), "telemetry");
		}
	});
});

test("OTLP/HTTP Request: telemetry is sent via POST to /v1/traces, /v1/metrics and /v1/logs", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (signal, type) => {
		t.sink.batches.length = 0;
		assert.equal((await post(t, signal, type)).status, 200);
		assert.equal(t.sink.batches[0]!.signal, signal);
		assert.equal(t.sink.batches[0]!.encoding, type === "application/json" ? "otlp-json" : "otlp-protobuf");
	});
});

test("OTLP/HTTP Request: the server MUST limit the size of the request body, and SHOULD answer 413", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: 50_000 });
	await forAll(t, async (signal, type) => {
		assert.equal((await post(t, signal, type, { body: Buffer.alloc(50_000) })).status, 200);
		for (const chunked of [false, true]) {
			const answer = await post(t, signal, type, { body: Buffer.alloc(50_001), chunked });
			assert.equal(answer.status, 413);
			assert.match(statusOf(type, answer).message, /50000 bytes/);
		}
	});
});

test("OTLP/HTTP Request: the server MUST limit the size after decompression too, and SHOULD answer 413", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: 50_000 });
	await forAll(t, async (signal, type) => {
		for (const [encoding, compress] of [
			["gzip", gzipSync],
			["zstd", zstdCompressSync],
		] as const) {
			const headers = { "content-encoding": encoding };
			assert.equal((await post(t, signal, type, { body: compress(Buffer.alloc(50_000)), headers })).status, 200);
			const answer = await post(t, signal, type, { body: compress(Buffer.alloc(50_001)), headers });
			assert.equal(answer.status, 413, encoding);
			assert.equal(statusOf(type, answer).retryDelayMs, undefined);
		}
	});
});

test("OTLP/HTTP Response: the server MUST use the same Content-Type in the response as it received in the request", async () => {
	await using t = await startTestReceivers();
	for (const code of [undefined, "malformed_payload", "overloaded"] as const) {
		t.sink.answer = () =>
			code === undefined
				? { kind: "accepted", rejected: 1, errorMessage: "one" }
				: { kind: "refused", code, message: "no" };
		await forAll(t, async (signal, type) => {
			assert.equal((await post(t, signal, type)).headers["content-type"], type);
		});
	}
	assert.equal(
		(await post(t, "traces", "application/json", { headers: { "content-type": "application/json; charset=utf-8" } })).headers[
			"content-type"
		],
		"application/json",
	);
});

test("Full Success: the server MUST respond 200 with an Export<signal>ServiceResponse and MUST leave partial_success unset", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (signal, type) => {
		const answer = await post(t, signal, type, { body: "some telemetry" });
		assert.equal(answer.status, 200);
		assert.deepEqual(responseOf(signal, type, answer), {});
	});
});

test("Full Success: an empty request SHOULD succeed", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (signal, type) => {
		for (const body of ["", EMPTY[type]]) {
			for (const chunked of [false, true]) assert.equal((await post(t, signal, type, { body, chunked })).status, 200);
		}
	});
});

test("Partial Success: the server MUST respond 200 with partial_success and its rejected count, and SHOULD say why", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "accepted", rejected: 7, errorMessage: "seven had no trace ID" });
	await forAll(t, async (signal, type) => {
		const answer = await post(t, signal, type);
		assert.equal(answer.status, 200);
		assert.deepEqual(responseOf(signal, type, answer), {
			partialSuccess: { [REJECTED[signal]]: "7", errorMessage: "seven had no trace ID" },
		});
	});
});

test("Partial Success: a warning MUST have a rejected count of 0 and a non-empty error_message", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "accepted", rejected: 0, errorMessage: "names were shortened" });
	await forAll(t, async (signal, type) => {
		const answer = await post(t, signal, type);
		assert.equal(answer.status, 200);
		assert.deepEqual(responseOf(signal, type, answer), { partialSuccess: { errorMessage: "names were shortened" } });
	});
});

test("Failures: every 4xx and 5xx MUST carry a Status, whose message SHOULD describe the problem", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: 10_000 });
	await forAll(t, async (signal, type) => {
		const ownRefusals: [string, number, Partial<HttpCall>][] = [
			["unknown path", 404, { path: "/v1/unknown" }],
			["method", 405, { method: "GET", body: "" }],
			["encoding", 415, { headers: { "content-encoding": "br" } }],
			["size", 413, { body: Buffer.alloc(10_001) }],
			["not gzip", 400, { headers: { "content-encoding": "gzip" }, body: "plain" }],
		];
		for (const [name, http, more] of ownRefusals) {
			const answer = await post(t, signal, type, more);
			assert.equal(answer.status, http, name);
			assert.equal(answer.headers["content-type"], type, name);
			assert.ok(statusOf(type, answer).message.length > 10, name);
		}
		for (const code of Object.keys(ERRORS) as ErrorCode[]) {
			t.sink.answer = () => ({ kind: "refused", code, message: `because of ${code}` });
			const answer = await post(t, signal, type);
			assert.equal(answer.status, ERRORS[code].http);
			const status = statusOf(type, answer);
			assert.deepEqual([status.code, status.message], [ERRORS[code].grpc, `because of ${code}`]);
		}
		t.sink.answer = () => ({ kind: "accepted", rejected: 0, errorMessage: "" });
	});
});

test("Failures: an unreadable content type is 415 with a Status in JSON", async () => {
	await using t = await startTestReceivers();
	for (const type of ["text/plain", "application/protobuf-ish", ""]) {
		const answer = await callHttp({ address: t.otlpHttp, headers: type === "" ? {} : { "content-type": type }, body: "x" });
		assert.equal(answer.status, 415);
		assert.match(parseStatus(answer.body.toString()).message, /application\/x-protobuf/);
	}
	assert.deepEqual(t.sink.refusals[0], { signal: "traces", code: "unsupported_media_type" });
});

test("Failures: HTTP 405 names the method that is allowed", async () => {
	await using t = await startTestReceivers();
	for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
		const answer = await post(t, "traces", "application/json", { method, body: "" });
		assert.deepEqual([answer.status, answer.headers.allow], [405, "POST"]);
	}
});

test("Retryable Response Codes: exactly the refusals that may succeed later are 429, 502, 503 or 504", async () => {
	await using t = await startTestReceivers();
	for (const code of Object.keys(ERRORS) as ErrorCode[]) {
		t.sink.answer = () => ({ kind: "refused", code, message: "x" });
		const { status } = await post(t, "traces", "application/x-protobuf");
		assert.equal([429, 502, 503, 504].includes(status), ERRORS[code].retryable, code);
	}
});

test("Bad Data: what cannot be decoded MUST be 400, with a BadRequest in Status.details as it SHOULD", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "refused", code: "malformed_payload", message: "byte 12: field 0 does not exist" });
	await forAll(t, async (signal, type) => {
		const answer = await post(t, signal, type, { body: "\u0000" });
		assert.equal(answer.status, 400);
		const status = statusOf(type, answer);
		assert.equal(status.violations[0]?.description, "byte 12: field 0 does not exist");
		assert.equal(status.retryDelayMs, undefined);
	});
});

test("OTLP/HTTP Throttling: an overloaded server SHOULD answer 429 or 503, with Retry-After in whole seconds", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "refused", code: "overloaded", message: "queue full", retryAfterMs: 2_100 });
	await forAll(t, async (signal, type) => {
		const answer = await post(t, signal, type);
		assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "3"]);
		assert.equal(statusOf(type, answer).retryDelayMs, 2_100);
	});
});

test("OTLP/HTTP Throttling: a full queue is answered before the body is buffered, and counted", async () => {
	await using t = await startTestReceivers();
	t.sink.budgetBytes = 100;
	await forAll(t, async (signal, type) => {
		const answer = await post(t, signal, type, { body: Buffer.alloc(101) });
		assert.deepEqual([answer.status, answer.headers["retry-after"]], [503, "1"]);
		assert.deepEqual(t.sink.refusals.at(-1), { signal, code: "overloaded" });
	});
	assert.equal(t.sink.batches.length, 0);
	assert.equal(t.sink.maxHeldBytes, 0);
});

test("OTLP/HTTP Connection: both encodings SHOULD be accepted on the same port, told apart by Content-Type", async () => {
	await using t = await startTestReceivers();
	await Promise.all(TYPES.map((type) => post(t, "logs", type)));
	assert.deepEqual(t.sink.batches.map(({ encoding }) => encoding).toSorted(), ["otlp-json", "otlp-protobuf"]);
});

test("JSON Protobuf Encoding: fields with unknown names MUST be ignored, so the payload reaches the decoder untouched", async () => {
	await using t = await startTestReceivers();
	const body = '{"resourceSpans":[],"futureField":{"a":[1,"2"]}}';
	assert.equal((await post(t, "traces", "application/json", { body })).status, 200);
	assert.equal(t.sink.onlyPayload().toString(), body);
});

test("OTLP/HTTP Concurrent Requests: parallel connections are answered independently of each other", async () => {
	await using t = await startTestReceivers();
	let waiting = 0;
	let open = (): void => {};
	const gate = new Promise<void>((resolve) => (open = resolve));
	t.sink.answer = async () => {
		if (++waiting === 50) open();
		await gate;
		return { kind: "accepted", rejected: 0, errorMessage: "" };
	};
	const answers = await Promise.all(Array.from({ length: 50 }, () => post(t, "traces", "application/json")));
	assert.ok(answers.every(({ status }) => status === 200));
});
