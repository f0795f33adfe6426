/**
 * Numbers of series: what is told apart in the store. Names come from senders, so their count is bounded: endpoints beyond the cap are
 * gathered under one, and so is what a flood of principals would tell apart.
 */
import { type Endpoint, OVERFLOW } from "../../model/topology/endpoint.ts";
import { canonicalDims, parseDims } from "../../model/topology/dims.ts";
import type { SeriesDims } from "../../model/topology/series.ts";
import type { SeriesRow } from "../../store/topology.ts";

export interface SeriesLimits {
	/** Distinct endpoints. */
	readonly maxEndpoints: number;
	readonly maxSeries: number;
}

export class SeriesRegistry {
	/** Series that had to give up their ends or principals. */
	overflowed = 0;
	private readonly limits: SeriesLimits;
	private readonly byDims = new Map<string, number>();
	private readonly endpoints = new Set<string>();
	private nextId = 1;
	private fresh: SeriesRow[] = [];

	constructor(limits: SeriesLimits, known: readonly SeriesRow[]) {
		this.limits = limits;
		for (const { id, dims } of known) {
			this.byDims.set(dims, id);
			this.nextId = Math.max(this.nextId, id + 1);
			const { source, target } = parseDims(dims);
			for (const endpoint of [source, target]) this.endpoints.add(keyOf(endpoint));
		}
	}

	get size(): number {
		return this.byDims.size;
	}

	idOf(dims: SeriesDims): number {
		const ends = { ...dims, source: this.bounded(dims.source), target: this.bounded(dims.target) };
		const text = canonicalDims(ends);
		const known = this.byDims.get(text);
		if (known !== undefined) return known;
		if (this.byDims.size < this.limits.maxSeries) return this.add(text);
		this.overflowed++;
		// One series for each combination of the closed words: some hundreds beyond the cap, whatever is sent.
		const mtls = { ...dims.mtls, sourcePrincipal: "", destinationPrincipal: "", tlsVersion: "", cipher: "" };
		const gathered = canonicalDims({ ...dims, source: OVERFLOW, target: OVERFLOW, mtls });
		return this.byDims.get(gathered) ?? this.add(gathered);
	}

	/** Series that got their numbers since the last call. */
	takeFresh(): readonly SeriesRow[] {
		const { fresh } = this;
		this.fresh = [];
		return fresh;
	}

	/** A flush that failed: they are still to be written. */
	giveBack(rows: readonly SeriesRow[]): void {
		this.fresh = [...rows, ...this.fresh];
	}

	private add(text: string): number {
		const id = this.nextId++;
		this.byDims.set(text, id);
		this.fresh.push({ id, dims: text });
		return id;
	}

	private bounded(endpoint: Endpoint): Endpoint {
		const key = keyOf(endpoint);
		if (this.endpoints.has(key)) return endpoint;
		if (this.endpoints.size >= this.limits.maxEndpoints) return OVERFLOW;
		this.endpoints.add(key);
		return endpoint;
	}
}

function keyOf({ kind, cluster, namespace, service, workload }: Endpoint): string {
	return `${kind}\u0000${cluster}\u0000${namespace}\u0000${service}\u0000${workload}`;
}
