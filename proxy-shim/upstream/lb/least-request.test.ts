import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../bench/mesh.ts";
import { contextOf, hostOf, hostsOf } from "../../../test/mechanisms/hosts.ts";
import { createLeastRequestPicker } from "./least-request.ts";

test("of two different hosts the less busy one is picked", () => {
	const hosts = hostsOf(2);
	hosts[0]!.activeRequests = 3;
	hosts[1]!.activeRequests = 2;
	const picker = createLeastRequestPicker(seededRandom(1));
	for (let pick = 0; pick < 100; pick++) assert.equal(picker.pick(hosts, contextOf()), hosts[1]);
});

test("the busiest of many hosts gets nothing", () => {
	const hosts = hostsOf(5);
	hosts[3]!.activeRequests = 1;
	const picker = createLeastRequestPicker(seededRandom(2));
	for (let pick = 0; pick < 1_000; pick++) assert.notEqual(picker.pick(hosts, contextOf()), hosts[3]);
});

test("with unequal weights a host's share is its weight over its active requests and one", () => {
	const hosts = [hostOf("a", 4), hostOf("b", 2)];
	hosts[0]!.activeRequests = 3;
	const picker = createLeastRequestPicker(seededRandom(3));
	let a = 0;
	for (let pick = 0; pick < 3_000; pick++) if (picker.pick(hosts, contextOf()) === hosts[0]) a++;
	// 4 / (3 + 1) against 2 / 1.
	assert.ok(Math.abs(a - 1_000) < 5, String(a));
});

test("a weight of 0 counts as 1", () => {
	const hosts = [hostOf("a", 0), hostOf("b", 3)];
	const picker = createLeastRequestPicker(seededRandom(4));
	let a = 0;
	for (let pick = 0; pick < 400; pick++) if (picker.pick(hosts, contextOf()) === hosts[0]) a++;
	assert.ok(Math.abs(a - 100) <= 1, String(a));
});
