/**
 * From hops to the ledger: which series a hop belongs to, and what it adds to it or takes back.
 */
import type { Hop, HopShape } from "../../model/topology/hop.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { bucketStart, type Exemplar, RESOLUTIONS_MS } from "../../model/topology/series.ts";
import { isError } from "../../model/topology/hops/hop-shape.ts";
import { addCount, addLatency, type Ledger } from "./ledger.ts";
import type { SeriesRegistry } from "./series-registry.ts";

/** Sightings of one kind of hop are written this far apart, in the time of the hops. */
const SIGHTING_STEP_MS = 60_000;
const [FINEST_MS] = RESOLUTIONS_MS;

interface KnownShape {
	readonly shape: HopShape;
	readonly flags: readonly string[];
	readonly hasSightings: boolean;
	readonly isError: boolean;
	/** Series of hops that say how they were sampled, and of those that do not; 0 for none yet. */
	scaled: number;
	sampled: number;
	seenMs: number;
	writtenMs: number;
	/** Where the hop before went: most go where the one before went. */
	ledger: Ledger | undefined;
	bucketMs: number;
	series: number;
	sums: SeriesTotals | undefined;
}

export class HopWriter {
	private readonly registry: SeriesRegistry;
	/** By number of shape. */
	private readonly known: KnownShape[] = [];
	private readonly seen = new Set<KnownShape>();

	constructor(registry: SeriesRegistry) {
		this.registry = registry;
	}

	/** @returns an exemplar without its trace id, where one is wanted */
	add(ledger: Ledger, hop: Hop, factor: 1 | -1): Omit<Exemplar, "traceId"> | undefined {
		const { shape, startMs } = hop;
		const known = this.known[shape.number] ?? this.learn(shape);
		if (startMs > known.seenMs) {
			known.seenMs = startMs;
			if (known.hasSightings && startMs > known.writtenMs + SIGHTING_STEP_MS) this.seen.add(known);
		}
		const series = this.seriesOf(known, hop.weight === 0);
		const sums = sumsOf(known, ledger, series, startMs);
		const weight = hop.weight === 0 ? factor : factor * hop.weight;
		sums.observed += factor;
		sums.count += weight;
		sums.attempts += weight * hop.attempts;
		sums.bytesSent += weight * hop.requestBytes;
		sums.bytesReceived += weight * hop.responseBytes;
		if (shape.failedHandshake) sums.failedHandshakes += weight;
		if (hop.appNs >= 0) {
			sums.appNs += weight * hop.appNs;
			sums.appCount += weight;
			sums.proxyNs += weight * hop.proxyNs;
		}
		addCount(sums.codes, shape.code, weight);
		for (const flag of known.flags) addCount(sums.flags, flag, weight);
		const { sourceLatencyNs, destinationLatencyNs } = hop;
		if (sourceLatencyNs >= 0) {
			addLatency(sums.sourceLatency, sourceLatencyNs, weight);
			sums.sourceLatencyNs += weight * sourceLatencyNs;
		}
		if (destinationLatencyNs >= 0) {
			addLatency(sums.destinationLatency, destinationLatencyNs, weight);
			sums.destinationLatencyNs += weight * destinationLatencyNs;
		}
		if (factor === -1) return undefined;
		if (startMs < sums.firstMs) sums.firstMs = startMs;
		if (startMs > sums.lastMs) sums.lastMs = startMs;
		const durationNs = sourceLatencyNs >= 0 ? sourceLatencyNs : Math.max(0, destinationLatencyNs);
		if (!ledger.wantsExemplar(series, durationNs)) return undefined;
		return { series, timeMs: startMs, durationNs, isError: known.isError };
	}

	/** What was seen since the last call of certificates and of whose an address is. */
	takeSightings(ledger: Ledger): void {
		for (const known of this.seen) {
			known.writtenMs = known.seenMs;
			const { shape } = known;
			const { source, target, mtls } = shape;
			const seenMs = known.seenMs;
			if (shape.sourceCertificate !== undefined)
				ledger.certificates.push({
					...shape.sourceCertificate,
					principal: mtls.sourcePrincipal,
					seenMs,
					source,
					target,
					side: "source",
				});
			if (shape.destinationCertificate !== undefined)
				ledger.certificates.push({
					...shape.destinationCertificate,
					principal: mtls.destinationPrincipal,
					seenMs,
					source,
					target,
					side: "destination",
				});
			// Only who reported itself is known to be at its address.
			if (shape.evidence !== "pair") continue;
			if (shape.targetAddress !== "") ledger.addresses.push({ address: shape.targetAddress, endpoint: target, seenMs });
			if (shape.sourceAddress !== "") ledger.addresses.push({ address: shape.sourceAddress, endpoint: source, seenMs });
		}
		this.seen.clear();
	}

	/** The shapes are to be made anew. */
	forget(): void {
		this.known.length = 0;
		this.seen.clear();
	}

	private learn(shape: HopShape): KnownShape {
		const known: KnownShape = {
			shape,
			flags: shape.flags === "" ? [] : shape.flags.split(",").filter((flag) => flag !== ""),
			hasSightings: hasSightings(shape),
			isError: isError(shape.outcome),
			scaled: 0,
			sampled: 0,
			seenMs: 0.5,
			writtenMs: -Infinity,
			ledger: undefined,
			bucketMs: NaN,
			series: 0,
			sums: undefined,
		};
		this.known[shape.number] = known;
		return known;
	}

	private seriesOf(known: KnownShape, isSampled: boolean): number {
		const id = isSampled ? known.sampled : known.scaled;
		if (id !== 0) return id;
		const { source, target, protocol, evidence, reporter, mtls, outcome, destinationOutcome } = known.shape;
		const made = this.registry.idOf({
			source,
			target,
			protocol,
			unit: "requests",
			evidence,
			reporter,
			sampled: isSampled,
			mtls,
			outcome,
			destinationOutcome,
		});
		if (isSampled) known.sampled = made;
		else known.scaled = made;
		return made;
	}
}

function sumsOf(known: KnownShape, ledger: Ledger, series: number, timeMs: number): SeriesTotals {
	const { sums, bucketMs } = known;
	if (sums !== undefined && timeMs >= bucketMs && timeMs < bucketMs + FINEST_MS)
		if (known.ledger === ledger && known.series === series) return sums;
	known.ledger = ledger;
	known.series = series;
	known.bucketMs = bucketStart(timeMs, FINEST_MS);
	return (known.sums = ledger.sumsOf(series, timeMs));
}

function hasSightings(shape: HopShape): boolean {
	const isAddressed = shape.evidence === "pair" && (shape.targetAddress !== "" || shape.sourceAddress !== "");
	return isAddressed || shape.sourceCertificate !== undefined || shape.destinationCertificate !== undefined;
}
