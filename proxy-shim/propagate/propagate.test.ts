import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import type { IncomingHttpHeaders } from "node:http";
import { connect, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server as NetServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import * as grpc from "@grpc/grpc-js";

const PRELOAD = join(import.meta.dirname, "propagate.js");
const WAYS = ["http", "fetch", "http2", "http2-list", "grpc"] as const;
const KINDS = ["relay.mjs", "relay.cjs"] as const;
const OTHER = "00-11111111111111111111111111111111-2222222222222222-01";

interface Relay {
	readonly http: number;
	readonly http2: number;
	readonly grpc: number;
}

const closing: (() => unknown)[] = [];
const relays = new Map<string, Relay>();
/** What every target answers: the headers that reached it. */
const seen = (headers: IncomingHttpHeaders): string => JSON.stringify(headers);

before(async () => {
	const http = createServer((incoming, response) => void response.end(seen(incoming.headers)));
	const h2c = createHttp2Server((incoming, response) => void response.end(seen(incoming.headers)));
	const calls = new grpc.Server();
	const bytes = (value: string): Buffer => Buffer.from(value);
	calls.addService(
		{
			headers: {
				path: "/echo.Echo/Headers",
				requestStream: false,
				responseStream: false,
				requestSerialize: bytes,
				requestDeserialize: String,
				responseSerialize: bytes,
				responseDeserialize: String,
			},
		},
		{
			headers: (call: grpc.ServerUnaryCall<string, string>, callback: grpc.sendUnaryData<string>) =>
				callback(null, JSON.stringify(call.metadata.getMap())),
		},
	);
	const grpcPort = await new Promise<number>((resolve, reject) =>
		calls.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
			error === null ? resolve(port) : reject(error),
		),
	);
	const sessions = new Set<{ destroy(): void }>();
	h2c.on("session", (session) => sessions.add(session));
	closing.push(
		() => calls.forceShutdown(),
		() => http.close().closeAllConnections(),
		() => h2c.close(),
		() => sessions.forEach((session) => session.destroy()),
	);
	const target = [await listen(http), await listen(h2c), grpcPort].map((port) => `127.0.0.1:${port}`).join(",");
	for (const kind of KINDS) relays.set(kind, await startRelay(kind, target, ["--import", PRELOAD]));
	relays.set("no preload", await startRelay("relay.mjs", target, []));
});

after(async () => {
	for (const close of closing.toReversed()) await close();
});

async function listen(server: NetServer | ReturnType<typeof createHttp2Server>): Promise<number> {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return (server.address() as AddressInfo).port;
}

async function startRelay(file: string, target: string, flags: readonly string[]): Promise<Relay> {
	const path = join(import.meta.dirname, "fixtures", file);
	const child = spawn(process.execPath, [...flags, path, target], { stdio: ["ignore", "pipe", "inherit"] });
	closing.push(async () => {
		const gone = once(child, "exit");
		if (child.kill("SIGKILL")) await gone;
	});
	const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
	return JSON.parse(line) as Relay;
}

type Headers = Readonly<Record<string, string>>;

/** Asks a relay over HTTP/1.1, with a body in two pieces, and tells the headers that its target saw. */
function ask(port: number, path: string, headers: Headers, agent?: Agent): Promise<Headers> {
	return new Promise((resolve, reject) => {
		const outgoing = request(
			{ port, host: "127.0.0.1", path, method: "POST", headers, ...(agent && { agent }) },
			(response) => {
				let text = "";
				response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
				response.on("end", () =>
					response.statusCode === 200 ? resolve(JSON.parse(text) as Headers) : reject(new Error(text)),
				);
			},
		);
		outgoing.on("error", reject);
		outgoing.write("a");
		setImmediate(() => outgoing.end("b"));
	});
}

function trace(n: number): string {
	return `00-${n.toString(16).padStart(32, "0")}-${n.toString(16).padStart(16, "0")}-01`;
}

const CONTEXT = {
	traceparent: trace(7),
	tracestate: "vendor=1",
	b3: "7-7-1",
	"x-b3-traceid": "7",
	"x-request-id": "request-7",
	baggage: "user=7",
};

