import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { callHttp, startTestReceivers } from "./test-kit.ts";

const PATH = "/api/v2/spans";

test("JSON and protobuf spans are accepted with 202 and an empty body", async () => {
	await using t = await startTestReceivers();
	const types = { "application/json": "zipkin-json", "application/x-protobuf": "zipkin-protobuf" };
	for (const [type, encoding] of Object.entries(types)) {
		t.sink.batches.length = 0;
		const headers = { "content-type": type, "content-encoding": "gzip" };
		const answer = await callHttp({ address: t.zipkin, path: PATH, headers, body: gzipSync("[]") });
		assert.equal(answer.status, 202);
		assert.equal(answer.body.length, 0);
		assert.equal(t.sink.onlyPayload().toString(), "[]");
		assert.deepEqual([t.sink.batches[0]!.signal, t.sink.batches[0]!.encoding], ["traces", encoding]);
	}
});

test("a body without a content type is JSON, as Zipkin reads it", async () => {
	await using t = await startTestReceivers();
	assert.equal((await callHttp({ address: t.zipkin, path: PATH, body: "[]" })).status, 202);
	assert.equal(t.sink.batches[0]!.encoding, "zipkin-json");
});

test("spans left out do not make the rest a failure", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "accepted", rejected: 2, errorMessage: "two bad ids" });
	assert.equal((await callHttp({ address: t.zipkin, path: PATH, body: "[]" })).status, 202);
});

test("errors are text with the status of the error table", async () => {
	await using t = await startTestReceivers({ ingestTokens: ["secret"] });
	const headers = { authorization: "Bearer secret" };
	const at = { address: t.zipkin, path: PATH, headers, body: "[]" };
	t.sink.answer = () => ({ kind: "refused", code: "malformed_payload", message: "byte 1: not a list" });
	const bad = await callHttp(at);
	assert.equal(bad.status, 400);
	assert.equal(bad.headers["content-type"], "text/plain; charset=utf-8");
	assert.equal(bad.body.toString(), "byte 1: not a list\n");
	t.sink.answer = () => ({ kind: "refused", code: "overloaded", message: "full", retryAfterMs: 1_500 });
	const full = await callHttp(at);
	assert.deepEqual([full.status, full.headers["retry-after"]], [503, "2"]);
	assert.equal((await callHttp({ ...at, headers: {} })).status, 401);
	assert.equal((await callHttp({ ...at, path: "/api/v1/spans" })).status, 404);
	assert.equal((await callHttp({ ...at, method: "GET" })).status, 405);
	assert.equal((await callHttp({ ...at, headers: { ...headers, "content-type": "application/x-thrift" } })).status, 415);
});

test("OTLP is not taken on the Zipkin port, nor Zipkin on the OTLP port", async () => {
	await using t = await startTestReceivers();
	assert.equal((await callHttp({ address: t.zipkin, path: "/v1/traces" })).status, 404);
	assert.equal((await callHttp({ address: t.otlpHttp, path: PATH })).status, 404);
});
