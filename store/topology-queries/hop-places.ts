/**
 * Where to look for traces by what is known of their hops: the times in which a series of that edge or mTLS status was counted, from
 * coarse buckets to fine ones, and the services between which it was.
 */
import type { Endpoint } from "../../model/topology/endpoint.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { addRollups } from "../../model/topology/rollup-reader.ts";
import { RESOLUTIONS_MS, type ResolutionMs } from "../../model/topology/series.ts";
import { SOMETHING, witnessOf } from "../../model/topology/voices.ts";
import type { TopologyReader } from "../topology.ts";
import type { KnownSeries } from "./known-series.ts";
import type { HopKind } from "./trace-hops.ts";

/** A stretch of time, epoch ms, inclusive and exclusive. */
export interface Place {
	readonly fromMs: number;
	readonly toMs: number;
	/** Names of which a span's service bears one, whole or before a dot; undefined for any. */
	readonly services: ReadonlySet<string> | undefined;
}

/** Hops are counted at the caller's start; the callee's spans start somewhat later, or by its clock before. */
const MARGIN_MS = 60_000;
/** One-sided hops are counted 30 s after their end, and written some seconds later. */
const UNCOUNTED_MS = 60_000;
/** Reading a bucket takes 0.2 ms or more; what is not refined by then is searched whole. */
const MAX_BUCKETS = 600;
const MINUTE_INDEX = RESOLUTIONS_MS.indexOf(60_000);

/**
 * Stretches of the range, in order and without overlaps, outside of which no counted hop of the kind began.
 *
 * @param isService whether any span was ever sent under the name
 */
export function hopPlaces(
	reader: TopologyReader,
	known: KnownSeries,
	query: HopKind & { readonly fromMs: number; readonly toMs: number },
	isService: (name: string) => boolean,
): readonly Place[] {
	const { mtls, edge, fromMs, toMs } = query;
	const everywhere = [{ fromMs, toMs, services: undefined }];
	const flushedMs = reader.progress()?.flushedMs;
	const wanted = new Set<number>();
	for (const id of edge === undefined ? reader.series().keys() : known.seriesNamed(edge)) {
		const dims = known.dims(id);
		if (dims === undefined || witnessOf(dims.evidence) !== "spans") continue;
		if (mtls === undefined || dims.mtls.status === mtls) wanted.add(id);
	}
	// Nothing was counted yet: nothing can be ruled out.
	const countedToMs = flushedMs === undefined ? -Infinity : flushedMs - UNCOUNTED_MS;
	const oldest = reader.oldest(RESOLUTIONS_MS.at(-1)!);
	if (countedToMs <= fromMs || oldest === undefined) return everywhere;
	let budget = MAX_BUCKETS;
	const found: { readonly fromMs: number; readonly toMs: number; readonly series: ReadonlySet<number> }[] = [];

	/** Newest first, so that what is refined is what is looked at first. */
	const refine = (level: number, from: number, to: number): void => {
		const width = RESOLUTIONS_MS[level]!;
		const buckets = [...hits(reader, width, from, to, wanted)];
		budget -= buckets.length;
		for (const { bucketMs, series } of buckets.reverse()) {
			const finer = RESOLUTIONS_MS[level - 1];
			const isFine = level <= MINUTE_INDEX || finer === undefined || budget < width / finer;
			const isKept = finer !== undefined && (reader.oldest(finer) ?? Infinity) <= bucketMs;
			if (isFine || !isKept) found.push({ fromMs: bucketMs, toMs: bucketMs + width, series });
			else refine(level - 1, Math.max(from, bucketMs), Math.min(to, bucketMs + width));
		}
	};
	const start = RESOLUTIONS_MS.findLastIndex((width) => toMs - fromMs >= width);
	refine(Math.max(start, MINUTE_INDEX), fromMs - MARGIN_MS, Math.min(toMs, countedToMs + UNCOUNTED_MS) + MARGIN_MS);

	const places: Place[] = found.map((one) => ({
		fromMs: one.fromMs - MARGIN_MS,
		toMs: one.toMs + MARGIN_MS,
		services: servicesOf(one.series, known, isService),
	}));
	places.push({ fromMs: -Infinity, toMs: oldest, services: undefined });
	places.push({ fromMs: countedToMs, toMs: Infinity, services: undefined });
	return joined(places, fromMs, toMs);
}

function* hits(
	reader: TopologyReader,
	width: ResolutionMs,
	fromMs: number,
	toMs: number,
	wanted: ReadonlySet<number>,
): Generator<{ readonly bucketMs: number; readonly series: ReadonlySet<number> }> {
	for (const { bucketMs, data } of reader.rollups(width, Math.floor(fromMs / width) * width, toMs)) {
		const totals = new Map<number, SeriesTotals>();
		addRollups(totals, data, wanted);
		const series = [...totals].filter(([, { observed }]) => observed > SOMETHING).map(([id]) => id);
		if (series.length > 0) yield { bucketMs, series: new Set(series) };
	}
}

/** One end that goes by the name of a service is enough, since its span is in the trace; a hop without any may be under any name. */
function servicesOf(
	series: ReadonlySet<number>,
	known: KnownSeries,
	isService: (name: string) => boolean,
): ReadonlySet<string> | undefined {
	const services = new Set<string>();
	for (const id of series) {
		const { source, target, reporter } = known.dims(id)!;
		const ends: Endpoint[] = reporter === "source" ? [source] : reporter === "destination" ? [target] : [source, target];
		const names = ends.map(({ service }) => service).filter((name) => isService(name));
		if (names.length === 0) return undefined;
		for (const name of names) services.add(name);
	}
	return services;
}

function joined(places: Place[], fromMs: number, toMs: number): readonly Place[] {
	const all: Place[] = [];
	for (const place of places.sort((a, b) => a.fromMs - b.fromMs)) {
		const clipped = { ...place, fromMs: Math.max(fromMs, place.fromMs), toMs: Math.min(toMs, place.toMs) };
		if (clipped.fromMs >= clipped.toMs) continue;
		const last = all.at(-1);
		if (last === undefined || last.toMs < clipped.fromMs) all.push(clipped);
		else
			all[all.length - 1] = {
				fromMs: last.fromMs,
				toMs: Math.max(last.toMs, clipped.toMs),
				services: either(last, clipped),
			};
	}
	return all;
}

function either(a: Place, b: Place): ReadonlySet<string> | undefined {
	return a.services === undefined || b.services === undefined ? undefined : new Set([...a.services, ...b.services]);
}
