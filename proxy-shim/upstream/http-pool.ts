/** What the pools of HTTP/1.1 and HTTP/2 to one endpoint have in common. */
import type { ResponseSink, UpstreamCall, UpstreamFailure, UpstreamRequest } from "./call.ts";
import type { PoolConnect, UpstreamConnection } from "./connector.ts";

/** What is allowed across all endpoints of a cluster (resilience/). */
export interface PoolLimits {
	tryPending(): boolean;
	endPending(): void;
	tryConnection(): boolean;
	endConnection(): void;
}

export interface PoolSettings {
	readonly connect: PoolConnect;
	readonly limits: PoolLimits;
	readonly idleTimeoutMs: number;
	/** 0: no limit. */
	readonly maxRequestsPerConnection: number;
}

export interface HttpPool {
	call(request: UpstreamRequest, sink: ResponseSink): UpstreamCall;
	/** What is under way ends as it would; then its connections end. Calls are taken still: a request may be between two steps. */
	close(): void;
	readonly connections: number;
}

/** A call that waits for a connection. */
export interface Waiting<Connection> {
	start(connection: Connection): void;
	fail(failure: UpstreamFailure): void;
}

/**
 * The queue of calls that wait for a connection, and the connections being made for them. At most one connection is under way a
 * waiting call.
 */
export interface ConnectionQueue<Connection> {
	/** Undefined when too many wait already; else a function that gives up. */
	wait(call: Waiting<Connection>): (() => void) | undefined;
	/** The longest waiting call, taken out. */
	next(): Waiting<Connection> | undefined;
	/** A connection has gone: its place may be what somebody waits for. */
	onGone(): void;
}

export function createConnectionQueue<Connection>(
	settings: PoolSettings,
	/** How many connections there are. */
	live: () => number,
	/** A connection is there; `counted` tells whether it holds a place of the limit. */
	adopt: (connection: UpstreamConnection, counted: boolean) => void,
): ConnectionQueue<Connection> {
	const { limits } = settings;
	const waiting: Waiting<Connection>[] = [];
	let connecting = 0;

	function connectIfNeeded(): void {
		while (waiting.length > connecting) {
			const counted = limits.tryConnection();
			// One is always allowed, as in Envoy: a limit bounds an endpoint, it does not silence it.
			if (!counted && live() + connecting > 0) return;
			connecting++;
			settings.connect((failure, connection) => {
				connecting--;
				if (connection !== undefined) {
					adopt(connection, counted);
					return;
				}
				if (counted) limits.endConnection();
				const told = failure ?? { reason: "connect_failure" as const, message: "no connection", tlsReason: "" };
				const failed: UpstreamFailure = { ...told, unprocessed: true, onReused: false };
				// The oldest alone: the others have attempts of their own under way, unless there are none.
				do next()?.fail(failed);
				while (waiting.length > 0 && connecting + live() === 0);
			});
		}
	}

	function next(): Waiting<Connection> | undefined {
		const call = waiting.shift();
		if (call !== undefined) limits.endPending();
		return call;
	}

	return {
		wait(call) {
			if (!limits.tryPending()) return undefined;
			waiting.push(call);
			connectIfNeeded();
			return () => {
				const at = waiting.indexOf(call);
				if (at < 0) return;
				waiting.splice(at, 1);
				limits.endPending();
			};
		},
		next,
		onGone: connectIfNeeded,
	};
}

export const PENDING_OVERFLOW: UpstreamFailure = {
	reason: "pending_overflow",
	message: "too many requests wait for a connection",
	unprocessed: true,
	onReused: false,
	tlsReason: "",
};
