import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { serviceEndpoint } from "../../model/topology/endpoint.ts";
import { EPOCH_MS, factsOf, mutual } from "../../model/topology/hops/hop-kit.ts";
import { HopShapes } from "../../model/topology/hops/hop-shape.ts";
import { HopFinder } from "../../model/topology/hops/trace-hops.ts";
import type { BucketCounts } from "../../model/topology/histogram.ts";
import type { SeriesTotals } from "../../model/topology/rollup.ts";
import { rowsOf, StageBench, type TestSpan } from "./stage-bench.ts";
import { TraceTable } from "./trace-table.ts";
import type { TopologyStage } from "./stage.ts";

const SERVER = 2;
const CLIENT = 3;

function pair(trace: number, startMs: number, more: { readonly outcome?: "server_error" } = {}): [TestSpan, TestSpan] {
	const client = factsOf(CLIENT, "a", { proxy: true, upstream: mutual("spiffe://b", "spiffe://a", "client"), ...more });
	const server = factsOf(SERVER, "b", { proxy: true, downstream: mutual("spiffe://a", "spiffe://b", "server") });
	return [
		{ trace, id: 1, parent: 0, facts: client, startMs, durationMs: 12 },
		{ trace, id: 2, parent: 1, facts: server, startMs: startMs + 1, durationMs: 10 },
	];
}

function bucketsOf(histogram: BucketCounts): (readonly [number, number])[] {
	const buckets: (readonly [number, number])[] = [];
	histogram.forEach((count, index) => {
		if (count !== 0) buckets.push([index, count]);
	});
	return buckets.sort((a, b) => a[0] - b[0]);
}

function summary(totals: Map<string, SeriesTotals>): Record<string, unknown> {
	return Object.fromEntries(
		[...totals].sort().map(([dims, sums]) => [
			dims,
			{
				observed: sums.observed,
				count: Math.round(sums.count * 1e6) / 1e6,
				attempts: sums.attempts,
				codes: [...sums.codes].sort(),
				latency: Math.round(sums.sourceLatencyNs),
				server: Math.round(sums.destinationLatencyNs),
				buckets: bucketsOf(sums.sourceLatency),
			},
		]),
	);
}

test("a pair in one group is an edge at the next flush", () => {
	const bench = new StageBench();
	const stage = bench.start();
	stage.accept(bench.commit(pair(1, EPOCH_MS), EPOCH_MS));
	assert.ok(stage.flush(EPOCH_MS + 2_000, true));
	const [[dims, sums]] = [...bench.totals()] as [[string, SeriesTotals]];
	assert.match(dims, /"pair","both"/);
	assert.equal(sums.observed, 1);
	assert.equal(sums.sourceLatencyNs, 12e6);
	assert.equal(sums.destinationLatencyNs, 10e6);
	for (const resolutionMs of [60_000, 3_600_000, 86_400_000])
		assert.deepEqual(summary(bench.totals(resolutionMs)), summary(bench.totals()));
});

test("a half alone waits for its other half, and is then stated by itself", () => {
	const bench = new StageBench();
	const stage = bench.start();
	const [client] = pair(1, EPOCH_MS);
	stage.accept(bench.commit([client], EPOCH_MS));
	stage.flush(EPOCH_MS + 10_000, true);
	assert.equal(bench.totals().size, 0);
	assert.ok(stage.isWaiting);
	stage.flush(EPOCH_MS + 31_100, true);
	assert.match([...bench.totals().keys()].join(), /"client-only","source"/);
	assert.ok(!stage.isWaiting);
});

test("a half is stated once, at whatever moments of a second it ends and flushes come", () => {
	for (let ended = 0; ended < 1_000; ended += 90) {
		for (let flushed = 0; flushed < 1_000; flushed += 110) {
			const bench = new StageBench();
			const stage = bench.start();
			const [client] = pair(1, EPOCH_MS + ended);
			stage.accept(bench.commit([client], EPOCH_MS));
			for (let second = 28; second < 36; second++) stage.flush(EPOCH_MS + second * 1_000 + flushed, true);
			assert.equal([...bench.totals().values()][0]?.observed, 1, `ended ${ended}, flushed ${flushed}`);
		}
	}
});

