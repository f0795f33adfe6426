/** From the hops of a trace to what is told of them, and which spans belong to a hop. */
import { edgeId } from "../../model/topology/edge-id.ts";
import { GROUPINGS, nodeId } from "../../model/topology/endpoint.ts";
import type { EndpointBook } from "../../model/topology/endpoint-book.ts";
import type { Hop, HopShape } from "../../model/topology/hop.ts";
import type { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import type { HopSpans, SpanRef } from "../../model/topology/hops/span-columns.ts";
import type { MtlsStatus } from "../../model/topology/series.ts";
import type { ToldCall, ToldHop, ToldHops } from "../../model/topology/told-hops.ts";
import type { TraceQuery } from "../store.ts";

const NO_SPANS: ReadonlyMap<string, FoundHop> = new Map();
/** Some 6 MB of JSON. */
const MAX_TOLD_HOPS = 10_000;

export function toldHops(spans: DecodedSpans, book: EndpointBook): ToldHops {
	const hops = spans.hops().toSorted((a, b) => a.startMs - b.startMs);
	const callOf = toldCalls(book);
	return {
		hops: hops.slice(0, MAX_TOLD_HOPS).map((hop) => toldHop(spans, hop, callOf(hop.shape))),
		hopCount: hops.length,
		spansLeft: spans.left,
	};
}

/** One object a shape, and so one for all calls of a kind where shapes are kept from trace to trace. */
export function toldCalls(book: EndpointBook): (shape: HopShape) => ToldCall {
	const byShape = new WeakMap<HopShape, ToldCall>();
	return (shape) => {
		let call = byShape.get(shape);
		if (call !== undefined) return call;
		const source = nodeId(book.resolve(shape.source), "service");
		const target = nodeId(book.resolve(shape.target), "service");
		const { protocol, mtls, code, flags } = shape;
		call = { edgeId: edgeId("service", source, target, protocol, "requests"), source, target, mtls, code, flags };
		byShape.set(shape, call);
		return call;
	};
}

function toldHop(spans: DecodedSpans, hop: Hop, call: ToldCall): ToldHop {
	const { protocol, evidence, reporter, outcome, destinationOutcome } = hop.shape;
	const idOf = (row: number): string | undefined => spans.refOf(row)?.spanId;
	return {
		...call,
		protocol,
		evidence,
		reporter,
		outcome,
		destinationOutcome,
		attempts: hop.attempts,
		// Times of the day are exact to 0.3 µs here.
		startMs: Math.round(hop.startMs * 1_000) / 1_000,
		sourceLatencyNs: measured(hop.sourceLatencyNs),
		destinationLatencyNs: measured(hop.destinationLatencyNs),
		appNs: measured(hop.appNs),
		proxyNs: measured(hop.proxyNs),
		spans: {
			source: idOf(hop.sourceRow),
			destination: idOf(hop.destinationRow),
			sourceApp: idOf(hop.sourceAppRow),
			destinationApp: idOf(hop.destinationAppRow),
			waypoint: idOf(hop.waypointRow),
		},
	};
}

function measured(ns: number): number | undefined {
	return ns < 0 ? undefined : ns;
}

/** What a search may ask of a hop as roll-ups count it. */
export interface HopKind {
	readonly mtls?: MtlsStatus | undefined;
	/** Edge id of any grouping. */
	readonly edge?: string | undefined;
}

/** A hop that a search asks for; durations are asked of hops only where an edge is named. */
export type HopFilter = Pick<TraceQuery, "mtls" | "edge" | "side" | "minDurationNs" | "maxDurationNs">;

export function asksHops({ mtls, edge }: HopKind): boolean {
	return mtls !== undefined || edge !== undefined;
}

/** One object a hop. */
export interface FoundHop {
	/** At the side that was asked for, else at the caller where it reported. */
	readonly latencyNs: number;
}

/** By {@link spanKey}, every span of a trace that belongs to a hop that is asked for. */
export type SpansInHops = (spans: HopSpans) => ReadonlyMap<string, FoundHop>;

/** @param book of the range, where an edge is asked for */
export function spansInHops(filter: HopFilter, book: EndpointBook | undefined): SpansInHops {
	const { mtls, edge } = filter;
	// Calls of one edge share their shapes, from trace to trace where whoever asks keeps them.
	const byShape = new WeakMap<HopShape, boolean>();
	const isAskedFor = (hop: Hop): boolean => {
		if (mtls !== undefined && hop.shape.mtls.status !== mtls) return false;
		if (edge === undefined || book === undefined) return true;
		let isOfEdge = byShape.get(hop.shape);
		if (isOfEdge === undefined) byShape.set(hop.shape, (isOfEdge = isHopOfEdge(hop.shape, edge, book)));
		return isOfEdge && hasLatency(hop, filter);
	};
	return (spans) => {
		let found: Map<string, FoundHop> | undefined;
		spans.eachHop((hop) => {
			if (isAskedFor(hop)) addSpans((found ??= new Map()), spans, hop, filter);
		});
		return found ?? NO_SPANS;
	};
}

function addSpans(found: Map<string, FoundHop>, spans: HopSpans, hop: Hop, filter: HopFilter): void {
	const told = { latencyNs: Math.max(0, latencyOf(hop, filter)) };
	for (const row of [hop.sourceRow, hop.destinationRow, hop.sourceAppRow, hop.destinationAppRow, hop.waypointRow]) {
		const ref = spans.refOf(row);
		if (ref !== undefined && !found.has(spanKey(ref))) found.set(spanKey(ref), told);
	}
}

function isHopOfEdge({ source, target, protocol }: HopShape, edge: string, book: EndpointBook): boolean {
	const from = book.resolve(source);
	const to = book.resolve(target);
	return GROUPINGS.some(
		(groupBy) => edgeId(groupBy, nodeId(from, groupBy), nodeId(to, groupBy), protocol, "requests") === edge,
	);
}

/** -1 where nobody measured it. */
function latencyOf({ sourceLatencyNs, destinationLatencyNs }: Hop, { side }: HopFilter): number {
	return side === "destination" || (side === undefined && sourceLatencyNs < 0) ? destinationLatencyNs : sourceLatencyNs;
}

function hasLatency(hop: Hop, filter: HopFilter): boolean {
	const { side, minDurationNs, maxDurationNs } = filter;
	if (side === undefined && minDurationNs === undefined && maxDurationNs === undefined) return true;
	const latencyNs = latencyOf(hop, filter);
	if (latencyNs < 0) return false;
	// Of several tries the latency is a difference of floating-point milliseconds.
	const ns = BigInt(Math.round(latencyNs));
	return (minDurationNs === undefined || ns >= minDurationNs) && (maxDurationNs === undefined || ns <= maxDurationNs);
}

/** Both halves of a shared span have one id. */
export function spanKey({ spanId, kind }: SpanRef): string {
	return `${spanId} ${kind}`;
}
