/**
 * What HTTP/2 forbids, made by hand and sent to a proxy and to a bare node:http2 server: the proxy never takes what that refuses, and
 * refuses no less of the connection. Both survive, and answer others.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import {
	CONTINUATION,
	connectRaw,
	DATA,
	END_HEADERS,
	END_STREAM,
	GOAWAY,
	h2Frame,
	HEADERS,
	literal,
	PING,
	RST_STREAM,
	SETTINGS,
} from "../attacks/receivers-h2.ts";
import type { RawH2 } from "../attacks/receivers-h2.ts";
import { ANY, config, proxyFor, recordingSink, startApp, until, workload } from "./rig.ts";

const PRIORITY = 2;
const PUSH_PROMISE = 5;
const WINDOW_UPDATE = 8;
const PADDED = 8;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SENTINEL = 999_001;

/** From the mildest to the strictest. */
const REACTIONS = ["served", "answered by the server itself", "stream reset", "connection ended"] as const;
type Reaction = (typeof REACTIONS)[number];

interface Target {
	readonly address: string;
	/** Requests that reached the app. */
	readonly seen: () => number;
}

async function bareServer(t: TestContext): Promise<Target> {
	let seen = 0;
	const server = createServer();
	server.on("session", (session) => {
		session.on("error", () => {});
		t.after(() => session.destroy());
	});
	server.on("sessionError", () => {});
	server.on("stream", (stream, headers) => {
		stream.on("error", () => {});
		if (headers[":path"] !== "/sentinel") seen++;
		if (headers[":path"] === "/hang") return;
		stream.resume();
		stream.respond({ ":status": 200 });
		stream.end("ok");
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.after(() => server.close());
	return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen: () => seen };
}

async function shim(t: TestContext) {
	let seen = 0;
	const names = new Set<string>();
	const app = await startApp(t, (message, response) => {
		for (const name of Object.keys(message.headers)) names.add(name);
		if (message.url !== "/sentinel") seen++;
		if (message.url === "/hang") return;
		message.resume();
		response.end("ok");
	});
	const inbound = [{ listen: ANY, app, servicePort: 80, protocol: "http" as const }];
	const sink = recordingSink();
	const proxy = await proxyFor(t, { workload: workload("orders"), inbound }, config(), sink);
	return { address: `127.0.0.1:${proxy.addresses.inbound[0]!.port}`, seen: () => seen, names, proxy };
}

function block(...fields: readonly (readonly [string, string])[]): Buffer {
	return Buffer.concat(fields.map(([name, value]) => literal(name, value)));
}

const METHOD = [":method", "GET"] as const;
const SCHEME = [":scheme", "http"] as const;
const AUTHORITY = [":authority", "orders"] as const;
const PATH = [":path", "/"] as const;
const GET = [METHOD, SCHEME, AUTHORITY, PATH] as const;
const POST = [[":method", "POST"], SCHEME, AUTHORITY, PATH] as const;

/** One request that is nothing but these fields. */
function head(...fields: readonly (readonly [string, string])[]): Buffer {
	return h2Frame(HEADERS, END_HEADERS | END_STREAM, 1, block(...fields));
}

function open(streamId = 1, fields: readonly (readonly [string, string])[] = POST): Buffer {
	return h2Frame(HEADERS, END_HEADERS, streamId, block(...fields));
}

function uint32(value: number): Buffer {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE(value);
	return bytes;
}

function setting(id: number, value: number): Buffer {
	return Buffer.concat([Buffer.from([0, id]), uint32(value)]);
}

/** Repeats until the server has had enough; the bound only keeps a server that never has from being fed for ever. */
async function flood(raw: RawH2, bytes: (round: number) => Buffer, rounds: number): Promise<void> {
	for (let round = 0; round < rounds && !hasEnded(raw) && !raw.socket.destroyed; round++) {
		await raw.write(bytes(round));
		await new Promise((resolve) => setImmediate(resolve));
	}
}

type Violation = readonly [name: string, send: Buffer | ((raw: RawH2) => Promise<void>), answerDue?: "no answer is due"];

/** Of a whole head an answer is always due: its own, a 400 or a reset. */
const VIOLATIONS: readonly Violation[] = [
	["a field name with a space", head(...GET, ["x y", "1"])],
	["a field name in upper case", head(...GET, ["X-Upper", "1"])],
	["a field name with a colon", head(...GET, ["x:y", "1"])],
	["an empty field name", head(...GET, ["", "1"])],
	["a line break in a value", head(...GET, ["x", "a\r\nb: c"])],
	["a NUL in a value", head(...GET, ["x", "a\0b"])],
	["a pseudo-field behind others", head(METHOD, SCHEME, AUTHORITY, ["x", "1"], PATH)],
	["no :path", head(METHOD, SCHEME, AUTHORITY)],
	["no :method", head(SCHEME, AUTHORITY, PATH)],
	["no :scheme", head(METHOD, AUTHORITY, PATH)],
	["an empty :path", head(METHOD, SCHEME, AUTHORITY, [":path", ""])],
	["two :path", head(...GET, [":path", "/b"])],
	["two :authority", head(...GET, [":authority", "b"])],
	["an unknown pseudo-field", head(...GET, [":what", "1"])],
	["a pseudo-field of responses", head(...GET, [":status", "200"])],
	["a path with a space", head(METHOD, SCHEME, AUTHORITY, [":path", "/a HTTP/1.1"])],
	["a path that is none", head(METHOD, SCHEME, AUTHORITY, [":path", "admin"])],
	["a method with a space", head([":method", "GET /admin"], SCHEME, AUTHORITY, PATH)],
	["an authority with a user", head(METHOD, SCHEME, [":authority", "a@b"], PATH)],
	["an authority and another Host", head(...GET, ["host", "other"])],
	["Connection", head(...GET, ["connection", "close"])],
	["Transfer-Encoding", head(...GET, ["transfer-encoding", "chunked"])],
	["Keep-Alive", head(...GET, ["keep-alive", "timeout=1"])],
	["TE of more than trailers", head(...GET, ["te", "gzip"])],
	["two Content-Length", head(...POST, ["content-length", "0"], ["content-length", "1"])],
	["a Content-Length that is no number", head(...POST, ["content-length", "x"])],
	[
		"a body shorter than said",
		Buffer.concat([open(1, [...POST, ["content-length", "5"]]), h2Frame(DATA, END_STREAM, 1, Buffer.from("abc"))]),
	],
	[
		"a body longer than said",
		Buffer.concat([open(1, [...POST, ["content-length", "1"]]), h2Frame(DATA, END_STREAM, 1, Buffer.from("abc"))]),
	],
	["a pseudo-field in trailers", Buffer.concat([open(), head(PATH)])],
	[
		"too many fields",
		Buffer.concat([
			h2Frame(
				HEADERS,
				END_HEADERS | END_STREAM,
				1,
				block(...GET, ...Array.from({ length: 500 }, (_, i) => [`x-${i}`, "1"] as const)),
			),
		]),
	],
	[
		"a window of the stream above 2^31-1",
		Buffer.concat([
			open(1, [METHOD, SCHEME, AUTHORITY, [":path", "/hang"]]),
			h2Frame(WINDOW_UPDATE, 0, 1, uint32(0x7fffffff)),
		]),
	],
	[
		"a window update of 0 on a stream",
		Buffer.concat([open(1, [METHOD, SCHEME, AUTHORITY, [":path", "/hang"]]), h2Frame(WINDOW_UPDATE, 0, 1, uint32(0))]),
	],
	["DATA after the end of the stream", Buffer.concat([head(...GET), h2Frame(DATA, END_STREAM, 1, Buffer.from("x"))])],
	["a stream of even number", h2Frame(HEADERS, END_HEADERS | END_STREAM, 2, block(...GET)), "no answer is due"],
	["a stream of number 0", h2Frame(HEADERS, END_HEADERS | END_STREAM, 0, block(...GET)), "no answer is due"],
	[
		"a stream below the last one",
		Buffer.concat([
			h2Frame(HEADERS, END_HEADERS | END_STREAM, 5, block(...GET)),
			h2Frame(HEADERS, END_HEADERS | END_STREAM, 3, block(...GET)),
		]),
		"no answer is due",
	],
	["a frame above the size that was agreed", h2Frame(DATA, 0, 1, Buffer.alloc(16_385)), "no answer is due"],
	["a head above the size that was agreed", h2Frame(HEADERS, END_HEADERS, 1, Buffer.alloc(20_000)), "no answer is due"],
	["DATA on an idle stream", h2Frame(DATA, 0, 7, Buffer.from("x")), "no answer is due"],
	["DATA on stream 0", h2Frame(DATA, 0, 0, Buffer.from("x")), "no answer is due"],
	["RST_STREAM on an idle stream", h2Frame(RST_STREAM, 0, 7, uint32(8)), "no answer is due"],
	["RST_STREAM of a wrong length", Buffer.concat([open(), h2Frame(RST_STREAM, 0, 1, Buffer.alloc(3))]), "no answer is due"],
	["WINDOW_UPDATE on an idle stream", h2Frame(WINDOW_UPDATE, 0, 7, uint32(1)), "no answer is due"],
	["a window of the connection above 2^31-1", h2Frame(WINDOW_UPDATE, 0, 0, uint32(0x7fffffff)), "no answer is due"],
	["a window update of 0", h2Frame(WINDOW_UPDATE, 0, 0, uint32(0)), "no answer is due"],
	["CONTINUATION without a head", h2Frame(CONTINUATION, END_HEADERS, 1, block(...GET)), "no answer is due"],
	[
		"a head that another frame interrupts",
		Buffer.concat([h2Frame(HEADERS, 0, 1, block(...GET)), h2Frame(PING, 0, 0, Buffer.alloc(8))]),
		"no answer is due",
	],
	["padding longer than the frame", h2Frame(HEADERS, END_HEADERS | PADDED, 1, Buffer.from([200, 0, 0])), "no answer is due"],
	[
		"HPACK of an index that is not there",
		h2Frame(HEADERS, END_HEADERS, 1, Buffer.from([0xff, 0xff, 0x03])),
		"no answer is due",
	],
	["HPACK that ends within a string", h2Frame(HEADERS, END_HEADERS, 1, Buffer.from([0x00, 0x05, 0x61])), "no answer is due"],
	["SETTINGS of a wrong length", h2Frame(SETTINGS, 0, 0, Buffer.alloc(5)), "no answer is due"],
	["SETTINGS on a stream", h2Frame(SETTINGS, 0, 1), "no answer is due"],
	["SETTINGS that acknowledges with a payload", h2Frame(SETTINGS, 1, 0, setting(3, 1)), "no answer is due"],
	["ENABLE_PUSH of 2", h2Frame(SETTINGS, 0, 0, setting(2, 2)), "no answer is due"],
	["INITIAL_WINDOW_SIZE above 2^31-1", h2Frame(SETTINGS, 0, 0, setting(4, 0x80000000)), "no answer is due"],
	["MAX_FRAME_SIZE of 1", h2Frame(SETTINGS, 0, 0, setting(5, 1)), "no answer is due"],
	["PING of a wrong length", h2Frame(PING, 0, 0, Buffer.alloc(7)), "no answer is due"],
	["PING on a stream", h2Frame(PING, 0, 1, Buffer.alloc(8)), "no answer is due"],
	["PRIORITY of a wrong length", h2Frame(PRIORITY, 0, 1, Buffer.alloc(4)), "no answer is due"],
	[
		"PUSH_PROMISE of a client",
		h2Frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), block(...GET)])),
		"no answer is due",
	],
	["GOAWAY on a stream", h2Frame(GOAWAY, 0, 1, Buffer.alloc(8)), "no answer is due"],
	[
		"a head that never ends",
		async (raw) => {
			await raw.write(h2Frame(HEADERS, END_STREAM, 1, block(...GET)));
			await flood(raw, () => h2Frame(CONTINUATION, 0, 1, block(["x-filler", "y".repeat(100)])), 5_000);
		},
		"no answer is due",
	],
	[
		"empty CONTINUATION frames without end",
		async (raw) => {
			await raw.write(h2Frame(HEADERS, END_STREAM, 1, block(...GET)));
			await flood(raw, () => Buffer.concat(Array.from({ length: 100 }, () => h2Frame(CONTINUATION, 0, 1))), 200);
		},
		"no answer is due",
	],
	[
		"a body that overruns its window",
		async (raw) => {
			await raw.write(open(1, [[":method", "POST"], SCHEME, AUTHORITY, [":path", "/hang"]]));
			await flood(raw, () => h2Frame(DATA, 0, 1, Buffer.alloc(16_384)), 4_000);
		},
		"no answer is due",
	],
	[
		"streams that are opened and reset without end",
		(raw) =>
			flood(
				raw,
				(round) =>
					Buffer.concat(
						Array.from({ length: 50 }, (_, i) => {
							const id = (round * 50 + i) * 2 + 1;
							return Buffer.concat([
								h2Frame(
									HEADERS,
									END_HEADERS | END_STREAM,
									id,
									block(METHOD, SCHEME, AUTHORITY, [":path", "/hang"]),
								),
								h2Frame(RST_STREAM, 0, id, uint32(8)),
							]);
						}),
					),
				200,
			),
		"no answer is due",
	],
	[
		"SETTINGS without end from one who does not read",
		async (raw) => {
			raw.socket.pause();
			await flood(
				raw,
				() => Buffer.concat(Array.from({ length: 500 }, () => h2Frame(SETTINGS, 0, 0, setting(4, 65_535)))),
				100,
			);
			raw.socket.resume();
		},
		"no answer is due",
	],
	[
		"more streams than may be open",
		(raw) =>
			flood(
				raw,
				(round) =>
					Buffer.concat(
						Array.from({ length: 50 }, (_, i) =>
							open((round * 50 + i) * 2 + 1, [METHOD, SCHEME, AUTHORITY, [":path", "/hang"]]),
						),
					),
				24,
			),
		"no answer is due",
	],
];

