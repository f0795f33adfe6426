import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceEndpoint } from "../endpoint.ts";
import { CLIENT, CONSUMER, INTERNAL, named, PRODUCER, SERVER } from "../sources/test-kit.ts";
import { EPOCH_MS, factsOf, gatewayOf, hopsOf, linesOf, sidecarOf, span } from "./hop-kit.ts";

const TO_B = { peer: { endpoint: serviceEndpoint("b"), from: "declared" } } as const;
const QUEUE = { protocol: "messaging", peer: { endpoint: named("messaging", "kafka/orders"), from: "declared" } } as const;
const DATABASE = { protocol: "database", peer: { endpoint: named("database", "postgresql/orders"), from: "declared" } } as const;
/** Before every span has ended. */
const EARLY_MS = EPOCH_MS;

test("a call whose other end does not report is an edge to whom it names, once it is mature", () => {
	const spans = [span(1, 0, factsOf(CLIENT, "a", TO_B))];
	assert.deepEqual(linesOf(spans), ["a -> b client-only"]);
	assert.deepEqual(linesOf(spans, EARLY_MS), []);
});

test("a call to nobody in particular leads to unknown", () => {
	assert.deepEqual(linesOf([span(1, 0, factsOf(CLIENT, "a"))]), ["a -> unknown:unknown client-only"]);
});

test("a SERVER whose caller does not report is an edge from whom it names, else from outside", () => {
	const fromB = [span(2, 1, factsOf(SERVER, "a", TO_B))];
	assert.deepEqual(linesOf(fromB), ["b -> a server-only"]);
	assert.deepEqual(linesOf([span(2, 1, factsOf(SERVER, "a"))]), ["external:external -> a server-only"]);
	assert.deepEqual(linesOf(fromB, EARLY_MS), []);
});

test("a root SERVER without a request id has nobody to wait for", () => {
	const root = span(1, 0, factsOf(SERVER, "a"));
	assert.deepEqual(linesOf([root], EARLY_MS), ["external:external -> a server-only"]);
	assert.deepEqual(linesOf([{ ...root, requestId: 7 }], EARLY_MS), []);
});

test("the hops say when the next half that waits will be mature", () => {
	const spans = [
		span(1, 0, factsOf(CLIENT, "a", TO_B), { startMs: 100, durationMs: 50 }),
		span(2, 0, factsOf(CLIENT, "a", TO_B), { startMs: 100, durationMs: 20 }),
	];
	assert.equal(hopsOf(spans, EARLY_MS).nextMaturityMs, EPOCH_MS + 120);
	assert.equal(hopsOf(spans, EPOCH_MS + 120).nextMaturityMs, EPOCH_MS + 150);
	assert.equal(hopsOf(spans, EPOCH_MS + 120).hops.length, 1);
	assert.equal(hopsOf(spans, EPOCH_MS + 150).nextMaturityMs, Infinity);
});

test("pairs are stated at once", () => {
	const pair = [span(1, 0, factsOf(CLIENT, "a", TO_B)), span(2, 1, factsOf(SERVER, "b"))];
	assert.deepEqual(linesOf(pair, EARLY_MS), ["a -> b pair"]);
	assert.equal(hopsOf(pair, EARLY_MS).nextMaturityMs, Infinity);
});

test("a database never reports itself, so nothing is waited for", () => {
	assert.deepEqual(linesOf([span(1, 0, factsOf(CLIENT, "a", DATABASE))], EARLY_MS), [
		"a -> database:postgresql/orders client-only",
	]);
});

test("a driver's inner CLIENT is part of the query, not a query more", () => {
	const spans = [span(1, 0, factsOf(CLIENT, "a", DATABASE)), span(2, 1, factsOf(CLIENT, "a", DATABASE))];
	assert.deepEqual(linesOf(spans), ["a -> database:postgresql/orders client-only"]);
});

