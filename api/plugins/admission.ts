/**
 * Bounds on what queries hold: how many answers are under way, and how long one may take. An answer may be 100 MB, and it is held
 * until the client has read it.
 */
import type { FastifyInstance, FastifyReply } from "fastify";
import { MeshscopeError } from "../../model/errors.ts";

/** Refuses a request of `scope` while `maxConcurrent` others are being answered. */
export function installAdmission(scope: FastifyInstance, maxConcurrent: number): void {
	let underWay = 0;
	scope.addHook("onRequest", async (_request, reply) => {
		if (underWay >= maxConcurrent) {
			const message = `${maxConcurrent} queries are under way already`;
			throw new MeshscopeError("overloaded", message, { retryAfterMs: 1_000 });
		}
		underWay++;
		reply.raw.once("close", () => underWay--);
	});
}

/** Bytes of answers that clients have not read yet. */
export interface AnswerBudget {
	/**
	 * Holds `bytes` until the answer has left. One answer is always let through, however large.
	 * @throws MeshscopeError `overloaded` beyond the bound
	 */
	hold(bytes: number, reply: FastifyReply): void;
}

export function answerBudget(maxBytes: number): AnswerBudget {
	let held = 0;
	return {
		hold(bytes, reply) {
			if (held > 0 && held + bytes > maxBytes) {
				const message = `answers of ${held} bytes are being read already; the bound is ${maxBytes}`;
				throw new MeshscopeError("overloaded", message, { retryAfterMs: 1_000 });
			}
			if (reply.raw.destroyed) return;
			held += bytes;
			reply.raw.once("close", () => (held -= bytes));
		},
	};
}

/**
 * The answer, or `query_timeout`. The reader bounds its own work; this bounds the wait when it does not answer at all, and tells it
 * when nobody waits any more: the time is up, or the client has left.
 */
export async function withTimeout<T>(
	start: (signal: AbortSignal) => Promise<T>,
	timeoutMs: number,
	reply: FastifyReply,
): Promise<T> {
	const { promise: expired, reject } = Promise.withResolvers<never>();
	const waiting = new AbortController();
	const stopWaiting = (): void => waiting.abort();
	reply.raw.once("close", stopWaiting);
	const timer = setTimeout(() => {
		const message = `the query took longer than ${timeoutMs / 1_000} s; narrow its range, or add a service or attribute`;
		reject(new MeshscopeError("query_timeout", message));
		stopWaiting();
	}, timeoutMs);
	// The client's connection keeps the process up as long as somebody waits; after a close nobody does.
	timer.unref();
	try {
		return await Promise.race([start(waiting.signal), expired]);
	} finally {
		clearTimeout(timer);
		reply.raw.off("close", stopWaiting);
	}
}
