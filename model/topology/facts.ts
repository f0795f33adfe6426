/**
 * What the source modules make of telemetry: facts about one side of a hop, or about a whole edge, in one vocabulary.
 *
 * A source module is a pure function of normalised attributes. It says what a span, log record or metric point states, never what it
 * means beside others: pairing and precedence come later (hops/, collector/topology/).
 */
import type { Endpoint } from "./endpoint.ts";
import type { MtlsStatus, Outcome, Protocol, Reporter, Unit, Verification } from "./series.ts";
import type { ResourceKey, SpanKey } from "./sources/keys.ts";

/**
 * Attributes after rule 0: keys as sent, values as text; `-`, empty, `unknown` and absent are all undefined. Numbers and booleans
 * are in decimal and `true`/`false`.
 */
export interface Attributes<Key extends string = string> {
	get(key: Key): string | undefined;
}

export type Emitter =
	| "envoy"
	| "istio"
	| "waypoint"
	| "ztunnel"
	| "linkerd"
	| "nginx"
	| "caddy"
	| "traefik"
	| "kong"
	| "apisix"
	| "kuma"
	| "consul"
	| "dapr"
	| "shim"
	| "otel";

/** What a span's emitter puts on the wire, as far as edges need it. */
export interface SpanInput {
	/** OTLP span kind: 1 INTERNAL, 2 SERVER, 3 CLIENT, 4 PRODUCER, 5 CONSUMER; 0 unspecified. */
	readonly kind: number;
	/** Only where it tells emitters or roles apart (`kong.balancer`, `router … egress`); empty otherwise. */
	readonly name: string;
	/** OTLP status code: 0 unset, 1 ok, 2 error. */
	readonly status: number;
	readonly scope: string;
	/** Of the keys of sources/keys.ts, reduced as it says. */
	readonly resource: Attributes<ResourceKey>;
	readonly attributes: Attributes<SpanKey>;
}

/** TLS as one end saw one leg. */
export interface LegTls {
	readonly status: MtlsStatus;
	/** The peer of the reporting proxy on that leg, and the proxy itself. */
	readonly peerPrincipal: string;
	readonly localPrincipal: string;
	/** `1.2`, `1.3` or empty. */
	readonly version: string;
	readonly cipher: string;
	readonly verifiedBy: Verification;
	/** Epoch ms; the peer's certificate. */
	readonly peerNotAfterMs: number | undefined;
	readonly peerIssuer: string;
	/** Why the handshake failed; empty where it did not. */
	readonly failure: string;
}

export const NO_TLS_FACTS: LegTls = {
	status: "unknown",
	peerPrincipal: "",
	localPrincipal: "",
	version: "",
	cipher: "",
	verifiedBy: "",
	peerNotAfterMs: undefined,
	peerIssuer: "",
	failure: "",
};

/**
 * The other end as one side names it, and how far to believe it. A bare IP address is an endpoint of kind `unknown` with the address as
 * its service: graphs replace it by whom the address is known to belong to, or gather it under `unknown`.
 */
export interface PeerHint {
	readonly endpoint: Endpoint;
	/** `identity`: verified certificate. `declared`: the proxy's own configuration or the app. `address`: host name or IP. */
	readonly from: "identity" | "declared" | "address";
}

export interface SpanFacts {
	readonly emitter: Emitter;
	/** A proxy's span, not the app's own. */
	readonly proxy: boolean;
	/** As in SpanInput; 1 for spans that pairing walks through (Traefik's inner spans). */
	readonly kind: number;
	/** Where the span was recorded. */
	readonly local: Endpoint;
	/** Own and peer's IP address without a port, where the span says; they teach which address is whose. Empty otherwise. */
	readonly localAddress: string;
	readonly peerAddress: string;
	/** Callee of CLIENT and PRODUCER, caller of SERVER and CONSUMER; undefined where the span does not say. */
	readonly peer: PeerHint | undefined;
	/** Rule 2: a span that names both ends. */
	readonly both: { readonly source: Endpoint; readonly destination: Endpoint } | undefined;
	readonly protocol: Protocol;
	readonly outcome: Outcome;
	/** `200`, `grpc:14`; empty where there was none. */
	readonly code: string;
	/** Envoy's letters, comma-separated; empty for none. */
	readonly flags: string;
	/** 0 for the first try, n for the n-th retry of the same request. */
	readonly retry: number;
	/** Tries that this one span stands for, the first included; 1 where each has a span of its own or nothing says. */
	readonly attempts: number;
	/** The leg towards the caller and the leg towards the callee. */
	readonly downstream: LegTls;
	readonly upstream: LegTls;
	/** Why the span makes no edge (`kong.dns`, a call to our own collector); undefined when it may. */
	readonly ignored: string | undefined;
}

/** One access log record: an observation of a whole edge by one end (rule 8), or a connection (rule 9). */
export interface LogFacts {
	readonly emitter: Emitter;
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly reporter: Reporter;
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly outcome: Outcome;
	readonly code: string;
	readonly flags: string;
	readonly attempts: number;
	readonly tls: LegTls;
	/** Both ends by name where the record gives them; the leg's peer and local principals otherwise. */
	readonly sourcePrincipal: string;
	readonly destinationPrincipal: string;
}

/** Of an access log record, where "no TLS" differs from "not said". */
export interface LogAttributes extends Attributes {
	/** True when the key was sent at all, also with a value that rule 0 takes for none. */
	has(key: string): boolean;
}

/** An access log record's text attributes, and those of its resource. */
export interface LogInput {
	readonly resource: Attributes;
	readonly attributes: LogAttributes;
}

/** Per record, beside its facts. Bytes from source to target are sent, those back are received, whoever reports. */
export interface LogNumbers {
	readonly durationNs: number;
	readonly bytesSent: number;
	readonly bytesReceived: number;
}

/** What one metric series measures of one edge. */
export interface MetricFacts {
	readonly emitter: Emitter;
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly reporter: Reporter;
	readonly protocol: Protocol;
	readonly unit: Unit;
	readonly outcome: Outcome;
	readonly code: string;
	readonly flags: string;
	readonly mtls: {
		readonly status: MtlsStatus;
		readonly sourcePrincipal: string;
		readonly destinationPrincipal: string;
		readonly verifiedBy: Verification;
	};
	/** What the values mean. Latency histograms are in the given unit (ns a unit). */
	readonly measure:
		| { readonly kind: "count" }
		| { readonly kind: "failed_handshakes" }
		| { readonly kind: "bytes_sent" }
		| { readonly kind: "bytes_received" }
		| { readonly kind: "latency"; readonly nsPerUnit: number; readonly side: "source" | "destination" };
}
