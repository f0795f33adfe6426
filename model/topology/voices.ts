/**
 * Which of several evidences of one edge gives its numbers.
 *
 * A *voice* is one kind of witness to an edge: what metrics, access logs or spans say, each from one reporter. Voices speak of the same
 * requests, so their counts are never added up: one is believed for each question. Within the voice of the spans every hop is said
 * once (hops/), whatever rule it came by, so there the counts are added up.
 */
import type { SeriesTotals } from "./rollup.ts";
import type { Evidence, MtlsStatus, Outcome, Reporter, SeriesDims } from "./series.ts";
import { hasNeverArrived, isOverflow } from "./sources/outcome.ts";
import { DEFINITE_STATUSES, noMtlsCounts, verificationRank } from "./mtls-status.ts";

/** A series with its sums over the window that is asked about. */
export interface WindowSeries {
	readonly id: number;
	readonly dims: SeriesDims;
	readonly totals: SeriesTotals;
}

export type Witness = "metrics" | "logs" | "spans";

export interface Voice {
	readonly witness: Witness;
	/** Of spans `both`: they are believed together. */
	readonly reporter: Reporter;
	readonly series: WindowSeries[];
	count: number;
	observed: number;
	sampled: boolean;
	failedHandshakes: number;
	bytes: number;
}

/** What a sum must exceed to be something: weights are 1 and more, the rest is rounding. */
export const SOMETHING = 1e-6;

const NO_CODES: ReadonlyMap<string, number> = new Map();

/** A voice that counted less than this share of what another one certainly saw has not seen it all. */
const COVERAGE = 0.9;

export function witnessOf(evidence: Evidence): Witness {
	return evidence === "metric" ? "metrics" : evidence === "log" ? "logs" : "spans";
}

/** Voices of one edge, in the order in which their counts are believed. */
export function voicesOf(series: readonly WindowSeries[]): readonly Voice[] {
	const voices: Voice[] = [];
	for (const one of series) {
		const { dims, totals } = one;
		const witness = witnessOf(dims.evidence);
		const reporter = witness === "spans" ? "both" : dims.reporter;
		let voice = voices.find((candidate) => candidate.witness === witness && candidate.reporter === reporter);
		if (voice === undefined) {
			voice = { witness, reporter, series: [], count: 0, observed: 0, sampled: false, failedHandshakes: 0, bytes: 0 };
			voices.push(voice);
		}
		voice.series.push(one);
		if (totals.count > SOMETHING) {
			voice.count += totals.count;
			voice.observed += totals.observed;
			if (dims.sampled) voice.sampled = true;
		}
		voice.failedHandshakes += Math.max(0, totals.failedHandshakes);
		voice.bytes += Math.max(0, totals.bytesSent) + Math.max(0, totals.bytesReceived);
	}
	return voices.length === 1 ? voices : voices.sort((a, b) => orderOf(a) - orderOf(b));
}

const REPORTER_ORDER: Readonly<Record<Reporter, number>> = { both: 0, destination: 1, waypoint: 2, source: 3 };

/** Metrics and full logs count every request; spans may be a sample; a sample of logs is no better than that. */
function orderOf({ witness, reporter, sampled }: Voice): number {
	const base = witness === "metrics" ? 0 : witness === "logs" ? (sampled ? 30 : 10) : sampled ? 40 : 20;
	return base + REPORTER_ORDER[reporter];
}

export interface CountDecision {
	readonly voice: Voice;
	/** Requests that only the source knows of, beside what the voice counted; none when it is the source's own. */
	readonly neverArrived: readonly NeverArrived[];
}

export interface NeverArrived {
	readonly series: WindowSeries;
	readonly count: number;
	/** Flagged alike, but answered: the voice counted these itself. */
	readonly answered: number;
	readonly flags: ReadonlyMap<string, number>;
	/** Of those that are counted; none where only some of the series never arrived, as nobody knows with which. */
	readonly codes: ReadonlyMap<string, number>;
}

