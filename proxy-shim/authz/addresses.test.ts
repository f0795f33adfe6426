import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { isInBlock, parseIp, parseIpBlock } from "./addresses.ts";

function wordsOf(text: string): readonly number[] | undefined {
	const words = new Uint32Array(4);
	return parseIp(text, words) ? [...words] : undefined;
}

function contains(block: string, address: string): boolean {
	const words = new Uint32Array(4);
	assert.ok(parseIp(address, words), address);
	return isInBlock(parseIpBlock(block)!, words);
}

test("addresses of both families have one form, mapped ones that of their IPv4 address", () => {
	assert.deepEqual(wordsOf("10.1.2.3"), [0, 0, 0xffff, 0x0a010203]);
	assert.deepEqual(wordsOf("255.255.255.255"), [0, 0, 0xffff, 0xffffffff]);
	assert.deepEqual(wordsOf("::ffff:10.1.2.3"), wordsOf("10.1.2.3"));
	assert.deepEqual(wordsOf("::ffff:a01:203"), wordsOf("10.1.2.3"));
	assert.deepEqual(wordsOf("::"), [0, 0, 0, 0]);
	assert.deepEqual(wordsOf("::1"), [0, 0, 0, 1]);
	assert.deepEqual(wordsOf("2001:db8::8:800:200c:417a"), [0x20010db8, 0, 0x00080800, 0x200c417a]);
	assert.deepEqual(wordsOf("1:2:3:4:5:6:7:8"), [0x00010002, 0x00030004, 0x00050006, 0x00070008]);
	assert.deepEqual(wordsOf("1:2:3:4:5:6:7::"), [0x00010002, 0x00030004, 0x00050006, 0x00070000]);
	assert.deepEqual(wordsOf("FE80::1%eth0"), [0xfe800000, 0, 0, 1]);
});

test("what node:net takes for an address is one here, and what it does not is none", () => {
	const part = fc.oneof(
		fc.constantFrom("0", "1", "255", "256", "00", "01", "ffff", "10000", "a", "g", "", "1.2.3.4", " "),
		fc.nat(300).map(String),
	);
	const text = fc.oneof(
		fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(".")),
		fc.array(part, { minLength: 1, maxLength: 10 }).map((parts) => parts.join(":")),
		fc.ipV4(),
		fc.ipV6(),
		fc.string(),
	);
	fc.assert(
		fc.property(text, (address) => {
			assert.equal(wordsOf(address) !== undefined, isIP(address) !== 0, JSON.stringify(address));
		}),
		{ numRuns: 3_000 },
	);
});

test("a block holds what node:net's BlockList holds", () => {
	const bits = fc.nat(128);
	fc.assert(
		fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.oneof(fc.ipV4(), fc.ipV6()), bits, (network, address, wanted) => {
			const family = isIP(network) === 4 ? "ipv4" : "ipv6";
			const prefix = family === "ipv4" ? wanted % 33 : wanted;
			// A mapped network is written as IPv4 in node:net; here both forms are the same.
			fc.pre(!/^::ffff:/i.test(network) && !/^::ffff:/i.test(address) && isIP(address) === isIP(network));
			const list = new BlockList();
			list.addSubnet(network, prefix, family);
			assert.equal(
				contains(`${network}/${prefix}`, address),
				list.check(address, family),
				`${network}/${prefix} ${address}`,
			);
			assert.ok(contains(`${network}/${prefix}`, network));
		}),
		{ numRuns: 2_000 },
	);
});

test("blocks may be single addresses, have bits beyond their prefix, and hold mapped addresses as IPv4", () => {
	for (const [block, address, expected] of [
		["10.0.0.0/8", "10.255.0.1", true],
		["10.0.0.0/8", "11.0.0.1", false],
		["10.9.9.9/8", "10.0.0.1", true],
		["10.1.2.3", "10.1.2.3", true],
		["10.1.2.3", "10.1.2.4", false],
		["0.0.0.0/0", "1.2.3.4", true],
		["0.0.0.0/0", "fd00::1", false],
		["::/0", "1.2.3.4", false],
		["::/0", "::ffff:1.2.3.4", false],
		["::/0", "::1.2.3.4", true],
		["::ffff:0:0/96", "1.2.3.4", true],
		["10.0.0.0/8", "::ffff:10.0.0.1", true],
		["::ffff:10.0.0.0/104", "10.0.0.1", true],
		["fd00::/8", "fdff::1", true],
		["fd00::/8", "fe00::1", false],
		["fd00::1", "fd00::1", true],
		["192.168.4.0/31", "192.168.4.1", true],
		["192.168.4.0/31", "192.168.4.2", false],
		["128.0.0.0/1", "255.1.1.1", true],
		["8000::/1", "ffff::", true],
	] as const) {
		assert.equal(contains(block, address), expected, `${address} in ${block}`);
	}
	for (const block of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "10.0.0", "*", "", "/8"]) {
		assert.equal(parseIpBlock(block), undefined, block);
	}
});
