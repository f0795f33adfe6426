/**
 * The engine that keeps everything in memory and looks at all of it for every question: the oracle that other engines are held
 * against, and a store for tests. Its size is bounded; the oldest groups make room.
 */
import { MeshscopeError } from "../../model/errors.ts";
import { type RecordColumns, SLOT } from "../../model/columns.ts";
import { invalidTexts } from "../../model/otlp/invalid-text.ts";
import type { MetricSeriesKey } from "../../model/metric.ts";
import type { AppendReport, StoreReader, StoreScanner, StoreStats, StoreWriter, WriteGroup } from "../store.ts";
import {
	type CommitRef,
	type CommittedTraces,
	isAfter,
	NO_TOPOLOGY,
	type ReplayGroup,
	type TopologyReader,
} from "../topology.ts";
import { MemoryCommittedTraces } from "./committed-traces.ts";
import { MemoryReader } from "./reader.ts";
import { logsOf, otlpData, spansOf, type StoredLog, type StoredSpan } from "./records.ts";
import { MemoryScanner } from "./scanner.ts";
import { MEMORY_WINDOW, MemoryState, type StoredGroup, type StoredSeries } from "./state.ts";

export interface MemoryStore {
	readonly writer: StoreWriter;
	readonly reader: StoreReader;
	readonly scanner: StoreScanner;
	readonly committed: CommittedTraces;
}

export interface MemoryOptions {
	/** Bytes of records, not of the objects around them. */
	readonly maxBytes: number;
	readonly maxAgeMs: number;
	/** What graphs are read from; without it they are empty. */
	readonly topology: TopologyReader;
}

const DEFAULTS: MemoryOptions = { maxBytes: 256 * 1024 * 1024, maxAgeMs: 7 * 86_400_000, topology: NO_TOPOLOGY };

export function openMemoryStore(options: Partial<MemoryOptions> = {}): MemoryStore {
	const state = new MemoryState();
	const all: MemoryOptions = { ...DEFAULTS, ...options };
	return {
		writer: new MemoryWriter(state, all),
		reader: new MemoryReader(state, all.topology),
		scanner: new MemoryScanner(state),
		committed: new MemoryCommittedTraces(state),
	};
}

class MemoryWriter implements StoreWriter {
	private readonly state: MemoryState;
	private readonly options: MemoryOptions;

	constructor(state: MemoryState, options: MemoryOptions) {
		this.state = state;
		this.options = options;
	}

	append(group: WriteGroup): AppendReport {
		const { state } = this;
		const spans = spansOf(group.spans);
		const logs = logsOf(group.logs);
		const bytes = bytesOf(group, spans, logs);
		if (bytes > this.options.maxBytes) {
			throw new MeshscopeError(
				"store_full",
				`a group of ${bytes} bytes is larger than the store (${this.options.maxBytes} bytes)`,
			);
		}
		const points = group.metrics.points.map(({ series, raw, ...point }) => ({
			point: { ...point, ...(raw === undefined ? {} : { raw: raw.slice() }) },
			key: { ...group.metrics.series[series]! },
		}));
		// Nothing above touched the state, and nothing below throws.
		const stored: StoredGroup = {
			spans,
			logs,
			points: points.map(({ point, key }) => ({ ...point, series: this.seriesOf(key, point.timeNs) })),
			fingerprints: group.fingerprints.slice(),
			commit: state.commits + 1,
			topologyMetrics: group.topologyMetrics.slice(),
			arrivedMs: group.arrivedMs,
			bytes,
		};
		for (const { service, name, kind } of spans) {
			state.seeOperation(state.seeService(service, group.arrivedMs), name, kind, group.arrivedMs);
		}
		for (const service of [
			...logs.map(({ origin }) => origin.service),
			...group.metrics.series.map((series) => series.service),
		]) {
			if (service !== "") state.seeService(service, group.arrivedMs);
		}
		state.groups.push(stored);
		state.commits = stored.commit;
		state.bytes += bytes;
		this.evict(() => state.bytes > this.options.maxBytes);
		return {
			ref: { window: MEMORY_WINDOW, commit: stored.commit },
			invalidUtf8Strings: invalidIn(group.spans) + invalidIn(group.logs),
		};
	}

