import assert from "node:assert/strict";
import { test } from "node:test";
import { EXTERNAL, serviceEndpoint } from "../endpoint.ts";
import {
	type FactsRow,
	CLIENT,
	INTERNAL,
	SERVER,
	type SpanSketch,
	type Values,
	atAddress,
	declared,
	identified,
	named,
	statedFacts,
} from "./test-kit.ts";

const RESOURCE = { "service.name": "frontend", "telemetry.sdk.name": "envoy" };
const MAIN: Values = {
	component: "proxy",
	node_id: "n1",
	zone: "",
	"guid:x-request-id": "87d23488-81c1-9c7e-9fa5-70cca40f22d3",
	"http.url": "http://backend.demo/orders/0",
	"http.method": "GET",
	downstream_cluster: "-",
	"peer.address": "10.1.0.7",
	request_size: "0",
	response_size: "3",
	upstream_cluster: "backend",
	"upstream_cluster.name": "backend",
	"http.status_code": "200",
	response_flags: "-",
};

function span(kind: number, attributes: Values = {}, more: Partial<SpanSketch> = {}): SpanSketch {
	return { kind, scope: "envoy", resource: RESOURCE, attributes: { ...MAIN, ...attributes }, ...more };
}

const REPORTED = { "meshscope.tls.reported": "1" };
const FRONTEND = "spiffe://demo.local/ns/demo/sa/frontend";
const BACKEND = "spiffe://demo.local/ns/demo/sa/backend";
const UPSTREAM_MTLS = {
	...REPORTED,
	"meshscope.upstream.tls.version": "TLSv1.3",
	"meshscope.upstream.tls.cipher": "TLS_AES_256_GCM_SHA384",
	"meshscope.upstream.peer.uri_san": BACKEND,
	"meshscope.upstream.peer.cert_end": "2027-03-01T12:00:00.000Z",
	"meshscope.upstream.local.uri_san": FRONTEND,
};
const DOWNSTREAM_MTLS = {
	...REPORTED,
	"meshscope.downstream.tls.version": "TLSv1.2",
	"meshscope.downstream.peer.uri_san": FRONTEND,
	"meshscope.downstream.local.uri_san": BACKEND,
};