test("a queue stands between its producer and its consumer", () => {
	const spans = [span(1, 0, factsOf(PRODUCER, "a", QUEUE)), span(2, 1, factsOf(CONSUMER, "b", QUEUE))];
	assert.deepEqual(linesOf(spans, EARLY_MS), ["a -> messaging:kafka/orders pair", "messaging:kafka/orders -> b pair"]);
});

test("several consumers of one message are an edge each, and its producer's is one", () => {
	const spans = [
		span(1, 0, factsOf(PRODUCER, "a", QUEUE)),
		span(2, 1, factsOf(CONSUMER, "b", QUEUE)),
		span(3, 1, factsOf(CONSUMER, "c", QUEUE)),
	];
	assert.deepEqual(linesOf(spans), [
		"a -> messaging:kafka/orders pair",
		"messaging:kafka/orders -> b pair",
		"messaging:kafka/orders -> c pair",
	]);
});

test("a producer or a consumer alone is an edge to or from its queue, at once", () => {
	assert.deepEqual(linesOf([span(1, 0, factsOf(PRODUCER, "a", QUEUE))], EARLY_MS), ["a -> messaging:kafka/orders client-only"]);
	assert.deepEqual(linesOf([span(1, 9, factsOf(CONSUMER, "b", QUEUE))], EARLY_MS), ["messaging:kafka/orders -> b server-only"]);
});

test("a service that sends itself a message has both edges", () => {
	const spans = [span(1, 0, factsOf(PRODUCER, "a", QUEUE)), span(2, 1, factsOf(CONSUMER, "a", QUEUE))];
	assert.deepEqual(linesOf(spans), ["a -> messaging:kafka/orders client-only"]);
});

test("spans in a cycle are taken apart where the earliest begins, whatever order they came in", () => {
	const spans = [
		span(1, 3, factsOf(CLIENT, "a", TO_B)),
		span(2, 1, factsOf(SERVER, "b")),
		span(3, 2, factsOf(INTERNAL, "b")),
		span(4, 4, factsOf(CLIENT, "c", TO_B)),
	];
	for (const each of [spans, spans.toReversed()])
		assert.deepEqual(linesOf(each), ["a -> b client-only", "c -> b client-only", "external:external -> b server-only"]);
});

test("a span that Zipkin's client and server share is both ends of its call", () => {
	const shared = [span(1, 0, factsOf(CLIENT, "a")), span(1, 0, factsOf(SERVER, "b"), { startMs: 2 })];
	assert.deepEqual(linesOf(shared), ["a -> b pair"]);
	const below = span(2, 1, factsOf(CLIENT, "b", { peer: { endpoint: serviceEndpoint("c"), from: "declared" } }));
	assert.deepEqual(linesOf([...shared, below]), ["a -> b pair", "b -> c client-only"]);
});

test("a span that arrived twice counts once, in two versions too", () => {
	const pair = [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, factsOf(SERVER, "b"))];
	const longer = { ...pair[0]!, durationMs: 500 };
	for (const spans of [
		[...pair, ...pair],
		[...pair, longer],
		[longer, ...pair],
	])
		assert.deepEqual(linesOf(spans), ["a -> b pair"]);
	assert.equal(hopsOf([...pair, longer]).hops[0]!.sourceLatencyNs, hopsOf([longer, ...pair]).hops[0]!.sourceLatencyNs);
});

test("a trace of many spans is read by the same rules as a small one", () => {
	const spans = Array.from({ length: 60 }, (_, i) => [
		span(3 * i + 2, 1, sidecarOf(CLIENT, "a", TO_B)),
		span(3 * i + 3, 3 * i + 2, sidecarOf(SERVER, "b")),
		span(3 * i + 4, 3 * i + 3, factsOf(SERVER, "b")),
	]).flat();
	const lines = linesOf([span(1, 0, gatewayOf(SERVER, "a")), ...spans]);
	assert.equal(lines.filter((line) => line === "a -> b pair").length, 60);
	assert.equal(lines.length, 61);
});
