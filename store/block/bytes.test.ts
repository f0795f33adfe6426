import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { KEEP_BYTES } from "./scratch.ts";

const decoder = new TextDecoder();

test("texts of every length and script are read back, whatever stands around them", () => {
	const text = fc.oneof(
		fc.string({ unit: "grapheme", maxLength: 300 }),
		fc.integer({ min: 120, max: 140 }).map((length) => "a".repeat(length)),
		fc.constantFrom("é".repeat(64), "世".repeat(6_000), "🙂".repeat(33)),
	);
	fc.assert(
		fc.property(fc.array(text, { maxLength: 20 }), (texts) => {
			const out = new ByteWriter(1);
			for (const each of texts) {
				out.text(each);
				out.word(0xdeadbeef);
			}
			const reader = new ByteReader(out.view());
			for (const each of texts) {
				assert.equal(decoder.decode(reader.lengthPrefixed()), each);
				assert.equal(reader.word(), 0xdeadbeef);
			}
		}),
	);
});

test("what is put in front stands before all that was written", () => {
	const out = new ByteWriter(2);
	out.raw(Uint8Array.of(3, 4, 5));
	out.prepend(Uint8Array.of(1, 2));
	out.byte(6);
	assert.deepEqual([...out.view()], [1, 2, 3, 4, 5, 6]);
});

test("a writer keeps little memory when it begins anew, and gives much back at once", () => {
	const out = new ByteWriter();
	out.raw(new Uint8Array(KEEP_BYTES));
	const kept = out.bytes;
	out.reset();
	assert.equal(out.bytes, kept);
	out.raw(new Uint8Array(KEEP_BYTES + 1));
	const large = out.bytes;
	out.reset();
	assert.equal(large.length, 0, "detached");
	assert.ok(out.bytes.length < KEEP_BYTES);
	out.varint(300);
	assert.equal(new ByteReader(out.view()).varint(), 300);
});
