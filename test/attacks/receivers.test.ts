/** The receivers' part of the attack list; receivers-attack.ts says what must hold after each. */
import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { test } from "node:test";
import { createZstdCompress, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { JSON_TYPE, PROTOBUF, TRACE_EXPORT, callGrpc, callGrpcOn, callHttp, frame } from "../../collector/receivers/test-kit.ts";
import { MIB, attack, pause } from "./receivers-attack.ts";
import type { Target } from "./receivers-attack.ts";
import {
	CONTINUATION,
	DATA,
	END_HEADERS,
	GOAWAY,
	HEADERS,
	PING,
	RST_STREAM,
	SETTINGS,
	connectRaw,
	grpcHeaders,
	h2Frame,
	literal,
} from "./receivers-h2.ts";

/** 1 GiB in 1 MiB of gzip, whose trailer admits to 16 MiB: members follow one another, and the trailer is the last one's. */
const gzipBomb = Buffer.concat(Array.from({ length: 64 }, () => gzipSync(Buffer.alloc(16 * MIB))));
/** 1 GiB in many frames, of which the first admits to 16 MiB. */
const zstdFramesBomb = Buffer.concat(Array.from({ length: 64 }, () => zstdCompressSync(Buffer.alloc(16 * MIB))));

/** 512 MiB in one frame that declares no size. */
async function zstdStreamBomb(): Promise<Buffer> {
	const stream = createZstdCompress();
	const parts = stream.toArray() as Promise<Buffer[]>;
	for (let i = 0; i < 32; i++) stream.write(Buffer.alloc(16 * MIB));
	stream.end();
	return Buffer.concat(await parts);
}

/** A frame header that declares 2^62 bytes, and nothing behind it. */
const zstdLie = Buffer.concat([
	Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0]),
	Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x40]),
	Buffer.alloc(20),
]);

async function bombsOverHttp(target: Target, encoding: string, bomb: Buffer): Promise<void> {
	const headers = { ...PROTOBUF, "content-encoding": encoding };
	const otlp = Array.from({ length: 60 }, () => callHttp({ address: target.otlpHttp, headers, body: bomb }));
	const zipkin = Array.from({ length: 20 }, () =>
		callHttp({ address: target.zipkin, path: "/api/v2/spans", headers, body: bomb }),
	);
	const statuses = new Set((await Promise.all([...otlp, ...zipkin])).map(({ status }) => status));
	// 503 for those that find the queue full of the others.
	assert.ok(
		[...statuses].every((status) => status === 413 || status === 503),
		[...statuses].join(),
	);
	assert.ok(statuses.has(413));
}

async function bombsOverGrpc(target: Target, encoding: string, bomb: Buffer): Promise<void> {
	const session = connectHttp2(`http://${target.otlpGrpc}`, { maxSessionMemory: 1_000 });
	const call = () => callGrpcOn(session, { headers: { "grpc-encoding": encoding }, chunks: [frame(bomb, true)] });
	const codes = new Set((await Promise.all(Array.from({ length: 80 }, call))).map(({ status }) => status));
	session.close();
	assert.ok(
		[...codes].every((code) => code === 8 || code === 14),
		[...codes].join(),
	);
	assert.ok(codes.has(8));
}

test("gzip bombs over HTTP end at the limit", async () => {
	await attack({}, (target) => bombsOverHttp(target, "gzip", gzipBomb));
});

test("deflate bombs over HTTP end at the limit", async () => {
	const bomb = deflateSync(Buffer.alloc(200 * MIB));
	await attack({}, (target) => bombsOverHttp(target, "deflate", bomb));
});

test("zstd bombs over HTTP end at the limit, declared, undeclared, lying or in many frames", async () => {
	const bombs = [await zstdStreamBomb(), zstdFramesBomb, zstdCompressSync(Buffer.alloc(100 * MIB)), zstdLie];
	await attack({}, async (target) => {
		for (const bomb of bombs) await bombsOverHttp(target, "zstd", bomb);
	});
});