function hasEnded(raw: RawH2): boolean {
	return raw.socket.closed || raw.seen.some(({ type, errorCode }) => type === GOAWAY && errorCode !== 0);
}

async function reactionOf(target: Target, [name, send, answerDue]: Violation): Promise<Reaction> {
	const seenBefore = target.seen();
	const raw = connectRaw(target.address);
	try {
		await (typeof send === "function" ? send(raw) : raw.write(send));
		await raw.write(
			h2Frame(HEADERS, END_HEADERS | END_STREAM, SENTINEL, block(METHOD, SCHEME, AUTHORITY, [":path", "/sentinel"])),
		);
		const answered = (id: number): boolean =>
			raw.seen.some(({ type, streamId }) => streamId === id && (type === HEADERS || type === RST_STREAM));
		const due = answerDue === undefined ? [1, SENTINEL] : [SENTINEL];
		await until(() => (hasEnded(raw) || due.every(answered) ? true : undefined), `${name}: a reaction`, 30_000);
		if (hasEnded(raw)) return "connection ended";
		if (raw.seen.some(({ type, streamId }) => type === RST_STREAM && streamId !== SENTINEL)) return "stream reset";
		return target.seen() > seenBefore || answerDue !== undefined ? "served" : "answered by the server itself";
	} finally {
		raw.socket.destroy();
		await raw.closed;
	}
}