const ROWS: readonly FactsRow[] = [
	{
		rule: "an outbound sidecar's CLIENT names its callee by its cluster",
		span: span(CLIENT),
		facts: {
			emitter: "envoy",
			proxy: true,
			kind: CLIENT,
			local: serviceEndpoint("frontend"),
			peer: declared("backend"),
			both: undefined,
			protocol: "http",
			outcome: "ok",
			code: "200",
			flags: "",
			retry: 0,
			ignored: undefined,
		},
	},
	{
		rule: "`peer.address` on a main CLIENT is the caller's and teaches nothing of the callee",
		span: span(CLIENT),
		facts: { peerAddress: "" },
	},
	{
		rule: "`peer.address` on a SERVER is the caller's",
		span: span(SERVER),
		facts: { peerAddress: "10.1.0.7", peer: atAddress("10.1.0.7") },
	},
	{
		rule: "a try upstream gives the callee's address without its port, and counts as a retry",
		span: span(
			CLIENT,
			{ upstream_address: "10.1.0.9:8080", "peer.address": "10.1.0.9:8080", "retry.count": "2" },
			{ name: "router backend egress" },
		),
		facts: { kind: CLIENT, peerAddress: "10.1.0.9", retry: 2 },
	},
	{
		rule: "a try at the proxy's own app is walked through",
		span: span(CLIENT, { upstream_cluster: "inbound|9080||" }),
		facts: { kind: INTERNAL, peer: undefined },
	},
	{
		rule: "a caller with a public address is external",
		span: span(SERVER, { "peer.address": "203.0.113.9" }),
		facts: { peerAddress: "", peer: { endpoint: EXTERNAL, from: "address" } },
	},
	{
		rule: "`downstream_cluster` names the caller, declared and not proven",
		span: span(SERVER, { downstream_cluster: "web" }),
		facts: { peer: declared("web") },
	},
	{
		rule: "a verified URI SAN names the caller before `downstream_cluster` does",
		span: span(SERVER, { ...DOWNSTREAM_MTLS, downstream_cluster: "somebody-else" }),
		facts: { peer: identified("frontend", "demo") },
	},
	{
		rule: "the account `default` names no caller",
		span: span(SERVER, {
			...DOWNSTREAM_MTLS,
			"meshscope.downstream.peer.uri_san": "spiffe://cluster.local/ns/shop/sa/default",
		}),
		facts: {
			peer: atAddress("10.1.0.7"),
			downstream: { status: "mutual_tls", peerPrincipal: "spiffe://cluster.local/ns/shop/sa/default" },
		},
	},
	{
		rule: "an outbound version with both SANs is mutual TLS, as the client verified it",
		span: span(CLIENT, UPSTREAM_MTLS),
		facts: {
			upstream: {
				status: "mutual_tls",
				peerPrincipal: BACKEND,
				localPrincipal: FRONTEND,
				version: "1.3",
				cipher: "TLS_AES_256_GCM_SHA384",
				verifiedBy: "client",
				peerNotAfterMs: Date.UTC(2027, 2, 1, 12),
				failure: "",
			},
			downstream: { status: "plaintext" },
		},
	},
	{
		rule: "an outbound version without a certificate of one's own is one-way TLS",
		span: span(CLIENT, {
			...REPORTED,
			"meshscope.upstream.tls.version": "TLSv1.3",
			"meshscope.upstream.peer.uri_san": BACKEND,
		}),
		facts: { upstream: { status: "tls", version: "1.3", verifiedBy: "client" } },
	},
	{
		rule: "an inbound version with the peer's SAN is mutual TLS, as the server verified it",
		span: span(SERVER, DOWNSTREAM_MTLS),
		facts: {
			downstream: {
				status: "mutual_tls",
				peerPrincipal: FRONTEND,
				localPrincipal: BACKEND,
				version: "1.2",
				verifiedBy: "server",
			},
		},
	},
	{
		rule: "an inbound version with the peer's subject alone is mutual TLS too",
		span: span(SERVER, {
			...REPORTED,
			"meshscope.downstream.tls.version": "TLSv1.3",
			"meshscope.downstream.peer.subject": "CN=frontend,O=demo",
		}),
		facts: { downstream: { status: "mutual_tls", verifiedBy: "server" } },
	},
	{
		rule: "an inbound version without a peer's certificate is one-way TLS",
		span: span(SERVER, {
			...REPORTED,
			"meshscope.downstream.tls.version": "TLSv1.3",
			"meshscope.downstream.peer.uri_san": "-",
		}),
		facts: { downstream: { status: "tls", peerPrincipal: "", verifiedBy: "server" } },
	},
	{
		rule: "reported and empty is plaintext, at both ends",
		span: span(SERVER, REPORTED),
		facts: {
			downstream: { status: "plaintext", verifiedBy: "server" },
			upstream: { status: "plaintext", verifiedBy: "client" },
		},
	},
	{
		rule: "not reported is unknown, never plaintext",
		span: span(SERVER),
		facts: { downstream: { status: "unknown", verifiedBy: "" }, upstream: { status: "unknown" } },
	},
	{
		rule: "without an upstream nothing is plaintext: no route",
		span: span(CLIENT, { ...REPORTED, "http.status_code": "503", response_flags: "UF" }),
		facts: { upstream: { status: "unknown" }, outcome: "no_response", code: "503", flags: "UF" },
	},
	{
		rule: "without an upstream nothing is plaintext: a response of the proxy's own",
		span: span(CLIENT, { ...REPORTED, upstream_cluster: "-", "upstream_cluster.name": "-" }),
		facts: { upstream: { status: "unknown" } },
	},
	...["FI", "DI,FI", "RL", "UAEX", "IH"].map((flags) => ({
		rule: `without an upstream nothing is plaintext: refused by a filter before one was looked for (${flags})`,
		span: span(CLIENT, { ...REPORTED, "http.status_code": "503", response_flags: flags }),
		facts: { upstream: { status: "unknown" as const }, outcome: "server_error" as const, code: "503", flags },
	})),
	...["UT", "SI", "DT", "UMSDR"].map((flags) => ({
		rule: `who gave up waiting may have had no connection yet: no version is no plaintext (${flags})`,
		span: span(CLIENT, { ...REPORTED, "http.status_code": "504", response_flags: flags }),
		facts: { upstream: { status: "unknown" as const }, code: "504", flags },
	})),
	{
		rule: "who gave up waiting on an upstream that the span names had a connection",
		span: span(CLIENT, {
			...REPORTED,
			"http.status_code": "504",
			response_flags: "UT",
			upstream_address: "10.1.0.2:9080",
		}),
		facts: { upstream: { status: "plaintext" } },
	},
	{
		rule: "a failed handshake is told as such",
		span: span(CLIENT, {
			...REPORTED,
			"http.status_code": "503",
			response_flags: "UF,URX",
			"meshscope.upstream.tls.failure": "TLS_error:CERTIFICATE_VERIFY_FAILED",
		}),
		facts: {
			upstream: { status: "unknown", failure: "TLS_error:CERTIFICATE_VERIFY_FAILED" },
			outcome: "no_response",
			flags: "UF,URX",
		},
	},
	{
		rule: "a forwarded client certificate is never verified, and names its caller only as declared",
		span: span(SERVER, { "x-forwarded-client-cert": `By=${BACKEND};Hash=ab;Subject="CN=a,O=b;c";URI=${FRONTEND}` }),
		facts: {
			downstream: { status: "mutual_tls", peerPrincipal: FRONTEND, localPrincipal: BACKEND, verifiedBy: "header" },
			peer: declared("frontend", "demo"),
		},
	},
	{
		rule: "of several forwarded elements the last one is the nearest",
		span: span(SERVER, { "x-forwarded-client-cert": "By=x;URI=spiffe://t/ns/a/sa/far,By=y;URI=spiffe://t/ns/a/sa/near" }),
		facts: { downstream: { status: "mutual_tls", peerPrincipal: "spiffe://t/ns/a/sa/near", verifiedBy: "header" } },
	},
	{
		rule: "what the proxy saw holds against a forwarded header",
		span: span(SERVER, { ...REPORTED, "x-forwarded-client-cert": `URI=${FRONTEND}` }),
		facts: { downstream: { status: "plaintext", peerPrincipal: "", verifiedBy: "server" } },
	},
	{
		rule: "of several SANs the SPIFFE id is the principal",
		span: span(SERVER, { ...DOWNSTREAM_MTLS, "meshscope.downstream.peer.uri_san": `https://example.test/id,${FRONTEND}` }),
		facts: { downstream: { peerPrincipal: FRONTEND } },
	},
	{
		rule: "status 0 is no response",
		span: span(CLIENT, { "http.status_code": "0", response_flags: "DC" }),
		facts: { outcome: "no_response", code: "", flags: "DC" },
	},
	{
		rule: "a timeout that the upstream had the request for is the code's error",
		span: span(CLIENT, { "http.status_code": "504", response_flags: "UT" }),
		facts: { outcome: "server_error", code: "504", flags: "UT" },
	},
	{
		rule: "4xx is the client's error",
		span: span(CLIENT, { "http.status_code": "404" }, { status: 2 }),
		facts: { outcome: "client_error", code: "404" },
	},
	{
		rule: "a gRPC error under HTTP 200 is an error",
		span: span(CLIENT, { "grpc.status_code": "14", "grpc.content_type": "application/grpc" }),
		facts: { protocol: "grpc", outcome: "server_error", code: "grpc:14" },
	},
	{
		rule: "gRPC NOT_FOUND is the client's error",
		span: span(SERVER, { "grpc.status_code": "5" }),
		facts: { protocol: "grpc", outcome: "client_error", code: "grpc:5" },
	},
	{
		rule: "gRPC 0 is well",
		span: span(SERVER, { "grpc.status_code": "0" }),
		facts: { protocol: "grpc", outcome: "ok", code: "grpc:0" },
	},
	{
		rule: "the newer names are read as well",
		span: {
			kind: CLIENT,
			scope: "envoy",
			resource: RESOURCE,
			attributes: {
				"http.request.method": "GET",
				"http.response.status_code": 502,
				upstream_cluster: "backend",
				"http.request.resend_count": 1,
			},
		},
		facts: { emitter: "envoy", protocol: "http", outcome: "server_error", code: "502", retry: 1 },
	},
	{
		rule: "a passed-through call leads to the host it asked for",
		span: span(CLIENT, { upstream_cluster: "PassthroughCluster", "http.url": "https://api.stripe.com/v1/charges" }),
		facts: { peer: { endpoint: named("external", "api.stripe.com"), from: "address" } },
	},
	{
		rule: "the request's span of an outbound listener that gives each try its own is a call",
		span: span(SERVER, UPSTREAM_MTLS, { name: "egress backend.demo" }),
		facts: { kind: CLIENT, peer: declared("backend"), peerAddress: "" },
	},
	{
		rule: "of a gateway it is what the gateway was asked",
		span: span(SERVER, { "meshscope.direction": "gateway" }, { name: "egress backend.demo" }),
		facts: { kind: SERVER, local: named("gateway", "frontend") },
	},
	{
		rule: "an edge Envoy that is told so is a gateway",
		span: span(SERVER, { "meshscope.direction": "gateway" }),
		facts: { local: named("gateway", "frontend") },
	},
	{
		rule: "an app's export through its sidecar makes no edge",
		span: span(CLIENT, { upstream_cluster: "outbound|4317||otel-collector.observability.svc.cluster.local" }),
		facts: { ignored: "export of telemetry" },
	},
	{
		rule: "an export by gRPC path makes no edge",
		span: span(CLIENT, { "grpc.path": "/opentelemetry.proto.collector.trace.v1.TraceService/Export" }),
		facts: { ignored: "export of telemetry" },
	},
	{
		rule: "Envoy's own call to a collector makes no edge",
		span: span(CLIENT, { upstream_cluster: "otlp_grpc" }, { name: "async otlp_grpc egress" }),
		facts: { ignored: "the proxy's own call" },
	},
	{
		rule: "Envoy's own call for authorisation is an edge",
		span: span(CLIENT, { upstream_cluster: "ext-authz" }, { name: "async ext-authz egress" }),
		facts: { ignored: undefined, peer: declared("ext-authz") },
	},
	{
		rule: "the same tags in spans that came by Zipkin",
		span: {
			kind: SERVER,
			resource: { "service.name": "backend" },
			attributes: { ...MAIN, ...DOWNSTREAM_MTLS, error: "true" },
			status: 2,
		},
		facts: { emitter: "envoy", proxy: true, peer: identified("frontend", "demo"), outcome: "ok" },
	},
];

for (const row of ROWS) test(row.rule, () => assert.deepEqual(statedFacts(row), row.facts));
