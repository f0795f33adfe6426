/**
 * What a proxy runs: the policy of the mesh, compiled for one workload. Compiled by policy/compile.ts from Istio's kinds, in the shim
 * itself, so that a control plane and a file give the same proxy. Plain data: it is shown as it is under `/config_dump`.
 *
 * Endpoints are not part of it: they come and go more often than policy does (see Endpoint and control-protocol.ts).
 */

export type MtlsMode = "disable" | "permissive" | "strict";

/** Who a proxy stands beside. */
export interface Workload {
	/** `cluster.local` unless the mesh says otherwise. */
	readonly trustDomain: string;
	readonly namespace: string;
	/** The service it answers for; empty for a pure client. */
	readonly service: string;
	/** `<service>-<version>` unless named. */
	readonly workload: string;
	readonly version: string;
	readonly serviceAccount: string;
	readonly instanceId: string;
	/** What selectors and subsets see; `app` and `version` are always there. */
	readonly labels: Readonly<Record<string, string>>;
}

export interface ProxyConfig {
	/** Of the snapshot it was compiled from; told in every span as `meshscope.config.version`. */
	readonly version: string;
	readonly inbound: InboundConfig;
	/** In order of preference: exact hosts first, then suffixes (longest first), then `*`. */
	readonly virtualHosts: readonly VirtualHost[];
	/** By name. */
	readonly clusters: ReadonlyMap<string, ClusterConfig>;
	/** What happens to a host that no virtual host names (Istio's outboundTrafficPolicy). */
	readonly unknownHosts: "passthrough" | "refuse";
}

export interface InboundConfig {
	readonly mtls: { readonly mode: MtlsMode; readonly byPort: ReadonlyMap<number, MtlsMode>; readonly policy: string };
	readonly authorization: AuthorizationConfig;
}

// ---- authorisation

/** DENY is asked first, then ALLOW; without any ALLOW rule everything else is allowed. AUDIT never decides. */
export interface AuthorizationConfig {
	readonly deny: readonly AuthorizationRule[];
	readonly allow: readonly AuthorizationRule[];
	readonly audit: readonly AuthorizationRule[];
	/** An ALLOW policy without rules allows nothing, and is told apart from no policy. */
	readonly hasAllowPolicy: boolean;
}

/** Sources, operations and conditions are ANDed; each list is ORed; an absent list matches all. */
export interface AuthorizationRule {
	/** `namespace/name` of the policy. */
	readonly policy: string;
	readonly from: readonly AuthorizationSource[];
	readonly to: readonly AuthorizationOperation[];
	readonly when: readonly { readonly key: string; readonly values: readonly string[]; readonly notValues: readonly string[] }[];
}

/** Values as Istio's: exact, `prefix*`, `*suffix`, or `*` for present. Principals are written without `spiffe://`. */
export interface AuthorizationSource {
	readonly principals: readonly string[];
	readonly notPrincipals: readonly string[];
	readonly namespaces: readonly string[];
	readonly notNamespaces: readonly string[];
	readonly ipBlocks: readonly string[];
	readonly notIpBlocks: readonly string[];
}

export interface AuthorizationOperation {
	readonly hosts: readonly string[];
	readonly notHosts: readonly string[];
	readonly ports: readonly string[];
	readonly notPorts: readonly string[];
	readonly methods: readonly string[];
	readonly notMethods: readonly string[];
	/** May hold `{*}` for one segment and `{**}` for any number. */
	readonly paths: readonly string[];
	readonly notPaths: readonly string[];
}

// ---- routes

export interface VirtualHost {
	/** `namespace/name` of the VirtualService, or the host where none names it. */
	readonly name: string;
	/** Lower case: exact, `*.suffix`, or `*`. Short names and every longer form of a service are listed. */
	readonly hosts: readonly string[];
	/** First match wins; the last one matches all unless the policy means to refuse the rest (404, `NR`). */
	readonly http: readonly HttpRoute[];
	readonly tcp: readonly TcpRoute[];
}

export interface TcpRoute {
	readonly port: number | undefined;
	readonly destinations: readonly WeightedDestination[];
}

