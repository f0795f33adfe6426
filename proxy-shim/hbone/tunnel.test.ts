import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect as connectHttp2, constants, createSecureServer } from "node:http2";
import type { ClientHttp2Session, OutgoingHttpHeaders } from "node:http2";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { fromNow, makeAuthority, makeIdentity } from "../../test/proxy/identities.ts";
import type { ProxyEvent } from "../telemetry/hop.ts";
import { peerTls } from "../tls/hop-tls.ts";
import { createMemoryIdentity } from "../tls/memory-identity.ts";
import type { MemoryIdentity } from "../tls/memory-identity.ts";
import { formatTarget, hboneServerName, parseTarget } from "./address.ts";
import { createHboneClient } from "./client.ts";
import type { HboneClient, HboneClientOptions } from "./client.ts";
import { TunnelFailure } from "./failure.ts";
import { createHboneServer } from "./server.ts";
import type { HboneServer, HboneServerOptions, IncomingTunnel } from "./server.ts";
import type { TunnelStream } from "./tunnel-stream.ts";

const authority = makeAuthority("authority");
const ORDERS = "spiffe://cluster.local/ns/shop/sa/orders";
const PAYMENTS = "spiffe://cluster.local/ns/shop/sa/payments";
const FRONTEND = "spiffe://cluster.local/ns/shop/sa/frontend";

const cleanups: (() => void)[] = [];
after(() => cleanups.toReversed().forEach((cleanup) => cleanup()));

interface Node {
	readonly server: HboneServer;
	readonly address: string;
	readonly tunnels: { readonly stream: TunnelStream; readonly tunnel: IncomingTunnel }[];
	readonly events: ProxyEvent[];
	readonly orders: MemoryIdentity;
	/** TCP connections that were accepted. */
	readonly sockets: Socket[];
}

/** A node with two workloads: orders at 10.0.0.1:8080, payments at 10.0.0.2:8080. Tunnels are echoed unless told otherwise. */
async function startNode(
	options: Partial<HboneServerOptions> = {},
	onStream: (stream: TunnelStream) => void = echo,
): Promise<Node> {
	const orders = createMemoryIdentity(makeIdentity(authority, "orders"));
	const payments = createMemoryIdentity(makeIdentity(authority, "payments"));
	const names = new Map([
		[hboneServerName(ORDERS), orders],
		[hboneServerName(PAYMENTS), payments],
	]);
	const principals = new Map([
		["10.0.0.1:8080", ORDERS],
		["10.0.0.2:8080", PAYMENTS],
	]);
	const tunnels: { stream: TunnelStream; tunnel: IncomingTunnel }[] = [];
	const events: ProxyEvent[] = [];
	const sockets: Socket[] = [];
	const server = createHboneServer({
		source: createMemoryIdentity(),
		byServerName: (name) => names.get(name),
		nowMs: Date.now,
		events: { event: (event) => events.push(event) },
		route(tunnel) {
			const principal = principals.get(formatTarget(tunnel.target));
			if (principal === undefined) return { kind: "refuse", status: 404 };
			// The caller made sure of another workload than the one it asks for.
			if (principal !== tunnel.tls.serverPrincipal) return { kind: "refuse", status: 403 };
			return {
				kind: "accept",
				onStream(stream, accepted) {
					tunnels.push({ stream, tunnel: accepted });
					onStream(stream);
				},
			};
		},
		...options,
	});
	const listener = createServer((socket) => {
		sockets.push(socket);
		server.accept(socket);
	}).listen(0, "127.0.0.1");
	await once(listener, "listening");
	cleanups.push(() => {
		listener.close();
		server.close();
	});
	return { server, address: `127.0.0.1:${(listener.address() as AddressInfo).port}`, tunnels, events, orders, sockets };
}

function echo(stream: TunnelStream): void {
	stream.pipe(stream);
}

function clientOf(name: string, options: Partial<HboneClientOptions> = {}): HboneClient {
	const client = createHboneClient({
		source: createMemoryIdentity(makeIdentity(authority, name)),
		nowMs: Date.now,
		events: { event: () => undefined },
		...options,
	});
	cleanups.push(() => client.close());
	return client;
}

