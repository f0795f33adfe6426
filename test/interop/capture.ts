/**
 * A receiver that stores nothing and keeps every payload as it came: what records the fixtures, and what a sender is tried against
 * on its own. It owns its two ports; OTLP over HTTP and gRPC only.
 */
import * as grpc from "@grpc/grpc-js";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

export type CapturedSignal = "traces" | "logs" | "metrics";

export interface CapturedPayload {
	readonly signal: CapturedSignal;
	readonly transport: "grpc" | "http";
	readonly encoding: "protobuf" | "json";
	/** After decompression. */
	readonly bytes: Buffer;
	readonly userAgent: string;
}

export interface CapturedMessage {
	/** Of the stream, from 0. */
	readonly stream: number;
	readonly bytes: Buffer;
}

export interface Capture {
	/** `host:port` */
	readonly otlpGrpc: string;
	readonly otlpHttp: string;
	readonly payloads: readonly CapturedPayload[];
	/** Messages of Envoy's access log service, of all streams in the order in which they came. */
	readonly accessLogs: readonly CapturedMessage[];
	stop(): Promise<void>;
}

const GRPC_SERVICES: readonly (readonly [CapturedSignal, string])[] = [
	["traces", "opentelemetry.proto.collector.trace.v1.TraceService"],
	["logs", "opentelemetry.proto.collector.logs.v1.LogsService"],
	["metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService"],
];

export async function startCapture(): Promise<Capture> {
	const payloads: CapturedPayload[] = [];
	const keep = (payload: CapturedPayload) => payloads.push(payload);
	const httpServer = createServer((request, response) => {
		const chunks: Buffer[] = [];
		request.on("data", (chunk: Buffer) => chunks.push(chunk));
		request.on("end", () => {
			const body = Buffer.concat(chunks);
			const isJson = request.headers["content-type"]?.startsWith("application/json") ?? false;
			const signal = /^\/v1\/(traces|logs|metrics)$/.exec(request.url ?? "")?.[1] as CapturedSignal | undefined;
			if (signal === undefined) {
				response.writeHead(404).end();
				return;
			}
			keep({
				signal,
				transport: "http",
				encoding: isJson ? "json" : "protobuf",
				bytes: request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body,
				userAgent: request.headers["user-agent"] ?? "",
			});
			response.writeHead(200, { "content-type": isJson ? "application/json" : "application/x-protobuf" });
			response.end(isJson ? "{}" : "");
		});
	});
	await new Promise<void>((resolve) => httpServer.listen(0, "127.0.0.1", resolve));
	const grpcServer = new grpc.Server({ "grpc.max_receive_message_length": 64 << 20 });
	for (const [signal, service] of GRPC_SERVICES) addGrpcService(grpcServer, signal, service, keep);
	const accessLogs: CapturedMessage[] = [];
	addAccessLogService(grpcServer, accessLogs);
	const grpcPort = await new Promise<number>((resolve, reject) => {
		grpcServer.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
			error === null ? resolve(port) : reject(error),
		);
	});
	return {
		otlpGrpc: `127.0.0.1:${grpcPort}`,
		otlpHttp: `127.0.0.1:${(httpServer.address() as AddressInfo).port}`,
		payloads,
		accessLogs,
		async stop() {
			grpcServer.forceShutdown();
			httpServer.closeAllConnections();
			await new Promise((resolve) => httpServer.close(resolve));
		},
	};
}

const asBytes = (bytes: Buffer): Buffer => bytes;

function addAccessLogService(server: grpc.Server, messages: CapturedMessage[]): void {
	let streams = 0;
	const handler: grpc.handleClientStreamingCall<Buffer, Buffer> = (call, answer) => {
		const stream = streams++;
		call.on("data", (message: Buffer) => messages.push({ stream, bytes: Buffer.from(message) }));
		call.on("end", () => answer(null, Buffer.alloc(0)));
	};
	server.addService(
		{
			StreamAccessLogs: {
				path: "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
				requestStream: true,
				responseStream: false,
				requestSerialize: asBytes,
				requestDeserialize: asBytes,
				responseSerialize: asBytes,
				responseDeserialize: asBytes,
			},
		},
		{ StreamAccessLogs: handler },
	);
}

function addGrpcService(
	server: grpc.Server,
	signal: CapturedSignal,
	service: string,
	keep: (payload: CapturedPayload) => void,
): void {
	const handler: grpc.handleUnaryCall<Buffer, Buffer> = (call, answer) => {
		const userAgent = String(call.metadata.get("user-agent")[0] ?? "");
		keep({ signal, transport: "grpc", encoding: "protobuf", bytes: Buffer.from(call.request), userAgent });
		// Every field of an Export response is optional: no bytes are full success.
		answer(null, Buffer.alloc(0));
	};
	server.addService(
		{
			Export: {
				path: `/${service}/Export`,
				requestStream: false,
				responseStream: false,
				requestSerialize: asBytes,
				requestDeserialize: asBytes,
				responseSerialize: asBytes,
				responseDeserialize: asBytes,
			},
		},
		{ Export: handler },
	);
}