/**
 * The voice that counts: the first that has not missed what a later one certainly saw. Metrics whose scraping began halfway through
 * the window, or one reporting sidecar of two, must not make requests disappear.
 */
export function countDecision(voices: readonly Voice[]): CountDecision | undefined {
	const counting = voices.filter(({ count }) => count > SOMETHING);
	let best: CountDecision | undefined;
	let bestCount = 0;
	for (const voice of counting) {
		const neverArrived = neverArrivedBeside(voice, counting);
		const count = voice.count + neverArrived.reduce((sum, one) => sum + one.count, 0);
		if (best === undefined || bestCount < COVERAGE * voice.observed) {
			best = { voice, neverArrived };
			bestCount = count;
		}
	}
	return best;
}

/**
 * Requests that only the source of the voice's kind knows of, beside those that the voice counted.
 *
 * Failures flagged UO alone are taken for answered as far as the voice counted failures with their code that the source does not tell
 * otherwise. So none is counted twice, and an edge never shows fewer failures than the source saw.
 */
export function neverArrivedBeside(voice: Voice, voices: readonly Voice[]): readonly NeverArrived[] {
	if (voice.witness === "spans" || voice.reporter === "source" || voice.reporter === "both") return [];
	const source = voices.find(({ witness, reporter }) => witness === voice.witness && reporter === "source");
	if (source === undefined) return [];
	const found = source.series.flatMap((series) => {
		const { totals } = series;
		const flags = new Map([...totals.flags].filter(([flag, count]) => count > SOMETHING && hasNeverArrived(flag)));
		const count = Math.min(flaggedOf(flags, totals), totals.count);
		const codes = count >= totals.count ? totals.codes : NO_CODES;
		return count > SOMETHING ? [{ series, count, answered: 0, flags, codes }] : [];
	});
	if (!found.some(isPerhapsAnswered)) return found;
	const unexplained = failuresOnlyOf(voice, source, found);
	return found.map((one) => (isPerhapsAnswered(one) ? lessAnswered(one, unexplained) : one));
}

/** Some requests bear two flags, each counted: of those that a proxy answered itself it made up a code, so there are not more. */
function flaggedOf(flags: ReadonlyMap<string, number>, { codes }: SeriesTotals): number {
	const sum = total(flags.values());
	const coded = total(codes.values());
	return coded > SOMETHING ? Math.min(sum, Math.max(coded, ...flags.values())) : sum;
}

function total(counts: Iterable<number>): number {
	let sum = 0;
	for (const count of counts) sum += count;
	return sum;
}

function isPerhapsAnswered({ series, flags }: NeverArrived): boolean {
	return series.dims.outcome !== "ok" && [...flags.keys()].some(isOverflow);
}

/** By code, what the voice counted more than the source did without such flags. */
function failuresOnlyOf(voice: Voice, source: Voice, flagged: readonly NeverArrived[]): Map<string, number> {
	const codes = new Map<string, number>();
	for (const { dims, totals } of voice.series)
		if (dims.outcome !== "ok") for (const [code, count] of totals.codes) codes.set(code, (codes.get(code) ?? 0) + count);
	for (const { dims, totals, id } of source.series) {
		if (dims.outcome === "ok" || !(totals.count > SOMETHING)) continue;
		const ofThem = flagged.find(({ series }) => series.id === id)?.count ?? 0;
		const share = 1 - ofThem / totals.count;
		for (const [code, count] of totals.codes) codes.set(code, (codes.get(code) ?? 0) - count * share);
	}
	return codes;
}

/** @param unexplained what is taken as the answers is taken out of it */
function lessAnswered(one: NeverArrived, unexplained: Map<string, number>): NeverArrived {
	const { series, count, flags } = one;
	let surely = 0;
	for (const [flag, flagged] of flags) if (!isOverflow(flag)) surely += flagged;
	let answered = 0;
	const codes = new Map(one.codes);
	for (const [code, coded] of series.totals.codes) {
		const left = unexplained.get(code) ?? 0;
		const taken = Math.max(0, Math.min(count - surely - answered, coded, left));
		unexplained.set(code, left - taken);
		answered += taken;
		if (codes.has(code)) codes.set(code, coded - taken);
	}
	return { ...one, count: count - answered, answered, codes };
}

