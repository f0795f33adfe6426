import assert from "node:assert/strict";
import { test } from "node:test";
import { createZstdCompress } from "node:zlib";
import fc from "fast-check";
import { KeptZstd, oneShotZstd, openZstd, type Zstd, zstd } from "./zstd.ts";

/** Runs of repeated bytes and of random ones, so that some content shrinks and some does not. */
const contents = fc
	.array(
		fc.oneof(
			fc.uint8Array({ maxLength: 300 }),
			fc.record({ byte: fc.nat(255), length: fc.nat(20_000) }).map(({ byte, length }) => new Uint8Array(length).fill(byte)),
		),
		{ maxLength: 6 },
	)
	.map((runs) => new Uint8Array(Buffer.concat(runs)));

test("this Node's streams can be kept", () => {
	assert.notEqual(zstd, oneShotZstd);
});

test("frame after frame is that of a fresh context to the byte, and each reads the other's", () => {
	fc.assert(
		fc.property(fc.array(contents, { minLength: 1, maxLength: 8 }), fc.constantFrom(1, 3, 9), (all, level) => {
			for (const content of all) {
				const frame = zstd.compress(content, level).slice();
				assert.deepEqual(Buffer.from(frame), Buffer.from(oneShotZstd.compress(content, level)));
				assert.deepEqual(Buffer.from(zstd.decompress(frame, content.length)), Buffer.from(content));
			}
		}),
		{ numRuns: 100 },
	);
});

test("content of megabytes", () => {
	const content = Uint8Array.from({ length: 3_000_000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24);
	const frame = zstd.compress(content, 1).slice();
	assert.deepEqual(Buffer.from(zstd.decompress(frame, content.length)), Buffer.from(content));
});

test("a damaged, cut or mislabelled frame is told as such, and the next one is read", () => {
	const content = Buffer.from("the quick brown fox jumps over the lazy dog, ".repeat(40));
	const frame = zstd.compress(content, 1).slice();
	const isRead = (bytes: Uint8Array, length: number): boolean => {
		try {
			const read = zstd.decompress(bytes, length);
			return read.length === length && Buffer.compare(read, content) === 0;
		} catch {
			return false;
		}
	};
	for (let at = 0; at < frame.length; at++) {
		assert.equal(isRead(frame.subarray(0, at), content.length), false, `cut at ${at}`);
		const damaged = frame.slice();
		damaged[at]! ^= 0x55;
		isRead(damaged, content.length);
		assert.ok(isRead(frame, content.length), `after byte ${at} was damaged`);
	}
	for (const length of [0, 1, content.length - 1, content.length + 1, content.length * 2])
		assert.equal(isRead(frame, length), false, `said to be ${length} bytes`);
	assert.ok(isRead(frame, content.length));
});

test("a context that fails costs itself alone", () => {
	const made: ReturnType<typeof createZstdCompress>[] = [];
	const kept = new KeptZstd(() => {
		const stream = createZstdCompress();
		made.push(stream);
		return stream;
	});
	const content = new Uint8Array(5_000).fill(7);
	const isRight = (): boolean => Buffer.compare(oneShotZstd.decompress(kept.compress(content, 3), 5_000), content) === 0;
	assert.ok(isRight());
	made[0]!.destroy();
	assert.ok(isRight(), "by Node's own function");
	assert.equal(made.length, 1);
	assert.ok(isRight(), "by a new context");
	assert.equal(made.length, 2);
});

test("streams that are made otherwise, or give back something else, are not kept", () => {
	assert.equal(
		openZstd(() => {
			throw new Error("no such handle");
		}),
		oneShotZstd,
	);
	const forgetful: Zstd = { ...oneShotZstd, decompress: (_frame, length) => new Uint8Array(length) };
	assert.equal(
		openZstd(() => forgetful),
		oneShotZstd,
	);
});
