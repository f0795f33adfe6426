import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bytesFromHex, hexFromBytes, parseSpanId, parseTraceId } from "./ids.ts";

const hexDigits = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
	fc.string({ unit: fc.constantFrom(..."0123456789abcdefABCDEF"), minLength, maxLength });
const isZero = (text: string): boolean => /^0*$/.test(text);

test("a trace id of either case, with or without its leading zeros, becomes 32 lower-case digits of the same number", () => {
	fc.assert(
		fc.property(
			hexDigits(1, 32).filter((text) => !isZero(text)),
			(text) => {
				const id = parseTraceId(text);
				assert.match(id ?? "", /^[0-9a-f]{32}$/);
				assert.equal(BigInt(`0x${id}`), BigInt(`0x${text}`));
			},
		),
	);
});

test("a span id becomes 16 lower-case digits of the same number", () => {
	fc.assert(
		fc.property(
			hexDigits(1, 16).filter((text) => !isZero(text)),
			(text) => {
				const id = parseSpanId(text);
				assert.match(id ?? "", /^[0-9a-f]{16}$/);
				assert.equal(BigInt(`0x${id}`), BigInt(`0x${text}`));
			},
		),
	);
});

test("a parsed id is parsed to itself", () => {
	fc.assert(
		fc.property(hexDigits(1, 32), (text) => {
			const id = parseTraceId(text);
			if (id !== undefined) assert.equal(parseTraceId(id), id);
		}),
	);
});

test("nothing that is empty, zero, too long or not hex is an id", () => {
	for (const text of [
		"",
		"0",
		"0".repeat(32),
		"0".repeat(33),
		"1".repeat(33),
		"xyz",
		"0x12",
		" 12",
		"12 ",
		"12\n",
		"-1",
		"１２",
	]) {
		assert.equal(parseTraceId(text), undefined, JSON.stringify(text));
	}
	for (const text of ["", "0".repeat(16), "1".repeat(17), "g"])
		assert.equal(parseSpanId(text), undefined, JSON.stringify(text));
	fc.assert(
		fc.property(
			fc.string().filter((text) => !/^[0-9a-fA-F]{1,32}$/.test(text)),
			(text) => assert.equal(parseTraceId(text), undefined),
		),
	);
});

test("bytes become hex and hex becomes the same bytes", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
			const hex = hexFromBytes(bytes, 0, bytes.length);
			assert.equal(hex, Buffer.from(bytes).toString("hex"));
			assert.deepEqual(bytesFromHex(hex), bytes);
			assert.deepEqual(bytesFromHex(hex.toUpperCase()), bytes);
		}),
	);
});

test("hex is taken from the middle of a larger buffer", () => {
	const bytes = Uint8Array.of(0xff, 0x00, 0x0a, 0xb0, 0xff);
	assert.equal(hexFromBytes(bytes, 1, 3), "000ab0");
	assert.equal(hexFromBytes(bytes, 5, 0), "");
});
