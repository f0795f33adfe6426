/** Upstreams that answer badly. Whatever they send, the proxy lives on, and no caller takes what is broken for a whole answer. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import type { Tier } from "../../proxy-shim/http/server.ts";
import { ANY, config, endpointAt, proxyFor, recordingSink, routed, workload } from "./rig.ts";

/** Any number is one of these statuses, given to the caller as they came; `broken`: an error of the proxy's, or a response that breaks off. */
type Outcome = number | "broken";

const head = "HTTP/1.1 200 OK\r\n";
const CASES: Readonly<Record<string, readonly [bytes: string, outcome: Outcome]>> = {
	plain: [`${head}content-length: 2\r\n\r\nok`, 200],
	"until the end of the connection": [`${head}connection: close\r\n\r\nok`, 200],
	"two content types": [`${head}content-type: a/b\r\ncontent-type: c/d\r\ncontent-length: 0\r\n\r\n`, 200],
	"two dates": [`${head}date: x\r\ndate: y\r\ncontent-length: 0\r\n\r\n`, 200],
	"reason in UTF-8": [`HTTP/1.1 200 ${Buffer.from("Ünïcödé ✓").toString("latin1")}\r\ncontent-length: 0\r\n\r\n`, 200],
	"no reason": ["HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200],
	"bytes beyond ASCII": [`${head}x-name: \xe9\xff\r\ncontent-length: 0\r\n\r\n`, 200],
	"early hints without a link": [`HTTP/1.1 103 Early Hints\r\nx: 1\r\n\r\n${head}content-length: 0\r\n\r\n`, 200],
	"early hints with nonsense": [`HTTP/1.1 103 Early Hints\r\nlink: nonsense\r\n\r\n${head}content-length: 0\r\n\r\n`, 200],
	processing: [`HTTP/1.1 102 Processing\r\n\r\n${head}content-length: 0\r\n\r\n`, 200],
	"unknown 1xx": [`HTTP/1.1 199 Soon\r\n\r\n${head}content-length: 0\r\n\r\n`, 200],
	"trailers that would frame": [`${head}transfer-encoding: chunked\r\n\r\n0\r\nhost: x\r\nx-sum: 1\r\n\r\n`, 200],
	"status 299": ["HTTP/1.1 299 Odd\r\ncontent-length: 0\r\n\r\n", 299],
	"status 599": ["HTTP/1.1 599 Odd\r\ncontent-length: 0\r\n\r\n", 599],
	"no HTTP at all": ["SSH-2.0-OpenSSH\r\n", "broken"],
	nothing: ["", "broken"],
	"half a head": [`${head}content-le`, "broken"],
	"NUL in a value": [`${head}x: a\x00b\r\ncontent-length: 0\r\n\r\n`, "broken"],
	"two lengths": [`${head}content-length: 2\r\ncontent-length: 3\r\n\r\nabc`, "broken"],
	"length and chunked": [`${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, "broken"],
	"bad length": [`${head}content-length: -1\r\n\r\n`, "broken"],
	"short body": [`${head}content-length: 100\r\n\r\nabc`, "broken"],
	"bad chunk": [`${head}transfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n`, "broken"],
	"chunks that break off": [`${head}transfer-encoding: chunked\r\n\r\n5\r\nabc`, "broken"],
	"a huge head": [`${head}x: ${"a".repeat(200_000)}\r\n\r\n`, "broken"],
	"an upgrade that nobody asked for": ["HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "broken"],
	"101 without upgrade": ["HTTP/1.1 101 Switching\r\n\r\n", "broken"],
	"status 99": ["HTTP/1.1 99 Low\r\ncontent-length: 0\r\n\r\n", "broken"],
	"status 1000": ["HTTP/1.1 1000 High\r\ncontent-length: 0\r\n\r\n", "broken"],
};

async function rawServer(t: TestContext, bytes: string) {
	const server = createServer((socket) => {
		socket.on("error", () => {});
		socket.once("data", () => socket.end(bytes, "latin1"));
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function askHttp1(port: number): Promise<Outcome> {
	return new Promise((resolve) => {
		const outgoing = request({ host: "127.0.0.1", port, headers: { host: "orders" }, agent: false }, (response) => {
			response.resume();
			response.on("error", () => resolve("broken"));
			response.on("end", () =>
				resolve(response.statusCode === 502 || response.statusCode === 503 ? "broken" : response.statusCode!),
			);
		});
		outgoing.on("error", () => resolve("broken"));
		outgoing.end();
	});
}

function askOverHttp2(client: ClientHttp2Session): Promise<Outcome> {
	return new Promise((resolve) => {
		const stream = client.request({ ":path": "/", ":authority": "orders" });
		let status = 0;
		stream.on("error", () => {});
		stream.on("response", (headers) => (status = Number(headers[":status"])));
		stream.resume();
		stream.on("close", () => resolve(stream.rstCode === 0 && status !== 502 && status !== 503 ? status : "broken"));
	});
}

for (const tier of ["fast", "correct"] as const satisfies readonly Tier[]) {
	test(`the ${tier} tier survives every answer, over HTTP/1.1 and HTTP/2, and tells each`, async (t) => {
		const sink = recordingSink();
		const proxy = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config(), sink, { tier });
		const { port } = proxy.addresses.outbound!;
		const client = connectHttp2(`http://127.0.0.1:${port}`);
		client.on("error", () => {});
		t.after(() => client.destroy());
		let asked = 0;
		for (const [name, [bytes, outcome]] of Object.entries(CASES)) {
			const upstream = await rawServer(t, bytes);
			proxy.setConfig(config({ routes: [routed("orders", [endpointAt(upstream)])] }));
			assert.equal(await askHttp1(port), outcome, `${name} over HTTP/1.1`);
			assert.equal(await askOverHttp2(client), outcome, `${name} over HTTP/2`);
			asked += 2;
		}
		const hops = await sink.hops("outbound", asked);
		assert.equal(hops.length, asked);
	});
}
