/** Answers that the proxy gives itself, in Envoy's words where it has any, and in gRPC's form where the call is one. */
import type { Downstream } from "./downstream.ts";
import { encodeGrpcMessage, grpcStatusOf } from "./grpc-messages.ts";
import type { HopRecord } from "./record.ts";

export interface LocalReply {
	readonly status: number;
	readonly body: string;
	readonly contentType?: string;
	readonly headers?: readonly string[];
	/** Undefined: by the HTTP status. */
	readonly grpcStatus?: number | undefined;
}

export function replyLocally(down: Downstream, record: HopRecord, reply: LocalReply): void {
	const { head } = down;
	if (down.responded) return;
	record.status = reply.status;
	if (head.isGrpc) {
		// Trailers-only: a status of its own beside HTTP's 200, which gRPC clients insist on.
		record.grpcStatus = reply.grpcStatus ?? grpcStatusOf(reply.status);
		record.status = 200;
		const status = ["grpc-status", String(record.grpcStatus), "grpc-message", encodeGrpcMessage(reply.body)];
		down.respond(200, "", ["content-type", "application/grpc", ...status, ...(reply.headers ?? [])], true);
		return;
	}
	const body = Buffer.from(reply.body, "utf8");
	const hasBody = body.length > 0 && reply.status !== 204 && reply.status !== 304;
	const headers = [...(reply.headers ?? [])];
	if (hasBody) headers.push("content-type", reply.contentType ?? "text/plain; charset=utf-8");
	if (reply.status !== 204 && reply.status !== 304) headers.push("content-length", String(body.length));
	const sendsBody = hasBody && head.method !== "HEAD";
	down.respond(reply.status, "", headers, !sendsBody);
	if (sendsBody) {
		record.responseBytes = body.length;
		down.write(body);
		down.end([]);
	}
}
