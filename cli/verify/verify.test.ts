import assert from "node:assert/strict";
import { test } from "node:test";
import type { OtlpSpan, OtlpTracesData } from "../../model/otlp/types.ts";
import { compareTraces } from "./compare.ts";
import { percentilesOf, verifyContinuously } from "./continuous.ts";
import type { ContinuousOptions, ContinuousReport, SendOutcome } from "./continuous.ts";
import { makeTrace } from "./traffic.ts";
import type { RandomBytes } from "./traffic.ts";

/** Deterministic bytes (a 32-bit linear congruence, Numerical Recipes' constants). */
function seeded(seed: number): RandomBytes {
	let state = seed;
	return (count) =>
		Uint8Array.from({ length: count }, () => {
			state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
			return state >>> 24;
		});
}

/** Clocks of fine resolution give fractions. */
const NOW_MS = 1_767_225_600_000.25;

/** All batches as one answer, each span in a group of its own, in another order. */
function regrouped(
	batches: readonly OtlpTracesData[],
	change: (span: OtlpSpan) => OtlpSpan | undefined = (span) => span,
): OtlpTracesData {
	const resourceSpans = batches.flatMap((batch) =>
		(batch.resourceSpans ?? []).flatMap((group) =>
			(group.scopeSpans ?? []).flatMap((scoped) =>
				(scoped.spans ?? []).flatMap((span) => {
					const changed = change(span);
					return changed === undefined ? [] : [{ ...group, scopeSpans: [{ ...scoped, spans: [changed] }] }];
				}),
			),
		),
	);
	return { resourceSpans: resourceSpans.toReversed() };
}

/** As proto3 JSON leaves it: no empty lists, no zero enums. */
function withoutDefaults(span: OtlpSpan): OtlpSpan {
	const { events, links, attributes, status, ...rest } = span;
	return {
		...rest,
		...(events?.length ? { events } : {}),
		...(links?.length ? { links } : {}),
		...(attributes?.length ? { attributes } : {}),
		...(status?.code ? { status } : {}),
	};
}

test("a trace matches itself, however grouped, and with default values left out", () => {
	const random = seeded(1);
	for (let i = 0; i < 200; i++) {
		const trace = makeTrace(random, NOW_MS);
		assert.deepEqual(compareTraces(trace.batches, regrouped(trace.batches, withoutDefaults)), []);
	}
});

test("every changed field, lost span, doubled span and foreign span is found", () => {
	const trace = makeTrace(seeded(7), NOW_MS);
	const first = trace.batches[0]!.resourceSpans![0]!.scopeSpans![0]!.spans![0]!;
	const changes: readonly ((span: OtlpSpan) => OtlpSpan)[] = [
		(span) => ({ ...span, name: `${span.name} ` }),
		(span) => ({ ...span, kind: (span.kind ?? 0) + 1 }),
		(span) => ({ ...span, endTimeUnixNano: (BigInt(span.endTimeUnixNano!) + 1n).toString() }),
		(span) => ({ ...span, status: { code: 1 + (span.status?.code ?? 0) } }),
		(span) => ({ ...span, attributes: [...(span.attributes ?? []), { key: "more", value: { boolValue: false } }] }),
		(span) => ({ ...span, parentSpanId: "ffffffffffffffff" }),
		(span) => ({ ...span, traceState: "x=y" }),
	];
	for (const change of changes) {
		const answer = regrouped(trace.batches, (span) => (span.spanId === first.spanId ? change(span) : span));
		const differences = compareTraces(trace.batches, answer);
		assert.equal(differences.length, 1, change.toString());
		assert.match(differences[0]!, new RegExp(`^span ${first.spanId} differs: expected …`));
	}
	assert.deepEqual(
		compareTraces(
			trace.batches,
			regrouped(trace.batches, (span) => (span === first ? undefined : span)),
		),
		[`span ${first.spanId} is missing`],
	);
	const doubled = regrouped([...trace.batches, trace.batches[0]!]);
	assert.deepEqual(compareTraces(trace.batches, doubled), [`span ${first.spanId} came back 2 times, was written once`]);
	const foreign = regrouped([
		...trace.batches,
		{ resourceSpans: [{ scopeSpans: [{ spans: [{ spanId: "0123456789abcdef" }] }] }] },
	]);
	assert.deepEqual(compareTraces(trace.batches, foreign), ["span 0123456789abcdef was never written"]);
});

test("a value's type is part of the value", () => {
	const one = (value: object): OtlpTracesData => ({
		resourceSpans: [{ scopeSpans: [{ spans: [{ spanId: "01", attributes: [{ key: "k", value }] }] }] }],
	});
	assert.equal(compareTraces([one({ intValue: "1" })], one({ stringValue: "1" })).length, 1);
	assert.equal(compareTraces([one({ intValue: "0" })], one({})).length, 1);
	assert.equal(compareTraces([one({ stringValue: "" })], one({ boolValue: false })).length, 1);
	assert.equal(compareTraces([one({ intValue: 5 })], one({ intValue: "5" })).length, 0);
});

