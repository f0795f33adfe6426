/**
 * A trace's spans as the hop rules read them, and the hops that come of them.
 *
 * Hops are a pure function of a trace's set of spans and of one moment, the maturity watermark: a half whose other half has not been
 * seen states nothing before it is mature. Whatever order spans arrive in, the hops of the whole set are the same.
 */
import type { Endpoint } from "./endpoint.ts";
import type { SpanFacts } from "./facts.ts";
import type { Evidence, MtlsFinding, Outcome, Protocol, Reporter } from "./series.ts";

/** Spans of one trace, struct of arrays; ids as two big-endian words. In any order; a span that stands twice counts once. */
export interface TraceSpans {
	readonly count: number;
	readonly spanId: Uint32Array;
	/** Zero where absent. */
	readonly parentId: Uint32Array;
	/** Epoch ms, with a fraction. */
	readonly startMs: Float64Array;
	readonly durationNs: Float64Array;
	/** Hash of `guid:x-request-id`, two words; zero where absent. */
	readonly requestId: Uint32Array;
	/** Bytes of the request and of the response; 0 where the span does not say. */
	readonly requestBytes: Float64Array;
	readonly responseBytes: Float64Array;
	/** 1 / sampling probability; 0 where the span does not say. */
	readonly weight: Float64Array;
	readonly facts: readonly SpanFacts[];
	/** Of each row's facts, from 0 and below 2^29, equal for the same facts and for no others: finds shapes faster. */
	readonly factsNumber?: Uint32Array;
}

/** What hops between the same two kinds of spans have in common. One object stands for all of them: compare by identity. */
export interface HopShape {
	/** Its place among the shapes made beside it, from 0. */
	readonly number: number;
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly protocol: Protocol;
	readonly evidence: Evidence;
	readonly reporter: Reporter;
	readonly mtls: MtlsFinding;
	/** As the caller felt it; where only the destination reported, as that said. */
	readonly outcome: Outcome;
	/** What the destination said where it differs. */
	readonly destinationOutcome: Outcome | undefined;
	readonly code: string;
	readonly flags: string;
	readonly failedHandshake: boolean;
	/** Expiry in epoch ms and issuer of the certificates on the leg between the two, where an end told them. */
	readonly sourceCertificate: { readonly notAfterMs: number; readonly issuer: string } | undefined;
	readonly destinationCertificate: { readonly notAfterMs: number; readonly issuer: string } | undefined;
	/** IP address at which the target was reached, where an end told it. */
	readonly targetAddress: string;
	readonly sourceAddress: string;
}

/** One call from one workload to another. Rows are places in {@link TraceSpans}; -1 for none. */
export interface Hop {
	readonly shape: HopShape;
	/** The spans nearest to the network, and the apps' own spans before and behind them. */
	readonly sourceRow: number;
	readonly destinationRow: number;
	readonly sourceAppRow: number;
	readonly destinationAppRow: number;
	/** The span that names both ends. */
	readonly waypointRow: number;
	/** Start at the caller where it reported, epoch ms. */
	readonly startMs: number;
	/** -1 where that end did not report. */
	readonly sourceLatencyNs: number;
	readonly destinationLatencyNs: number;
	/** Of the callee: its app's own span, and what its proxy's took longer; -1 where not both were seen. */
	readonly appNs: number;
	readonly proxyNs: number;
	readonly attempts: number;
	readonly requestBytes: number;
	readonly responseBytes: number;
	/** 1 / sampling probability; 0 where nothing says. */
	readonly weight: number;
}

export interface TraceHops {
	readonly hops: readonly Hop[];
	/** When the next half that stands alone becomes mature: the end of its span, epoch ms; Infinity when none is waiting. */
	readonly nextMaturityMs: number;
}
