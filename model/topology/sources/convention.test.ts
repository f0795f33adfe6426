import assert from "node:assert/strict";
import { test } from "node:test";
import { EXTERNAL, UNKNOWN, serviceEndpoint } from "../endpoint.ts";
import {
	type FactsRow,
	CLIENT,
	CONSUMER,
	INTERNAL,
	PRODUCER,
	SERVER,
	type Values,
	atAddress,
	atHost,
	declared,
	named,
	statedFacts,
} from "./test-kit.ts";

const RESOURCE = { "service.name": "cart" };
const stored = (kind: "database" | "messaging", service: string, host = "") =>
	({ endpoint: named(kind, service, "", host), from: "declared" }) as const;

function client(attributes: Values, more: { readonly status?: number; readonly resource?: Values } = {}) {
	return { kind: CLIENT, resource: RESOURCE, attributes, ...more };
}

const ROWS: readonly FactsRow[] = [
	{
		rule: "an app is named by its resource; Kubernetes' namespace comes before the service's own",
		span: {
			kind: SERVER,
			resource: {
				...RESOURCE,
				"service.namespace": "shop",
				"k8s.namespace.name": "prod",
				"k8s.deployment.name": "cart-v2",
				"k8s.cluster.name": "east",
				"k8s.pod.ip": "10.0.0.1",
			},
		},
		facts: {
			emitter: "otel",
			proxy: false,
			local: serviceEndpoint("cart", "prod", "cart-v2", "east"),
			localAddress: "10.0.0.1",
			outcome: "ok",
			code: "",
		},
	},
	{
		rule: "without Kubernetes the service's own namespace holds",
		span: { kind: SERVER, resource: { ...RESOURCE, "service.namespace": "shop" } },
		facts: { local: serviceEndpoint("cart", "shop") },
	},
	{ rule: "without a name the place is unknown", span: { kind: SERVER }, facts: { local: UNKNOWN } },
	{
		rule: "`unknown` as a name is none",
		span: { kind: SERVER, resource: { "service.name": "unknown" } },
		facts: { local: UNKNOWN },
	},
	{
		rule: "a span without a kind is walked through",
		span: { kind: 0, resource: RESOURCE },
		facts: { kind: INTERNAL, peer: undefined },
	},
	{ rule: "a kind that does not exist is walked through", span: { kind: 9, resource: RESOURCE }, facts: { kind: INTERNAL } },
	{
		rule: "HTTP, stable: the callee's host, code and retry",
		span: client({
			"http.request.method": "GET",
			"http.response.status_code": 503,
			"server.address": "orders",
			"url.full": "http://orders/x",
			"http.request.resend_count": 2,
		}),
		facts: { protocol: "http", outcome: "server_error", code: "503", peer: atHost("orders"), retry: 2 },
	},
	{
		rule: "HTTP, legacy: numeric strings are numbers, the URL gives the host",
		span: client({
			"http.method": "GET",
			"http.status_code": "404",
			"http.url": "http://user:secret@orders.shop.svc.cluster.local:8080/x?y#z",
		}),
		facts: { protocol: "http", outcome: "client_error", code: "404", peer: atHost("orders", "shop") },
	},
	{
		rule: "`service.peer.name` comes before the host, with its namespace",
		span: client({ "service.peer.name": "orders", "service.peer.namespace": "shop", "server.address": "10.0.0.2" }),
		facts: { peer: declared("orders", "shop") },
	},
	{
		rule: "`peer.service` still holds",
		span: client({ "peer.service": "bank", "server.address": "bank.example" }),
		facts: { peer: declared("bank") },
	},
	{
		rule: "a short name is a service in the caller's namespace",
		span: client({ "server.address": "orders" }, { resource: { ...RESOURCE, "k8s.namespace.name": "shop" } }),
		facts: { peer: atHost("orders", "shop") },
	},
	{
		rule: "`a.b` is a service where b is the caller's namespace",
		span: client({ "server.address": "orders.shop" }, { resource: { ...RESOURCE, "k8s.namespace.name": "shop" } }),
		facts: { peer: atHost("orders", "shop") },
	},
	{
		rule: "any other name with a dot is external",
		span: client({ "server.address": "api.example.com" }),
		facts: { peer: { endpoint: named("external", "api.example.com"), from: "address" } },
	},
	{
		rule: "a bare address is unknown, with the address as its name",
		span: client({ "server.address": "10.0.0.2" }),
		facts: { peer: atAddress("10.0.0.2") },
	},
	{
		rule: "the connection's address is a last resort",
		span: client({ "network.peer.address": "fd00::2" }),
		facts: { peer: atAddress("fd00::2"), peerAddress: "fd00::2" },
	},
	{
		rule: "one's own machine is nobody",
		span: client({ "server.address": "localhost", "network.peer.address": "127.0.0.1" }),
		facts: { peer: undefined, peerAddress: "" },
	},
	{
		rule: "IPv4 inside IPv6 is IPv4",
		span: client({ "network.peer.address": "::ffff:10.0.0.2" }),
		facts: { peerAddress: "10.0.0.2" },
	},
	{
		rule: "a client that failed without a code got no response",
		span: client({ "http.request.method": "GET", "error.type": "ECONNREFUSED" }, { status: 2 }),
		facts: { outcome: "no_response", code: "" },
	},
	{
		rule: "a server that failed without a code is at fault",
		span: { kind: SERVER, status: 2, resource: RESOURCE, attributes: { "http.request.method": "GET" } },
		facts: { outcome: "server_error" },
	},
	{
		rule: "a code decides over the span's status",
		span: client({ "http.request.method": "GET", "http.response.status_code": 404 }, { status: 2 }),
		facts: { outcome: "client_error" },
	},
	{
		rule: "a SERVER's direct peer comes before a forwarded one",
		span: {
			kind: SERVER,
			resource: RESOURCE,
			attributes: { "client.address": "203.0.113.1", "network.peer.address": "10.0.0.5" },
		},
		facts: { peer: atAddress("10.0.0.5"), peerAddress: "10.0.0.5" },
	},
	{
		rule: "a SERVER's Host header names nobody",
		span: {
			kind: SERVER,
			resource: RESOURCE,
			attributes: {
				"server.address": "forged.example",
				"http.host": "forged.example",
				"http.url": "http://forged.example/",
			},
		},
		facts: { peer: undefined },
	},
	{
		rule: "a SERVER's port is the client's passing one",
		span: { kind: SERVER, resource: RESOURCE, attributes: { "net.sock.peer.addr": "10.0.0.5:51234" } },
		facts: { peerAddress: "10.0.0.5" },
	},
	{
		rule: "a public caller is external",
		span: { kind: SERVER, resource: RESOURCE, attributes: { "network.peer.address": "2001:db8::1" } },
		facts: { peer: { endpoint: EXTERNAL, from: "address" }, peerAddress: "" },
	},
	{
		rule: "gRPC, legacy: a number",
		span: client({
			"rpc.system": "grpc",
			"rpc.service": "shop.Orders",
			"rpc.method": "Get",
			"rpc.grpc.status_code": 4,
			"net.peer.name": "orders",
		}),
		facts: { protocol: "grpc", outcome: "server_error", code: "grpc:4", peer: atHost("orders"), ignored: undefined },
	},
	{
		rule: "gRPC, stable: a name",
		span: client({ "rpc.system.name": "grpc", "rpc.response.status_code": "DEADLINE_EXCEEDED", "server.address": "orders" }),
		facts: { protocol: "grpc", outcome: "server_error", code: "grpc:4" },
	},
	{
		rule: "gRPC: a client's own mistake",
		span: {
			kind: SERVER,
			resource: RESOURCE,
			attributes: { "rpc.system.name": "grpc", "rpc.status_code": "InvalidArgument" },
		},
		facts: { outcome: "client_error", code: "grpc:3" },
	},
	{
		rule: "another RPC system's code is no gRPC code",
		span: client({ "rpc.system.name": "jsonrpc", "rpc.response.status_code": "14" }),
		facts: { protocol: "unknown", code: "", outcome: "ok" },
	},
	{
		rule: "a database is a node of its own, by system and name; the host is its workload",
		span: client({ "db.system.name": "postgresql", "db.namespace": "orders", "server.address": "pg-1" }),
		facts: { protocol: "database", peer: stored("database", "postgresql/orders", "pg-1") },
	},
	{
		rule: "a database, legacy names",
		span: client({ "db.system": "mysql", "db.name": "shop", "net.peer.name": "mysql", "peer.service": "shop-db" }),
		facts: { protocol: "database", peer: stored("database", "mysql/shop", "mysql") },
	},
	{
		rule: "a database without a name is told by its host",
		span: client({ "db.system": "redis", "server.address": "cache" }),
		facts: { peer: stored("database", "redis/cache", "cache") },
	},
	{
		rule: "a database's address names nothing",
		span: client({ "db.system": "redis", "server.address": "10.0.0.3" }),
		facts: { peer: stored("database", "redis") },
	},
	{
		rule: "a database's error is the server's",
		span: client({ "db.system": "redis" }, { status: 2 }),
		facts: { outcome: "server_error" },
	},
	{
		rule: "a producer sends to the destination",
		span: {
			kind: PRODUCER,
			resource: RESOURCE,
			attributes: { "messaging.system": "kafka", "messaging.destination.name": "orders" },
		},
		facts: { kind: PRODUCER, protocol: "messaging", peer: stored("messaging", "kafka/orders") },
	},
	{
		rule: "a consumer is called by the destination, legacy names",
		span: {
			kind: CONSUMER,
			resource: RESOURCE,
			attributes: { "messaging.system": "rabbitmq", "messaging.destination": "orders" },
		},
		facts: { kind: CONSUMER, peer: stored("messaging", "rabbitmq/orders") },
	},
	{
		rule: "a client that fetches messages consumes",
		span: client({
			"messaging.system": "kafka",
			"messaging.destination.name": "orders",
			"messaging.operation.type": "receive",
		}),
		facts: { kind: CONSUMER, protocol: "messaging" },
	},
	{
		rule: "a client that settles messages moves none",
		span: client({
			"messaging.system": "servicebus",
			"messaging.destination.name": "orders",
			"messaging.operation.type": "settle",
		}),
		facts: { kind: INTERNAL, peer: undefined },
	},
	{
		rule: "destinations that pass are one",
		span: {
			kind: PRODUCER,
			resource: RESOURCE,
			attributes: {
				"messaging.system": "rabbitmq",
				"messaging.destination.name": "amq.gen-x1",
				"messaging.destination.anonymous": true,
			},
		},
		facts: { peer: stored("messaging", "rabbitmq/(temporary)") },
	},
	{
		rule: "a template stands for the destinations made of it",
		span: {
			kind: PRODUCER,
			resource: RESOURCE,
			attributes: {
				"messaging.system": "nats",
				"messaging.destination.name": "user.7",
				"messaging.destination.template": "user.{id}",
			},
		},
		facts: { peer: stored("messaging", "nats/user.{id}") },
	},
	{
		rule: "a server that knows its client's certificate has mutual TLS",
		span: {
			kind: SERVER,
			resource: RESOURCE,
			attributes: {
				"tls.established": true,
				"tls.protocol.version": "1.3",
				"tls.cipher": "X",
				"tls.client.subject": "CN=a",
				"tls.client.issuer": "CN=ca",
				"tls.client.not_after": "2027-01-01T00:00:00.000Z",
			},
		},
		facts: {
			downstream: {
				status: "mutual_tls",
				peerPrincipal: "CN=a",
				version: "1.3",
				cipher: "X",
				verifiedBy: "server",
				peerIssuer: "CN=ca",
				peerNotAfterMs: Date.UTC(2027, 0, 1),
			},
		},
	},
	{
		rule: "a client without a certificate of its own has one-way TLS",
		span: client({ "tls.protocol.version": "1.2", "tls.server.subject": "CN=b" }),
		facts: { upstream: { status: "tls", peerPrincipal: "CN=b", version: "1.2", verifiedBy: "client" } },
	},
	{
		rule: "a handshake that failed is told as such",
		span: client({ "tls.established": false, "error.type": "CERT_HAS_EXPIRED" }),
		facts: { upstream: { status: "unknown", failure: "CERT_HAS_EXPIRED" } },
	},
	{
		rule: "an app that says nothing of TLS is unknown, never plaintext",
		span: client({ "server.address": "orders" }),
		facts: { upstream: { status: "unknown" } },
	},
	{
		rule: "from Zipkin: the remote endpoint is the callee of a CLIENT",
		span: client({
			"http.method": "GET",
			"http.path": "/x",
			"service.peer.name": "orders",
			"network.peer.address": "10.0.0.2",
			"network.peer.port": 8080,
			"network.local.address": "10.0.0.1",
		}),
		facts: {
			emitter: "otel",
			peer: declared("orders"),
			peerAddress: "10.0.0.2",
			localAddress: "10.0.0.1",
			outcome: "ok",
			code: "",
		},
	},
	{
		rule: "from Zipkin: the remote endpoint is the caller of a SERVER, its code there only for errors",
		span: {
			kind: SERVER,
			status: 2,
			resource: RESOURCE,
			attributes: { "http.method": "GET", "http.status_code": "500", error: "500", "service.peer.name": "web" },
		},
		facts: { peer: declared("web"), outcome: "server_error", code: "500" },
	},
	{
		rule: "an export by OTLP over HTTP makes no edge",
		span: client({ "http.request.method": "POST", "url.full": "http://collector:4318/v1/traces" }),
		facts: { ignored: "export of telemetry" },
	},
	{
		rule: "an export by OTLP over gRPC makes no edge",
		span: client({
			"rpc.system": "grpc",
			"rpc.service": "opentelemetry.proto.collector.metrics.v1.MetricsService",
			"rpc.method": "Export",
		}),
		facts: { ignored: "export of telemetry" },
	},
	{
		rule: "a path that only ends alike is no export",
		span: client({ "http.request.method": "POST", "url.full": "http://vendor/api/v1/traces" }),
		facts: { ignored: undefined },
	},
];

for (const row of ROWS) test(row.rule, () => assert.deepEqual(statedFacts(row), row.facts));
