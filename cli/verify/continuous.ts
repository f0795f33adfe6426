/**
 * Writes traces through OTLP/HTTP and reads each back by its ID until it is exactly what was written: the promise of the
 * acknowledgement, watched from outside.
 */
import type { OtlpTracesData } from "../../model/otlp/types.ts";
import { compareTraces } from "./compare.ts";
import { makeTrace } from "./traffic.ts";
import type { RandomBytes, WrittenTrace } from "./traffic.ts";

export interface ContinuousOptions {
	/** Between two traces. */
	readonly intervalMs: number;
	readonly durationMs: number;
	/** Beyond it a trace that is not there, or differs, is reported as missing or wrong. */
	readonly deadlineMs: number;
	readonly random: RandomBytes;
	readonly nowMs: () => number;
	/** Ends the run early; the report is still made. */
	readonly signal: AbortSignal;
	readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
	/** One batch to OTLP/HTTP. */
	readonly send: (batch: OtlpTracesData) => Promise<SendOutcome>;
	/** The trace by its ID; undefined where the server knows none. Throws when there is no answer. */
	readonly fetchTrace: (traceId: string) => Promise<OtlpTracesData | undefined>;
	readonly say: (line: string) => void;
}

export type SendOutcome =
	| { readonly kind: "acknowledged" }
	| { readonly kind: "retry"; readonly reason: string; readonly afterMs: number }
	| { readonly kind: "refused"; readonly reason: string };

export interface ContinuousReport {
	readonly ok: boolean;
	readonly written: number;
	readonly matched: number;
	/** Acknowledged, and not found. */
	readonly missing: readonly string[];
	/** Acknowledged, and found otherwise than written. */
	readonly wrong: readonly { readonly traceId: string; readonly differences: readonly string[] }[];
	/** Found as written in the end, but not by the first answer after the acknowledgement: acknowledged data must be visible. */
	readonly late: readonly string[];
	/** Never acknowledged before the deadline. */
	readonly unacknowledged: readonly { readonly traceId: string; readonly reason: string }[];
	readonly retries: number;
	readonly acknowledgeMs: Percentiles;
	/** From acknowledgement to the first answer that matched. */
	readonly readBackMs: Percentiles;
}

export interface Percentiles {
	readonly p50: number;
	readonly p90: number;
	readonly p99: number;
	readonly max: number;
}

const MAX_PENDING = 32;
const POLL_MS = 100;
/** Traces that are read once more at the end: merging and retention must not change what is kept. */
const REREAD = 1_000;

export async function verifyContinuously(options: ContinuousOptions): Promise<ContinuousReport> {
	const tally = newTally();
	const endMs = options.nowMs() + options.durationMs;
	const pending = new Set<Promise<void>>();
	let nextMs = options.nowMs();
	while (options.nowMs() < endMs && !options.signal.aborted) {
		if (pending.size < MAX_PENDING) {
			const one = verifyOne(options, tally).finally(() => pending.delete(one));
			pending.add(one);
		}
		nextMs += options.intervalMs;
		const pauseMs = Math.min(nextMs, endMs) - options.nowMs();
		if (pauseMs > 0) await options.sleep(pauseMs, options.signal);
		else nextMs = options.nowMs();
	}
	await Promise.all(pending);
	for (const written of tally.kept) await readAgain(options, tally, written);
	return {
		ok:
			tally.written > 0 &&
			tally.missing.length + tally.wrong.length + tally.late.length + tally.unacknowledged.length === 0,
		written: tally.written,
		matched: tally.matched,
		missing: tally.missing,
		wrong: tally.wrong,
		late: tally.late,
		unacknowledged: tally.unacknowledged,
		retries: tally.retries,
		acknowledgeMs: percentilesOf(tally.acknowledgeMs),
		readBackMs: percentilesOf(tally.readBackMs),
	};
}

interface Tally {
	written: number;
	matched: number;
	retries: number;
	missing: string[];
	wrong: { traceId: string; differences: string[] }[];
	late: string[];
	unacknowledged: { traceId: string; reason: string }[];
	acknowledgeMs: number[];
	readBackMs: number[];
	kept: WrittenTrace[];
}

