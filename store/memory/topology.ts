/** What the topology stage flushed, in memory: deltas as they came, added up by whoever reads. The oracle of other engines. */
import type { Endpoint } from "../../model/topology/endpoint.ts";
import {
	type AddressSighting,
	type CertificateSighting,
	type Exemplar,
	RESOLUTIONS_MS,
	type ResolutionMs,
} from "../../model/topology/series.ts";
import type {
	CommitRef,
	RollupBucket,
	RollupDelta,
	TopologyFlush,
	TopologyLoad,
	TopologyReader,
	TopologyWriter,
} from "../topology.ts";

export interface MemoryTopologyOptions {
	readonly keptSinceMs: (nowMs: number) => number;
	readonly now: () => number;
}

const HOUR_MS = 3_600_000;
const MAX_AGE_MS = 90 * 24 * HOUR_MS;
const COUNTER_MAX_AGE_MS = 7 * 24 * HOUR_MS;
const MAX_EXEMPLARS = 32;
const MAX_ROWS = 100_000;

export function openMemoryTopology(options: MemoryTopologyOptions): {
	readonly writer: TopologyWriter;
	readonly reader: TopologyReader;
} {
	const topology = new MemoryTopology(options);
	return { writer: topology, reader: topology.reader() };
}

interface KeptCertificate extends CertificateSighting {
	readonly firstSeenMs: number;
}

class MemoryTopology implements TopologyWriter {
	private readonly options: MemoryTopologyOptions;
	private flushed:
		| { readonly cursor: CommitRef | undefined; readonly state: Uint8Array; readonly flushedMs: number }
		| undefined;
	private version = 0;
	private readonly series = new Map<number, string>();
	private rollups: RollupDelta[] = [];
	private exemplars: Exemplar[] = [];
	private certificates = new Map<string, KeptCertificate>();
	private addresses = new Map<string, AddressSighting>();
	private counters = new Map<string, { readonly value: Uint8Array; readonly seenMs: number }>();

	constructor(options: MemoryTopologyOptions) {
		this.options = options;
	}

