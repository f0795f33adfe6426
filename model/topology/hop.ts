/**
 * A trace's spans as the hop rules read them, and the hops that come of them.
 *
 * Hops are a pure function of a trace's set of spans and of one moment, the maturity watermark: a half whose other half has not been
 * seen states nothing before it is mature. Whatever order spans arrive in, the hops of the whole set are the same.
 */
import type { Endpoint } from "./endpoint.ts";
import type { SpanFacts } from "./facts.ts";
import type { Evidence, MtlsFinding, Outcome, Protocol, Reporter } from "./series.ts";

/** Spans of one trace, struct of arrays; ids as two big-endian words. Each span once, in any order. */
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
	readonly bytesSent: Float64Array;
	readonly bytesReceived: Float64Array;
	/** 1 / sampling probability; 0 where the span does not say. */
	readonly weight: Float64Array;
	readonly facts: readonly SpanFacts[];
}

/** One call from one workload to another. Rows are places in {@link TraceSpans}; -1 for none. */
export interface Hop {
	readonly source: Endpoint;
	readonly target: Endpoint;
	readonly protocol: Protocol;
	readonly evidence: Evidence;
	readonly reporter: Reporter;
	readonly mtls: MtlsFinding;
	readonly outcome: Outcome;
	readonly destinationOutcome: Outcome | undefined;
	readonly code: string;
	readonly flags: string;
	readonly attempts: number;
	/** The spans nearest to the network, and the apps' own spans behind or before them. */
	readonly sourceRow: number;
	readonly destinationRow: number;
	readonly sourceAppRow: number;
	readonly destinationAppRow: number;
	readonly failedHandshakes: number;
	/** Certificates seen on the leg between the two. */
	readonly sourceNotAfterMs: number | undefined;
	readonly destinationNotAfterMs: number | undefined;
}
