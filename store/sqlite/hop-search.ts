/** The part of a trace search that asks for hops, by edge or mTLS status: where they can be, and which spans belong to one. */
import type { TraceId } from "../../model/ids.ts";
import type { HopsSearched, SpanQuery } from "../store.ts";
import type { FoundHop, Place, SpansInHops } from "../topology-queries.ts";
import { TraceBatches, type VisitAll } from "./trace-batch.ts";

class LateError extends Error {}

/** What the topology tells of the hops that are asked for. */
export interface HopKnowledge {
	readonly places: readonly Place[];
	readonly spansIn: SpansInHops;
}

/** Few first: most searches end with the newest traces. */
const FIRST_TRACES = 16;
const MOST_TRACES = 512;
const NONE: ReadonlyMap<string, FoundHop> = new Map();

export class HopSearch {
	/** How many traces are worth looking at together. */
	together = FIRST_TRACES;
	private readonly spansIn: SpansInHops;
	private readonly places: readonly { readonly fromNs: bigint; readonly toNs: bigint; readonly services: Place["services"] }[];
	private readonly rangeMs: number;
	/** Of each trace that was looked at, the spans in such hops; of most there are none. */
	private readonly known = new Map<string, ReadonlyMap<string, FoundHop>>();
	private readonly batches = new TraceBatches(
		{
			trace: (id, spans) => {
				const found = this.spansIn(spans);
				this.known.set(id, found.size === 0 ? NONE : found);
			},
		},
		() => {
			if (this.isLate()) throw new LateError();
		},
	);
	private isLate: () => boolean = () => false;

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

	/** By `spanKey`, the spans of a trace that such hops have; undefined of one that was not looked at. */
	spansOf(traceId: string): ReadonlyMap<string, FoundHop> | undefined {
		return this.known.get(traceId);
	}

	/** @param traceIds distinct, and not looked at. Returns false where it became too late for an answer. */
	look(traceIds: readonly string[], isLate: () => boolean, visitAll: VisitAll): boolean {
		this.isLate = isLate;
		try {
			this.batches.read(traceIds as readonly TraceId[], visitAll);
			this.together = Math.min(MOST_TRACES, this.together * 2);
			return true;
		} catch (error) {
			if (error instanceof LateError) return false;
			throw error;
		}
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
