/**
 * What is to be written with the next flush: sums of series by bucket of time, exemplars, sightings. Corrections are entries with
 * the opposite sign.
 */
import { histogramIndex, type LatencyHistogram } from "../../model/topology/histogram.ts";
import { addTotals, emptyTotals, encodeRollup, type SeriesTotals } from "../../model/topology/rollup.ts";
import {
	type AddressSighting,
	bucketStart,
	type CertificateSighting,
	type Exemplar,
	type ResolutionMs,
	RESOLUTIONS_MS,
} from "../../model/topology/series.ts";
import type { RollupDelta } from "../../store/topology.ts";

const [FINEST_MS] = RESOLUTIONS_MS;
/** A series shows each octave of its latency by one trace a flush. */
const MAX_EXEMPLARS = 512;

export class Ledger {
	private readonly buckets = new Map<number, Map<number, SeriesTotals>>();
	private readonly exemplars = new Map<number, Map<number, Exemplar>>();
	private exemplarCount = 0;
	readonly certificates: CertificateSighting[] = [];
	readonly addresses: AddressSighting[] = [];
	/** The last bucket asked for: most entries go where the one before went. */
	private lastMs = NaN;
	private lastBucket: Map<number, SeriesTotals> | undefined;

	get isEmpty(): boolean {
		return this.buckets.size === 0;
	}

	sumsOf(series: number, timeMs: number): SeriesTotals {
		const bucketMs = bucketStart(timeMs, FINEST_MS);
		let bucket = bucketMs === this.lastMs ? this.lastBucket : this.buckets.get(bucketMs);
		if (bucket === undefined) this.buckets.set(bucketMs, (bucket = new Map()));
		this.lastMs = bucketMs;
		this.lastBucket = bucket;
		let sums = bucket.get(series);
		if (sums === undefined) bucket.set(series, (sums = emptyTotals()));
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

	/** Every bucket at every resolution. What wider buckets hold of one finer bucket alone is the same sums, and the same bytes. */
	deltas(): RollupDelta[] {
		const deltas: RollupDelta[] = [];
		let level = new Map<number, Slice>();
		for (const [bucketMs, sums] of this.buckets) level.set(bucketMs, { sums, data: encodeRollup(sums) });
		for (const resolutionMs of RESOLUTIONS_MS) {
			if (resolutionMs !== FINEST_MS) level = widened(level, resolutionMs);
			for (const [bucketMs, { data }] of level) if (data.length > 0) deltas.push({ resolutionMs, bucketMs, data });
		}
		return deltas;
	}
}

/** All series in one bucket of time. */
interface Slice {
	readonly sums: ReadonlyMap<number, SeriesTotals>;
	readonly data: Uint8Array<ArrayBuffer>;
}

function widened(level: ReadonlyMap<number, Slice>, resolutionMs: ResolutionMs): Map<number, Slice> {
	const parts = new Map<number, Slice[]>();
	for (const [bucketMs, slice] of level) {
		const startMs = bucketStart(bucketMs, resolutionMs);
		const others = parts.get(startMs);
		if (others === undefined) parts.set(startMs, [slice]);
		else others.push(slice);
	}
	const wider = new Map<number, Slice>();
	for (const [startMs, slices] of parts) {
		if (slices.length === 1) {
			wider.set(startMs, slices[0]!);
			continue;
		}
		const sums = new Map<number, SeriesTotals>();
		for (const slice of slices) {
			for (const [series, ofSeries] of slice.sums) {
				let total = sums.get(series);
				if (total === undefined) sums.set(series, (total = emptyTotals()));
				addTotals(total, ofSeries);
			}
		}
		wider.set(startMs, { sums, data: encodeRollup(sums) });
	}
	return wider;
}

function octaveOf(durationNs: number): number {
	return 31 - Math.clz32(durationNs / 1024);
}

/** One more observation in a histogram, or one less. */
export function addLatency(into: LatencyHistogram, durationNs: number, weight: number): void {
	into.addOne(histogramIndex(durationNs), weight);
}

export function addCount(into: Map<string, number>, key: string, weight: number): void {
	if (key === "") return;
	const count = (into.get(key) ?? 0) + weight;
	if (count === 0) into.delete(key);
	else into.set(key, count);
}
