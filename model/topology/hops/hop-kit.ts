/** For tests of the hop rules: traces as short lists of spans, and the hops that come of them as lines of text. */
import { nodeId, serviceEndpoint } from "../endpoint.ts";
import { type LegTls, NO_TLS_FACTS, type SpanFacts } from "../facts.ts";
import type { Hop, TraceHops, TraceSpans } from "../hop.ts";
import { HopShapes } from "./hop-shape.ts";
import { HopFinder } from "./trace-hops.ts";

export const EPOCH_MS = Date.UTC(2026, 10, 1);

export function factsOf(kind: number, service: string, more: Partial<SpanFacts> = {}): SpanFacts {
	return {
		emitter: "otel",
		proxy: false,
		kind,
		local: serviceEndpoint(service),
		localAddress: "",
		peerAddress: "",
		peer: undefined,
		both: undefined,
		protocol: "http",
		outcome: "ok",
		code: "200",
		flags: "",
		retry: 0,
		attempts: 1,
		downstream: NO_TLS_FACTS,
		upstream: NO_TLS_FACTS,
		ignored: undefined,
		...more,
	};
}

/** An Istio sidecar's span. */
export function sidecarOf(kind: number, service: string, more: Partial<SpanFacts> = {}): SpanFacts {
	return factsOf(kind, service, { emitter: "istio", proxy: true, ...more });
}

/** A span of a proxy that stands alone. */
export function gatewayOf(kind: number, service: string, more: Partial<SpanFacts> = {}): SpanFacts {
	return factsOf(kind, service, {
		emitter: "envoy",
		proxy: true,
		local: { ...serviceEndpoint(service), kind: "gateway" },
		...more,
	});
}

export function mutual(peer: string, local: string, verifiedBy: "server" | "client"): LegTls {
	return { ...NO_TLS_FACTS, status: "mutual_tls", peerPrincipal: peer, localPrincipal: local, version: "1.3", verifiedBy };
}

export interface SketchedSpan {
	readonly id: number;
	/** 0 for none. */
	readonly parent: number;
	readonly facts: SpanFacts;
	/** After EPOCH_MS; by default as many milliseconds as the id, so that parents begin first. */
	readonly startMs?: number;
	readonly durationMs?: number;
	readonly requestId?: number;
	readonly bytes?: readonly [request: number, response: number];
	readonly weight?: number;
}

/** A span that lasts so long that what has the next ids lies within it. */
export function span(id: number, parent: number, facts: SpanFacts, more: Partial<SketchedSpan> = {}): SketchedSpan {
	return { id, parent, facts, ...more };
}

export function spansOf(sketches: readonly SketchedSpan[]): TraceSpans {
	const words = (low: (sketch: SketchedSpan) => number): Uint32Array =>
		Uint32Array.from(sketches.flatMap((sketch) => [0, low(sketch)]));
	const numbers = (value: (sketch: SketchedSpan) => number): Float64Array => Float64Array.from(sketches, value);
	return {
		count: sketches.length,
		spanId: words(({ id }) => id),
		parentId: words(({ parent }) => parent),
		requestId: words(({ requestId = 0 }) => requestId),
		startMs: numbers(({ id, startMs = id }) => EPOCH_MS + startMs),
		durationNs: numbers(({ id, durationMs = 100 - 2 * id }) => durationMs * 1e6),
		requestBytes: numbers(({ bytes }) => bytes?.[0] ?? 0),
		responseBytes: numbers(({ bytes }) => bytes?.[1] ?? 0),
		weight: numbers(({ weight = 0 }) => weight),
		facts: sketches.map(({ facts }) => facts),
	};
}

/** With nothing to wait for, unless a watermark is given. */
export function hopsOf(sketches: readonly SketchedSpan[], watermarkMs = Infinity): TraceHops {
	return new HopFinder(new HopShapes()).find(spansOf(sketches), watermarkMs);
}

/** `a -> b pair`, and behind it what is not as usual: tries, outcomes, mTLS. In alphabetical order. */
export function linesOf(sketches: readonly SketchedSpan[], watermarkMs = Infinity): string[] {
	return hopsOf(sketches, watermarkMs).hops.map(lineOf).sort();
}

function lineOf({ shape, attempts }: Hop): string {
	const { source, target, evidence, outcome, destinationOutcome, mtls } = shape;
	return [
		`${nodeId(source, "service")} -> ${nodeId(target, "service")} ${evidence}`,
		attempts === 1 ? "" : `x${attempts}`,
		outcome === "ok" ? "" : outcome,
		destinationOutcome === undefined ? "" : `(${destinationOutcome} there)`,
		mtls.status === "unknown" ? "" : mtls.status,
	]
		.filter((part) => part !== "")
		.join(" ");
}
