import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshPointAnswer } from "../../api/contract/topology.ts";
import {
	chartOf,
	momentText,
	movedTo,
	played,
	playStart,
	rangeFor,
	readHistorySettings,
	stretched,
	windowOf,
} from "./graph-history.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = Date.UTC(2026, 0, 10, 12, 34, 56);
const limits = { fromMs: NOW - HOUR, toMs: NOW };
const window = { fromMs: NOW - 30 * MINUTE, toMs: NOW - 15 * MINUTE };

test("the address gives a window, or none that can be read", () => {
	assert.deepEqual(windowOf({ from: "now-15m", to: "" }, NOW), { fromMs: NOW - 15 * MINUTE, toMs: NOW });
	assert.deepEqual(windowOf({ from: momentText(NOW - 1_000), to: momentText(NOW) }, NOW), { fromMs: NOW - 1_000, toMs: NOW });
	for (const [from, to] of [
		["yesterday", ""],
		["now-1h", "tea"],
		["now", "now-1h"],
	] as const)
		assert.equal(windowOf({ from, to }, NOW), undefined, `${from} ${to}`);
});

test("the stretch is the shortest that has the window, with room around it where that is to be had", () => {
	const key = (fromAgo: number, toAgo: number) => rangeFor({ fromMs: NOW - fromAgo, toMs: NOW - toAgo }, NOW).key;
	assert.equal(key(15 * MINUTE, 0), "1h");
	assert.equal(key(HOUR, 0), "24h");
	assert.equal(key(25 * HOUR, 24 * HOUR), "7d");
	assert.equal(key(20 * 24 * HOUR, 0), "30d");
	assert.equal(key(80 * 24 * HOUR, 0), "30d");
	assert.equal(rangeFor(undefined, NOW).key, "1h");
	assert.deepEqual(readHistorySettings(new URLSearchParams("history=7d&play=2")), {
		...{ isShown: true, speed: 2 },
		range: rangeFor({ fromMs: NOW - 25 * HOUR, toMs: NOW - 24 * HOUR }, NOW),
	});
	assert.equal(readHistorySettings(new URLSearchParams("history=off&play=9")).speed, undefined);
});

test("a window keeps its length and its steps, and does not leave the stretch", () => {
	const moved = movedTo(window, window.fromMs + 2.4 * MINUTE, MINUTE, limits);
	assert.equal(moved.fromMs % MINUTE, 0);
	assert.equal(moved.toMs - moved.fromMs, 15 * MINUTE);
	assert.deepEqual(movedTo(window, 0, MINUTE, limits), { fromMs: limits.fromMs, toMs: limits.fromMs + 15 * MINUTE });
	assert.deepEqual(movedTo(window, NOW, MINUTE, limits), { fromMs: NOW - 15 * MINUTE, toMs: NOW });
	assert.deepEqual(movedTo({ fromMs: 0, toMs: 9 * HOUR }, NOW, MINUTE, limits), limits, "longer than the stretch");
});

test("an end is moved alone, and a step remains between the two", () => {
	assert.equal(stretched(window, "from", 0, MINUTE, limits).fromMs, limits.fromMs);
	assert.equal(stretched(window, "from", NOW, MINUTE, limits).fromMs, window.toMs - MINUTE);
	assert.equal(stretched(window, "to", 0, MINUTE, limits).toMs, window.fromMs + MINUTE);
	assert.equal(stretched(window, "to", 2 * NOW, MINUTE, limits).toMs, NOW);
});

test("a play goes step by step to the end and no further, from where data begins when it was at the end", () => {
	const start = playStart({ fromMs: NOW - 15 * MINUTE, toMs: NOW }, MINUTE, limits, NOW - 40 * MINUTE);
	assert.ok(Math.abs(start.fromMs - (NOW - 40 * MINUTE)) <= MINUTE);
	assert.deepEqual(playStart(window, MINUTE, limits, undefined), window);
	let steps = 0;
	for (let at = played(window, MINUTE, limits); at !== undefined; at = played(at, MINUTE, limits)) {
		assert.ok(at.toMs <= NOW);
		assert.ok(++steps < 20);
	}
	assert.ok(steps >= 14);
});

test("the chart draws requests, and connections only where there is nothing else", () => {
	const none = { mutual_tls: 0, tls: 0, plaintext: 0, none: 0, mixed: 0, unknown: 0 };
	const point = (requests: number, connections: number): MeshPointAnswer => ({
		...{ time: momentText(NOW), requests, errors: requests / 4, connections, connectionErrors: 0 },
		...{ requestMtls: { ...none, plaintext: 2, tls: 1, unknown: 9 }, connectionMtls: none },
	});
	const chart = chartOf({ points: [point(8, 100), point(0, 7)] });
	assert.deepEqual([chart.unit, chart.most, chart.worst, chart.bars.length], ["requests", 8, 0.25, 1]);
	assert.deepEqual([chart.bars[0]!.unprotected, chart.bars[0]!.known], [3, 3]);
	assert.deepEqual(chartOf({ points: [point(0, 7)] }).unit, "connections");
	assert.deepEqual(chartOf({ points: [] }), { unit: "connections", bars: [], most: 1, worst: 0 });
});
