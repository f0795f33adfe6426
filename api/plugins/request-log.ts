/**
 * Request IDs and one log line a request. Neither query strings nor headers are logged: they hold attribute values and tokens.
 * What a client chose is escaped, so that no line can be forged and no terminal commanded.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";

export type LogFields = Readonly<Record<string, unknown>>;

/** What the API needs of a logger; pino's fits. */
export interface ApiLog {
	debug(fields: LogFields, message: string): void;
	info(fields: LogFields, message: string): void;
	warn(fields: LogFields, message: string): void;
	error(fields: LogFields, message: string): void;
}

/** IDs that are unique across restarts, made here: one from a client could be forged or repeated. */
export function requestIds(random: string = randomBytes(4).toString("hex")): () => string {
	let count = 0;
	return () => `${random}-${(count++).toString(36)}`;
}

export function installRequestLog(app: FastifyInstance, log: ApiLog, now: () => number): void {
	app.addHook("onRequest", async (request, reply) => {
		reply.header("x-request-id", request.id);
		const startedMs = now();
		// "close" comes after every answer, whole or cut off; fastify's onResponse misses the second.
		reply.raw.once("close", () => {
			const status = reply.raw.statusCode;
			const fields = {
				requestId: request.id,
				method: request.method,
				path: escapeControls(request.raw.url?.split("?", 1)[0] ?? "", 256),
				status,
				durationMs: now() - startedMs,
				...(reply.raw.writableFinished ? {} : { aborted: true }),
			};
			if (status >= 500) log.warn(fields, "request");
			else if (status >= 400) log.info(fields, "request");
			else log.debug(fields, "request");
		});
	});
}

/** Control characters, line separators and direction overrides as `\u….`, and no more than `max` characters. */
export function escapeControls(text: string, max: number): string {
	const short = text.length > max ? `${text.slice(0, max)}…` : text;
	return short.replace(
		/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
		(char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
}
