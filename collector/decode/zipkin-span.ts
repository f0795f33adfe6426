/** A Zipkin span between its two encodings and OTLP: what the readers fill and zipkin.ts writes. */
import type { DropReason } from "../../model/errors.ts";

export interface ZipkinEndpoint {
	readonly serviceName: string;
	/** IPv4 or IPv6 as text; empty where absent. */
	readonly address: string;
	readonly port: number;
}

export const NO_ENDPOINT: ZipkinEndpoint = { serviceName: "", address: "", port: 0 };

/** A Zipkin span whatever its encoding; empty, 0 and false stand for absent. */
export interface ZipkinSpan {
	/** 16 bytes when it was 8 or 16; otherwise as it came, for the reader behind to judge. */
	readonly traceId: Uint8Array;
	readonly id: Uint8Array;
	readonly parentId: Uint8Array;
	/** OTLP span kind. */
	readonly kind: number;
	readonly name: string;
	readonly startNs: bigint;
	readonly durationNs: bigint;
	readonly debug: boolean;
	readonly shared: boolean;
	readonly local: ZipkinEndpoint;
	readonly remote: ZipkinEndpoint;
	readonly annotations: readonly { readonly timeNs: bigint; readonly value: string }[];
	readonly tags: readonly (readonly [key: string, value: string])[];
}

export interface ZipkinSink {
	span(span: ZipkinSpan): void;
	/** A record that could not be read. */
	drop(reason: DropReason, problem: string): void;
	/** Counts a record met. @throws MeshscopeError `payload_too_large` beyond the limit */
	met(): void;
	invalidUtf8(): void;
}

/** OTLP span kinds by Zipkin's. */
export const ZIPKIN_KINDS: Readonly<Record<string, number>> = { CLIENT: 3, SERVER: 2, PRODUCER: 4, CONSUMER: 5 };
