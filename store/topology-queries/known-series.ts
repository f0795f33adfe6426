/**
 * What the series of a store mean, read once: dims are parsed when they are first met, and edges are found by their ids without
 * resolving a graph.
 */
import { parseDims } from "../../model/topology/dims.ts";
import { edgeId } from "../../model/topology/edge-id.ts";
import { type Endpoint, type GroupBy, GROUPINGS, nodeId } from "../../model/topology/endpoint.ts";
import { type EndpointBook, endpointBook } from "../../model/topology/endpoint-book.ts";
import { isNamed } from "../../model/topology/service-traffic.ts";
import type { AddressSighting, SeriesDims } from "../../model/topology/series.ts";
import type { TopologyReader } from "../topology.ts";

/** Reading all addresses takes up to 100 ms, and their owners seldom change. */
const ADDRESSES_MS = 10_000;

export class KnownSeries {
	private readonly reader: TopologyReader;
	private readonly now: () => number;
	private readonly parsed = new Map<number, SeriesDims>();
	private addresses: { readonly readMs: number; readonly sightings: ReadonlyMap<string, AddressSighting> } | undefined;
	private book: { readonly known: number; readonly addressesMs: number; readonly book: EndpointBook } | undefined;
	private index: { readonly book: EndpointBook; readonly edges: ReadonlyMap<string, GroupBy> } | undefined;

	private pairIndex:
		| { readonly book: EndpointBook; readonly known: number; readonly pairs: ReadonlyMap<number, number> }
		| undefined;

	constructor(reader: TopologyReader, now: () => number) {
		this.reader = reader;
		this.now = now;
	}

	/** Undefined for ids that nobody has said the meaning of. */
	dims(id: number): SeriesDims | undefined {
		const known = this.parsed.get(id);
		if (known !== undefined) return known;
		const text = this.reader.series().get(id);
		if (text === undefined) return undefined;
		const dims = parseDims(text);
		this.parsed.set(id, dims);
		return dims;
	}

	/**
	 * Who the ends are, as far as everything that was ever seen tells.
	 *
	 * @param maxAgeMs of what is known of addresses
	 */
	endpoints(maxAgeMs = ADDRESSES_MS): EndpointBook {
		const series = this.reader.series();
		const nowMs = this.now();
		if (this.addresses === undefined || nowMs - this.addresses.readMs >= maxAgeMs || nowMs < this.addresses.readMs)
			this.addresses = { readMs: nowMs, sightings: this.reader.addresses() };
		const { readMs, sightings } = this.addresses;
		// Series are only ever added while a store is open; one that is replaced begins anew with fewer.
		if (series.size < this.parsed.size) this.parsed.clear();
		if (this.book?.known !== series.size || this.book.addressesMs !== readMs)
			this.book = { known: series.size, addressesMs: readMs, book: endpointBook(this.knownEnds(series), sightings) };
		return this.book.book;
	}

	private *knownEnds(series: ReadonlyMap<number, string>): Iterable<Endpoint> {
		for (const id of series.keys()) {
			const dims = this.dims(id)!;
			yield dims.source;
			yield dims.target;
		}
	}

	/** Number of the pair of services and protocol that a series speaks of: equal for all that are one edge by service. */
	pairs(): ReadonlyMap<number, number> {
		const book = this.endpoints();
		const series = this.reader.series();
		if (this.pairIndex?.book === book && this.pairIndex.known === series.size) return this.pairIndex.pairs;
		const numbers = new Map<string, number>();
		const pairs = new Map<number, number>();
		for (const id of series.keys()) {
			const { source, target, protocol, unit } = this.dims(id)!;
			const key = `${nodeId(book.resolve(source), "service")}\n${nodeId(book.resolve(target), "service")}\n${protocol}\n${unit}`;
			const number = numbers.get(key) ?? numbers.size;
			numbers.set(key, number);
			pairs.set(id, number);
		}
		this.pairIndex = { book, known: series.size, pairs };
		return pairs;
	}

	/** Every series of an edge that a service, by its name or its node's id, is an end of. */
	seriesOfService(name: string): ReadonlySet<number> {
		const book = this.endpoints();
		const found = new Set<number>();
		for (const id of this.reader.series().keys()) {
			const { source, target } = this.dims(id)!;
			if (isNamed(book.resolve(source), name) || isNamed(book.resolve(target), name)) found.add(id);
		}
		return found;
	}

	/** At which grouping this is the id of an edge; undefined when no series makes such an edge. */
	groupingOf(id: string): GroupBy | undefined {
		const book = this.endpoints();
		if (this.index?.book !== book) this.index = { book, edges: this.edgesOf(book) };
		return this.index.edges.get(id);
	}

	private edgesOf(book: EndpointBook): ReadonlyMap<string, GroupBy> {
		const edges = new Map<string, GroupBy>();
		for (const series of this.reader.series().keys()) {
			const dims = this.dims(series)!;
			for (const groupBy of GROUPINGS) edges.set(edgeIdOf(dims, book, groupBy), groupBy);
		}
		return edges;
	}

	/** The series that make up the edge and no other; none where no series makes such an edge. */
	seriesNamed(id: string): readonly number[] {
		const groupBy = this.groupingOf(id);
		if (groupBy === undefined) return [];
		const book = this.endpoints();
		return [...this.reader.series().keys()].filter((series) => edgeIdOf(this.dims(series)!, book, groupBy) === id);
	}

	/** Every series that speaks of the same requests as the edge: all of its services' pairs. */
	seriesOfEdge(id: string, groupBy: GroupBy): ReadonlySet<number> {
		const book = this.endpoints();
		const pairs = new Set<string>();
		const pairOf = new Map<number, string>();
		for (const series of this.reader.series().keys()) {
			const dims = this.dims(series)!;
			const pair = edgeIdOf(dims, book, "service");
			pairOf.set(series, pair);
			if (edgeIdOf(dims, book, groupBy) === id) pairs.add(pair);
		}
		return new Set([...pairOf].filter(([, pair]) => pairs.has(pair)).map(([series]) => series));
	}
}

function edgeIdOf(dims: SeriesDims, book: EndpointBook, groupBy: GroupBy): string {
	const source = nodeId(book.resolve(dims.source), groupBy);
	return edgeId(groupBy, source, nodeId(book.resolve(dims.target), groupBy), dims.protocol, dims.unit);
}
