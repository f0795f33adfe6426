/** Attacks on Envoy's access log service, whose streams last as long as their client likes; receivers-attack.ts says what must hold. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { callGrpc, callGrpcOn, frame } from "../../collector/receivers/test-kit.ts";
import { bytesField, concat, stringField } from "../../collector/receivers/wire.ts";
import { MIB, attack, pause } from "./receivers-attack.ts";
import type { Target } from "./receivers-attack.ts";
import { DATA, END_HEADERS, GOAWAY, HEADERS, RST_STREAM, connectRaw, grpcHeaders, h2Frame } from "./receivers-h2.ts";

const ALS = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/** HTTP entries { common_properties { upstream_cluster, padding in an unknown field } } */
function entries(padding: number): Uint8Array {
	return bytesField(2, bytesField(1, bytesField(1, concat([stringField(15, "a"), bytesField(90, new Uint8Array(padding))]))));
}

interface OpenCall {
	readonly stream: ClientHttp2Stream;
	/** gRPC status; -1 when the stream was cut. */
	readonly status: Promise<number>;
}

function open(session: ClientHttp2Session): OpenCall {
	const stream = session.request({ ":method": "POST", ":path": ALS, "content-type": "application/grpc", te: "trailers" });
	stream.on("error", () => {});
	const status = new Promise<number>((resolve) => {
		const take = (headers: { readonly "grpc-status"?: string | string[] | undefined }): void => {
			if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"]));
		};
		stream.on("response", take);
		stream.on("trailers", take);
		stream.on("close", () => resolve(-1));
	});
	stream.resume();
	return { stream, status };
}

function session(address: string): ClientHttp2Session {
	const opened = connect(`http://${address}`, { maxSessionMemory: 1_000 });
	opened.on("error", () => {});
	return opened;
}

/** Waits until the bytes have left the stream's buffer, or the stream is over. */
function write(stream: ClientHttp2Stream, bytes: Uint8Array): Promise<void> {
	return new Promise((resolve) => {
		if (stream.closed || stream.destroyed) return resolve();
		stream.once("close", resolve);
		stream.write(bytes, () => {
			stream.off("close", resolve);
			resolve();
		});
	});
}

test("an endless stream is read as fast as its batches are taken, and costs no memory", async () => {
	const report = await attack({}, async (target) => {
		const client = session(target.otlpGrpc);
		const { stream } = open(client);
		const large = frame(entries(100_000));
		const until = performance.now() + 4_000;
		let sent = 0;
		while (performance.now() < until && !stream.closed) {
			await write(stream, large);
			sent++;
		}
		assert.ok(!stream.closed, "a client that waits when it is told to is not ended");
		assert.ok(sent > 100 && sent < 4_000, `${sent} messages, of which the sink takes at most 200 a second`);
		client.destroy();
	});
	assert.ok(report.maxHeldBytes < 16 * MIB, String(report.maxHeldBytes));
});

test("a stream that ignores its window ends its connection", async () => {
	await attack({}, async (target) => {
		const raw = connectRaw(target.otlpGrpc);
		await raw.write(h2Frame(HEADERS, END_HEADERS, 1, grpcHeaders(ALS)));
		const message = frame(entries(16_000));
		const data = h2Frame(DATA, 0, 1, message);
		const isOver = (): boolean => raw.seen.some(({ type }) => type === RST_STREAM || type === GOAWAY);
		for (let i = 0; i < 20_000 && !isOver() && !raw.socket.destroyed; i++) await raw.write(data);
		assert.ok(isOver() || raw.socket.destroyed);
		raw.socket.destroy();
	});
});

test("empty messages without end are bounded like any others", async () => {
	const report = await attack({}, async (target) => {
		const client = session(target.otlpGrpc);
		const streams = Array.from({ length: 20 }, () => open(client));
		const flood = Buffer.concat([frame(entries(10)), Buffer.alloc(5 * 12_000)]);
		const until = performance.now() + 3_000;
		await Promise.all(
			streams.map(async ({ stream }) => {
				while (performance.now() < until && !stream.closed) await write(stream, flood);
			}),
		);
		client.destroy();
	});
	assert.ok(report.maxHeldBytes <= 128 * MIB);
});

