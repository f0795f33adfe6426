import assert from "node:assert/strict";
import { test } from "node:test";
import { effectsOf, traceFilterOf } from "./graph-changes.ts";
import type { EdgeChange } from "./graph-changes.ts";

const numbers = {
	count: 900,
	ratePerSecond: 1,
	errors: 0,
	errorRatio: 0,
	p95Ms: 20,
	mtlsStatus: "mutual_tls",
	mtlsPercent: 100,
} as const;

function change(part: Partial<EdgeChange>): EdgeChange {
	return {
		...{ kind: "changed", id: "6faeb2e1ed26185d", source: "shop/a", target: "shop/b", protocol: "http", unit: "requests" },
		...{ effects: [], certain: true, score: 1, before: numbers, after: numbers },
		...part,
	};
}

test("one request in plaintext is encryption lost, and the share is not rounded to all", () => {
	const lost = change({
		effects: [{ what: "mtls", effect: 0.005 }],
		after: { ...numbers, mtlsStatus: "mixed", mtlsPercent: 99.9991 },
	});
	assert.deepEqual(effectsOf(lost), [
		{ kind: "encryption-lost", what: "encryption", from: "mutual TLS", to: "mixed, 99.999 % mutual TLS" },
	]);
	assert.deepEqual(traceFilterOf(lost), { mtls: "plaintext" });
});

test("an edge says each thing that changed on it, in the server's order", () => {
	const worse = change({
		effects: [
			{ what: "errors", effect: 0.5 },
			{ what: "p95", effect: 0.3 },
			{ what: "rate", effect: 0.2 },
		],
		after: { ...numbers, errors: 90, errorRatio: 0.1, p95Ms: 80, ratePerSecond: 0.5 },
	});
	assert.deepEqual(effectsOf(worse), [
		{ kind: "failing", what: "errors", from: "0 % (0 of 900)", to: "10 % (90 of 900)" },
		{ kind: "slower", what: "p95", from: "20 ms", to: "80 ms" },
		{ kind: "less-traffic", what: "rate", from: "1 req/s", to: "0.5 req/s" },
	]);
	assert.deepEqual(traceFilterOf(worse), { status: "error" });
});

test("an edge that came or went is told whole, in its own unit", () => {
	const added = change({
		kind: "added",
		unit: "connections",
		before: undefined,
		after: { ...numbers, count: 1, mtlsStatus: "unknown" },
	});
	assert.deepEqual(effectsOf(added), [
		{ kind: "new", what: "", from: "nothing", to: "1 connection, 1 conn/s, encryption unknown" },
	]);
	assert.deepEqual(effectsOf(change({ kind: "gone", after: undefined })), [
		{ kind: "gone", what: "", from: "900 requests, 1 req/s, mutual TLS", to: "nothing" },
	]);
});
