import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { type Admin, type AdminOptions, startAdmin } from "./admin.ts";
import { dumpJson } from "./dump.ts";

let admin: Admin;
let drains = 0;
let state = { ready: true, reason: "" };
let configDump: () => unknown = () => ({});

const options: AdminOptions = {
	port: 0,
	allowedHosts: ["proxy.internal"],
	nowMs: () => Date.UTC(2026, 0, 1),
	ready: () => state,
	stats: () => "up 1\n",
	configDump: () => configDump(),
	clusters: () => [
		{
			name: "cart|8080|",
			loadBalancer: "least_request",
			hosts: [
				{
					id: "cart-1",
					address: "10.0.0.7",
					port: 15006,
					healthy: true,
					ejectedForMs: 1_200,
					ejections: 1,
					activeRequests: 3,
					ewmaMs: 1.5,
					principal: "spiffe://demo.local/ns/demo/sa/cart",
				},
			],
			activeRequests: 3,
			pendingRequests: 0,
			activeRetries: 0,
			connections: 2,
			limits: { maxRequests: 1024 },
			breaker: "closed",
		},
	],
	identities: () => [
		{
			principal: "spiffe://demo.local/ns/demo/sa/shop",
			chainPem: "no certificate",
			keyPem: "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----",
			rootsPem: [],
			notBeforeMs: 0,
			notAfterMs: Date.UTC(2026, 0, 1) + 90_000,
		},
	],
	drain: () => void drains++,
};

before(async () => {
	admin = await startAdmin(options);
});
after(() => admin.close());

interface Answered {
	readonly status: number;
	readonly body: string;
	readonly headers: Readonly<Record<string, unknown>>;
}

async function ask(path: string, method = "GET", headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
	const { promise, resolve, reject } = Promise.withResolvers<Answered>();
	const call = request({ host: admin.host, port: admin.port, path, method, headers, agent: false }, (response) => {
		let body = "";
		response.on("data", (part: Buffer) => (body += part.toString()));
		response.on("end", () => resolve({ status: response.statusCode!, body, headers: response.headers }));
	});
	call.on("error", reject);
	call.end();
	return promise;
}

test("it is on loopback unless told otherwise, and tells what it has", async () => {
	assert.equal(admin.host, "127.0.0.1");
	const { status, body } = await ask("/");
	assert.equal(status, 200);
	for (const path of ["/ready", "/stats", "/config_dump", "/clusters", "/certs", "/drain"])
		assert.ok(body.includes(path), path);
});

test("/ready is 200 while it takes requests, else 503 with the reason", async () => {
	assert.deepEqual([(await ask("/ready")).status, (await ask("/ready")).body], [200, "ready\n"]);
	state = { ready: false, reason: "no certificate yet" };
	assert.deepEqual([(await ask("/ready")).status, (await ask("/ready")).body], [503, "no certificate yet\n"]);
	state = { ready: true, reason: "" };
});

test("/stats is Prometheus text, /clusters says who is ejected and how busy", async () => {
	const stats = await ask("/stats");
	assert.equal(stats.body, "up 1\n");
	assert.equal(stats.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
	const [cluster] = JSON.parse((await ask("/clusters")).body) as { hosts: { ejectedForMs: number }[]; breaker: string }[];
	assert.deepEqual([cluster!.hosts[0]!.ejectedForMs, cluster!.breaker], [1_200, "closed"]);
});

test("no key, token or password leaves by any page", async () => {
	configDump = () => ({
		version: "7",
		control: { url: "https://control", token: "t0ken", joinToken: "t0ken" },
		tls: { keyPem: "t0ken", chain: "-----BEGIN PRIVATE KEY-----t0ken" },
		clusters: new Map([["a|80|", { on: new Set(["reset"]), pattern: /^\/a/, count: 5n, infinite: Infinity }]]),
	});
	const { body } = await ask("/config_dump");
	assert.ok(!body.includes("t0ken"), body);
	const dump = JSON.parse(body) as { clusters: Record<string, unknown> };
	assert.deepEqual(dump.clusters["a|80|"], { on: ["reset"], pattern: "/^\\/a/", count: "5", infinite: "Infinity" });
	const certs = await ask("/certs");
	assert.ok(!certs.body.includes("secret"), certs.body);
	assert.deepEqual(JSON.parse(certs.body), [
		{ principal: "spiffe://demo.local/ns/demo/sa/shop", expiresInSeconds: 90, chain: [], roots: [] },
	]);
});

test("what refers to itself is dumped to a depth, and a provider that fails costs its page alone", async () => {
	const circle: { self?: unknown; list: unknown[] } = { list: [] };
	circle.self = circle;
	circle.list.push(circle.list);
	assert.ok(dumpJson({ self: circle.self }).length < 1 << 30);
	configDump = () => {
		throw new Error("inner detail");
	};
	const failed = await ask("/config_dump");
	assert.equal(failed.status, 500);
	assert.ok(!failed.body.includes("inner detail"));
	assert.equal((await ask("/ready")).status, 200);
});

test("a name that is not allowed is refused, so that no page can read it by pointing a name here", async () => {
	for (const [host, status] of [
		["evil.example", 403],
		["localhost.evil.example", 403],
		["a:b:c", 403],
		["localhost:4000", 200],
		["LOCALHOST", 200],
		["proxy.internal:15000", 200],
		["127.0.0.1", 200],
		["10.1.2.3:15000", 200],
		["[::1]:15000", 200],
	] as const)
		assert.equal((await ask("/ready", "GET", { host })).status, status, host);
});

test("draining is asked by POST, from no other site, and begins once", async () => {
	assert.equal((await ask("/drain")).status, 405);
	assert.equal((await ask("/drain")).headers["allow"], "POST");
	assert.equal((await ask("/drain", "POST", { origin: "http://evil.example" })).status, 403);
	assert.equal((await ask("/drain", "POST", { "sec-fetch-site": "cross-site" })).status, 403);
	assert.equal(drains, 0);
	assert.equal((await ask("/drain", "POST")).status, 202);
	assert.equal((await ask("/drain", "POST", { origin: `http://127.0.0.1:${admin.port}` })).status, 202);
	assert.equal((await ask("/drain", "POST")).status, 202);
	assert.equal(drains, 1);
	assert.deepEqual([(await ask("/ready")).status, (await ask("/ready")).body], [503, "draining\n"]);
});

test("unknown paths and methods are told so; HEAD has no body; garbage ends its own connection", async () => {
	assert.equal((await ask("/nothing")).status, 404);
	assert.equal((await ask("/stats", "DELETE")).status, 405);
	assert.deepEqual([(await ask("/stats", "HEAD")).status, (await ask("/stats", "HEAD")).body], [200, ""]);
	const socket = connect(admin.port, admin.host);
	socket.on("error", () => undefined);
	socket.end("\x16\x03\x01 not HTTP\r\n\r\n");
	const ended = once(socket, "close");
	socket.resume();
	await ended;
	assert.equal((await ask("/stats")).status, 200);
});
