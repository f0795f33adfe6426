/** The proxy's own encoder and labels, read by the rules: what it tells is what is understood, by both ways in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skimTraces } from "../../../collector/decode/skim.ts";
import { DEFAULT_LIMITS } from "../../../collector/decode/limits.ts";
import { factsOfProfile, spanExtractor } from "../../../collector/topology/span-profile.ts";
import { RecordColumns, SPAN_SHAPE } from "../../columns.ts";
import type { HttpHop, TcpHop } from "../../../proxy-shim/telemetry/hop.ts";
import { encodeResource, encodeScope, SpanChunk } from "../../../proxy-shim/telemetry/span-chunk.ts";
import { SpanEncoder } from "../../../proxy-shim/telemetry/span-encoder.ts";
import {
	answering,
	httpHop,
	mutualTls,
	NOT_AFTER_MS,
	noTls,
	peer,
	spiffeId,
	tcpHop,
	trace,
} from "../../../proxy-shim/telemetry/test-kit.ts";
import { countedBy, trafficLabels } from "../../../proxy-shim/telemetry/traffic-labels.ts";
import { decodeTracesData } from "../../otlp/decode.ts";
import { EXTERNAL, serviceEndpoint } from "../endpoint.ts";
import { NO_TLS_FACTS, type Attributes, type LegTls, type MetricFacts, type SpanFacts } from "../facts.ts";
import { normalised, spanInputOf } from "./attributes.ts";
import { metricFacts } from "./metric-facts.ts";
import { spanFacts } from "./span-facts.ts";

const SHOP = serviceEndpoint("shop", "demo", "shop-v1");
const CART = serviceEndpoint("cart", "demo", "cart-v1");

/** By the rules that annotate a trace, and by the extraction that the graph is counted from. */
function statedBy(hop: HttpHop): SpanFacts {
	const chunk = new SpanChunk(encodeResource(hop.local, { cluster: "", version: "1" }), encodeScope("1"));
	new SpanEncoder().append(chunk, hop);
	const bytes = new Uint8Array(chunk.seal().subarray(5));
	const [group] = decodeTracesData(bytes).resourceSpans ?? [];
	const [ofScope] = group!.scopeSpans ?? [];
	const facts = spanFacts(spanInputOf(ofScope!.spans![0]!, group!.resource ?? {}, ofScope!.scope ?? {}));
	const columns = new RecordColumns(SPAN_SHAPE);
	skimTraces(bytes, columns, DEFAULT_LIMITS);
	const rows = spanExtractor([1, 2], 1).extract(columns);
	assert.deepEqual(factsOfProfile(rows!.profiles[0]!), facts);
	return facts;
}

function leg(more: Partial<LegTls>): LegTls {
	return {
		...NO_TLS_FACTS,
		status: "mutual_tls",
		version: "1.3",
		cipher: "TLS_AES_128_GCM_SHA256",
		peerNotAfterMs: NOT_AFTER_MS,
		...more,
	};
}

test("the caller's proxy states its leg to the callee, verified by the client", () => {
	const facts = statedBy(httpHop());
	assert.deepEqual(
		[facts.emitter, facts.proxy, facts.kind, facts.protocol, facts.outcome, facts.code],
		["shim", true, 3, "http", "ok", "200"],
	);
	assert.deepEqual(facts.local, SHOP);
	assert.deepEqual(facts.peer, { endpoint: serviceEndpoint("cart", "demo"), from: "declared" });
	assert.deepEqual(
		facts.upstream,
		leg({
			peerPrincipal: spiffeId("cart"),
			localPrincipal: spiffeId("shop"),
			verifiedBy: "client",
			peerNotAfterMs: NOT_AFTER_MS + 60_000,
		}),
	);
	assert.deepEqual(facts.downstream, NO_TLS_FACTS);
});

test("the callee's proxy states its leg to the caller, verified by the server", () => {
	const facts = statedBy(answering(httpHop()));
	assert.deepEqual([facts.kind, facts.local, facts.peer?.endpoint], [2, CART, serviceEndpoint("shop", "demo")]);
	assert.deepEqual(
		facts.downstream,
		leg({ peerPrincipal: spiffeId("shop"), localPrincipal: spiffeId("cart"), verifiedBy: "server" }),
	);
	assert.deepEqual(facts.upstream, NO_TLS_FACTS);
});

