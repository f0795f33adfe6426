/**
 * From access log records to the ledger: each is an observation of a whole edge by one end (rules 8 and 9). Logs tell every request, so
 * their counts are never marked sampled.
 */
import type { LogFacts } from "../../model/topology/facts.ts";
import { findingOf, isError } from "../../model/topology/hops/hop-shape.ts";
import { directedBytes } from "../../model/topology/sources/access-log.ts";
import { addCount, addLatency, type Ledger } from "./ledger.ts";
import { NUMBER, NUMBERS_A_ROW, type RecordRows, WORD, WORDS_A_ROW } from "./record-rows.ts";
import type { SeriesRegistry } from "./series-registry.ts";

const SIGHTING_STEP_MS = 60_000;

interface KnownFacts {
	readonly series: number;
	seenMs: number;
	writtenMs: number;
}

export class LogWriter {
	private readonly registry: SeriesRegistry;
	private readonly known = new Map<LogFacts, KnownFacts>();
	private readonly seen = new Set<LogFacts>();

	constructor(registry: SeriesRegistry) {
		this.registry = registry;
	}

	add(ledger: Ledger, facts: LogFacts, rows: RecordRows, row: number): void {
		const at = row * NUMBERS_A_ROW;
		const timeMs = rows.numbers[at + NUMBER.startMs]!;
		const durationNs = rows.numbers[at + NUMBER.durationNs]!;
		const series = this.seriesOf(facts, timeMs);
		const sums = ledger.sumsOf(series, timeMs);
		const isHandshake = facts.tls.failure !== "" && facts.code === "";
		if (facts.tls.failure !== "") sums.failedHandshakes++;
		sums.firstMs = Math.min(sums.firstMs, timeMs);
		sums.lastMs = Math.max(sums.lastMs, timeMs);
		// Where the caller's handshake failed there was no request.
		if (isHandshake && facts.unit === "requests" && facts.reporter !== "source") return;
		sums.observed++;
		sums.count++;
		sums.attempts += Math.max(1, facts.attempts);
		const { bytesSent, bytesReceived } = directedBytes(
			facts,
			rows.numbers[at + NUMBER.requestBytes]!,
			rows.numbers[at + NUMBER.responseBytes]!,
		);
		sums.bytesSent += bytesSent;
		sums.bytesReceived += bytesReceived;
		addCount(sums.codes, facts.code, 1);
		if (facts.flags !== "") for (const flag of facts.flags.split(",")) addCount(sums.flags, flag, 1);
		if (facts.unit === "connections" || isHandshake) return;
		if (facts.reporter === "source") {
			addLatency(sums.sourceLatency, durationNs, 1);
			sums.sourceLatencyNs += durationNs;
		} else {
			addLatency(sums.destinationLatency, durationNs, 1);
			sums.destinationLatencyNs += durationNs;
		}
		const traceId = traceIdAt(rows.words, row * WORDS_A_ROW + WORD.traceId);
		if (traceId === undefined || !ledger.wantsExemplar(series, durationNs)) return;
		ledger.addExemplar({ series, timeMs, durationNs, traceId, isError: isError(facts.outcome) });
	}

	takeSightings(ledger: Ledger): void {
		for (const facts of this.seen) {
			const known = this.known.get(facts)!;
			known.writtenMs = known.seenMs;
			const { source, target, tls, reporter } = facts;
			const { peerNotAfterMs, peerPrincipal, peerIssuer } = tls;
			if (peerNotAfterMs === undefined || peerPrincipal === "") continue;
			ledger.certificates.push({
				principal: peerPrincipal,
				notAfterMs: peerNotAfterMs,
				issuer: peerIssuer,
				seenMs: known.seenMs,
				source,
				target,
				side: reporter === "source" ? "destination" : "source",
			});
		}
		this.seen.clear();
	}

	forget(): void {
		this.known.clear();
		this.seen.clear();
	}

	private seriesOf(facts: LogFacts, timeMs: number): number {
		let known = this.known.get(facts);
		if (known === undefined) {
			const { source, target, protocol, unit, reporter, outcome, tls } = facts;
			const finding = reporter === "source" ? findingOf(tls, undefined) : findingOf(undefined, tls);
			const series = this.registry.idOf({
				source,
				target,
				protocol,
				unit,
				evidence: "log",
				reporter,
				sampled: false,
				mtls: {
					...finding,
					sourcePrincipal: facts.sourcePrincipal || finding.sourcePrincipal,
					destinationPrincipal: facts.destinationPrincipal || finding.destinationPrincipal,
				},
				outcome,
				destinationOutcome: undefined,
			});
			this.known.set(facts, (known = { series, seenMs: 0, writtenMs: -Infinity }));
		}
		if (timeMs > known.seenMs) {
			known.seenMs = timeMs;
			if (facts.tls.peerNotAfterMs !== undefined && timeMs > known.writtenMs + SIGHTING_STEP_MS) this.seen.add(facts);
		}
		return known.series;
	}
}

function traceIdAt(words: Uint32Array, at: number): string | undefined {
	let id = "";
	let any = 0;
	for (let i = 0; i < 4; i++) {
		any |= words[at + i]!;
		id += words[at + i]!.toString(16).padStart(8, "0");
	}
	return any === 0 ? undefined : id;
}