test("slow streams are cut in the middle of a message, and silent ones when their client is gone", async () => {
	const limits = { requestTimeoutMs: 800, headersTimeoutMs: 800, idleSessionTimeoutMs: 800 };
	await attack({ limits }, async (target) => {
		const client = session(target.otlpGrpc);
		const message = frame(entries(10_000));
		const slow = Array.from({ length: 100 }, () => open(client));
		const trickle = setInterval(() => {
			for (const { stream } of slow) if (!stream.closed && !stream.destroyed) stream.write(message.subarray(0, 1));
		}, 50);
		for (const { stream } of slow) stream.write(message.subarray(0, 100));
		const statuses = await Promise.all(slow.map(({ status }) => status));
		clearInterval(trickle);
		// A slow network passes: the sender may come again.
		assert.deepEqual([...new Set(statuses)], [14]);
		client.destroy();

		// A peer that has vanished answers no PING.
		const raw = connectRaw(target.otlpGrpc);
		await raw.write(
			Buffer.concat([h2Frame(HEADERS, END_HEADERS, 1, grpcHeaders(ALS)), h2Frame(DATA, 0, 1, frame(entries(10)))]),
		);
		const started = performance.now();
		await raw.closed;
		assert.ok(performance.now() - started < 8_000);
	});
});

test("giant messages are refused by their length, and as many as fit are held", async () => {
	const report = await attack({}, async (target) => {
		const declared = await callGrpc(target.otlpGrpc, {
			path: ALS,
			chunks: [frame(new Uint8Array(10), false, 0xffff_ffff)],
			open: true,
		});
		assert.equal(declared.status, 8);
		const client = session(target.otlpGrpc);
		const giant = frame(entries(15 * MIB));
		const answers = await Promise.all(Array.from({ length: 30 }, () => callGrpcOn(client, { path: ALS, chunks: [giant] })));
		for (const { status } of answers) assert.ok(status === 0 || status === 14, String(status));
		const bomb = frame(gzipSync(new Uint8Array(256 * MIB)), true);
		const headers = { "grpc-encoding": "gzip" };
		const bombs = await Promise.all(
			Array.from({ length: 10 }, () => callGrpcOn(client, { path: ALS, headers, chunks: [bomb], open: true })),
		);
		for (const { status } of bombs) assert.ok(status === 8 || status === 14, String(status));
		client.destroy();
	});
	assert.ok(report.maxHeldBytes <= 128 * MIB);
});

test("a sender that describes itself at length costs each of its batches a few hundred bytes", async () => {
	await attack({}, async (target) => {
		const node = concat([stringField(1, "n".repeat(MIB)), stringField(2, "c".repeat(MIB))]);
		const first = frame(concat([bytesField(1, concat([bytesField(1, node), stringField(2, "l".repeat(MIB))])), entries(10)]));
		const client = session(target.otlpGrpc);
		const chunks = [first, ...Array.from({ length: 200 }, () => frame(entries(10)))];
		const answers = await Promise.all(Array.from({ length: 10 }, () => callGrpcOn(client, { path: ALS, chunks })));
		assert.deepEqual([...new Set(answers.map(({ status }) => status))], [0]);
		client.destroy();
	});
});

test("1,000 streams that all outrun the sink share one budget", async () => {
	const run = async (target: Target): Promise<void> => {
		const clients = Array.from({ length: 10 }, () => session(target.otlpGrpc));
		const streams = clients.flatMap((client) => Array.from({ length: 100 }, () => open(client)));
		const message = frame(entries(50_000));
		const ended: number[] = [];
		for (const { status } of streams) void status.then((code) => ended.push(code));
		const refused = async (): Promise<"over"> => {
			for (let waitedMs = 0; waitedMs < 4_000 || (ended.length <= 500 && waitedMs < 30_000); waitedMs += 100)
				await pause(100);
			return "over";
		};
		const until = refused();
		await Promise.all(
			streams.map(async ({ stream, status }) => {
				while (typeof (await Promise.race([write(stream, message), status, until])) === "undefined");
			}),
		);
		assert.ok(ended.length > 500, `${ended.length} ended`);
		assert.deepEqual([...new Set(ended)], [14]);
		for (const client of clients) client.destroy();
	};
	const report = await attack({}, run, 1_000);
	assert.ok(report.maxHeldBytes <= 128 * MIB);
	assert.ok(report.logLines.length < 20, `${report.logLines.length} lines`);
});

test("malformed messages end their streams, one refusal each, and make few log lines", async () => {
	const streams = 1_000;
	const report = await attack({}, async (target) => {
		const client = session(target.otlpGrpc);
		let seed = 1;
		const random = (): number => (seed = (seed * 48_271) % 0x7fff_ffff) & 0xff;
		for (let batch = 0; batch < streams / 50; batch++) {
			const answers = await Promise.all(
				Array.from({ length: 50 }, () => {
					// Field 2 with a length that lies, then anything.
					const noise = Uint8Array.from({ length: 200 }, random);
					return callGrpcOn(client, {
						path: ALS,
						chunks: [frame(concat([Uint8Array.of(0x12, 0xff, 0x7f), noise]))],
						open: true,
					});
				}),
			);
			for (const { status } of answers) assert.equal(status, 3);
		}
		client.destroy();
	});
	assert.equal(report.refusals["malformed_payload"], streams);
	assert.ok(report.logLines.length < 20, `${report.logLines.length} lines`);
});
