import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { textFrame } from "./notifications.ts";
import { encodeCommand, RespReader } from "./resp.ts";
import type { RespValue } from "./resp.ts";
import { answer } from "./store.ts";

const NAMES = ["cart", "catalogue", "checkout", "inventory", "legacy-billing", "notifications", "payments", "reporting"];
NAMES.push("reviews", "shipping", "store", "storefront", "visitors");
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** Who was called with which headers; the shim of this mesh is one and has no policy. */
const calls: { readonly service: string; readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
const closing: (() => unknown)[] = [];
/** What came to the collector that the apps were told of. */
const logRecords: { readonly service: string; readonly severity: string; readonly text: string; readonly trace: string }[] = [];
const ports = new Map<string, number>();
let shim = "";

before(async () => {
	shim = `127.0.0.1:${await startShim()}`;
	const collector = `http://127.0.0.1:${await startCollector()}`;
	for (const name of NAMES) ports.set(name, await freePort());
	const settings = (name: string): object => ({
		port: ports.get(name),
		shim,
		store: `127.0.0.1:${ports.get("store")}`,
		requestRate: 20,
	});
	const own = ["checkout", "reporting", "visitors"];
	run(
		collector,
		["--import", join(import.meta.dirname, "../../proxy-shim/propagate/propagate.js")],
		Object.fromEntries(own.map((name) => [name, settings(name)])),
	);
	const others = NAMES.filter((name) => !own.includes(name));
	run(collector, [], Object.fromEntries(others.map((name) => [name, settings(name)])));
	for (const name of others) await untilListens(ports.get(name)!);
	await untilListens(ports.get("checkout")!);
});

after(async () => {
	for (const close of closing.toReversed()) await close();
});

function run(collector: string, flags: readonly string[], apps: object): void {
	const args = [...flags, join(import.meta.dirname, "run.ts"), JSON.stringify(apps)];
	const child = spawn(process.execPath, args, { stdio: ["pipe", "inherit", "inherit"] });
	child.stdin.write(`logs ${collector}\n`);
	closing.push(async () => {
		const gone = once(child, "exit");
		child.stdin.end();
		assert.deepEqual(await gone, [0, null], "an app ends with the one who started it");
	});
}

interface SentLogs {
	readonly resourceLogs: readonly {
		readonly resource: { readonly attributes: readonly { readonly value: { readonly stringValue: string } }[] };
		readonly scopeLogs: readonly {
			readonly logRecords: readonly {
				readonly severityText: string;
				readonly body: { readonly stringValue: string };
				readonly traceId?: string;
				readonly spanId?: string;
			}[];
		}[];
	}[];
}

async function startCollector(): Promise<number> {
	const server = createServer((incoming, response) => {
		let text = "";
		incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
		incoming.on("end", () => {
			response.end("{}");
			for (const { resource, scopeLogs } of (JSON.parse(text) as SentLogs).resourceLogs)
				for (const { severityText, body, traceId, spanId } of scopeLogs.flatMap((scope) => scope.logRecords))
					logRecords.push({
						service: resource.attributes[0]?.value.stringValue ?? "",
						severity: severityText,
						text: body.stringValue,
						trace: `00-${traceId}-${spanId}-01`,
					});
		});
	});
	closing.push(() => server.close().closeAllConnections());
	return await listen(server);
}

/** By the Host header; what begins as HTTP/2 is gRPC and goes to payments. */
async function startShim(): Promise<number> {
	const http = createServer((incoming, response) => {
		const { pathname } = new URL(incoming.url ?? "/", "http://shim");
		const [service = ""] = (incoming.headers.host ?? "").split(":");
		calls.push({ service, path: pathname, headers: incoming.headers });
		const { method, headers, url } = incoming;
		const outgoing = httpRequest({ host: "127.0.0.1", port: ports.get(service), path: url, method, headers }, (answered) => {
			response.writeHead(answered.statusCode ?? 502, answered.headers);
			answered.pipe(response);
		});
		outgoing.on("error", () => response.writeHead(502).end());
		incoming.pipe(outgoing);
	});
	http.on("upgrade", (incoming, socket: Socket) => {
		calls.push({ service: "notifications", path: "upgrade", headers: incoming.headers });
		const { method, headers, url } = incoming;
		const outgoing = httpRequest({ host: "127.0.0.1", port: ports.get("notifications"), path: url, method, headers });
		outgoing.on("upgrade", (answered, upstream) => {
			const head = Object.entries(answered.headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
			socket.write(`HTTP/1.1 101 Switching Protocols\r\n${head.join("")}\r\n`);
			join2(socket, upstream);
		});
		outgoing.on("error", () => socket.destroy());
		outgoing.end();
	});
	const server = createTcpServer((socket) => {
		socket.on("error", () => socket.destroy());
		socket.once("data", (first: Buffer) => {
			socket.pause();
			socket.unshift(first);
			if (!first.toString("latin1").startsWith("PRI ")) http.emit("connection", socket);
			else {
				calls.push({ service: "payments", path: "grpc", headers: {} });
				join2(socket, connect(ports.get("payments")!, "127.0.0.1"));
			}
			process.nextTick(() => socket.resume());
		});
	});
	const sockets = new Set<Socket>();
	server.on("connection", (socket) => sockets.add(socket));
	closing.push(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return listen(server);
}

function join2(a: Socket, b: Socket): void {
	for (const [from, to] of [
		[a, b],
		[b, a],
	] as const) {
		from.pipe(to);
		from.on("error", () => to.destroy());
		from.on("close", () => to.destroy());
	}
}

async function listen(server: Server): Promise<number> {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
	const server = createTcpServer();
	const port = await listen(server);
	server.close();
	await once(server, "close");
	return port;
}

async function untilListens(port: number): Promise<void> {
	for (let tries = 0; ; tries++) {
		const socket = connect(port, "127.0.0.1");
		const failure = await once(socket, "connect").then(
			() => undefined,
			(error: unknown) => error,
		);
		socket.destroy();
		if (failure === undefined) return;
		if (tries > 100) throw failure;
		await delay(50);
	}
}

async function get(
	name: string,
	path: string,
	init: RequestInit = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
	const response = await fetch(`http://127.0.0.1:${ports.get(name)}${path}`, init);
	return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** The services that calls of one trace reached. */
function reached(traceparent: string): readonly string[] {
	return calls
		.filter((one) => one.headers["traceparent"] === traceparent)
		.map((one) => one.service)
		.toSorted();
}

test("the page is made of what four services say, and its trace ends at the one that forwards nothing", async () => {
	const { status, body } = await get("storefront", "/", { headers: { traceparent: TRACE } });
	assert.equal(status, 200);
	assert.match(JSON.stringify(body["products"]), /Teapot/);
	assert.match(JSON.stringify(body["reviews"]), /It pours/);
	assert.match(JSON.stringify(body["cart"]), /"items":"1 teapot","visits":\d/);
	assert.deepEqual(
		reached(TRACE).filter((service) => service !== "inventory"),
		["cart", "catalogue", "reviews"],
	);
	const gap = calls.find((one) => one.service === "catalogue" && one.path === "/products/1");
	assert.ok(gap !== undefined && gap.headers["traceparent"] === undefined);
});

test("an order goes to five services, and the preload forwards what the checkout does not", async () => {
	const traceparent = TRACE.replace("0af7", "0af8");
	const { status, body } = await get("checkout", "/orders", { method: "POST", headers: { traceparent } });
	// One card in fifty is declined, and couriers have their waves.
	assert.ok([200, 402, 502].includes(status), String(status));
	if (status === 200) assert.match(JSON.stringify(body["payment"]), /charge-/);
	for (const service of ["cart", "shipping", "legacy-billing"]) assert.ok(reached(traceparent).includes(service), service);
	assert.ok(calls.some((one) => one.service === "payments"));
});

test("what an app logs is in the trace that it is about", async () => {
	const traceparent = TRACE.replace("0af7", "0afb");
	const { status, body } = await get("cart", "/carts/nobody", { headers: { traceparent } });
	assert.equal(status, 200, JSON.stringify(body));
	const failing = TRACE.replace("0af7", "0afc");
	// Couriers fail in waves: whatever an order comes to, it is said once.
	const answer = await get("checkout", "/orders", { method: "POST", headers: { traceparent: failing } });
	const said = (): typeof logRecords => logRecords.filter(({ trace, service }) => trace === failing && service === "checkout");
	for (let tries = 0; tries < 100 && said().length === 0; tries++) await delay(50);
	const [record, ...more] = said();
	assert.deepEqual(more, []);
	const expected = { 200: ["INFO", /^order \d+ is on its way, charge-/], 402: ["WARN", /card declined$/] } as const;
	const [severity, text] = expected[answer.status as keyof typeof expected] ?? [
		"ERROR",
		/answered 502: order \d+ has no courier$/,
	];
	assert.equal(record?.severity, severity);
	assert.match(record.text, text);
	assert.ok(
		logRecords.every(({ trace }) => trace !== traceparent),
		"nothing is said of what went well",
	);
});

test("visitors come, one stays connected, and reporting asks for carts", async () => {
	const has = (service: string, path: string): boolean => calls.some((one) => one.service === service && one.path === path);
	for (let tries = 0; tries < 100 && !(has("notifications", "upgrade") && has("cart", "/carts/everybody")); tries++)
		await delay(50);
	assert.ok(has("storefront", "/"));
	assert.ok(has("notifications", "upgrade"));
	assert.ok(has("cart", "/carts/everybody"));
});

test("a WebSocket client of another make is told of orders", async () => {
	const socket = new WebSocket(`ws://127.0.0.1:${ports.get("notifications")}/orders`);
	const messages: string[] = [];
	socket.addEventListener("message", (event) => messages.push(String(event.data)));
	await new Promise((resolve, reject) => {
		socket.addEventListener("open", resolve);
		socket.addEventListener("error", reject);
	});
	await get("notifications", "/orders", { method: "POST", body: '{"orderId":"77"}' });
	for (let tries = 0; tries < 100 && !messages.some((text) => text.includes("77")); tries++) await delay(20);
	assert.deepEqual(messages[0], '{"hello":"visitor"}');
	assert.ok(messages.some((text) => text === '{"orderId":"77"}'));
	socket.close();
	await new Promise((resolve) => socket.addEventListener("close", resolve));
	assert.equal(textFrame("x".repeat(1_000)).length, 127);
});

test("apps in Python answer as their twins in Node do", { skip: hasPython ? false : "no python3 on this machine" }, async () => {
	const folder = join(import.meta.dirname, "python");
	for (const name of ["catalogue", "inventory"]) {
		const port = await freePort();
		const child = spawn("python3", ["-B", join(folder, `${name}.py`), String(port), shim, "v1"], {
			stdio: ["pipe", "inherit", "inherit"],
		});
		const gone = once(child, "exit");
		await untilListens(port);
		for (const path of ["/products", "/products/2"]) {
			const traceparent = TRACE.replace("0af7", name === "catalogue" ? "0af9" : "0afa");
			const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { traceparent } });
			assert.deepEqual(await response.json(), (await get(name, path)).body);
			if (name === "catalogue") assert.deepEqual(reached(traceparent), ["inventory"]);
		}
		child.stdin.end();
		assert.deepEqual(await gone, [0, null]);
	}
});

test("a RESP reader tells whole values, however their bytes come", () => {
	const bytes = Buffer.from(`${encodeCommand(["SET", "kö", "a\r\nb"])}:42\r\n$-1\r\n+OK\r\n*0\r\n`);
	const expected: RespValue[] = [["SET", "kö", "a\r\nb"], 42, undefined, "OK", []];
	for (let size = 1; size <= bytes.length; size++) {
		const got: RespValue[] = [];
		const reader = new RespReader((value) => got.push(value));
		for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
		assert.deepEqual(got, expected);
	}
	assert.throws(() => new RespReader(() => undefined).push(Buffer.from("GET x\r\n")), /no RESP/);
});

test("the store keeps what it is told", () => {
	const values = new Map<string, string>();
	const say = (...command: string[]): string => answer(values, command);
	assert.equal(say("ping"), "+PONG\r\n");
	assert.equal(say("GET", "a"), "$-1\r\n");
	assert.equal(say("SET", "a", "1"), "+OK\r\n");
	assert.equal(say("INCR", "a"), ":2\r\n");
	assert.equal(say("GET", "a"), "$1\r\n2\r\n");
	assert.equal(say("DEL", "a"), ":1\r\n");
	assert.match(say("FLUSHALL"), /^-ERR unknown command/);
});
