/** Workloads behind node proxies: every call goes through a tunnel, as the workload that makes it, and is treated as any other. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2Server, connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { Pool } from "undici";
import type { ClusterConfig, InboundConfig } from "../../model/mesh/proxy-config.ts";
import { createHboneClient } from "../../proxy-shim/hbone/client.ts";
import type { HboneClient } from "../../proxy-shim/hbone/client.ts";
import { startNodeListener } from "../../proxy-shim/hbone/node.ts";
import type { NodeListener } from "../../proxy-shim/hbone/node.ts";
import type { Proxy } from "../../proxy-shim/proxy.ts";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import type { MemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { ANY, config, endpointAt, inboundConfig, proxyFor, recordingSink, routed, startApp, until, workload } from "./rig.ts";
import type { Cleanup, RecordingSink } from "./rig.ts";

const authority = makeAuthority("mesh root");
const principalOf = (name: string): string => `spiffe://cluster.local/ns/shop/sa/${name}`;
const STRICT: InboundConfig["mtls"] = { mode: "strict", byPort: new Map(), policy: "shop/default" };

interface Mesh {
	readonly sink: RecordingSink;
	readonly node: NodeListener;
	readonly nodeAddress: string;
	readonly tunnels: HboneClient;
	readonly web: MemoryIdentity;
	readonly orders: MemoryIdentity;
	readonly callee: Proxy;
	readonly outbound: { readonly host: string; readonly port: number };
}

interface MeshOptions {
	readonly protocol?: "http" | "http2" | "grpc" | "tcp";
	readonly cluster?: Partial<ClusterConfig>;
	readonly authorization?: InboundConfig["authorization"];
	readonly viaUpstream?: boolean;
}

/** web → its proxy → tunnel → node of orders → inbound of orders → app. */
async function mesh(t: Cleanup, app: { readonly host: string; readonly port: number }, options: MeshOptions = {}): Promise<Mesh> {
	const sink = recordingSink();
	const web = createMemoryIdentity(makeIdentity(authority, "web"));
	const orders = createMemoryIdentity(makeIdentity(authority, "orders"));
	const callee = await proxyFor(
		t,
		{ workload: workload("orders"), inbound: [{ listen: ANY, app, servicePort: 80, protocol: options.protocol ?? "http" }] },
		config({
			inbound: inboundConfig({
				mtls: STRICT,
				...(options.authorization === undefined ? {} : { authorization: options.authorization }),
			}),
		}),
		sink,
		{ identity: orders },
	);
	const bound = callee.addresses.inbound[0]!;
	const node = await startNodeListener(ANY, { events: sink, nowMs: Date.now });
	t.after(() => node.close());
	node.add({
		principal: principalOf("orders"),
		identity: orders,
		ports: [{ host: "10.1.2.3", port: bound.port, accept: (socket, tls) => callee.acceptTunnel(0, socket, tls) }],
	});
	node.add({
		principal: principalOf("payments"),
		identity: createMemoryIdentity(makeIdentity(authority, "payments")),
		ports: [],
	});
	const nodeAddress = `127.0.0.1:${node.address.port}`;
	const tunnels = createHboneClient({ source: web, nowMs: Date.now, events: sink });
	t.after(() => tunnels.close());
	// The address leads nowhere: only the node knows it.
	const endpoint = endpointAt(
		{ host: "10.1.2.3", port: bound.port },
		{ principal: principalOf("orders"), hboneAddress: nodeAddress },
	);
	const target = routed("orders", [endpoint], options.cluster === undefined ? {} : { cluster: options.cluster });
	const upstreams = options.viaUpstream === true ? [{ listen: ANY, host: target.clusters[0]!.host, port: 80 }] : [];
	const caller = await proxyFor(
		t,
		{ workload: workload("web"), outbound: upstreams.length > 0 ? undefined : ANY, upstreams },
		config({ routes: [target] }),
		sink,
		{ identity: web, tunnels },
	);
	const outbound = caller.addresses.outbound ?? caller.addresses.upstreams[0]!;
	return { sink, node, nodeAddress, tunnels, web, orders, callee, outbound };
}

