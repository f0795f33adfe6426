import assert from "node:assert/strict";
import { test } from "node:test";
import { EXTERNAL } from "../endpoint.ts";
import { type FactsRow, CLIENT, INTERNAL, SERVER, atAddress, atHost, named, statedFacts } from "./test-kit.ts";

const HTTP = { "http.method": "GET", "http.scheme": "http", "http.status_code": 200 };

const ROWS: readonly FactsRow[] = [
	{
		rule: "NGINX: one SERVER, a gateway, with its caller's address",
		span: {
			kind: SERVER,
			name: "/api",
			scope: "nginx",
			resource: { "service.name": "edge" },
			attributes: {
				...HTTP,
				"http.target": "/api?x=1",
				"net.host.name": "shop.example",
				"net.sock.peer.addr": "10.0.0.3",
				"net.sock.peer.port": 51234,
			},
		},
		facts: {
			emitter: "nginx",
			proxy: true,
			kind: SERVER,
			local: named("gateway", "edge"),
			peerAddress: "10.0.0.3",
			peer: atAddress("10.0.0.3"),
			protocol: "http",
			code: "200",
		},
	},
	{
		rule: "NGINX: a CLIENT upstream has the upstream's address and the newer names",
		span: {
			kind: CLIENT,
			scope: "nginx",
			resource: { "service.name": "edge" },
			attributes: {
				"server.address": "10.0.0.9",
				"server.port": "8080",
				"url.full": "http://app/api",
				"http.request.method": "GET",
				"http.response.status_code": 502,
			},
		},
		facts: { emitter: "nginx", peer: atAddress("10.0.0.9"), outcome: "server_error", code: "502" },
	},
	{
		rule: "Caddy: known by its web engine",
		span: {
			kind: SERVER,
			scope: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
			resource: { "service.name": "caddy", "webengine.name": "Caddy" },
			attributes: {
				"http.request.method": "GET",
				"http.response.status_code": 404,
				"network.peer.address": "198.51.100.7",
				"client.address": "10.9.9.9",
			},
		},
		facts: {
			emitter: "caddy",
			local: named("gateway", "caddy"),
			peer: { endpoint: EXTERNAL, from: "address" },
			outcome: "client_error",
		},
	},
	{
		rule: "an app with the same instrumentation is no Caddy",
		span: {
			kind: SERVER,
			scope: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
			resource: { "service.name": "app" },
		},
		facts: { emitter: "otel", proxy: false },
	},
	{
		rule: "Traefik: the entry point is a SERVER",
		span: {
			kind: SERVER,
			name: "GET",
			scope: "github.com/traefik/traefik",
			resource: { "service.name": "traefik" },
			attributes: {
				"http.request.method": "GET",
				"http.response.status_code": 200,
				"server.address": "shop.example",
				"network.peer.address": "10.0.0.2",
			},
		},
		facts: { emitter: "traefik", local: named("gateway", "traefik"), kind: SERVER, peer: atAddress("10.0.0.2") },
	},
	{
		rule: "Traefik: routers and services inside are walked through",
		span: { kind: INTERNAL, name: "Router", scope: "github.com/traefik/traefik", resource: { "service.name": "traefik" } },
		facts: { emitter: "traefik", kind: INTERNAL, peer: undefined, ignored: undefined },
	},
	{
		rule: "Traefik: the reverse proxy is a CLIENT",
		span: {
			kind: CLIENT,
			name: "ReverseProxy",
			scope: "github.com/traefik/traefik",
			resource: { "service.name": "traefik" },
			attributes: {
				"http.request.method": "GET",
				"http.response.status_code": 200,
				"url.full": "http://whoami:80/",
				"server.address": "whoami",
			},
		},
		facts: { kind: CLIENT, peer: atHost("whoami") },
	},
	{
		rule: "Kong: the root span is a SERVER; the forwarded address is not the peer's",
		span: {
			kind: SERVER,
			name: "kong",
			scope: "kong-internal",
			resource: { "service.name": "kong" },
			attributes: {
				...HTTP,
				"http.url": "http://shop/",
				"http.host": "shop",
				"http.client_ip": "192.0.2.1",
				"net.peer.ip": "10.0.0.4",
			},
		},
		facts: {
			emitter: "kong",
			proxy: true,
			local: named("gateway", "kong"),
			peerAddress: "10.0.0.4",
			peer: atAddress("10.0.0.4"),
		},
	},
	{
		rule: "Kong: a balancer's try is a CLIENT, the first is no retry",
		span: {
			kind: CLIENT,
			name: "kong.balancer",
			resource: { "service.name": "kong" },
			attributes: {
				try_count: 1,
				"net.peer.ip": "10.0.0.8",
				"net.peer.port": 80,
				"net.peer.name": "orders.shop.svc.cluster.local",
			},
		},
		facts: {
			emitter: "kong",
			kind: CLIENT,
			peer: atHost("orders", "shop"),
			peerAddress: "10.0.0.8",
			protocol: "http",
			outcome: "ok",
			retry: 0,
		},
	},
	{
		rule: "Kong: a try that failed without a code got no answer, the next one is a retry",
		span: {
			kind: CLIENT,
			name: "kong.balancer",
			status: 2,
			resource: { "service.name": "kong" },
			attributes: { try_count: 2, "net.peer.ip": "10.0.0.8" },
		},
		facts: { outcome: "no_response", retry: 1 },
	},
	{
		rule: "Kong: a look-up of a name makes no edge",
		span: { kind: CLIENT, name: "kong.dns", resource: { "service.name": "kong" }, attributes: { "net.peer.name": "orders" } },
		facts: { emitter: "kong", kind: INTERNAL, ignored: "look-up of a name" },
	},
	{
		rule: "Kong: what a plugin calls is an edge",
		span: {
			kind: CLIENT,
			name: "kong.internal.request",
			resource: { "service.name": "kong" },
			attributes: { ...HTTP, "http.url": "http://auth:8080/check" },
		},
		facts: { kind: CLIENT, ignored: undefined, peer: atHost("auth") },
	},
	{
		rule: "APISIX: known by its default name",
		span: {
			kind: SERVER,
			name: "GET /orders/*",
			resource: { "service.name": "APISIX" },
			attributes: { ...HTTP, "net.host.name": "shop" },
		},
		facts: { emitter: "apisix", local: named("gateway", "APISIX"), peer: undefined, code: "200" },
	},
	{
		rule: "APISIX: known by its routes under any other name",
		span: { kind: SERVER, resource: { "service.name": "edge" }, attributes: { ...HTTP, "apisix.route_id": "1" } },
		facts: { emitter: "apisix", local: named("gateway", "edge") },
	},
];

for (const row of ROWS) test(row.rule, () => assert.deepEqual(statedFacts(row), row.facts));
