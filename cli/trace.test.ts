import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { traceAnswer } from "../api/contract/traces.ts";
import type { OtlpSpan } from "../model/otlp/types.ts";
import { NOW_NS, openTestStore } from "../test/store/sqlite-directory.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const BODY = JSON.stringify({
	resourceSpans: [
		{
			resource: { attributes: [{ key: "service.name", value: { stringValue: "cart" } }] },
			scopeSpans: [
				{
					spans: [
						{
							traceId: TRACE_ID,
							spanId: "00f067aa0ba902b7",
							name: "GET /checkout",
							kind: 2,
							startTimeUnixNano: "1767225600000000000",
							endTimeUnixNano: "1767225600048200000",
							status: { code: 2 },
						},
					],
				},
			],
		},
	],
	meshscope: { traceId: TRACE_ID, spanCount: 1 },
});

interface Ended {
	readonly code: number;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs the command against a server that answers every request with `answer`. */
async function traceAgainst(
	answer: (request: IncomingMessage, response: ServerResponse) => void,
	args: readonly string[],
): Promise<Ended> {
	const server = createServer(answer);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	try {
		return await runTrace([...args, "--url", url]);
	} finally {
		server.closeAllConnections();
		await new Promise((resolve) => server.close(resolve));
	}
}

function runTrace(args: readonly string[]): Promise<Ended> {
	return new Promise((resolve) => {
		execFile(
			process.execPath,
			[MAIN, "trace", ...args],
			{ env: { PATH: process.env["PATH"], TZ: "UTC" } },
			(error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
		);
	});
}

test("a trace is asked for by its whole ID with the token, and drawn", async () => {
	let asked: string | undefined;
	let token: string | undefined;
	const ended = await traceAgainst(
		(request, response) => {
			asked = request.url;
			token = request.headers.authorization;
			response.end(BODY);
		},
		[TRACE_ID.toUpperCase(), "--token", "a-read-token"],
	);
	assert.equal(asked, `/api/v1/traces/${TRACE_ID}`);
	assert.equal(token, "Bearer a-read-token");
	assert.equal(ended.code, 0, ended.stderr);
	assert.match(ended.stdout, /2026-01-01 00:00:00\.000000 \+00:00 {3}48\.2 ms {3}1 span {3}1 service {3}1 error\n/);
	assert.match(ended.stdout, /^cart +GET \/checkout +SE +48\.2 ms █+$/m);
	assert.ok(!ended.stdout.includes("\u001b"), "no colour where there is no terminal");
});

test("windows that could not be read are named beside what was found", async () => {
	const partial = {
		...JSON.parse(BODY),
		meshscope: { traceId: TRACE_ID, spanCount: 1, damagedWindows: ["20260101T0000-0001"] },
	};
	const ended = await traceAgainst((_, response) => response.end(JSON.stringify(partial)), [TRACE_ID]);
	assert.equal(ended.code, 0);
	assert.match(ended.stdout, /GET \/checkout/);
	assert.match(ended.stderr, /windows that cannot be read: 20260101T0000-0001;/);
});

test("a call says how it was secured, and hops in a form that is not known are left out", async () => {
	const spans = { destination: "00f067aa0ba902b7" };
	const withHops = (hops: unknown): string => BODY.replace('"spanCount":1', `"hops":${JSON.stringify(hops)}`);
	const drawn = async (hops: unknown): Promise<string> => {
		const ended = await traceAgainst((_, response) => response.end(withHops(hops)), [TRACE_ID]);
		assert.equal(ended.code, 0, ended.stderr);
		return ended.stdout;
	};
	assert.match(await drawn([{ mtls: { status: "plaintext" }, spans }]), /^cart +GET \/checkout +SE +plain +48\.2 ms █+$/m);
	const odd = [
		null,
		1,
		{},
		{ mtls: "x", spans },
		{ mtls: { status: "\u001b[2J" }, spans },
		{ mtls: { status: "tls" }, spans: [] },
	];
	for (const hops of [odd, "x", null, {}]) assert.match(await drawn(hops), /^cart +GET \/checkout +SE +48\.2 ms █+$/m);
});

test("--json prints the answer as it came", async () => {
	const ended = await traceAgainst((_, response) => response.end(BODY), [TRACE_ID, "--json"]);
	assert.equal(ended.stdout, `${BODY}\n`);
});

test("an unknown trace ends with 1 and says so", async () => {
	const ended = await traceAgainst((_, response) => response.writeHead(404).end("{}"), ["1"]);
	assert.equal(ended.code, 1);
	assert.equal(ended.stdout, "");
	assert.match(ended.stderr, /^no trace 00000000000000000000000000000001;/);
});

test("what the server says of a trace that it does not have is told", async () => {
	const message = "no trace 1; it lies in a window that cannot be read: 2026-01-01T00";
	const body = JSON.stringify({ error: { code: "not_found", message } });
	const ended = await traceAgainst((_, response) => response.writeHead(404).end(body), ["1"]);
	assert.equal(ended.code, 1);
	assert.equal(ended.stderr, `${message}\n`);
});

test("read from the data directory a trace is what the server would answer, its calls included", async (t) => {
	const store = openTestStore(t);
	const spanOf = (spanId: string, kind: number, rest: Partial<OtlpSpan>): OtlpSpan => ({
		traceId: TRACE_ID,
		spanId,
		kind,
		name: "GET /",
		startTimeUnixNano: String(NOW_NS),
		endTimeUnixNano: String(NOW_NS + 1_000_000n),
		...rest,
	});
	const from = (service: string, span: OtlpSpan): object => ({
		resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
		scopeSpans: [{ spans: [span] }],
	});
	store.append({
		traces: {
			resourceSpans: [
				from("web", spanOf("00f067aa0ba902b7", 3, {})),
				from("reviews", spanOf("00f067aa0ba902b8", 2, { parentSpanId: "00f067aa0ba902b7" })),
			],
		},
	});
	const ended = await runTrace([TRACE_ID, "--json", "--data", store.directory]);
	assert.equal(ended.code, 0, ended.stderr);
	const answer = traceAnswer.parse(JSON.parse(ended.stdout));
	assert.equal(answer.resourceSpans.length, 2);
	const { hops, hopCount, spansLeft, damagedWindows, spanCount } = answer.meshscope;
	assert.deepEqual(
		hops.map(({ source, target }) => [source, target]),
		[["web", "reviews"]],
	);
	assert.deepEqual(
		{ hopCount, spansLeft, damagedWindows, spanCount },
		{ hopCount: 1, spansLeft: 0, damagedWindows: [], spanCount: 2 },
	);

	const missing = await runTrace(["1", "--data", store.directory]);
	assert.equal(missing.code, 1);
	assert.match(missing.stderr, /^no trace 0+1; it is older than the retention, or has not arrived\n$/);
});

test("a server that does not answer is named with how to name another", async () => {
	const ended = await runTrace(["1", "--url", "http://127.0.0.1:1"]);
	assert.equal(ended.code, 1);
	assert.match(
		ended.stderr,
		/^error: no answer from http:\/\/127\.0\.0\.1:1: .*; start `meshscope serve`, or name the server with --url\n$/,
	);
});

test("another refusal is told in the server's words", async () => {
	const refusal = JSON.stringify({ error: { code: "unauthenticated", message: "no token was sent" } });
	const ended = await traceAgainst((_, response) => response.writeHead(401).end(refusal), ["1"]);
	assert.equal(ended.code, 1);
	assert.equal(ended.stderr, "error: no token was sent (HTTP 401)\n");
});