test("no violation of HTTP/2 is taken by the proxy that node:http2 refuses", async (t) => {
	const bare = await bareServer(t);
	const { proxy, names, ...proxied } = await shim(t);
	const milder: string[] = [];
	let refused = 0;
	for (const violation of VIOLATIONS) {
		const [expected, got] = [await reactionOf(bare, violation), await reactionOf(proxied, violation)];
		if (REACTIONS.indexOf(got) < REACTIONS.indexOf(expected)) milder.push(`${violation[0]}: ${got}, not ${expected}`);
		if (got !== "served") refused++;
		// The next caller is served whatever this one did.
		assert.equal(await reactionOf(proxied, ["a request", head(...GET)]), "served", violation[0]);
		await until(() => (proxy.active() === 0 ? true : undefined), `${violation[0]}: what is under way to end`, 30_000);
	}
	assert.deepEqual(milder, []);
	// Fields that are none, which nghttp2 drops and serves the rest of: nothing of them reaches the app.
	for (const name of ["x y", "x:y", "x", "b", "", ":what", ":status"]) assert.ok(!names.has(name), name);
	assert.ok(names.has("x-request-id"));
	// A harness that reads reactions wrongly would call everything served.
	assert.ok(refused > VIOLATIONS.length * 0.8, `${refused} of ${VIOLATIONS.length} refused`);
});

test("what does not begin as HTTP/2 is not taken for it", async (t) => {
	const bare = await bareServer(t);
	const { proxy, ...proxied } = await shim(t);
	const request = head(...GET);
	for (const [name, bytes] of [
		["another preface", Buffer.concat([Buffer.from(PREFACE.replace("SM", "XX")), h2Frame(SETTINGS, 0, 0), request])],
		["a preface in lower case", Buffer.concat([Buffer.from(PREFACE.toLowerCase()), h2Frame(SETTINGS, 0, 0), request])],
		["frames without a preface", Buffer.concat([h2Frame(SETTINGS, 0, 0), request])],
		["a request before SETTINGS", Buffer.concat([Buffer.from(PREFACE), request])],
	] as const) {
		for (const target of [bare, proxied]) {
			const [host, port] = target.address.split(":");
			const socket = connect({ host, port: Number(port) });
			socket.on("error", () => {});
			socket.resume();
			socket.write(bytes);
			await until(() => (socket.closed ? true : undefined), `${name}: the end of the connection`, 30_000);
			assert.equal(target.seen(), 0, name);
		}
	}
	assert.equal(proxy.active(), 0);
});
