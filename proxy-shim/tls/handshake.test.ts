import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { once } from "node:events";
import { connect as connectTcp, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { after, test } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { issueCertificate } from "../../test/interop/certificates.ts";
import { fromNow, makeAuthority, makeIdentity } from "../../test/proxy/identities.ts";
import type { LeafRequest } from "../../test/proxy/identities.ts";
import type { ClusterConfig, Endpoint } from "../../model/mesh/proxy-config.ts";
import type { HopTls, ProxyEvent } from "../telemetry/hop.ts";
import { createClientTls } from "./client.ts";
import type { TlsFailureReason } from "./failure.ts";
import { reasonOfError } from "./failure.ts";
import { peerTls } from "./hop-tls.ts";
import type { Identity, IdentitySource } from "./identity-source.ts";
import { createMemoryIdentity } from "./memory-identity.ts";
import { createServerTls } from "./server.ts";
import type { ServerTlsOptions } from "./server.ts";

const authority = makeAuthority("shop authority");
const stranger = makeAuthority("some other authority");
const orders = makeIdentity(authority, "orders");
const frontend = makeIdentity(authority, "frontend");
const ORDERS = "spiffe://cluster.local/ns/shop/sa/orders";
const FRONTEND = "spiffe://cluster.local/ns/shop/sa/frontend";

const cleanups: (() => void)[] = [];
after(() => cleanups.forEach((cleanup) => cleanup()));

interface Listening {
	readonly port: number;
	readonly events: ProxyEvent[];
	readonly received: string[];
	readonly secured: HopTls[];
}

/** A TLS server that answers every chunk with `echo:` and what it got. */
async function listen(source: IdentitySource, options: Partial<ServerTlsOptions> = {}): Promise<Listening> {
	const events: ProxyEvent[] = [];
	const received: string[] = [];
	const secured: HopTls[] = [];
	const tls = createServerTls(source, {
		alpn: ["h2", "http/1.1"],
		requireClientCertificate: true,
		nowMs: Date.now,
		events: { event: (event) => events.push(event) },
		onSecure(socket, facts) {
			secured.push(facts);
			assert.equal(peerTls(socket, "server"), facts, "what was found is remembered");
			socket.on("data", (chunk: Buffer) => {
				received.push(chunk.toString());
				socket.write(`echo:${chunk.toString()}`);
			});
		},
		...options,
	});
	const port = await listenTcp((socket) => tls.accept(socket));
	return { port, events, received, secured };
}

async function listenTcp(onConnection: (socket: Socket) => void): Promise<number> {
	const sockets = new Set<Socket>();
	const server: Server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => undefined);
		onConnection(socket);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	cleanups.push(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return (server.address() as AddressInfo).port;
}

function endpoint(port: number, principal: string | undefined): Endpoint {
	return {
		id: `127.0.0.1:${port}`,
		address: "127.0.0.1",
		port,
		labels: {},
		weight: 1,
		principal,
		healthy: true,
		hboneAddress: undefined,
	};
}

const CLUSTER: Pick<ClusterConfig, "tls" | "host" | "port" | "subset" | "external"> = {
	tls: { mode: "auto" },
	host: "orders.shop.svc.cluster.local",
	port: 8080,
	subset: "",
	external: false,
};

interface Outcome {
	readonly socket: Socket | undefined;
	readonly reason: TlsFailureReason | undefined;
	readonly events: ProxyEvent[];
}

async function call(
	source: IdentitySource | undefined,
	target: Endpoint,
	cluster = CLUSTER,
	timeoutMs = 5_000,
): Promise<Outcome> {
	const events: ProxyEvent[] = [];
	const tls = createClientTls(source, { cluster, nowMs: Date.now, events: { event: (event) => events.push(event) } });
	return new Promise((resolve) => {
		tls.connect(target, { alpn: ["http/1.1"], timeoutMs }, (error, socket) => {
			if (socket !== undefined) cleanups.push(() => socket.destroy());
			resolve({ socket, reason: error === undefined ? undefined : reasonOfError(error), events });
		});
	});
}

async function ask(socket: Socket, text: string): Promise<string> {
	socket.write(text);
	const [chunk] = (await once(socket, "data")) as [Buffer];
	return chunk.toString();
}

async function until(condition: () => boolean, what: string): Promise<void> {
	const deadlineMs = Date.now() + 5_000;
	while (!condition()) {
		assert.ok(Date.now() < deadlineMs, what);
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

/** Connects as anything at all would: no checks, whatever certificate. */
function rawClient(port: number, options: ConnectionOptions): Socket {
	const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
	socket.on("error", () => undefined);
	cleanups.push(() => socket.destroy());
	return socket;
}

/** It is for people; that there is one is checked. */
function withoutDetail(event: ProxyEvent): ProxyEvent {
	assert.ok(
		event.kind === "handshake_failed" && event.detail !== undefined && /^[^\n]+$/.test(event.detail),
		JSON.stringify(event),
	);
	const { kind, direction, peerAddress, reason } = event;
	return { kind, direction, peerAddress, reason };
}

function shown(identity: Identity): ConnectionOptions {
	return { cert: identity.chainPem, key: identity.keyPem };
}

test("both ends learn the other's verified identity", async () => {
	const server = await listen(createMemoryIdentity(orders));
	const { socket, reason } = await call(createMemoryIdentity(frontend), endpoint(server.port, ORDERS));
	assert.equal(reason, undefined);
	assert.equal(await ask(socket!, "hello"), "echo:hello");
	const expected: HopTls = {
		status: "mutual_tls",
		version: "1.3",
		cipher: "TLS_AES_128_GCM_SHA256",
		serverName: "outbound_.8080_._.orders.shop.svc.cluster.local",
		clientPrincipal: FRONTEND,
		serverPrincipal: ORDERS,
		clientSubject: "CN=frontend",
		serverSubject: "CN=orders",
		clientNotAfterMs: frontend.notAfterMs,
		serverNotAfterMs: orders.notAfterMs,
		peerVerified: true,
		noTlsReason: "",
	};
	assert.deepEqual(peerTls(socket!, "client"), expected);
	assert.deepEqual(server.secured, [expected]);
	assert.deepEqual(server.events, []);
});

/** What a client shows, and what the server calls it. */
const CLIENT_FAULTS: readonly (readonly [what: string, options: () => ConnectionOptions, reason: TlsFailureReason])[] = [
	["no certificate", () => ({}), "no_certificate"],
	["no certificate in TLS 1.2", () => ({ maxVersion: "TLSv1.2" }), "no_certificate"],
	["another authority's certificate", () => shown(makeIdentity(stranger, "frontend")), "unknown_authority"],
	["a certificate signed by itself", () => shownSelfSigned(), "unknown_authority"],
	["a certificate signed by a workload", () => signedByWorkload(), "invalid_certificate"],
	["an expired certificate", () => leaf({ notBefore: fromNow(-9e6), notAfter: fromNow(-2_000) }), "peer_certificate_expired"],
	["one from the future", () => leaf({ notBefore: fromNow(60_000) }), "peer_certificate_not_yet_valid"],
	["no URI", () => leaf({ uris: [], dnsNames: ["frontend.shop"] }), "not_spiffe"],
	["two URIs", () => leaf({ uris: [FRONTEND, ORDERS] }), "not_spiffe"],
	["a URI that is no SPIFFE ID", () => leaf({ uris: ["https://cluster.local/ns/shop/sa/frontend"] }), "not_spiffe"],
	["a path of another form", () => leaf({ uris: ["spiffe://cluster.local/frontend"] }), "not_spiffe"],
	["another trust domain", () => leaf({ uris: ["spiffe://evil.example/ns/shop/sa/frontend"] }), "wrong_trust_domain"],
	["an authority's flag", () => leaf({ isAuthority: true, keyUsage: ["digitalSignature"] }), "invalid_certificate"],
	["no key usage", () => leaf({ keyUsage: undefined }), "invalid_certificate"],
	["a key that may sign certificates", () => leaf({ keyUsage: ["digitalSignature", "keyCertSign"] }), "invalid_certificate"],
	["a key that may not sign", () => leaf({ keyUsage: ["keyAgreement"] }), "invalid_certificate"],
	["a server's purpose only", () => leaf({ purposes: ["server"] }), "invalid_certificate"],
	["an unknown application protocol", () => ({ ...shown(frontend), ALPNProtocols: ["zz"] }), "no_application_protocol"],
	[
		"TLS 1.1",
		() => ({ ...shown(frontend), minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" }),
		"protocol_version",
	],
	[
		"CBC suites only",
		() => ({ ...shown(frontend), maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" }),
		"no_shared_cipher",
	],
	[
		"suites without forward secrecy",
		() => ({ ...shown(frontend), maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" }),
		"no_shared_cipher",
	],
];

function leaf(request: LeafRequest): ConnectionOptions {
	return shown(makeIdentity(authority, "frontend", request));
}

function shownSelfSigned(): ConnectionOptions {
	const self = issueCertificate({
		commonName: "frontend",
		uris: [FRONTEND],
		notBefore: fromNow(-60_000),
		notAfter: fromNow(60_000),
		isAuthority: false,
		keyUsage: ["digitalSignature"],
	});
	return { cert: self.certificatePem, key: self.keyPem };
}

/** A workload that acts as an authority: its certificate is sent along as an intermediate. */
function signedByWorkload(): ConnectionOptions {
	const workload = makeIdentity(authority, "orders");
	const forged = makeIdentity({ ...authority, ...issuedOf(workload), commonName: "orders" }, "frontend");
	return { cert: forged.chainPem + workload.chainPem, key: forged.keyPem };
}

function issuedOf(identity: Identity): { readonly key: KeyObject } {
	return { key: createPrivateKey(identity.keyPem) };
}

for (const [what, options, reason] of CLIENT_FAULTS) {
	test(`a strict server lets nobody in with ${what}: ${reason}`, async () => {
		const server = await listen(createMemoryIdentity(orders));
		const client = rawClient(server.port, options());
		client.write("GET / HTTP/1.1\r\n\r\n");
		await until(() => server.events.length > 0, "the server said why");
		assert.deepEqual(server.events.map(withoutDetail), [
			{ kind: "handshake_failed", direction: "inbound", peerAddress: "127.0.0.1", reason },
		]);
		await until(() => client.destroyed, "the connection is closed");
		assert.deepEqual(server.received, []);
		assert.deepEqual(server.secured, []);
	});
}

test("a strict server lets no plaintext in, slow clients and strangers' bytes neither", async () => {
	const server = await listen(createMemoryIdentity(orders), { handshakeTimeoutMs: 300 });
	const cases: readonly (readonly [bytes: string, reason: TlsFailureReason])[] = [
		["GET / HTTP/1.1\r\nhost: orders\r\n\r\n", "not_tls"],
		["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not_tls"],
		["\u0016\u0003\u0001", "handshake_timeout"],
		["", "handshake_timeout"],
	];
	for (const [bytes, reason] of cases) {
		server.events.length = 0;
		const client = connectTcp(server.port, "127.0.0.1");
		client.on("error", () => undefined);
		client.resume();
		client.write(bytes);
		await once(client, "close");
		await until(() => server.events.length > 0, "the server said why");
		assert.deepEqual(
			server.events.map((event) => event.kind === "handshake_failed" && event.reason),
			[reason],
			JSON.stringify(bytes),
		);
	}
	assert.deepEqual(server.received, []);
});

test("a client certificate that is optional is checked where it is shown", async () => {
	const server = await listen(createMemoryIdentity(orders), { requireClientCertificate: false });
	const without = rawClient(server.port, {});
	assert.equal(await ask(without, "hi"), "echo:hi");
	assert.equal(server.secured[0]?.status, "tls");
	assert.equal(server.secured[0]?.clientPrincipal, "");
	rawClient(server.port, shown(makeIdentity(stranger, "frontend")));
	await until(() => server.events.length === 1, "refused");
	assert.equal(server.secured.length, 1);
});

/** What a server is, and what the client calls it. */
const SERVER_FAULTS: readonly (readonly [what: string, server: () => Identity, reason: TlsFailureReason])[] = [
	["another authority's certificate", () => trusting(makeIdentity(stranger, "orders")), "unknown_authority"],
	["an expired certificate", () => expired(), "peer_certificate_expired"],
	["another workload's identity", () => makeIdentity(authority, "payments"), "wrong_identity"],
	["another namespace's identity", () => named("spiffe://cluster.local/ns/evil/sa/orders"), "wrong_identity"],
	["two identities", () => named(ORDERS, FRONTEND), "not_spiffe"],
	["another trust domain", () => named("spiffe://evil.example/ns/shop/sa/orders"), "wrong_trust_domain"],
	["a client's purpose only", () => makeIdentity(authority, "orders", { purposes: ["client"] }), "invalid_certificate"],
	[
		"an authority's flag",
		() => makeIdentity(authority, "orders", { isAuthority: true, keyUsage: ["digitalSignature"] }),
		"invalid_certificate",
	],
];

function named(...uris: string[]): Identity {
	return makeIdentity(authority, "orders", { uris });
}

function trusting(identity: Identity): Identity {
	return { ...identity, rootsPem: [authority.certificatePem] };
}

/** The server's own clock lets it go on. */
function expired(): Identity {
	return makeIdentity(authority, "orders", { notBefore: fromNow(-9e6), notAfter: fromNow(-2_000) });
}

for (const [what, identity, reason] of SERVER_FAULTS) {
	test(`a client says nothing to a server with ${what}: ${reason}`, async () => {
		const received: string[] = [];
		const own = identity();
		const port = await listenTcp((socket) => {
			const tls = createTlsServer({
				cert: own.chainPem,
				key: own.keyPem,
				ca: [authority.certificatePem],
				requestCert: true,
			});
			tls.on("secureConnection", (secure) => {
				secure.on("error", () => undefined);
				secure.on("data", (chunk: Buffer) => received.push(chunk.toString()));
			});
			tls.on("tlsClientError", () => undefined);
			tls.emit("connection", socket);
		});
		const outcome = await call(createMemoryIdentity(frontend), endpoint(port, ORDERS));
		assert.equal(outcome.reason, reason);
		assert.equal(outcome.socket, undefined);
		assert.deepEqual(outcome.events.map(withoutDetail), [
			{ kind: "handshake_failed", direction: "outbound", peerAddress: `127.0.0.1:${port}`, reason },
		]);
		assert.deepEqual(received, []);
	});
}

test("a client tells what else hinders a connection", async () => {
	const source = createMemoryIdentity(frontend);
	const silent = await listenTcp(() => undefined);
	assert.equal((await call(source, endpoint(silent, ORDERS), CLUSTER, 200)).reason, "handshake_timeout");
	const plain = await listenTcp((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
	assert.equal((await call(source, endpoint(plain, ORDERS))).reason, "not_tls");
	const closing = await listenTcp((socket) => socket.destroy());
	assert.equal((await call(source, endpoint(closing, ORDERS))).reason, "connection_closed");
	const refused = await call(source, endpoint(1, ORDERS));
	assert.equal(refused.reason, "connect_failed");
	assert.deepEqual(refused.events, [], "no failure of TLS");
	assert.equal((await call(createMemoryIdentity(), endpoint(plain, ORDERS))).reason, "no_own_certificate");
	const server = await listen(createMemoryIdentity(makeIdentity(stranger, "orders")), { requireClientCertificate: true });
	const both = makeIdentity(authority, "frontend", {}, [authority, stranger]);
	const late = await call(createMemoryIdentity(both), endpoint(server.port, ORDERS));
	assert.equal(late.reason, undefined, "in TLS 1.3 a client is done before the server has looked at its certificate");
	await once(late.socket!, "close");
	assert.equal(server.events.length, 1);
	assert.deepEqual(server.received, []);
});

test("a server that has no certificate, an expired one, or too many handshakes closes at once", async () => {
	const none = await listen(createMemoryIdentity());
	const old = await listen(createMemoryIdentity(expired()));
	const busy = await listen(createMemoryIdentity(orders), { maxHandshakes: 0 });
	for (const [server, reason] of [
		[none, "no_own_certificate"],
		[old, "no_own_certificate"],
		[busy, "too_many_handshakes"],
	] as const) {
		rawClient(server.port, shown(frontend));
		await until(() => server.events.length === 1, reason);
		assert.equal(server.events[0]?.kind === "handshake_failed" && server.events[0].reason, reason);
	}
});

test("plaintext is spoken only where the policy or a missing identity asks for it, and the reason is told", async () => {
	const port = await listenTcp((socket) => socket.pipe(socket));
	const source = createMemoryIdentity(frontend);
	const cases = [
		[source, undefined, { ...CLUSTER }, "peer_not_in_mesh"],
		[source, undefined, { ...CLUSTER, external: true }, "external"],
		[source, ORDERS, { ...CLUSTER, tls: { mode: "disable" } as const }, "disabled"],
		[undefined, ORDERS, { ...CLUSTER }, "no_identity"],
	] as const;
	for (const [identity, principal, cluster, reason] of cases) {
		const { socket } = await call(identity, endpoint(port, principal), cluster);
		assert.equal(await ask(socket!, "plain"), "plain");
		const { status, noTlsReason } = peerTls(socket!, "client");
		assert.deepEqual([status, noTlsReason], ["plaintext", reason]);
	}
});

test("a plain connection comes from the address that is asked for where the machine has it, and else from any", async () => {
	const from: (string | undefined)[] = [];
	const port = await listenTcp((socket) => {
		from.push(socket.remoteAddress);
		socket.on("error", () => undefined).pipe(socket);
	});
	const tls = createClientTls(undefined, { cluster: CLUSTER, nowMs: Date.now, events: { event: () => undefined } });
	for (const plainFrom of ["127.0.0.1", "203.0.113.9", undefined]) {
		const options = { alpn: [], timeoutMs: 2_000, plainFrom };
		const socket = await new Promise<Socket>((resolve, reject) => {
			tls.connect(endpoint(port, ORDERS), options, (error, made) =>
				made === undefined ? reject(error ?? new Error("no socket")) : resolve(made),
			);
		});
		cleanups.push(() => socket.destroy());
		assert.equal(await ask(socket, "plain"), "plain");
		assert.equal(peerTls(socket, "client").status, "plaintext");
	}
	assert.deepEqual(from, ["127.0.0.1", "127.0.0.1", "127.0.0.1"]);
});

test("ISTIO_MUTUAL is TLS to every endpoint; names in the policy come before the endpoint's", async () => {
	const server = await listen(createMemoryIdentity(orders));
	const source = createMemoryIdentity(frontend);
	const mode = "istio_mutual";
	const any = { ...CLUSTER, tls: { mode, subjectAltNames: [], sni: undefined } as const };
	assert.equal((await call(source, endpoint(server.port, undefined), any)).reason, undefined);
	const pinned = { ...CLUSTER, tls: { mode, subjectAltNames: [ORDERS], sni: "orders.shop" } as const };
	assert.equal((await call(source, endpoint(server.port, FRONTEND), pinned)).reason, undefined);
	await until(() => server.secured.length === 2, "both arrived");
	assert.equal(server.secured[1]?.serverName, "orders.shop");
	const other = { ...CLUSTER, tls: { mode, subjectAltNames: [FRONTEND], sni: undefined } as const };
	assert.equal((await call(source, endpoint(server.port, ORDERS), other)).reason, "wrong_identity");
});