test("gzip bombs over gRPC end at the limit", async () => {
	await attack({}, (target) => bombsOverGrpc(target, "gzip", gzipBomb));
});

test("zstd bombs over gRPC end at the limit", async () => {
	const bombs = [await zstdStreamBomb(), zstdFramesBomb, zstdLie];
	await attack({}, async (target) => {
		for (const bomb of bombs) await bombsOverGrpc(target, "zstd", bomb);
	});
});

test("oversized gRPC messages are refused by their declared length", async () => {
	await attack({}, async (target) => {
		for (const declared of [64 * MIB + 1, 2 ** 31, 2 ** 32 - 1]) {
			const calls = Array.from({ length: 20 }, () =>
				callGrpc(target.otlpGrpc, { chunks: [frame(Buffer.alloc(100_000), false, declared)] }),
			);
			for (const { status, details } of await Promise.all(calls)) {
				assert.equal(status, 8);
				assert.ok(!details!.includes("RetryInfo"));
			}
		}
		assert.equal((await callGrpc(target.otlpGrpc, { chunks: [frame(Buffer.alloc(80 * MIB))] })).status, 8);
	});
});

test("oversized HTTP bodies are refused, declared or not", async () => {
	await attack({}, async (target) => {
		for (const chunked of [false, true]) {
			const calls = Array.from({ length: 3 }, () =>
				// A client that goes on sending may see the connection's end before the answer.
				callHttp({ address: target.otlpHttp, headers: PROTOBUF, body: Buffer.alloc(70 * MIB), chunked }).then(
					({ status }) => status,
					(error: NodeJS.ErrnoException) => error.code ?? "",
				),
			);
			for (const outcome of await Promise.all(calls))
				assert.ok([413, 503, "ECONNRESET", "EPIPE"].includes(outcome), String(outcome));
		}
	});
});

test("declared lengths that are lies hold neither memory nor the budget", async () => {
	const report = await attack({ limits: { requestTimeoutMs: 3_000, headersTimeoutMs: 3_000 } }, async (target) => {
		const [host, port] = target.otlpHttp.split(":");
		const liars = Array.from({ length: 60 }, () => {
			const socket = connectTcp({ host, port: Number(port) }).on("error", () => {});
			socket.write(
				`POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${64 * MIB}\r\n\r\n{`,
			);
			return socket;
		});
		const session = connectHttp2(`http://${target.otlpGrpc}`).on("error", () => {});
		const calls = Array.from({ length: 60 }, () =>
			callGrpcOn(session, { chunks: [frame(Buffer.alloc(1), false, 60 * MIB)], open: true }).catch(() => undefined),
		);
		await pause(300);
		assert.equal(
			(await callHttp({ address: target.otlpHttp, headers: JSON_TYPE, body: "{}" })).status,
			200,
			"served meanwhile",
		);
		const short = await callGrpc(target.otlpGrpc, { chunks: [frame(Buffer.alloc(10), false, 1_000)] });
		assert.equal(short.status, 3, "a message that ends early");
		await Promise.all(calls);
		for (const socket of liars) socket.destroy();
		session.destroy();
	});
	assert.ok(report.maxHeldBytes <= 128 * MIB);
});

test("HTTP/2 rapid reset ends the connection", async () => {
	await attack({}, async (target) => {
		for (let round = 0; round < 5; round++) {
			const raw = connectRaw(target.otlpGrpc);
			const block = grpcHeaders(TRACE_EXPORT);
			for (let i = 0; i < 100 && !raw.socket.destroyed; i++) {
				const frames: Buffer[] = [];
				for (let j = 0; j < 500; j++) {
					const id = 1 + 2 * (i * 500 + j);
					frames.push(h2Frame(HEADERS, END_HEADERS, id, block), h2Frame(RST_STREAM, 0, id, Buffer.from([0, 0, 0, 8])));
				}
				await raw.write(Buffer.concat(frames));
			}
			await raw.closed;
			assert.ok(raw.seen.some(({ type }) => type === GOAWAY) || raw.socket.destroyed);
		}
	});
});

