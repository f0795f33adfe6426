/** Every error leaves as `{error:{code,message,details?}}`: ours, fastify's own, and those of requests that never became one. */
import type { Duplex } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ErrorAnswer } from "../contract/common.ts";
import { MeshscopeError } from "../../model/errors.ts";
import { type ApiLog, escapeControls } from "./request-log.ts";
import { SECURITY_HEADERS } from "./security.ts";

export function installErrors(app: FastifyInstance, log: ApiLog): void {
	app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
}

export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply, log: ApiLog): FastifyReply {
	const known = toMeshscopeError(error, request.id);
	if (known.code === "internal") {
		log.error({ requestId: request.id, error: escapeControls(describe(error), 4_000) }, "request failed");
	}
	reply.headers(SECURITY_HEADERS);
	if (known.retryable) reply.header("retry-after", String(Math.max(1, Math.ceil((known.retryAfterMs ?? 1_000) / 1_000))));
	return reply
		.code(known.http)
		.header("cache-control", "no-store")
		.type("application/json; charset=utf-8")
		.send(JSON.stringify(errorAnswerOf(known)));
}

export function errorAnswerOf(error: MeshscopeError): ErrorAnswer {
	const { code, message, details } = error;
	return { error: details === undefined ? { code, message } : { code, message, details } };
}

/** What the client is told. The message of an unknown error may hold anything, so it stays in the log. */
export function toMeshscopeError(error: unknown, requestId: string): MeshscopeError {
	if (error instanceof MeshscopeError) return error;
	switch (statusOf(error)) {
		case 400:
			// Of what a GET has, only its path can be at fault here.
			return new MeshscopeError(
				"invalid_argument",
				"the path is not percent-encoded UTF-8; encode names that stand in it",
				{
					cause: error,
				},
			);
		case 403:
			return new MeshscopeError("forbidden", "this path is not served", { cause: error });
		case 404:
			return new MeshscopeError("not_found", "no such path", { cause: error });
		case 405:
			return new MeshscopeError("method_not_allowed", "queries take GET", { cause: error });
		case 413:
			return new MeshscopeError("payload_too_large", "the request's body is too large; queries take none", {
				cause: error,
			});
		case 414:
			return new MeshscopeError("invalid_argument", "a part of the path is too long", { cause: error });
		case 415:
			return new MeshscopeError("unsupported_media_type", "queries take no body", { cause: error });
	}
	return new MeshscopeError("internal", "a fault in meshscope itself; the log line with this request ID says more", {
		details: { requestId },
		cause: error,
	});
}

function statusOf(error: unknown): number | undefined {
	if (typeof error !== "object" || error === null || !("statusCode" in error)) return undefined;
	return typeof error.statusCode === "number" ? error.statusCode : undefined;
}

function describe(error: unknown): string {
	return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** For bytes that are no request: broken syntax, headers too large, or never finished in time. */
export function answerClientError(error: Error & { code?: string }, socket: Duplex): void {
	if (error.code === "ECONNRESET" || !socket.writable) {
		socket.destroy();
		return;
	}
	const message =
		error.code === "ERR_HTTP_REQUEST_TIMEOUT"
			? "the request did not arrive in time"
			: error.code === "HPE_HEADER_OVERFLOW"
				? "the request's headers and path are larger than 16 KiB"
				: "these bytes are no HTTP request";
	const known = new MeshscopeError("invalid_argument", message);
	const body = JSON.stringify(errorAnswerOf(known));
	const head = [
		`HTTP/1.1 ${known.http} Bad Request`,
		"content-type: application/json; charset=utf-8",
		"x-content-type-options: nosniff",
		"connection: close",
		`content-length: ${Buffer.byteLength(body)}`,
	];
	socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
	// A peer that never closes its half would hold the socket.
	socket.once("finish", () => socket.destroy());
}
