/** A real Envoy at the other end, both ways: each validates the other's SPIFFE ID by its own rules. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Pool } from "undici";
import { createHboneClient } from "../../proxy-shim/hbone/client.ts";
import { startNodeListener } from "../../proxy-shim/hbone/node.ts";
import { peerTls } from "../../proxy-shim/tls/hop-tls.ts";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { freePorts } from "../interop/envoy/run.ts";
import { skipUnless } from "../interop/fetch/cache.ts";
import { fetchEnvoy } from "../interop/fetch/python.ts";
import { startEnvoyPeer } from "./envoy-peer.ts";
import type { EnvoyPeerOptions } from "./envoy-peer.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { ANY, config, endpointAt, inboundConfig, proxyFor, recordingSink, routed, startApp, until, workload } from "./rig.ts";
import type { RecordingSink } from "./rig.ts";

const ORDERS = "spiffe://cluster.local/ns/shop/sa/orders";
const ENVOY = "spiffe://cluster.local/ns/shop/sa/envoy";
const skip = await skipUnless(fetchEnvoy);
const authority = makeAuthority("mesh root");
const stranger = makeAuthority("another root");

const cleanups: (() => unknown)[] = [];
const scope = { after: (end: () => unknown): void => void cleanups.push(end) };
let sink: RecordingSink;
let ports: EnvoyPeerOptions["ports"];
let outbound: { readonly host: string; readonly port: number };
let app: { readonly host: string; readonly port: number };

before(async () => {
	if (skip !== false) return;
	const folder = await mkdtemp(path.join(tmpdir(), "meshscope-envoy-peer-"));
	scope.after(() => rm(folder, { recursive: true }));
	sink = recordingSink();
	app = await startApp(scope, (message, response) => {
		response.setHeader("x-client-cert", message.headers["x-forwarded-client-cert"] ?? "none");
		message.pipe(response);
	});
	const [toShim1, toShim2, impostor, inbound, tunnelOut, tunnelIn] = (await freePorts(6)) as [
		number,
		number,
		number,
		number,
		number,
		number,
	];
	ports = { toShim1, toShim2, impostor, inbound, tunnelOut, tunnelIn };
	const identity = createMemoryIdentity(makeIdentity(authority, "orders"));
	// The shim as it stands beside "orders": strict inbound, and outbound to "cart", which Envoy stands beside.
	const cart = routed("cart", [endpointAt({ host: "127.0.0.1", port: inbound }, { principal: ENVOY })]);
	const wrong = routed("wrong", [endpointAt({ host: "127.0.0.1", port: inbound }, { principal: ORDERS })]);
	const proxy = await proxyFor(
		scope,
		{ workload: workload("orders"), inbound: [{ listen: ANY, app, servicePort: 80, protocol: "http" }], outbound: ANY },
		config({
			inbound: inboundConfig({ mtls: { mode: "strict", byPort: new Map(), policy: "shop/default" } }),
			routes: [cart, wrong],
		}),
		sink,
		{ identity },
	);
	outbound = proxy.addresses.outbound!;
	const bound = proxy.addresses.inbound[0]!;
	const node = await startNodeListener(ANY, { events: sink, nowMs: Date.now });
	scope.after(() => node.close());
	node.add({
		principal: ORDERS,
		identity,
		ports: [{ host: "10.1.2.3", port: 8080, accept: (socket, tls) => proxy.acceptTunnel(0, socket, tls) }],
	});
	const envoy = await startEnvoyPeer(await fetchEnvoy(), path.join(folder, "envoy"), {
		identity: makeIdentity(authority, "envoy", {}, [authority, stranger]),
		shim: { host: "127.0.0.1", port: bound.port, principal: ORDERS },
		app,
		hbone: { host: "127.0.0.1", port: node.address.port, target: "10.1.2.3:8080" },
		ports,
	});
	scope.after(() => envoy.stop());
});

after(async () => {
	for (const cleanup of cleanups.toReversed()) await cleanup();
});

async function post(port: number, host: string): Promise<{ status: number; clientCert: string; body: string }> {
	const pool = new Pool(`http://127.0.0.1:${port}`);
	try {
		const response = await pool.request({ method: "POST", path: "/echo", headers: { host }, body: "hello" });
		return {
			status: response.statusCode,
			clientCert: String(response.headers["x-client-cert"]),
			body: await response.body.text(),
		};
	} finally {
		await pool.close();
	}
}

for (const protocol of ["HTTP/1.1", "HTTP/2"] as const) {
	test(`Envoy calls the shim over mTLS and ${protocol}, and each knows the other`, { skip }, async () => {
		const seen = sink.httpHops.length;
		const { status, clientCert, body } = await post(protocol === "HTTP/2" ? ports.toShim2 : ports.toShim1, "orders");
		assert.deepEqual([status, body], [200, "hello"]);
		assert.match(clientCert, new RegExp(`^By=${ORDERS};.*URI=${ENVOY}$`), "what the shim tells its app");
		const hop = await until(() => sink.httpHops.slice(seen).find(({ direction }) => direction === "inbound"), "the hop");
		const { tls, protocolVersion } = hop;
		assert.equal(protocolVersion, protocol.slice("HTTP/".length));
		assert.deepEqual(
			[tls.status, tls.version, tls.clientPrincipal, tls.serverPrincipal, tls.serverName, tls.peerVerified],
			["mutual_tls", "1.3", ENVOY, ORDERS, "outbound_.80_._.orders.shop.svc.cluster.local", true],
		);
	});
}

test("Envoy refuses a shim that is not whom it expects", { skip }, async () => {
	const before_ = sink.httpHops.length;
	const { status } = await post(ports.impostor, "orders");
	assert.equal(status, 503);
	assert.equal(sink.httpHops.length, before_);
	await until(
		() => sink.events.find((event) => event.kind === "handshake_failed" && event.reason === "own_certificate_refused"),
		"the shim heard why",
	);
});

test("the shim calls Envoy over mTLS, and Envoy's app is told who calls", { skip }, async () => {
	const { status, clientCert, body } = await post(outbound.port, "cart");
	assert.deepEqual([status, body], [200, "hello"]);
	assert.match(clientCert, new RegExp(`URI=${ORDERS}`), "what Envoy tells its app");
	const hop = await until(
		() => sink.httpHops.find(({ direction, authority: host }) => direction === "outbound" && host === "cart"),
		"the hop",
	);
	assert.deepEqual([hop.tls.status, hop.tls.clientPrincipal, hop.tls.serverPrincipal], ["mutual_tls", ORDERS, ENVOY]);
});

test("the shim sends nothing to an Envoy that is not whom it expects", { skip }, async () => {
	const { status } = await post(outbound.port, "wrong");
	assert.equal(status, 503);
	await until(
		() => sink.events.find((event) => event.kind === "handshake_failed" && event.reason === "wrong_identity"),
		"the reason is told",
	);
});

test("Envoy's tunnel leads through the node listener to the workload, as Envoy", { skip }, async () => {
	const seen = sink.httpHops.length;
	const { status, clientCert, body } = await post(ports.tunnelOut, "orders");
	assert.deepEqual([status, body], [200, "hello"]);
	assert.match(clientCert, new RegExp(`URI=${ENVOY}$`));
	const hop = await until(() => sink.httpHops.slice(seen).find(({ direction }) => direction === "inbound"), "the hop");
	assert.deepEqual([hop.tls.status, hop.tls.clientPrincipal], ["mutual_tls", ENVOY]);
});

test("a tunnel of the shim's ends at Envoy, and carries bytes and half-close", { skip }, async () => {
	const client = createHboneClient({
		source: createMemoryIdentity(makeIdentity(authority, "orders")),
		nowMs: Date.now,
		events: sink,
	});
	scope.after(() => client.close());
	const request = { hboneAddress: `127.0.0.1:${ports.tunnelIn}`, address: app.host, port: app.port, principal: ENVOY };
	const socket = await new Promise<Socket>((resolve, reject) => {
		client.connect(request, 5_000, (error, stream) =>
			stream === undefined ? reject(error ?? new Error("none")) : resolve(stream),
		);
	});
	assert.equal(peerTls(socket, "client").serverPrincipal, ENVOY);
	socket.write("POST /t HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi");
	let text = "";
	for await (const chunk of socket) text += String(chunk);
	assert.match(text, /^HTTP\/1\.1 200 OK[\s\S]*hi/);
});

test("Envoy lets nobody of another authority in, and the shim is told", { skip }, async () => {
	const client = createHboneClient({
		source: createMemoryIdentity(makeIdentity(makeAuthority("unknown"), "orders", {}, [authority])),
		nowMs: Date.now,
		events: sink,
	});
	scope.after(() => client.close());
	const request = { hboneAddress: `127.0.0.1:${ports.tunnelIn}`, address: app.host, port: app.port, principal: ENVOY };
	await assert.rejects(
		new Promise((resolve, reject) => {
			client.connect(request, 5_000, (error, stream) =>
				stream === undefined ? reject(error ?? new Error("none")) : resolve(stream),
			);
		}),
		/closed the connection/,
	);
	assert.equal(
		sink.events.filter((event) => event.kind === "handshake_failed" && event.peerAddress === request.hboneAddress).length,
		1,
	);
});