test("a CONTINUATION flood ends the connection", async () => {
	await attack({}, async (target) => {
		const raw = connectRaw(target.otlpGrpc);
		await raw.write(h2Frame(HEADERS, 0, 1, grpcHeaders(TRACE_EXPORT)));
		const filler = Buffer.concat(Array.from({ length: 100 }, (_, i) => literal(`x-${i}`, "v".repeat(100))));
		let sent = 0;
		for (; sent < 20_000 && !raw.socket.destroyed; sent++) await raw.write(h2Frame(CONTINUATION, 0, 1, filler));
		await raw.closed;
		assert.ok(sent < 20_000);
	});
});

test("a header block that refers to one large entry again and again is refused", async () => {
	await attack({}, async (target) => {
		const raw = connectRaw(target.otlpGrpc);
		// Literal with incremental indexing: a name and 100 bytes enter the table at index 62; 0xbe names them in one byte.
		const entry = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from("x"), Buffer.from([100]), Buffer.alloc(100, 0x61)]);
		await raw.write(
			h2Frame(HEADERS, END_HEADERS, 1, Buffer.concat([grpcHeaders(TRACE_EXPORT), entry, Buffer.alloc(15_000, 0xbe)])),
		);
		for (let i = 0; i < 100 && !raw.seen.some(({ type }) => type === RST_STREAM || type === GOAWAY); i++) await pause(20);
		assert.ok(raw.seen.some(({ type }) => type === RST_STREAM || type === GOAWAY));
		raw.socket.destroy();
	});
});

test("streams without end are bounded by the advertised 100 a connection", async () => {
	await attack({}, async (target) => {
		const raws = Array.from({ length: 10 }, () => connectRaw(target.otlpGrpc));
		const block = grpcHeaders(TRACE_EXPORT);
		for (const raw of raws) {
			for (let id = 1; id < 10_000 && !raw.socket.destroyed; id += 2)
				await raw.write(h2Frame(HEADERS, END_HEADERS, id, block));
		}
		await pause(300);
		for (const raw of raws) {
			const refused = raw.seen.filter(({ type, errorCode }) => type === RST_STREAM && errorCode === 7).length;
			assert.ok(refused > 0 || raw.seen.some(({ type }) => type === GOAWAY) || raw.socket.destroyed);
			raw.socket.destroy();
		}
	});
});

test("PING, SETTINGS and empty DATA floods by a peer that never reads cost no memory", async () => {
	await attack({}, async (target) => {
		const floods = [
			h2Frame(PING, 0, 0, Buffer.alloc(8)),
			h2Frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])),
			h2Frame(DATA, 0, 1),
		];
		for (const one of floods) {
			const raw = connectRaw(target.otlpGrpc);
			raw.socket.pause();
			await raw.write(h2Frame(HEADERS, END_HEADERS, 1, grpcHeaders(TRACE_EXPORT)));
			const many = Buffer.concat(Array.from({ length: 2_000 }, () => one));
			const until = performance.now() + 2_000;
			for (let i = 0; i < 100 && !raw.socket.destroyed && performance.now() < until; i++) {
				await Promise.race([raw.write(many), pause(200)]);
			}
			raw.socket.destroy();
		}
	});
});

/** Connections that send one byte after the other; resolves to how many the server closed within the time. */
async function drip(
	address: string,
	count: number,
	head: string,
	slow: string | undefined,
	withinMs: number,
): Promise<{ closed: number; received: string[] }> {
	const [host, port] = address.split(":");
	let closed = 0;
	const received: string[] = [];
	const sockets: Socket[] = Array.from({ length: count }, () => {
		const socket = connectTcp({ host, port: Number(port) }).on("error", () => {});
		socket.on("data", (chunk) => received.push(chunk.toString("latin1")));
		socket.on("close", () => closed++);
		socket.write(head);
		return socket;
	});
	const until = performance.now() + withinMs;
	for (let i = 0; performance.now() < until && closed < count; i++) {
		for (const socket of sockets) if (slow !== undefined && socket.writable) socket.write(slow[i % slow.length]!);
		await pause(50);
	}
	for (const socket of sockets) socket.destroy();
	return { closed, received };
}