/** The finest witness of latency on these voices: spans, then logs, then metrics. Undefined when none measured any. */
export function latencyWitness(voices: readonly Voice[]): Witness | undefined {
	return (["spans", "logs", "metrics"] as const).find((witness) =>
		voices.some((voice) => voice.witness === witness && voice.series.some(({ totals }) => hasLatency(totals))),
	);
}

function hasLatency({ count, sourceLatency, destinationLatency }: SeriesTotals): boolean {
	return count > SOMETHING && (sourceLatency.counts.length > 0 || destinationLatency.counts.length > 0);
}

export interface MtlsDecision {
	/** The voice whose counts by status are told. */
	readonly voice: Voice;
	/** Those whose word is as good: a definite status of theirs mixes with the counted ones. */
	readonly peers: readonly Voice[];
}

/**
 * Of the voices that know, one that has seen all requests before one that has not; among those, the best verified; then in order of
 * counting. Undefined when nothing is known.
 * @param counted requests of the edge
 */
export function mtlsDecision(voices: readonly Voice[], counted: number): MtlsDecision | undefined {
	const [first] = voices;
	// Of most edges there is one voice.
	if (first !== undefined && voices.length === 1)
		return knowledgeOf(first).known > SOMETHING ? { voice: first, peers: [] } : undefined;
	const knowing = voices.map((voice) => ({ voice, ...knowledgeOf(voice) })).filter(({ known }) => known > SOMETHING);
	if (knowing.length === 0) return undefined;
	const [best] = knowing
		.map((one) => ({ ...one, isPartial: one.voice.sampled || one.known < COVERAGE * counted ? 1 : 0 }))
		.sort((a, b) => a.isPartial - b.isPartial || a.rank - b.rank);
	const peers = knowing.filter(({ voice, rank }) => voice !== best!.voice && rank <= best!.rank).map(({ voice }) => voice);
	return { voice: best!.voice, peers };
}

/** How many requests a voice gives a definite status, and how well most of them are verified. */
function knowledgeOf(voice: Voice): { readonly known: number; readonly rank: number } {
	const byRank = [0, 0, 0, 0, 0];
	const counts = noMtlsCounts();
	for (const { dims, totals } of voice.series) {
		if (!(totals.count > SOMETHING)) continue;
		counts[dims.mtls.status] += totals.count;
		if (dims.mtls.status !== "unknown") byRank[verificationRank(dims.mtls.verifiedBy)]! += totals.count;
	}
	const known = DEFINITE_STATUSES.reduce((sum, status) => sum + counts[status], 0);
	return { known, rank: byRank.indexOf(Math.max(...byRank)) };
}

/** What an edge counts, by outcome and by mTLS status. */
export interface Tally {
	count: number;
	readonly outcomes: Record<Outcome, number>;
	readonly mtlsCounts: Record<MtlsStatus, number>;
}

/** Adds what the believed voice counted, and what never arrived beside it. */
export function addCounted({ voice, neverArrived }: CountDecision, tally: Tally): void {
	for (const { dims, totals } of voice.series) {
		if (!(totals.count > SOMETHING)) continue;
		tally.count += totals.count;
		tally.outcomes[dims.outcome] += totals.count;
	}
	for (const { series, count } of neverArrived) {
		tally.count += count;
		tally.outcomes[series.dims.outcome] += count;
	}
}

/** Adds the statuses of those `counted`; what the deciding voice did not see is not known. */
export function addStatuses(decision: MtlsDecision | undefined, counted: number, { mtlsCounts }: Tally): void {
	let told = 0;
	for (const { dims, totals } of decision?.voice.series ?? []) {
		if (!(totals.count > SOMETHING)) continue;
		told += totals.count;
		mtlsCounts[dims.mtls.status] += totals.count;
	}
	if (told < counted * (1 - 1e-9)) mtlsCounts.unknown += counted - told;
}