test("a request goes through the tunnel and is a hop with both workloads' identities, seen alike from both ends", async (t) => {
	const app = await startApp(t, (message, response) => {
		response.setHeader("x-client-cert", message.headers["x-forwarded-client-cert"] ?? "none");
		message.pipe(response);
	});
	const { sink, outbound, tunnels } = await mesh(t, app);
	const pool = new Pool(`http://127.0.0.1:${outbound.port}`, { connections: 4 });
	t.after(() => pool.destroy());
	await Promise.all(
		Array.from({ length: 40 }, async (_, i) => {
			const body = `hello ${i} `.repeat(1_000);
			const response = await pool.request({ method: "POST", path: `/${i}`, headers: { host: "orders" }, body });
			assert.equal(response.statusCode, 200);
			assert.match(String(response.headers["x-client-cert"]), new RegExp(`URI=${principalOf("web")}$`));
			assert.equal(await response.body.text(), body);
		}),
	);
	for (const direction of ["inbound", "outbound"] as const) {
		for (const hop of await sink.hops(direction, 40)) {
			assert.equal(hop.tls.status, "mutual_tls");
			assert.equal(hop.tls.clientPrincipal, principalOf("web"));
			assert.equal(hop.tls.serverPrincipal, principalOf("orders"));
			assert.equal(hop.tls.noTlsReason, "");
		}
	}
	assert.equal(tunnels.stats().connections, 1);
});

test("the destination's policy holds for what comes through a tunnel", async (t) => {
	const app = await startApp(t, (_message, response) => response.end("never"));
	const only = {
		policy: "shop/admins",
		from: [
			{
				principals: ["cluster.local/ns/shop/sa/admin"],
				notPrincipals: [],
				namespaces: [],
				notNamespaces: [],
				ipBlocks: [],
				notIpBlocks: [],
			},
		],
		to: [],
		when: [],
	};
	const { outbound } = await mesh(t, app, { authorization: { deny: [], allow: [only], audit: [], hasAllowPolicy: true } });
	const pool = new Pool(`http://127.0.0.1:${outbound.port}`);
	t.after(() => pool.destroy());
	const answer = await pool.request({ method: "GET", path: "/", headers: { host: "orders" } });
	await answer.body.dump();
	assert.equal(answer.statusCode, 403);
});

test("HTTP/2 and its trailers go through a tunnel", async (t) => {
	const http2 = createHttp2Server();
	http2.on("stream", (stream) => {
		stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
		stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
		stream.pipe(stream);
	});
	http2.listen(0, "127.0.0.1");
	await once(http2, "listening");
	t.after(() => http2.close());
	const app = { host: "127.0.0.1", port: (http2.address() as AddressInfo).port };
	const { outbound, sink } = await mesh(t, app, { protocol: "grpc", cluster: { protocol: "http2" } });
	const session = connectHttp2(`http://127.0.0.1:${outbound.port}`);
	t.after(() => session.destroy());
	const stream = session.request({
		":method": "POST",
		":path": "/a.B/C",
		":authority": "orders",
		"content-type": "application/grpc",
		te: "trailers",
	});
	const trailers = once(stream, "trailers");
	stream.end(Buffer.from([0, 0, 0, 0, 2, 1, 2]));
	const chunks: Buffer[] = [];
	for await (const chunk of stream) chunks.push(chunk as Buffer);
	assert.deepEqual([...Buffer.concat(chunks)], [0, 0, 0, 0, 2, 1, 2]);
	assert.equal(((await trailers) as [Record<string, string>])[0]["grpc-status"], "0");
	const [hop] = await sink.hops("inbound", 1);
	assert.deepEqual([hop!.tls.status, hop!.grpcStatus, hop!.protocolVersion], ["mutual_tls", 0, "2"]);
});

