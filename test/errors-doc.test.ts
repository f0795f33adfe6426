import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ERRORS_DOC, errorsDocument } from "../docs/write-errors.ts";
import { DROP_REASONS, ERRORS, MeshscopeError, TOPOLOGY_LOSSES } from "../model/errors.ts";

test("docs/errors.md says what the error table says", () => {
	const written = readFileSync(ERRORS_DOC, "utf8");
	assert.ok(
		written === errorsDocument(ERRORS, DROP_REASONS, TOPOLOGY_LOSSES),
		"docs/errors.md is behind model/errors.ts: run node docs/write-errors.ts",
	);
});

test("the document has one row for each code and each reason", () => {
	const document = errorsDocument(ERRORS, DROP_REASONS, TOPOLOGY_LOSSES);
	for (const name of [...Object.keys(ERRORS), ...Object.keys(DROP_REASONS), ...Object.keys(TOPOLOGY_LOSSES)]) {
		assert.equal(document.split(`\n| \`${name}\` |`).length, 2, name);
	}
	const one = errorsDocument({ odd_one: { meaning: "a|b", fix: "none", http: 400, grpc: 3, retryable: false } }, {}, {});
	assert.match(one, /\| `odd_one` \| 400 \| 3 INVALID_ARGUMENT \| no \| a\\\|b \| none \|/);
});

test("retryable codes are those that OTLP clients retry, and no others", () => {
	// opentelemetry-proto docs/specification.md: clients retry HTTP 429, 502, 503, 504 and gRPC UNAVAILABLE, DEADLINE_EXCEEDED.
	for (const [code, entry] of Object.entries(ERRORS)) {
		assert.equal([429, 502, 503, 504].includes(entry.http), entry.retryable, `${code}: HTTP ${entry.http}`);
		assert.equal([4, 14].includes(entry.grpc), entry.retryable, `${code}: gRPC ${entry.grpc}`);
	}
});

test("codes and reasons are snake_case, and every text is a sentence", () => {
	for (const name of [...Object.keys(ERRORS), ...Object.keys(DROP_REASONS), ...Object.keys(TOPOLOGY_LOSSES)])
		assert.match(name, /^[a-z]+(?:_[a-z]+)*$/);
	const texts = [
		...Object.values(ERRORS).flatMap((entry) => [entry.meaning, entry.fix]),
		...Object.values(DROP_REASONS),
		...Object.values(TOPOLOGY_LOSSES),
	];
	for (const text of texts) assert.match(text, /^[A-Z].*\.$/);
});

test("an error carries the statuses of its code", () => {
	const error = new MeshscopeError("overloaded", "full", { retryAfterMs: 1_000 });
	assert.deepEqual([error.http, error.grpc, error.retryable, error.retryAfterMs], [503, 14, true, 1_000]);
	assert.equal(new MeshscopeError("not_found", "no such trace").retryable, false);
	assert.equal(new MeshscopeError("internal", "x", { cause: error }).cause, error);
});
