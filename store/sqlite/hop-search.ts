/**
 * The part of a trace search that asks for hops, by edge or mTLS status: where they can be, and which spans belong to one. Traces are
 * looked at many at a time, since a block that is open for one of them is open for all.
 */
import type { TraceId } from "../../model/ids.ts";
import { FactsBook, HopsOfTraces, SpanColumns } from "../../model/topology/hops/span-columns.ts";
import type { BlockReader } from "../block/reader.ts";
import type { HopsSearched, SpanQuery } from "../store.ts";
import type { FoundHop, Place, SpansInHops } from "../topology-queries.ts";
import { BlockSpans } from "./block-spans.ts";
import { type TraceWords, traceWords } from "./trace-rows.ts";
import { forEachBlockOfTraces, forEachTraceIn } from "./traces-of-window.ts";
import type { WindowReader } from "./window-reader.ts";

class LateError extends Error {}
/** The traces at hand are too large to be held together. */
class TooLargeError extends Error {}

/** What the topology tells of the hops that are asked for. */
export interface HopKnowledge {
	readonly places: readonly Place[];
	readonly spansIn: SpansInHops;
}

/** Calls back for every window. */
type VisitAll = (visit: (window: WindowReader) => void) => void;

/** Some milliseconds of work. */
const ROWS_BETWEEN_CHECKS = 1_024;
/** Few first: most searches end with the newest traces. */
const FIRST_TRACES = 16;
const MOST_TRACES = 512;
/** Some 30 MB. */
const MAX_ROWS_TOGETHER = 400_000;
/** Some 20 MB. */
const MAX_BOOK = 20_000;
const MAX_ENTRY_BYTES = 16 << 20;
const NONE: ReadonlyMap<string, FoundHop> = new Map();

interface Looked extends TraceWords {
	readonly columns: SpanColumns;
}

export class HopSearch {
	/** How many traces are worth looking at together. */
	together = FIRST_TRACES;
	private readonly spansIn: SpansInHops;
	private readonly places: readonly { readonly fromNs: bigint; readonly toNs: bigint; readonly services: Place["services"] }[];
	private readonly rangeMs: number;
	/** Of each trace that was looked at, the spans in such hops; of most there are none. */
	private readonly known = new Map<string, ReadonlyMap<string, FoundHop>>();
	private readonly book = new FactsBook();
	private readonly hops = new HopsOfTraces();
	/** Readers of blocks are the cache's. */
	private blocks = new WeakMap<BlockReader, BlockSpans>();
	private entryBytes = 0;
	/** Used again from one look to the next. */
	private readonly columns: SpanColumns[] = [];

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
		try {
			this.lookAt(traceIds, isLate, visitAll);
			this.together = Math.min(MOST_TRACES, this.together * 2);
			return true;
		} catch (error) {
			if (error instanceof LateError) return false;
			if (!(error instanceof TooLargeError)) throw error;
			const middle = traceIds.length >>> 1;
			return this.look(traceIds.slice(0, middle), isLate, visitAll) && this.look(traceIds.slice(middle), isLate, visitAll);
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

	private lookAt(traceIds: readonly string[], isLate: () => boolean, visitAll: VisitAll): void {
		if (this.book.size > MAX_BOOK) this.forget();
		const traces: Looked[] = traceIds.map((id, i) => {
			const columns = (this.columns[i] ??= new SpanColumns());
			columns.clear();
			return { ...traceWords(id as TraceId), columns };
		});
		traces.sort((a, b) => a.hash - b.hash);
		let rows = 0;
		let unchecked = 0;
		const addRows = (spans: BlockSpans, { columns }: Looked, first: number, end: number): void => {
			rows += end - first;
			if (rows > MAX_ROWS_TOGETHER && traces.length > 1) throw new TooLargeError();
			for (let row = first; row < end; row++) {
				spans.add(row, columns);
				if (++unchecked < ROWS_BETWEEN_CHECKS) continue;
				unchecked = 0;
				if (isLate()) throw new LateError();
			}
		};
		visitAll((window) =>
			forEachBlockOfTraces(window, traces, (id, own) => {
				const block = window.block(id);
				const found: [trace: Looked, first: number, end: number][] = [];
				let rowsFound = 0;
				forEachTraceIn(block, own, (trace, first, end) => {
					found.push([trace, first, end]);
					rowsFound += end - first;
				});
				if (found.length === 0) return;
				const spans = this.spansOfBlock(block);
				spans.prepare(rowsFound);
				for (const [trace, first, end] of found) addRows(spans, trace, first, end);
				window.trimCache();
			}),
		);
		for (const { id, columns } of traces) {
			const spans = columns.count === 0 ? NONE : this.spansIn(this.hops.of(columns));
			this.known.set(id, spans.size === 0 ? NONE : spans);
		}
	}

	private spansOfBlock(block: BlockReader): BlockSpans {
		let spans = this.blocks.get(block);
		if (spans !== undefined) return spans;
		spans = new BlockSpans(block, this.book);
		this.entryBytes += spans.heldBytes;
		if (this.entryBytes > MAX_ENTRY_BYTES) {
			this.blocks = new WeakMap();
			this.entryBytes = spans.heldBytes;
		}
		this.blocks.set(block, spans);
		return spans;
	}

	private forget(): void {
		this.blocks = new WeakMap();
		this.entryBytes = 0;
		this.book.clear();
		this.hops.clear();
	}
}

/** Istio's proxies call themselves by service and namespace: `cart.shop`. */
function bearsName(names: ReadonlySet<string>, service: string): boolean {
	const dot = service.indexOf(".");
	return names.has(service) || (dot > 0 && names.has(service.slice(0, dot)));
}
