/** curl and openssl as callers: what the first gets is right in both versions of HTTP, and what strict mode refuses reaches no app. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createMemoryIdentity } from "../../proxy-shim/tls/memory-identity.ts";
import type { Identity } from "../../proxy-shim/tls/identity-source.ts";
import { commandWorks } from "../interop/fetch/cache.ts";
import { makeAuthority, makeIdentity } from "./identities.ts";
import { inboundConfig, pair, startApp, until } from "./rig.ts";

const withoutCurl = (await commandWorks("curl", ["--version"])) ? false : "no curl on this machine";
const withoutOpenssl = (await commandWorks("openssl", ["version"])) ? false : "no openssl on this machine";

interface Output {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** `input` is written at once; standard input stays open until there is an answer or the program ends. */
async function runProgram(program: string, args: readonly string[], input = ""): Promise<Output> {
	const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
	let stdout = "";
	let stderr = "";
	child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("latin1")));
	child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("latin1")));
	child.stdin.on("error", () => {});
	if (input === "") child.stdin.end();
	else child.stdin.write(input);
	let code: number | null | undefined;
	child.once("close", (ended) => (code = ended));
	try {
		await until(() => (code === undefined ? undefined : true), `${program} to end`, 30_000);
	} finally {
		child.kill("SIGKILL");
	}
	return { code: code ?? null, stdout, stderr };
}

function temporary(t: TestContext): string {
	const directory = mkdtempSync(join(tmpdir(), "foreign-client-"));
	t.after(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}

test("curl gets answers and uploads files, in both versions of HTTP, and waits for 100", { skip: withoutCurl }, async (t) => {
	const methods: string[] = [];
	const app = await startApp(t, (message, response) => {
		methods.push(message.method ?? "");
		const sum = createHash("sha256");
		message.on("data", (chunk: Buffer) => sum.update(chunk));
		message.on("end", () => {
			response.setHeader("x-trailers", JSON.stringify(message.trailers));
			response.end(`${message.method} ${sum.digest("hex")}`);
		});
	});
	const content = Buffer.alloc(3 << 20, "some content ");
	const file = join(temporary(t), "content");
	writeFileSync(file, content);
	const sum = createHash("sha256").update(content).digest("hex");
	const empty = createHash("sha256").digest("hex");
	for (const protocol of ["http1", "http2"] as const) {
		const { outbound } = await pair(t, app, { cluster: { protocol } });
		const url = `http://127.0.0.1:${outbound.port}/a`;
		for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
			const curl = (...args: string[]): Promise<Output> =>
				runProgram("curl", ["-sS", "--max-time", "30", version, "-H", "Host: orders", ...args, url]);
			const told = `${version}, ${protocol} upstream`;
			assert.deepEqual(await curl(), { code: 0, stdout: `GET ${empty}`, stderr: "" }, told);
			assert.match((await curl("-I")).stdout, /^HTTP\/(?:1\.1 200 OK|2 200)/, told);
			assert.equal((await curl("-T", file)).stdout, `PUT ${sum}`, told);
			assert.equal((await curl("--data-binary", `@${file}`)).stdout, `POST ${sum}`, told);
			assert.equal((await curl("-H", "Transfer-Encoding: chunked", "-T", file)).stdout, `PUT ${sum}`, told);
			if (version === "--http1.1") {
				const expecting = await curl("-v", "--expect100-timeout", "30", "-H", "Expect: 100-continue", "-T", file);
				assert.equal(expecting.stdout, `PUT ${sum}`, told);
				assert.match(expecting.stderr, /< HTTP\/1\.1 100 Continue/, told);
			}
		}
		// One after the other over one connection; of HTTP/2 curl 7.88 refuses its own second request, whoever serves.
		const urls = Array.from({ length: 10 }, (_, i) => `http://127.0.0.1:${outbound.port}/${i}`);
		const many = await runProgram("curl", ["-sS", "--http1.1", "-H", "Host: orders", ...urls]);
		assert.equal(many.stdout, `GET ${empty}`.repeat(10));
	}
	assert.ok(methods.includes("HEAD"));
});

test(
	"strict mode: openssl without a certificate, with a foreign one, and plaintext get nothing",
	{ skip: withoutOpenssl },
	async (t) => {
		const directory = temporary(t);
		let seen = 0;
		const app = await startApp(t, (_message, response) => {
			seen++;
			response.end("the ledger");
		});
		const authority = makeAuthority("mesh root");
		const mesh = await pair(t, app, {
			inbound: inboundConfig({ mtls: { mode: "strict", byPort: new Map(), policy: "shop/default" } }),
			calleeParts: { identity: createMemoryIdentity(makeIdentity(authority, "orders")) },
		});
		const address = `127.0.0.1:${mesh.inbound.port}`;
		const connect = (...args: string[]): Promise<Output> =>
			runProgram(
				"openssl",
				["s_client", "-connect", address, "-ign_eof", ...args],
				"GET / HTTP/1.1\r\nHost: orders\r\nConnection: close\r\n\r\n",
			);
		const shown = (name: string, identity: Identity): readonly string[] => {
			const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
			writeFileSync(cert, identity.chainPem);
			writeFileSync(key, identity.keyPem, { mode: 0o600 });
			return ["-cert", cert, "-key", key];
		};
		const foreign = makeAuthority("mesh root");
		const hour = 3_600_000;
		const old = { notBefore: new Date(Date.now() - 2 * hour), notAfter: new Date(Date.now() - hour) };
		for (const [name, args] of [
			["no certificate", []],
			["no certificate, TLS 1.2", ["-tls1_2"]],
			["a certificate of another authority", shown("foreign", makeIdentity(foreign, "web"))],
			["a certificate that has expired", shown("old", makeIdentity(authority, "web", old))],
			["a certificate without a SPIFFE ID", shown("nobody", makeIdentity(authority, "web", { uris: [] }))],
		] as const) {
			const { stdout } = await connect(...args);
			assert.doesNotMatch(stdout, /HTTP\/1\.1 200|the ledger/, name);
		}
		// Not TLS at all.
		for (const args of [["-sS"], ["-sS", "--http2-prior-knowledge"]]) {
			if (withoutCurl !== false) break;
			const plain = await runProgram("curl", [...args, "--max-time", "20", `http://${address}/`]);
			assert.notEqual(plain.code, 0);
			assert.equal(plain.stdout, "");
		}
		assert.equal(seen, 0, "the app saw a request that strict mode refuses");
		// The same with what is asked for: the refusals above are none of openssl's own.
		for (const version of ["-tls1_3", "-tls1_2"]) {
			const { stdout } = await connect(version, ...shown("web", makeIdentity(authority, "web")));
			assert.match(stdout, /HTTP\/1\.1 200[^]*the ledger/, version);
		}
		assert.equal(seen, 2);
	},
);
