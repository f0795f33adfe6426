/**
 * From the points of committed batches to observations of edges: knows each series' last value and what its labels state.
 *
 * Owned by the topology thread. What it must know after a restart goes out with each flush as counters, and comes back with `load`; so
 * that nothing is counted twice or forgotten, however either side was stopped.
 */
import { createHash } from "node:crypto";
import type { MetricBatch, MetricPointRecord, MetricSeriesKey } from "../../model/metric.ts";
import { plainFromCanonical } from "../../model/otlp/canonical.ts";
import { metricPointOf } from "../../model/otlp/metric-point.ts";
import { WireError } from "../../model/protobuf/reader.ts";
import type { Attributes, MetricFacts } from "../../model/topology/facts.ts";
import { latencyOfExplicit, latencyOfExponential } from "../../model/topology/metric-histogram.ts";
import type { MetricObservation } from "../../model/topology/metric-sums.ts";
import {
	carriedBy,
	isLinkerdConnection,
	isLinkerdHttp,
	linkerdAddress,
	linkerdProtocol,
} from "../../model/topology/sources/linkerd-metrics.ts";
import { metricFacts } from "../../model/topology/sources/metric-facts.ts";
import type { Protocol } from "../../model/topology/series.ts";
import type { TopologyFlush, TopologyLoad } from "../../store/topology.ts";
import { advanceCounter, decodeCounter, encodeCounter } from "./counters.ts";
import type { CounterPoint, CounterState, CounterStep, CounterValue } from "./counters.ts";
import { SCRAPE_COMPLETE, SCRAPE_TARGET } from "./edge-metrics.ts";

export interface MetricStageSettings {
	/** What the last flush left; empty on the first start. */
	readonly load: TopologyLoad["counters"];
	/** Epoch ms of the start; on the very first one our knowledge begins here. */
	readonly startMs: number;
	/** Series that are followed at a time; some 1 kB each. */
	readonly maxSeries: number;
}

export interface MetricStageStats {
	readonly series: number;
	/** Points by what became of them; `refused` ones were of series beyond the bound. */
	readonly points: Readonly<Record<CounterStep["kind"] | "refused" | "invalid", number>>;
}

interface SeriesEntry {
	facts: MetricFacts | undefined;
	/** Of a Linkerd connection: with whom, by the proxy's resource and its address there. */
	address: string | undefined;
	state: CounterState | undefined;
	/** Time of the last point of this run; 0 until there was one. */
	seenUs: number;
	/** Arrival of it, or our start. */
	touchedMs: number;
}

/** When a scraped target was last heard in full, and which series it has. */
interface TargetEntry {
	lastUs: number;
	readonly keys: Set<string>;
}

/** All that batches say of one resource. */
interface ResourceEntry {
	readonly hash: string;
	readonly attributes: Attributes;
	readonly target: TargetEntry | undefined;
}

/** Addresses that Linkerd's proxies speak HTTP with, and which; undefined before the first answer. */
type Spoken = ReadonlyMap<string, Protocol | undefined>;

/** A sender that was away for longer begins anew, which costs what it counted meanwhile. */
const FORGET_MS = 24 * 3_600_000;
/** What pods of the past leave behind when room is needed. */
const FORGET_EARLY_MS = 15 * 60_000;

const HORIZON_KEY = "horizon";
/** A target's key is its resource's hash, a series' key is that and its own. */
const HASH_CHARS = 16;

export class MetricStage {
	readonly #series = new Map<string, SeriesEntry>();
	readonly #targets = new Map<string, TargetEntry>();
	/** Series that turned out to name no edge, so that their labels are read once. */
	readonly #irrelevant = new Set<string>();
	readonly #maxSeries: number;
	/** Keys of what has changed since the last flush; those that are gone are removed by it. */
	readonly #changed = new Set<string>();
	/** Series that started before may have counted while we did not follow them. */
	#horizonUs: number;
	#lastMadeRoomMs = Number.NEGATIVE_INFINITY;
	readonly #points = { advanced: 0, reset: 0, first: 0, baseline: 0, ignored: 0, refused: 0, invalid: 0 };