for (const kind of KINDS) {
	for (const way of WAYS) {
		// First, so that calls of gRPC wait for their connection, which is opened in the context of one of them.
		test(`${kind}: requests at the same time over ${way}, on few connections, keep their own`, async () => {
			const agent = new Agent({ keepAlive: true, maxSockets: 3 });
			const numbers = Array.from({ length: 24 }, (_, i) => i + 1);
			const got = await Promise.all(
				numbers.map((n) =>
					ask(
						relays.get(kind)!.http,
						`/${way}?waitMs=${(n * 7) % 20}`,
						n % 3 === 2 ? {} : { traceparent: trace(n) },
						agent,
					),
				),
			);
			agent.destroy();
			assert.deepEqual(
				got.map((headers) => headers["traceparent"]),
				numbers.map((n) => (n % 3 === 2 ? undefined : trace(n))),
			);
		});

		test(`${kind}: what names the trace goes on over ${way}`, async () => {
			const got = await ask(relays.get(kind)!.http, `/${way}`, { ...CONTEXT, "x-other": "not this" });
			assert.deepEqual(pick(got, Object.keys(CONTEXT)), CONTEXT);
			assert.equal(got["x-other"], undefined);
		});

		test(`${kind}: a trace that the app names itself over ${way} is left alone, with all that belongs to it`, async () => {
			const got = await ask(relays.get(kind)!.http, `/${way}?own=traceparent:${OTHER}`, CONTEXT);
			assert.equal(got["traceparent"], OTHER);
			assert.equal(got["tracestate"], undefined);
			assert.equal(got["b3"], undefined);
			assert.equal(got["x-request-id"], CONTEXT["x-request-id"]);
			assert.equal(got["baggage"], CONTEXT.baggage);
		});
	}

	test(`${kind}: streams of one HTTP/2 connection keep their own`, async () => {
		const session = connect(`http://127.0.0.1:${relays.get(kind)!.http2}`);
		const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
		const got = await Promise.all(
			numbers.map(
				(n) =>
					new Promise<string | undefined>((resolve, reject) => {
						const stream = session.request({
							":method": "POST",
							":path": `/${WAYS[n % WAYS.length]}?waitMs=${(n * 7) % 20}${n % 2 === 0 ? "" : "&early"}`,
							...(n % 3 === 0 ? {} : { traceparent: trace(n) }),
						});
						let text = "";
						stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
						stream.on("end", () => resolve((JSON.parse(text) as Headers)["traceparent"])).on("error", reject);
						stream.write("a");
						setTimeout(() => stream.end("b"), 5);
					}),
			),
		);
		session.destroy();
		assert.deepEqual(
			got,
			numbers.map((n) => (n % 3 === 0 ? undefined : trace(n))),
		);
	});
}

test("a gRPC server forwards what its call came with", async () => {
	const client = new grpc.Client(`127.0.0.1:${relays.get("relay.mjs")!.grpc}`, grpc.credentials.createInsecure());
	const got = await Promise.all(
		WAYS.map(
			(way, n) =>
				new Promise<string | undefined>((resolve, reject) => {
					const metadata = new grpc.Metadata();
					metadata.set("traceparent", trace(n + 1));
					client.makeUnaryRequest("/relay.Relay/Call", Buffer.from, String, way, metadata, (error, text) =>
						error === null ? resolve((JSON.parse(text ?? "") as Headers)["traceparent"]) : reject(error),
					);
				}),
		),
	);
	client.close();
	assert.deepEqual(
		got,
		WAYS.map((_, n) => trace(n + 1)),
	);
});

test("an app without the preload forwards nothing: the tests above test the preload", async () => {
	for (const way of WAYS) {
		const got = await ask(relays.get("no preload")!.http, `/${way}`, CONTEXT);
		assert.deepEqual(pick(got, Object.keys(CONTEXT)), {}, way);
	}
});

test("what cannot be a header costs the app neither its request nor its answer", async () => {
	// Node's parser lets bytes above ASCII in, and no header with them out of fetch.
	const got = await ask(relays.get("relay.mjs")!.http, "/fetch", { traceparent: trace(3), baggage: "näme=1" });
	assert.equal(got["traceparent"], trace(3));
});

test("the package exports the preload", async () => {
	const root = join(import.meta.dirname, "../..");
	const script = 'process.exit(globalThis[Symbol.for("meshscope.propagate")] === true ? 0 : 1)';
	const child = spawn(process.execPath, ["--import", "meshscope/propagate", "-e", script], { cwd: root, stdio: "inherit" });
	assert.deepEqual(await once(child, "exit"), [0, null]);
});

function pick(headers: Headers, names: readonly string[]): Headers {
	return Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])));
}
