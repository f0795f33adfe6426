/**
 * The control plane's protocol: one HTTP/2 stream a proxy, `POST /v1/proxy/stream`, newline-delimited JSON both ways
 * (docs/formats/control-protocol.md). The proxy speaks first. Each side ignores kinds and fields that it does not know.
 */
import type { Endpoint, Workload } from "./proxy-config.ts";

export const STREAM_PATH = "/v1/proxy/stream";
/** A frame longer than this ends the stream: no mesh.yaml that a person writes comes near it. */
export const MAX_FRAME_BYTES = 16 << 20;
/** Of what a proxy says. Before it has shown who it is, {@link MAX_JOIN_FRAME_BYTES}. */
export const MAX_PROXY_FRAME_BYTES = 1 << 20;
export const MAX_JOIN_FRAME_BYTES = 64 << 10;
/** The trust bundle as JWKS (SPIFFE Trust Domain and Bundle, section 4). */
export const BUNDLE_PATH = "/v1/bundle";
/** Leaves are valid from this long before they are issued, for clocks that are behind. */
export const BACKDATE_MS = 60_000;
/** Namespace and service account of the control plane itself; no token is given for this namespace. */
export const CONTROL_NAMESPACE = "meshscope-system";
export const CONTROL_SERVICE_ACCOUNT = "control";

/**
 * The server name that a proxy asks for in the TLS handshake: the root it trusts, as the first 32 hex digits of the SHA-256 of its DER.
 * While roots are rotated the control plane has a certificate of each, and shows that of the root that is asked for.
 */
export function rootServerName(rootSha256Hex: string): string {
	return `${rootSha256Hex.slice(0, 32)}.root.meshscope.internal`;
}

/** What a proxy tells about the service it stands beside. */
export interface Registration {
	/** Where peers reach it: the inbound listener. One a port of the service. */
	readonly ports: readonly {
		/** The service's port, which callers name. */
		readonly servicePort: number;
		readonly address: string;
		readonly port: number;
		readonly protocol: "http" | "http2" | "grpc" | "tcp";
	}[];
	/** The node proxy that takes HBONE for it. */
	readonly hboneAddress?: string | undefined;
}

/** Of one proxy stream there may be several workloads (a node proxy): each message names its own by `instanceId`. */
export type ProxyMessage =
	| {
			readonly kind: "hello";
			readonly instanceId: string;
			readonly workload: Workload;
			/** Single use, for the first certificate; a proxy that has one identifies itself by it. */
			readonly token?: string;
			readonly proxyVersion: string;
			/** Version of the policy it runs (from its disk), empty for none. */
			readonly policyVersion: string;
			readonly registration?: Registration;
	  }
	| {
			readonly kind: "csr";
			readonly instanceId: string;
			readonly requestId: number;
			readonly csrPem: string;
			readonly token?: string;
	  }
	| { readonly kind: "ack"; readonly instanceId: string; readonly version: string }
	| { readonly kind: "nack"; readonly instanceId: string; readonly version: string; readonly faults: readonly PolicyFault[] }
	/** The proxy trusts the roots of this bundle: during a rotation new leaves wait for it. */
	| { readonly kind: "bundle_ack"; readonly instanceId: string; readonly sequence: number }
	| { readonly kind: "health"; readonly instanceId: string; readonly healthy: boolean; readonly reason: string }
	| { readonly kind: "bye"; readonly instanceId: string };

export type ControlMessage =
	| { readonly kind: "policy"; readonly snapshot: PolicySnapshot }
	/** The whole of a service's endpoints, in place of what was told of it before. */
	| { readonly kind: "endpoints"; readonly services: readonly ServiceEndpoints[]; readonly complete: boolean }
	| {
			readonly kind: "certificate";
			readonly instanceId: string;
			readonly requestId: number;
			/** Leaf first, then intermediates, if any. */
			readonly chainPem: string;
			readonly notAfterMs: number;
	  }
	/** Roots to trust, old and new ones while a root is rotated. */
	| {
			readonly kind: "bundle";
			readonly trustDomain: string;
			readonly rootsPem: readonly string[];
			/** Rises with every change (`spiffe_sequence`). */
			readonly sequence: number;
	  }
	| {
			readonly kind: "refused";
			readonly instanceId: string;
			readonly requestId?: number;
			readonly code: string;
			readonly message: string;
	  };

export interface PolicySnapshot {
	/** Rises by one with each accepted change, as decimal text. */
	readonly version: string;
	/** SHA-256 of the documents, hex. */
	readonly hash: string;
	/** The documents of mesh.yaml as JSON values, each with the line it began on. */
	readonly documents: readonly { readonly line: number; readonly file: string; readonly value: unknown }[];
}

export interface ServiceEndpoints {
	readonly namespace: string;
	readonly service: string;
	readonly ports: readonly {
		readonly servicePort: number;
		readonly protocol: "http" | "http2" | "grpc" | "tcp";
		readonly endpoints: readonly Endpoint[];
	}[];
}

/** What is wrong in a policy, where, and what to write instead. */
export interface PolicyFault {
	readonly file: string;
	/** From 1; 0 where it concerns the whole file. */
	readonly line: number;
	readonly column: number;
	/** `DestinationRule default/reviews: spec.trafficPolicy.outlierDetection.interval`. */
	readonly path: string;
	readonly message: string;
}
