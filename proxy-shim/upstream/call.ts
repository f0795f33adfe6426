/** One attempt at an upstream: what is asked, and what is told of it. The pools of HTTP/1.1 and HTTP/2 speak these words alike. */
import type { Readable } from "node:stream";
import type { AttemptOutcome } from "./host.ts";
import type { HopTls } from "../telemetry/hop.ts";

export interface UpstreamRequest {
	readonly method: string;
	readonly scheme: string;
	readonly authority: string;
	readonly path: string;
	/** Flat, lower-case, end to end only, without Host. */
	readonly headers: readonly string[];
	/** Opened when a connection is there; undefined where the request has none. */
	readonly body: { open(): Readable; readonly trailers: readonly string[] } | undefined;
}

export type LocalReason = Extract<AttemptOutcome, { kind: "local" }>["reason"];

export interface UpstreamFailure {
	readonly reason: LocalReason | "cancelled" | "pending_overflow" | "protocol";
	readonly message: string;
	/** No byte of the request can have been acted upon: any request may be sent again. */
	readonly unprocessed: boolean;
	/** A connection that stood idle was closed under the request. */
	readonly onReused: boolean;
	/** Why TLS did not come about (tls/failure.ts); empty where that is not the reason. */
	readonly tlsReason: string;
}

/** Facts of the connection that the attempt is on. */
export interface UpstreamConnectionFacts {
	readonly tls: HopTls;
	readonly address: string;
	readonly port: number;
}

/** Called in this order; exactly one of `onEnd` and `onFailure` is the last, unless the call is cancelled. */
export interface ResponseSink {
	/** The request is being written. */
	onConnection(facts: UpstreamConnectionFacts): void;
	onInformational(status: number, headers: readonly string[]): void;
	/** Fields end to end. `isEnd`: nothing follows, as the upstream itself framed it (what HTTP/1.1 cannot say). */
	onHead(status: number, reason: string, headers: readonly string[], isEnd: boolean): void;
	/** False: no more until `resume`. */
	onData(chunk: Buffer): boolean;
	onEnd(trailers: readonly string[]): void;
	onFailure(failure: UpstreamFailure): void;
}

export interface UpstreamCall {
	resume(): void;
	/** Nothing is told of it afterwards. */
	cancel(): void;
}
