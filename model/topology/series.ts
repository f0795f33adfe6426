/**
 * What the topology stage counts: series of observations, told apart by everything that must never be mixed, in buckets of time.
 *
 * A series is one edge at its finest grain with one protocol, one evidence and reporter, one mTLS finding and one outcome. Graphs are
 * sums over series; which of several evidences of one edge gives its numbers is decided when a graph is asked for (graph.ts), so
 * that nothing that was observed is overwritten.
 */
import type { Endpoint } from "./endpoint.ts";

export const PROTOCOLS = ["http", "grpc", "tcp", "database", "messaging", "unknown"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** TCP is counted in connections, everything else in requests; the two are never added up. */
export const UNITS = ["requests", "connections"] as const;
export type Unit = (typeof UNITS)[number];

/** How an observation came to be an edge: the rules of docs/topology.md. */
export const EVIDENCES = [
	/** Both ends of one hop, by parentage. */
	"pair",
	/** Both ends of one hop, by x-request-id where parentage broke: weak. */
	"request-id",
	"client-only",
	"server-only",
	"client-client",
	"server-server",
	/** One span that names both ends. */
	"waypoint",
	"metric",
	"log",
] as const;
export type Evidence = (typeof EVIDENCES)[number];

export const REPORTERS = ["both", "source", "destination", "waypoint"] as const;
export type Reporter = (typeof REPORTERS)[number];

/**
 * `none`: Istio's word for "not mutual TLS", which may be plaintext or one-way TLS. `mixed`: the two ends of one hop disagree.
 */
export const MTLS_STATUSES = ["mutual_tls", "tls", "plaintext", "none", "mixed", "unknown"] as const;
export type MtlsStatus = (typeof MTLS_STATUSES)[number];

/** Who vouches for an mTLS finding, best first. */
export const VERIFICATIONS = ["server", "client", "metric", "header", ""] as const;
export type Verification = (typeof VERIFICATIONS)[number];

export const OUTCOMES = ["ok", "client_error", "server_error", "no_response"] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface MtlsFinding {
	readonly status: MtlsStatus;
	/** What each end said by itself; `unknown` where it said nothing. */
	readonly source: MtlsStatus;
	readonly destination: MtlsStatus;
	/** SPIFFE ids or subjects; empty where not known. */
	readonly sourcePrincipal: string;
	readonly destinationPrincipal: string;
	/** `1.2`, `1.3`; empty where not known. */
	readonly tlsVersion: string;
	readonly cipher: string;
	/** Who checked the peer's certificate. */
	readonly verifiedBy: Verification;
}

export interface SeriesDims {
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly evidence: Evidence;
	readonly reporter: Reporter;
	/** True when the observations may be a sample and nothing says of how many: spans without `ot=th` in their tracestate. */
	readonly sampled: boolean;
	readonly mtls: MtlsFinding;
	/** As the caller felt it; where only the destination reported, as that said. */
	readonly outcome: Outcome;
	/** What the destination said where it differs from `outcome` (a 504 at the source, a 200 at the destination). */
	readonly destinationOutcome: Outcome | undefined;
}

/**
 * Sums of one series in one bucket of time. They add up: a correction subtracts what was said and adds what is true, so that fields of
 * a difference may be negative.
 */
export interface Sums<Buckets> {
	/** Observations as they came. */
	observed: number;
	/** Observations scaled up by their sampling probability; equal to `observed` where there is none. */
	count: number;
	/** Tries of the observed requests, first ones included. */
	attempts: number;
	/** Bytes from source to target, and back. */
	bytesSent: number;
	bytesReceived: number;
	/** Handshakes that failed; no request came of them. */
	failedHandshakes: number;
	/** Time in ns and number of requests whose app's own span was seen behind the proxy's, and the proxies' part in ns. */
	appNs: number;
	appCount: number;
	proxyNs: number;
	/** Observations by response code (`200`, `grpc:14`) and by response flag (`UF`), where the source says. */
	readonly codes: Map<string, number>;
	readonly flags: Map<string, number>;
	/** Latency in ns at the caller and at the callee, as histogram buckets (histogram.ts), weighted like `count`. */
	readonly sourceLatency: Buckets;
	readonly destinationLatency: Buckets;
	/** Earliest and latest observation, epoch ms; kept when a correction takes observations back. */
	firstMs: number;
	lastMs: number;
	/** Sums of the latencies in ns, for means. */
	sourceLatencyNs: number;
	destinationLatencyNs: number;
}

export type SeriesSums = Sums<Map<number, number>>;

export function emptySums(): SeriesSums {
	return noSums(new Map(), new Map());
}

export function noSums<Buckets>(sourceLatency: Buckets, destinationLatency: Buckets): Sums<Buckets> {
	return {
		observed: 0,
		count: 0,
		attempts: 0,
		bytesSent: 0,
		bytesReceived: 0,
		failedHandshakes: 0,
		appNs: 0,
		appCount: 0,
		proxyNs: 0,
		codes: new Map(),
		flags: new Map(),
		sourceLatency,
		destinationLatency,
		firstMs: Infinity,
		lastMs: -Infinity,
		sourceLatencyNs: 0,
		destinationLatencyNs: 0,
	};
}

/** A trace that shows what a latency bucket of an edge looks like. */
export interface Exemplar {
	readonly series: number;
	readonly timeMs: number;
	/** 32 hex digits. */
	readonly traceId: string;
	readonly durationNs: number;
	readonly isError: boolean;
}

/** Seen at an end of an edge; told apart by principal and expiry. */
export interface CertificateSighting {
	readonly principal: string;
	/** Epoch ms. */
	readonly notAfterMs: number;
	readonly issuer: string;
	readonly seenMs: number;
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly side: "source" | "destination";
}

/** Whose an IP address was, from spans that named both. */
export interface AddressSighting {
	readonly address: string;
	readonly endpoint: Endpoint;
	readonly seenMs: number;
}

/** Widths of the buckets that are kept, finest first, in ms. */
export const RESOLUTIONS_MS = [10_000, 60_000, 3_600_000, 86_400_000] as const;
export type ResolutionMs = (typeof RESOLUTIONS_MS)[number];

export function bucketStart(timeMs: number, resolutionMs: ResolutionMs): number {
	return Math.floor(timeMs / resolutionMs) * resolutionMs;
}