function open(client: HboneClient, node: Node, host = "10.0.0.1", principal = ORDERS, timeoutMs = 5_000): Promise<Duplex> {
	return new Promise((resolve, reject) => {
		client.connect({ hboneAddress: node.address, address: host, port: 8080, principal }, timeoutMs, (error, stream) => {
			if (stream === undefined) reject(error ?? new Error("no stream"));
			else resolve(stream);
		});
	});
}

async function readAll(stream: Duplex): Promise<string> {
	let text = "";
	for await (const chunk of stream) text += String(chunk);
	return text;
}

async function until(condition: () => boolean, what: string): Promise<void> {
	const deadlineMs = Date.now() + 5_000;
	while (!condition()) {
		assert.ok(Date.now() < deadlineMs, what);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

test("a target has one spelling", () => {
	assert.deepEqual(parseTarget("10.0.0.1:8080"), { host: "10.0.0.1", port: 8080 });
	assert.deepEqual(parseTarget("[fd00::1]:80"), { host: "fd00::1", port: 80 });
	assert.deepEqual(parseTarget("Orders.Shop:80"), { host: "orders.shop", port: 80 });
	for (const text of [
		"",
		"a",
		"a:",
		":80",
		"a:0",
		"a:080",
		"a:65536",
		"a:80/",
		"a:80 ",
		"u@a:80",
		"[a]:80",
		"fd00::1:80",
		"a:80:80",
		"[1.2.3.4]:5",
	]) {
		assert.equal(parseTarget(text), undefined, text);
	}
	assert.equal(formatTarget({ host: "fd00::1", port: 80 }), "[fd00::1]:80");
});

test("a tunnel carries bytes both ways, and both ends know the workloads, not the nodes", async () => {
	const node = await startNode();
	const client = clientOf("frontend");
	const stream = await open(client, node);
	stream.end("hello");
	assert.equal(await readAll(stream), "hello");
	const { clientPrincipal, serverPrincipal, status, peerVerified } = peerTls(stream, "client");
	assert.deepEqual([clientPrincipal, serverPrincipal, status, peerVerified], [FRONTEND, ORDERS, "mutual_tls", true]);
	assert.equal(node.tunnels[0]?.tunnel.tls.clientPrincipal, FRONTEND);
	assert.equal(peerTls(node.tunnels[0].stream, "server").clientPrincipal, FRONTEND);
	await until(() => node.server.tunnels === 0 && client.stats().streams === 0, "nothing is left over");
});

test("streams of one caller to one workload share a connection; another workload or caller has its own", async () => {
	const node = await startNode();
	const frontend = clientOf("frontend");
	const streams = await Promise.all(Array.from({ length: 20 }, () => open(frontend, node)));
	assert.equal(node.sockets.length, 1);
	streams.push(await open(frontend, node, "10.0.0.2", PAYMENTS));
	assert.equal(node.sockets.length, 2);
	streams.push(await open(clientOf("admin"), node));
	assert.equal(node.sockets.length, 3);
	assert.deepEqual(
		[...new Set(node.tunnels.map(({ tunnel }) => `${tunnel.tls.clientPrincipal} ${tunnel.tls.serverPrincipal}`))],
		[`${FRONTEND} ${ORDERS}`, `${FRONTEND} ${PAYMENTS}`, `spiffe://cluster.local/ns/shop/sa/admin ${ORDERS}`],
	);
	streams.forEach((stream) => stream.destroy());
});

test("a node is no open relay: what is not a local workload's port, or not the one whose identity answered, is refused", async () => {
	const node = await startNode();
	const client = clientOf("frontend");
	const failureOf = (host: string): Promise<unknown> =>
		open(client, node, host).then(
			() => undefined,
			(error: unknown) => error,
		);
	for (const [host, status] of [
		["8.8.8.8", 404],
		["127.0.0.1", 404],
		["169.254.169.254", 404],
		["localhost", 404],
		["10.0.0.2", 403],
	] as const) {
		const failure = await failureOf(host);
		assert.ok(failure instanceof TunnelFailure, host);
		assert.equal(failure.status, status, host);
	}
	assert.equal(node.tunnels.length, 0);
	// The connection goes on.
	const stream = await open(client, node);
	stream.end("x");
	assert.equal(await readAll(stream), "x");
	assert.equal(node.sockets.length, 1);
});

/** A caller that speaks HTTP/2 as it likes, with a certificate of the mesh. */
async function rawSession(node: Node, serverName = hboneServerName(ORDERS)!): Promise<ClientHttp2Session> {
	const own = makeIdentity(authority, "frontend");
	const [host, port] = node.address.split(":") as [string, string];
	const socket = connectTls({
		host,
		port: Number(port),
		servername: serverName,
		cert: own.chainPem,
		key: own.keyPem,
		rejectUnauthorized: false,
		ALPNProtocols: ["h2"],
	});
	socket.on("error", () => undefined);
	await once(socket, "secureConnect");
	const session = connectHttp2("https://node", { createConnection: () => socket });
	session.on("error", () => undefined);
	cleanups.push(() => session.destroy());
	return session;
}

async function statusOf(session: ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<number> {
	const stream = session.request(headers, { endStream: false });
	stream.on("error", () => undefined);
	const [answer] = (await once(stream, "response")) as [{ ":status": number }];
	stream.close();
	return answer[":status"];
}

test("anything but a plain CONNECT is refused, and headers say nothing about who calls", async () => {
	const node = await startNode();
	const session = await rawSession(node);
	assert.equal(await statusOf(session, { ":method": "GET", ":path": "/" }), 405);
	assert.equal(await statusOf(session, { ":method": "CONNECT", ":authority": "no-port" }), 400);
	const forged = {
		":method": "CONNECT",
		":authority": "10.0.0.1:8080",
		forwarded: "for=10.9.9.9;by=spiffe://cluster.local/ns/shop/sa/admin",
		"x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/shop/sa/admin",
		baggage: "k8s.serviceaccount.name=admin",
	};
	assert.equal(await statusOf(session, forged), 200);
	assert.equal(node.tunnels[0]?.tunnel.tls.clientPrincipal, FRONTEND);
});

test("strangers, plaintext and callers that name nobody of the node get no tunnel", async () => {
	const node = await startNode();
	const stranger = clientOf("frontend", {
		source: createMemoryIdentity(makeIdentity(makeAuthority("stranger"), "frontend", {}, [authority])),
	});
	await assert.rejects(open(stranger, node));
	const expired = makeIdentity(authority, "frontend", { notBefore: fromNow(-9e6), notAfter: fromNow(-2_000) });
	await assert.rejects(
		open(clientOf("x", { source: createMemoryIdentity({ ...expired, notAfterMs: Date.now() + 9e6 }) }), node),
	);
	await assert.rejects(
		rawSession(node, "nobody.example").then((session) =>
			statusOf(session, { ":method": "CONNECT", ":authority": "10.0.0.1:8080" }),
		),
	);
	await assert.rejects(
		open(clientOf("frontend"), node, "10.0.0.1", FRONTEND),
		/no_own_certificate|handshake|wrong_identity|closed|refused/,
	);
	assert.equal(node.tunnels.length, 0);
	assert.ok(node.events.length >= 3);
});

test("each direction ends by itself", async () => {
	const node = await startNode({}, (stream) => {
		stream.write("greeting ");
		void readAll(stream).then((asked) => stream.end(`answer to ${asked}`));
	});
	const stream = await open(clientOf("frontend"), node);
	const [greeting] = (await once(stream, "data")) as [Buffer];
	assert.equal(greeting.toString(), "greeting ");
	stream.end("a question");
	assert.equal(await readAll(stream), "answer to a question");
	// And the other way round: the far end is done first.
	const other = await startNode({}, (far) => {
		far.end("bye");
		void readAll(far).then((text) => other.orders.set({ ...other.orders.current()!, principal: text }));
	});
	const near = await open(clientOf("frontend"), other);
	assert.equal(await readAll(near), "bye");
	near.end("spiffe://cluster.local/ns/shop/sa/late");
	await until(() => other.orders.current()?.principal.endsWith("/late") === true, "what came after the far end's end arrives");
});

for (const [side, code] of [
	["near", "ECONNRESET"],
	["far", "ECONNRESET"],
] as const) {
	test(`a ${side} end that breaks off is never taken for one that ended`, async () => {
		let far: TunnelStream | undefined;
		const node = await startNode({}, (stream) => {
			far = stream;
			stream.write("half of ");
		});
		const near = await open(clientOf("frontend"), node);
		await once(near, "data");
		const [breaking, other] = side === "near" ? [near, far!] : [far!, near];
		let ended = false;
		other.on("end", () => (ended = true));
		other.resume();
		const failed = once(other, "error");
		breaking.destroy();
		const [error] = (await failed) as [NodeJS.ErrnoException];
		assert.equal(error.code, code);
		assert.equal(ended, false);
	});
}

test("a connection that is lost breaks all of its streams, and the next stream has a new one", async () => {
	const node = await startNode();
	const client = clientOf("frontend");
	const streams = await Promise.all(Array.from({ length: 5 }, () => open(client, node)));
	const broken = Promise.all(streams.map((stream) => once(stream.resume(), "error")));
	node.sockets[0]!.resetAndDestroy();
	await broken;
	const stream = await open(client, node);
	stream.end("again");
	assert.equal(await readAll(stream), "again");
	assert.equal(node.sockets.length, 2);
});

test("a receiver that does not read holds its sender up, and no other stream", async () => {
	const node = await startNode({}, (stream) => {
		if (node.tunnels.length > 1) echo(stream);
	});
	const client = clientOf("frontend");
	const stuck = await open(client, node);
	let accepted = 0;
	const chunk = Buffer.alloc(64 << 10);
	const pushing = (async () => {
		while (!stuck.destroyed) {
			const flowing = stuck.write(chunk, (error) => {
				if (!error) accepted += chunk.length;
			});
			if (!flowing) await Promise.race([once(stuck, "drain"), once(stuck, "close")]);
		}
	})();
	await until(() => accepted > 0, "some is taken");
	await new Promise((resolve) => setTimeout(resolve, 300));
	const taken = accepted;
	await new Promise((resolve) => setTimeout(resolve, 200));
	assert.equal(accepted, taken, "and then nothing more");
	assert.ok(accepted <= 1 << 20, `${accepted} bytes are a window and buffers`);
	const other = await open(client, node);
	other.end("goes on");
	assert.equal(await readAll(other), "goes on");
	assert.equal(node.sockets.length, 1);
	stuck.destroy();
	await pushing.catch(() => undefined);
});

test("64 MiB arrive as they were sent, over many streams at once", async () => {
	const node = await startNode();
	const client = clientOf("frontend");
	await Promise.all(
		Array.from({ length: 8 }, async () => {
			const stream = await open(client, node);
			const sent = createHash("sha256");
			const received = createHash("sha256");
			let bytes = 0;
			stream.on("data", (chunk: Buffer) => {
				received.update(chunk);
				bytes += chunk.length;
			});
			const ended = once(stream, "end");
			for (let i = 0; i < 64; i++) {
				const chunk = randomBytes(128 << 10);
				sent.update(chunk);
				if (!stream.write(chunk)) await once(stream, "drain");
			}
			stream.end();
			await ended;
			assert.equal(bytes, 8 << 20);
			assert.equal(received.digest("hex"), sent.digest("hex"));
		}),
	);
});

test("streams beyond a connection's limit get another, and beyond all of them wait for their time", async () => {
	const node = await startNode({ maxStreams: 3 });
	const client = clientOf("frontend", { maxConnections: 2 });
	const streams: Duplex[] = [];
	// The first settles how many the peer takes.
	streams.push(await open(client, node));
	streams.push(...(await Promise.all(Array.from({ length: 5 }, () => open(client, node)))));
	assert.deepEqual(client.stats(), { connections: 2, streams: 6, waiting: 0 });
	await assert.rejects(
		open(client, node, "10.0.0.1", ORDERS, 100),
		(error) => error instanceof TunnelFailure && error.reason === "timeout",
	);
	const waiting = open(client, node);
	await until(() => client.stats().waiting === 1, "it waits");
	streams.pop()!.destroy();
	streams.push(await waiting);
	streams.forEach((stream) => stream.destroy());
	await until(() => client.stats().streams === 0, "all are given back");
});

test("a stream that is never answered is given back when its caller's time is up, or the caller gives up", async () => {
	const own = makeIdentity(authority, "orders");
	const http2 = createSecureServer({ cert: own.chainPem, key: own.keyPem, ca: [...own.rootsPem], requestCert: true });
	http2.on("stream", (stream) => stream.on("error", () => undefined));
	http2.on("session", (session) => cleanups.push(() => session.destroy()));
	http2.listen(0, "127.0.0.1");
	await once(http2, "listening");
	cleanups.push(() => http2.close());
	const client = clientOf("frontend");
	const request = {
		hboneAddress: `127.0.0.1:${(http2.address() as AddressInfo).port}`,
		address: "10.0.0.1",
		port: 8080,
		principal: ORDERS,
	};
	const ended = new Promise<unknown>((resolve) => client.connect(request, 100, resolve));
	const error = await ended;
	assert.ok(error instanceof TunnelFailure && error.reason === "timeout");
	await until(() => client.stats().streams === 0, "given back");
	const givenUp = new Promise<unknown>((resolve) => {
		const giveUp = client.connect(request, 10_000, resolve);
		void until(() => client.stats().streams === 1, "asked").then(giveUp);
	});
	assert.match(String(await givenUp), /given up/);
	await until(() => client.stats().streams === 0, "given back");
	assert.equal(client.stats().connections, 1);
});

test("a node without room answers 503", async () => {
	const node = await startNode({ maxTunnels: 1 });
	const client = clientOf("frontend");
	const first = await open(client, node);
	await assert.rejects(open(client, node), (error) => error instanceof TunnelFailure && error.status === 503);
	first.destroy();
	await until(() => node.server.tunnels === 0, "given back");
	(await open(client, node)).destroy();
});

test("a new certificate of either end is used by new connections; open streams go on", async () => {
	const node = await startNode();
	const source = createMemoryIdentity(makeIdentity(authority, "frontend"));
	const client = clientOf("frontend", { source });
	const old = await open(client, node);
	const notAfter = fromNow(7_200_000);
	source.set(makeIdentity(authority, "frontend", { notAfter }));
	node.orders.set(makeIdentity(authority, "orders", { notAfter }));
	const next = await open(client, node);
	const { clientNotAfterMs, serverNotAfterMs } = peerTls(next, "client");
	assert.deepEqual([clientNotAfterMs, serverNotAfterMs], [notAfter.getTime(), notAfter.getTime()]);
	assert.equal(node.sockets.length, 2);
	old.end("still here");
	assert.equal(await readAll(old), "still here");
	await until(() => node.sockets[0]!.destroyed, "the old connection ends with its last stream");
	next.destroy();
});

test("a certificate that expires is not used for new streams", async () => {
	const node = await startNode();
	let nowMs = Date.now();
	const client = clientOf("frontend", { nowMs: () => nowMs });
	const stream = await open(client, node);
	nowMs += 2 * 86_400_000;
	await assert.rejects(open(client, node), /no_own_certificate/);
	stream.end("x");
	assert.equal(await readAll(stream), "x");
});

test("a node that drains says so: its tunnels go on, new ones go elsewhere", async () => {
	const node = await startNode();
	const client = clientOf("frontend");
	const stream = await open(client, node);
	node.server.drain();
	await new Promise((resolve) => setTimeout(resolve, 30));
	await assert.rejects(open(client, node), TunnelFailure);
	stream.end("last words");
	assert.equal(await readAll(stream), "last words");
	await until(() => node.sockets[0]!.destroyed, "then it ends");
});

test("an idle connection is closed", async () => {
	const node = await startNode();
	const client = clientOf("frontend", { idleTimeoutMs: 30 });
	const stream = await open(client, node);
	await new Promise((resolve) => setTimeout(resolve, 80));
	assert.equal(client.stats().connections, 1, "not while a stream is open");
	stream.end();
	await readAll(stream);
	await until(() => client.stats().connections === 0, "closed");
});

test("a caller that floods a node with resets is cut off, others are not", async () => {
	const node = await startNode();
	const flooding = await rawSession(node);
	let isClosed = false;
	flooding.on("close", () => (isClosed = true));
	const good = await open(clientOf("frontend"), node);
	for (let i = 0; i < 100 && !flooding.destroyed; i++) {
		const streams = Array.from({ length: 50 }, () =>
			flooding.request({ ":method": "CONNECT", ":authority": "10.0.0.1:8080" }, { endStream: false }),
		);
		const answered = streams.map((stream) => {
			stream.on("error", () => undefined);
			return Promise.race([once(stream, "response"), once(stream, "close")]).catch(() => undefined);
		});
		await Promise.all(answered);
		for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
	}
	await until(() => isClosed, "cut off");
	good.end("x");
	assert.equal(await readAll(good), "x");
	await until(() => node.server.tunnels === 0, "nothing is left over");
});