interface FakeServer {
	readonly send?: (store: OtlpTracesData[], batch: OtlpTracesData, call: number) => SendOutcome;
	readonly fetch?: (
		store: OtlpTracesData[],
		traceId: string,
		call: number,
		find: () => OtlpTracesData | undefined,
	) => OtlpTracesData | undefined;
}

/** A clock that jumps to the next sleeper once nothing else can run. */
class VirtualClock {
	nowMs = 0;
	private readonly sleepers: { readonly atMs: number; readonly wake: () => void }[] = [];

	sleep(ms: number): Promise<void> {
		const slept = Promise.withResolvers<void>();
		this.sleepers.push({ atMs: this.nowMs + ms, wake: slept.resolve });
		setImmediate(() => this.wakeNext());
		return slept.promise;
	}

	private wakeNext(): void {
		this.sleepers.sort((a, b) => a.atMs - b.atMs);
		const next = this.sleepers.shift();
		if (next === undefined) return;
		this.nowMs = Math.max(this.nowMs, next.atMs);
		next.wake();
	}
}

async function runAgainst(server: FakeServer, more: Partial<ContinuousOptions> = {}): Promise<ContinuousReport> {
	const store: OtlpTracesData[] = [];
	const clock = new VirtualClock();
	let sends = 0;
	let fetches = 0;
	const ofTrace = (traceId: string): OtlpTracesData | undefined => {
		const own = store.filter((batch) => batch.resourceSpans?.[0]?.scopeSpans?.[0]?.spans?.[0]?.traceId === traceId);
		return own.length === 0 ? undefined : regrouped(own);
	};
	return verifyContinuously({
		intervalMs: 1_000,
		durationMs: 5_000,
		deadlineMs: 2_000,
		random: seeded(3),
		nowMs: () => clock.nowMs,
		signal: new AbortController().signal,
		sleep: (ms) => clock.sleep(ms),
		send: async (batch) => {
			const outcome = server.send?.(store, batch, sends++) ?? { kind: "acknowledged" };
			if (outcome.kind === "acknowledged") store.push(batch);
			return outcome;
		},
		fetchTrace: async (traceId) =>
			server.fetch === undefined ? ofTrace(traceId) : server.fetch(store, traceId, fetches++, () => ofTrace(traceId)),
		say: () => {},
		...more,
	});
}

test("a server that keeps what it acknowledged passes", async () => {
	const report = await runAgainst({});
	assert.equal(report.ok, true);
	assert.equal(report.written, 5);
	assert.equal(report.matched, 5);
	assert.equal(report.acknowledgeMs.max, 0);
});

test("a server that forgets is reported as missing", async () => {
	const report = await runAgainst({ fetch: () => undefined });
	assert.equal(report.ok, false);
	assert.equal(report.missing.length, 5);
});

test("a server that loses one of two batches is reported as wrong", async () => {
	const report = await runAgainst({ fetch: (store) => regrouped(store.slice(-1)) });
	assert.equal(report.ok, false);
	assert.equal(report.wrong.length, 5);
	assert.match(report.wrong[0]!.differences.join(), /is missing|was never written/);
});

test("a server whose first answer lacks what it acknowledged is late, one that gave no answer is not", async () => {
	const seen = new Set<string>();
	const slow = await runAgainst({
		fetch: (_, traceId, __, find) => (seen.has(traceId) ? find() : (seen.add(traceId), undefined)),
	});
	assert.equal(slow.ok, false);
	assert.deepEqual([slow.matched, slow.late.length, slow.missing.length], [5, 5, 0]);
	const busy = await runAgainst({
		fetch: (_, __, call, find) => {
			if (call < 3) throw new Error("HTTP 503");
			return find();
		},
	});
	assert.deepEqual([busy.matched, busy.late.length], [5, 0]);
});

test("refusals that may be retried are retried, and cost nothing", async () => {
	const report = await runAgainst({
		send: (_, __, call) => (call % 3 === 0 ? { kind: "retry", reason: "HTTP 503", afterMs: 10 } : { kind: "acknowledged" }),
	});
	assert.equal(report.ok, true);
	assert.ok(report.retries > 0);
});

test("what is never acknowledged is reported apart from what is lost", async () => {
	const down = await runAgainst({ send: () => ({ kind: "retry", reason: "connection refused", afterMs: 100 }) });
	assert.equal(down.ok, false);
	assert.equal(down.unacknowledged.length, down.written);
	assert.deepEqual(down.missing, []);
	const refused = await runAgainst({ send: () => ({ kind: "refused", reason: "HTTP 401" }) });
	assert.equal(refused.unacknowledged[0]?.reason, "HTTP 401");
});

test("a run that wrote nothing has shown nothing", async () => {
	assert.equal((await runAgainst({}, { durationMs: 0 })).ok, false);
});

test("percentiles are nearest ranks", () => {
	assert.deepEqual(percentilesOf(Array.from({ length: 100 }, (_, i) => 100 - i)), { p50: 50, p90: 90, p99: 99, max: 100 });
	assert.deepEqual(percentilesOf([]), { p50: 0, p90: 0, p99: 0, max: 0 });
});
