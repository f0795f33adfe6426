import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FINAL_BYTES, FINAL_ROWS, LARGE_BYTES, LARGE_ROWS, type MergeableBlock, planMerge } from "./merge-plan.ts";

interface Simulation {
	/** Rows of the blocks that are merged no further. */
	readonly final: number[];
	readonly unmerged: MergeableBlock[];
	/** Rows, and bytes of dictionaries, written by merges. */
	rewritten: number;
	rewrittenBytes: number;
	mostUnmerged: number;
	largestMerge: number;
	largestMergeBytes: number;
	nextId: number;
}

function block(id: number, rows: number, bytesARow = 250): MergeableBlock {
	return {
		id,
		commit: id,
		final: false,
		rows,
		traces: rows,
		minTimeNs: 0n,
		maxTimeNs: 0n,
		minDurationNs: 0,
		maxDurationNs: 0,
		bytes: rows * 60,
		unpackedBytes: rows * bytesARow,
		services: [],
	};
}

/** Takes every merge that is due, as the writer does between commits. */
function settle(state: Simulation, sealing: boolean): void {
	for (let steps = 0; ; steps++) {
		assert.ok(steps < 10_000, "merging comes to an end");
		const plan = planMerge("traces", state.unmerged, sealing);
		if (plan === undefined) return;
		const known = new Set(state.unmerged);
		assert.ok(
			plan.blocks.length > 0 && plan.blocks.every((each) => known.has(each)),
			"only blocks that are not final are merged",
		);
		assert.equal(new Set(plan.blocks).size, plan.blocks.length);
		const gone = new Set(plan.blocks);
		const kept = state.unmerged.filter((each) => !gone.has(each));
		if (plan.kind === "finalise") {
			assert.ok(plan.blocks.every((each) => each.rows >= LARGE_ROWS || each.unpackedBytes >= LARGE_BYTES));
			const before = plan.blocks.slice(0, -1).reduce((total, each) => total + each.unpackedBytes, 0);
			assert.ok(before < FINAL_BYTES, `${before} bytes are read before the last one`);
			state.final.push(...plan.blocks.map((each) => each.rows));
			state.unmerged.splice(0, state.unmerged.length, ...kept);
			continue;
		}
		const rows = plan.blocks.reduce((total, each) => total + each.rows, 0);
		const bytes = plan.blocks.reduce((total, each) => total + each.unpackedBytes, 0);
		state.rewritten += rows;
		state.rewrittenBytes += bytes;
		if (plan.blocks.length > 1) {
			state.largestMerge = Math.max(state.largestMerge, rows);
			state.largestMergeBytes = Math.max(state.largestMergeBytes, bytes);
		}
		if (plan.kind === "complete") state.final.push(rows);
		else kept.push(block(state.nextId++, rows, bytes / rows));
		state.unmerged.splice(0, state.unmerged.length, ...kept);
	}
}

function simulate(commits: readonly number[], bytesARow?: number): Simulation {
	const state: Simulation = {
		final: [],
		unmerged: [],
		rewritten: 0,
		rewrittenBytes: 0,
		mostUnmerged: 0,
		largestMerge: 0,
		largestMergeBytes: 0,
		nextId: 1,
	};
	for (const rows of commits) {
		state.unmerged.push(block(state.nextId++, rows, bytesARow));
		settle(state, false);
		state.mostUnmerged = Math.max(state.mostUnmerged, state.unmerged.length);
	}
	return state;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test("every row ends in a final block, whatever the commits were, and none is lost or doubled", () => {
	const commit = fc.oneof(
		fc.integer({ min: 1, max: 50 }),
		fc.integer({ min: 1, max: 20_000 }),
		fc.constantFrom(FINAL_ROWS, 1_000_000),
	);
	fc.assert(
		fc.property(fc.array(commit, { maxLength: 400 }), (commits) => {
			const state = simulate(commits);
			settle(state, true);
			assert.deepEqual(state.unmerged, []);
			assert.equal(sum(state.final), sum(commits));
		}),
		{ numRuns: 300 },
	);
});

for (const [kind, rows, commits, times] of [
	["single spans", 1, 30_000, 4],
	["requests of 100 spans", 100, 3_000, 2],
	["groups of 1,000 spans", 1_000, 500, 1],
	["groups of 5,000 spans", 5_000, 200, 0],
	["full groups of 65,536 spans", 65_536, 20, 0],
] as const) {
	test(`${kind} are rewritten ${times} times at most, and few blocks wait`, () => {
		const state = simulate(Array.from({ length: commits }, () => rows));
		settle(state, true);
		const amplification = state.rewritten / (rows * commits);
		assert.ok(amplification <= times, `${amplification.toFixed(2)} times`);
		assert.ok(state.mostUnmerged <= 64, `${state.mostUnmerged} blocks wait`);
	});
}

test("no merge of several blocks reads more than two final blocks' rows", () => {
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 200 }), (commits) => {
			const state = simulate(commits);
			settle(state, true);
			assert.ok(state.largestMerge <= FINAL_ROWS * 2, `${state.largestMerge} rows`);
		}),
		{ numRuns: 200 },
	);
});

test("no merge of several blocks reads more than two final blocks' bytes, however large records are", () => {
	const bytesARow = fc.constantFrom(1_000, 20_000, 100_000, 4 << 20);
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 300 }), bytesARow, (commits, bytes) => {
			const state = simulate(commits, bytes);
			settle(state, true);
			assert.equal(sum(state.final), sum(commits));
			assert.ok(state.largestMergeBytes <= FINAL_BYTES * 2, `${state.largestMergeBytes} bytes`);
		}),
		{ numRuns: 200 },
	);
});

for (const [kind, rows, bytesARow, times] of [
	["single records of 100 kB", 1, 100_000, 3],
	["groups of 40 records of 100 kB", 40, 100_000, 1],
	["payloads of 64 records of 1 MiB", 64, 1 << 20, 0],
] as const) {
	test(`${kind} are rewritten ${times} times at most, and few blocks wait`, () => {
		const state = simulate(
			Array.from({ length: 2_000 }, () => rows),
			bytesARow,
		);
		settle(state, true);
		const amplification = state.rewrittenBytes / (rows * bytesARow * 2_000);
		assert.ok(amplification <= times, `${amplification.toFixed(2)} times`);
		assert.ok(state.mostUnmerged <= 64, `${state.mostUnmerged} blocks wait`);
	});
}

test("nothing is merged before there is enough, and everything once the window is sealed", () => {
	const few = Array.from({ length: 15 }, (_, i) => block(i + 1, 10));
	assert.equal(planMerge("traces", few, false), undefined);
	assert.equal(planMerge("traces", [], true), undefined);
	const plan = planMerge("logs", few, true)!;
	assert.deepEqual([plan.signal, plan.kind, plan.blocks], ["logs", "complete", few]);
	assert.equal(planMerge("traces", [...few, block(16, 10)], false)?.kind, "merge");
});
