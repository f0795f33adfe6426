/**
 * Attacks on the API port, each by name. None may crash it, leak what it guards, or cost memory, and the next request is served.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { logEntry, searched, summary, TRACE_ID } from "../../api/canned-answers.ts";
import { type CannedApi, startCannedApi } from "../../api/canned-server.ts";
import { cannedStatus } from "../../api/canned-status.ts";
import { sendBytes } from "../../api/raw-client.ts";

const MAX_GROWTH_BYTES = 200 * 1024 * 1024;

type Options = Parameters<typeof startCannedApi>[1];

/** Runs one attack against a server of its own, and looks whether that is as well as before. */
function attack(title: string, run: (api: CannedApi, t: TestContext) => Promise<void>, options?: Options): void {
	test(title, async (t) => {
		const api = await startCannedApi(t, options);
		await api.get("/healthz");
		const before = process.memoryUsage.rss();
		await run(api, t);
		const next = await api.get("/healthz");
		assert.equal(next.status, 200, "the next request is served");
		assert.ok(process.memoryUsage.rss() - before < MAX_GROWTH_BYTES, "memory stays flat");
		assert.deepEqual(
			api.lines.filter((line) => line.level === "error"),
			[],
			"nothing failed inside",
		);
	});
}

const MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
const TOKEN = "read-token-3f9c";

attack(
	"stored XSS: markup in names, keys and values leaves as JSON that no browser takes for a page",
	async (api) => {
		const paths = [
			"/api/v1/traces",
			`/api/v1/traces/${TRACE_ID}`,
			"/api/v1/logs",
			"/api/v1/services",
			`/api/v1/services/${encodeURIComponent(MARKUP)}/operations`,
			`/api/v1/traces/${encodeURIComponent(MARKUP)}`,
			`/api/v1/traces?${encodeURIComponent(MARKUP)}=1`,
			`/api/v1/traces?status=${encodeURIComponent(MARKUP)}`,
			`/${encodeURIComponent(MARKUP)}`,
			`/<script>alert(1)</script>`,
		];
		for (const path of paths) {
			const answer = await api.get(path, { accept: "text/html" });
			assert.equal(answer.headers["content-type"], "application/json; charset=utf-8", path);
			assert.equal(answer.headers["x-content-type-options"], "nosniff", path);
			const policy = String(answer.headers["content-security-policy"]);
			assert.match(policy, /default-src 'self'.*frame-ancestors 'none'/, path);
			assert.doesNotMatch(policy, /unsafe/);
			assert.doesNotThrow(() => answer.json(), path);
		}
	},
	{
		reader: {
			searchTraces: async () => ({ traces: [{ ...summary, rootName: MARKUP, rootService: MARKUP }], searched }),
			searchLogs: async () => ({ logs: [{ ...logEntry, body: MARKUP, attributes: { [MARKUP]: MARKUP } }], searched }),
			services: async () => [{ name: MARKUP, firstSeenMs: 0, lastSeenMs: 0 }],
			operations: async () => [{ name: MARKUP, kind: 2, lastSeenMs: 0 }],
		},
	},
);

attack(
	"stored XSS: the page without a UI escapes what it shows",
	async (api) => {
		const page = await api.get("/");
		assert.match(String(page.headers["content-type"]), /^text\/html/);
		assert.doesNotMatch(page.text, /<script|<img/);
	},
	{ ingestAddresses: { otlpGrpc: MARKUP } },
);

attack(
	"DNS rebinding: a name that is not this server's is refused on every path, before anything is read",
	async (api) => {
		const port = api.address.split(":")[1];
		const foreign = [
			"evil.example",
			`evil.example:${port}`,
			"localhost.evil.example",
			"127.0.0.1.evil.example",
			"evil.example#localhost",
			"localhost@evil.example",
			"2130706433",
			"0.0.0.0",
			"169.254.169.254",
			"[::ffff:10.0.0.1]",
			"localhost:99999999",
		];
		for (const host of foreign) {
			for (const path of ["/api/v1/traces", "/healthz", "/metrics", "/", "/none"]) {
				const answer = await api.get(path, { host });
				assert.equal(answer.status, 403, `${host} ${path}`);
				assert.equal(answer.error().code, "forbidden");
			}
		}
		for (const head of ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n"]) {
			assert.match(await sendBytes(api.address, head), /^HTTP\/1\.1 403 /);
		}
		assert.deepEqual(api.reader.asked, []);
		for (const host of ["localhost", `LocalHost:${port}`, "127.0.0.1", "127.9.9.9", `[::1]:${port}`, "mesh.internal:8443"]) {
			assert.equal((await api.get("/api/v1/traces", { host })).status, 200, host);
		}
	},
	{ allowHosts: ["Mesh.internal"] },
);