export interface HttpRoute {
	/** As the policy names it, else `default`. */
	readonly name: string;
	/** ORed; empty matches everything. */
	readonly matches: readonly RouteMatch[];
	readonly action: RouteAction;
	readonly rewrite: Rewrite | undefined;
	readonly requestHeaders: HeaderChanges;
	readonly responseHeaders: HeaderChanges;
	/** The whole of it, retries included; 0 is off. */
	readonly timeoutMs: number;
	readonly retries: RetryPolicy;
	readonly fault: Fault | undefined;
	readonly mirrors: readonly { readonly cluster: string; readonly percent: number }[];
	readonly fallback: Fallback | undefined;
}

export type RouteAction =
	| { readonly kind: "forward"; readonly destinations: readonly WeightedDestination[] }
	| {
			readonly kind: "redirect";
			readonly status: number;
			readonly authority: string | undefined;
			readonly scheme: string | undefined;
			readonly path: string | undefined;
	  }
	| { readonly kind: "answer"; readonly status: number; readonly body: string };

export interface WeightedDestination {
	/** A key of ProxyConfig.clusters. */
	readonly cluster: string;
	/** Of the sum over the route's destinations; a single one has 100. */
	readonly weight: number;
	readonly requestHeaders: HeaderChanges;
	readonly responseHeaders: HeaderChanges;
}

/** ANDed. */
export interface RouteMatch {
	readonly name: string;
	readonly path: StringMatch | undefined;
	readonly ignorePathCase: boolean;
	readonly method: StringMatch | undefined;
	/** `http` or `https`, as the caller spoke it. */
	readonly scheme?: StringMatch | undefined;
	readonly authority: StringMatch | undefined;
	/** Header names in lower case. A match of undefined asks for presence. */
	readonly headers: readonly { readonly name: string; readonly match: StringMatch | undefined }[];
	readonly withoutHeaders: readonly { readonly name: string; readonly match: StringMatch | undefined }[];
	readonly query: readonly { readonly name: string; readonly match: StringMatch | undefined }[];
	/** The port that the caller asked for. */
	readonly port: number | undefined;
}

export type StringMatch =
	| { readonly kind: "exact"; readonly value: string }
	| { readonly kind: "prefix"; readonly value: string }
	/** Matches the whole value, as RE2 in Envoy does. */
	| { readonly kind: "regex"; readonly value: string; readonly pattern: RegExp };

export interface Rewrite {
	/** Replaces the matched prefix (or the whole path where the match was exact or a regex without groups). */
	readonly path: string | undefined;
	/** For String.replace on the path without its query: the pattern is global, the replacement in JavaScript's form. */
	readonly pathRegex: { readonly pattern: RegExp; readonly replacement: string } | undefined;
	readonly authority: string | undefined;
}

/** Names in lower case. */
export interface HeaderChanges {
	readonly set: readonly (readonly [name: string, value: string])[];
	readonly add: readonly (readonly [name: string, value: string])[];
	readonly remove: readonly string[];
}

export interface Fault {
	readonly delay: { readonly percent: number; readonly ms: number } | undefined;
	readonly abort:
		| { readonly percent: number; readonly httpStatus: number; readonly grpcStatus: number | undefined }
		| undefined;
}

/** What the caller gets when the route's destination cannot answer (breaker open, no healthy host, limits, retries used up). */
export type Fallback =
	| { readonly kind: "answer"; readonly status: number; readonly body: string; readonly contentType: string }
	| { readonly kind: "destination"; readonly cluster: string };

export type RetryCondition =
	| "connect-failure"
	| "refused-stream"
	| "unavailable"
	| "cancelled"
	| "resource-exhausted"
	| "deadline-exceeded"
	| "internal"
	| "reset"
	| "5xx"
	| "gateway-error"
	| "retriable-4xx";

export interface RetryPolicy {
	/** Beyond the first attempt; 0 is none. */
	readonly attempts: number;
	readonly on: ReadonlySet<RetryCondition>;
	/** Response codes that are retried too (Istio's `retriable-status-codes`). */
	readonly onStatus: ReadonlySet<number>;
	/** 0: bounded by the route's timeout alone. */
	readonly perTryTimeoutMs: number;
	readonly backoffBaseMs: number;
	readonly backoffMaxMs: number;
}

// ---- clusters

export type UpstreamProtocol = "http1" | "http2" | "tcp";

