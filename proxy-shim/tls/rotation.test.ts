import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { Pool } from "undici";
import { fromNow, makeAuthority, makeIdentity } from "../../test/proxy/identities.ts";
import type { Endpoint } from "../../model/mesh/proxy-config.ts";
import type { ProxyEvent } from "../telemetry/hop.ts";
import { createClientTls } from "./client.ts";
import type { ClientTls } from "./client.ts";
import { peerTls } from "./hop-tls.ts";
import type { Identity } from "./identity-source.ts";
import { createMemoryIdentity } from "./memory-identity.ts";
import type { MemoryIdentity } from "./memory-identity.ts";
import { createServerTls } from "./server.ts";

const ORDERS = "spiffe://cluster.local/ns/shop/sa/orders";
const oldRoot = makeAuthority("root of last year");
const newRoot = makeAuthority("root of this year");

const cleanups: (() => unknown)[] = [];
after(async () => {
	for (const cleanup of cleanups.toReversed()) await cleanup();
});

interface Server {
	readonly port: number;
	readonly events: ProxyEvent[];
	/** Connections that finished their handshake. */
	readonly secured: TLSSocket[];
	/** Of each, whether it skipped the certificates. */
	readonly resumed: boolean[];
}

async function serve(source: MemoryIdentity): Promise<Server> {
	const events: ProxyEvent[] = [];
	const secured: TLSSocket[] = [];
	const resumed: boolean[] = [];
	const http = createHttpServer({ keepAliveTimeout: 60_000 }, (request, response) => {
		response.end(peerTls(request.socket, "server").serverNotAfterMs.toString());
	});
	const tls = createServerTls(source, {
		alpn: ["http/1.1"],
		requireClientCertificate: true,
		nowMs: Date.now,
		events: { event: (event) => events.push(event) },
		onSecure(socket) {
			secured.push(socket);
			resumed.push(socket.isSessionReused());
			http.emit("connection", socket);
		},
	});
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		tls.accept(socket);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	cleanups.push(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return { port: (server.address() as AddressInfo).port, events, secured, resumed };
}

function clientOf(source: MemoryIdentity): ClientTls {
	return createClientTls(source, {
		cluster: { tls: { mode: "auto" }, host: "orders.shop.svc.cluster.local", port: 80, subset: "", external: false },
		nowMs: Date.now,
		events: { event: () => undefined },
	});
}

function poolOf(tls: ClientTls, port: number, connections: number): Pool {
	const endpoint: Endpoint = {
		id: "orders-1",
		address: "127.0.0.1",
		port,
		labels: {},
		weight: 1,
		principal: ORDERS,
		healthy: true,
		hboneAddress: undefined,
	};
	const pool = new Pool(`http://127.0.0.1:${port}`, {
		connections,
		pipelining: 1,
		connect: (_options, callback) => {
			tls.connect(endpoint, { alpn: ["http/1.1"], timeoutMs: 10_000 }, (error, socket) => {
				if (socket === undefined) callback(error ?? new Error("no socket"), null);
				else callback(null, socket);
			});
		},
	});
	cleanups.push(() => pool.destroy());
	return pool;
}

async function get(pool: Pool): Promise<string> {
	const { statusCode, body } = await pool.request({ method: "GET", path: "/" });
	assert.equal(statusCode, 200);
	return body.text();
}

test(
	"an identity that changes 20 times under 100 connections fails no request, old connection or new",
	{ timeout: 60_000 },
	async () => {
		const serverSource = createMemoryIdentity(makeIdentity(oldRoot, "orders"));
		const clientSource = createMemoryIdentity(makeIdentity(oldRoot, "frontend"));
		const server = await serve(serverSource);
		const tls = clientOf(clientSource);
		const pool = poolOf(tls, server.port, 100);
		await Promise.all(Array.from({ length: 100 }, () => get(pool)));
		assert.equal(server.secured.length, 100);
		let stop = false;
		let requests = 0;
		const load = Array.from({ length: 100 }, async () => {
			while (!stop) {
				await get(pool);
				requests++;
			}
		});
		/** Connections that are being made while the certificate changes. */
		let fresh = 0;
		const newcomers = Array.from({ length: 4 }, async () => {
			while (!stop) {
				const once_ = poolOf(tls, server.port, 1);
				await get(once_);
				await once_.close();
				fresh++;
			}
		});
		for (let i = 1; i <= 20; i++) {
			const notAfter = fromNow(86_400_000 + i * 60_000);
			serverSource.set(makeIdentity(oldRoot, "orders", { notAfter }));
			if (i % 2 === 0) clientSource.set(makeIdentity(oldRoot, "frontend", { notAfter }));
			await new Promise((resolve) => setTimeout(resolve, 25));
			const probe = poolOf(tls, server.port, 1);
			assert.equal(await get(probe), String(notAfter.getTime()), "a new connection is made with the new certificate");
			await probe.close();
		}
		stop = true;
		await Promise.all([...load, ...newcomers]);
		assert.ok(requests > 500 && fresh >= 20, `${requests} requests, ${fresh} new connections`);
		assert.deepEqual(server.events, []);
		assert.ok(
			server.secured.slice(0, 100).every((socket) => !socket.destroyed),
			"the first hundred are open still",
		);
	},
);

test("roots are rotated through a bundle of both, one end after the other", async () => {
	const serverSource = createMemoryIdentity(makeIdentity(oldRoot, "orders"));
	const clientSource = createMemoryIdentity(makeIdentity(oldRoot, "frontend"));
	const server = await serve(serverSource);
	const tls = clientOf(clientSource);
	const works = async (): Promise<void> => void (await get(poolOf(tls, server.port, 1)));
	const both = [oldRoot, newRoot];
	await works();
	serverSource.set(makeIdentity(oldRoot, "orders", {}, both));
	await works();
	clientSource.set(makeIdentity(oldRoot, "frontend", {}, both));
	await works();
	serverSource.set(makeIdentity(newRoot, "orders", {}, both));
	await works();
	clientSource.set(makeIdentity(newRoot, "frontend", {}, both));
	await works();
	serverSource.set(makeIdentity(newRoot, "orders", {}, [newRoot]));
	await works();
	clientSource.set(makeIdentity(newRoot, "frontend", {}, [newRoot]));
	await works();
	assert.equal(server.events.length, 0);
	// Whoever comes with the old root's certificate now is a stranger.
	clientSource.set(makeIdentity(oldRoot, "frontend", {}, both));
	await assert.rejects(works());
	assert.deepEqual(
		server.events.map((event) => event.kind === "handshake_failed" && event.reason),
		["unknown_authority"],
	);
});

test("a certificate that cannot be used leaves the one before it in force", async () => {
	const source = createMemoryIdentity(makeIdentity(oldRoot, "orders"));
	const server = await serve(source);
	const good = source.current()!;
	source.set({ ...good, keyPem: makeIdentity(oldRoot, "orders").keyPem });
	const [event] = server.events;
	assert.ok(event?.kind === "handshake_failed" && event.reason === "no_own_certificate");
	assert.match(event.detail ?? "", /sa\/orders cannot be used: key values mismatch/);
	const tls = clientOf(createMemoryIdentity(makeIdentity(oldRoot, "frontend")));
	assert.equal(await get(poolOf(tls, server.port, 1)), String(good.notAfterMs));
});

/** Connects with node:tls as a client that would resume if it could. */
async function visit(
	port: number,
	identity: Identity,
	options: ConnectionOptions,
): Promise<{ session: Buffer | undefined; reused: boolean }> {
	const socket = connectTls({
		port,
		host: "127.0.0.1",
		cert: identity.chainPem,
		key: identity.keyPem,
		ca: [...identity.rootsPem],
		checkServerIdentity: () => undefined,
		...options,
	});
	let session: Buffer | undefined;
	let reused = false;
	socket.on("secureConnect", () => (reused = socket.isSessionReused()));
	socket.on("session", (ticket: Buffer) => (session = ticket));
	socket.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
	socket.resume();
	await once(socket, "close");
	return { session, reused };
}

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
	test(`no session is resumed in ${maxVersion}, so no check is skipped`, async () => {
		const server = await serve(createMemoryIdentity(makeIdentity(oldRoot, "orders")));
		const frontend = makeIdentity(oldRoot, "frontend");
		const first = await visit(server.port, frontend, { maxVersion });
		assert.ok(first.session !== undefined, "the client kept what it was given");
		const second = await visit(server.port, frontend, { maxVersion, session: first.session });
		assert.equal(second.reused, false);
		assert.deepEqual(server.resumed, [false, false]);
	});
}

