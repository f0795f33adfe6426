import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { EPOCH_MS, factsOf, mutual } from "../../model/topology/hops/hop-kit.ts";
import { NUMBER, NUMBERS_A_ROW, WORD, WORDS_A_ROW } from "./record-rows.ts";
import { rowsOf, StageBench } from "./stage-bench.ts";
import { DEFAULT_STAGE_LIMITS, type StageGroup } from "./stage-options.ts";

const HALVES = 1_300_000;
const HALVES_A_GROUP = 50_000;
/** All of them come before the first is no longer waited for. */
const GROUP_MS = 1_000;
const CLIENT = 3;
/** A row has 36 + 24 bytes, a trace some 50 with its place in the table; arrays grow by half and are copied while they do. */
const MAX_BYTES = 400 * 2 ** 20;

test("beyond half a million open halves the oldest are stated early and counted, and memory is bounded", (context: TestContext) => {
	const facts = factsOf(CLIENT, "a", { proxy: true, upstream: mutual("spiffe://b", "spiffe://a", "client") });
	const one = rowsOf([{ trace: 0, id: 1, parent: 0, facts, startMs: EPOCH_MS, durationMs: 5 }]);
	const bench = new StageBench();
	const stage = bench.start();
	const before = process.memoryUsage();
	let mostBytes = 0;
	let mostRows = 0;
	for (let first = 0, group = 0; first < HALVES; first += HALVES_A_GROUP, group++) {
		const nowMs = EPOCH_MS + group * GROUP_MS;
		stage.accept(groupOf(one, first, nowMs));
		stage.flush(nowMs, true);
		// A store keeps the last state only; what the bench would keep of all of them is not the stage's memory.
		const flush = bench.flushes.pop();
		if (flush !== undefined) bench.flushes.push({ ...flush, state: new Uint8Array(0) });
		const { heapUsed, arrayBuffers } = process.memoryUsage();
		mostBytes = Math.max(mostBytes, heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers);
		mostRows = Math.max(mostRows, stage.rows);
	}
	assert.ok(mostRows >= 450_000, `${mostRows} rows were kept at most`);
	assert.ok(mostRows <= DEFAULT_STAGE_LIMITS.maxRows, `${mostRows} rows`);
	assert.ok(mostBytes <= MAX_BYTES, `${mostBytes} bytes`);
	assert.ok(stage.drops.statedEarly >= HALVES - DEFAULT_STAGE_LIMITS.maxRows, `${stage.drops.statedEarly} stated early`);
	stage.flush(EPOCH_MS + 120_000, true);
	assert.ok(stage.rows <= HALVES_A_GROUP, "what was stated goes");
	assert.equal(
		[...bench.totals().values()].reduce((sum, { observed }) => sum + observed, 0),
		HALVES,
	);
	context.diagnostic(
		`${mostRows} rows and ${(mostBytes / 2 ** 20).toFixed(0)} MiB at most, ${stage.drops.statedEarly} stated early of ${HALVES}`,
	);
});

function groupOf(one: ReturnType<typeof rowsOf>, first: number, nowMs: number): StageGroup {
	const words = new Uint32Array(HALVES_A_GROUP * WORDS_A_ROW);
	const numbers = new Float64Array(HALVES_A_GROUP * NUMBERS_A_ROW);
	for (let row = 0; row < HALVES_A_GROUP; row++) {
		words.set(one.words, row * WORDS_A_ROW);
		words[row * WORDS_A_ROW + WORD.traceId + 2] = Math.imul(first + row + 1, 0x9e3779b1);
		words[row * WORDS_A_ROW + WORD.traceId + 3] = first + row + 1;
		numbers.set(one.numbers, row * NUMBERS_A_ROW);
		numbers[row * NUMBERS_A_ROW + NUMBER.startMs] = nowMs;
	}
	const spans = { count: HALVES_A_GROUP, words, numbers, profiles: one.profiles };
	return { ref: { window: "w", commit: first + 1 }, arrivedMs: nowMs, spans, logs: undefined, metrics: new Uint8Array(0) };
}
