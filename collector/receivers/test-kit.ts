/**
 * What the receivers' tests share: a sink that can be told what to answer, and clients that send exactly what they are told, well
 * formed or not.
 */
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import type { ErrorCode } from "../../model/errors.ts";
import type { IncomingBatch, IngestOutcome, IngestSink } from "../ingest.ts";
import type { Signal } from "../../store/store.ts";
import { startReceivers } from "./receivers.ts";
import type { ReceiverSettings, Receivers } from "./settings.ts";

export const ACCEPTED: IngestOutcome = { kind: "accepted", rejected: 0, errorMessage: "" };

/** Takes payloads over as the pipeline does: by transferring their ArrayBuffer away. */
export class FakeSink implements IngestSink {
	readonly batches: IncomingBatch[] = [];
	readonly refusals: { signal: Signal; code: ErrorCode }[] = [];
	/** Bytes that reservations may hold together. */
	budgetBytes = Number.POSITIVE_INFINITY;
	heldBytes = 0;
	maxHeldBytes = 0;
	answer: (batch: IncomingBatch) => IngestOutcome | Promise<IngestOutcome> = () => ACCEPTED;

	async submit(batch: IncomingBatch): Promise<IngestOutcome> {
		const moved = structuredClone(batch.bytes, { transfer: [batch.bytes.buffer] });
		const kept = { ...batch, bytes: moved };
		this.batches.push(kept);
		return await this.answer(kept);
	}

	reserve(bytes: number): boolean {
		if (this.heldBytes + bytes > this.budgetBytes) return false;
		this.heldBytes += bytes;
		this.maxHeldBytes = Math.max(this.maxHeldBytes, this.heldBytes);
		return true;
	}

	release(bytes: number): void {
		this.heldBytes -= bytes;
	}

	countRefused(signal: Signal, code: ErrorCode): void {
		this.refusals.push({ signal, code });
	}

	/** The payload of the only batch so far. */
	onlyPayload(): Buffer {
		if (this.batches.length !== 1) throw new Error(`expected one batch, there are ${this.batches.length}`);
		return Buffer.from(this.batches[0]!.bytes);
	}
}

export interface LogLine {
	readonly level: string;
	readonly message: string;
	readonly fields: Readonly<Record<string, unknown>>;
}

export interface TestReceivers extends AsyncDisposable {
	readonly sink: FakeSink;
	readonly lines: LogLine[];
	readonly receivers: Receivers;
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
	readonly zipkin: string;
}

const ANY_PORT = { host: "127.0.0.1", port: 0 } as const;

export async function startTestReceivers(settings: Partial<ReceiverSettings> = {}): Promise<TestReceivers> {
	const sink = new FakeSink();
	const lines: LogLine[] = [];
	const receivers = await startReceivers(
		{ otlpGrpc: ANY_PORT, otlpHttp: ANY_PORT, zipkin: ANY_PORT, ...settings },
		sink,
		(level, message, fields = {}) => lines.push({ level, message, fields }),
	);
	const { otlpGrpc = "", otlpHttp = "", zipkin = "" } = receivers.addresses;
	return { sink, lines, receivers, otlpGrpc, otlpHttp, zipkin, [Symbol.asyncDispose]: () => receivers.close(0) };
}

export interface HttpAnswer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: Buffer;
}

export interface HttpCall {
	readonly address: string;
	readonly path?: string;
	readonly method?: string;
	readonly headers?: OutgoingHttpHeaders;
	readonly body?: Uint8Array | string;
	/** Sends the body without a declared length. */
	readonly chunked?: boolean;
}

export function callHttp({
	address,
	path = "/v1/traces",
	method = "POST",
	headers = {},
	body = "",
	chunked = false,
}: HttpCall): Promise<HttpAnswer> {
	const [host, port] = address.split(":");
	const length = chunked ? {} : { "content-length": Buffer.byteLength(body) };
	return new Promise((resolve, reject) => {
		const req = httpRequest({ host, port, path, method, agent: false, headers: { ...length, ...headers } }, (res) => {
			const parts: Buffer[] = [];
			res.on("data", (part: Buffer) => parts.push(part));
			res.on("end", () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(parts) }));
			res.on("error", reject);
		});
		req.on("error", reject);
		if (chunked) req.write(body);
		req.end(chunked ? undefined : body);
	});
}

