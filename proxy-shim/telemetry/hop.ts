/**
 * What the data path tells about each hop, and to whom. Whoever finishes an exchange fills one record and hands it over; a telemetry
 * that is slow or down never holds up a request.
 */
import type { MtlsMode, Workload } from "../../model/mesh/proxy-config.ts";

export type Direction = "inbound" | "outbound";

/** `tls`: encrypted, but one end showed no certificate. `unknown`: no connection was made. */
export type HopMtlsStatus = "mutual_tls" | "tls" | "plaintext" | "unknown";

/** Taken from the connection itself, never from a header. */
export interface HopTls {
	readonly status: HopMtlsStatus;
	/** `1.3`, `1.2`, or empty. */
	readonly version: string;
	readonly cipher: string;
	readonly serverName: string;
	/** SPIFFE IDs by role on the wire; empty where none was shown. */
	readonly clientPrincipal: string;
	readonly serverPrincipal: string;
	readonly clientSubject: string;
	readonly serverSubject: string;
	/** Epoch ms; 0 where there was no certificate. */
	readonly clientNotAfterMs: number;
	readonly serverNotAfterMs: number;
	/** The peer's chain was verified against the bundle. */
	readonly peerVerified: boolean;
	/** Why it is not mTLS: `disabled`, `peer_not_in_mesh`, `permissive_plaintext`, `external`, `handshake_failed`, …; empty where it is. */
	readonly noTlsReason: string;
}

/** W3C trace context of one span of the hop. IDs are lower-case hex. */
export interface HopTrace {
	readonly traceId: string;
	readonly spanId: string;
	/** Empty for a root. */
	readonly parentSpanId: string;
	readonly sampled: boolean;
	readonly traceState: string;
}

export interface Peer {
	readonly service: string;
	readonly namespace: string;
	readonly workload: string;
	readonly instanceId: string;
	/** Numeric address and port of the other end of the connection; empty and 0 where none was made. */
	readonly address: string;
	readonly port: number;
}

/** What both kinds of hop have. */
interface HopCommon {
	readonly direction: Direction;
	readonly local: Workload;
	readonly peer: Peer;
	/** Epoch, ns. */
	readonly startTimeUnixNano: bigint;
	readonly durationNs: number;
	readonly tls: HopTls;
	/** Tries that ended because TLS with the upstream did not come about, whether or not a later one healed it. */
	readonly failedHandshakes: number;
	/** The policy for this port, beside what was observed. */
	readonly mtlsMode: MtlsMode;
	/** Envoy's letters (`UF`, `UO`, `NR`, `URX`, `UT`, `DC`, `UH`, `RL`, `FI`, `DI`, `UAEX`), comma-separated; empty for none. */
	readonly responseFlags: string;
	/** `namespace/name` of the policy that decided, with its verdict; empty where none was asked. */
	readonly authzPolicy: string;
	readonly authzDecision: "" | "allow" | "deny" | "audit";
	readonly configVersion: string;
	/** Envoy's name: `outbound|8080|v1|orders.shop.svc.cluster.local`, `inbound|8080||`. */
	readonly upstreamCluster: string;
	readonly lbPolicy: string;
	readonly subset: string;
}

export interface HttpHop extends HopCommon {
	readonly kind: "http";
	readonly trace: HopTrace;
	readonly requestId: string;
	readonly method: string;
	/** `http` or `https` as the caller spoke it. */
	readonly scheme: string;
	readonly authority: string;
	/** With the query. */
	readonly path: string;
	/** `1.1` or `2`. */
	readonly protocolVersion: string;
	readonly isGrpc: boolean;
	readonly userAgent: string;
	/** What the caller got; 0 where it went away first. */
	readonly status: number;
	/** From trailers or headers; undefined where the call is not gRPC or ended without one. */
	readonly grpcStatus: number | undefined;
	readonly requestBytes: number;
	readonly responseBytes: number;
	readonly requestMessages: number;
	readonly responseMessages: number;
	readonly route: string;
	/** Beyond the first attempt. */
	readonly retries: number;
	readonly breakerState: "" | "closed" | "open" | "half_open";
	/** The answer was the route's fallback. */
	readonly fellBack: boolean;
	/** First byte to upstream until first byte of its answer; negative where there was none. */
	readonly upstreamServiceTimeMs: number;
	readonly faultInjected: boolean;
}

export interface TcpHop extends HopCommon {
	readonly kind: "tcp";
	readonly trace: HopTrace;
	/** From upstream's point of view: bytes sent to it, bytes received from it. */
	readonly bytesSent: number;
	readonly bytesReceived: number;
	readonly closedBy: "downstream" | "upstream" | "proxy";
}

/** Things that happen to a proxy between requests; each is counted and logged once. */
export type ProxyEvent =
	| { readonly kind: "ejected" | "returned"; readonly cluster: string; readonly endpoint: string; readonly reason: string }
	| { readonly kind: "breaker"; readonly cluster: string; readonly from: string; readonly to: string }
	| {
			readonly kind: "handshake_failed";
			readonly direction: Direction;
			readonly peerAddress: string;
			/** Of tls/failure.ts. */
			readonly reason: string;
			/** What exactly was wrong, for the log: words of the peer's certificate may be in it. */
			readonly detail?: string;
	  }
	| { readonly kind: "config"; readonly version: string; readonly accepted: boolean; readonly message: string }
	| { readonly kind: "certificate"; readonly principal: string; readonly notAfterMs: number };

/** Takes everything at once, returns at once, and counts what it must drop. */
export interface HopSink {
	http(hop: HttpHop): void;
	tcp(hop: TcpHop): void;
	/** A TCP connection began; closed by `tcp`. */
	tcpOpened(direction: Direction): void;
	event(event: ProxyEvent): void;
}
