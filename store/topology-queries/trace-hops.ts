/** From the hops of a trace to what is told of them, and which spans belong to a hop. */
import { edgeId } from "../../model/topology/edge-id.ts";
import { GROUPINGS, nodeId } from "../../model/topology/endpoint.ts";
import type { EndpointBook } from "../../model/topology/endpoint-book.ts";
import type { Hop, HopShape } from "../../model/topology/hop.ts";
import type { HopSpans, SpanRef, TraceHopSpans } from "../../model/topology/hops/span-columns.ts";
import type { MtlsStatus } from "../../model/topology/series.ts";
import type { ToldHop } from "../../model/topology/told-hops.ts";
import { TextPieces } from "../../model/otlp/text-pieces.ts";
import type { HopsText, TraceQuery } from "../store.ts";

const NO_SPANS: ReadonlyMap<string, FoundHop> = new Map();
const HOPS_PIECE_BYTES = 4_096;

/** What a hop is told to be for what it has in common with others. */
type ToldShape = Omit<ToldHop, keyof ToldTimes>;
/** And what is its own. */
type ToldTimes = Pick<
	ToldHop,
	"attempts" | "startMs" | "sourceLatencyNs" | "destinationLatencyNs" | "appNs" | "proxyNs" | "spans"
>;

/** By start. */
export function toldHops(spans: TraceHopSpans, book: EndpointBook): readonly ToldHop[] {
	const shapeOf = toldShapes(book);
	return hopsByStart(spans).map((hop) => ({ ...shapeOf(hop.shape), ...toldTimes(spans, hop) }));
}

/** One object a shape, and so one for all calls of a kind where shapes are kept from trace to trace. */
export function toldShapes(book: EndpointBook): (shape: HopShape) => ToldShape {
	const shapes = new WeakMap<HopShape, ToldShape>();
	return (shape) => {
		let told = shapes.get(shape);
		if (told === undefined) shapes.set(shape, (told = toldShape(shape, book)));
		return told;
	};
}

/** {@link toldHops} as the elements of a JSON array: as objects, those of a large trace take ten times as long to hand over. */
export function hopsText(spans: TraceHopSpans, book: EndpointBook): HopsText {
	const shapes = new Map<HopShape, string>();
	const pieces = new TextPieces(HOPS_PIECE_BYTES);
	const hops = hopsByStart(spans);
	for (const [i, hop] of hops.entries()) {
		let shape = shapes.get(hop.shape);
		if (shape === undefined) shapes.set(hop.shape, (shape = JSON.stringify(toldShape(hop.shape, book)).slice(0, -1)));
		pieces.add(`${i === 0 ? "" : ","}${shape},${JSON.stringify(toldTimes(spans, hop)).slice(1)}`);
	}
	return { json: pieces.finish(), hopCount: hops.length, spansLeft: spans.left };
}

function hopsByStart(spans: TraceHopSpans): readonly Hop[] {
	return spans.hops().toSorted((a, b) => a.startMs - b.startMs);
}

function toldShape(shape: HopShape, book: EndpointBook): ToldShape {
	const { protocol, evidence, reporter, mtls, outcome, destinationOutcome, code, flags } = shape;
	const source = nodeId(book.resolve(shape.source), "service");
	const target = nodeId(book.resolve(shape.target), "service");
	return {
		edgeId: edgeId("service", source, target, protocol, "requests"),
		source,
		target,
		protocol,
		evidence,
		reporter,
		mtls,
		outcome,
		destinationOutcome,
		code,
		flags,
	};
}

function toldTimes(spans: TraceHopSpans, hop: Hop): ToldTimes {
	const idOf = (row: number): string | undefined => spans.refOf(row)?.spanId;
	return {
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
