import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { get as httpGet, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { MeshscopeError } from "../model/errors.ts";
import type { SpanDurationsAnswer } from "./contract/traces.ts";
import { CANNED_NOW_MS, hop, logEntry, summary, TRACE_ID, traceJson, traceProtobuf } from "./canned-answers.ts";
import { startCannedApi } from "./canned-server.ts";
import { cannedStatus } from "./canned-status.ts";

const NS = 1_000_000n;

test("a trace is the reader's OTLP JSON to the byte, with the summary beside it", async (t) => {
	const api = await startCannedApi(t);
	const answer = await api.get(`/api/v1/traces/${TRACE_ID}`);
	const sent = Buffer.from(traceJson).toString();
	assert.equal(
		answer.text,
		`${sent.slice(0, -1)},"meshscope":${JSON.stringify({ ...summary, hops: [hop], hopCount: 1, spansLeft: 0, damagedWindows: ["2025-12-31T23"] })}}`,
	);
	assert.equal(Number(answer.headers["content-length"]), answer.body.length);
});

test("a trace ID is taken in either case and without leading zeros", async (t) => {
	const api = await startCannedApi(t);
	assert.equal((await api.get(`/api/v1/traces/${TRACE_ID.toUpperCase()}`)).status, 200);
	assert.equal((await api.get("/api/v1/traces/AbC")).status, 404);
	assert.deepEqual(api.reader.asked.at(-1)?.args, ["abc".padStart(32, "0"), "json"]);
});

test("what is no trace ID is refused, what is unknown is not found", async (t) => {
	const api = await startCannedApi(t);
	for (const id of ["xyz", "0".repeat(32), "a".repeat(33), "%00", "..%2f.."]) {
		const answer = await api.get(`/api/v1/traces/${id}`);
		assert.equal(answer.status, 400, id);
		assert.equal(answer.error().code, "invalid_argument");
	}
	const unknown = (await api.get("/api/v1/traces/1")).error();
	assert.equal(unknown.code, "not_found");
	assert.match(unknown.message, /2025-12-31T23/, "it may lie in a window that cannot be read");
});

test("a trace is protobuf when Accept prefers it, under the name that was asked for", async (t) => {
	const api = await startCannedApi(t);
	const path = `/api/v1/traces/${TRACE_ID}`;
	for (const type of ["application/x-protobuf", "application/protobuf"]) {
		const answer = await api.get(path, { accept: `application/json;q=0.5, ${type}` });
		assert.equal(answer.headers["content-type"], type);
		assert.deepEqual(answer.body, Buffer.from(traceProtobuf));
	}
	for (const accept of ["*/*", "application/json, application/x-protobuf", "application/x-protobuf;q=0"]) {
		assert.match(String((await api.get(path, { accept })).headers["content-type"]), /^application\/json/, accept);
	}
	assert.match(String((await api.get(path)).headers["vary"]), /Accept\b/);
});

test("filters reach the reader typed, with an hour's range and a bounded limit by default", async (t) => {
	const api = await startCannedApi(t);
	await api.get("/api/v1/traces");
	assert.deepEqual(api.reader.asked.at(-1)?.args, [
		{ attributes: [], fromNs: BigInt(CANNED_NOW_MS - 3_600_000) * NS, toNs: BigInt(CANNED_NOW_MS) * NS, limit: 20 },
	]);
	await api.get(
		"/api/v1/traces?service=a&operation=GET%20/&minDuration=250ms&maxDuration=1.5s&status=error&mtls=mutual_tls" +
			"&edge=6FAEB2E1ED26185D&side=source" +
			"&attr=guid:x-request-id=7&attr=n=int:5&from=1000&to=2000&limit=7",
	);
	assert.deepEqual(api.reader.asked.at(-1)?.args, [
		{
			service: "a",
			operation: "GET /",
			minDurationNs: 250_000_000n,
			maxDurationNs: 1_500_000_000n,
			status: "error",
			mtls: "mutual_tls",
			edge: "6faeb2e1ed26185d",
			side: "source",
			attributes: [
				{ key: "guid:x-request-id", value: "7", type: "text" },
				{ key: "n", value: "5", type: "int" },
			],
			fromNs: 1_000n * NS,
			toNs: 2_000n * NS,
			limit: 7,
		},
	]);
});

test("an mTLS status that is none is refused with those that are, whatever it holds", async (t) => {
	const api = await startCannedApi(t);
	for (const status of ["mtls", "PLAINTEXT", "plaintext,mixed", "' OR 1=1", "__proto__", "constructor", "a".repeat(5_000)]) {
		const answer = await api.get(`/api/v1/traces?mtls=${encodeURIComponent(status)}`);
		assert.equal(answer.status, 400, status);
		assert.match(answer.error().message, /`mtls` is ".*; it takes mutual_tls, tls, plaintext, none, mixed, unknown$/);
		assert.ok(answer.text.length < 1_000, "the value is cut short");
	}
	assert.equal((await api.get("/api/v1/traces?mtls=")).status, 400);
	assert.equal((await api.get("/api/v1/traces?mtls=tls&mtls=none")).status, 400);
	assert.equal(api.reader.asked.length, 0);
});

test("durations are asked for with the filters of a search, in a bounded number of columns", async (t) => {
	const api = await startCannedApi(t);
	const answer = await api.get("/api/v1/traces/durations?service=a&root=true&from=1000&to=2000&columns=10");
	assert.deepEqual(api.reader.asked.at(-1)?.args, [
		{ service: "a", isRoot: true, attributes: [], fromNs: 1_000n * NS, toNs: 2_000n * NS, columns: 10 },
	]);
	const { from, columnMs, rows, cells, points } = JSON.parse(answer.text) as SpanDurationsAnswer;
	assert.deepEqual([from, columnMs, rows.length, cells], ["1970-01-01T00:00:01.000Z", 100, 1, [[0, 0, 1, 1]]]);
	assert.deepEqual(
		points?.map(({ traceId }) => traceId),
		[TRACE_ID],
	);
	for (const columns of ["0", "-1", "1.5", "many"])
		assert.equal((await api.get(`/api/v1/traces/durations?columns=${columns}`)).status, 400, columns);
	assert.match((await api.get("/api/v1/traces/durations?columns=241")).error().message, /`columns` is 241; the cap is 240/);
	assert.equal((await api.get("/api/v1/traces/durations?limit=1")).status, 400);
});

test("what is selected is read like the filters, and a comparison with nothing selected is refused", async (t) => {
	const api = await startCannedApi(t);
	const path = "/api/v1/traces/differences?from=0&to=9000";
	const found = await api.get(
		`${path}&selectFrom=1000&selectTo=2000&selectMinDuration=1ms&selectMaxDuration=2ms&selectStatus=error&limit=3`,
	);
	assert.equal(found.status, 200, found.text);
	const selection = {
		...{ fromNs: 1_000n * NS, toNs: 2_000n * NS, minDurationNs: NS, maxDurationNs: 2n * NS },
		status: "error",
	};
	assert.deepEqual(api.reader.asked.at(-1)?.args, [{ attributes: [], fromNs: 0n, toNs: 9_000n * NS, selection, limit: 3 }]);
	const refused = await api.get(path);
	assert.equal(refused.status, 400);
	assert.match(refused.error().message, /nothing is selected: .*`selectFrom`/);
	for (const wrong of ["selectFrom=yesterday", "selectMinDuration=5", "selectStatus=bad"])
		assert.equal((await api.get(`${path}&${wrong}`)).status, 400, wrong);
});

test("an edge that is none, and a side of no edge, are refused with what is missing", async (t) => {
	const api = await startCannedApi(t);
	for (const edge of ["web->cart", "0123", "g".repeat(16), "' OR 1=1", "a".repeat(5_000)]) {
		const answer = await api.get(`/api/v1/traces?edge=${encodeURIComponent(edge)}`);
		assert.equal(answer.status, 400, edge);
		assert.match(answer.error().message, /`edge` is ".*; an edge ID is 16 hex digits, as \/api\/v1\/graph tells them$/);
	}
	const sideless = await api.get("/api/v1/traces?side=source");
	assert.match(sideless.error().message, /`side` is an end of an edge; say of which with `edge`/);
	assert.equal((await api.get("/api/v1/traces?edge=6faeb2e1ed26185d&side=both")).status, 400);
	assert.equal(api.reader.asked.length, 0);
});

test("a log query reaches the reader with its severity as a number", async (t) => {
	const api = await startCannedApi(t);
	await api.get(`/api/v1/logs?traceId=${TRACE_ID}&severity=WARN&text=a%25b&from=0&to=1`);
	const query = { traceId: TRACE_ID, minSeverity: 13, text: "a%b", attributes: [], fromNs: 0n, toNs: NS, limit: 100 };
	assert.deepEqual(api.reader.asked.at(-1), { method: "searchLogs", args: [query] });
	for (const severity of ["0", "25", "loud", "1.5"])
		assert.equal((await api.get(`/api/v1/logs?severity=${severity}`)).status, 400);
});

test("a metric query with a step reads whole buckets, and for a rate the one before", async (t) => {
	const api = await startCannedApi(t);
	const readFrom = async (search: string): Promise<unknown> => {
		const answer = await api.get(`/api/v1/metrics/query?${search}`);
		assert.equal(answer.status, 200, answer.text);
		const query = api.reader.asked.at(-1)?.args[0] as { readonly fromNs: bigint } | undefined;
		return query === undefined ? undefined : query.fromNs / NS;
	};
	assert.equal(await readFrom("from=90000&to=200000"), 90_000n);
	assert.equal(await readFrom("from=90000&to=200000&step=1m"), 60_000n);
	assert.equal(await readFrom("from=90000&to=200000&step=1m&agg=rate"), 0n);
	assert.equal(await readFrom("from=0&to=200000&step=1m&agg=rate"), 0n);
});

test("a metric query with a step answers buckets, without one the points as they were sent", async (t) => {
	const api = await startCannedApi(t);
	const points = async (search: string) => {
		const answer = (await api.get(`/api/v1/metrics/query?name=x&${search}`)).json();
		const { series, stepNs } = answer as {
			series: { points: { value: unknown }[]; aggregation?: string }[];
			stepNs?: string;
		};
		return [stepNs, series[0]?.aggregation, series[0]?.points.map((point) => point.value)];
	};
	assert.deepEqual(await points(""), [undefined, undefined, ["0", "60", "120", "180"]]);
	assert.deepEqual(await points("step=1m&agg=max"), ["60000000000", "max", [60, 180]]);
	assert.deepEqual(await points("step=1m&agg=rate"), ["60000000000", "rate", [1, 2]]);
});

test("NaN and infinities are answered as OTLP JSON writes them", async (t) => {
	const log = { ...logEntry, attributes: { a: Number.NaN, b: [Number.NEGATIVE_INFINITY], c: 2n ** 63n } };
	const searchLogs = async () => ({ logs: [log], searched: { ...cannedSearched } });
	const api = await startCannedApi(t, { reader: { searchLogs } });
	assert.match(
		(await api.get("/api/v1/logs")).text,
		/"attributes":\{"a":"NaN","b":\["-Infinity"\],"c":"9223372036854775808"\}/,
	);
});

const cannedSearched = { windows: 0, blocks: 0, blocksSkipped: 0, spansScanned: 0, truncated: false, damagedWindows: [] };

test("a service name may hold whatever a path may not", async (t) => {
	const api = await startCannedApi(t);
	const name = "a/b ü?#%..";
	assert.equal((await api.get(`/api/v1/services/${encodeURIComponent(name)}/operations`)).status, 404);
	assert.deepEqual(api.reader.asked.find((each) => each.method === "operations")?.args, [name]);
	const long = "n".repeat(4_000);
	assert.match((await api.get(`/api/v1/services/${long}/operations`)).error().message, /no service "nnn/);
});

test("a service without operations is known when it is in the list", async (t) => {
	const api = await startCannedApi(t, { reader: { operations: async () => [] } });
	assert.deepEqual((await api.get("/api/v1/services/gateway/operations")).json(), { operations: [] });
});

test("a reader's refusal keeps its code, and a retryable one says when", async (t) => {
	const searchTraces = async () => {
		throw new MeshscopeError("overloaded", "the reader pool is busy", { retryAfterMs: 2_500 });
	};
	const api = await startCannedApi(t, { reader: { searchTraces } });
	const answer = await api.get("/api/v1/traces");
	assert.equal(answer.status, 503);
	assert.deepEqual(answer.error(), { code: "overloaded", message: "the reader pool is busy" });
	assert.equal(answer.headers["retry-after"], "3");
});

test("a fault is logged with its stack and answered with a request ID and nothing of it", async (t) => {
	const services = async () => {
		throw new Error("SELECT secret FROM /var/lib/meshscope");
	};
	const api = await startCannedApi(t, { reader: { services } });
	const answer = await api.get("/api/v1/services");
	assert.equal(answer.status, 500);
	assert.doesNotMatch(answer.text, /SELECT|secret|var/);
	assert.equal(answer.error().details?.["requestId"], answer.headers["x-request-id"]);
	const line = api.lines.find((each) => each.level === "error");
	assert.match(String(line?.fields["error"]), /SELECT secret/);
	assert.equal(line?.fields["requestId"], answer.headers["x-request-id"]);
});

test("a query that does not answer in time is a timeout", async (t) => {
	const api = await startCannedApi(t, { reader: { services: () => new Promise(() => undefined) }, timeouts: { queryMs: 30 } });
	const answer = await api.get("/api/v1/services");
	assert.equal(answer.status, 504);
	assert.equal(answer.error().code, "query_timeout");
});

test("beyond 32 queries under way the next is refused as retryable, and probes still answer", async (t) => {
	const gate = Promise.withResolvers<[]>();
	const api = await startCannedApi(t, { reader: { services: () => gate.promise } });
	const held = Array.from({ length: 32 }, () => api.get("/api/v1/services"));
	while (api.reader.asked.length < 32) await delay(5);
	const refused = await api.get("/api/v1/traces");
	assert.equal(refused.error().code, "overloaded");
	assert.equal((await api.get("/healthz")).status, 200);
	gate.resolve([]);
	for (const answer of await Promise.all(held)) assert.equal(answer.status, 200);
	assert.equal((await api.get("/api/v1/traces")).status, 200);
});

test("large traces that nobody reads are bounded together", async (t) => {
	const body = new Uint8Array(100 * 1024 * 1024).fill(0x20);
	body.set(Buffer.from('{"resourceSpans":[]'));
	body[body.length - 1] = 0x7d;
	const api = await startCannedApi(t, {
		reader: { trace: async () => ({ trace: { summary, body: [body] }, damagedWindows: [] }) },
	});
	const url = `${api.url}/api/v1/traces/${TRACE_ID}`;
	const unread = httpGet(url);
	const [response] = (await once(unread, "response")) as [IncomingMessage];
	assert.equal(response.statusCode, 200);
	const second = await api.get(`/api/v1/traces/${TRACE_ID}`);
	assert.equal(second.error().code, "overloaded");
	response.destroy();
	await delay(50);
	const third = await api.get(`/api/v1/traces/${TRACE_ID}`, { "accept-encoding": "zstd" });
	assert.equal(zstdDecompressSync(third.body).length > body.length, true);
});

test("answers are compressed as the client accepts, and are the same answers", async (t) => {
	const api = await startCannedApi(t);
	const plain = await api.get("/api/openapi.json");
	assert.equal(plain.headers["content-encoding"], undefined);
	const decoders = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
	for (const [encoding, decode] of Object.entries(decoders)) {
		const answer = await api.get("/api/openapi.json", { "accept-encoding": `${encoding}, identity` });
		assert.equal(answer.headers["content-encoding"], encoding);
		assert.equal(answer.headers["content-length"], undefined);
		assert.match(String(answer.headers["vary"]), /Accept-Encoding/);
		assert.equal(decode(answer.body).toString(), plain.text);
		assert.ok(answer.body.length < plain.body.length / 3);
	}
	assert.equal((await api.get("/api/openapi.json", { "accept-encoding": "gzip;q=0" })).headers["content-encoding"], undefined);
	assert.equal((await api.get("/healthz", { "accept-encoding": "gzip" })).headers["content-encoding"], undefined);
});

test("reads need a token when there is one; the probes and the page do not", async (t) => {
	const api = await startCannedApi(t, { readTokens: ["first", "second"] });
	const closed = [
		"/api/v1/traces",
		"/api/v1/status",
		"/metrics",
		"/api/openapi.json",
		"/api/v1/none",
		"/%61pi/v1/traces",
		"/api/v1/logs/",
	];
	for (const path of closed) {
		for (const authorization of [undefined, "Bearer wrong", "Bearer ", "Basic Zmlyc3Q=", "first", "Bearer first second"]) {
			const answer = await api.get(path, authorization === undefined ? {} : { authorization });
			assert.equal(answer.status, 401, `${path} ${authorization}`);
			assert.equal(answer.error().code, "unauthenticated");
			assert.match(String(answer.headers["www-authenticate"]), /^Bearer/);
		}
	}
	for (const token of ["first", "second"])
		assert.equal((await api.get("/metrics", { authorization: `bearer ${token}` })).status, 200);
	for (const path of ["/healthz", "/readyz", "/"]) assert.equal((await api.get(path)).status, 200, path);
});

test("it is not ready before it is, and after it is no more", async (t) => {
	const api = await startCannedApi(t, { status: () => ({ ...cannedStatus, ready: false }) });
	const answer = await api.get("/readyz");
	assert.equal(answer.status, 503);
	assert.equal(answer.error().code, "shutting_down");
	assert.equal((await api.get("/healthz")).status, 200);
});

test("status and page show the addresses that were bound", async (t) => {
	const api = await startCannedApi(t);
	const { addresses } = (await api.get("/api/v1/status")).json() as { addresses: object };
	assert.deepEqual(addresses, { http: api.address, otlpGrpc: "127.0.0.1:4317", otlpHttp: "127.0.0.1:4318" });
	assert.match((await api.get("/")).text, /127\.0\.0\.1:4317/);
});

test("closing lets an answer under way finish, and then refuses connections", async (t) => {
	const gate = Promise.withResolvers<[]>();
	const api = await startCannedApi(t, { reader: { services: () => gate.promise } });
	const underWay = api.get("/api/v1/services");
	while (api.reader.asked.length === 0) await delay(5);
	const closed = api.close(5_000);
	await delay(20);
	gate.resolve([]);
	assert.equal((await underWay).status, 200);
	await closed;
	await assert.rejects(api.get("/healthz"), /ECONNREFUSED/);
});

test("closing cuts off what outlasts the grace", async (t) => {
	const api = await startCannedApi(t, { reader: { services: () => new Promise(() => undefined) } });
	const underWay = assert.rejects(api.get("/api/v1/services"), /socket hang up|ECONNRESET/);
	while (api.reader.asked.length === 0) await delay(5);
	const startedMs = performance.now();
	await api.close(100);
	assert.ok(performance.now() - startedMs < 2_000);
	await underWay;
});

test("an idle kept connection does not delay closing", async (t) => {
	const api = await startCannedApi(t);
	const socket = connect(Number(api.address.split(":")[1]), "127.0.0.1");
	t.after(() => socket.destroy());
	socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
	const [answer] = (await once(socket, "data")) as [Buffer];
	const startedMs = performance.now();
	await api.close(5_000);
	assert.ok(performance.now() - startedMs < 2_500);
	assert.match(answer.toString("latin1"), /200 OK/);
});

test("a port that is taken is an error of the caller's", async (t) => {
	const api = await startCannedApi(t);
	const port = Number(api.address.split(":")[1]);
	await assert.rejects(startCannedApi(t, { listen: { host: "127.0.0.1", port } }), /EADDRINUSE/);
});

test("every path that is not there has an error of the API's shape", async (t) => {
	const api = await startCannedApi(t);
	for (const path of ["/api/v1/none", "/api", "/none", "/api/v1/traces/", "/api/v1/services/gateway/none"]) {
		const answer = await api.get(path);
		assert.ok(answer.status === 404 || answer.status === 400, path);
		assert.match(answer.error().code, /not_found|invalid_argument/);
	}
	assert.equal((await api.get("/%")).error().code, "invalid_argument");
});

test("HEAD answers as GET does, without a body", async (t) => {
	const api = await startCannedApi(t);
	for (const path of ["/api/v1/status", `/api/v1/traces/${TRACE_ID}`, "/"]) {
		const answer = await api.send("HEAD", path, { "accept-encoding": "gzip" });
		assert.equal(answer.status, 200, path);
		assert.equal(answer.body.length, 0);
	}
});

async function builtUi(t: TestContext): Promise<string> {
	const directory = await mkdtemp(join(tmpdir(), "meshscope-ui-"));
	t.after(() => rm(directory, { recursive: true }));
	await mkdir(join(directory, "assets"));
	await writeFile(join(directory, "index.html"), "<!doctype html><title>built</title>");
	await writeFile(join(directory, "assets", "index-3f2a9c.js"), "console.log(1);".repeat(500));
	return directory;
}

test("the built UI is served, hashed assets for ever and its page never from a cache", async (t) => {
	const api = await startCannedApi(t, { uiDirectory: await builtUi(t) });
	const page = await api.get("/");
	assert.match(page.text, /built/);
	assert.equal(page.headers["cache-control"], "no-cache");
	const script = await api.get("/assets/index-3f2a9c.js", { "accept-encoding": "br" });
	assert.equal(script.headers["cache-control"], "public, max-age=31536000, immutable");
	assert.match(String(script.headers["content-type"]), /javascript/);
	assert.equal(brotliDecompressSync(script.body).toString(), "console.log(1);".repeat(500));
	const again = await api.get("/", { "if-none-match": String(page.headers["etag"]) });
	assert.equal(again.status, 304);
});

test("a page's own URL opens the UI; a missing asset and an unknown call stay missing", async (t) => {
	const api = await startCannedApi(t, { uiDirectory: await builtUi(t) });
	const html = { accept: "text/html,application/xhtml+xml" };
	for (const path of ["/traces", `/trace/${TRACE_ID}`, "/services/a.b.c?from=now-1h"]) {
		const answer = await api.get(path, html);
		assert.equal(answer.status, 200, path);
		assert.match(answer.text, /built/);
		assert.equal(answer.headers["cache-control"], "no-cache");
	}
	for (const path of ["/assets/gone.js", "/api/v1/none", "/api"]) {
		const answer = await api.get(path, html);
		assert.equal(answer.status, 404, path);
		assert.equal(answer.error().code, "not_found");
	}
	assert.equal((await api.get("/favicon.ico", { accept: "image/*" })).status, 404);
});

test("without a build the page says how to make one, and a folder without one is reported", async (t) => {
	const directory = await mkdtemp(join(tmpdir(), "meshscope-ui-"));
	t.after(() => rm(directory, { recursive: true }));
	const api = await startCannedApi(t, { uiDirectory: directory });
	const page = await api.get("/");
	assert.equal(page.status, 200);
	assert.match(page.text, /npm run build/);
	assert.match(String(api.lines[0]?.message), /npm run build/);
});