const SLOW_LIMITS = { headersTimeoutMs: 500, requestTimeoutMs: 1_000 } as const;

test("slowloris in the headers is cut by the headers timeout, and others are served meanwhile", async () => {
	await attack({ limits: SLOW_LIMITS }, async (target) => {
		const slow = drip(target.otlpHttp, 300, "POST /v1/traces HTTP/1.1\r\nhost: x\r\n", "x-header: y\r\n", 8_000);
		await pause(200);
		assert.equal((await callHttp({ address: target.otlpHttp, headers: JSON_TYPE, body: "{}" })).status, 200);
		const { closed, received } = await slow;
		assert.equal(closed, 300);
		assert.match(received[0]!, /^HTTP\/1\.1 503 .*retry-after: 1\r\n/s);
	});
});

test("slowloris in the body is cut by the request timeout, over HTTP and gRPC", async () => {
	await attack({ limits: SLOW_LIMITS }, async (target) => {
		const head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
		const http = drip(target.otlpHttp, 200, head, " ", 8_000);
		await pause(100);
		assert.equal(
			(await callHttp({ address: target.otlpHttp, headers: PROTOBUF, body: Buffer.alloc(MIB) })).status,
			200,
			"served meanwhile",
		);
		const raws = Array.from({ length: 20 }, () => connectRaw(target.otlpGrpc));
		for (const raw of raws) await raw.write(h2Frame(HEADERS, END_HEADERS, 1, grpcHeaders(TRACE_EXPORT)));
		for (let i = 0; i < 40; i++) {
			for (const raw of raws) await raw.write(h2Frame(DATA, 0, 1, Buffer.from([0])));
			await pause(50);
		}
		for (const raw of raws) {
			// Answered with a status, then told to stop sending.
			assert.ok(raw.seen.some(({ type, streamId }) => type === HEADERS && streamId === 1));
			raw.socket.destroy();
		}
		assert.equal((await http).closed, 200);
	});
});

test("a gRPC connection that never completes its preface is cut", async () => {
	await attack({ limits: SLOW_LIMITS }, async (target) => {
		const { closed } = await drip(target.otlpGrpc, 100, "PRI * HTTP/2.0\r\n\r\n", undefined, 5_000);
		assert.equal(closed, 100);
	});
});

test("connections beyond the cap are closed, and leave room again", async () => {
	await attack({ limits: { maxConnections: 50 } }, async (target) => {
		for (const address of [target.otlpHttp, target.otlpGrpc]) {
			const [host, port] = address.split(":");
			let closed = 0;
			const sockets = Array.from({ length: 500 }, () =>
				connectTcp({ host, port: Number(port) })
					.on("error", () => {})
					.on("close", () => closed++)
					.resume(),
			);
			await pause(500);
			assert.ok(closed >= 450, String(closed));
			for (const socket of sockets) socket.destroy();
			await pause(100);
		}
	});
});

test("forged X-Forwarded-* and Forwarded headers open nothing and appear nowhere", async () => {
	const forged = {
		"x-forwarded-for": "127.0.0.1, 203.0.113.7",
		"x-forwarded-host": "localhost",
		"x-forwarded-proto": "https",
		"x-forwarded-client-cert": "By=spiffe://forged;Hash=0;URI=spiffe://forged/admin",
		"x-real-ip": "127.0.0.1",
		forwarded: "for=127.0.0.1;host=localhost",
	};
	const report = await attack({ ingestTokens: ["real"] }, async (target) => {
		assert.equal(
			(await callHttp({ address: target.otlpHttp, headers: { ...JSON_TYPE, ...forged }, body: "{}" })).status,
			401,
		);
		assert.equal(
			(await callHttp({ address: target.zipkin, path: "/api/v2/spans", headers: forged, body: "[]" })).status,
			401,
		);
		assert.equal((await callGrpc(target.otlpGrpc, { headers: forged, chunks: [frame(Buffer.alloc(1))] })).status, 16);
	});
	assert.ok(!report.logLines.join("\n").includes("203.0.113.7"));
	assert.ok(!report.logLines.join("\n").includes("spiffe"));
});

