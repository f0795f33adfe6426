import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { contextOf, hostOf, hostsOf } from "../../../test/mechanisms/hosts.ts";
import type { Host } from "../host.ts";
import { hashOf } from "./hash.ts";
import { createRingHashPicker } from "./ring-hash.ts";

const KEYS = Array.from({ length: 2_000 }, (_, index) => hashOf(`user-${index}`));

function ownersOf(hosts: readonly Host[], minimumRingSize = 1_024): readonly string[] {
	const picker = createRingHashPicker(minimumRingSize);
	return KEYS.map((hash) => picker.pick(hosts, contextOf({ hash }))!.endpoint.id);
}

test("the same hash goes to the same host, in whatever order hosts are told", () => {
	const hosts = hostsOf(7);
	assert.deepEqual(ownersOf(hosts), ownersOf(hosts.toReversed()));
});

test("a host that leaves takes no key with it but its own", () => {
	fc.assert(
		fc.property(fc.integer({ min: 3, max: 64 }), fc.nat(), (count, leaving) => {
			const hosts = hostsOf(count);
			const gone = hosts[leaving % count]!;
			const before = ownersOf(hosts);
			const after = ownersOf(hosts.filter((host) => host !== gone));
			for (const [key, owner] of before.entries()) {
				if (owner !== gone.endpoint.id) assert.equal(after[key], owner);
			}
		}),
		{ numRuns: 30 },
	);
});

test("a host that comes takes about its share of the keys, and no key moves between the others", () => {
	for (const count of [2, 3, 7, 12, 20, 63]) {
		const before = ownersOf(hostsOf(count));
		const after = ownersOf([...hostsOf(count), hostOf("new")]);
		let moved = 0;
		for (const [key, owner] of after.entries()) {
			if (owner === before[key]) continue;
			moved++;
			assert.equal(owner, "new");
		}
		const fair = KEYS.length / (count + 1);
		assert.ok(moved > 0.5 * fair && moved < 1.5 * fair, `${moved} of ${KEYS.length} keys moved to one of ${count + 1} hosts`);
	}
});

test("hosts of unequal weights keep their keys too while the average weight stays near", () => {
	const hosts = Array.from({ length: 15 }, (_, index) => hostOf(`h${index}`, 5 + (index % 3)));
	for (const gone of [hosts[0]!, hosts[2]!]) {
		const before = ownersOf(hosts);
		const after = ownersOf(hosts.filter((host) => host !== gone));
		for (const [key, owner] of before.entries()) if (owner !== gone.endpoint.id) assert.equal(after[key], owner);
	}
});

test("beyond 64 hosts too a host that leaves takes no key with it but its own", () => {
	const hosts = hostsOf(150);
	const before = ownersOf(hosts);
	const after = ownersOf(hosts.slice(1));
	for (const [key, owner] of before.entries()) if (owner !== hosts[0]!.endpoint.id) assert.equal(after[key], owner);
});

test("each host owns about its share", () => {
	for (const count of [2, 5, 10, 50, 100]) {
		const counts = new Map<string, number>();
		const picker = createRingHashPicker(1_024);
		const hosts = hostsOf(count);
		for (let i = 0; i < 20_000; i++) {
			const { id } = picker.pick(hosts, contextOf({ hash: Math.floor((i / 20_000) * 2 ** 32) }))!.endpoint;
			counts.set(id, (counts.get(id) ?? 0) + 1);
		}
		for (const owned of counts.values())
			assert.ok(Math.abs(owned / (20_000 / count) - 1) < (count > 64 ? 0.4 : 0.2), `${owned} of ${count}`);
		assert.equal(counts.size, count);
	}
});

test("weights divide the ring", () => {
	const owners = ownersOf([hostOf("a", 300), hostOf("b", 100)]);
	const share = owners.filter((owner) => owner === "a").length / owners.length;
	assert.ok(share > 0.68 && share < 0.82, String(share));
});

test("a key whose host was tried goes where it would go without that host", () => {
	const hosts = hostsOf(12);
	const picker = createRingHashPicker(1_024);
	const other = createRingHashPicker(1_024);
	for (const hash of KEYS.slice(0, 300)) {
		const first = picker.pick(hosts, contextOf({ hash }))!;
		const second = picker.pick(hosts, contextOf({ hash, tried: new Set([first]) }))!;
		assert.equal(
			second,
			other.pick(
				hosts.filter((host) => host !== first),
				contextOf({ hash }),
			),
		);
	}
});

test("weights that are far apart do not make a ring without bound", () => {
	const hosts = [hostOf("a", 1), hostOf("b", 1e12), ...hostsOf(50)];
	const picker = createRingHashPicker(1_024);
	assert.equal(picker.pick(hosts, contextOf({ hash: 5 })), hosts[1]);
	const many = Array.from({ length: 5_000 }, (_, index) => hostOf(`h${index}`));
	assert.ok(many.includes(createRingHashPicker(8_388_608).pick(many, contextOf({ hash: 5 }))!));
});

test("hashes at the ends of the ring have an owner", () => {
	const hosts = hostsOf(3);
	const picker = createRingHashPicker(1_024);
	for (const hash of [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
		assert.ok(hosts.includes(picker.pick(hosts, contextOf({ hash }))!));
	}
	assert.equal(picker.pick(hosts, contextOf({ hash: -1 })), picker.pick(hosts, contextOf({ hash: 0xffff_ffff })));
});