test("a half that comes after its time corrects what was said", () => {
	for (const holdMs of [3_600_000, 0]) {
		const bench = new StageBench({ holdMs });
		const stage = bench.start();
		const [client, server] = pair(1, EPOCH_MS);
		stage.accept(bench.commit([client], EPOCH_MS));
		stage.flush(EPOCH_MS + 40_000, true);
		assert.equal(stage.rows, holdMs === 0 ? 0 : 1);
		stage.accept(bench.commit([server], EPOCH_MS + 50_000));
		stage.flush(EPOCH_MS + 52_000, true);
		const [[dims, sums]] = [...bench.totals()] as [[string, SeriesTotals]];
		assert.match(dims, /"pair","both"/);
		assert.equal(bench.totals().size, 1);
		assert.equal(sums.observed, 1);
	}
});

test("thousands of late halves at once are each joined with what was said of them", () => {
	const bench = new StageBench({ holdMs: 0 });
	const stage = bench.start();
	const pairs = Array.from({ length: 3_000 }, (_, i) => pair(i + 1, EPOCH_MS));
	stage.accept(
		bench.commit(
			pairs.map(([client]) => client),
			EPOCH_MS,
		),
	);
	stage.flush(EPOCH_MS + 40_000, true);
	assert.equal(stage.rows, 0);
	stage.accept(
		bench.commit(
			pairs.map(([, server]) => server),
			EPOCH_MS + 50_000,
		),
	);
	stage.flush(EPOCH_MS + 52_000, true);
	assert.equal(stage.drops.notRejoined, 0);
	assert.deepEqual(
		[...bench.totals().values()].map(({ observed }) => observed),
		[3_000],
	);
});

test("a last flush without the time to read traces back leaves its groups to the next start", () => {
	const bench = new StageBench({ holdMs: 0, maxLastReloadMs: -1 });
	const stage = bench.start();
	const [client, server] = pair(1, EPOCH_MS);
	stage.accept(bench.commit([client], EPOCH_MS));
	stage.flush(EPOCH_MS + 40_000, true);
	stage.accept(bench.commit([server], EPOCH_MS + 50_000));
	assert.ok(!stage.flush(EPOCH_MS + 52_000, true, true));
	const next = bench.start();
	for (const group of bench.replay()) next.accept(group);
	next.flush(EPOCH_MS + 54_000, true);
	assert.equal(next.drops.notRejoined, 0);
	const [[dims, sums]] = [...bench.totals()] as [[string, SeriesTotals]];
	assert.match(dims, /"pair","both"/);
	assert.equal(bench.totals().size, 1);
	assert.equal(sums.observed, 1);
});

test("what a full disk refused is written once there is room", () => {
	const bench = new StageBench();
	const stage = bench.start();
	stage.accept(bench.commit(pair(1, EPOCH_MS), EPOCH_MS));
	bench.failures = 2;
	assert.ok(!stage.flush(EPOCH_MS + 2_000, true));
	assert.equal(stage.flushed, undefined);
	stage.accept(bench.commit(pair(2, EPOCH_MS), EPOCH_MS));
	assert.ok(!stage.flush(EPOCH_MS + 4_000, true));
	assert.ok(stage.flush(EPOCH_MS + 6_000, true));
	assert.deepEqual(stage.flushed, { window: "w", commit: 2 });
	assert.equal([...bench.totals().values()][0]!.observed, 2);
});

test("with too many open halves the oldest are stated before their time, counted, and memory stays bounded", () => {
	const maxRows = 1_000;
	const bench = new StageBench({ maxRows });
	const stage = bench.start();
	for (let group = 0; group < 10; group++) {
		const spans = Array.from({ length: 500 }, (_, i): TestSpan => {
			const [client] = pair(group * 500 + i, EPOCH_MS + group * 1_000);
			return client;
		});
		stage.accept(bench.commit(spans, EPOCH_MS + group * 1_000));
		stage.flush(EPOCH_MS + group * 1_000, true);
		assert.ok(stage.rows <= maxRows, `${stage.rows} rows`);
	}
	assert.ok(stage.drops.statedEarly > 0);
	stage.flush(EPOCH_MS + 60_000, true);
	assert.equal(
		[...bench.totals().values()].reduce((sum, { observed }) => sum + observed, 0),
		5_000,
	);
});

test("spans of an implausible time make no edge and are counted", () => {
	const bench = new StageBench();
	const stage = bench.start();
	stage.accept(bench.commit([...pair(1, 0), ...pair(2, EPOCH_MS + 10 * 365 * 86_400_000)], EPOCH_MS));
	stage.flush(EPOCH_MS + 60_000, true);
	assert.equal(bench.totals().size, 0);
	assert.equal(stage.drops.implausibleTime, 4);
});

