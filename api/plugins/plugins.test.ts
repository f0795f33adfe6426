import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRORS, MeshscopeError } from "../../model/errors.ts";
import { tokenCheck } from "./auth.ts";
import { chooseEncoding } from "./compression.ts";
import { errorAnswerOf, toMeshscopeError } from "./errors.ts";
import { escapeControls, requestIds } from "./request-log.ts";
import { checkOrigin, hostCheck } from "./security.ts";

test("a host is allowed by its name, whatever its case and port", () => {
	const isAllowed = hostCheck({ boundHost: "192.168.1.5", allowHosts: ["Mesh.example", "[fd00::5]"] });
	for (const host of [
		"192.168.1.5:4300",
		"mesh.EXAMPLE",
		"localhost:1",
		"127.0.0.1",
		"127.1.2.3:80",
		"[::1]:4300",
		"[fd00::5]:1",
	]) {
		assert.equal(isAllowed(host), true, host);
	}
	for (const host of [
		"",
		":4300",
		"192.168.1.6",
		"mesh.example.",
		"a.mesh.example",
		"127.0.0.1.example",
		"127.1",
		"[::1",
		"::1",
		"a b",
	]) {
		assert.equal(isAllowed(host), false, host);
	}
});

test("bound to every address, any address is a name of this server's", () => {
	for (const boundHost of ["0.0.0.0", "::", "[::]"]) {
		const isAllowed = hostCheck({ boundHost, allowHosts: [] });
		assert.equal(isAllowed("10.0.0.7:4300"), true, boundHost);
		assert.equal(isAllowed("[2001:db8::1]"), true, boundHost);
		assert.equal(isAllowed("node-7"), false, boundHost);
	}
});

test("an origin passes when its host and port are the request's own", () => {
	assert.doesNotThrow(() => checkOrigin(undefined, undefined, "localhost:4300"));
	assert.doesNotThrow(() => checkOrigin("https://LOCALHOST:4300", "same-origin", "localhost:4300"));
	assert.throws(() => checkOrigin("http://localhost:4301", undefined, "localhost:4300"), { code: "forbidden" });
	assert.throws(() => checkOrigin("null", undefined, "null"), { code: "forbidden" });
	assert.throws(() => checkOrigin("file://localhost:4300", undefined, "localhost:4300"), { code: "forbidden" });
});

test("a token is known whole, and the scheme in either case", () => {
	const isKnown = tokenCheck(["alpha", "beta"]);
	assert.equal(isKnown("Bearer beta"), true);
	assert.equal(isKnown("bearer   alpha"), true);
	for (const header of [
		undefined,
		"",
		"Bearer",
		"Bearer ",
		"Bearer alph",
		"Bearer alphab",
		"Bearer Alpha",
		"alpha",
		"Bearer alpha,beta",
	]) {
		assert.equal(isKnown(header), false, String(header));
	}
});

test("an empty token in the list lets nobody in", () => {
	assert.equal(tokenCheck([""])("Bearer "), false);
});

test("the cheapest encoding that the client accepts is taken, and none that it refuses", () => {
	assert.equal(chooseEncoding("gzip, deflate, br, zstd"), "zstd");
	assert.equal(chooseEncoding("GZIP;q=0.5, br;q=0"), "gzip");
	assert.equal(chooseEncoding("br;q=0.000, gzip; q=0"), undefined);
	assert.equal(chooseEncoding(undefined), undefined);
	assert.equal(chooseEncoding("identity, *"), undefined);
});

test("fastify's own errors take our codes, and none of their words leave", () => {
	const codes = {
		400: "invalid_argument",
		404: "not_found",
		413: "payload_too_large",
		415: "unsupported_media_type",
		500: "internal",
	};
	for (const [statusCode, code] of Object.entries(codes)) {
		const error = toMeshscopeError(Object.assign(new Error("inner words"), { statusCode: Number(statusCode) }), "r-1");
		assert.equal(error.code, code);
		assert.equal(error.http, ERRORS[error.code].http);
		assert.doesNotMatch(JSON.stringify(errorAnswerOf(error)), /inner/);
	}
	for (const thrown of [new Error("inner words"), "inner words", undefined, null, { statusCode: "400" }]) {
		assert.deepEqual(errorAnswerOf(toMeshscopeError(thrown, "r-1")).error.details, { requestId: "r-1" });
	}
});

test("our errors leave as they are, with details only where there are some", () => {
	assert.deepEqual(errorAnswerOf(new MeshscopeError("not_found", "no trace")), {
		error: { code: "not_found", message: "no trace" },
	});
	const detailed = new MeshscopeError("query_too_broad", "too long", { details: { cap: 5 } });
	assert.deepEqual(errorAnswerOf(detailed).error.details, { cap: 5 });
});

test("control characters, separators and direction overrides are escaped, and long text is cut", () => {
	assert.equal(escapeControls("a\nb\u001b[31m\u2028\u202e\u009bé😀", 100), "a\\u000ab\\u001b[31m\\u2028\\u202e\\u009bé😀");
	assert.equal(escapeControls("x".repeat(50), 10), `${"x".repeat(10)}…`);
});

test("request IDs do not repeat", () => {
	const next = requestIds("abcd");
	assert.deepEqual([next(), next()], ["abcd-0", "abcd-1"]);
	assert.notEqual(requestIds()(), requestIds()());
});
