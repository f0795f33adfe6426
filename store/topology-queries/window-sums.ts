/** The sums of every series over a window, kept while nothing new was flushed: one page asks for graph, mTLS and differences at once. */
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import type { WindowSeries } from "../../model/topology/voices.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import { beginningOf, planWindow, type WindowPlan } from "./plan.ts";

export interface WindowSums {
	readonly plan: WindowPlan;
	readonly series: readonly WindowSeries[];
	/** Length of the window as far as it was observed: the present ends it, and the first data begin it. */
	readonly seconds: number;
}

/** Rows that are added up at once; more together are quicker, and an hour of 1,000 edges has 14 MB. */
const BATCH_BYTES = 16 << 20;
/** Histograms of the windows that are kept; one of 3,000 series has some 15 MB. */
const MAX_KEPT_BYTES = 32 << 20;
/** What a rate is over at least, where the window is as long. */
const LEAST_OBSERVED_MS = 60_000;

export class WindowSumsCache {
	private readonly reader: TopologyReader;
	private readonly known: KnownSeries;
	/** Least recently used first. */
	private readonly kept = new Map<string, { readonly sums: WindowSums; readonly bytes: number }>();
	private keptBytes = 0;
	private version = -1;

	constructor(reader: TopologyReader, known: KnownSeries) {
		this.reader = reader;
		this.known = known;
	}

	/** @param wanted only these series; such sums are not kept */
	sums(fromMs: number, toMs: number, wanted?: ReadonlySet<number>): WindowSums {
		const version = this.reader.version();
		if (version !== this.version) {
			this.kept.clear();
			this.keptBytes = 0;
			this.version = version;
		}
		const plan = planWindow(fromMs, toMs, (resolutionMs) => this.reader.oldest(resolutionMs));
		const key = `${plan.resolutionMs} ${plan.fromMs} ${plan.toMs} ${toMs}`;
		const found = this.kept.get(key);
		if (found !== undefined) {
			this.kept.delete(key);
			this.kept.set(key, found);
			return wanted === undefined
				? found.sums
				: { ...found.sums, series: found.sums.series.filter(({ id }) => wanted.has(id)) };
		}
		const totals = new Map<number, SeriesTotals>();
		for (const rows of batches(this.reader, plan)) addRollups(totals, rows, wanted);
		const sums: WindowSums = { plan, series: withDims(totals, this.known), seconds: this.secondsOf(plan, toMs) };
		if (wanted === undefined) this.keep(key, sums);
		return sums;
	}

	/**
	 * A window that reaches into the present ends there, not with the bucket that the present lies in. One in which the first data came
	 * begins with them, else a mesh that has run for a minute has a tenth of its rate in the last ten; but it has a minute at least, so
	 * that a single request is no rush.
	 */
	private secondsOf(plan: WindowPlan, toMs: number): number {
		const flushedMs = this.reader.progress()?.flushedMs ?? plan.toMs;
		const endMs = flushedMs < plan.toMs ? Math.min(plan.toMs, Math.max(toMs, plan.fromMs + 1_000)) : plan.toMs;
		const beginsMs = beginningOf((resolutionMs) => this.reader.oldest(resolutionMs)) ?? plan.fromMs;
		return (endMs - Math.max(plan.fromMs, Math.min(beginsMs, endMs - LEAST_OBSERVED_MS))) / 1_000;
	}

	private keep(key: string, sums: WindowSums): void {
		const bytes = sums.series.reduce((sum, { totals }) => sum + bytesOf(totals), 0);
		this.kept.set(key, { sums, bytes });
		this.keptBytes += bytes;
		for (const [oldest, entry] of this.kept) {
			if (this.keptBytes <= MAX_KEPT_BYTES) break;
			this.kept.delete(oldest);
			this.keptBytes -= entry.bytes;
		}
	}
}

/** Rows of the window, as many at a time as are added up at once. */
function* batches(reader: TopologyReader, { pieces }: WindowPlan): Iterable<readonly Uint8Array[]> {
	let rows: Uint8Array[] = [];
	let bytes = 0;
	for (const { resolutionMs, fromMs, toMs } of pieces) {
		for (const row of reader.deltas(resolutionMs, fromMs, toMs)) {
			rows.push(row);
			bytes += row.length;
			if (bytes < BATCH_BYTES) continue;
			yield rows;
			rows = [];
			bytes = 0;
		}
	}
	if (rows.length > 0) yield rows;
}

function bytesOf({ sourceLatency, destinationLatency }: SeriesTotals): number {
	return 1_000 + 8 * (sourceLatency.counts.length + destinationLatency.counts.length);
}

/** Series whose meaning is not known yet came with a flush after the one that was read: they belong to the next answer. */
export function withDims(totals: ReadonlyMap<number, SeriesTotals>, known: KnownSeries): WindowSeries[] {
	const series: WindowSeries[] = [];
	for (const [id, own] of totals) {
		const dims = known.dims(id);
		if (dims !== undefined) series.push({ id, dims, totals: own });
	}
	return series;
}
