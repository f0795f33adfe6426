import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../bench/mesh.ts";
import { contextOf, hostOf, hostsOf } from "../../../test/mechanisms/hosts.ts";
import { createPeakEwmaPicker } from "./peak-ewma.ts";

function pickerOf() {
	return createPeakEwmaPicker(30, 10_000, seededRandom(1));
}

test("a host of which nothing is known is expected to take the default, and that is not forgotten", () => {
	const hosts = hostsOf(2);
	const picker = pickerOf();
	picker.onDone(hosts[0]!, 60, 100_000, false);
	for (const [nowMs, expected] of [
		[100_000, hosts[1]],
		[100_000 + 6_800, hosts[1]],
		// 60 ms have been forgotten down to below 30 ms after 10 s · ln 2.
		[100_000 + 7_000, hosts[0]],
	] as const) {
		assert.equal(picker.pick(hosts, contextOf({ nowMs })), expected, `at ${nowMs} ms`);
	}
});

test("a slower answer counts at once, a faster one by the time since the last", () => {
	const host = hostOf("a");
	const picker = pickerOf();
	picker.onDone(host, 200, 1_000, false);
	assert.equal(host.ewmaMs, 200);
	picker.onDone(host, 20, 1_010, false);
	const kept = Math.exp(-10 / 10_000);
	assert.ok(Math.abs(host.ewmaMs - (200 * kept + 20 * (1 - kept))) < 1e-9);
	picker.onDone(host, 20, 11_010, false);
	assert.ok(host.ewmaMs > 80 && host.ewmaMs < 90, String(host.ewmaMs));
	picker.onDone(host, 500, 11_020, false);
	assert.equal(host.ewmaMs, 500);
});

test("requests under way multiply what is expected", () => {
	const hosts = hostsOf(2);
	const picker = pickerOf();
	picker.onDone(hosts[0]!, 40, 1_000, false);
	picker.onDone(hosts[1]!, 90, 1_000, false);
	hosts[0]!.activeRequests = 1;
	assert.equal(picker.pick(hosts, contextOf({ nowMs: 1_000 })), hosts[0]);
	hosts[0]!.activeRequests = 2;
	assert.equal(picker.pick(hosts, contextOf({ nowMs: 1_000 })), hosts[1]);
});

test("a host of twice the weight may be twice as busy", () => {
	const hosts = [hostOf("a", 2), hostOf("b", 1)];
	const picker = pickerOf();
	hosts[0]!.activeRequests = 2;
	hosts[1]!.activeRequests = 1;
	// 3 / 2 against 2 / 1.
	assert.equal(picker.pick(hosts, contextOf({ nowMs: 1 })), hosts[0]);
	hosts[0]!.activeRequests = 4;
	assert.equal(picker.pick(hosts, contextOf({ nowMs: 1 })), hosts[1]);
});

test("a host that fails at once does not look fast", () => {
	const hosts = hostsOf(2);
	const [good, bad] = hosts;
	const picker = pickerOf();
	for (let nowMs = 1; nowMs <= 1_001; nowMs += 10) {
		picker.onDone(good!, 20, nowMs, false);
		picker.onDone(bad!, 1, nowMs, true);
	}
	assert.ok(bad!.ewmaMs > 3 * good!.ewmaMs, `${bad!.ewmaMs} against ${good!.ewmaMs}`);
	assert.equal(picker.pick(hosts, contextOf({ nowMs: 1_001 })), good);
});

test("one failure in a hundred answers hardly moves what is expected", () => {
	const host = hostOf("a");
	const picker = pickerOf();
	for (let i = 1; i <= 10_000; i++) picker.onDone(host, 20, i * 10, i % 100 === 0);
	assert.ok(host.ewmaMs > 20 && host.ewmaMs < 20 + 2 * 0.01 * 960, String(host.ewmaMs));
});

test("a slow host that gets nothing is tried again", () => {
	const hosts = hostsOf(2);
	const picker = pickerOf();
	picker.onDone(hosts[0]!, 2_000, 1_000, false);
	let triedAgainMs = 0;
	for (let nowMs = 1_000; nowMs < 120_000 && triedAgainMs === 0; nowMs += 100) {
		const host = picker.pick(hosts, contextOf({ nowMs }))!;
		if (host === hosts[0]) triedAgainMs = nowMs;
		else picker.onDone(host, 20, nowMs, false);
	}
	// 2 s are forgotten down to 20 ms after 10 s · ln 100.
	assert.ok(triedAgainMs > 40_000 && triedAgainMs < 50_000, String(triedAgainMs));
});

test("a clock that stands still or goes back gives no nonsense", () => {
	const host = hostOf("a");
	const picker = pickerOf();
	for (const nowMs of [7, 7, 12, 9]) picker.onDone(host, 10, nowMs, false);
	assert.ok(host.ewmaMs >= 10 && host.ewmaMs <= 30, String(host.ewmaMs));
});
