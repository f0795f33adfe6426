import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isUtf8 } from "./utf8.ts";

const strict = new TextDecoder("utf-8", { fatal: true });

function decodes(bytes: Uint8Array): boolean {
	try {
		strict.decode(bytes);
		return true;
	} catch {
		return false;
	}
}

/** First bytes, second bytes and the borders of each range, so that hardly anything is far from a valid sequence. */
const nearby = fc.constantFrom(
	0x41,
	0x7f,
	0x80,
	0x8f,
	0x90,
	0x9f,
	0xa0,
	0xbf,
	0xc0,
	0xc2,
	0xdf,
	0xe0,
	0xed,
	0xef,
	0xf0,
	0xf4,
	0xf5,
	0xff,
);

test("bytes are UTF-8 exactly when a strict decoder takes them", () => {
	const runs = fc.oneof(
		fc.array(nearby, { maxLength: 8 }).map((bytes) => Uint8Array.from(bytes)),
		fc.uint8Array({ maxLength: 12 }),
		fc.string({ unit: "binary" }).map((text) => new TextEncoder().encode(text)),
	);
	fc.assert(
		fc.property(runs, (bytes) => assert.equal(isUtf8(bytes, 0, bytes.length), decodes(bytes))),
		{ numRuns: 5_000 },
	);
});

test("a sequence that the end of the range cuts is not UTF-8, whatever follows", () => {
	const bytes = Buffer.from("a🦀b");
	for (let end = 0; end <= bytes.length; end++) assert.equal(isUtf8(bytes, 0, end), end < 2 || end > 4, String(end));
	assert.equal(isUtf8(bytes, 2, bytes.length), false);
});
