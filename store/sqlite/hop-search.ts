/** The part of a trace search that asks for hops, by edge or mTLS status: where they can be, and which spans belong to one. */
import type { TraceId } from "../../model/ids.ts";
import type { DecodedSpans } from "../../model/topology/hops/decoded-spans.ts";
import type { HopsSearched, SpanQuery } from "../store.ts";
import type { FoundHop, Place } from "../topology-queries.ts";
import { HopGatherer } from "./trace-hops.ts";
import { traceWords } from "./trace-rows.ts";
import type { WindowReader } from "./window-reader.ts";

class LateError extends Error {}

/** What the topology tells of the hops that are asked for. */
export interface HopKnowledge {
	readonly places: readonly Place[];
	/** `spanKey` of the spans that belong to one. */
	readonly spansIn: (spans: DecodedSpans) => ReadonlyMap<string, FoundHop>;
}

export class HopSearch {
	private readonly spansIn: HopKnowledge["spansIn"];
	private readonly places: readonly { readonly fromNs: bigint; readonly toNs: bigint; readonly services: Place["services"] }[];
	private readonly rangeMs: number;
	/** Of each trace that was looked at, the spans in such hops; of most there are none. */
	private readonly known = new Map<string, ReadonlyMap<string, FoundHop>>();

	constructor({ fromNs, toNs }: SpanQuery, { places, spansIn }: HopKnowledge) {
		this.spansIn = spansIn;
		this.rangeMs = Number(toNs - fromNs) / 1e6;
		this.places = places.map(({ fromMs, toMs, services }) => ({
			fromNs: BigInt(fromMs) * 1_000_000n,
			toNs: BigInt(toMs) * 1_000_000n,
			services,
		}));
	}

	/** @param services sorted */
	canHold(minTimeNs: bigint, maxTimeNs: bigint, services: readonly string[]): boolean {
		return this.places.some(
			(place) =>
				place.fromNs <= maxTimeNs &&
				minTimeNs < place.toNs &&
				(place.services === undefined || services.some((service) => bearsName(place.services!, service))),
		);
	}

	canBegin(startNs: bigint, service: string): boolean {
		const place = this.places.find(({ fromNs, toNs }) => startNs >= fromNs && startNs < toNs);
		return place !== undefined && (place.services === undefined || bearsName(place.services, service));
	}

	/**
	 * Such a hop that the span is in. Undefined without an answer once it is late.
	 * @param visitAll calls back for every window
	 */
	find(
		traceId: string,
		spanKey: string,
		isLate: () => boolean,
		visitAll: (visit: (window: WindowReader) => void) => void,
	): FoundHop | undefined {
		let spans = this.known.get(traceId);
		if (spans === undefined) {
			const gatherer = new HopGatherer(traceWords(traceId as TraceId), () => {
				if (isLate()) throw new LateError();
			});
			try {
				visitAll((window) => gatherer.add(window));
			} catch (error) {
				if (error instanceof LateError) return undefined;
				throw error;
			}
			spans = this.spansIn(gatherer.spans);
			this.known.set(traceId, spans);
		}
		return spans.get(spanKey);
	}

	searched(): HopsSearched {
		const placesMs = this.places.reduce((sum, { fromNs, toNs }) => sum + Number(toNs - fromNs) / 1e6, 0);
		return {
			rangeMs: this.rangeMs,
			skippedMs: Math.max(0, Math.round(this.rangeMs - placesMs)),
			tracesChecked: this.known.size,
		};
	}
}

/** Istio's proxies call themselves by service and namespace: `cart.shop`. */
function bearsName(names: ReadonlySet<string>, service: string): boolean {
	const dot = service.indexOf(".");
	return names.has(service) || (dot > 0 && names.has(service.slice(0, dot)));
}
