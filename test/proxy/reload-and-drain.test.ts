/** What must cost no request: a policy that changes under load, and a proxy that ends under load. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect as dialTcp } from "node:net";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { Pool } from "undici";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import { meshscope } from "./command.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { startLoad } from "./load.ts";
import { ANY, config, inboundConfig, proxyFor, recordingSink, startApp, until, workload } from "./rig.ts";

const RELOADS = 50;

function temporary(t: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "proxy-reload-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

/** Each version goes to another app, is balanced otherwise, and is told from the others by a header. */
function policy(version: number, ports: readonly number[]): string {
	const balancer = ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"][version % 3]!;
	return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: ${ports[version % ports.length]}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: orders, namespace: shop}
spec: {host: orders, trafficPolicy: {loadBalancer: {simple: ${balancer}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders]
  http: [{route: [{destination: {host: orders}}], headers: {response: {set: {x-version: "${version}"}}}}]
`;
}

test(`a policy that changes ${RELOADS} times under load costs no request`, async (t) => {
	const directory = temporary(t);
	const file = join(directory, "mesh.yaml");
	const apps = [
		await startApp(t, (message, response) => void message.pipe(response)),
		await startApp(t, (message, response) => void message.pipe(response)),
	];
	const ports = apps.map(({ port }) => port);
	const write = (version: number): void => {
		writeFileSync(`${file}.next`, policy(version, ports));
		renameSync(`${file}.next`, file);
	};
	write(0);
	const shim = await meshscope(t, ["proxy", "--service", "shop/web", "--outbound", "127.0.0.1:0", "--mesh", file]);
	const pool = new Pool(`http://${String(shim.ready["outbound"])}`, { connections: 8 });
	t.after(() => pool.destroy());
	let seen = "";
	const load = startLoad(8, async (index) => {
		const body = index % 4 === 0 ? "x".repeat(20_000) : "";
		const answer = await pool.request({ method: "POST", path: "/", headers: { host: "orders" }, body });
		const length = (await answer.body.arrayBuffer()).byteLength;
		seen = String(answer.headers["x-version"]);
		return length === body.length ? answer.statusCode : 0;
	});
	for (let version = 1; version <= RELOADS; version++) {
		write(version);
		await until(() => (seen === String(version) ? true : undefined), `version ${version}`, 30_000);
	}
	await load.stop();
	assert.deepEqual(load.failures, []);
	assert.ok(load.done > RELOADS);
	assert.equal(await shim.end(), 0);
});

/** One keep-alive connection; only a refused connection may be tried elsewhere, everything else is a failure. */
async function askOn(agent: Agent, port: number, path: string): Promise<number> {
	return new Promise((resolve, reject) => {
		const outgoing = request({ host: "127.0.0.1", port, path, agent, headers: { host: "orders" } }, (response) => {
			response.on("error", reject);
			response.on("end", () => resolve(response.complete ? (response.statusCode ?? 0) : 0));
			response.resume();
		});
		outgoing.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNREFUSED" ? resolve(-1) : reject(error)));
		outgoing.end();
	});
}

/** Keep-alive callers on the port until it refuses them all, after `end` was asked for in the middle of their requests. */
async function endUnderLoad(t: TestContext, port: number, end: () => Promise<unknown>): Promise<unknown> {
	const agent = new Agent({ keepAlive: true, maxSockets: 6 });
	t.after(() => agent.destroy());
	let refused = 0;
	const load = startLoad(
		6,
		async (index) => {
			const status = await askOn(agent, port, `/${index}`);
			if (status === -1) refused++;
			return status;
		},
		(status) => status === 200 || status === -1,
	);
	await load.more(100);
	const ended = end();
	await until(() => (refused >= 6 ? true : undefined), "the port to be closed", 30_000);
	await load.stop();
	assert.deepEqual(load.failures, []);
	return ended;
}

function startSlowApp(t: TestContext): ReturnType<typeof startApp> {
	return startApp(t, (message, response) => {
		// Some answers are on their way when the end is told, and go on after it.
		response.write("first");
		setTimeout(() => response.end("last"), Number(message.url?.slice(1)) % 50);
	});
}

for (const side of ["inbound", "outbound"] as const) {
	test(`a proxy that is told to end under load answers all that it took (${side})`, async (t) => {
		const file = join(temporary(t), "mesh.yaml");
		const app = await startSlowApp(t);
		writeFileSync(file, policy(0, [app.port]));
		const listener =
			side === "inbound" ? ["--inbound", `127.0.0.1:0=127.0.0.1:${app.port}@80`] : ["--outbound", "127.0.0.1:0"];
		const shim = await meshscope(t, ["proxy", "--service", "shop/orders", ...listener, "--mesh", file]);
		const address = side === "inbound" ? (shim.ready["inbound"] as string[])[0]! : String(shim.ready["outbound"]);
		assert.equal(await endUnderLoad(t, Number(address.split(":")[1]), () => shim.end()), 0);
	});
}

