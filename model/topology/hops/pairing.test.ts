import assert from "node:assert/strict";
import { test } from "node:test";
import { CLIENT, inputOf, INTERNAL, named, SERVER, type SpanSketch, type Values } from "../sources/test-kit.ts";
import { spanFacts } from "../sources/span-facts.ts";
import { factsOf, gatewayOf, hopsOf, linesOf, sidecarOf, type SketchedSpan, span } from "./hop-kit.ts";

const LINKERD_WEB = { "service.name": "linkerd-proxy", "linkerd.io/proxy-deployment": "web", "linkerd.io/workload-ns": "emoji" };
const LINKERD_VOTE = { ...LINKERD_WEB, "linkerd.io/proxy-deployment": "vote" };

function linkerd(kind: number, direction: string, resource: Values): SpanSketch {
	return { kind, resource, attributes: { direction, "http.response.status_code": "200" } };
}

function traefik(kind: number, name: string): SpanSketch {
	return {
		kind,
		name,
		scope: "github.com/traefik/traefik",
		resource: { "service.name": "traefik" },
		attributes: { "http.request.method": "GET", "http.response.status_code": 200 },
	};
}

function nginx(kind: number): SpanSketch {
	return { kind, scope: "nginx", resource: { "service.name": "edge" }, attributes: { "http.status_code": 200 } };
}

function real(id: number, parent: number, sketch: SpanSketch): SketchedSpan {
	return span(id, parent, spanFacts(inputOf(sketch)));
}

interface Row {
	readonly rule: string;
	readonly spans: readonly SketchedSpan[];
	readonly hops: readonly string[];
}

const ROWS: readonly Row[] = [
	{
		rule: "a CLIENT and the SERVER below it are one call",
		spans: [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, factsOf(SERVER, "b"))],
		hops: ["a -> b pair"],
	},
	{
		rule: "internal spans on the way are walked through",
		spans: [
			span(1, 0, factsOf(CLIENT, "a")),
			span(2, 1, factsOf(INTERNAL, "a")),
			span(3, 2, factsOf(INTERNAL, "b")),
			span(4, 3, factsOf(SERVER, "b")),
		],
		hops: ["a -> b pair"],
	},
	{
		rule: "a chain of calls is a hop each",
		spans: [
			span(1, 0, factsOf(SERVER, "a")),
			span(2, 1, factsOf(CLIENT, "a")),
			span(3, 2, factsOf(SERVER, "b")),
			span(4, 3, factsOf(INTERNAL, "b")),
			span(5, 4, factsOf(CLIENT, "b")),
			span(6, 5, factsOf(SERVER, "c")),
		],
		hops: ["a -> b pair", "b -> c pair", "external:external -> a server-only"],
	},
	{
		rule: "a call to oneself stays inside",
		spans: [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, factsOf(SERVER, "a"))],
		hops: [],
	},
	{
		rule: "app, its sidecar, the other sidecar and its app are one call",
		spans: [
			span(1, 0, factsOf(CLIENT, "a")),
			span(2, 1, sidecarOf(CLIENT, "a")),
			span(3, 2, sidecarOf(SERVER, "b")),
			span(4, 3, factsOf(SERVER, "b")),
		],
		hops: ["a -> b pair"],
	},
	{
		rule: "an app whose SDK calls it otherwise than the mesh does is bridged all the same, under the mesh's name",
		spans: [
			span(1, 0, factsOf(CLIENT, "a-sdk")),
			span(2, 1, sidecarOf(CLIENT, "a")),
			span(3, 2, sidecarOf(SERVER, "b")),
			span(4, 3, factsOf(SERVER, "b-sdk")),
		],
		hops: ["a -> b pair"],
	},
	{
		rule: "a sidecar on one side only",
		spans: [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, sidecarOf(CLIENT, "a")), span(3, 2, factsOf(SERVER, "b"))],
		hops: ["a -> b pair"],
	},
	{
		rule: "Linkerd's four spans of a request are one call",
		spans: [
			real(1, 0, linkerd(SERVER, "outbound", LINKERD_WEB)),
			real(2, 1, linkerd(CLIENT, "outbound", LINKERD_WEB)),
			real(3, 2, linkerd(SERVER, "inbound", LINKERD_VOTE)),
			real(4, 3, linkerd(CLIENT, "inbound", LINKERD_VOTE)),
		],
		hops: ["emoji/web -> emoji/vote pair"],
	},
	{
		rule: "Linkerd's proxies that all bear one name are two ends all the same",
		spans: [
			real(1, 0, linkerd(CLIENT, "outbound", { "service.name": "linkerd-proxy" })),
			real(2, 1, linkerd(SERVER, "inbound", { "service.name": "linkerd-proxy" })),
		],
		hops: ["linkerd-proxy -> linkerd-proxy pair"],
	},
	{
		rule: "a gateway with SERVER and CLIENT is a node between two edges",
		spans: [
			span(1, 0, gatewayOf(SERVER, "edge")),
			span(2, 1, gatewayOf(CLIENT, "edge")),
			span(3, 2, sidecarOf(SERVER, "shop")),
			span(4, 3, factsOf(SERVER, "shop")),
		],
		hops: ["edge -> shop pair", "external:external -> edge server-only"],
	},
	{
		rule: "an ingress that sends CLIENT spans alone is followed by the next workload's CLIENT",
		spans: [span(1, 0, gatewayOf(CLIENT, "istio-ingressgateway")), span(2, 1, sidecarOf(CLIENT, "productpage"))],
		hops: ["istio-ingressgateway -> productpage client-client", "productpage -> unknown:unknown client-only"],
	},
	{
		rule: "an app's CLIENT is no follower of its own sidecar's",
		spans: [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, factsOf(CLIENT, "a"))],
		hops: ["a -> unknown:unknown client-only"],
	},
	{
		rule: "NGINX, which sends SERVER spans alone, calls the SERVER below it",
		spans: [real(1, 0, nginx(SERVER)), span(2, 1, factsOf(SERVER, "shop"))],
		hops: ["edge -> shop server-server", "external:external -> edge server-only"],
	},
	{
		rule: "Traefik's inner spans are no ends of calls",
		spans: [
			real(1, 0, traefik(SERVER, "GET")),
			real(2, 1, traefik(INTERNAL, "Router")),
			real(3, 2, traefik(INTERNAL, "Service")),
			real(4, 3, traefik(CLIENT, "ReverseProxy")),
			span(5, 4, factsOf(SERVER, "shop")),
		],
		hops: ["external:external -> traefik server-only", "traefik -> shop pair"],
	},
	{
		rule: "one call that fans out below its span is an edge for each workload",
		spans: [span(1, 0, factsOf(CLIENT, "a")), span(2, 1, factsOf(SERVER, "b")), span(3, 1, factsOf(SERVER, "c"))],
		hops: ["a -> b pair", "a -> c pair"],
	},
	{
		rule: "namespaces tell services of one name apart, and one that is not known does not",
		spans: [
			span(1, 0, factsOf(CLIENT, "a", { local: named("service", "a", "one") })),
			span(2, 1, factsOf(SERVER, "a", { local: named("service", "a", "two") })),
			span(3, 0, factsOf(CLIENT, "a", { local: named("service", "a", "one") })),
			span(4, 3, factsOf(SERVER, "a")),
		],
		hops: ["one/a -> two/a pair"],
	},
];

