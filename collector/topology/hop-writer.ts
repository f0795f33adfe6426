/**
 * From hops to the ledger: which series a hop belongs to, and what it adds to it or takes back.
 */
import type { Hop, HopShape } from "../../model/topology/hop.ts";
import type { Exemplar } from "../../model/topology/series.ts";
import { isError } from "../../model/topology/hops/hop-shape.ts";
import { addCount, addLatency, type Ledger } from "./ledger.ts";
import type { SeriesRegistry } from "./series-registry.ts";

/** Sightings of one kind of hop are written this far apart, in the time of the hops. */
const SIGHTING_STEP_MS = 60_000;

interface KnownShape {
	/** Series of hops that say how they were sampled, and of those that do not; 0 for none yet. */
	scaled: number;
	sampled: number;
	seenMs: number;
	writtenMs: number;
}

export class HopWriter {
	private readonly registry: SeriesRegistry;
	private readonly known = new Map<HopShape, KnownShape>();
	private readonly seen = new Set<HopShape>();

	constructor(registry: SeriesRegistry) {
		this.registry = registry;
	}

	/** @returns an exemplar without its trace id, where one is wanted */
	add(ledger: Ledger, hop: Hop, factor: 1 | -1): Omit<Exemplar, "traceId"> | undefined {
		const { shape, startMs } = hop;
		const series = this.seriesOf(shape, hop.weight === 0, startMs);
		const sums = ledger.sumsOf(series, startMs);
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
		if (shape.flags !== "") for (const flag of shape.flags.split(",")) addCount(sums.flags, flag, weight);
		if (hop.sourceLatencyNs >= 0) {
			addLatency(sums.sourceLatency, hop.sourceLatencyNs, weight);
			sums.sourceLatencyNs += weight * hop.sourceLatencyNs;
		}
		if (hop.destinationLatencyNs >= 0) {
			addLatency(sums.destinationLatency, hop.destinationLatencyNs, weight);
			sums.destinationLatencyNs += weight * hop.destinationLatencyNs;
		}
		if (factor === -1) return undefined;
		sums.firstMs = Math.min(sums.firstMs, startMs);
		sums.lastMs = Math.max(sums.lastMs, startMs);
		const durationNs = hop.sourceLatencyNs >= 0 ? hop.sourceLatencyNs : Math.max(0, hop.destinationLatencyNs);
		if (!ledger.wantsExemplar(series, durationNs)) return undefined;
		return { series, timeMs: startMs, durationNs, isError: isError(shape.outcome) };
	}

	/** What was seen since the last call of certificates and of whose an address is. */
	takeSightings(ledger: Ledger): void {
		for (const shape of this.seen) {
			const known = this.known.get(shape)!;
			known.writtenMs = known.seenMs;
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
		this.known.clear();
		this.seen.clear();
	}

	private seriesOf(shape: HopShape, isSampled: boolean, timeMs: number): number {
		let known = this.known.get(shape);
		if (known === undefined) this.known.set(shape, (known = { scaled: 0, sampled: 0, seenMs: 0, writtenMs: -Infinity }));
		if (timeMs > known.seenMs) {
			known.seenMs = timeMs;
			if (hasSightings(shape) && timeMs > known.writtenMs + SIGHTING_STEP_MS) this.seen.add(shape);
		}
		const id = isSampled ? known.sampled : known.scaled;
		if (id !== 0) return id;
		const { source, target, protocol, evidence, reporter, mtls, outcome, destinationOutcome } = shape;
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

function hasSightings(shape: HopShape): boolean {
	const isAddressed = shape.evidence === "pair" && (shape.targetAddress !== "" || shape.sourceAddress !== "");
	return isAddressed || shape.sourceCertificate !== undefined || shape.destinationCertificate !== undefined;
}