	constructor({ load, startMs, maxSeries }: MetricStageSettings) {
		this.#maxSeries = maxSeries;
		this.#horizonUs = startMs * 1_000;
		for (const { key, value } of load) {
			const state = decodeCounter(value);
			if (state === undefined) continue;
			if (key === HORIZON_KEY) this.#horizonUs = state.timeUs;
			else if (key.length === HASH_CHARS) this.#targets.set(key, { lastUs: state.timeUs, keys: new Set() });
			else this.#series.set(key, { facts: undefined, address: undefined, state, seenUs: 0, touchedMs: startMs });
		}
		for (const key of this.#series.keys()) this.#targets.get(key.slice(0, HASH_CHARS))?.keys.add(key);
		if (!load.some(({ key }) => key === HORIZON_KEY)) this.#changed.add(HORIZON_KEY);
	}

	stats(): MetricStageStats {
		return { series: this.#series.size, points: { ...this.#points } };
	}

	/** @param arrivedMs of the batch's group */
	observe(batch: MetricBatch, arrivedMs: number): MetricObservation[] {
		const observations: MetricObservation[] = [];
		const resources = new Map<string, ResourceEntry>();
		const keys: string[] = [];
		const spoken = this.#spokenHttp(batch, resources);
		for (const point of batch.points) {
			const series = batch.series[point.series];
			if (series === undefined) continue;
			const resource = this.#resourceOf(series.resource, resources);
			if (series.name === SCRAPE_COMPLETE) {
				this.#heard(resource, Number(point.timeNs / 1_000n));
				continue;
			}
			const read = counterPoint(point, series);
			if (read === undefined) {
				this.#points.invalid++;
				continue;
			}
			const key = (keys[point.series] ??= resource.hash + seriesHash(series));
			const observation = this.#point(key, series, resource, read, arrivedMs, spoken);
			if (observation !== undefined) observations.push(observation);
		}
		return observations;
	}

	/** A proxy tells all its series at a time, so a batch says it whole and nothing is kept from one to the next. */
	#spokenHttp({ series }: MetricBatch, resources: Map<string, ResourceEntry>): Spoken {
		const spoken = new Map<string, Protocol | undefined>();
		if (!series.some(({ name }) => isLinkerdConnection(name))) return spoken;
		for (const { name, attributes, resource } of series) {
			if (!isLinkerdHttp(name)) continue;
			const labels = normalAttributes(attributes);
			const address = linkerdAddress(labels);
			if (address === undefined) continue;
			const key = this.#resourceOf(resource, resources).hash + address;
			const protocol = linkerdProtocol(name, labels);
			if (spoken.get(key) !== "grpc") spoken.set(key, protocol ?? spoken.get(key));
		}
		return spoken;
	}

	#resourceOf(text: string, known: Map<string, ResourceEntry>): ResourceEntry {
		let entry = known.get(text);
		if (entry === undefined) {
			const hash = hashOf([text]);
			const attributes = normalAttributes(text);
			const isTarget = attributes.get(SCRAPE_TARGET) !== undefined;
			entry = {
				hash,
				attributes,
				target: isTarget ? (this.#targets.get(hash) ?? { lastUs: 0, keys: new Set() }) : undefined,
			};
			known.set(text, entry);
		}
		return entry;
	}

	/**
	 * A text was read to its end; its points came before. What is not in it is gone, and begins anew if it comes back: a proxy that was
	 * restarted, or one that drops series which have been idle.
	 */
	#heard({ hash, target }: ResourceEntry, timeUs: number): void {
		if (target === undefined || timeUs <= target.lastUs) return;
		if (!this.#targets.has(hash)) {
			if (this.#targets.size >= this.#maxSeries) return;
			this.#targets.set(hash, target);
		}
		target.lastUs = timeUs;
		this.#changed.add(hash);
		for (const key of target.keys) {
			const entry = this.#series.get(key);
			if (entry !== undefined && entry.seenUs >= timeUs) continue;
			target.keys.delete(key);
			if (this.#series.delete(key)) this.#changed.add(key);
		}
	}

	#point(
		key: string,
		series: MetricSeriesKey,
		resource: ResourceEntry,
		point: CounterPoint,
		arrivedMs: number,
		spoken: Spoken,
	): MetricObservation | undefined {
		if (this.#irrelevant.has(key)) return undefined;
		let entry = this.#series.get(key);
		let { facts, address } = entry ?? {};
		if (facts === undefined) {
			const labels = normalAttributes(series.attributes);
			facts = metricFacts(series.name, labels, resource.attributes);
			address = isLinkerdConnection(series.name) ? resource.hash + (linkerdAddress(labels) ?? "") : undefined;
		}
		if (facts === undefined) {
			if (this.#irrelevant.size >= this.#maxSeries) this.#irrelevant.clear();
			this.#irrelevant.add(key);
			return undefined;
		}
		if (entry === undefined) {
			if (!this.#hasRoom(arrivedMs)) {
				this.#points.refused++;
				this.#raiseHorizon(point.timeUs);
				return undefined;
			}
			entry = { facts, address, state: undefined, seenUs: 0, touchedMs: arrivedMs };
		}
		const isNew = entry.state === undefined && this.#beganSince(resource.target, point.timeUs);
		const step = advanceCounter(entry.state, point, { horizonUs: this.#horizonUs, isNew });
		entry.facts = facts;
		entry.address = address;
		entry.seenUs = Math.max(entry.seenUs, point.timeUs);
		if (step === undefined) {
			this.#points.invalid++;
			return undefined;
		}
		this.#points[step.kind]++;
		if (step.kind !== "ignored") {
			entry.touchedMs = arrivedMs;
			const amount = step.delta === undefined ? 0 : amountOf(step.delta);
			// A point that moved nothing need not be written down: read again, it would move nothing again.
			if (entry.state === undefined || amount > 0 || step.kind === "reset" || point.temporality === "delta")
				this.#changed.add(key);
			entry.state = step.state;
			this.#series.set(key, entry);
			resource.target?.keys.add(key);
		}
		if (step.delta === undefined) return undefined;
		const told = address !== undefined && spoken.has(address) ? carriedBy(facts, spoken.get(address)) : facts;
		return told === undefined ? undefined : observationOf(told, step.delta, point.timeUs);
	}

	/**
	 * A text that was read to its end held all series of its target, so one that we do not know has begun since: the first error of an
	 * edge counts.
	 */
	#beganSince(target: TargetEntry | undefined, timeUs: number): boolean {
		return target !== undefined && target.lastUs < timeUs && target.lastUs > this.#horizonUs;
	}

	#hasRoom(nowMs: number): boolean {
		if (this.#series.size < this.#maxSeries) return true;
		if (nowMs - this.#lastMadeRoomMs > 60_000) {
			this.#lastMadeRoomMs = nowMs;
			this.#forget(nowMs - FORGET_EARLY_MS);
		}
		return this.#series.size < this.#maxSeries;
	}

	/** Lets go of what has not been heard of for long; to be called every few minutes. */
	expire(nowMs: number): void {
		this.#forget(nowMs - FORGET_MS);
	}

	#forget(beforeMs: number): void {
		let latestUs = this.#horizonUs;
		for (const [key, entry] of this.#series) {
			if (entry.touchedMs >= beforeMs) continue;
			this.#series.delete(key);
			this.#targets.get(key.slice(0, HASH_CHARS))?.keys.delete(key);
			this.#changed.add(key);
			latestUs = Math.max(latestUs, entry.seenUs, entry.state?.timeUs ?? 0);
		}
		this.#raiseHorizon(latestUs);
		for (const [key, target] of this.#targets) {
			if (target.lastUs >= beforeMs * 1_000) continue;
			this.#targets.delete(key);
			this.#changed.add(key);
		}
	}

	/** What is no longer followed may come back, and must not be taken for new then. */
	#raiseHorizon(us: number): void {
		if (us <= this.#horizonUs) return;
		this.#horizonUs = us;
		this.#changed.add(HORIZON_KEY);
	}

	/** What the next flush has to write. Asked again before {@link flushed}, it gives the same and what has changed since. */
	changes(): TopologyFlush["counters"] {
		return [...this.#changed].map((key) => ({ key, value: this.#encoded(key) }));
	}

	/** The flush with the last {@link changes} is durable. */
	flushed(): void {
		this.#changed.clear();
	}

	#encoded(key: string): Uint8Array | undefined {
		if (key === HORIZON_KEY) return encodeCounter({ startUs: 0, timeUs: this.#horizonUs, value: { kind: "delta" } });
		const target = this.#targets.get(key);
		if (target !== undefined) return encodeCounter({ startUs: 0, timeUs: target.lastUs, value: { kind: "delta" } });
		const state = this.#series.get(key)?.state;
		return state === undefined ? undefined : encodeCounter(state);
	}
}

function seriesHash(series: MetricSeriesKey): string {
	const { name, unit, type, temporality, attributes, scope } = series;
	return hashOf([name, unit, `${type}${temporality}`, attributes, scope]);
}

/** 96 bits: senders choose the texts, so the hash is one that nobody can find a second text for by trying. */
function hashOf(texts: readonly string[]): string {
	const hash = createHash("sha256");
	for (const text of texts) hash.update(text).update("\0");
	return hash.digest("base64url").slice(0, HASH_CHARS);
}

/** Rule 0: what says that there is no value is none. */
function normalAttributes(text: string): Attributes {
	const plain = plainFromCanonical(text);
	return {
		get(key) {
			const value = plain[key];
			if (value === undefined || typeof value === "object") return undefined;
			const trimmed = String(value).trim();
			return trimmed === "" || trimmed === "-" || trimmed === "unknown" ? undefined : trimmed;
		},
	};
}

/** DataPointFlags: the series has a gap here, and no value. */
const NO_RECORDED_VALUE = 1;

/** Undefined where the point holds no value that can be counted. */
function counterPoint(record: MetricPointRecord, series: MetricSeriesKey): CounterPoint | undefined {
	if ((record.flags & NO_RECORDED_VALUE) !== 0) return undefined;
	const value = counterValue(record, series.type);
	if (value === undefined) return undefined;
	return {
		startUs: Number(record.startTimeNs / 1_000n),
		timeUs: Number(record.timeNs / 1_000n),
		temporality: series.temporality === 1 ? "delta" : "cumulative",
		value,
	};
}

function counterValue(record: MetricPointRecord, type: MetricSeriesKey["type"]): CounterValue | undefined {
	try {
		const point = metricPointOf(record, type);
		if (type === 1) return point.value === undefined ? undefined : { kind: "number", value: Number(point.value) };
		const count = Number(point.count ?? 0);
		const sum = point.sum ?? 0;
		if (type === 2) {
			const bounds = point.explicitBounds ?? [];
			return { kind: "explicit", count, sum, bounds, counts: (point.bucketCounts ?? []).map(Number) };
		}
		if (type !== 3 || point.exponential === undefined) return undefined;
		const { scale, zeroCount, positive, negative } = point.exponential;
		const belowZero = negative.bucketCounts.reduce((total, one) => total + Number(one), 0);
		const counts = positive.bucketCounts.map(Number);
		return {
			kind: "exponential",
			count,
			sum,
			scale,
			zeroCount: Number(zeroCount) + belowZero,
			offset: positive.offset,
			counts,
		};
	} catch (error) {
		if (error instanceof WireError) return undefined;
		throw error;
	}
}

function amountOf(value: CounterValue): number {
	return value.kind === "number" ? value.value : value.count;
}

/** Undefined when nothing happened. */
function observationOf(facts: MetricFacts, delta: CounterValue, timeUs: number): MetricObservation | undefined {
	const { measure } = facts;
	const base = { facts, timeMs: timeUs / 1_000 };
	if (measure.kind === "latency") {
		if (delta.kind === "number" || delta.count === 0) return undefined;
		const buckets =
			delta.kind === "exponential"
				? latencyOfExponential(delta, measure.nsPerUnit)
				: delta.bounds.length > 0
					? latencyOfExplicit(delta.bounds, delta.counts, measure.nsPerUnit)
					: new Map<number, number>();
		return { ...base, amount: delta.count, latency: { buckets, sumNs: delta.sum * measure.nsPerUnit } };
	}
	// Sizes come as histograms too; their sum is the bytes.
	const isSize = measure.kind === "bytes_sent" || measure.kind === "bytes_received";
	const amount = delta.kind !== "number" && isSize ? delta.sum : amountOf(delta);
	return amount > 0 ? { ...base, amount, latency: undefined } : undefined;
}
