/** A TopologyReader over flushed observations in memory, for tests and the bench. */
import { canonicalDims } from "../../model/topology/dims.ts";
import { encodeRollup } from "../../model/topology/rollup.ts";
import {
	type AddressSighting,
	bucketStart,
	type CertificateSighting,
	type Exemplar,
	type ResolutionMs,
	RESOLUTIONS_MS,
	type SeriesDims,
	type SeriesSums,
} from "../../model/topology/series.ts";
import type { TopologyFlush, TopologyReader } from "../topology.ts";

export class CannedTopology implements TopologyReader {
	readonly buckets = new Map<ResolutionMs, Map<number, Uint8Array[]>>(RESOLUTIONS_MS.map((width) => [width, new Map()]));
	readonly dims = new Map<number, string>();
	readonly traces: Exemplar[] = [];
	readonly sightings: CertificateSighting[] = [];
	readonly owners = new Map<string, AddressSighting>();
	/** Buckets that were read. */
	reads = 0;
	private flushes = 0;
	private flushedMs = 0;

	/** One flush: these sums, seen at one moment. */
	flush(timeMs: number, sums: ReadonlyMap<number, SeriesSums>, widths: readonly ResolutionMs[] = RESOLUTIONS_MS): void {
		const data = encodeRollup(sums);
		const rollups = widths.map((width) => ({ resolutionMs: width, bucketMs: bucketStart(timeMs, width), data }));
		this.write({ series: [], rollups }, timeMs);
	}

	write({ series, rollups }: Pick<TopologyFlush, "series" | "rollups">, timeMs: number): void {
		for (const { id, dims } of series) this.dims.set(id, dims);
		for (const { resolutionMs, bucketMs, data } of rollups) {
			const buckets = this.buckets.get(resolutionMs)!;
			const deltas = buckets.get(bucketMs);
			if (deltas === undefined) buckets.set(bucketMs, [data]);
			else deltas.push(data);
		}
		this.flushes++;
		this.flushedMs = Math.max(this.flushedMs, timeMs);
	}

	describe(id: number, dims: SeriesDims): void {
		this.dims.set(id, canonicalDims(dims));
	}

	*rollups(resolutionMs: ResolutionMs, fromMs: number, toMs: number): ReturnType<TopologyReader["rollups"]> {
		const buckets = [...this.buckets.get(resolutionMs)!].filter(([start]) => start >= fromMs && start < toMs);
		for (const [bucketMs, data] of buckets.sort(([a], [b]) => a - b)) {
			this.reads++;
			yield { bucketMs, data };
		}
	}

	*deltas(resolutionMs: ResolutionMs, fromMs: number, toMs: number): Iterable<Uint8Array> {
		for (const { data } of this.rollups(resolutionMs, fromMs, toMs)) yield* data;
	}

	version(): number {
		return this.flushes;
	}

	oldest(resolutionMs: ResolutionMs): number | undefined {
		const starts = [...this.buckets.get(resolutionMs)!.keys()];
		return starts.length === 0 ? undefined : starts.reduce((least, start) => Math.min(least, start));
	}

	series(): ReadonlyMap<number, string> {
		return this.dims;
	}

	exemplars(series: readonly number[], fromMs: number, toMs: number, limit: number): readonly Exemplar[] {
		return this.traces
			.filter((one) => series.includes(one.series) && one.timeMs >= fromMs && one.timeMs < toMs)
			.sort((a, b) => b.timeMs - a.timeMs)
			.slice(0, limit);
	}

	certificates(fromMs: number, toMs: number): readonly CertificateSighting[] {
		return this.sightings.filter(({ seenMs }) => seenMs >= fromMs && seenMs < toMs);
	}

	addresses(): ReadonlyMap<string, AddressSighting> {
		return this.owners;
	}

	progress(): ReturnType<TopologyReader["progress"]> {
		return this.flushes === 0 ? undefined : { cursor: undefined, flushedMs: this.flushedMs };
	}

	close(): void {}
}