attack(
	"DNS rebinding: bound to every address, it is reached by any address but by no foreign name",
	async (api) => {
		for (const host of ["10.1.2.3:4300", "[fd00::1]:4300", "localhost"]) {
			assert.equal((await api.get("/api/v1/traces", { host })).status, 200, host);
		}
		for (const host of ["evil.example", "10.1.2.3.nip.example"])
			assert.equal((await api.get("/api/v1/traces", { host })).status, 403, host);
	},
	{ listen: { host: "0.0.0.0", port: 0 } },
);

attack("cross-site posts: what another site sends is refused, and nothing is allowed to other origins", async (api) => {
	const foreign: Record<string, string>[] = [
		{ origin: "https://evil.example" },
		{ origin: "null" },
		{ origin: "http://127.0.0.1:1" },
		{ origin: `http://${api.address}.evil.example` },
		{ origin: `http://evil.example@${api.address}` },
		{ "sec-fetch-site": "cross-site" },
		{ "sec-fetch-site": "same-site" },
	];
	for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
		for (const headers of foreign) {
			const answer = await api.send(method, "/api/v1/traces", { ...headers, "content-type": "text/plain" }, "{}");
			assert.equal(answer.status, 403, `${method} ${JSON.stringify(headers)}`);
			assert.equal(answer.headers["access-control-allow-origin"], undefined);
		}
	}
	const own = await api.send("POST", "/api/v1/traces", { origin: `http://${api.address}` }, "{}");
	assert.equal(own.error().code, "method_not_allowed");
	assert.equal(own.headers["allow"], "GET, HEAD");
	const read = await api.get("/api/v1/traces", { origin: "https://evil.example" });
	assert.equal(read.headers["access-control-allow-origin"], undefined);
	assert.equal(read.headers["cross-origin-resource-policy"], "same-origin");
	assert.equal(api.reader.asked.length, 1);
});

attack("a body that no call takes is not read", async (api) => {
	const head = `POST /api/v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n`;
	const answer = await sendBytes(api.address, head + "[".repeat(1_000_000));
	assert.match(answer, /^HTTP\/1\.1 405 /);
	assert.match(answer, /connection: close/i);
});

attack("huge limit, step and range: refused with the cap, and the reader never hears of them", async (api) => {
	const attempts: [string, string][] = [
		["/api/v1/traces?limit=1001", "1000"],
		["/api/v1/traces?limit=99999999999999999999999", "1000"],
		["/api/v1/traces?from=0", "92 days"],
		["/api/v1/traces?from=0&to=9223372036854", "92 days"],
		["/api/v1/logs?limit=1000000", "1000"],
		["/api/v1/logs?from=now-9999d", "92 days"],
		["/api/v1/metrics/series?limit=10001", "10000"],
		["/api/v1/metrics/query?limit=10001", "10000"],
		["/api/v1/metrics/query?from=now-401d", "400 days"],
		["/api/v1/metrics/query?step=1ns", "11000"],
		["/api/v1/metrics/query?from=now-100d&step=1s&agg=rate", "11000"],
		[`/api/v1/traces?${Array.from({ length: 33 }, (_, i) => `attr=k${i}=1`).join("&")}`, "32"],
	];
	for (const [path, cap] of attempts) {
		const answer = await api.get(path);
		assert.equal(answer.status, 422, path);
		assert.equal(answer.error().code, "query_too_broad", path);
		assert.ok(answer.error().message.includes(cap), `${path}: ${answer.error().message}`);
	}
	const invalid = [
		"limit=-1",
		"limit=NaN",
		"limit=1e9",
		"from=now-99999999999999w",
		"to=9999999999999999",
		`minDuration=${"9".repeat(9_000)}`,
	];
	for (const search of invalid) {
		const answer = await api.get(`/api/v1/traces?${search}`);
		assert.ok(answer.status === 400 || answer.status === 422, search);
	}
	assert.deepEqual(api.reader.asked, []);
});

