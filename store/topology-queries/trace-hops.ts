/** From the hops of a trace to what is told of them, and which spans belong to a hop. */
import { edgeId } from "../../model/topology/edge-id.ts";
import { nodeId } from "../../model/topology/endpoint.ts";
import type { EndpointBook } from "../../model/topology/endpoint-book.ts";
import type { Hop } from "../../model/topology/hop.ts";
import type { DecodedSpans, SpanRef } from "../../model/topology/hops/decoded-spans.ts";
import type { MtlsStatus } from "../../model/topology/series.ts";
import type { ToldHop, ToldHops } from "../../model/topology/told-hops.ts";

/** Some 6 MB of JSON. */
const MAX_TOLD_HOPS = 10_000;

export function toldHops(spans: DecodedSpans, book: EndpointBook): ToldHops {
	const hops = spans.hops().toSorted((a, b) => a.startMs - b.startMs);
	return {
		hops: hops.slice(0, MAX_TOLD_HOPS).map((hop) => toldHop(spans, hop, book)),
		hopCount: hops.length,
		spansLeft: spans.left,
	};
}

function toldHop(spans: DecodedSpans, hop: Hop, book: EndpointBook): ToldHop {
	const { protocol, evidence, reporter, mtls, outcome, destinationOutcome, code, flags } = hop.shape;
	const source = nodeId(book.resolve(hop.shape.source), "service");
	const target = nodeId(book.resolve(hop.shape.target), "service");
	const idOf = (row: number): string | undefined => spans.refOf(row)?.spanId;
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

/** {@link spanKey} of every span that belongs to a hop of the status. */
export function spansOfStatus(spans: DecodedSpans, status: MtlsStatus): ReadonlySet<string> {
	const keys = new Set<string>();
	for (const hop of spans.hops()) {
		if (hop.shape.mtls.status !== status) continue;
		for (const row of [hop.sourceRow, hop.destinationRow, hop.sourceAppRow, hop.destinationAppRow, hop.waypointRow]) {
			const ref = spans.refOf(row);
			if (ref !== undefined) keys.add(spanKey(ref));
		}
	}
	return keys;
}

/** Both halves of a shared span have one id. */
export function spanKey({ spanId, kind }: SpanRef): string {
	return `${spanId} ${kind}`;
}