export interface ClusterConfig {
	/** `host|port|subset`, the subset empty for none. */
	readonly name: string;
	readonly host: string;
	readonly port: number;
	readonly subset: string;
	/** Who stands behind it, for telemetry. */
	readonly service: string;
	readonly namespace: string;
	readonly external: boolean;
	/** `grpc` and `http2` port names give http2. */
	readonly protocol: UpstreamProtocol;
	/** Endpoints bear all of these. */
	readonly labels: Readonly<Record<string, string>>;
	readonly discovery:
		| { readonly kind: "registry" }
		| { readonly kind: "static"; readonly endpoints: readonly Endpoint[] }
		| {
				readonly kind: "dns";
				readonly endpoints: readonly { readonly host: string; readonly port: number; readonly weight: number }[];
		  };
	readonly tls: UpstreamTls;
	readonly loadBalancer: LoadBalancer;
	readonly limits: CircuitLimits;
	readonly outlier: OutlierDetection | undefined;
	readonly breaker: FailureRateBreaker | undefined;
	readonly retryBudget: { readonly percent: number; readonly minConcurrent: number };
}

/** `auto`: mTLS to endpoints that have an identity, plaintext to others; the reason is told. */
export type UpstreamTls =
	| { readonly mode: "auto" }
	| { readonly mode: "disable" }
	| { readonly mode: "istio_mutual"; readonly subjectAltNames: readonly string[]; readonly sni: string | undefined }
	/** Paths of PEM files on the proxy's machine; undefined trusts the system's roots. */
	| {
			readonly mode: "simple" | "mutual";
			readonly caFile: string | undefined;
			readonly certificateFile: string | undefined;
			readonly keyFile: string | undefined;
			readonly subjectAltNames: readonly string[];
			readonly sni: string | undefined;
			readonly insecureSkipVerify: boolean;
	  };

export type LoadBalancer =
	| { readonly kind: "round_robin" }
	| { readonly kind: "random" }
	/** Power of two choices. */
	| { readonly kind: "least_request" }
	| { readonly kind: "peak_ewma"; readonly defaultRttMs: number; readonly decayMs: number }
	| {
			readonly kind: "ring_hash";
			readonly minimumRingSize: number;
			readonly hash:
				| { readonly on: "header"; readonly name: string }
				| { readonly on: "query"; readonly name: string }
				| { readonly on: "source_ip" }
				| { readonly on: "cookie"; readonly name: string; readonly path: string; readonly ttlMs: number };
	  };

/** Envoy's thresholds. */
export interface CircuitLimits {
	readonly maxConnections: number;
	readonly maxPendingRequests: number;
	readonly maxRequests: number;
	readonly maxRetries: number;
	/** 0: no limit. */
	readonly maxRequestsPerConnection: number;
	readonly connectTimeoutMs: number;
	readonly idleTimeoutMs: number;
}

/** Envoy's outlier_detection. */
export interface OutlierDetection {
	readonly consecutive5xx: number;
	/** 0: off. */
	readonly consecutiveGatewayErrors: number;
	readonly consecutiveLocalOriginFailures: number;
	readonly splitLocalOriginErrors: boolean;
	readonly intervalMs: number;
	readonly baseEjectionTimeMs: number;
	readonly maxEjectionTimeMs: number;
	readonly maxEjectionPercent: number;
	readonly successRateMinimumHosts: number;
	readonly successRateRequestVolume: number;
	/** Standard deviations, as 1.9. */
	readonly successRateStdevFactor: number;
	/** Below this share of healthy hosts ejections are ignored; 0 is never. */
	readonly minHealthPercent: number;
}

/** Resilience4j's count-based circuit breaker. */
export interface FailureRateBreaker {
	readonly slidingWindowSize: number;
	readonly minimumNumberOfCalls: number;
	/** 0–100. */
	readonly failureRateThreshold: number;
	readonly slowCallDurationThresholdMs: number;
	readonly slowCallRateThreshold: number;
	readonly waitDurationInOpenStateMs: number;
	readonly permittedNumberOfCallsInHalfOpenState: number;
	/** 0: waits for all permitted calls. */
	readonly maxWaitDurationInHalfOpenStateMs: number;
}

/** One instance of a service, as a registry or a ServiceEntry knows it. */
export interface Endpoint {
	/** Unique in the mesh: the instance's ID, or `address:port`. */
	readonly id: string;
	readonly address: string;
	readonly port: number;
	readonly labels: Readonly<Record<string, string>>;
	readonly weight: number;
	/** The identity its certificate must bear; undefined where it has no proxy: plaintext. */
	readonly principal: string | undefined;
	readonly healthy: boolean;
	/** Where a node proxy takes HBONE for it, `address:port`; undefined where it is called directly. */
	readonly hboneAddress: string | undefined;
}