test("plaintext, one-way TLS, what was not verified, and what never connected are told apart", () => {
	const plaintext = statedBy(httpHop({ tls: noTls("plaintext", "peer_not_in_mesh") }));
	assert.deepEqual([plaintext.upstream.status, plaintext.upstream.verifiedBy], ["plaintext", "client"]);
	const oneWay = mutualTls("shop", "cart", { status: "tls", clientPrincipal: "", clientSubject: "", peerVerified: false });
	assert.equal(statedBy(answering(httpHop(), { tls: oneWay })).downstream.status, "tls");
	const unverified = statedBy(answering(httpHop(), { tls: mutualTls("shop", "cart", { peerVerified: false }) }));
	assert.deepEqual([unverified.downstream.status, unverified.downstream.verifiedBy], ["mutual_tls", ""]);
	const refused = { tls: noTls("unknown", "wrong_identity"), failedHandshakes: 1 };
	const failed = statedBy(httpHop({ ...refused, status: 503, responseFlags: "UF" }));
	assert.deepEqual([failed.emitter, failed.upstream.status, failed.upstream.failure], ["shim", "unknown", "handshake_failed"]);
	assert.deepEqual([failed.outcome, failed.flags], ["no_response", "UF"]);
	assert.deepEqual(statedBy(httpHop({ tls: noTls("unknown", ""), status: 503, responseFlags: "UF" })).upstream, NO_TLS_FACTS);
	const healed = statedBy(httpHop({ failedHandshakes: 2, retries: 2 }));
	assert.deepEqual([healed.outcome, healed.upstream.status, healed.upstream.failure], ["ok", "mutual_tls", "handshake_failed"]);
});

test("flags, gRPC statuses and callers that went away decide how it ended", () => {
	for (const [hop, outcome, code] of [
		[{ status: 503, responseFlags: "UO" }, "no_response", "503"],
		[{ status: 200, responseFlags: "UO", fellBack: true }, "ok", "200"],
		[{ status: 404, responseFlags: "UF", fellBack: true }, "no_response", "404"],
		[{ isGrpc: true, path: "/a.B/C", grpcStatus: 0, responseFlags: "UH", fellBack: true }, "ok", "grpc:0"],
		[{ isGrpc: true, path: "/a.B/C", grpcStatus: 14, responseFlags: "UO" }, "no_response", "grpc:14"],
		[{ status: 503 }, "server_error", "503"],
		[{ status: 504, responseFlags: "UT" }, "server_error", "504"],
		[{ status: 403, responseFlags: "UAEX" }, "client_error", "403"],
		[{ status: 0, responseFlags: "DC" }, "no_response", ""],
		[{ isGrpc: true, path: "/a.B/C", grpcStatus: 14 }, "server_error", "grpc:14"],
		[{ isGrpc: true, path: "/a.B/C", grpcStatus: 5 }, "client_error", "grpc:5"],
		[{ isGrpc: true, path: "/a.B/C", grpcStatus: 0 }, "ok", "grpc:0"],
	] as const) {
		const facts = statedBy(httpHop(hop));
		assert.deepEqual([facts.outcome, facts.code], [outcome, code], JSON.stringify(hop));
		assert.equal(metric("istio_requests_total", httpHop(hop))?.outcome, outcome, `metrics: ${JSON.stringify(hop)}`);
	}
});

test("a span is one call with its attempts, never a try of another span", () => {
	const facts = statedBy(httpHop({ retries: 2 }));
	assert.deepEqual([facts.retry, facts.attempts], [0, 3]);
});

test("the other end: its name, else its verified certificate, else the cluster's host", () => {
	const nobody = { service: "", namespace: "", workload: "", instanceId: "" };
	const byIdentity = statedBy(httpHop({ peer: peer("", nobody), upstreamCluster: "PassthroughCluster" }));
	assert.deepEqual(byIdentity.peer, { endpoint: serviceEndpoint("cart", "demo"), from: "identity" });
	const outside = {
		peer: peer("", nobody),
		tls: noTls("plaintext", "external"),
		authority: "localhost:9000",
		upstreamCluster: "outbound|443||api.example.com",
	};
	assert.deepEqual(statedBy(httpHop(outside)).peer?.endpoint, { ...EXTERNAL, service: "api.example.com" });
	const entry = statedBy(httpHop({ ...outside, peer: peer("api.example.com", { namespace: "" }) }));
	assert.deepEqual(entry.peer?.endpoint, { ...EXTERNAL, service: "api.example.com" });
});

test("exports of telemetry through the proxy make no edge", () => {
	const path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
	assert.notEqual(statedBy(httpHop({ isGrpc: true, path, grpcStatus: 0 })).ignored, undefined);
	assert.equal(statedBy(httpHop()).ignored, undefined);
});

function labelled(hop: HttpHop | TcpHop): Attributes {
	const labels = new Map(trafficLabels(hop, "", countedBy(hop)));
	return { get: (key) => normalised(labels.get(key)) };
}

function metric(name: string, hop: HttpHop | TcpHop): MetricFacts | undefined {
	return metricFacts(name, labelled(hop), { get: () => undefined });
}

