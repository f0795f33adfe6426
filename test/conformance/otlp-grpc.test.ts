/**
 * OTLP 1.11, the server's side of OTLP/gRPC: one test per MUST and SHOULD of opentelemetry-proto docs/specification.md that a
 * receiver answers for. The client is @grpc/grpc-js, so that a misreading of gRPC itself shows; node:http2 only where grpc-js
 * cannot send what is needed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { Client, Metadata, compressionAlgorithms, credentials, status as GRPC } from "@grpc/grpc-js";
import type { ChannelOptions, ServiceError } from "@grpc/grpc-js";
import {
	LOGS_EXPORT,
	METRICS_EXPORT,
	TRACE_EXPORT,
	callGrpc,
	frame,
	startTestReceivers,
} from "../../collector/receivers/test-kit.ts";
import type { TestReceivers } from "../../collector/receivers/test-kit.ts";
import { ERRORS } from "../../model/errors.ts";
import type { ErrorCode } from "../../model/errors.ts";
import type { Signal } from "../../store/store.ts";
import { REJECTED, SIGNALS, decodeResponse, decodeStatus } from "./otlp-messages.ts";
import type { DecodedStatus } from "./otlp-messages.ts";

const PATHS: Readonly<Record<Signal, string>> = { traces: TRACE_EXPORT, logs: LOGS_EXPORT, metrics: METRICS_EXPORT };
const same = (bytes: Buffer): Buffer => bytes;

interface Answer {
	readonly code: number;
	readonly message: string;
	readonly body: Buffer;
	/** grpc-status-details-bin; undefined when absent. */
	readonly details: DecodedStatus | undefined;
}

function answerOf(error: ServiceError | null, body: Buffer | undefined): Answer {
	const bin = error?.metadata.get("grpc-status-details-bin")[0];
	return {
		code: error?.code ?? GRPC.OK,
		message: error?.details ?? "",
		body: body ?? Buffer.alloc(0),
		details: bin === undefined ? undefined : decodeStatus(bin as Buffer),
	};
}

class Exporter implements Disposable {
	readonly #client: Client;

	constructor(address: string, options: ChannelOptions = {}) {
		this.#client = new Client(address, credentials.createInsecure(), { "grpc.max_send_message_length": -1, ...options });
	}

	export(
		signal: Signal,
		message: Uint8Array,
		options: { path?: string; metadata?: Metadata; deadlineMs?: number } = {},
	): Promise<Answer> {
		const { path = PATHS[signal], metadata = new Metadata(), deadlineMs = 20_000 } = options;
		return new Promise((resolve) => {
			this.#client.makeUnaryRequest(
				path,
				same,
				same,
				Buffer.from(message),
				metadata,
				{ deadline: Date.now() + deadlineMs },
				(error, body) => resolve(answerOf(error, body)),
			);
		});
	}

	[Symbol.dispose](): void {
		this.#client.close();
	}
}

async function forAll(t: TestReceivers, check: (exporter: Exporter, signal: Signal) => Promise<void>): Promise<void> {
	using exporter = new Exporter(t.otlpGrpc);
	for (const signal of SIGNALS) await check(exporter, signal);
	assert.equal(t.sink.heldBytes, 0, "every reservation was given back");
}

test("Protocol Details: all server components MUST support no compression", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (exporter, signal) => {
		t.sink.batches.length = 0;
		assert.equal((await exporter.export(signal, Buffer.from("telemetry"))).code, GRPC.OK);
		assert.equal(t.sink.onlyPayload().toString(), "telemetry");
		assert.deepEqual([t.sink.batches[0]!.signal, t.sink.batches[0]!.encoding], [signal, "otlp-protobuf"]);
	});
});

test("Protocol Details: all server components MUST support gzip; zstd and deflate come on top", async () => {
	await using t = await startTestReceivers();
	const message = Buffer.from("telemetry ".repeat(1_000));
	for (const algorithm of [compressionAlgorithms.gzip, compressionAlgorithms.deflate]) {
		using exporter = new Exporter(t.otlpGrpc, { "grpc.default_compression_algorithm": algorithm });
		t.sink.batches.length = 0;
		assert.equal((await exporter.export("traces", message)).code, GRPC.OK);
		assert.equal(Buffer.compare(t.sink.onlyPayload(), message), 0);
	}
	t.sink.batches.length = 0;
	const chunks = [frame(zstdCompressSync(message), true)];
	assert.equal((await callGrpc(t.otlpGrpc, { headers: { "grpc-encoding": "zstd" }, chunks })).status, GRPC.OK);
	assert.equal(Buffer.compare(t.sink.onlyPayload(), message), 0);
});

