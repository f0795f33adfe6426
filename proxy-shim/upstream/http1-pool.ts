/**
 * Connections of HTTP/1.1 to one endpoint, one request at a time each. Kept here rather than in undici's pool, so that for every
 * request it is known whom it went to and over which TLS, and so that limits hold across the endpoints of a cluster.
 */
import type { ResponseSink, UpstreamCall, UpstreamRequest } from "./call.ts";
import { dedicatedCall, needsDedicatedConnection } from "./dedicated-call.ts";
import { createHttp1Connection } from "./http1-connection.ts";
import type { Http1Connection } from "./http1-connection.ts";
import { createConnectionQueue, PENDING_OVERFLOW } from "./http-pool.ts";
import type { HttpPool, PoolSettings } from "./http-pool.ts";

/** `createConnection` decides the tier: the parser's client, or the bare socket (fast/). */
export function createHttp1Pool(settings: PoolSettings, createConnection = createHttp1Connection): HttpPool {
	/** The newest last: those that are not needed any more fall idle and end. */
	const idle: Http1Connection[] = [];
	const live = new Set<Http1Connection>();
	let closed = false;

	const queue = createConnectionQueue<Http1Connection>(
		settings,
		() => live.size,
		(facts, counted) => {
			const connection = createConnection(facts, settings.idleTimeoutMs, () => {
				live.delete(connection);
				const at = idle.indexOf(connection);
				if (at >= 0) idle.splice(at, 1);
				if (counted) settings.limits.endConnection();
				queue.onGone();
			});
			live.add(connection);
			release(connection);
		},
	);

	function release(connection: Http1Connection): void {
		const spent = settings.maxRequestsPerConnection > 0 && connection.requests >= settings.maxRequestsPerConnection;
		if (spent || !connection.usable) {
			connection.close();
			return;
		}
		const next = queue.next();
		if (next !== undefined) next.start(connection);
		else if (closed) connection.close();
		else idle.push(connection);
	}

	function takeIdle(): Http1Connection | undefined {
		for (;;) {
			const connection = idle.pop();
			if (connection === undefined || connection.usable) return connection;
		}
	}

	return {
		call(request: UpstreamRequest, sink: ResponseSink): UpstreamCall {
			if (needsDedicatedConnection(request)) return dedicatedCall(request, sink, settings);
			const ready = takeIdle();
			if (ready !== undefined) return ready.send(request, sink, () => release(ready));
			let running: UpstreamCall | undefined;
			const giveUp = queue.wait({
				start: (connection) => (running = connection.send(request, sink, () => release(connection))),
				fail: (failure) => sink.onFailure(failure),
			});
			if (giveUp === undefined) {
				queueMicrotask(() => sink.onFailure(PENDING_OVERFLOW));
				return { resume() {}, cancel() {} };
			}
			return {
				resume: () => running?.resume(),
				cancel: () => (running === undefined ? giveUp() : running.cancel()),
			};
		},
		close() {
			closed = true;
			for (const connection of idle.splice(0)) connection.close();
		},
		get connections() {
			return live.size;
		},
	};
}
