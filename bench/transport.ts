/**
 * How the generator talks OTLP: HTTP/protobuf over keep-alive connections, or gRPC as raw unary calls over HTTP/2, so that the client
 * costs as little as can be of the cores it shares with the server.
 *
 * A buffer handed to `send` belongs to the transport until the promise settles.
 */
import type { Buffer } from "node:buffer";
import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { GRPC_PREFIX_BYTES } from "./payload.ts";

export type SendOutcome =
	| { readonly kind: "acked" }
	/** To be sent again after the delay. */
	| { readonly kind: "retry"; readonly afterMs: number; readonly reason: string }
	| { readonly kind: "failed"; readonly reason: string };

export interface Transport {
	/**
	 * @param message a gRPC-prefixed OTLP trace request
	 * @param connection which of the connections to use
	 */
	send(message: Buffer<ArrayBuffer>, connection: number): Promise<SendOutcome>;
	close(): void;
}

const DEFAULT_RETRY_MS = 100;
const RETRYABLE_HTTP = new Set([429, 502, 503, 504]);
/** CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS (opentelemetry-proto docs/specification.md). */
const RETRYABLE_GRPC = new Set([1, 4, 10, 11, 14, 15]);
const EXPORT_PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/** HTTP/2's defaults of 64 KiB would stop a 1 MB message 17 times. */
const WINDOW_BYTES = 16 * 1024 * 1024;

export function createTransport(kind: "http" | "grpc", url: string, connections: number): Transport {
	return kind === "http" ? httpTransport(url, connections) : grpcTransport(url, connections);
}

function httpTransport(url: string, connections: number): Transport {
	const { hostname, port } = new URL(url);
	const agents = Array.from({ length: connections }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
	return {
		send: (message, connection) =>
			new Promise((resolve) => {
				const body = message.subarray(GRPC_PREFIX_BYTES);
				const call = request(
					{
						agent: agents[connection % agents.length]!,
						hostname,
						port,
						path: "/v1/traces",
						method: "POST",
						headers: { "content-type": "application/x-protobuf", "content-length": body.length },
					},
					(response) => {
						const status = response.statusCode ?? 0;
						const retryAfter = Number(response.headers["retry-after"]) * 1_000;
						response.on("error", (error) => resolve(broken(error)));
						response.on("end", () => {
							if (status === 200) resolve({ kind: "acked" });
							else if (RETRYABLE_HTTP.has(status))
								resolve({
									kind: "retry",
									afterMs: retryAfter >= 0 ? retryAfter : DEFAULT_RETRY_MS,
									reason: `HTTP ${status}`,
								});
							else resolve({ kind: "failed", reason: `HTTP ${status}` });
						});
						response.resume();
					},
				);
				call.on("error", (error) => resolve(broken(error)));
				call.end(body);
			}),
		close: () => {
			for (const agent of agents) agent.destroy();
		},
	};
}

function grpcTransport(url: string, connections: number): Transport {
	const sessions = Array.from({ length: connections }, () => openSession(url));
	const sessionAt = (index: number): ClientHttp2Session => {
		const at = index % sessions.length;
		if (sessions[at]!.closed || sessions[at]!.destroyed) sessions[at] = openSession(url);
		return sessions[at]!;
	};
	return {
		send: (message, connection) =>
			new Promise((resolve) => {
				const stream = sessionAt(connection).request({
					[constants.HTTP2_HEADER_METHOD]: "POST",
					[constants.HTTP2_HEADER_PATH]: EXPORT_PATH,
					[constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
					te: "trailers",
				});
				let status: string | undefined;
				let text = "";
				const read = (headers: Readonly<Record<string, unknown>>): void => {
					if (headers["grpc-status"] === undefined) return;
					status = String(headers["grpc-status"]);
					text = String(headers["grpc-message"] ?? "");
				};
				stream.on("response", read);
				stream.on("trailers", read);
				stream.on("error", (error) => resolve(broken(error)));
				stream.on("close", () => {
					if (status === "0") resolve({ kind: "acked" });
					else if (status === undefined)
						resolve({ kind: "retry", afterMs: DEFAULT_RETRY_MS, reason: "no gRPC status" });
					else if (RETRYABLE_GRPC.has(Number(status)))
						resolve({ kind: "retry", afterMs: DEFAULT_RETRY_MS, reason: `gRPC ${status} ${text}` });
					else resolve({ kind: "failed", reason: `gRPC ${status} ${text}` });
				});
				stream.resume();
				stream.end(message);
			}),
		close: () => {
			for (const session of sessions) session.close();
		},
	};
}

function openSession(url: string): ClientHttp2Session {
	const session = connect(url, { settings: { initialWindowSize: WINDOW_BYTES, enablePush: false } });
	session.on("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
	// Reported by the streams it breaks.
	session.on("error", () => undefined);
	return session;
}

function broken(error: Error): SendOutcome {
	return { kind: "retry", afterMs: DEFAULT_RETRY_MS, reason: error.message };
}