test("gRPC: an unsupported compression is UNIMPLEMENTED and names the supported ones", async () => {
	await using t = await startTestReceivers();
	const answer = await callGrpc(t.otlpGrpc, {
		headers: { "grpc-encoding": "snappy" },
		chunks: [frame(Buffer.from("x"), true)],
	});
	assert.equal(answer.status, GRPC.UNIMPLEMENTED);
	assert.equal(answer.headers["grpc-accept-encoding"], "identity,gzip,deflate,zstd");
	assert.deepEqual(t.sink.refusals, [{ signal: "traces", code: "unsupported_media_type" }]);
});

test("OTLP/gRPC Request: the server MUST enforce a message size limit: RESOURCE_EXHAUSTED without RetryInfo", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: 2_000_000 });
	await forAll(t, async (exporter, signal) => {
		assert.equal((await exporter.export(signal, Buffer.alloc(2_000_000))).code, GRPC.OK);
		const answer = await exporter.export(signal, Buffer.alloc(2_000_001));
		assert.equal(answer.code, GRPC.RESOURCE_EXHAUSTED);
		assert.equal(answer.details?.retryDelayMs, undefined);
		assert.match(answer.message, /2000001 bytes/);
		assert.deepEqual(t.sink.refusals.at(-1), { signal, code: "payload_too_large" });
	});
});

test("OTLP/gRPC Request: the size limit counts after decompression", async () => {
	await using t = await startTestReceivers({ maxPayloadBytes: 100_000 });
	for (const [encoding, compress] of [
		["gzip", gzipSync],
		["zstd", zstdCompressSync],
	] as const) {
		const headers = { "grpc-encoding": encoding };
		const fits = await callGrpc(t.otlpGrpc, { headers, chunks: [frame(compress(Buffer.alloc(100_000)), true)] });
		assert.equal(fits.status, GRPC.OK);
		const over = await callGrpc(t.otlpGrpc, { headers, chunks: [frame(compress(Buffer.alloc(100_001)), true)] });
		assert.equal(over.status, GRPC.RESOURCE_EXHAUSTED);
		assert.equal(decodeStatus(over.details!).retryDelayMs, undefined);
	}
});

test("OTLP/gRPC Concurrent Requests: concurrent unary calls on one connection are answered independently", async () => {
	await using t = await startTestReceivers();
	let waiting = 0;
	let open = (): void => {};
	const gate = new Promise<void>((resolve) => (open = resolve));
	t.sink.answer = async ({ bytes }) => {
		if (++waiting === 60) open();
		await gate;
		return { kind: "accepted", rejected: bytes[0]!, errorMessage: "x" };
	};
	using exporter = new Exporter(t.otlpGrpc);
	const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => exporter.export("logs", Buffer.from([i + 1]))));
	for (const [i, { body }] of answers.entries()) {
		assert.deepEqual(decodeResponse("logs", body), {
			partialSuccess: { rejectedLogRecords: String(i + 1), errorMessage: "x" },
		});
	}
});

test("Full Success: the response MUST be an Export<signal>ServiceResponse with partial_success unset", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (exporter, signal) => {
		const answer = await exporter.export(signal, Buffer.from("telemetry"));
		assert.equal(answer.code, GRPC.OK);
		assert.deepEqual(decodeResponse(signal, answer.body), {});
	});
});

test("Full Success: an empty request SHOULD succeed", async () => {
	await using t = await startTestReceivers();
	await forAll(t, async (exporter, signal) => {
		assert.equal((await exporter.export(signal, Buffer.alloc(0))).code, GRPC.OK);
	});
	assert.equal(t.sink.batches.length, 3);
});

test("Partial Success: the server MUST set partial_success and its rejected count, and SHOULD say why", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "accepted", rejected: 300, errorMessage: "300 ended before they started – check the clock" });
	await forAll(t, async (exporter, signal) => {
		const answer = await exporter.export(signal, Buffer.from("x"));
		assert.equal(answer.code, GRPC.OK);
		assert.deepEqual(decodeResponse(signal, answer.body), {
			partialSuccess: { [REJECTED[signal]]: "300", errorMessage: "300 ended before they started – check the clock" },
		});
	});
});

test("Partial Success: a warning MUST have a rejected count of 0 and a non-empty error_message", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "accepted", rejected: 0, errorMessage: "names were shortened" });
	await forAll(t, async (exporter, signal) => {
		const answer = await exporter.export(signal, Buffer.from("x"));
		assert.deepEqual(decodeResponse(signal, answer.body), { partialSuccess: { errorMessage: "names were shortened" } });
	});
});

test("Failures: retryable errors SHOULD be UNAVAILABLE, and carry RetryInfo", async () => {
	await using t = await startTestReceivers();
	for (const code of ["overloaded", "store_full", "shutting_down"] as const) {
		t.sink.answer = () => ({ kind: "refused", code, message: "not now", retryAfterMs: 4_250 });
		await forAll(t, async (exporter, signal) => {
			const answer = await exporter.export(signal, Buffer.from("x"));
			assert.equal(answer.code, GRPC.UNAVAILABLE);
			assert.equal(answer.message, "not now");
			assert.deepEqual(answer.details, { code: GRPC.UNAVAILABLE, message: "not now", retryDelayMs: 4_250, violations: [] });
		});
	}
});

