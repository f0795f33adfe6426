import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../../bench/mesh.ts";
import type { LoadBalancer } from "../../../model/mesh/proxy-config.ts";
import { contextOf, hostOf, hostsOf } from "../../../test/mechanisms/hosts.ts";
import type { Host } from "../host.ts";
import { createPicker } from "./picker.ts";

const KINDS: readonly LoadBalancer[] = [
	{ kind: "round_robin" },
	{ kind: "random" },
	{ kind: "least_request" },
	{ kind: "peak_ewma", defaultRttMs: 30, decayMs: 10_000 },
	{ kind: "ring_hash", minimumRingSize: 64, hash: { on: "source_ip" } },
];

const fleets = fc
	.array(fc.record({ weight: fc.constantFrom(0, 1, 1, 1, 2, 5, 100), active: fc.nat(20), tried: fc.boolean() }), {
		minLength: 1,
		maxLength: 12,
	})
	.map((specs) => {
		const hosts = specs.map(({ weight }, index) => hostOf(`h${index}`, weight));
		for (const [index, { active }] of specs.entries()) hosts[index]!.activeRequests = active;
		return { hosts, tried: new Set(hosts.filter((_, index) => specs[index]!.tried)) };
	});

for (const lb of KINDS) {
	test(`${lb.kind}: a host that was tried is not picked while there is another`, () => {
		fc.assert(
			fc.property(fleets, fc.nat(), ({ hosts, tried }, seed) => {
				const picker = createPicker(lb, seededRandom(seed));
				for (let pick = 0; pick < 20; pick++) {
					const host = picker.pick(hosts, contextOf({ nowMs: pick, hash: Math.imul(pick, seed) >>> 0, tried }));
					assert.ok(host !== undefined && hosts.includes(host));
					if (tried.size < hosts.length) assert.ok(!tried.has(host));
				}
			}),
		);
	});

	test(`${lb.kind}: no hosts give none, one host gives itself though it was tried`, () => {
		const picker = createPicker(lb, seededRandom(1));
		const only = hostOf("only");
		assert.equal(picker.pick([], contextOf()), undefined);
		assert.equal(picker.pick([only], contextOf({ tried: new Set([only]) })), only);
	});

	test(`${lb.kind}: a host that is gone is not picked again, a new one is`, () => {
		const picker = createPicker(lb, seededRandom(2));
		const before = hostsOf(6);
		const after = [...before.slice(1), hostOf("new")];
		const seen = new Set<Host>();
		for (let pick = 0; pick < 50; pick++) picker.pick(before, contextOf({ hash: pick * 85_899_345 }));
		for (let pick = 0; pick < 2_000; pick++) seen.add(picker.pick(after, contextOf({ hash: (pick * 85_899_345) >>> 0 }))!);
		assert.deepEqual(seen, new Set(after));
	});

	test(`${lb.kind}: hosts that were tried without end are left by all picks, whatever random gives`, () => {
		const hosts = hostsOf(5);
		for (const value of [0, 0.2, 0.999_999_999]) {
			const picker = createPicker(lb, () => value);
			const tried = new Set(hosts.slice(0, 4));
			assert.equal(picker.pick(hosts, contextOf({ tried, hash: 77 })), hosts[4]);
		}
	});
}

test("weights divide random, least request and round robin", () => {
	const hosts = [hostOf("a", 6), hostOf("b", 3), hostOf("c", 1)];
	for (const lb of KINDS.slice(0, 3)) {
		const picker = createPicker(lb, seededRandom(5));
		const counts = new Map<Host, number>();
		for (let pick = 0; pick < 10_000; pick++) {
			const host = picker.pick(hosts, contextOf())!;
			counts.set(host, (counts.get(host) ?? 0) + 1);
		}
		for (const host of hosts) {
			const share = counts.get(host)! / 10_000;
			assert.ok(Math.abs(share - host.endpoint.weight / 10) < 0.02, `${lb.kind} ${host.endpoint.id}: ${share}`);
		}
	}
});