for (const { rule, spans, hops } of ROWS)
	test(rule, () => {
		assert.deepEqual(linesOf(spans), hops);
		assert.deepEqual(linesOf(spans.toReversed()), hops, "in the other order");
		assert.deepEqual(linesOf([...spans, ...spans]), hops, "each span twice");
	});

test("a call takes as long as its sidecar's span says; proxy time and app time of the callee are told apart", () => {
	const { hops } = hopsOf([
		span(1, 0, factsOf(CLIENT, "a"), { durationMs: 50 }),
		span(2, 1, sidecarOf(CLIENT, "a"), { durationMs: 48, bytes: [10, 20] }),
		span(3, 2, sidecarOf(SERVER, "b"), { durationMs: 40 }),
		span(4, 3, factsOf(SERVER, "b"), { durationMs: 33, weight: 4 }),
	]);
	assert.equal(hops.length, 1);
	const [hop] = hops;
	assert.equal(hop!.sourceLatencyNs, 48e6);
	assert.equal(hop!.destinationLatencyNs, 40e6);
	assert.equal(hop!.appNs, 33e6);
	assert.equal(hop!.proxyNs, 7e6);
	assert.deepEqual([hop!.sourceRow, hop!.destinationRow, hop!.sourceAppRow, hop!.destinationAppRow], [1, 2, 0, 3]);
	assert.deepEqual([hop!.requestBytes, hop!.responseBytes], [10, 20]);
});

test("an app's clock that runs ahead of its proxy's makes no negative proxy time", () => {
	const { hops } = hopsOf([
		span(1, 0, sidecarOf(CLIENT, "a")),
		span(2, 1, sidecarOf(SERVER, "b"), { durationMs: 30 }),
		span(3, 2, factsOf(SERVER, "b"), { durationMs: 31 }),
	]);
	assert.equal(hops[0]!.proxyNs, 0);
});

test("without an app's own span nothing is said of app time", () => {
	const { hops } = hopsOf([span(1, 0, sidecarOf(CLIENT, "a")), span(2, 1, sidecarOf(SERVER, "b"))]);
	assert.deepEqual([hops[0]!.appNs, hops[0]!.proxyNs], [-1, -1]);
});

test("pairs do not depend on clocks: a child that seems to begin before its parent is its child", () => {
	const skewed = [
		span(1, 0, factsOf(CLIENT, "a"), { startMs: 5_000 }),
		span(2, 1, sidecarOf(CLIENT, "a"), { startMs: -3_000 }),
		span(3, 2, sidecarOf(SERVER, "b"), { startMs: -9_000 }),
		span(4, 3, factsOf(SERVER, "b"), { startMs: -20_000 }),
	];
	assert.deepEqual(linesOf(skewed), ["a -> b pair"]);
	assert.equal(hopsOf(skewed).hops[0]!.sourceAppRow, 0);
});