test("Failures: bad data is INVALID_ARGUMENT, with a BadRequest that describes it", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "refused", code: "malformed_payload", message: "byte 3: ungültig" });
	await forAll(t, async (exporter, signal) => {
		const answer = await exporter.export(signal, Buffer.from("x"));
		assert.equal(answer.code, GRPC.INVALID_ARGUMENT);
		assert.equal(answer.message, "byte 3: ungültig");
		assert.deepEqual(answer.details?.violations, [{ field: "body", description: "byte 3: ungültig" }]);
	});
});

test("Failures: exactly the refusals that may succeed later have a code that clients retry", async () => {
	await using t = await startTestReceivers();
	using exporter = new Exporter(t.otlpGrpc);
	const retried: readonly number[] = [
		GRPC.CANCELLED,
		GRPC.DEADLINE_EXCEEDED,
		GRPC.ABORTED,
		GRPC.OUT_OF_RANGE,
		GRPC.UNAVAILABLE,
		GRPC.DATA_LOSS,
	];
	for (const code of Object.keys(ERRORS) as ErrorCode[]) {
		t.sink.answer = () => ({ kind: "refused", code, message: "x" });
		const answer = await exporter.export("traces", Buffer.from("x"));
		assert.equal(answer.code, ERRORS[code].grpc);
		assert.equal(retried.includes(answer.code), ERRORS[code].retryable, code);
		assert.equal(answer.details?.retryDelayMs !== undefined, ERRORS[code].retryable, code);
	}
});

test("OTLP/gRPC Throttling: backpressure SHOULD be UNAVAILABLE with a retry_delay that gives time to recover", async () => {
	await using t = await startTestReceivers();
	t.sink.budgetBytes = 100;
	await forAll(t, async (exporter, signal) => {
		const answer = await exporter.export(signal, Buffer.alloc(101));
		assert.equal(answer.code, GRPC.UNAVAILABLE);
		assert.equal(answer.details?.retryDelayMs, 1_000);
		assert.deepEqual(t.sink.refusals.at(-1), { signal, code: "overloaded" });
	});
	assert.equal(t.sink.maxHeldBytes, 0, "refused before a byte was buffered");
});

test("gRPC: a deadline is the client's to keep, and a late commit disturbs no one", async () => {
	await using t = await startTestReceivers();
	using exporter = new Exporter(t.otlpGrpc);
	let commit = (): void => {};
	t.sink.answer = () => new Promise((resolve) => (commit = () => resolve({ kind: "accepted", rejected: 0, errorMessage: "" })));
	assert.equal((await exporter.export("traces", Buffer.from("x"), { deadlineMs: 100 })).code, GRPC.DEADLINE_EXCEEDED);
	commit();
	t.sink.answer = () => ({ kind: "accepted", rejected: 0, errorMessage: "" });
	assert.equal((await exporter.export("traces", Buffer.from("y"))).code, GRPC.OK);
});

test("gRPC: missing or wrong credentials are UNAUTHENTICATED, a token in the metadata opens", async () => {
	await using t = await startTestReceivers({ ingestTokens: ["open sesame"] });
	using exporter = new Exporter(t.otlpGrpc);
	assert.equal((await exporter.export("traces", Buffer.from("x"))).code, GRPC.UNAUTHENTICATED);
	const metadata = new Metadata();
	metadata.set("authorization", "Bearer open sesame");
	assert.equal((await exporter.export("traces", Buffer.from("x"), { metadata })).code, GRPC.OK);
});

test("gRPC: an unknown service or method is UNIMPLEMENTED", async () => {
	await using t = await startTestReceivers();
	using exporter = new Exporter(t.otlpGrpc);
	for (const path of [
		"/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
		"/a/b",
		`${TRACE_EXPORT}X`,
	]) {
		const answer = await exporter.export("traces", Buffer.from("x"), { path });
		assert.equal(answer.code, GRPC.UNIMPLEMENTED);
		assert.match(answer.message, /Served here: opentelemetry\.proto\.collector\.trace\.v1\.TraceService \(Export\)/);
	}
});

test("gRPC: a call that fails before any answer is trailers-only, in one header block", async () => {
	await using t = await startTestReceivers();
	t.sink.answer = () => ({ kind: "refused", code: "overloaded", message: "full" });
	const answer = await callGrpc(t.otlpGrpc, { chunks: [frame(Buffer.from("x"))] });
	assert.ok(answer.trailersOnly);
	assert.deepEqual([answer.httpStatus, answer.headers["content-type"], answer.messages.length], [200, "application/grpc", 0]);
});
