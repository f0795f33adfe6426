/** Raw TCP through both shims. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import type { InboundConfig } from "../../model/mesh/proxy-config.ts";
import { ANY, config, endpointAt, inboundConfig, proxyFor, recordingSink, routed, workload } from "./rig.ts";
import type { Cleanup } from "./rig.ts";

async function startTcpApp(t: Cleanup, onSocket: (socket: Socket) => void) {
	const sockets = new Set<Socket>();
	const server = createServer({ allowHalfOpen: true }, (socket) => {
		sockets.add(socket);
		socket.on("error", () => {});
		onSocket(socket);
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

async function tcpPair(
	t: Cleanup,
	app: { host: string; port: number },
	inbound: InboundConfig = inboundConfig(),
	principal?: string,
) {
	const sink = recordingSink();
	const callee = await proxyFor(
		t,
		{ workload: workload("db"), inbound: [{ listen: ANY, app, servicePort: 5432, protocol: "tcp" }] },
		config({ inbound }),
		sink,
	);
	const target = routed("db", [endpointAt(callee.addresses.inbound[0]!, { principal })], {
		cluster: { protocol: "tcp", name: "db.shop.svc.cluster.local|5432|", port: 5432 },
	});
	const caller = await proxyFor(
		t,
		{ workload: workload("web"), upstreams: [{ listen: ANY, host: "db", port: 5432 }] },
		config({ routes: [target] }),
		sink,
	);
	return { sink, callee, caller, port: caller.addresses.upstreams[0]!.port };
}

test("bytes pass both ways, each direction ends by itself, and both hops count them", async (t) => {
	const app = await startTcpApp(t, (socket) => {
		// Answers only once it has everything: half-close must arrive as such.
		void buffer(socket).then((all) => socket.end(Buffer.concat([all, all])));
	});
	const { sink, port } = await tcpPair(t, app);
	const sent = randomBytes(2 << 20);
	const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	socket.end(sent);
	const got = await buffer(socket);
	assert.ok(got.equals(Buffer.concat([sent, sent])));
	const hops = await sink.tcpCount(2);
	for (const hop of hops) {
		assert.equal(hop.bytesSent, sent.length);
		assert.equal(hop.bytesReceived, 2 * sent.length);
		assert.equal(hop.responseFlags, "");
	}
});

test("a server that speaks first is heard, through a permissive port too", async (t) => {
	const app = await startTcpApp(t, (socket) => socket.write("220 ready\r\n"));
	const inbound = inboundConfig({ mtls: { mode: "permissive", byPort: new Map(), policy: "" } });
	const { port } = await tcpPair(t, app, inbound);
	const socket = connect(port, "127.0.0.1");
	const [greeting] = await once(socket, "data");
	assert.equal(String(greeting), "220 ready\r\n");
	socket.destroy();
});

test("a callee that is not there ends the connection, and the hop says UF", async (t) => {
	const app = await startTcpApp(t, () => {});
	const { sink, callee, port } = await tcpPair(t, app);
	await callee.drain(0);
	const socket = connect(port, "127.0.0.1");
	await buffer(socket).catch(() => {});
	const [hop] = await sink.tcpCount(1);
	assert.equal(hop!.responseFlags, "UF");
	assert.equal(hop!.closedBy, "proxy");
});

test("a connection that policy denies never reaches the app", async (t) => {
	let reached = 0;
	const app = await startTcpApp(t, () => reached++);
	const rule = { policy: "shop/no-db", from: [], to: [], when: [] };
	const inbound = inboundConfig({ authorization: { deny: [rule], allow: [], audit: [], hasAllowPolicy: false } });
	const { sink, port } = await tcpPair(t, app, inbound);
	const socket = connect(port, "127.0.0.1");
	await buffer(socket).catch(() => {});
	const hops = await sink.tcpCount(2);
	const hop = hops.find((entry) => entry.direction === "inbound")!;
	assert.equal(hop.authzDecision, "deny");
	assert.equal(hop.authzPolicy, "shop/no-db");
	assert.equal(reached, 0);
});

test("a proxy of the same machine calls from an address of its own, which rules about addresses take for loopback", async (t) => {
	const app = await startTcpApp(t, (socket) => socket.end("hello"));
	const source = {
		...{ principals: [], notPrincipals: [], namespaces: [], notNamespaces: [] },
		...{ ipBlocks: ["127.0.0.1"], notIpBlocks: [] },
	};
	const rule = { policy: "shop/local", from: [source], to: [], when: [] };
	const inbound = inboundConfig({ authorization: { deny: [], allow: [rule], audit: [], hasAllowPolicy: true } });
	const { sink, port } = await tcpPair(t, app, inbound, "spiffe://cluster.local/ns/shop/sa/db");
	assert.equal(String(await buffer(connect(port, "127.0.0.1"))), "hello");
	const hop = (await sink.tcpCount(2)).find(({ direction }) => direction === "inbound")!;
	assert.equal(hop.authzDecision, "allow");
	assert.equal(hop.peer.address, process.platform === "linux" ? "127.77.83.1" : "127.0.0.1");
});