const execFileAsync = promisify(execFile);
const openssl = hasOpenssl() ? false : "openssl is not installed";

function hasOpenssl(): boolean {
	try {
		execFileSync("openssl", ["version"]);
		return true;
	} catch {
		return false;
	}
}

test("openssl s_client is let in with a certificate and told why without", { skip: openssl }, async () => {
	const folder = await mkdtemp(path.join(tmpdir(), "meshscope-tls-"));
	cleanups.push(() => rm(folder, { recursive: true }));
	const frontend = makeIdentity(oldRoot, "frontend");
	const server = await serve(createMemoryIdentity(makeIdentity(oldRoot, "orders")));
	const [cert, key, ca] = ["cert", "key", "ca"].map((name) => path.join(folder, name)) as [string, string, string];
	await Promise.all([
		writeFile(cert, frontend.chainPem),
		writeFile(key, frontend.keyPem, { mode: 0o600 }),
		writeFile(ca, oldRoot.certificatePem),
	]);
	const run = async (...args: string[]): Promise<string> => {
		const running = execFileAsync(
			"openssl",
			["s_client", "-connect", `127.0.0.1:${server.port}`, "-CAfile", ca, "-verify_return_error", "-ign_eof", ...args],
			{ timeout: 20_000 },
		);
		running.child.stdin?.end("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
		const { stdout, stderr } = await running.catch((error: { stdout: string; stderr: string }) => error);
		return stdout + stderr;
	};
	const own = ["-cert", cert, "-key", key];
	assert.match(
		await run(...own, "-tls1_3"),
		/TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256[\s\S]*Verify return code: 0 \(ok\)[\s\S]*200 OK/,
	);
	assert.match(await run(...own, "-tls1_2"), /TLSv1\.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256[\s\S]*200 OK/);
	assert.match(await run(...own, "-tls1_2", "-reconnect"), /New, TLSv1\.2/);
	assert.doesNotMatch(await run(...own, "-tls1_2", "-reconnect"), /^Reused/m);
	assert.match(await run("-tls1_3"), /alert certificate required/);
	assert.match(await run(...own, "-tls1_2", "-cipher", "AES128-SHA"), /handshake failure|no ciphers|no cipher match/);
	const strict = await execFileAsync("openssl", ["verify", "-x509_strict", "-CAfile", ca, cert], { timeout: 20_000 });
	assert.match(strict.stdout, /OK/);
});
