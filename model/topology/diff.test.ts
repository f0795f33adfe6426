import assert from "node:assert/strict";
import { test } from "node:test";
import { cannedSeries, type CannedSeries, graphOf } from "./canned-series.ts";
import { diffGraphs, type EdgeChange } from "./diff.ts";

const ms = 1_000_000;

function diff(before: readonly CannedSeries[], after: readonly CannedSeries[], seconds = 60): readonly EdgeChange[] {
	return diffGraphs(
		{ graph: graphOf(cannedSeries(...before)), seconds: 60 },
		{ graph: graphOf(cannedSeries(...after)), seconds },
	);
}

function effects(changes: readonly EdgeChange[]): readonly (readonly string[])[] {
	return changes.map((change) => change.effects.map(({ what }) => what));
}

test("edges that came and went are told with their numbers, the busier first", () => {
	const changes = diff([{ to: "b", count: 600 }, { to: "c" }], [{ to: "c" }, { to: "d", count: 60 }]);
	assert.deepEqual(
		changes.map(({ kind, target, before, after }) => [kind, target, before?.count, after?.count]),
		[
			["gone", "b", 600, undefined],
			["added", "d", undefined, 60],
		],
	);
});

test("an edge too quiet for the other window is not certain to be new or gone", () => {
	const [gone] = diff([{ count: 2 }], []);
	assert.deepEqual([gone?.kind, gone?.certain], ["gone", false]);
	assert.equal(diff([{ count: 60 }], [])[0]?.certain, true);
	assert.equal(diff([{ count: 60 }], [], 2)[0]?.certain, false);
});

test("what scatters by chance is no change", () => {
	assert.deepEqual(diff([{ count: 20 }], [{ count: 30 }]), []);
	assert.deepEqual(
		diff([{ count: 19 }, { outcome: "server_error" }], [{ count: 17 }, { count: 3, outcome: "server_error" }]),
		[],
	);
	assert.deepEqual(diff([{ sourceNs: Array(20).fill(ms) }], [{ sourceNs: Array(20).fill(3 * ms) }]), []);
	// Ten observations scaled up by a hundred scatter like ten.
	assert.deepEqual(diff([{ count: 1_000, observed: 10 }], [{ count: 1_500, observed: 15 }]), []);
});

test("a rate is compared by the second, whatever the lengths of the windows", () => {
	assert.deepEqual(diff([{ count: 6_000 }], [{ count: 600 }], 6), []);
	const [change] = diff([{ count: 6_000 }], [{ count: 6_000 }], 30);
	assert.deepEqual([change?.effects[0]?.what, change?.before?.ratePerSecond, change?.after?.ratePerSecond], ["rate", 100, 200]);
});

test("errors, latency and mTLS that changed are told by name", () => {
	const ok: CannedSeries = { count: 1_000, mtls: "mutual_tls" };
	assert.deepEqual(
		effects(
			diff(
				[ok],
				[
					{ ...ok, count: 900 },
					{ count: 100, outcome: "server_error", mtls: "mutual_tls" },
				],
			),
		),
		[["errors"]],
	);
	const slow = (factor: number): CannedSeries => ({ sourceNs: Array.from({ length: 400 }, (_, i) => factor * (i + 100) * ms) });
	assert.deepEqual(effects(diff([slow(1)], [slow(2)])), [["p95"]]);
	assert.deepEqual(effects(diff([slow(1)], [slow(1.05)])), []);
	assert.deepEqual(effects(diff([ok], [{ ...ok, mtls: "plaintext" }])), [["mtls"]]);
});

test("one request in plaintext is told, however much mTLS there is beside it", () => {
	const ok: CannedSeries = { count: 100_000, mtls: "mutual_tls", verifiedBy: "server" };
	const [change] = diff([ok], [ok, { count: 1, mtls: "plaintext", verifiedBy: "server" }]);
	assert.deepEqual(
		[change?.effects[0]?.what, change?.before?.mtlsStatus, change?.after?.mtlsStatus],
		["mtls", "mutual_tls", "mixed"],
	);
});

test("an edge that was mixed and lost most of its mTLS is told, and one whose share merely scatters is not", () => {
	const mixed = (encrypted: number, plain: number): CannedSeries[] => [
		{ count: encrypted, mtls: "mutual_tls", verifiedBy: "server" },
		{ count: plain, mtls: "plaintext", verifiedBy: "server" },
	];
	const [change] = diff(mixed(900, 100), mixed(400, 600));
	assert.deepEqual(
		change?.effects.map(({ what }) => what),
		["mtls"],
	);
	assert.deepEqual([change.before?.mtlsStatus, change.after?.mtlsPercent], ["mixed", 40]);
	assert.deepEqual(diff(mixed(900, 100), mixed(880, 120)), []);
});

test("mTLS that became known is no change of the traffic", () => {
	assert.deepEqual(diff([{ count: 100 }], [{ count: 100, mtls: "plaintext" }]), []);
});

test("the same windows differ in nothing", () => {
	const some: CannedSeries[] = [
		{ count: 500, sourceNs: [ms, 2 * ms] },
		{ to: "c", protocol: "tcp", count: 5 },
	];
	assert.deepEqual(diff(some, some), []);
});

test("changes are ranked by traffic times effect", () => {
	const failing = (to: string, count: number, errors: number): CannedSeries[] => [
		{ to, count: count - errors },
		{ to, count: errors, outcome: "server_error" },
	];
	const changes = diff(
		[...failing("quiet", 1_000, 0), ...failing("busy", 100_000, 0)],
		[...failing("quiet", 1_000, 900), ...failing("busy", 100_000, 5_000)],
	);
	assert.deepEqual(
		changes.map(({ target }) => target),
		["busy", "quiet"],
	);
});