function newTally(): Tally {
	return {
		written: 0,
		matched: 0,
		retries: 0,
		missing: [],
		wrong: [],
		late: [],
		unacknowledged: [],
		acknowledgeMs: [],
		readBackMs: [],
		kept: [],
	};
}

async function verifyOne(options: ContinuousOptions, tally: Tally): Promise<void> {
	const trace = makeTrace(options.random, options.nowMs());
	tally.written++;
	for (const batch of trace.batches) {
		const reason = await sendUntilAcknowledged(options, tally, batch);
		if (reason === undefined) continue;
		tally.unacknowledged.push({ traceId: trace.traceId, reason });
		options.say(`not acknowledged: ${trace.traceId} (${reason})`);
		return;
	}
	const acknowledgedMs = options.nowMs();
	const { verdict, staleAnswers } = await readUntilMatch(options, trace, acknowledgedMs + options.deadlineMs);
	if (verdict === "missing") {
		tally.missing.push(trace.traceId);
		options.say(`missing: ${trace.traceId}`);
		return;
	}
	if (verdict !== "match") {
		tally.wrong.push({ traceId: trace.traceId, differences: verdict });
		options.say(`wrong: ${trace.traceId}: ${verdict.join("; ")}`);
		return;
	}
	tally.matched++;
	tally.readBackMs.push(options.nowMs() - acknowledgedMs);
	if (staleAnswers > 0) {
		tally.late.push(trace.traceId);
		options.say(`late: ${trace.traceId}, after ${staleAnswers} answers without it`);
	}
	if (tally.kept.length === REREAD) tally.kept[Math.floor((options.random(1)[0]! / 256) * REREAD)] = trace;
	else tally.kept.push(trace);
}

/** Undefined once acknowledged, else why not. */
async function sendUntilAcknowledged(
	options: ContinuousOptions,
	tally: Tally,
	batch: OtlpTracesData,
): Promise<string | undefined> {
	const startMs = options.nowMs();
	for (;;) {
		const sentMs = options.nowMs();
		const outcome = await options.send(batch);
		if (outcome.kind === "acknowledged") {
			tally.acknowledgeMs.push(options.nowMs() - sentMs);
			return undefined;
		}
		if (outcome.kind === "refused" || options.nowMs() - startMs + outcome.afterMs > options.deadlineMs) return outcome.reason;
		tally.retries++;
		await options.sleep(outcome.afterMs);
	}
}

interface ReadBack {
	readonly verdict: "match" | "missing" | string[];
	/** Answers that did not have the whole trace; requests that got no answer are none. */
	readonly staleAnswers: number;
}

async function readUntilMatch(options: ContinuousOptions, trace: WrittenTrace, deadlineMs: number): Promise<ReadBack> {
	for (let staleAnswers = 0; ;) {
		let verdict: "missing" | string[] = "missing";
		try {
			const answer = await options.fetchTrace(trace.traceId);
			if (answer !== undefined) verdict = compareTraces(trace.batches, answer);
			if (verdict !== "missing" && verdict.length === 0) return { verdict: "match", staleAnswers };
			staleAnswers++;
		} catch (error) {
			verdict = [`could not be read: ${error instanceof Error ? error.message : String(error)}`];
		}
		if (options.nowMs() + POLL_MS > deadlineMs) return { verdict, staleAnswers };
		await options.sleep(POLL_MS);
	}
}

async function readAgain(options: ContinuousOptions, tally: Tally, trace: WrittenTrace): Promise<void> {
	const { verdict } = await readUntilMatch(options, trace, options.nowMs());
	if (verdict === "match") return;
	tally.matched--;
	if (verdict === "missing") tally.missing.push(trace.traceId);
	else tally.wrong.push({ traceId: trace.traceId, differences: verdict });
	options.say(`no longer as written: ${trace.traceId}`);
}

/** Nearest rank; zeros without values. */
export function percentilesOf(values: readonly number[]): Percentiles {
	const sorted = values.toSorted((a, b) => a - b);
	const at = (share: number): number => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
	return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}