for (const tier of ["fast", "correct"] as const) {
	test(`both tiers tell their callers of the end (${tier})`, async (t) => {
		const app = await startSlowApp(t);
		const inbound = [{ listen: ANY, app, servicePort: 80, protocol: "http" as const }];
		const shim = await proxyFor(t, { workload: workload("orders"), inbound }, config(), recordingSink(), { tier });
		const { port } = shim.addresses.inbound[0]!;
		assert.equal(await endUnderLoad(t, port, () => shim.drain(20_000)), true);
	});
}

/** Callers over HTTP/2 that open another session when they are told of the end, and take no refused stream for an answer. */
test("HTTP/2 callers are told of the end before it comes: what crosses the news is answered", async (t) => {
	const app = await startSlowApp(t);
	const inbound = [{ listen: ANY, app, servicePort: 80, protocol: "http" as const }];
	const shim = await proxyFor(t, { workload: workload("orders"), inbound }, config(), recordingSink());
	const { port } = shim.addresses.inbound[0]!;
	let refused = 0;
	/** One caller's; undefined once it is told that the session ends. */
	const sessions: (ClientHttp2Session | undefined)[] = [];
	const sessionOf = async (caller: number): Promise<ClientHttp2Session | undefined> => {
		const known = sessions[caller];
		if (known !== undefined) return known;
		const session = connect(`http://127.0.0.1:${port}`);
		t.after(() => session.destroy());
		let isRefused = false;
		session.on("error", (error: NodeJS.ErrnoException) => (isRefused = error.code === "ECONNREFUSED"));
		session.on("goaway", () => (sessions[caller] = undefined));
		session.on("close", () => sessions[caller] === session && (sessions[caller] = undefined));
		await until(() => (session.connecting && !session.destroyed ? undefined : true), "a connection", 30_000);
		if (session.destroyed && isRefused) return undefined;
		sessions[caller] = session;
		return session;
	};
	const load = startLoad(
		4,
		async (index) => {
			const session = await sessionOf(index % 4);
			if (session === undefined) {
				refused++;
				return -1;
			}
			// Several at once, so that some are always on their way.
			const streams = Array.from({ length: 5 }, async (_, i) => {
				const stream = session.request({ ":path": `/${index + i}`, ":authority": "orders" });
				const body = await text(stream);
				if (body !== "firstlast") throw new Error(`${stream.rstCode} ${body}`);
			});
			await Promise.all(streams);
			return 200;
		},
		(status) => status === 200 || status === -1,
	);
	await load.more(40);
	const ended = shim.drain(20_000);
	await until(() => (refused >= 4 ? true : undefined), "the port to be closed", 30_000);
	await load.stop();
	assert.deepEqual(load.failures, []);
	assert.equal(await ended, true);
});

test("a connection that was taken before the end, and is at its handshake, gets its answer", async (t) => {
	const authority = makeAuthority("mesh root");
	const web = makeIdentity(authority, "web");
	const app = await startApp(t, (_message, response) => void response.end("served"));
	const shim = await proxyFor(
		t,
		{ workload: workload("orders"), inbound: [{ listen: ANY, app, servicePort: 80, protocol: "http" }] },
		config({ inbound: inboundConfig({ mtls: { mode: "strict", byPort: new Map(), policy: "" } }) }),
		recordingSink(),
		{ identity: createMemoryIdentity(makeIdentity(authority, "orders")) },
	);
	const { port } = shim.addresses.inbound[0]!;
	const dial = async (): Promise<Socket> => {
		const socket = dialTcp(port, "127.0.0.1");
		await once(socket, "connect");
		return socket;
	};
	const askOver = async (socket: Socket): Promise<string> => {
		const { chainPem: cert, keyPem: key, rootsPem } = web;
		const secure = connectTls({ socket, cert, key, ca: [...rootsPem], checkServerIdentity: () => undefined });
		secure.on("error", () => {});
		secure.write("GET / HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n");
		return text(secure);
	};
	const early = await dial();
	// Connections are taken in their order: when this one is answered, the one before it was taken.
	assert.match(await askOver(await dial()), /served/);
	const ended = shim.drain(20_000);
	assert.match(await askOver(early), /connection: close[^]*served/);
	assert.equal(await ended, true);
});