const SERVICES = ["a", "b", "c", "d"];
const spanArbitrary = fc.record({
	trace: fc.integer({ min: 1, max: 6 }),
	id: fc.integer({ min: 1, max: 9 }),
	parent: fc.integer({ min: 0, max: 9 }),
	kind: fc.constantFrom(1, SERVER, CLIENT),
	service: fc.constantFrom(...SERVICES),
	proxy: fc.boolean(),
	peer: fc.option(fc.constantFrom(...SERVICES), { nil: undefined }),
	retry: fc.constantFrom(0, 0, 0, 1),
	startMs: fc.integer({ min: 0, max: 20_000 }),
	durationMs: fc.integer({ min: 0, max: 5_000 }),
	requestId: fc.constantFrom(0, 0, 7, 8),
	weight: fc.constantFrom(0, 1, 4),
});

const tracesArbitrary = fc
	.uniqueArray(spanArbitrary, { minLength: 1, maxLength: 40, selector: ({ trace, id, kind }) => `${trace}.${id}.${kind}` })
	.map((spans) =>
		spans.map(({ kind, service, proxy, peer, retry, startMs, ...span }): TestSpan => ({
			...span,
			startMs: EPOCH_MS + startMs,
			facts: factsOf(kind, service, {
				proxy,
				retry,
				peer: peer === undefined ? undefined : { endpoint: serviceEndpoint(peer), from: "declared" },
			}),
		})),
	);

/** The truth: each trace whole, evaluated once, with nothing to wait for. */
function truth(spans: readonly TestSpan[]): Record<string, unknown> {
	const bench = new StageBench({ holdMs: 1e12 });
	const stage = bench.start();
	stage.accept(bench.commit(spans, EPOCH_MS));
	stage.flush(EPOCH_MS + 3_600_000, true);
	return summary(bench.totals());
}

test("the graph is the same for every order and batching of arrival, for duplicates, and across kills", () => {
	fc.assert(
		fc.property(
			tracesArbitrary,
			fc.infiniteStream(fc.integer({ min: 0, max: 1_000 })),
			fc.constantFrom(0, 5_000, 1e12),
			(spans, dice, holdMs) => {
				const roll = (below: number): number => Number(dice.next().value) % below;
				const bench = new StageBench({ holdMs });
				let stage: TopologyStage = bench.start();
				let nowMs = EPOCH_MS + 20_000;
				const left = [...spans];
				const sent: TestSpan[] = [];
				while (left.length > 0) {
					const group: TestSpan[] = [];
					for (let n = roll(5); n >= 0 && left.length > 0; n--) group.push(...left.splice(roll(left.length), 1));
					if (sent.length > 0 && roll(4) === 0) group.push(sent[roll(sent.length)]!);
					sent.push(...group);
					nowMs += roll(12_000);
					stage.accept(bench.commit(group, nowMs));
					if (roll(3) === 0) bench.failures = roll(2);
					if (roll(2) === 0) stage.flush(nowMs, roll(2) === 0);
					if (roll(4) > 0) continue;
					// Killed: what was not flushed is gone from memory and comes again from the store.
					stage = bench.start();
					if (roll(2) === 0) stage.readWaiting();
					for (const replayed of bench.replay()) stage.accept(replayed);
					if (roll(2) === 0) stage.readWaiting();
				}
				bench.failures = 0;
				stage.readWaiting();
				stage.flush(nowMs, true);
				stage.flush(nowMs + 3_600_000, true);
				assert.deepEqual(summary(bench.totals()), truth(spans));
			},
		),
		{ numRuns: 500 },
	);
});

test("the sum over edges equals the count of hops", () => {
	fc.assert(
		fc.property(tracesArbitrary, (spans) => {
			const bench = new StageBench();
			const stage = bench.start();
			stage.accept(bench.commit(spans, EPOCH_MS));
			stage.flush(EPOCH_MS + 3_600_000, true);
			let hops = 0;
			for (const trace of new Set(spans.map((span) => span.trace))) {
				const own = spans.filter((span) => span.trace === trace);
				const table = new TraceTable();
				const rows = rowsOf(own);
				const at = table.add(rows.words, 0);
				own.forEach((_, row) => table.addRow(at, rows, row, row, false));
				hops += new HopFinder(new HopShapes()).find(
					table.spansOf(
						at,
						own.map((span) => span.facts),
						false,
					),
					Infinity,
				).hops.length;
			}
			assert.equal(
				[...bench.totals().values()].reduce((sum, { observed }) => sum + observed, 0),
				hops,
			);
		}),
		{ numRuns: 300 },
	);
});
