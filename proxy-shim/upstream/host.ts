/** One endpoint of a cluster while the proxy knows it: what balancing, ejection and limits remember about it. */
import type { Endpoint } from "../../model/mesh/proxy-config.ts";

/**
 * Kept across updates of the endpoint list for as long as `endpoint.id` stays, so that load and history are not forgotten. Written by
 * the data path (`activeRequests`), the balancer (`ewma*`) and outlier detection (`ejectedUntilMs` and what it counts).
 */
export interface Host {
	endpoint: Endpoint;
	activeRequests: number;
	/** Peak EWMA in ms, and when it was last decayed; monotonic ms. */
	ewmaMs: number;
	ewmaAtMs: number;
	/** Monotonic ms; 0 while it is not ejected. */
	ejectedUntilMs: number;
	outlier: OutlierCounts;
}

export interface OutlierCounts {
	consecutive5xx: number;
	consecutiveGatewayErrors: number;
	consecutiveLocalOriginFailures: number;
	/** Of the interval under way, for the success rate. */
	successes: number;
	total: number;
	/** How often it was ejected, lowered by one in each interval it stays in. */
	ejections: number;
}

/** What one attempt came to, told to outlier detection, breaker and budget. */
export type AttemptOutcome =
	| { readonly kind: "response"; readonly status: number; readonly grpcStatus: number | undefined }
	/** Never arrived or broke: no response of the upstream's own. */
	| {
			readonly kind: "local";
			readonly reason: "connect_failure" | "connect_timeout" | "handshake" | "refused_stream" | "reset" | "timeout";
	  };
