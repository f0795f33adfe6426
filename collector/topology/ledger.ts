/**
 * What is to be written with the next flush: sums of series by bucket of time, exemplars, sightings. Corrections are entries with
 * the opposite sign.
 */
import { histogramIndex } from "../../model/topology/histogram.ts";
import { addSums, encodeRollup } from "../../model/topology/rollup.ts";
import {
	type AddressSighting,
	bucketStart,
	type CertificateSighting,
	emptySums,
	type Exemplar,
	RESOLUTIONS_MS,
	type SeriesSums,
} from "../../model/topology/series.ts";
import type { RollupDelta } from "../../store/topology.ts";

const [FINEST_MS] = RESOLUTIONS_MS;
/** A series shows each octave of its latency by one trace a flush. */
const MAX_EXEMPLARS = 512;

export class Ledger {
	private readonly buckets = new Map<number, Map<number, SeriesSums>>();
	private readonly exemplars = new Map<number, Map<number, Exemplar>>();
	private exemplarCount = 0;
	readonly certificates: CertificateSighting[] = [];
	readonly addresses: AddressSighting[] = [];
	/** The last bucket asked for: most entries go where the one before went. */
	private lastMs = NaN;
	private lastBucket: Map<number, SeriesSums> | undefined;

	get isEmpty(): boolean {
		return this.buckets.size === 0;
	}

	sumsOf(series: number, timeMs: number): SeriesSums {
		const bucketMs = bucketStart(timeMs, FINEST_MS);
		let bucket = bucketMs === this.lastMs ? this.lastBucket : this.buckets.get(bucketMs);
		if (bucket === undefined) this.buckets.set(bucketMs, (bucket = new Map()));
		this.lastMs = bucketMs;
		this.lastBucket = bucket;
		let sums = bucket.get(series);
		if (sums === undefined) bucket.set(series, (sums = emptySums()));
		return sums;
	}

	/** Whether a trace of that latency would still be shown. Asked first, so that an id is spelled out only when it is wanted. */
	wantsExemplar(series: number, durationNs: number): boolean {
		if (this.exemplarCount >= MAX_EXEMPLARS) return false;
		return this.exemplars.get(series)?.has(octaveOf(durationNs)) !== true;
	}

	addExemplar(exemplar: Exemplar): void {
		const { series, durationNs } = exemplar;
		let ofSeries = this.exemplars.get(series);
		if (ofSeries === undefined) this.exemplars.set(series, (ofSeries = new Map()));
		ofSeries.set(octaveOf(durationNs), exemplar);
		this.exemplarCount++;
	}

	takeExemplars(): Exemplar[] {
		return [...this.exemplars.values()].flatMap((ofSeries) => [...ofSeries.values()]);
	}

	/** Every bucket at every resolution. */
	deltas(): RollupDelta[] {
		const deltas: RollupDelta[] = [];
		for (const resolutionMs of RESOLUTIONS_MS) {
			const wider = resolutionMs === FINEST_MS ? this.buckets : this.widened(resolutionMs);
			for (const [bucketMs, sums] of wider) {
				const data = encodeRollup(sums);
				if (data.length > 0) deltas.push({ resolutionMs, bucketMs, data });
			}
		}
		return deltas;
	}

	private widened(resolutionMs: (typeof RESOLUTIONS_MS)[number]): Map<number, Map<number, SeriesSums>> {
		const wider = new Map<number, Map<number, SeriesSums>>();
		for (const [bucketMs, bucket] of this.buckets) {
			const startMs = bucketStart(bucketMs, resolutionMs);
			let into = wider.get(startMs);
			if (into === undefined) wider.set(startMs, (into = new Map()));
			for (const [series, sums] of bucket) {
				let total = into.get(series);
				if (total === undefined) into.set(series, (total = emptySums()));
				addSums(total, sums);
			}
		}
		return wider;
	}
}

function octaveOf(durationNs: number): number {
	return 31 - Math.clz32(durationNs / 1024);
}

/** One more observation in a histogram, or one less. */
export function addLatency(into: Map<number, number>, durationNs: number, weight: number): void {
	const index = histogramIndex(durationNs);
	const count = (into.get(index) ?? 0) + weight;
	if (count === 0) into.delete(index);
	else into.set(index, count);
}

export function addCount(into: Map<string, number>, key: string, weight: number): void {
	if (key === "") return;
	const count = (into.get(key) ?? 0) + weight;
	if (count === 0) into.delete(key);
	else into.set(key, count);
}