test("log injection through paths, headers and encodings yields one clean line each", async () => {
	const evil = 'x\u009b31m\u0085{"level":"info"}';
	const report = await attack({}, async (target) => {
		const [host, port] = target.otlpHttp.split(":");
		for (const path of [`/v1/${evil}`, "/v1/%0d%0aforged", `/${"a".repeat(10_000)}`]) {
			const socket = connectTcp({ host, port: Number(port) }).on("error", () => {});
			socket.end(
				Buffer.from(`POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, "latin1"),
			);
			await new Promise((resolve) => socket.on("close", resolve).resume());
		}
		const encoded = await callHttp({
			address: target.otlpHttp,
			headers: { ...JSON_TYPE, "content-encoding": evil },
			body: "x",
		});
		assert.equal(encoded.status, 415);
		assert.ok(!encoded.body.includes("\u009b"));
		assert.equal(
			(await callHttp({ address: target.zipkin, path: "/api/v2/spans", headers: { "content-type": evil }, body: "x" }))
				.status,
			415,
		);
		assert.equal(
			(await callGrpc(target.otlpGrpc, { headers: { "grpc-encoding": evil }, chunks: [frame(Buffer.alloc(1))] })).status,
			12,
		);
		const unknown = await callGrpc(target.otlpGrpc, { path: `/${evil}`, chunks: [frame(Buffer.alloc(1))] }).catch(
			() => undefined,
		);
		assert.ok(unknown === undefined || unknown.status === 12);
	});
	assert.ok(report.logLines.length > 0);
	for (const line of report.logLines) {
		assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
		assert.ok(line.length < 600, `${line.length} characters`);
	}
});

test("huge header counts and sizes are refused", async () => {
	await attack({}, async (target) => {
		const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`x-header-${i}`, "v"]));
		for (const headers of [many, { "x-large": "v".repeat(1_000_000) }]) {
			const http = await callHttp({ address: target.otlpHttp, headers: { ...JSON_TYPE, ...headers }, body: "{}" }).then(
				({ status }) => status,
				(error: NodeJS.ErrnoException) => error.code,
			);
			// The server closes while the client still sends; the answer may be lost to the reset.
			assert.ok(http === 431 || http === "ECONNRESET" || http === "EPIPE", String(http));
		}
		for (let i = 0; i < 20; i++) {
			const raw = connectRaw(target.otlpGrpc);
			const fields = Array.from({ length: 2_000 }, (_, j) => literal(`x-${j}`, "v"));
			await raw.write(h2Frame(HEADERS, END_HEADERS, 1, Buffer.concat([grpcHeaders(TRACE_EXPORT), ...fields])));
			for (let j = 0; j < 100 && !raw.seen.some(({ type }) => type === RST_STREAM || type === GOAWAY); j++) await pause(10);
			assert.ok(raw.seen.some(({ type }) => type === RST_STREAM || type === GOAWAY));
			raw.socket.destroy();
		}
	});
});

test("many refused requests make few log lines", async () => {
	const report = await attack({ ingestTokens: ["real"] }, async (target) => {
		for (let i = 0; i < 20; i++) {
			await Promise.all(
				Array.from({ length: 50 }, () => callHttp({ address: target.otlpHttp, headers: JSON_TYPE, body: "{}" })),
			);
		}
	});
	assert.equal(report.refusals["unauthenticated"], 1_000);
	assert.ok(report.logLines.length < 10, `${report.logLines.length} lines`);
});
