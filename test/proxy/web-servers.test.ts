/**
 * nginx and Caddy behind proxies: what a caller gets through them is what it gets without them, field by field and byte by byte, and
 * the habits of servers (few requests a connection, short idle times) cost no request.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:http2";
import type { IncomingHttpHeaders } from "node:http2";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { Pool } from "undici";
import { skipUnless } from "../interop/fetch/cache.ts";
import { fetchDebianProgram } from "../interop/fetch/debian.ts";
import { startLoad } from "./load.ts";
import { ANY, config, endpointAt, pair, proxyFor, recordingSink, routed, workload } from "./rig.ts";
import { layFiles, startCaddy, startNginx } from "./web-servers.ts";

const withoutNginx = await skipUnless(() => fetchDebianProgram("nginx"));
const withoutCaddy = await skipUnless(() => fetchDebianProgram("caddy"));

interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: Buffer;
}

interface Ask {
	readonly method?: string;
	readonly path: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: Buffer;
}

async function ask(port: number, { method = "GET", path, headers = {}, body }: Ask): Promise<Answer> {
	const outgoing = request({ host: "127.0.0.1", port, method, path, agent: false, headers: { host: "orders", ...headers } });
	// A server that has answered need not read the rest.
	const failed = new Promise<never>((_, reject) => outgoing.once("error", reject));
	outgoing.end(body);
	const [response] = (await Promise.race([once(outgoing, "response"), failed])) as [IncomingMessage];
	outgoing.on("error", () => {});
	const content = await buffer(response);
	assert.ok(response.complete);
	return { status: response.statusCode ?? 0, headers: response.headers, body: content };
}

/** Of a connection, or of the moment. */
const OWN_FIELDS: ReadonlySet<string> = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

function comparable(answer: Answer, others: readonly string[] = []): unknown {
	const kept = Object.entries(answer.headers).filter(([name]) => !OWN_FIELDS.has(name) && !others.includes(name));
	return { status: answer.status, headers: Object.fromEntries(kept), body: answer.body.toString("base64") };
}

