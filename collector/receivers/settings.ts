/**
 * What a person can set about the receivers, and the limits that no one has to. Parsed and checked elsewhere; frozen by the time
 * it arrives here.
 */
import type { ErrorCode } from "../../model/errors.ts";

export interface ListenAddress {
	readonly host: string;
	/** 0 means any free one. */
	readonly port: number;
}

export interface ReceiverTls {
	readonly certPem: string;
	readonly keyPem: string;
	/** When set, every client must present a certificate that this authority signed. */
	readonly clientCaPem?: string | undefined;
}

export interface ReceiverLimits {
	/** Of one payload, before and after decompression. */
	readonly maxPayloadBytes: number;
	/** Of one listener; further ones are closed as they arrive. */
	readonly maxConnections: number;
	/** Of one HTTP/2 connection. */
	readonly maxConcurrentStreams: number;
	/** HTTP/1: until the header block is complete. HTTP/2: until the connection preface. TLS: until the handshake is done. */
	readonly headersTimeoutMs: number;
	/** Until the whole request has arrived. */
	readonly requestTimeoutMs: number;
	/** HTTP/1: between two requests. Longer than the 60 s at which metric exporters send. */
	readonly keepAliveTimeoutMs: number;
	/** HTTP/2: a connection without an open stream is told to go away. */
	readonly idleSessionTimeoutMs: number;
	/** What a refused client is told to wait when the receiver itself finds no room. */
	readonly overloadRetryAfterMs: number;
}

export const DEFAULT_LIMITS: ReceiverLimits = {
	maxPayloadBytes: 64 * 1024 * 1024,
	maxConnections: 1_000,
	maxConcurrentStreams: 100,
	headersTimeoutMs: 10_000,
	requestTimeoutMs: 60_000,
	keepAliveTimeoutMs: 75_000,
	idleSessionTimeoutMs: 300_000,
	overloadRetryAfterMs: 1_000,
};

export interface ReceiverSettings {
	/** An absent address leaves that receiver off. */
	readonly otlpGrpc?: ListenAddress | undefined;
	readonly otlpHttp?: ListenAddress | undefined;
	readonly zipkin?: ListenAddress | undefined;
	/** A request must carry one of them as bearer token; empty asks for none. */
	readonly ingestTokens?: readonly string[] | undefined;
	readonly tls?: ReceiverTls | undefined;
	/** Of one payload, before and after decompression; 64 MiB unless set. */
	readonly maxPayloadBytes?: number | undefined;
	readonly limits?: Partial<Omit<ReceiverLimits, "maxPayloadBytes">> | undefined;
}

export interface ReceiverAddresses {
	/** `host:port` as bound; an IPv6 host stands in brackets. */
	readonly otlpGrpc?: string;
	readonly otlpHttp?: string;
	readonly zipkin?: string;
}

export interface Receivers {
	readonly addresses: ReceiverAddresses;
	/**
	 * Stops accepting, refuses new requests as retryable, answers those under way and closes every connection, at the latest after
	 * `graceMs`. Resolves when no connection is left.
	 */
	close(graceMs: number): Promise<void>;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type ReceiverLog = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export type Transport = keyof ReceiverAddresses;

/** A refusal on its way out, whoever decided it. */
export interface Refusal {
	readonly code: ErrorCode;
	readonly message: string;
	readonly retryAfterMs?: number | undefined;
}
