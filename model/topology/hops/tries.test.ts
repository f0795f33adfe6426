import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceEndpoint } from "../endpoint.ts";
import type { SpanFacts } from "../facts.ts";
import { CLIENT, SERVER } from "../sources/test-kit.ts";
import { factsOf, gatewayOf, hopsOf, linesOf, sidecarOf, type SketchedSpan, span } from "./hop-kit.ts";

const TO_B = { peer: { endpoint: serviceEndpoint("b"), from: "declared" } } as const;

function failed(kind: number, service: string, more: Partial<SpanFacts> = {}): SpanFacts {
	return sidecarOf(kind, service, { outcome: "server_error", code: "503", ...more });
}

interface Row {
	readonly rule: string;
	readonly spans: readonly SketchedSpan[];
	readonly hops: readonly string[];
}

const ROWS: readonly Row[] = [
	{
		rule: "tries that are told by their retry number are one call, which ends as the last one did",
		spans: [
			span(1, 0, sidecarOf(SERVER, "a")),
			span(2, 1, failed(CLIENT, "a", TO_B)),
			span(3, 1, failed(CLIENT, "a", { ...TO_B, retry: 1 })),
			span(4, 1, sidecarOf(CLIENT, "a", { ...TO_B, retry: 2 })),
			span(5, 4, sidecarOf(SERVER, "b")),
		],
		hops: ["a -> b pair x3", "external:external -> a server-only"],
	},
	{
		rule: "a try whose retry found no room ended as the callee says: the flag is of the retry",
		spans: [
			span(1, 0, failed(CLIENT, "a", { ...TO_B, outcome: "no_response", flags: "UO" })),
			span(2, 1, failed(SERVER, "b")),
		],
		hops: ["a -> b pair server_error"],
	},
	{
		rule: "a try that found no room reached nobody; one that could not connect is not explained by an answer",
		spans: [
			span(1, 0, failed(CLIENT, "a", { ...TO_B, outcome: "no_response", flags: "UO" })),
			span(3, 0, failed(CLIENT, "a", { ...TO_B, outcome: "no_response", flags: "UF" })),
			span(4, 3, failed(SERVER, "b")),
		],
		hops: ["a -> b client-only no_response", "a -> b pair no_response (server_error there)"],
	},
	{
		rule: "a span that stands for its tries is one call with that many, beside another call of the same parent",
		spans: [
			span(1, 0, sidecarOf(SERVER, "a")),
			span(2, 1, sidecarOf(CLIENT, "a", { ...TO_B, attempts: 3 })),
			span(3, 1, sidecarOf(CLIENT, "a", TO_B)),
		],
		hops: ["a -> b client-only", "a -> b client-only x3", "external:external -> a server-only"],
	},
	{
		rule: "each try that reached a server has it accounted for",
		spans: [
			span(1, 0, sidecarOf(SERVER, "a")),
			span(2, 1, failed(CLIENT, "a", TO_B)),
			span(3, 2, failed(SERVER, "b")),
			span(4, 1, sidecarOf(CLIENT, "a", { ...TO_B, retry: 1 })),
			span(5, 4, sidecarOf(SERVER, "b")),
		],
		hops: ["a -> b pair x2", "external:external -> a server-only"],
	},
	{
		rule: "several servers of one workload below one CLIENT are its tries",
		spans: [
			span(1, 0, sidecarOf(CLIENT, "a")),
			span(2, 1, failed(SERVER, "b")),
			span(3, 1, failed(SERVER, "b")),
			span(4, 1, sidecarOf(SERVER, "b")),
		],
		hops: ["a -> b pair x3"],
	},
	{
		rule: "tries within one half are counted by their spans",
		spans: [
			span(1, 0, factsOf(CLIENT, "a")),
			span(2, 1, failed(CLIENT, "a", TO_B)),
			span(3, 1, sidecarOf(CLIENT, "a", { ...TO_B, retry: 1 })),
		],
		hops: ["a -> b client-only x2"],
	},
	{
		rule: "two calls to one service that are no tries of each other stay two",
		spans: [
			span(1, 0, factsOf(SERVER, "a")),
			span(2, 1, factsOf(CLIENT, "a", TO_B)),
			span(3, 2, factsOf(SERVER, "b")),
			span(4, 1, factsOf(CLIENT, "a", TO_B)),
			span(5, 4, factsOf(SERVER, "b")),
		],
		hops: ["a -> b pair", "a -> b pair", "external:external -> a server-only"],
	},
	{
		rule: "a retry whose first try is not here is a call of its own",
		spans: [span(1, 0, factsOf(SERVER, "a")), span(2, 1, sidecarOf(CLIENT, "b", { retry: 1 }))],
		hops: ["b -> unknown:unknown client-only", "external:external -> a server-only"],
	},
];

