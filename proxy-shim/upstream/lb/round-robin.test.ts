import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../../bench/mesh.ts";
import { contextOf, hostOf, hostsOf } from "../../../test/mechanisms/hosts.ts";
import { createRoundRobinPicker } from "./round-robin.ts";

test("equal hosts are picked in turn", () => {
	const hosts = hostsOf(4);
	const picker = createRoundRobinPicker(() => 0.5);
	const turn = Array.from({ length: 8 }, () => hosts.indexOf(picker.pick(hosts, contextOf())!));
	assert.deepEqual(turn, [2, 3, 0, 1, 2, 3, 0, 1]);
});

test("of any sum-of-weights picks in a row each host gets its weight", () => {
	const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 8 });
	fc.assert(
		fc.property(weights, fc.nat(), fc.nat(50), (each, seed, skip) => {
			const hosts = each.map((weight, index) => hostOf(`h${index}`, weight));
			const picker = createRoundRobinPicker(seededRandom(seed));
			for (let i = 0; i < skip; i++) picker.pick(hosts, contextOf());
			const counts = hosts.map(() => 0);
			const total = each.reduce((sum, weight) => sum + weight, 0);
			for (let i = 0; i < total; i++) counts[hosts.indexOf(picker.pick(hosts, contextOf())!)]!++;
			assert.deepEqual(counts, each);
		}),
	);
});

test("a heavy host is spread between the light ones", () => {
	const hosts = [hostOf("heavy", 4), hostOf("b"), hostOf("c"), hostOf("d"), hostOf("e")];
	for (let seed = 0; seed < 50; seed++) {
		const picker = createRoundRobinPicker(seededRandom(seed));
		let others = 0;
		let longest = 0;
		for (let i = 0; i < 200; i++) {
			others = picker.pick(hosts, contextOf()) === hosts[0] ? 0 : others + 1;
			longest = Math.max(longest, others);
		}
		// Every second pick on average; never do all four light ones come twice before it.
		assert.ok(longest <= 4, `${longest} picks without the heavy host`);
	}
});

test("proxies that start together do not all begin with the same host", () => {
	const hosts = [hostOf("a", 2), hostOf("b"), hostOf("c"), hostOf("d")];
	const first = new Set<unknown>();
	for (let seed = 0; seed < 40; seed++) first.add(createRoundRobinPicker(seededRandom(seed)).pick(hosts, contextOf()));
	assert.equal(first.size, 4);
});

test("a million picks do not wear the weights out", () => {
	const hosts = [hostOf("a", 3), hostOf("b", 1)];
	// A weight this small makes deadlines large within few picks.
	const tiny = [hostOf("a", 3e-6), hostOf("b", 1e-6)];
	for (const fleet of [hosts, tiny]) {
		const picker = createRoundRobinPicker(seededRandom(9));
		let heavy = 0;
		for (let i = 0; i < 1_000_000; i++) if (picker.pick(fleet, contextOf()) === fleet[0]) heavy++;
		assert.ok(Math.abs(heavy - 750_000) <= 1, String(heavy));
	}
});