attack("a query string as long as it may be: unknown names and thousands of them are refused quickly", async (api) => {
	const startedMs = performance.now();
	const long = await api.get(`/api/v1/traces?${"a".repeat(15_000)}=1`);
	assert.equal(long.error().code, "invalid_argument");
	assert.ok(long.text.length < 1_000);
	const many = await api.get(`/api/v1/traces?${"attr=a%3D&".repeat(1_500)}`);
	assert.equal(many.error().code, "query_too_broad");
	const digits = await api.get(`/api/v1/traces?minDuration=1.${"9".repeat(14_000)}s`);
	assert.ok(digits.status < 500);
	const over = await sendBytes(api.address, `GET /api/v1/traces?${"a".repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
	assert.match(over, /^HTTP\/1\.1 400 .*invalid_argument/s);
	assert.ok(performance.now() - startedMs < 5_000);
});

test("path traversal: encoded, double-encoded or linked, nothing outside the UI's folder is served", async (t) => {
	const root = await mkdtemp(join(tmpdir(), "meshscope-traversal-"));
	t.after(() => rm(root, { recursive: true }));
	const directory = join(root, "ui");
	await mkdir(join(directory, "assets"), { recursive: true });
	await writeFile(join(directory, "index.html"), "<!doctype html>built");
	await writeFile(join(directory, ".env"), "outside");
	await writeFile(join(root, "secret.txt"), "outside");
	await mkdir(join(root, "ui-private"));
	await writeFile(join(root, "ui-private", "secret.txt"), "outside");
	await symlink(join(directory, "index.html"), join(directory, "assets", "link.html"));
	const api = await startCannedApi(t, { uiDirectory: directory });
	const ups = [
		"..",
		"%2e%2e",
		"%2E%2e",
		".%2e",
		"%252e%252e",
		"%c0%ae%c0%ae",
		"%uff0e%uff0e",
		"....",
		"..;",
		"..%00",
		"..\\",
		"..%5c",
	];
	const slashes = ["/", "%2f", "%252f", "\\", "%5c", "//"];
	let tried = 0;
	for (const up of ups) {
		for (const slash of slashes) {
			for (const prefix of ["/", "/assets/", "/assets/../", "//", "/api/../", "/assets%2f"]) {
				for (const target of [`secret.txt`, `..${slash}secret.txt`, `ui-private/secret.txt`]) {
					const answer = await api.get(`${prefix}${up}${slash}${target}`);
					assert.doesNotMatch(answer.text, /outside/, `${prefix}${up}${slash}${target}`);
					assert.ok(answer.status >= 400 && answer.status < 500, `${prefix}${up}${slash}${target}: ${answer.status}`);
					tried++;
				}
			}
		}
	}
	assert.ok(tried > 1_000);
	for (const path of ["/.env", "/%2eenv", "/index.html%00.js", "/secret.txt", "/assets/", "/assets"]) {
		const answer = await api.get(path);
		assert.doesNotMatch(answer.text, /outside|secret\.txt\b.*\n/, path);
		assert.ok(answer.status >= 400, `${path}: ${answer.status}`);
	}
	assert.equal((await api.get("/")).status, 200);
	assert.deepEqual(
		api.lines.filter((line) => line.level === "error" || line.level === "warn"),
		[],
	);
});

attack(
	"secrets in status: tokens and keys appear in no answer and no log line",
	async (api) => {
		const headers = { authorization: `Bearer ${TOKEN}` };
		const paths = [
			"/api/v1/status",
			"/metrics",
			"/api/openapi.json",
			"/",
			"/healthz",
			"/readyz",
			"/none",
			"/api/v1/traces/zz",
		];
		for (const path of paths) {
			const answer = await api.get(path, headers);
			assert.doesNotMatch(answer.text + JSON.stringify(answer.headers), new RegExp(`${TOKEN}|hidden`), path);
		}
		await api.get(`/api/v1/traces?attr=token%3D${TOKEN}`, headers);
		await api.get("/api/v1/traces", { authorization: `Bearer ${TOKEN}x`, cookie: `session=${TOKEN}` });
		assert.ok(api.lines.length > paths.length);
		assert.doesNotMatch(JSON.stringify(api.lines), new RegExp(TOKEN));
	},
	{
		readTokens: [TOKEN],
		status: () => {
			const undeclared = { readTokens: [TOKEN], tls: { key: "hidden" } };
			return {
				...cannedStatus,
				...undeclared,
				store: { ...cannedStatus.store, ...undeclared },
				process: { ...cannedStatus.process, ...undeclared },
			};
		},
	},
);

attack("forged X-Forwarded-*: they change neither who may ask nor what is answered", async (api) => {
	const forged = {
		"x-forwarded-host": "localhost",
		"x-forwarded-for": "127.0.0.1",
		"x-forwarded-proto": "https",
		"x-forwarded-port": "443",
		forwarded: "for=127.0.0.1;host=localhost;proto=https",
		"x-real-ip": "127.0.0.1",
		"x-original-url": "/healthz",
		"x-rewrite-url": "/healthz",
		"x-http-method-override": "DELETE",
		"x-request-id": "forged",
	};
	assert.equal((await api.get("/api/v1/traces", { ...forged, host: "evil.example" })).status, 403);
	const answer = await api.get("/api/v1/traces", { ...forged, "x-forwarded-host": "evil.example" });
	assert.equal(answer.status, 200);
	assert.notEqual(answer.headers["x-request-id"], "forged");
	assert.doesNotMatch(JSON.stringify(api.lines), /evil|forged|x-forwarded/);
});

attack("log injection: nothing a client sends begins a line or commands a terminal", async (api) => {
	await api.get("/api/v1/%0a%0dlevel=error%1b[31m");
	await api.get("/\u00ff\u0080\u009b31m");
	await api.get("/api/v1/traces", { host: "a\u009b\u0085b" });
	await sendBytes(api.address, "GET /a\u0085\u009b31m HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
	await sendBytes(api.address, "GET /a\u001b[31m HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
	await api.get(`/${"p".repeat(8_000)}`);
	assert.ok(api.lines.length >= 4);
	for (const line of api.lines) {
		for (const value of [line.message, ...Object.values(line.fields)].map(String)) {
			assert.doesNotMatch(value, /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
			assert.ok(value.length < 1_000);
		}
	}
});

attack("__proto__ as a key: an attribute like any other, a parameter like any unknown one", async (api) => {
	for (const key of ["__proto__", "constructor", "prototype", "__proto__.polluted", "toString"]) {
		assert.equal((await api.get(`/api/v1/traces?attr=${key}%3Dpolluted`)).status, 200);
		const query = api.reader.asked.at(-1)?.args[0];
		assert.deepEqual((query as { readonly attributes: unknown }).attributes, [{ key, value: "polluted", type: "text" }]);
		assert.equal((await api.get(`/api/v1/traces?${key}=1`)).error().code, "invalid_argument", key);
		assert.equal((await api.get(`/api/v1/services/${key}/operations`)).status, 404, key);
	}
	assert.equal((await api.get("/api/v1/traces?__proto__[polluted]=1")).status, 400);
	assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
});

attack(
	"__proto__ in stored attributes: answered as data",
	async (api) => {
		assert.match((await api.get("/api/v1/logs")).text, /"attributes":\{"__proto__":"x"\}/);
	},
	{
		reader: {
			searchLogs: async () => {
				const attributes = JSON.parse('{"__proto__":"x"}') as Readonly<Record<string, unknown>>;
				return { logs: [{ ...logEntry, attributes }], searched };
			},
		},
	},
);

attack("SQL and regex metacharacters: every filter reaches the reader as it was written", async (api) => {
	const texts = [
		"' OR 1=1 --",
		"'; DROP TABLE spans; --",
		'" UNION SELECT * FROM x /*',
		"%_%",
		"[a-z",
		"(a+)+$",
		".*",
		"\\",
		"\\u0000",
		"*",
		"?",
		"${jndi:ldap://x}",
		"{{7*7}}",
		"$where",
		"`id`",
		"a\u0000b",
		"\u202e",
		"😀\ud7ff",
	];
	for (const text of texts) {
		const value = encodeURIComponent(text);
		await api.get(
			`/api/v1/traces?service=${value}&operation=${value}&attr=${encodeURIComponent(`${text.replaceAll("=", "")}=${text}`)}`,
		);
		const attributes = [{ key: text.replaceAll("=", ""), value: text, type: "text" }];
		const traces = api.reader.asked.at(-1)?.args[0] as Record<string, unknown>;
		assert.deepEqual([traces["service"], traces["operation"], traces["attributes"]], [text, text, attributes]);
		await api.get(`/api/v1/logs?service=${value}&text=${value}`);
		const logs = api.reader.asked.at(-1)?.args[0] as Record<string, unknown>;
		assert.deepEqual([logs["service"], logs["text"]], [text, text]);
		for (const call of ["series", "query"]) {
			await api.get(`/api/v1/metrics/${call}?name=${value}&service=${value}`);
			const metrics = api.reader.asked.at(-1)?.args[0] as Record<string, unknown>;
			assert.deepEqual([metrics["name"], metrics["service"]], [text, text]);
		}
		await api.get(`/api/v1/services/${value}/operations`);
		assert.deepEqual(api.reader.asked.findLast((each) => each.method === "operations")?.args, [text]);
	}
	const typed = ["status", "severity", "from", "to", "minDuration", "limit", "step", "agg", "traceId"];
	const calls: Record<string, string> = { severity: "logs", traceId: "logs", step: "metrics/query", agg: "metrics/query" };
	const asked = api.reader.asked.length;
	for (const name of typed) {
		const answer = await api.get(`/api/v1/${calls[name] ?? "traces"}?${name}=${encodeURIComponent("' OR 1=1 --")}`);
		assert.equal(answer.error().code, "invalid_argument", name);
	}
	assert.equal(api.reader.asked.length, asked);
});

attack(
	"slowloris: connections that trickle their headers, or say nothing, are closed, and others are served meanwhile",
	async (api) => {
		const startedMs = performance.now();
		const slow = Array.from({ length: 100 }, (_, index) =>
			trickle(api.address, index % 4 === 0 ? "" : "GET / HTTP/1.1\r\nhost: localhost\r\n"),
		);
		await delay(100);
		assert.equal((await api.get("/api/v1/traces")).status, 200);
		await Promise.all(slow);
		assert.ok(performance.now() - startedMs < 10_000, "all were closed by the server");
	},
	{ timeouts: { headersMs: 400, requestMs: 600, idleMs: 800 } },
);

attack(
	"slow read: a client that never reads its answer is cut off when nothing flows any more",
	async (api) => {
		const { hostname, port } = new URL(api.url);
		const socket = connect({ host: hostname, port: Number(port) });
		socket.on("error", () => undefined);
		const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
		socket.write(`GET /api/v1/traces/${TRACE_ID} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
		socket.pause();
		await delay(1_500);
		// The kernel's buffers are full and the server has given up: what is left to read ends without the whole answer.
		let bytes = 0;
		socket.on("data", (chunk) => (bytes += chunk.length));
		socket.resume();
		await closed;
		assert.ok(bytes > 0 && bytes < BIG_TRACE_BYTES, `${bytes} bytes arrived`);
	},
	{
		timeouts: { idleMs: 500 },
		reader: { trace: async () => ({ trace: { summary, body: [bigTrace()] }, damagedWindows: [] }) },
	},
);

const BIG_TRACE_BYTES = 50 * 1024 * 1024;

function bigTrace(): Uint8Array {
	const body = new Uint8Array(BIG_TRACE_BYTES).fill(0x20);
	body.set(Buffer.from('{"resourceSpans":[]'));
	body[body.length - 1] = 0x7d;
	return body;
}

/** Sends a header byte every 50 ms for as long as the server lets it. */
async function trickle(address: string, start: string): Promise<void> {
	const { hostname, port } = new URL(`http://${address}`);
	const socket = connect({ host: hostname, port: Number(port) });
	const { promise, resolve } = Promise.withResolvers<void>();
	const timer = setInterval(() => void (start !== "" && socket.write("x")), 50);
	socket.on("error", () => undefined);
	socket.on("close", () => {
		clearInterval(timer);
		resolve();
	});
	socket.resume();
	if (start !== "") socket.write(start);
	await promise;
}

attack("request smuggling: a request whose length is said twice is refused and its connection closed", async (api) => {
	const smuggled = "GET /api/v1/traces HTTP/1.1\r\nhost: localhost\r\n\r\n";
	const heads = [
		`POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${smuggled.length}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
		"POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n",
		"POST /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: xchunked\r\n\r\n",
	];
	for (const head of heads) assert.match(await sendBytes(api.address, head + smuggled), /^HTTP\/1\.1 4\d\d /);
	assert.deepEqual(api.reader.asked, []);
});

attack("clients that go away in the middle of an answer cost nothing", async (api) => {
	for (let i = 0; i < 200; i++) {
		const socket = connect(Number(api.address.split(":")[1]), "127.0.0.1");
		socket.on("error", () => undefined);
		socket.write("GET /api/openapi.json HTTP/1.1\r\nhost: localhost\r\naccept-encoding: br\r\n\r\n", () => socket.destroy());
	}
	await delay(300);
	const answers = await Promise.all(Array.from({ length: 32 }, () => api.get("/api/v1/services")));
	for (const answer of answers) assert.equal(answer.status, 200);
});