test("bytes of TCP go through a tunnel, the server may speak first, and each side ends by itself", async (t) => {
	const tcp = createServer({ allowHalfOpen: true }, (socket) => {
		socket.write("220 ready ");
		let asked = "";
		socket.on("data", (chunk: Buffer) => (asked += chunk.toString()));
		socket.on("end", () => socket.end(`you said ${asked}`));
		socket.on("error", () => undefined);
	}).listen(0, "127.0.0.1");
	await once(tcp, "listening");
	t.after(() => tcp.close());
	const app = { host: "127.0.0.1", port: (tcp.address() as AddressInfo).port };
	const { outbound, sink } = await mesh(t, app, { protocol: "tcp", cluster: { protocol: "tcp" }, viaUpstream: true });
	const socket = connect({ host: "127.0.0.1", port: outbound.port, allowHalfOpen: true });
	t.after(() => socket.destroy());
	let text = "";
	const [greeting] = (await once(socket, "data")) as [Buffer];
	text += greeting.toString();
	socket.end("hello");
	for await (const chunk of socket) text += String(chunk);
	assert.equal(text, "220 ready you said hello");
	const hops = await sink.tcpCount(2);
	assert.ok(hops.every((hop) => hop.tls.status === "mutual_tls" && hop.tls.clientPrincipal === principalOf("web")));
});

test("certificates change under load through a tunnel, and no request fails", async (t) => {
	const app = await startApp(t, (message, response) => message.pipe(response));
	const { outbound, web, orders, tunnels } = await mesh(t, app);
	const pool = new Pool(`http://127.0.0.1:${outbound.port}`, { connections: 8 });
	t.after(() => pool.destroy());
	let running = true;
	let done = 0;
	const failures: unknown[] = [];
	const workers = Array.from({ length: 8 }, async () => {
		while (running) {
			await pool.request({ method: "GET", path: "/", headers: { host: "orders" } }).then(
				async (response) => {
					await response.body.dump();
					done++;
					if (response.statusCode !== 200) failures.push(response.statusCode);
				},
				(error: unknown) => failures.push(error),
			);
		}
	});
	for (let i = 0; i < 6; i++) {
		const target = done + 16;
		await until(() => (done >= target ? done : undefined), "requests", 30_000);
		(i % 2 === 0 ? web : orders).set(makeIdentity(authority, i % 2 === 0 ? "web" : "orders"));
	}
	running = false;
	await Promise.all(workers);
	assert.deepEqual(failures, []);
	assert.ok(tunnels.stats().connections >= 1);
});

test("a node that is gone is a host that cannot be reached: 503, with what hindered", async (t) => {
	const app = await startApp(t, (_message, response) => response.end("x"));
	const { outbound, node, sink } = await mesh(t, app);
	node.close();
	const pool = new Pool(`http://127.0.0.1:${outbound.port}`);
	t.after(() => pool.destroy());
	const answer = await pool.request({ method: "GET", path: "/", headers: { host: "orders" } });
	await answer.body.dump();
	assert.equal(answer.statusCode, 503);
	const [hop] = await sink.hops("outbound", 1);
	assert.match(hop!.responseFlags, /UF/);
});

test("who asks a node for nobody by name is answered by its first workload, and gets no other", async (t) => {
	const app = await startApp(t, (_message, response) => response.end("x"));
	const { node } = await mesh(t, app);
	const own = makeIdentity(authority, "web");
	const socket = connectTls({
		host: "127.0.0.1",
		port: node.address.port,
		cert: own.chainPem,
		key: own.keyPem,
		rejectUnauthorized: false,
		ALPNProtocols: ["h2"],
	});
	t.after(() => socket.destroy());
	await once(socket, "secureConnect");
	assert.equal(socket.getPeerX509Certificate()?.subjectAltName, `URI:${principalOf("orders")}`);
});
