import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { isIpAddress, isIpBlock } from "./ip-address.ts";

test("an address is one exactly where Node takes it for one", () => {
	const odd = [
		"::",
		"::1",
		"1::",
		"1::2::3",
		"1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7::",
		"::2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8:9",
		"::ffff:1.2.3.4",
		"1.2.3.4::",
		"::1.2.3.4:5",
		"1.2.3",
		"01.2.3.4",
		"256.1.1.1",
		"1.2.3.4.5",
		":1",
		"1:",
		"::12345",
		"",
	];
	for (const text of odd) assert.equal(isIpAddress(text), isIP(text) !== 0, text);
	const text = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ unit: fc.constantFrom(..."0123456789abcdef:."), maxLength: 24 }));
	fc.assert(
		fc.property(text, (one) => assert.equal(isIpAddress(one), isIP(one) !== 0, one)),
		{ numRuns: 2000 },
	);
});

test("a block's length fits the family of its address", () => {
	const cases: readonly (readonly [string, boolean])[] = [
		["10.0.0.0/8", true],
		["10.0.0.0/0", true],
		["10.0.0.0/32", true],
		["10.0.0.0/33", false],
		["10.0.0.0/08", false],
		["10.0.0.0/", false],
		["10.0.0/8", false],
		["::/128", true],
		["::/129", false],
		["::1", true],
		["a/8", false],
		["10.0.0.0/8/8", false],
	];
	for (const [text, expected] of cases) assert.equal(isIpBlock(text), expected, text);
});