	release(upTo: CommitRef): void {
		this.state.released = Math.max(this.state.released, upTo.commit);
	}

	replay(after: CommitRef | undefined): Iterable<ReplayGroup> {
		const refOf = ({ commit }: StoredGroup): CommitRef => ({ window: MEMORY_WINDOW, commit });
		return this.state.groups
			.filter((group) => group.commit > this.state.released && isAfter(refOf(group), after))
			.map((group) => ({
				ref: refOf(group),
				arrivedMs: group.arrivedMs,
				traces: otlpData(group.spans),
				logs: otlpData(group.logs),
				metrics: group.topologyMetrics,
			}));
	}

	recentFingerprints(max: number): Uint8Array {
		const all = Buffer.concat(this.state.groups.map(({ fingerprints }) => fingerprints));
		return Uint8Array.from(all.subarray(Math.max(0, all.length - max * 16)));
	}

	maintain(nowMs: number): boolean {
		this.evict((oldest) => oldest.arrivedMs < nowMs - this.options.maxAgeMs);
		return false;
	}

	backup(): Promise<never> {
		return Promise.reject(new MeshscopeError("unimplemented", "the memory engine has no backup"));
	}

	stats(): StoreStats {
		const { groups, bytes } = this.state;
		const count = (of: (group: StoredGroup) => number): number => groups.reduce((total, group) => total + of(group), 0);
		const counts = {
			spans: count(({ spans }) => spans.length),
			logs: count(({ logs }) => logs.length),
			metricPoints: count(({ points }) => points.length),
		};
		const arrivals = groups.map(({ arrivedMs }) => arrivedMs);
		return {
			capabilities: { durable: false, sql: false, backup: false },
			bytesOnDisk: 0,
			...counts,
			windows:
				groups.length === 0
					? []
					: [
							{
								name: MEMORY_WINDOW,
								fromMs: Math.min(...arrivals),
								toMs: Math.max(...arrivals),
								bytes,
								...counts,
								state: "open",
							},
						],
			freshBlocks: 0,
			topologySkipped: 0,
			walBytes: 0,
			retention: { maxAgeMs: this.options.maxAgeMs, maxBytes: this.options.maxBytes },
		};
	}

	close(): void {
		this.state.groups = [];
		this.state.bytes = 0;
	}

	private evict(isDue: (oldest: StoredGroup) => boolean): void {
		const { state } = this;
		let evicted = 0;
		while (evicted < state.groups.length && isDue(state.groups[evicted]!)) state.bytes -= state.groups[evicted++]!.bytes;
		if (evicted > 0) state.groups = state.groups.slice(evicted);
	}

	private seriesOf(key: MetricSeriesKey, timeNs: bigint): StoredSeries {
		const { series } = this.state;
		const { description: _, ...identity } = key;
		const text = JSON.stringify(Object.entries(identity).sort(([a], [b]) => (a < b ? -1 : 1)));
		let entry = series.get(text);
		if (entry === undefined) series.set(text, (entry = { id: series.size + 1, key, lastTimeNs: timeNs }));
		if (timeNs > entry.lastTimeNs) entry.lastTimeNs = timeNs;
		return entry;
	}
}

function invalidIn(columns: RecordColumns): number {
	let invalid = 0;
	const { shape, bytes, fieldStart, fieldSlot } = columns;
	for (let field = 0; field < columns.fieldCount; field++)
		if (fieldSlot[field] !== SLOT.end) invalid += invalidTexts(shape, bytes, fieldStart[field]!, fieldStart[field + 1]!);
	return invalid;
}

function bytesOf(group: WriteGroup, spans: readonly StoredSpan[], logs: readonly StoredLog[]): number {
	let bytes = group.fingerprints.length;
	for (const { bytes: own } of spans) bytes += own.length;
	for (const { bytes: own } of logs) bytes += own.length;
	for (const { raw } of group.metrics.points) bytes += 32 + (raw?.length ?? 0);
	return bytes;
}
