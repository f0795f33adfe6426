/**
 * The oracle of the crash tests: which batches were acknowledged, which were refused, and of which nobody heard. What the server must
 * hold afterwards follows from it alone:
 * - an acknowledged trace is there with each of its records once,
 * - a refused one is absent (until it is sent again),
 * - one without an answer is there whole or not at all.
 */
import { getLogs, getSpanIds } from "../interop/api.ts";
import type { Batch } from "./batches.ts";
import type { Outcome } from "./sending.ts";

export interface Ledger {
	readonly acked: Batch[];
	readonly refused: Batch[];
	readonly unknown: Batch[];
}

export interface Verdict {
	/** Traces that were looked up. */
	checked: number;
	/** Acknowledged records that are missing. */
	lost: number;
	/** Records that are there more than once. */
	double: number;
	/** Batches without an answer of which a part is there. */
	torn: number;
	/** Records of refused batches that are there. */
	refusedButStored: number;
	/** Records found of batches without an answer. */
	unknownStored: number;
	readonly examples: string[];
}

export function emptyLedger(): Ledger {
	return { acked: [], refused: [], unknown: [] };
}

/** Keeps the ids only: a long run sends more bytes than fit in memory. */
export function enter(ledger: Ledger, batch: Batch, outcome: Outcome): void {
	ledger[outcome.kind].push({ ...batch, bytes: NO_BYTES });
}

const NO_BYTES = new Uint8Array(0);

/** Some of what was acknowledged, spread over the whole run, for when all of it would be too much; all that nobody heard of. */
export function sample(ledger: Ledger, batches: number): Ledger {
	const step = Math.max(1, Math.floor(ledger.acked.length / batches));
	return { acked: ledger.acked.filter((_, i) => i % step === 0), refused: [], unknown: ledger.unknown };
}

/** Lookups at a time: enough to keep the readers busy, few enough to be answered promptly. */
const CONCURRENT_LOOKUPS = 8;

export async function verify(http: string, ledger: Ledger): Promise<Verdict> {
	const verdict: Verdict = { checked: 0, lost: 0, double: 0, torn: 0, refusedButStored: 0, unknownStored: 0, examples: [] };
	const tasks = [
		...ledger.acked.map((batch) => ({ batch, kind: "acked" as const })),
		...ledger.refused.map((batch) => ({ batch, kind: "refused" as const })),
		...ledger.unknown.map((batch) => ({ batch, kind: "unknown" as const })),
	];
	let next = 0;
	await Promise.all(
		Array.from({ length: CONCURRENT_LOOKUPS }, async () => {
			for (let task = tasks[next++]; task !== undefined; task = tasks[next++])
				await verifyBatch(http, task.batch, task.kind, verdict);
		}),
	);
	return verdict;
}

async function verifyBatch(http: string, batch: Batch, kind: keyof Ledger, verdict: Verdict): Promise<void> {
	let present = 0;
	for (const [i, traceId] of batch.traceIds.entries()) {
		const expected = batch.spanIds.slice(i * batch.recordsPerTrace, (i + 1) * batch.recordsPerTrace);
		const found = await recordsOf(http, batch, traceId);
		verdict.checked++;
		const distinct = new Set(found);
		if (found.length !== distinct.size) {
			verdict.double += found.length - distinct.size;
			verdict.examples.push(`${kind} ${batch.signal} ${traceId}: ${found.length - distinct.size} records double`);
		}
		const here = expected.filter((id) => distinct.has(id)).length;
		present += here;
		if (kind === "acked" && here < expected.length) {
			verdict.lost += expected.length - here;
			verdict.examples.push(
				`acked ${batch.signal} ${traceId}: ${expected.length - here} of ${expected.length} records lost`,
			);
		}
		if (distinct.size > here)
			verdict.examples.push(`${kind} ${batch.signal} ${traceId}: ${distinct.size - here} records that were never sent`);
	}
	if (kind === "refused") {
		verdict.refusedButStored += present;
		if (present > 0)
			verdict.examples.push(`refused ${batch.signal} batch of ${batch.traceIds[0]}: ${present} records stored`);
	}
	if (kind === "unknown") {
		verdict.unknownStored += present;
		if (present > 0 && present < batch.spanIds.length) {
			verdict.torn++;
			verdict.examples.push(
				`unanswered ${batch.signal} batch of ${batch.traceIds[0]}: ${present} of ${batch.spanIds.length} records stored`,
			);
		}
	}
}

/** Span ids of the trace's records, as often as they are there. */
async function recordsOf(http: string, batch: Batch, traceId: string): Promise<string[]> {
	if (batch.signal === "traces") return getSpanIds(http, traceId);
	return (await getLogs(http, { traceId, limit: "1000" })).map(({ spanId }) => spanId);
}

/** Throws with examples unless nothing is wrong. */
export function assertClean(verdict: Verdict): void {
	if (verdict.examples.length === 0) return;
	const { checked, lost, double, torn, refusedButStored } = verdict;
	throw new Error(
		`${JSON.stringify({ checked, lost, double, torn, refusedButStored })}\n${verdict.examples.slice(0, 10).join("\n")}`,
	);
}