function folderFor(t: TestContext): string {
	const folder = mkdtempSync(join(tmpdir(), "web-server-"));
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** A proxy for calls of a destination that is in no mesh. */
async function outboundTo(t: TestContext, target: { host: string; port: number }, protocol: "http1" | "http2" = "http1") {
	const routes = [routed("orders", [endpointAt(target)], { cluster: { protocol } })];
	const proxy = await proxyFor(t, { workload: workload("web"), outbound: ANY }, config({ routes }), recordingSink());
	return proxy.addresses.outbound!.port;
}

function cases(etag: string, modified: string): readonly (readonly [name: string, ask: Ask, status: number])[] {
	return [
		["a file", { path: "/text.txt" }, 200],
		["a compressed file, chunked", { path: "/text.txt", headers: { "accept-encoding": "gzip" } }, 200],
		["HEAD of a file", { method: "HEAD", path: "/text.txt" }, 200],
		["HEAD of a compressed file", { method: "HEAD", path: "/text.txt", headers: { "accept-encoding": "gzip" } }, 200],
		["an empty file", { path: "/empty.txt" }, 200],
		["a large file", { path: "/large.bin" }, 200],
		["a range", { path: "/large.bin", headers: { range: "bytes=100-1099" } }, 206],
		["a range at the end", { path: "/large.bin", headers: { range: "bytes=-10" } }, 206],
		["a range beyond the end", { path: "/large.bin", headers: { range: "bytes=99999999-" } }, 416],
		["what has not changed, by tag", { path: "/text.txt", headers: { "if-none-match": etag } }, 304],
		["what has not changed, by date", { path: "/text.txt", headers: { "if-modified-since": modified } }, 304],
		["HEAD of what has not changed", { method: "HEAD", path: "/text.txt", headers: { "if-none-match": etag } }, 304],
		["a page that is not there", { path: "/nowhere" }, 404],
		["HEAD of a page that is not there", { method: "HEAD", path: "/nowhere" }, 404],
		["a redirect", { path: "/moved" }, 301],
		["an answer without content", { path: "/none" }, 204],
		["a status that nobody expects", { path: "/teapot" }, 418],
	];
}

test("nginx through one proxy and through two is nginx", { skip: withoutNginx }, async (t) => {
	const folder = folderFor(t);
	const { large } = layFiles(folder);
	const nginx = await startNginx(t, await fetchDebianProgram("nginx"), folder);
	const { outbound, sink } = await pair(t, nginx);
	const ports = [await outboundTo(t, nginx), outbound.port];
	const file = await ask(nginx.port, { path: "/text.txt" });
	const own: typeof cases extends (...args: never[]) => infer R ? R : never = [
		["fields that stand twice", { path: "/cookies" }, 200],
		["a method that is not allowed", { method: "POST", path: "/text.txt", body: Buffer.from("x") }, 405],
		["a body that is too large", { method: "POST", path: "/text.txt", body: Buffer.alloc(200_000) }, 413],
		["an error page of the server's own", { path: "/dead" }, 502],
	];
	for (const [name, what, status] of [...cases(file.headers.etag!, file.headers["last-modified"]!), ...own]) {
		const direct = await ask(nginx.port, what);
		assert.equal(direct.status, status, name);
		for (const port of ports) assert.deepEqual(comparable(await ask(port, what)), comparable(direct), name);
	}
	assert.ok((await ask(outbound.port, { path: "/large.bin" })).body.equals(large));
	assert.ok(sink.httpHops.every((hop) => hop.responseFlags === ""));
});

test("a server that closes after seven requests and 40 ms costs no request", { skip: withoutNginx }, async (t) => {
	const folder = folderFor(t);
	layFiles(folder);
	const nginx = await startNginx(t, await fetchDebianProgram("nginx"), folder);
	const { outbound } = await pair(t, nginx);
	for (const port of [await outboundTo(t, nginx), outbound.port]) {
		const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 8 });
		t.after(() => pool.destroy());
		const load = startLoad(8, async (index) => {
			// Around the time at which nginx closes.
			if (index % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 36 + (index % 9)));
			const answer = await pool.request({ method: "GET", path: "/empty.txt", headers: { host: "orders" } });
			await answer.body.dump();
			return answer.statusCode;
		});
		await load.more(300);
		await load.stop();
		assert.deepEqual(load.failures, []);
	}
});

test("Caddy through proxies is Caddy, over HTTP/2 too", { skip: withoutCaddy }, async (t) => {
	const folder = folderFor(t);
	const { large } = layFiles(folder);
	const caddy = await startCaddy(t, await fetchDebianProgram("caddy"), folder);
	const first = await pair(t, caddy);
	const second = await pair(t, caddy, { protocol: "http2", cluster: { protocol: "http2" } });
	const file = await ask(caddy.port, { path: "/text.txt" });
	const ports = [await outboundTo(t, caddy), await outboundTo(t, caddy, "http2"), first.outbound.port, second.outbound.port];
	for (const [name, what, status] of cases(file.headers.etag!, file.headers["last-modified"]!)) {
		const direct = await ask(caddy.port, what);
		assert.equal(direct.status, status, name);
		for (const port of ports) {
			// Which version of HTTP Caddy was asked in is what differs.
			const got = comparable(await ask(port, what), ["x-seen-proto"]);
			assert.deepEqual(got, comparable(direct, ["x-seen-proto"]), name);
		}
	}
	for (const [port, version] of [
		[first.outbound.port, "HTTP/1.1"],
		[second.outbound.port, "HTTP/2.0"],
	] as const)
		assert.equal((await ask(port, { path: "/proto" })).body.toString(), `${version} orders`);

	const client = connect(`http://127.0.0.1:${second.outbound.port}`);
	client.on("error", () => {});
	t.after(() => client.destroy());
	const answers = await Promise.all(
		Array.from({ length: 20 }, async (_, i) => {
			const path = i % 5 === 0 ? "/large.bin" : "/text.txt";
			const stream = client.request({ ":path": path, ":authority": "orders" });
			return { path, body: await buffer(stream) };
		}),
	);
	for (const { path, body } of answers) assert.ok(body.equals(path === "/large.bin" ? large : file.body), path);
	for (const { sink } of [first, second]) assert.ok(sink.httpHops.every((hop) => hop.responseFlags === ""));
});