test("metrics name the same ends as spans, and the source states what TLS it saw", () => {
	const facts = metric("istio_requests_total", httpHop())!;
	assert.deepEqual([facts.source, facts.target, facts.reporter], [SHOP, CART, "source"]);
	assert.deepEqual(facts.mtls, {
		status: "mutual_tls",
		sourcePrincipal: spiffeId("shop"),
		destinationPrincipal: spiffeId("cart"),
		verifiedBy: "client",
	});
	assert.deepEqual(facts.measure, { kind: "count" });
	const tls = noTls("plaintext", "permissive_plaintext");
	const plaintext = metric("istio_requests_total", answering(httpHop(), { tls }))!;
	assert.deepEqual(
		[plaintext.reporter, plaintext.mtls.status, plaintext.mtls.verifiedBy],
		["destination", "plaintext", "server"],
	);
});

test("what the caller's proxy counts is counted by it alone, and only if its certificate was verified", () => {
	const hop = answering(httpHop());
	assert.equal(metric("istio_requests_total", hop), undefined);
	assert.equal(metric("istio_request_duration_milliseconds", hop), undefined);
	const unverified = answering(httpHop(), { tls: mutualTls("shop", "cart", { peerVerified: false }) });
	assert.equal(metric("istio_requests_total", unverified)?.reporter, "destination");
	const byApp = answering(httpHop(), { trace: { ...hop.trace, traceState: `meshscope=${"9".repeat(16)}` } });
	assert.equal(metric("istio_requests_total", byApp)?.reporter, "destination");
});

test("in plaintext the caller's proxy is believed on the machine's own loopback, where no address tells callers apart", () => {
	const from = (address: string, changes: Partial<HttpHop> = {}): MetricFacts | undefined => {
		const caller = peer("", { namespace: "", workload: "", address });
		return metric(
			"istio_requests_total",
			answering(httpHop(), { peer: caller, tls: noTls("plaintext", "permissive_plaintext"), ...changes }),
		);
	};
	for (const loopback of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) assert.equal(from(loopback), undefined, loopback);
	for (const address of ["10.9.9.9", "8.8.8.8", ""]) assert.equal(from(address)?.reporter, "destination", address);
	assert.equal(from("127.0.0.1", { trace: trace() })?.reporter, "destination", "a caller without a proxy");
	const oneWay = mutualTls("", "cart", { status: "tls", clientPrincipal: "", peerVerified: false });
	assert.equal(from("127.0.0.1", { tls: oneWay })?.reporter, "destination");
});

test("a plain TCP connection of another proxy of the machine is counted by that one alone", () => {
	const opened = (address: string, changes: Partial<TcpHop> = {}): string | undefined =>
		metric(
			"istio_tcp_connections_opened_total",
			tcpHop({
				direction: "inbound",
				peer: peer("", { namespace: "", workload: "", address }),
				tls: noTls("plaintext", "permissive_plaintext"),
				...changes,
			}),
		)?.reporter;
	assert.equal(opened("127.77.83.1"), undefined);
	assert.equal(opened("127.0.0.1"), "destination");
	assert.equal(opened("10.9.9.9"), "destination");
	assert.equal(opened("127.77.83.1", { direction: "outbound" }), "source");
	assert.equal(opened("127.77.83.1", { tls: mutualTls("web", "db") }), "destination", "each end names the other");
});

test("a nameless caller is the same one to metrics as to spans", () => {
	for (const address of ["10.9.9.9", "8.8.8.8", "127.0.0.1"]) {
		const hop = answering(httpHop(), {
			trace: trace(),
			peer: peer("", { namespace: "", workload: "", address }),
			tls: noTls("plaintext", "permissive_plaintext"),
		});
		assert.deepEqual(metric("istio_requests_total", hop)!.source, statedBy(hop).peer?.endpoint ?? EXTERNAL, address);
	}
});

test("connections, bytes and failed handshakes are measures of their own", () => {
	const hop = tcpHop();
	assert.deepEqual(
		[metric("istio_tcp_connections_opened_total", hop)?.unit, metric("istio_tcp_connections_opened_total", hop)?.protocol],
		["connections", "tcp"],
	);
	assert.equal(metric("istio_tcp_received_bytes_total", hop)?.measure.kind, "bytes_sent");
	const tls = noTls("unknown", "unknown_authority");
	const failed = httpHop({ tls, failedHandshakes: 1, status: 503, responseFlags: "UF" });
	const facts = metric("meshscope_tls_handshake_failures_total", failed)!;
	assert.deepEqual([facts.measure.kind, facts.outcome, facts.mtls.status], ["failed_handshakes", "no_response", "unknown"]);
});
