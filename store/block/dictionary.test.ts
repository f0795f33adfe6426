import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ItemDictionary } from "./dictionary.ts";

function viewOf(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function intern(dictionary: ItemDictionary, bytes: Uint8Array): number {
	return dictionary.intern(bytes, viewOf(bytes), 0, bytes.length);
}

test("equal runs have one number, different runs different ones, and every number gives its run back", () => {
	const run = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 1, maxLength: 3, max: 1 }));
	const dictionary = new ItemDictionary();
	fc.assert(
		fc.property(fc.array(run, { maxLength: 200 }), (runs) => {
			dictionary.reset();
			const known = new Map<string, number>();
			for (const bytes of runs) {
				const key = Buffer.from(bytes).toString("hex");
				const id = intern(dictionary, bytes);
				assert.equal(id, known.get(key) ?? known.size + 1);
				known.set(key, id);
			}
			assert.equal(dictionary.count, known.size);
			for (const [key, id] of known) assert.equal(Buffer.from(dictionary.item(id)).toString("hex"), key);
		}),
		{ numRuns: 500 },
	);
});

test("a run is found wherever it lies in its source", () => {
	const dictionary = new ItemDictionary();
	for (let length = 0; length < 64; length++) {
		const run = Buffer.from(Array.from({ length }, (_, i) => i * 7 + length));
		const first = intern(dictionary, run);
		for (let at = 0; at < 9; at++) {
			const source = Buffer.concat([Buffer.alloc(at, 0xff), run, Buffer.alloc(3, 0xee)]);
			assert.equal(dictionary.intern(source, viewOf(source), at, length), first);
		}
	}
});

test("runs that differ in one byte, at any place, are two", () => {
	for (let length = 1; length < 40; length++) {
		const dictionary = new ItemDictionary();
		const run = Buffer.alloc(length, 0x61);
		intern(dictionary, run);
		for (let at = 0; at < length; at++) {
			const other = Buffer.from(run);
			other[at] = 0x62;
			assert.equal(intern(dictionary, other), at + 2);
		}
		assert.equal(intern(dictionary, run), 1);
	}
});

test("runs of megabytes and 300,000 small ones keep their bytes while the dictionary grows", () => {
	const dictionary = new ItemDictionary();
	const huge = [3, 5, 8].map((megabytes) => Buffer.alloc(megabytes << 20, megabytes));
	const ids = huge.map((bytes) => intern(dictionary, bytes));
	for (let i = 0; i < 300_000; i++) assert.equal(intern(dictionary, Buffer.from(`value ${i}`)), i + 4);
	for (const [i, bytes] of huge.entries()) {
		assert.equal(Buffer.compare(dictionary.item(ids[i]!), bytes), 0);
		assert.equal(intern(dictionary, bytes), ids[i]);
	}
	for (let i = 0; i < 300_000; i += 997) assert.equal(intern(dictionary, Buffer.from(`value ${i}`)), i + 4);
	dictionary.reset();
	assert.equal(intern(dictionary, Buffer.from("value 7")), 1, "nothing of the block before is known");
	assert.equal(intern(dictionary, huge[0]!), 2);
});

test("exactly the entries with a byte above 0x7f are visited, each once, wherever the byte lies", () => {
	const byte = fc.oneof({ weight: 9, arbitrary: fc.nat(0x7f) }, { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xff }) });
	const dictionary = new ItemDictionary();
	fc.assert(
		fc.property(fc.array(fc.array(byte, { maxLength: 20 }), { maxLength: 50 }), (runs) => {
			// Bytes of the entries before lie on behind the new ones.
			dictionary.reset();
			for (const run of runs) intern(dictionary, Uint8Array.from(run));
			const visited: number[] = [];
			dictionary.forEachNonAscii((id) => visited.push(id));
			const expected = Array.from({ length: dictionary.count }, (_, i) => i + 1).filter((id) =>
				dictionary.item(id).some((each) => each > 0x7f),
			);
			assert.deepEqual(visited, expected);
		}),
		{ numRuns: 500 },
	);
});