	load(): TopologyLoad {
		return {
			cursor: this.flushed?.cursor,
			state: this.flushed?.state ?? new Uint8Array(0),
			series: [...this.series].map(([id, dims]) => ({ id, dims })),
			counters: [...this.counters].map(([key, { value }]) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : 1)),
		};
	}

	flush(given: TopologyFlush): void {
		const nowMs = this.options.now();
		// Throws where it must before anything is changed, and keeps nothing of the caller's.
		const flush = structuredClone(given);
		this.version++;
		this.flushed = { cursor: flush.cursor, state: flush.state, flushedMs: nowMs };
		for (const { id, dims } of flush.series) if (!this.series.has(id)) this.series.set(id, dims);
		for (const delta of flush.rollups) this.rollups.push(delta);
		for (const exemplar of flush.exemplars) this.addExemplar(exemplar);
		for (const certificate of flush.certificates) this.addCertificate(certificate);
		for (const sighting of flush.addresses)
			if (sighting.seenMs >= (this.addresses.get(sighting.address)?.seenMs ?? -Infinity))
				this.addresses.set(sighting.address, sighting);
		for (const { key, value } of flush.counters) {
			if (value === undefined) this.counters.delete(key);
			else this.counters.set(key, { value, seenMs: nowMs });
		}
	}

	maintain(nowMs: number): boolean {
		const keptSinceMs = this.options.keptSinceMs(nowMs);
		const oldAtMs = nowMs - MAX_AGE_MS;
		this.rollups = this.rollups.filter(({ resolutionMs, bucketMs }) =>
			resolutionMs === RESOLUTIONS_MS[0] ? bucketMs + resolutionMs >= keptSinceMs : bucketMs >= oldAtMs,
		);
		this.exemplars = this.exemplars.filter(({ timeMs }) => hourOf(timeMs) + HOUR_MS > keptSinceMs);
		this.certificates = newest(this.certificates, oldAtMs);
		this.addresses = newest(this.addresses, oldAtMs);
		this.counters = newest(this.counters, nowMs - COUNTER_MAX_AGE_MS);
		this.version++;
		return false;
	}

	bytesOnDisk(): number {
		return 0;
	}

	close(): void {}

	reader(): TopologyReader {
		return {
			rollups: (resolutionMs, fromMs, toMs) => this.buckets(resolutionMs, fromMs, toMs),
			deltas: (resolutionMs, fromMs, toMs) => this.buckets(resolutionMs, fromMs, toMs).flatMap(({ data }) => data),
			version: () => this.version,
			oldest: (resolutionMs) => this.buckets(resolutionMs, -Infinity, Infinity)[0]?.bucketMs,
			series: () => this.series,
			exemplars: (series, fromMs, toMs, limit) =>
				this.exemplars
					.filter((each) => series.includes(each.series) && each.timeMs >= fromMs && each.timeMs < toMs)
					.sort(newestFirst)
					.slice(0, limit),
			certificates: (fromMs, toMs) => this.certificatesIn(fromMs, toMs),
			addresses: () => new Map(this.addresses),
			progress: () => this.flushed && { cursor: this.flushed.cursor, flushedMs: this.flushed.flushedMs },
			close: () => {},
		};
	}

	private buckets(resolutionMs: ResolutionMs, fromMs: number, toMs: number): RollupBucket[] {
		const buckets = new Map<number, Uint8Array[]>();
		for (const delta of this.rollups) {
			if (delta.resolutionMs !== resolutionMs || delta.bucketMs < fromMs || delta.bucketMs >= toMs) continue;
			const data = buckets.get(delta.bucketMs) ?? [];
			buckets.set(delta.bucketMs, data);
			data.push(delta.data);
		}
		return [...buckets].map(([bucketMs, data]) => ({ bucketMs, data })).sort((a, b) => a.bucketMs - b.bucketMs);
	}

	private addExemplar(exemplar: Exemplar): void {
		const isSame = (other: Exemplar): boolean =>
			other.series === exemplar.series && other.timeMs === exemplar.timeMs && other.traceId === exemplar.traceId;
		this.exemplars = [...this.exemplars.filter((other) => !isSame(other)), exemplar];
		const inHour = this.exemplars.filter(
			(other) => other.series === exemplar.series && hourOf(other.timeMs) === hourOf(exemplar.timeMs),
		);
		const gone = new Set(inHour.sort(newestFirst).slice(MAX_EXEMPLARS));
		this.exemplars = this.exemplars.filter((other) => !gone.has(other));
	}

	private addCertificate(sighting: CertificateSighting): void {
		const key = certificateKey(sighting);
		const known = this.certificates.get(key);
		const firstSeenMs = Math.min(known?.firstSeenMs ?? Infinity, sighting.seenMs);
		const last = known === undefined || sighting.seenMs >= known.seenMs ? sighting : known;
		this.certificates.set(key, { ...last, firstSeenMs });
	}

	private certificatesIn(fromMs: number, toMs: number): CertificateSighting[] {
		return [...this.certificates]
			.filter(([, { firstSeenMs, seenMs }]) => firstSeenMs < toMs && seenMs >= fromMs)
			.sort(([a], [b]) => (a < b ? -1 : 1))
			.map(([, kept]) => {
				const { principal, notAfterMs, issuer, seenMs, source, target, side } = kept;
				return { principal, notAfterMs, issuer, seenMs, source, target, side };
			});
	}
}

function hourOf(timeMs: number): number {
	return Math.floor(timeMs / HOUR_MS) * HOUR_MS;
}

function newestFirst(a: Exemplar, b: Exemplar): number {
	return b.timeMs - a.timeMs || (a.traceId < b.traceId ? 1 : -1);
}

/** Those seen since, the last seen of them where there are too many. */
function newest<T extends { readonly seenMs: number }>(rows: ReadonlyMap<string, T>, sinceMs: number): Map<string, T> {
	const kept = [...rows].filter(([, { seenMs }]) => seenMs >= sinceMs);
	if (kept.length > MAX_ROWS) kept.sort(([, a], [, b]) => b.seenMs - a.seenMs).splice(MAX_ROWS);
	return new Map(kept);
}

function certificateKey({ principal, notAfterMs, source, target, side }: CertificateSighting): string {
	const endpoint = ({ kind, cluster, namespace, service, workload }: Endpoint): string[] => [
		kind,
		cluster,
		namespace,
		service,
		workload,
	];
	return JSON.stringify([principal, notAfterMs, endpoint(source), endpoint(target), side]);
}