for (const { rule, spans, hops } of ROWS)
	test(rule, () => {
		assert.deepEqual(linesOf(spans), hops);
		assert.deepEqual(linesOf(spans.toReversed()), hops, "in the other order");
	});

test("a call that was tried again lasts from the first try to the end of the last", () => {
	const { hops } = hopsOf([
		span(1, 0, sidecarOf(SERVER, "a"), { startMs: 0, durationMs: 100 }),
		span(2, 1, failed(CLIENT, "a", TO_B), { startMs: 10, durationMs: 5 }),
		span(3, 1, sidecarOf(CLIENT, "a", { ...TO_B, retry: 1 }), { startMs: 40, durationMs: 20 }),
	]);
	const call = hops.find(({ shape }) => shape.evidence === "client-only");
	assert.equal(call?.sourceLatencyNs, 50e6);
	assert.equal(call?.attempts, 2);
});

const ENDS = { source: serviceEndpoint("a"), destination: serviceEndpoint("b") };

function waypoint(kind: number): SpanFacts {
	return gatewayOf(kind, "waypoint", { emitter: "waypoint", both: ENDS });
}

test("a waypoint's span names both ends, and is a whole call by itself", () => {
	assert.deepEqual(linesOf([span(1, 0, waypoint(SERVER))]), ["a -> b waypoint"]);
	assert.deepEqual(linesOf([span(1, 0, waypoint(SERVER)), span(2, 1, waypoint(CLIENT))]), ["a -> b waypoint"]);
});

test("the caller's and the callee's own spans belong to the waypoint's call", () => {
	const spans = [
		span(1, 0, factsOf(CLIENT, "a")),
		span(2, 1, waypoint(SERVER)),
		span(3, 2, waypoint(CLIENT)),
		span(4, 3, factsOf(SERVER, "b")),
	];
	assert.deepEqual(linesOf(spans), ["a -> b waypoint"]);
	const [hop] = hopsOf(spans).hops;
	assert.deepEqual([hop!.sourceRow, hop!.destinationRow], [0, 3]);
});

const DATED = [
	span(1, 9, sidecarOf(CLIENT, "a", TO_B), { requestId: 7, durationMs: 50 }),
	span(2, 8, sidecarOf(SERVER, "b"), { requestId: 7, durationMs: 40 }),
] as const;

test("where parentage broke, a request id that both proxies saw makes the pair", () => {
	assert.deepEqual(linesOf(DATED), ["a -> b request-id"]);
});

test("a request id pairs no server that is not the one that was called, or at another time", () => {
	const other = span(2, 8, sidecarOf(SERVER, "c"), { requestId: 7, durationMs: 40 });
	assert.deepEqual(linesOf([DATED[0], other]), ["a -> b client-only", "external:external -> c server-only"]);
	const later = { ...DATED[1], startMs: 5_000 };
	assert.deepEqual(linesOf([DATED[0], later]), ["a -> b client-only", "external:external -> b server-only"]);
});

test("of several servers with the request id the one that was called by name is taken", () => {
	const other = span(3, 8, sidecarOf(SERVER, "c"), { requestId: 7, startMs: 0 });
	assert.deepEqual(linesOf([DATED[0], DATED[1], other]), ["a -> b request-id", "external:external -> c server-only"]);
});

test("a caller that names nobody is paired with the earliest server", () => {
	const nameless = { ...DATED[0], facts: sidecarOf(CLIENT, "a") };
	assert.deepEqual(linesOf([nameless, DATED[1]]), ["a -> b request-id"]);
});
