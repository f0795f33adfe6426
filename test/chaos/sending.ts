/**
 * Sends a batch once and says what became of it. An exporter's own retries would hide what these tests are about, so none happen here.
 */
import * as grpc from "@grpc/grpc-js";
import { Agent, request } from "node:http";
import type { Batch } from "./batches.ts";

export type Outcome =
	| { readonly kind: "acked"; readonly ackMs: number; readonly partial: boolean }
	/** The server said that nothing of it was kept. */
	| {
			readonly kind: "refused";
			readonly retryable: boolean;
			readonly retryAfterSeconds: number | undefined;
			readonly status: string;
	  }
	/** The connection broke: kept whole, or not at all. */
	| { readonly kind: "unknown"; readonly reason: string };

export interface Sender {
	send(batch: Pick<Batch, "signal" | "bytes">): Promise<Outcome>;
	close(): void;
}

const SEND_TIMEOUT_MS = 20_000;

/** @param address `host:port` of OTLP/HTTP */
export function httpSender(address: string): Sender {
	const agent = new Agent({ keepAlive: true });
	return {
		send: (batch) =>
			new Promise((resolve) => {
				const startedMs = performance.now();
				const outgoing = request(`http://${address}/v1/${batch.signal}`, {
					method: "POST",
					agent,
					timeout: SEND_TIMEOUT_MS,
					headers: { "content-type": "application/x-protobuf", "content-length": batch.bytes.length },
				});
				const lost = (error: Error) => resolve({ kind: "unknown", reason: error.message });
				outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
				outgoing.on("error", lost);
				outgoing.on("response", (response) => {
					let bodyBytes = 0;
					response.on("data", (chunk: Buffer) => (bodyBytes += chunk.length));
					response.on("error", lost);
					response.on("end", () => {
						const status = response.statusCode ?? 0;
						if (status === 200) {
							resolve({ kind: "acked", ackMs: performance.now() - startedMs, partial: bodyBytes > 0 });
							return;
						}
						const retryAfter = response.headers["retry-after"];
						resolve({
							kind: "refused",
							retryable: status === 429 || status === 502 || status === 503 || status === 504,
							retryAfterSeconds: retryAfter === undefined ? undefined : Number(retryAfter),
							status: `HTTP ${status}`,
						});
					});
				});
				outgoing.end(batch.bytes);
			}),
		close: () => agent.destroy(),
	};
}

const EXPORT_PATH = {
	traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
};

/** @param address `host:port` of OTLP/gRPC */
export function grpcSender(address: string): Sender {
	const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
		"grpc.enable_retries": 0,
		"grpc.use_local_subchannel_pool": 1,
		"grpc.max_reconnect_backoff_ms": 200,
		"grpc.initial_reconnect_backoff_ms": 50,
	});
	const identity = (bytes: Buffer): Buffer => bytes;
	return {
		send: (batch) =>
			new Promise((resolve) => {
				const startedMs = performance.now();
				client.makeUnaryRequest(
					EXPORT_PATH[batch.signal],
					identity,
					identity,
					Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.length),
					{ deadline: Date.now() + SEND_TIMEOUT_MS },
					(error, answer) => {
						if (error === null) {
							resolve({ kind: "acked", ackMs: performance.now() - startedMs, partial: (answer?.length ?? 0) > 0 });
							return;
						}
						const details = error.metadata.get("grpc-status-details-bin")[0];
						// A server's refusal carries RetryInfo or a final code; UNAVAILABLE without it is what grpc-js makes of a lost connection.
						const fromServer = error.code !== grpc.status.UNAVAILABLE || details !== undefined;
						if (!fromServer || error.code === grpc.status.CANCELLED || error.code === grpc.status.DEADLINE_EXCEEDED) {
							resolve({ kind: "unknown", reason: error.message });
							return;
						}
						resolve({
							kind: "refused",
							retryable: error.code === grpc.status.UNAVAILABLE,
							retryAfterSeconds: details === undefined ? undefined : retryDelaySeconds(Buffer.from(details)),
							status: `gRPC ${grpc.status[error.code]}`,
						});
					},
				);
			}),
		close: () => client.close(),
	};
}

/** google.rpc.Status.details[] holds an Any of google.rpc.RetryInfo, whose retry_delay is a Duration; 0 when there is none. */
function retryDelaySeconds(status: Buffer): number {
	const at = status.indexOf("google.rpc.RetryInfo");
	if (at < 0) return 0;
	const rest = status.subarray(at + "google.rpc.RetryInfo".length);
	// Any.value (tag 0x12, length) = RetryInfo.retry_delay (tag 0x0a, length) = Duration {seconds 0x08, nanos 0x10}.
	const duration = rest.subarray(4);
	let seconds = 0;
	for (let i = 0; i < duration.length;) {
		const tag = duration[i++]!;
		let value = 0;
		for (let shift = 1; i < duration.length; shift *= 128) {
			const byte = duration[i++]!;
			value += (byte & 0x7f) * shift;
			if (byte < 0x80) break;
		}
		if (tag === 0x08) seconds += value;
		else if (tag === 0x10) seconds += value / 1e9;
		else break;
	}
	return seconds;
}
