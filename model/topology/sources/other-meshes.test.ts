import assert from "node:assert/strict";
import { test } from "node:test";
import { UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import {
	type FactsRow,
	CLIENT,
	INTERNAL,
	SERVER,
	type SpanSketch,
	type Values,
	atAddress,
	atHost,
	declared,
	identified,
	named,
	statedFacts,
} from "./test-kit.ts";

const LINKERD = { "service.name": "linkerd-proxy", "linkerd.io/proxy-deployment": "web", "linkerd.io/workload-ns": "emojivoto" };

function linkerd(kind: number, direction: string, attributes: Values = {}, resource: Values = LINKERD): SpanSketch {
	return {
		kind,
		name: "/api/vote",
		resource,
		attributes: {
			direction,
			"http.request.method": "GET",
			"server.address": "voting-svc.emojivoto.svc.cluster.local",
			"server.port": "8080",
			"url.path": "/api/vote",
			"http.response.status_code": "200",
			...attributes,
		},
	};
}

const WEB = serviceEndpoint("web", "emojivoto", "web");

const ROWS: readonly FactsRow[] = [
	{
		rule: "Linkerd: the outbound CLIENT is the caller's half; the pod's labels name the service that `linkerd-proxy` does not",
		span: linkerd(CLIENT, "outbound"),
		facts: {
			emitter: "linkerd",
			proxy: true,
			kind: CLIENT,
			local: WEB,
			peer: votingHost(),
			protocol: "http",
			outcome: "ok",
			code: "200",
		},
	},
	{
		rule: "Linkerd: the inbound SERVER is the callee's half",
		span: linkerd(SERVER, "inbound"),
		facts: { kind: SERVER, local: WEB, peer: undefined },
	},
	{
		rule: "Linkerd: between an app and its own outbound proxy there is no call",
		span: linkerd(SERVER, "outbound"),
		facts: { kind: INTERNAL, proxy: true, peer: undefined },
	},
	{
		rule: "Linkerd: between an inbound proxy and its own app there is no call",
		span: linkerd(CLIENT, "inbound"),
		facts: { kind: INTERNAL, proxy: true, peer: undefined },
	},
	{
		rule: "Linkerd: status is always unset, so an answer without a code is none",
		span: linkerd(CLIENT, "outbound", { "http.response.status_code": "" }),
		facts: { outcome: "no_response", code: "" },
	},
	{
		rule: "Linkerd: a 5xx is an error though the status is unset",
		span: linkerd(CLIENT, "outbound", { "http.response.status_code": "503" }),
		facts: { outcome: "server_error", code: "503" },
	},
	{
		rule: "Linkerd: no identity is in its spans, so mTLS is unknown",
		span: linkerd(SERVER, "inbound"),
		facts: { downstream: { status: "unknown", verifiedBy: "" }, upstream: { status: "unknown", verifiedBy: "" } },
	},
	{
		rule: "Linkerd: a name of one's own holds before the deployment's",
		span: linkerd(SERVER, "inbound", {}, { ...LINKERD, "service.name": "web-frontend" }),
		facts: { emitter: "linkerd", local: serviceEndpoint("web-frontend", "emojivoto", "web") },
	},
	{
		rule: "Linkerd: without labels the default name is all there is",
		span: linkerd(SERVER, "inbound", {}, { "service.name": "linkerd-proxy" }),
		facts: { local: serviceEndpoint("linkerd-proxy") },
	},
	{
		rule: "an app in a meshed pod is no proxy, whatever labels it bears",
		span: { kind: SERVER, resource: { ...LINKERD, "service.name": "web" }, attributes: { "http.request.method": "GET" } },
		facts: { emitter: "otel", proxy: false },
	},
	{
		rule: "Kuma: the service tag holds name and namespace, the zone is the cluster",
		span: {
			kind: CLIENT,
			scope: "envoy",
			resource: {
				"service.name": "backend_kuma-demo_svc_3001",
				"kuma.mesh": "default",
				"kuma.zone": "east",
				"kuma.workload": "backend-v2",
			},
			attributes: {
				component: "proxy",
				upstream_cluster: "default_redis_kuma-demo_east_msvc_6379",
				"http.status_code": "200",
			},
		},
		facts: {
			emitter: "kuma",
			local: serviceEndpoint("backend", "kuma-demo", "backend-v2", "east"),
			peer: { endpoint: serviceEndpoint("redis", "kuma-demo", "", "east"), from: "declared" },
		},
	},
	{
		rule: "Kuma: older versions are known by the form of their names",
		span: {
			kind: SERVER,
			resource: { "service.name": "web_shop_svc_80" },
			attributes: {
				component: "proxy",
				upstream_cluster: "localhost:8080",
				"http.status_code": "200",
				"peer.address": "10.0.0.4",
			},
		},
		facts: { emitter: "kuma", local: serviceEndpoint("web", "shop"), peer: atAddress("10.0.0.4") },
	},
	{
		rule: "Kuma: SPIFFE ids of the form mesh/service name the caller",
		span: {
			kind: SERVER,
			resource: { "service.name": "backend", "kuma.mesh": "default" },
			attributes: {
				component: "proxy",
				"meshscope.tls.reported": "1",
				"meshscope.downstream.tls.version": "TLSv1.3",
				"meshscope.downstream.peer.uri_san": "kuma://version/v1,spiffe://default/web_shop_svc_80",
			},
		},
		facts: {
			emitter: "kuma",
			peer: identified("web", "shop"),
			downstream: { status: "mutual_tls", peerPrincipal: "spiffe://default/web_shop_svc_80" },
		},
	},
	{
		rule: "Consul: the cluster's name tells service and namespace; its `default` is none",
		span: {
			kind: CLIENT,
			scope: "envoy",
			resource: { "service.name": "web" },
			attributes: {
				component: "proxy",
				upstream_cluster: "v2.billing.default.dc1.internal.e5b08d03-bfc3-c870-1833-baddb116e648.consul",
				"http.status_code": "200",
			},
		},
		facts: { emitter: "consul", local: serviceEndpoint("web"), peer: declared("billing") },
	},
	{
		rule: "Consul: the proxy's own identity names its service",
		span: {
			kind: SERVER,
			scope: "envoy",
			resource: { "service.name": "envoy" },
			attributes: {
				component: "proxy",
				upstream_cluster: "local_app",
				"meshscope.tls.reported": "1",
				"meshscope.downstream.tls.version": "TLSv1.3",
				"meshscope.downstream.peer.uri_san": "spiffe://e5b0.consul/ns/default/dc/dc1/svc/web",
				"meshscope.downstream.local.uri_san": "spiffe://e5b0.consul/ns/team/dc/dc1/svc/billing",
			},
		},
		facts: { emitter: "consul", local: serviceEndpoint("billing", "team"), peer: identified("web") },
	},
	{
		rule: "Dapr: an app id is a service, in the caller's namespace",
		span: {
			kind: CLIENT,
			name: "CallLocal/checkout/pay",
			scope: "dapr-diagnostics",
			resource: { "service.name": "cart", "k8s.namespace.name": "shop" },
			attributes: {
				"dapr.api": "/dapr.proto.runtime.v1.Dapr/InvokeService",
				"dapr.protocol": "grpc",
				"rpc.service": "ServiceInvocation",
				"net.peer.name": "checkout",
			},
		},
		facts: {
			emitter: "dapr",
			proxy: true,
			kind: CLIENT,
			local: serviceEndpoint("cart", "shop"),
			peer: declared("checkout", "shop"),
			protocol: "grpc",
			outcome: "ok",
		},
	},
	{
		rule: "Dapr: an app id may name its namespace",
		span: {
			kind: CLIENT,
			resource: { "service.name": "cart" },
			attributes: { "dapr.api": "GET /v1.0/invoke", "net.peer.name": "checkout.payments" },
		},
		facts: { peer: declared("checkout", "payments") },
	},
	{
		rule: "Dapr: a state store is a database, a topic is messaging",
		span: {
			kind: CLIENT,
			resource: { "service.name": "cart" },
			attributes: { "dapr.api": "GET /v1.0/state/statestore", "db.system": "state", "db.name": "statestore" },
		},
		facts: { protocol: "database", peer: { endpoint: named("database", "state/statestore"), from: "declared" } },
	},
	{
		rule: "Dapr: a topic is messaging",
		span: {
			kind: CLIENT,
			resource: { "service.name": "cart" },
			attributes: {
				"dapr.api": "POST /v1.0/publish",
				"messaging.system": "pubsub",
				"messaging.destination.name": "orders",
			},
		},
		facts: { protocol: "messaging", peer: { endpoint: named("messaging", "pubsub/orders"), from: "declared" } },
	},
	{
		rule: "Dapr: a call to another machine by address",
		span: {
			kind: CLIENT,
			resource: { "service.name": "cart" },
			attributes: { "dapr.api": "x", "server.address": "10.0.0.8" },
		},
		facts: { peer: atAddress("10.0.0.8") },
	},
	{
		rule: "the shim's inbound SERVER: source is the peer, verified by the server",
		span: {
			kind: SERVER,
			resource: { "service.name": "backend", "service.namespace": "demo" },
			attributes: { ...shimTags(), "meshscope.direction": "inbound", "tls.client.not_after": "2027-01-01T00:00:00Z" },
		},
		facts: {
			emitter: "shim",
			proxy: true,
			local: serviceEndpoint("backend", "demo"),
			peer: identified("frontend", "demo"),
			downstream: {
				status: "mutual_tls",
				peerPrincipal: "spiffe://demo.local/ns/demo/sa/frontend",
				localPrincipal: "spiffe://demo.local/ns/demo/sa/backend",
				version: "1.3",
				cipher: "TLS_AES_128_GCM_SHA256",
				verifiedBy: "server",
				peerNotAfterMs: Date.UTC(2027, 0, 1),
			},
			upstream: { status: "unknown" },
		},
	},
	{
		rule: "the shim's outbound CLIENT: destination is the peer, verified by the client",
		span: {
			kind: CLIENT,
			resource: { "service.name": "frontend" },
			attributes: {
				...shimTags(),
				"meshscope.direction": "outbound",
				"service.peer.name": "backend",
				"tls.server.not_after": "2027-02-01T00:00:00Z",
			},
		},
		facts: {
			peer: declared("backend"),
			upstream: {
				status: "mutual_tls",
				peerPrincipal: "spiffe://demo.local/ns/demo/sa/backend",
				verifiedBy: "client",
				peerNotAfterMs: Date.UTC(2027, 1, 1),
			},
			downstream: { status: "unknown" },
		},
	},
	{
		rule: "what the shim did not verify it does not vouch for",
		span: {
			kind: SERVER,
			resource: { "service.name": "backend" },
			attributes: { ...shimTags(), "meshscope.peer.verified": false },
		},
		facts: { downstream: { status: "mutual_tls", verifiedBy: "" }, peer: undefined },
	},
	{
		rule: "the shim's plaintext is what the server saw",
		span: {
			kind: SERVER,
			resource: { "service.name": "backend" },
			attributes: { "meshscope.mtls.status": "plaintext", "network.peer.address": "10.0.0.2" },
		},
		facts: { downstream: { status: "plaintext", verifiedBy: "server", version: "" }, peer: atAddress("10.0.0.2") },
	},
	{
		rule: "a status that the shim does not have is unknown",
		span: { kind: SERVER, attributes: { "meshscope.mtls.status": "very_secure" } },
		facts: { emitter: "shim", local: UNKNOWN, downstream: { status: "unknown", verifiedBy: "" } },
	},
];

for (const row of ROWS) test(row.rule, () => assert.deepEqual(statedFacts(row), row.facts));

function votingHost(): ReturnType<typeof atHost> {
	return atHost("voting-svc", "emojivoto");
}

function shimTags(): Values {
	return {
		"http.request.method": "GET",
		"http.response.status_code": 200,
		"tls.established": true,
		"tls.protocol.version": "1.3",
		"tls.cipher": "TLS_AES_128_GCM_SHA256",
		"meshscope.mtls.status": "mutual_tls",
		"meshscope.source.principal": "spiffe://demo.local/ns/demo/sa/frontend",
		"meshscope.destination.principal": "spiffe://demo.local/ns/demo/sa/backend",
		"meshscope.peer.verified": true,
	};
}
