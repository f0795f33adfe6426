import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, createZstdCompress, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { declaredSize, decompress, parseCompression } from "./decompress.ts";
import type { Compression } from "./decompress.ts";
import { Reservation } from "./payload-buffer.ts";
import { DEFAULT_LIMITS } from "./settings.ts";
import { FakeSink } from "./test-kit.ts";

const MIB = 1024 * 1024;
const limits = { ...DEFAULT_LIMITS, maxPayloadBytes: 8 * MIB };

const COMPRESS: Readonly<Record<Exclude<Compression, "identity">, (bytes: Uint8Array) => Buffer>> = {
	gzip: (bytes) => gzipSync(bytes),
	deflate: (bytes) => deflateSync(bytes),
	zstd: (bytes) => zstdCompressSync(bytes),
};
const COMPRESSIONS = Object.keys(COMPRESS) as (keyof typeof COMPRESS)[];

/** As a receiver holds it: sole view, reserved. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	const copy = Buffer.allocUnsafeSlow(bytes.length);
	copy.set(bytes);
	return copy;
}

async function run(compression: Compression, bytes: Uint8Array, sink = new FakeSink()): Promise<Uint8Array<ArrayBuffer>> {
	const reservation = new Reservation(sink);
	assert.ok(reservation.growTo(bytes.length));
	try {
		const output = await decompress(compression, owned(bytes), limits, reservation);
		assert.equal(sink.heldBytes, output.length, "the reservation covers exactly the output");
		return output;
	} finally {
		reservation.release();
	}
}

test("every compression gives back what went in, as the sole view of its memory", async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.constantFrom(...COMPRESSIONS),
			fc.uint8Array({ maxLength: 300_000 }),
			fc.integer({ min: 1, max: 20 }),
			async (c, seed, times) => {
				const bytes = Buffer.concat(Array.from({ length: times }, () => seed));
				const output = await run(c, COMPRESS[c](bytes));
				assert.equal(Buffer.compare(output, bytes), 0);
				assert.equal(output.byteOffset, 0);
				structuredClone(output, { transfer: [output.buffer] });
				assert.equal(output.length, 0, "transferable");
			},
		),
		{ numRuns: 60 },
	);
});

test("every frame of a zstd payload counts, not only the first", async () => {
	const frames = ["one ", "two ", "three"].map((text) => zstdCompressSync(text));
	assert.equal(Buffer.from(await run("zstd", Buffer.concat(frames))).toString(), "one two three");
});

test("every member of a gzip payload counts", async () => {
	assert.equal(Buffer.from(await run("gzip", Buffer.concat([gzipSync("one "), gzipSync("two")]))).toString(), "one two");
});

test("a zstd stream that does not declare its size is read", async () => {
	const bytes = Buffer.alloc(3 * MIB, "abc");
	const stream = createZstdCompress();
	stream.write(bytes.subarray(0, MIB));
	stream.end(bytes.subarray(MIB));
	const compressed = Buffer.concat(await stream.toArray());
	assert.equal(declaredSize("zstd", compressed), undefined);
	assert.equal(Buffer.compare(await run("zstd", compressed), bytes), 0);
});

test("output up to the limit passes, one byte more is too large", async () => {
	for (const compression of COMPRESSIONS) {
		assert.equal((await run(compression, COMPRESS[compression](Buffer.alloc(8 * MIB)))).length, 8 * MIB);
		await assert.rejects(
			run(compression, COMPRESS[compression](Buffer.alloc(8 * MIB + 1))),
			{ code: "payload_too_large" },
			compression,
		);
	}
});

test("a gzip trailer that lies about the size does not open the limit", async () => {
	const bomb = gzipSync(Buffer.alloc(64 * MIB));
	bomb.writeUInt32LE(10, bomb.length - 4);
	await assert.rejects(run("gzip", bomb), { code: "payload_too_large" });
});

test("output is reserved as it appears, and no room is retryable", async () => {
	for (const compression of COMPRESSIONS) {
		const sink = new FakeSink();
		sink.budgetBytes = 2 * MIB;
		await assert.rejects(
			run(compression, COMPRESS[compression](Buffer.alloc(5 * MIB)), sink),
			{ code: "overloaded" },
			compression,
		);
		assert.equal(sink.heldBytes, 0);
		assert.ok(sink.maxHeldBytes <= 2 * MIB);
	}
});

test("what is cut off, damaged or followed by something else is malformed", async () => {
	const noise = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * i * 31) & 0xff));
	for (const compression of COMPRESSIONS) {
		const whole = COMPRESS[compression](noise);
		for (const bad of [
			whole.subarray(0, whole.length - 9),
			whole.subarray(0, 3),
			Buffer.from("not compressed at all"),
			Buffer.concat([whole, Buffer.from("tail")]),
		]) {
			await assert.rejects(run(compression, bad), { code: "malformed_payload" }, compression);
		}
	}
});

test("an empty body is an empty payload, whatever its encoding", async () => {
	for (const compression of COMPRESSIONS) assert.equal((await run(compression, new Uint8Array(0))).length, 0);
});

test("a zstd window above 32 MiB is refused", async () => {
	const stream = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
	stream.write(Buffer.alloc(100));
	stream.end(Buffer.alloc(100));
	await assert.rejects(run("zstd", Buffer.concat(await stream.toArray())), { code: "malformed_payload" });
});

test("refused decompressions leave room for the next ones", async () => {
	const bomb = gzipSync(Buffer.alloc(9 * MIB));
	const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => run("gzip", bomb)));
	assert.ok(outcomes.every(({ status }) => status === "rejected"));
	assert.equal(Buffer.from(await run("gzip", gzipSync("still here"))).toString(), "still here");
});

test("large payloads side by side take turns, and one that fails in the queue does not block it", async () => {
	const large = { ...limits, maxPayloadBytes: 64 * MIB };
	const whole = gzipSync(Buffer.alloc(30 * MIB));
	const damaged = Buffer.from(whole);
	damaged.writeUInt32LE(0xdeadbeef, damaged.length - 8);
	const inputs = [whole, damaged, whole, damaged, whole, damaged];
	const reservation = new Reservation(new FakeSink());
	const outcomes = await Promise.allSettled(inputs.map((bytes) => decompress("gzip", owned(bytes), large, reservation)));
	assert.deepEqual(
		outcomes.map((outcome) => (outcome.status === "fulfilled" ? outcome.value.length : outcome.reason.code)),
		[30 * MIB, "malformed_payload", 30 * MIB, "malformed_payload", 30 * MIB, "malformed_payload"],
	);
});

test("zstd frames are not endless: a decoder is made for each", async () => {
	const empty = zstdCompressSync("");
	assert.equal((await run("zstd", Buffer.concat(Array.from({ length: 1_000 }, () => empty)))).length, 0);
	await assert.rejects(run("zstd", Buffer.concat(Array.from({ length: 1_001 }, () => empty))), { code: "malformed_payload" });
});

test("encodings are named in any case, with their aliases, and none is identity", () => {
	assert.equal(parseCompression(undefined), "identity");
	assert.equal(parseCompression("identity"), "identity");
	assert.equal(parseCompression("none"), "identity");
	assert.equal(parseCompression(" GZIP "), "gzip");
	assert.equal(parseCompression("x-gzip"), "gzip");
	assert.equal(parseCompression("zstd"), "zstd");
	assert.equal(parseCompression("br"), undefined);
	assert.equal(parseCompression("gzip, gzip"), undefined);
	assert.equal(parseCompression("__proto__"), undefined);
});