export const PROTOBUF = { "content-type": "application/x-protobuf" } as const;
export const JSON_TYPE = { "content-type": "application/json" } as const;

export interface GrpcAnswer {
	readonly httpStatus: number;
	readonly headers: IncomingHttpHeaders;
	/** -1 when there was none. */
	readonly status: number;
	/** Decoded. */
	readonly message: string;
	/** grpc-status-details-bin, decoded from base64. */
	readonly details: Buffer | undefined;
	readonly messages: readonly Buffer[];
	/** True when status and response headers were one block. */
	readonly trailersOnly: boolean;
}

/** Five bytes of prefix and the message. */
export function frame(message: Uint8Array, compressed = false, declaredLength = message.length): Buffer {
	const out = Buffer.alloc(5 + message.length);
	out[0] = compressed ? 1 : 0;
	out.writeUInt32BE(declaredLength, 1);
	out.set(message, 5);
	return out;
}

export const TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
export const LOGS_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
export const METRICS_EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

export interface GrpcRequest {
	readonly path?: string;
	readonly headers?: OutgoingHttpHeaders;
	/** Written as they are, one after the other. */
	readonly chunks?: readonly Uint8Array[];
	/** Leaves the request open after the chunks. */
	readonly open?: boolean;
}

export function callGrpcOn(
	session: ClientHttp2Session,
	{ path = TRACE_EXPORT, headers = {}, chunks = [], open = false }: GrpcRequest,
): Promise<GrpcAnswer> {
	return new Promise((resolve, reject) => {
		const stream = session.request({
			":method": "POST",
			":path": path,
			"content-type": "application/grpc",
			te: "trailers",
			...headers,
		});
		let first: IncomingHttpHeaders = {};
		let last: IncomingHttpHeaders = {};
		const parts: Buffer[] = [];
		stream.on("response", (received) => (first = received));
		stream.on("trailers", (received) => (last = received));
		stream.on("data", (part: Buffer) => parts.push(part));
		stream.on("error", reject);
		const answered = (): void => {
			const trailersOnly = first["grpc-status"] !== undefined;
			const final = trailersOnly ? first : last;
			const details = final["grpc-status-details-bin"];
			resolve({
				httpStatus: Number(first[":status"] ?? 0),
				headers: first,
				status: Number(final["grpc-status"] ?? -1),
				message: decodeURIComponent(String(final["grpc-message"] ?? "")),
				details: details === undefined ? undefined : Buffer.from(String(details), "base64"),
				messages: unframe(Buffer.concat(parts)),
				trailersOnly,
			});
		};
		stream.on("close", answered);
		// node's client keeps a stream open while bytes wait that the server no longer wants; the answer is complete all the same.
		stream.on("end", () => setImmediate(answered));
		for (const chunk of chunks) stream.write(chunk);
		if (!open) stream.end();
	});
}

/** One call on a connection of its own. */
export async function callGrpc(address: string, request: GrpcRequest): Promise<GrpcAnswer> {
	// node's client would refuse to queue more than 10 MB, its own and the server's answer to it.
	const session = connect(`http://${address}`, { maxSessionMemory: 1_000 });
	session.on("error", () => {});
	try {
		return await callGrpcOn(session, request);
	} finally {
		session.close();
	}
}

function unframe(bytes: Buffer): readonly Buffer[] {
	const messages: Buffer[] = [];
	for (let at = 0; at < bytes.length;) {
		const length = bytes.readUInt32BE(at + 1);
		messages.push(bytes.subarray(at + 5, at + 5 + length));
		at += 5 + length;
	}
	return messages;
}
