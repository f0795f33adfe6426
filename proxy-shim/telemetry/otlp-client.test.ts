import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { encodeStatus } from "../../collector/receivers/wire.ts";
import { createOtlpClient, type OtlpClient, retryDelayMs, TRACE_EXPORT } from "./otlp-client.ts";

const ended: (() => void)[] = [];
after(() => {
	for (const end of ended) end();
});

interface Answer {
	readonly status?: number;
	readonly trailers?: Readonly<Record<string, string>>;
	readonly body?: Uint8Array;
	readonly silent?: boolean;
}

async function listen(answer: (headers: Readonly<Record<string, unknown>>, body: Buffer) => Answer) {
	const sessions = new Set<ServerHttp2Session>();
	const server: Http2Server = createServer();
	server.on("session", (session) => void sessions.add(session));
	server.on("sessionError", () => undefined);
	server.on("stream", (stream, headers) => {
		const parts: Buffer[] = [];
		stream.on("error", () => undefined);
		stream.on("data", (part: Buffer) => parts.push(part));
		stream.on("end", () => {
			const { status = 200, trailers, body, silent } = answer(headers, Buffer.concat(parts));
			if (silent === true) return;
			stream.respond(
				{ ":status": status, "content-type": "application/grpc" },
				{ waitForTrailers: trailers !== undefined },
			);
			if (trailers !== undefined) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
			stream.end(body);
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	ended.push(() => {
		for (const session of sessions) session.destroy();
		server.close();
	});
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sessions };
}

function clientOf(url: string, more: { readonly token?: string; readonly timeoutMs?: number } = {}): OtlpClient {
	const client = createOtlpClient({ url, userAgent: "test", ...more });
	ended.push(() => client.close());
	return client;
}

const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 7]);

test("a call bears path, token and bytes; its answer says how many records were rejected", async () => {
	let seen: readonly unknown[] = [];
	const { url } = await listen((headers, body) => {
		seen = [headers[":path"], headers["authorization"], headers["te"], body.toString("hex")];
		return { body: Buffer.from([0, 0, 0, 0, 9, 0x0a, 7, 8, 3, 0x12, 3, 0x6e, 0x6f, 0x21]), trailers: { "grpc-status": "0" } };
	});
	const outcome = await clientOf(url, { token: "secret" }).send(TRACE_EXPORT, MESSAGE);
	assert.deepEqual(seen, [TRACE_EXPORT, "Bearer secret", "trailers", MESSAGE.toString("hex")]);
	assert.deepEqual(outcome, { kind: "accepted", rejected: 3, message: "no!" });
});

test("codes that another try may help are retried when the receiver says, others are not", async () => {
	let trailers: Record<string, string> = {};
	const { url } = await listen(() => ({ trailers }));
	const client = clientOf(url);
	const details = Buffer.from(encodeStatus({ code: "overloaded", message: "later", retryAfterMs: 1_500 })).toString("base64");
	trailers = { "grpc-status": "14", "grpc-message": "busy", "grpc-status-details-bin": details };
	assert.deepEqual(await client.send(TRACE_EXPORT, MESSAGE), { kind: "retry", afterMs: 1_500, reason: "gRPC 14 busy" });
	trailers = { "grpc-status": "14" };
	assert.deepEqual(await client.send(TRACE_EXPORT, MESSAGE), { kind: "retry", afterMs: undefined, reason: "gRPC 14" });
	for (const code of ["3", "7", "12", "16", "8"]) {
		trailers = { "grpc-status": code };
		assert.equal((await client.send(TRACE_EXPORT, MESSAGE)).kind, "refused", code);
	}
	trailers = { "grpc-status": "8", "grpc-status-details-bin": details };
	assert.equal((await client.send(TRACE_EXPORT, MESSAGE)).kind, "retry");
});

test("what is not gRPC is retried where a proxy between says that it passes", async () => {
	let status = 503;
	const { url } = await listen(() => ({ status }));
	const client = clientOf(url);
	assert.equal((await client.send(TRACE_EXPORT, MESSAGE)).kind, "retry");
	status = 404;
	assert.deepEqual(await client.send(TRACE_EXPORT, MESSAGE), { kind: "refused", reason: "HTTP 404" });
});

/** Resolves once a call is accepted: on a busy machine an answer may come later than the client's 50 ms a few times. */
async function accepted(client: OtlpClient): Promise<void> {
	for (let i = 0; i < 40; i++) if ((await client.send(TRACE_EXPORT, MESSAGE)).kind === "accepted") return;
	assert.fail("no call was accepted");
}

test("a connection that broke, or is answered too late, is made anew by the next call", async () => {
	let silent = true;
	const { url, sessions } = await listen(() => ({ silent, trailers: { "grpc-status": "0" } }));
	const client = clientOf(url, { timeoutMs: 50 });
	const late = await client.send(TRACE_EXPORT, MESSAGE);
	assert.deepEqual(late, { kind: "retry", afterMs: undefined, reason: "no answer within 50 ms" });
	silent = false;
	await accepted(client);
	for (const session of sessions) session.destroy();
	await accepted(client);
});

test("nobody there is a retry, a closed client a refusal", async () => {
	const client = clientOf("http://127.0.0.1:1");
	assert.equal((await client.send(TRACE_EXPORT, MESSAGE)).kind, "retry");
	client.close();
	assert.equal((await client.send(TRACE_EXPORT, MESSAGE)).kind, "refused");
});

test("details that are no protobuf, or say nothing of retrying, give no delay; a delay has a limit", () => {
	assert.equal(retryDelayMs(""), undefined);
	assert.equal(retryDelayMs(Buffer.from([0xff, 0xff]).toString("base64")), undefined);
	const bad = Buffer.from(encodeStatus({ code: "invalid_argument", message: "x" })).toString("base64");
	assert.equal(retryDelayMs(bad), undefined);
	const long = Buffer.from(encodeStatus({ code: "overloaded", message: "x", retryAfterMs: 3_600_000 })).toString("base64");
	assert.equal(retryDelayMs(long), 60_000);
});
